//! Upsets on emulated boards: flips a bit of a board's memory at a random moment between two of its turns, and stands by as
//! the watchdog and the technician of both.

use super::shots::Shots;
use super::{CHANNELS, PERIOD_NS, Run};
use crate::ram::Ram;
use crate::seu::Seu;
use anyhow::{Context, Result};
use tank::TIMING;
use tank::field_bus::{ModeCode, ToBoard};
use twinstep::ChannelId;

/// A board is flipped so long after the other one, on the average: two cycles.
const FLIP_EVERY_NS: std::ops::Range<u64> = 130_000_000..270_000_000;
/// By then what a fault of the processor has done to the pair is known: the next one on the other board is no second fault.
const SHOT_EVERY_NS: std::ops::Range<u64> = 250_000_000..350_000_000;
/// The watchdog: nothing heard of a board for so long. A cycle takes 100 ms.
const SILENT_AT_MOST_NS: u64 = 1_200_000_000;
/// No bit is flipped on a board that was not heard for so long: it may hang already.
const ALIVE_WITHIN_NS: u64 = 350_000_000;
/// The technician: a pair out of duplex for so long does not find back by itself.
const APART_AT_MOST_NS: u64 = 7_000_000_000;
/// The pair settles before the first flip.
const FIRST_FLIP: u32 = 10;

/// The state of the upsets of a run.
pub(super) struct Upsets {
    pub(super) seu: Seu,
    pub(super) rng: fastrand::Rng,
    /// Faults of the processor, if it is these that are injected.
    pub(super) shots: Option<Shots>,
    ram: Ram,
    /// The lowest byte of the stack that was ever used, once it was looked at.
    stack_from: Option<u32>,
    due_ns: u64,
    /// No flip before this cycle, counted over the run: the boards have just come together.
    pub(super) calm_from: u32,
    /// The cycle of the last flip, counted over the run.
    pub(super) last_flip: u32,
    heard_ns: [u64; 2],
    together_ns: u64,
    /// When an output last reached the plant, or a board was booted again.
    driven_ns: u64,
    /// A wrong output was driven: what the pair does from then on is not what the rig's own run of the program does.
    pub(super) is_astray: bool,
    /// Restarts of one board since both were last in duplex.
    in_vain: u32,
}

/// After so many restarts of one board in a row it is the other one that keeps it out.
const RESTARTS_AT_MOST: u32 = 3;

impl Upsets {
    pub(super) fn new(seed: u64, flips: u32, ram: Ram, shots: Option<Shots>) -> Self {
        Self {
            seu: Seu::new(flips),
            shots,
            rng: fastrand::Rng::with_seed(seed ^ 0x5E0),
            ram,
            stack_from: None,
            due_ns: 0,
            calm_from: FIRST_FLIP,
            last_flip: 0,
            heard_ns: [0; 2],
            together_ns: 0,
            driven_ns: 0,
            is_astray: false,
            in_vain: 0,
        }
    }

    /// Notes that a board is alive.
    pub(super) fn heard(&mut self, board: ChannelId, now_ns: u64) {
        self.heard_ns[board.index()] = now_ns;
    }

    /// Notes that an output reached the plant.
    pub(super) fn drove(&mut self, now_ns: u64) {
        self.driven_ns = now_ns;
    }

    /// Draws when the next fault is due.
    pub(super) fn draw_next(&mut self, now_ns: u64) {
        // A fault of the processor waits for its instruction anyway.
        let every_ns = if self.shots.is_some() { SHOT_EVERY_NS } else { FLIP_EVERY_NS };
        self.due_ns = now_ns + self.rng.u64(every_ns);
    }

    /// Notes that a board was booted: it gets time to do so.
    pub(super) fn booted(&mut self, board: ChannelId, now_ns: u64) {
        self.heard_ns[board.index()] = now_ns + SILENT_AT_MOST_NS;
    }
}

/// What the rig does to a pair that does not serve as a pair.
enum Care {
    Restart(ChannelId, &'static str),
    /// The one that owns drives nothing.
    RestartMute(ChannelId),
    RestartBoth {
        are_safe: bool,
    },
    /// Both, from the first cycle on.
    BeginAnew,
}

impl Run<'_> {
    /// Looks after the boards, and flips a bit if one is due.
    pub(super) fn go_on_with_upsets(&mut self) -> Result<()> {
        let now_ns = self.engine.now_ns();
        let Some(upsets) = &mut self.upsets else { return Ok(()) };
        if self.modes == [Some(ModeCode::Duplex); 2] {
            (upsets.together_ns, upsets.in_vain) = (now_ns, 0);
        } else {
            // Until its probation is over a board that has joined may not own: a second fault would be none of one.
            upsets.calm_from = self.judge.cycles() + u32::from(TIMING.probation_cycles) + 2;
        }
        match self.care() {
            Some(Care::Restart(board, why)) => return self.restart(board, why),
            Some(Care::RestartMute(owner)) => {
                if let Some(upsets) = &mut self.upsets {
                    upsets.seu.was_mute(owner);
                }
                // What the pair has stepped through meanwhile, nobody saw.
                return self.reboot_both();
            }
            Some(Care::RestartBoth { are_safe }) => return self.restart_both(are_safe),
            Some(Care::BeginAnew) => return self.reboot_both(),
            None => {}
        }
        let board = self.next_target();
        let Some(upsets) = &self.upsets else { return Ok(()) };
        let is_alive = now_ns.saturating_sub(upsets.heard_ns[board.index()]) < ALIVE_WITHIN_NS;
        // Where nothing is driven the last fault still shows.
        let is_driving = now_ns - upsets.driven_ns < 2 * PERIOD_NS;
        let is_due =
            is_driving && now_ns >= upsets.due_ns && self.judge.cycles() >= upsets.calm_from && !upsets.seu.is_done();
        match &upsets.shots {
            Some(shots) if is_due && is_alive && !shots.are_waiting() => self.shoot(board),
            None if is_due && is_alive => self.flip(board),
            _ => Ok(()),
        }
    }

