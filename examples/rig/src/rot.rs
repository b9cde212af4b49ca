//! Memory that rots: bits flipped in the mirrored memory of running boards, and what became of each.

use crate::seu::suspected;
use fastrand::Rng;
use serde::Serialize;
use tank::{Plant, TREND_ENTRIES, TrendEntry};
use twinstep::journal::Event;
use twinstep::memory::{Memory, blocks};
use twinstep::{ChannelId, Diagnosis, Mode};

const BLOCKS: usize = blocks::<Plant>();
const BLOCK_BYTES: usize = 64;
/// Flips begin when the pair has settled, and end so early that each one can still be found.
pub(crate) const FIRST_FLIP: u32 = 15;
/// The scalars that each step writes end here.
const SCALARS: usize = core::mem::offset_of!(Plant, reserved);
/// The trend is written from here on.
const TREND_OFFSET: usize = core::mem::offset_of!(Plant, trend);

/// The mirrored memory of a board, as it lies in its RAM.
pub(crate) type PlantMemory = Memory<Plant, BLOCKS>;

/// Which part of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Part {
    Working,
    Checkpoint,
    Digests,
}

impl Part {
    const ALL: [Self; 3] = [Self::Working, Self::Checkpoint, Self::Digests];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Checkpoint => "checkpoint",
            Self::Digests => "digest",
        }
    }
}

/// One bit to be flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flip {
    pub(crate) board: ChannelId,
    pub(crate) part: Part,
    /// The bit's number in its part.
    pub(crate) bit: usize,
}

impl Flip {
    /// Returns the offset of the byte in the board's [`PlantMemory`], and the bit in it.
    pub(crate) fn place(self) -> (usize, u8) {
        let part = match self.part {
            Part::Working => PlantMemory::WORKING,
            Part::Checkpoint => PlantMemory::CHECKPOINT,
            Part::Digests => PlantMemory::DIGESTS,
        };
        (part.start + self.bit / 8, (self.bit % 8) as u8)
    }

    fn block(self) -> usize {
        match self.part {
            Part::Working | Part::Checkpoint => self.bit / 8 / BLOCK_BYTES,
            Part::Digests => self.bit / 32,
        }
    }
}

/// How many flips there were, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Found {
    pub(crate) flipped: u32,
    /// Found in memory, and mended.
    pub(crate) found: u32,
    /// The votes differed by it, and agreed when both had stepped once more.
    pub(crate) masked: u32,
    /// Not seen, in memory that the program writes anew meanwhile.
    pub(crate) written_over: u32,
}

impl Found {
    /// Whether something is known of each.
    pub(crate) fn is_complete(&self) -> bool {
        self.flipped == self.found + self.masked + self.written_over
    }
}

/// What became of the flips, for the report.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct RotFigures {
    pub(crate) working: Found,
    pub(crate) checkpoint: Found,
    pub(crate) digests: Found,
    /// Cycles after which the slowest one was found.
    pub(crate) found_within_cycles_max: u32,
    /// Cycles within which each has to be found: blocks over blocks checked each cycle.
    pub(crate) bound_cycles: u32,
}

impl RotFigures {
    pub(crate) fn all(&self) -> Found {
        let parts = [self.working, self.checkpoint, self.digests];
        let sum = |of: fn(&Found) -> u32| parts.iter().map(of).sum();
        Found {
            flipped: sum(|n| n.flipped),
            found: sum(|n| n.found),
            masked: sum(|n| n.masked),
            written_over: sum(|n| n.written_over),
        }
    }

    fn part(&mut self, part: Part) -> &mut Found {
        match part {
            Part::Working => &mut self.working,
            Part::Checkpoint => &mut self.checkpoint,
            Part::Digests => &mut self.digests,
        }
    }
}

/// Chooses the flips of a run and follows them.
///
/// One at a time on each board, as promised. What the program leaves alone is found within the bound;
/// what it uses or writes meanwhile enters its votes, and is masked, or it is written over.
pub(crate) struct Rot {
    rng: Rng,
    bound_cycles: u32,
    last_cycle: u32,
    /// Flips that were not found yet, oldest first, with the cycle they were made in.
    open: Vec<(Flip, u32)>,
    seen: [[u16; 3]; 2],
    figures: RotFigures,
}

