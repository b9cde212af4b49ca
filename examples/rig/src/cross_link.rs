//! The cross link as the rig carries it: byte by byte, with the scenario's faults.

use crate::frames::Deframer;
use crate::judge::Judge;
use crate::scenario::{Kind, Plan};
use fastrand::Rng;
use twinstep::ChannelId;

/// Both directions of the link.
pub(crate) struct CrossLink {
    plan: Plan,
    rng: Rng,
    taps: [Deframer; 2],
    is_cut: bool,
    strike: Option<Strike>,
    kill_cycle: Option<u32>,
    damaged_bytes: u64,
    carried_bytes: u64,
    cycle: u32,
}

/// A death of the owner that is due.
struct Strike {
    /// The board that dies, if it is not the owner.
    board: Option<ChannelId>,
    in_cycle: u32,
    /// It dies with this byte of its frames in that cycle.
    byte: u32,
    /// Bytes that it sent since it voted in the cycle before.
    sent: Option<u32>,
}

/// What became of one byte.
pub(crate) struct Carried {
    /// What arrives at the other end.
    pub(crate) bytes: Vec<u8>,
    /// The sender dies with this byte, the one of this number since its last vote.
    pub(crate) kills_with: Option<u32>,
    /// Something was done to the link.
    pub(crate) strike: Option<&'static str>,
}

impl CrossLink {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut link = Self::without_strike(plan);
        if plan.kind == Kind::Failover {
            link.strike(plan.strikes_at, plan.strike_byte);
        }
        link
    }

    /// Lets the owner die in a cycle, with this byte of its frames.
    pub(crate) fn strike(&mut self, in_cycle: u32, byte: u32) {
        self.strike = Some(Strike { board: None, in_cycle, byte, sent: None });
    }

    /// Lets a board die with this byte of those that it sends from now on.
    pub(crate) fn strike_board(&mut self, board: ChannelId, byte: u32) {
        self.strike = Some(Strike { board: Some(board), in_cycle: 0, byte, sent: Some(0) });
    }

    /// A board boots: half a frame of its earlier life is none.
    pub(crate) fn booted(&mut self, board: ChannelId) {
        self.taps[board.index()] = Deframer::default();
    }

    fn without_strike(plan: &Plan) -> Self {
        Self {
            plan: *plan,
            rng: Rng::with_seed(plan.seed ^ 0x11_4B),
            taps: Default::default(),
            is_cut: false,
            strike: None,
            kill_cycle: None,
            damaged_bytes: 0,
            carried_bytes: 0,
            cycle: 0,
        }
    }

    /// Returns the first cycle that the owner killed last did not complete: its vote did not get through.
    pub(crate) fn kill_cycle(&self) -> Option<u32> {
        self.kill_cycle
    }

    /// Returns the cycle that the link is in.
    pub(crate) fn cycle(&self) -> u32 {
        self.cycle
    }

    pub(crate) fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes
    }

    pub(crate) fn carried_bytes(&self) -> u64 {
        self.carried_bytes
    }

    /// Carries one byte that `from` sent; `owner` is the board that drives.
    pub(crate) fn carry(&mut self, from: ChannelId, byte: u8, owner: Option<ChannelId>, judge: &mut Judge) -> Carried {
        self.carried_bytes += 1;
        // The judge listens at the sender's end, before any damage.
        if let Some(out) = self.taps[from.index()].push(byte) {
            judge.sees_frame(from, &out.frame, out.wire_bytes);
        }
        self.cycle = judge.votes().latest(from).map_or(self.cycle, |voted| voted.0 + 1).max(self.cycle);
        let victim = self.strike.as_ref().and_then(|strike| strike.board).or(owner);
        let kills_with = if victim == Some(from) { self.strikes_now(from, judge) } else { None };
        let strike = self.cut_or_heal(judge.latest());
        let bytes = if self.is_cut { Vec::new() } else { self.damaged(byte) };
        Carried { bytes, kills_with, strike }
    }

    /// Takes what a board had sent before it died and the link no longer carries: it may have
    /// driven on the strength of the vote in it.
    pub(crate) fn overhear(&mut self, from: ChannelId, byte: u8, judge: &mut Judge) {
        if let Some(out) = self.taps[from.index()].push(byte) {
            judge.sees_last_vote(from, &out.frame);
        }
    }

    /// Counts the owner's bytes from its vote before the strike on; returns the byte it dies with.
    fn strikes_now(&mut self, owner: ChannelId, judge: &Judge) -> Option<u32> {
        let voted = judge.votes().latest(owner).map_or(0, |cycle| cycle.0);
        let strike = self.strike.as_mut()?;
        let Some(sent) = &mut strike.sent else {
            if voted + 1 >= strike.in_cycle {
                strike.sent = Some(0);
            }
            return None;
        };
        *sent += 1;
        if *sent < strike.byte {
            return None;
        }
        self.kill_cycle = Some(voted + 1);
        self.strike.take().map(|strike| strike.byte)
    }

    fn cut_or_heal(&mut self, at_the_plant: u32) -> Option<&'static str> {
        if self.plan.kind != Kind::Partition {
            return None;
        }
        // While the link is cut, only the plant sees the cycles go on.
        self.cycle = self.cycle.max(at_the_plant);
        let cut = (self.plan.strikes_at..self.plan.heals_at).contains(&self.cycle);
        let changed = cut != self.is_cut;
        self.is_cut = cut;
        changed.then_some(if cut { "link cut" } else { "link healed" })
    }

    /// Flips a bit of the byte, loses it or repeats it, as often as the plan says.
    fn damaged(&mut self, byte: u8) -> Vec<u8> {
        if self.rng.f64() >= self.plan.byte_errors {
            return vec![byte];
        }
        self.damaged_bytes += 1;
        match self.rng.u8(0..3) {
            0 => vec![byte ^ (1 << self.rng.u8(0..8))],
            1 => Vec::new(),
            _ => vec![byte, byte],
        }
    }
}
