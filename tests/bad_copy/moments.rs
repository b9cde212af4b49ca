//! Moments at which a bad frame comes: a pair brought to each of them, and out of it again.

use crate::bench::{Bench, CHANNELS, HOME, ServoBench, memory};
use crate::frames::{Captured, payload_of};
use crate::support::{Servo, sensor};
use twinstep::ids::{Phase, Stage};
use twinstep::wire::{BlockPayload, Kind, Payload};
use twinstep::{Arbiter, Epoch, Mode, Preferred, Program, Site};

/// What a channel is doing as a frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It waits, and has not heard of a peer that serves.
    Unoffered,
    /// It waits, and the peer serves and has begun a copy, of which nothing has arrived.
    Offered,
    Joining,
    /// The peer joins as an empty channel.
    Donor,
    /// The peer joins with a state of its own, and it is being compared.
    Searching,
    Duplex,
    Simplex,
    Standby,
    Safe,
}

impl Moment {
    pub const ALL: [Self; 9] = [
        Self::Unoffered,
        Self::Offered,
        Self::Joining,
        Self::Donor,
        Self::Searching,
        Self::Duplex,
        Self::Simplex,
        Self::Standby,
        Self::Safe,
    ];

    fn mode(self) -> Mode {
        match self {
            Self::Unoffered | Self::Offered => Mode::Starting,
            Self::Joining => Mode::Joining,
            Self::Donor | Self::Searching => Mode::Donor,
            Self::Duplex => Mode::Duplex,
            Self::Simplex => Mode::Simplex,
            Self::Standby => Mode::Standby,
            Self::Safe => Mode::Safe,
        }
    }