impl Rot {
    /// Follows a run of so many cycles on boards that check `scrub_blocks` blocks a cycle.
    pub(crate) fn new(seed: u64, cycles: u32, scrub_blocks: u16) -> Self {
        let bound_cycles = (BLOCKS as u32).div_ceil(scrub_blocks.into());
        let last_cycle = cycles.saturating_sub(bound_cycles + 5);
        let figures = RotFigures { bound_cycles, ..RotFigures::default() };
        let rng = Rng::with_seed(seed ^ 0x0207);
        Self { rng, bound_cycles, last_cycle, open: Vec::new(), seen: [[0; 3]; 2], figures }
    }

    /// Returns the bit to be flipped on a board that has settled `cycle`, if one is due.
    pub(crate) fn next(&mut self, board: ChannelId, cycle: u32) -> Option<Flip> {
        let due = (FIRST_FLIP..self.last_cycle).contains(&cycle) && self.rng.u32(0..3) == 0;
        let part = *self.rng.choice(&Part::ALL)?;
        let bits = match part {
            Part::Working | Part::Checkpoint => size_of::<Plant>() * 8,
            Part::Digests => BLOCKS * 32,
        };
        let flip = Flip { board, part, bit: self.rng.usize(0..bits) };
        self.close(|rot, open, made_in| rot.is_written(open, made_in) && cycle > made_in + rot.window());
        let is_alone = !self.open.iter().any(|(other, _)| other.board == board);
        (due && is_alone).then_some(flip)
    }

    /// Counts open flips as written over.
    fn close(&mut self, is_over: impl Fn(&Self, &Flip, u32) -> bool) {
        let (over, open) = std::mem::take(&mut self.open).into_iter().partition(|(flip, at)| is_over(self, flip, *at));
        self.open = open;
        let over: Vec<(Flip, u32)> = over;
        over.iter().for_each(|(flip, _)| self.figures.part(flip.part).written_over += 1);
    }

    /// Cycles in which a flip is seen, or written over.
    fn window(&self) -> u32 {
        self.bound_cycles + 3
    }

    /// Whether the program writes a flip over before it must have been found. In the working state that is the scalars
    /// in front and the entries of the trend that come next; of checkpoint and digests, the blocks with these.
    fn is_written(&self, flip: &Flip, made_in: u32) -> bool {
        let next = (made_in.saturating_sub(2)..=made_in + self.window())
            .map(|at| TREND_OFFSET + at as usize % TREND_ENTRIES * size_of::<TrendEntry>());
        let mut writes = next.map(|start| start..start + size_of::<TrendEntry>()).chain(std::iter::once(0..SCALARS));
        match flip.part {
            Part::Working => writes.any(|bytes| bytes.contains(&(flip.bit / 8))),
            Part::Checkpoint | Part::Digests => writes.any(|bytes| bytes.start / BLOCK_BYTES == flip.block()),
        }
    }

    /// Notes that the flip was made, after the board had settled `cycle`.
    pub(crate) fn flipped(&mut self, flip: Flip, cycle: u32) {
        self.figures.part(flip.part).flipped += 1;
        // The first cycle that it can matter in.
        self.open.push((flip, cycle + 1));
    }

    /// Takes what a board has mended since its boot, by part; returns how much of it is new.
    pub(crate) fn repaired(&mut self, board: ChannelId, cycle: u32, counts: [u16; 3]) -> u32 {
        let mut fresh = 0;
        for (part, count) in Part::ALL.into_iter().zip(counts) {
            let seen = std::mem::replace(&mut self.seen[board.index()][part as usize], count);
            for _ in seen..count {
                fresh += 1;
                let mine = self.open.iter().position(|(flip, _)| flip.board == board && flip.part == part);
                let Some((_, made_in)) = mine.map(|place| self.open.remove(place)) else { continue };
                self.figures.part(part).found += 1;
                let latency = cycle.saturating_sub(made_in);
                self.figures.found_within_cycles_max = self.figures.found_within_cycles_max.max(latency);
            }
        }
        fresh
    }

    /// Takes what a board has noted: a cycle that was masked, or stepped again for the sake of a commit; or that the
    /// board left, and so gets all of its memory copied anew.
    pub(crate) fn happened(&mut self, board: ChannelId, event: &Event) {
        let hit = match event {
            Event::Diagnosed(Diagnosis::Transient(suspects)) => suspected(*suspects),
            Event::Recommitted => Some(board),
            Event::ModeChanged { from: Mode::Duplex, to: Mode::Standby | Mode::Starting, .. } => {
                return self.close(|_, flip, _| flip.board == board);
            }
            _ => None,
        };
        let Some(place) = self.open.iter().position(|(flip, _)| Some(flip.board) == hit) else { return };
        let (flip, _) = self.open.remove(place);
        self.figures.part(flip.part).masked += 1;
    }