    fn care(&self) -> Option<Care> {
        let (upsets, now_ns) = (self.upsets.as_ref()?, self.engine.now_ns());
        let is_safe = |board: ChannelId| self.modes[board.index()] == Some(ModeCode::Safe);
        let serves_alone =
            |board: ChannelId| matches!(self.modes[board.index()], Some(ModeCode::Simplex | ModeCode::Donor));
        if upsets.is_astray {
            return Some(Care::BeginAnew);
        }
        if CHANNELS.into_iter().all(is_safe) {
            return Some(Care::RestartBoth { are_safe: true });
        }
        // It serves, and drives nothing: a fault that stays, behind the vote.
        let owner = self.relay.board().filter(|owner| self.boards.has(*owner));
        if let Some(owner) = owner.filter(|_| now_ns - upsets.driven_ns > SILENT_AT_MOST_NS + PERIOD_NS) {
            return Some(Care::RestartMute(owner));
        }
        if upsets.in_vain > RESTARTS_AT_MOST {
            return Some(Care::RestartBoth { are_safe: false });
        }
        for board in CHANNELS {
            if !self.boards.has(board) {
                return Some(Care::Restart(board, "it stopped"));
            }
            if now_ns.saturating_sub(upsets.heard_ns[board.index()]) > SILENT_AT_MOST_NS {
                return Some(Care::Restart(board, "it was silent"));
            }
            if is_safe(board) && serves_alone(board.other()) {
                return Some(Care::Restart(board, "it is in the safe state"));
            }
        }
        if now_ns - upsets.together_ns > APART_AT_MOST_NS {
            let alone = CHANNELS.into_iter().find(|board| serves_alone(*board));
            let astray = alone.map(|board| Care::Restart(board.other(), "it did not come back"));
            return Some(astray.unwrap_or(Care::RestartBoth { are_safe: false }));
        }
        None
    }

    fn restart(&mut self, board: ChannelId, why: &'static str) -> Result<()> {
        self.reboot(board)?;
        self.readmit(); // the other one may have barred it
        let Some(upsets) = &mut self.upsets else { return Ok(()) };
        upsets.seu.restarted(board, why);
        (upsets.together_ns, upsets.in_vain) = (self.engine.now_ns(), upsets.in_vain + 1);
        if self.modes == [Some(ModeCode::Starting); 2] {
            upsets.seu.outage("neither had the state");
            self.begin_anew();
        }
        Ok(())
    }

    fn restart_both(&mut self, are_safe: bool) -> Result<()> {
        if let Some(upsets) = &mut self.upsets {
            if are_safe {
                upsets.seu.safe_stop();
            } else {
                upsets.seu.outage("neither served, or the one that did kept the other one out");
            }
        }
        self.reboot_both()
    }

    fn reboot_both(&mut self) -> Result<()> {
        for board in CHANNELS {
            self.reboot(board)?;
        }
        let now_ns = self.engine.now_ns();
        if let Some(upsets) = &mut self.upsets {
            (upsets.together_ns, upsets.driven_ns, upsets.in_vain, upsets.is_astray) = (now_ns, now_ns, 0, false);
        }
        self.begin_anew();
        Ok(())
    }

    fn reboot(&mut self, board: ChannelId) -> Result<()> {
        self.unplug(board);
        self.judge.died(board);
        self.plant.mode(board, self.judge.latest(), None);
        self.plant.injected(self.judge.latest(), Some(board), "booted again");
        self.boot(board)
    }

    /// Nobody has the state any more: the cycles begin with the first one again.
    fn begin_anew(&mut self) {
        self.judge.begin_anew();
        self.plant.begin_anew();
    }

    /// Forgets what the boards were suspected of, before the next fault: faults come a million times as often here as where
    /// they come by themselves, and each is to be met as the first one.
    pub(super) fn readmit(&mut self) {
        for board in CHANNELS {
            for side in CHANNELS {
                self.tell(board, &ToBoard::Readmit { side: side.into() });
            }
        }
    }

    fn flip(&mut self, board: ChannelId) -> Result<()> {
        self.readmit();
        let Ok(memory) = self.boards.memory(board) else {
            self.unplug(board); // it has just stopped
            return Ok(());
        };
        let (Some(upsets), Some(memory)) = (&mut self.upsets, memory) else { return Ok(()) };
        let stack_from = match upsets.stack_from {
            Some(from) => from,
            None => {
                let used = memory.first_nonzero(upsets.ram.stack())?;
                *upsets.stack_from.insert(used.context("the boards use no stack")?)
            }
        };
        let place = upsets.ram.pick(&mut upsets.rng, stack_from);
        let bit = upsets.rng.u8(0..8);
        if memory.upset_bit(place.address, bit).is_err() {
            self.unplug(board); // it has just stopped
            return Ok(());
        }
        upsets.last_flip = self.judge.cycles();
        let cycle = self.judge.latest() + 1;
        let text = format!("{:#010x} bit {bit}, {}", place.address, place.symbol);
        upsets.seu.flipped(board, cycle, place.region, text, self.journal.len());
        upsets.draw_next(self.engine.now_ns());
        self.plant.injected(cycle, Some(board), place.region);
        Ok(())
    }
}