    /// Brings a pair to where channel `at` is in this moment, runs the test, and brings the pair
    /// into duplex again, where both must have the right state.
    #[track_caller]
    pub fn with(self, at: usize, test: impl FnOnce(&mut ServoBench<'_>)) {
        self.after_cycles(4, at, test);
    }

    /// As [`with`](Self::with), after so many cycles in duplex; after 253 all blocks are written.
    #[track_caller]
    pub fn after_cycles(self, cycles: u32, at: usize, test: impl FnOnce(&mut ServoBench<'_>)) {
        let mut memory = memory::<Servo>();
        // Only the owner may go on alone.
        let owner = if self == Self::Standby { 1 - at } else { at };
        let rule = [Preferred(CHANNELS[owner]); 2];
        let mut bench = ServoBench::with_arbiters(&mut memory, HOME, rule, sensor(31 + at as u64));
        self.bring_about(&mut bench, cycles, at);
        assert_eq!(bench.mode(at), self.mode(), "{self:?}");
        test(&mut bench);
        if self == Self::Safe {
            assert_eq!(bench.modes(), [Mode::Safe; 2]);
            return;
        }
        bench.loses.clear();
        bench.is_cut = false;
        bench.boot();
        bench.run_cycles(3);
    }

    fn bring_about(self, bench: &mut ServoBench<'_>, cycles: u32, at: usize) {
        let peer = 1 - at;
        if self == Self::Unoffered {
            return;
        }
        bench.boot();
        bench.run_cycles(cycles);
        match self {
            Self::Unoffered | Self::Duplex => {}
            Self::Offered => {
                bench.loses = vec![Kind::Block];
                bench.reboot(at);
                bench.run_until("a block on its way", 500, |bench| bench.nodes[peer].counters().blocks_sent > 0);
            }
            Self::Joining => begin_copy(bench, at),
            Self::Donor => begin_copy(bench, peer),
            Self::Searching => {
                bench.is_cut = true;
                // Until more blocks differ than one cycle's budget.
                bench.run_until("one alone", 9_000, |bench| bench.nodes[at].counters().alone == 80);
                bench.is_cut = false;
                bench.run_until("a joiner", 500, |bench| bench.mode(peer) == Mode::Joining);
            }
            Self::Simplex => {
                bench.is_cut = true;
                bench.run_until("one alone", 500, |bench| bench.mode(at) == Mode::Simplex);
            }
            Self::Standby => {
                bench.is_cut = true;
                bench.run_until("one stands by", 500, |bench| bench.mode(at) == Mode::Standby);
            }
            Self::Safe => {
                bench.nodes[at].flip(Site::StuckOutput, 3);
                bench.run_until("the safe state", 500, |bench| bench.modes() == [Mode::Safe; 2]);
            }
        }
    }
}

/// Restarts a channel and lets it join until some blocks are there.
#[track_caller]
pub fn begin_copy<P: Program, const FRAME: usize, R: Arbiter>(bench: &mut Bench<'_, P, FRAME, R>, joiner: usize) {
    bench.reboot(joiner);
    bench.run_until("a copy under way", 1_500, |bench| {
        let progress = bench.nodes[1 - joiner].copy_progress();
        bench.mode(joiner) == Mode::Joining && progress.is_some_and(|progress| progress.done_blocks >= 4)
    });
}

impl<P: Program, const FRAME: usize, R: Arbiter> Bench<'_, P, FRAME, R> {
    /// Returns the epoch that a frame to this channel would have if it were genuine.
    pub fn expected_epoch(&self, at: usize) -> Epoch {
        let of = if matches!(self.mode(at), Mode::Starting | Mode::Joining) { 1 - at } else { at };
        self.nodes[of].epoch()
    }

    /// Returns the phase of the state that a channel has committed.
    pub fn settled_phase(&self, at: usize) -> Phase {
        let node = &self.nodes[at];
        Phase::new(node.settled_cycle().unwrap_or(node.cycle().previous()), Stage::Settled)
    }

    /// Builds a frame to a channel that is genuine but for what its payload says.
    pub fn frame_to(&self, at: usize, kind: Kind, payload: &[u8]) -> Vec<u8> {
        self.forge(kind, CHANNELS[1 - at], self.expected_epoch(at), self.settled_phase(1 - at), payload)
    }

    /// Builds a block for a joiner.
    pub fn block_to(&self, joiner: usize, serial: u16, index: u16, bytes: &[u8]) -> Vec<u8> {
        self.frame_to(joiner, Kind::Block, &payload_of(&BlockPayload { serial, index, bytes }))
    }

    /// Returns the blocks sent to this boot of a joiner so far.
    pub fn blocks_to(&self, joiner: usize) -> Vec<Sent> {
        let is_block = |frame: &&Vec<u8>| Kind::of_frame(frame) == Some(Kind::Block);
        self.sent[joiner].iter().filter(is_block).filter_map(|bytes| Sent::new(bytes, &self.keys())).collect()
    }

    /// Returns the serial of the next block that the donor sends.
    pub fn next_serial(&self, joiner: usize) -> u16 {
        self.blocks_to(joiner).last().map_or(0, |block| block.serial.wrapping_add(1))
    }

    /// Runs until the joiner finds that what it has is not what the `Cut` speaks of and starts
    /// over; then, that the next copy succeeds.
    #[track_caller]
    pub fn expect_found_at_the_cut(&mut self, joiner: usize) {
        let failed = self.nodes[1 - joiner].counters().copies_failed;
        let found = |bench: &Self| bench.nodes[joiner].counters().rejected(twinstep::wire::Reject::Digest);
        let before = found(self);
        self.nodes[joiner].clear_first_fault();
        self.run_until("the check at the cut", 3_000, |bench| found(bench) > before);
        assert!(self.mode(joiner) != Mode::Duplex, "it joins with a wrong state");
        let first_fault = self.nodes[joiner].first_fault().unwrap();
        assert!(first_fault.faults.contains(twinstep::Faults::COPY_FAILED), "{first_fault:?}");
        self.boot();
        assert_eq!(self.nodes[1 - joiner].counters().copies_failed, failed + 1);
        assert_eq!((self.nodes[joiner].counters().joined, found(self)), (1, before + 1));
        self.run_cycles(3);
    }
}

/// A block that was sent.
pub struct Sent {
    pub frame: Vec<u8>,
    pub serial: u16,
    pub index: u16,
    pub bytes: Vec<u8>,
    pub epoch: Epoch,
}

impl Sent {
    fn new(frame: &[u8], keys: &twinstep::wire::Keys) -> Option<Self> {
        let Captured { payload, header, .. } = Captured::new(frame, keys)?;
        let BlockPayload { serial, index, bytes } = BlockPayload::parse(&payload).ok()?;
        Some(Self { frame: frame.to_vec(), serial, index, bytes: bytes.to_vec(), epoch: header.epoch })
    }
}