    pub(crate) fn into_figures(mut self) -> RotFigures {
        self.close(Self::is_written);
        self.figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_come_one_at_a_time_and_anywhere() {
        let mut rot = Rot::new(1, 400, 4);
        let (mut flips, mut written) = (0, 0);
        for cycle in FIRST_FLIP..300 {
            let Some(flip) = rot.next(ChannelId::A, cycle) else { continue };
            let (offset, bit) = flip.place();
            assert!(offset < size_of::<PlantMemory>() && bit < 8);
            rot.flipped(flip, cycle);
            assert!((0..50).all(|_| rot.next(ChannelId::A, cycle).is_none()), "one at a time");
            written += u32::from(rot.is_written(&flip, cycle + 1));
            rot.open.clear();
            flips += 1;
        }
        assert!(flips > 40 && written > 1, "{flips} flips, {written} written over");
    }

    #[test]
    fn what_the_program_writes_is_known() {
        let rot = Rot::new(1, 400, 4);
        let flip = |part, bit| Flip { board: ChannelId::A, part, bit };
        let entry = |number: usize| (TREND_OFFSET + number * size_of::<TrendEntry>()) * 8;
        for (part, bit, is_written) in [
            (Part::Working, 0, true),
            (Part::Working, SCALARS * 8, false),
            (Part::Working, entry(110), true),
            (Part::Working, entry(90), false),
            (Part::Working, entry(140), false),
            (Part::Checkpoint, SCALARS * 8, true),
            (Part::Checkpoint, entry(140), false),
            (Part::Digests, 5, true),
            (Part::Digests, 60 * 32, false),
        ] {
            assert_eq!(rot.is_written(&flip(part, bit), 100), is_written, "{part:?} {bit}");
        }
    }

    #[test]
    fn a_flip_is_masked_or_written_over_once() {
        let mut rot = Rot::new(1, 400, 4);
        let masked = Event::Diagnosed(Diagnosis::Transient(twinstep::diagnose::Suspects::CHANNEL_B));
        rot.flipped(Flip { board: ChannelId::B, part: Part::Working, bit: 0 }, 30);
        rot.flipped(Flip { board: ChannelId::A, part: Part::Digests, bit: 0 }, 30);
        rot.happened(ChannelId::A, &masked);
        rot.happened(ChannelId::B, &masked);
        let figures = rot.into_figures();
        assert_eq!(figures.working, Found { flipped: 1, masked: 1, ..Found::default() });
        assert_eq!(figures.digests, Found { flipped: 1, written_over: 1, ..Found::default() });
        assert!(figures.all().is_complete());
    }

    #[test]
    fn a_board_that_leaves_gets_its_memory_copied_anew() {
        let mut rot = Rot::new(1, 400, 4);
        rot.flipped(Flip { board: ChannelId::A, part: Part::Working, bit: 8 * 64 * 50 }, 30);
        let because = twinstep::mode::ModeEvent::Overtaken;
        let left = Event::ModeChanged { from: Mode::Duplex, to: Mode::Standby, because };
        rot.happened(ChannelId::B, &left);
        assert!(!rot.figures.all().is_complete());
        rot.happened(ChannelId::A, &left);
        assert_eq!(rot.figures.working.written_over, 1);
    }

    #[test]
    fn a_repair_counts_once_and_for_its_own_part() {
        let mut rot = Rot::new(1, 400, 4);
        let flip = Flip { board: ChannelId::B, part: Part::Checkpoint, bit: 64 * 8 * 20 };
        rot.flipped(flip, 30);
        assert_eq!(rot.repaired(ChannelId::A, 33, [0, 1, 0]), 1, "not of this board");
        assert_eq!(rot.figures.all().found, 0);
        assert_eq!(rot.repaired(ChannelId::B, 40, [0, 1, 0]), 1);
        assert_eq!(rot.repaired(ChannelId::B, 41, [0, 1, 0]), 0);
        let figures = rot.into_figures();
        assert_eq!(
            (figures.checkpoint, figures.all()),
            (Found { flipped: 1, found: 1, ..Found::default() }, figures.checkpoint)
        );
        assert_eq!((figures.found_within_cycles_max, figures.bound_cycles), (9, 17));
    }
}
