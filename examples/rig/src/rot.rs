//! Memory that rots: bits flipped in the mirrored memory of running boards, and what became of each.

use fastrand::Rng;
use serde::Serialize;
use tank::{Plant, TREND_ENTRIES, TrendEntry};
use twinstep::ChannelId;
use twinstep::memory::{Memory, blocks};

const BLOCKS: usize = blocks::<Plant>();
const BLOCK_BYTES: usize = 64;
/// Flips begin when the pair has settled, and end so early that each one can still be found.
const FIRST_FLIP: u32 = 15;
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

/// How many flips there were, and how many were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Found {
    pub(crate) flipped: u32,
    pub(crate) found: u32,
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
        Found { flipped: parts.iter().map(|n| n.flipped).sum(), found: parts.iter().map(|n| n.found).sum() }
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
/// One at a time on each board, as promised. Only memory that the program leaves alone until the
/// bound is hit: what it writes meanwhile enters its votes at once, and is found there.
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
        let is_quiet = !self.written_soon(flip.block(), cycle);
        let is_alone = !self.open.iter().any(|(other, _)| other.board == board);
        (due && is_quiet && is_alone).then_some(flip)
    }

    /// Whether the program writes the block before the flip must have been found: the scalars
    /// in front, and the part of the trend that comes next.
    fn written_soon(&self, block: usize, cycle: u32) -> bool {
        let until = cycle + self.bound_cycles + 3;
        let trend_block =
            |at: u32| (TREND_OFFSET + at as usize % TREND_ENTRIES * size_of::<TrendEntry>()) / BLOCK_BYTES;
        block == 0 || (cycle.saturating_sub(1)..=until).any(|at| trend_block(at) == block)
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

    pub(crate) fn into_figures(self) -> RotFigures {
        self.figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_keep_away_from_what_is_written_and_come_one_at_a_time() {
        let mut rot = Rot::new(1, 400, 4);
        let mut flips = 0;
        for cycle in FIRST_FLIP..300 {
            let Some(flip) = rot.next(ChannelId::A, cycle) else { continue };
            let (offset, bit) = flip.place();
            assert!(offset < size_of::<PlantMemory>() && bit < 8);
            assert!(flip.block() != 0 && !rot.written_soon(flip.block(), cycle));
            rot.flipped(flip, cycle);
            assert!((0..50).all(|_| rot.next(ChannelId::A, cycle).is_none()), "one at a time");
            rot.open.clear();
            flips += 1;
        }
        assert!(flips > 40, "{flips} flips");
        assert!(rot.written_soon(5, 4 * 5 - 10) && !rot.written_soon(5, 100));
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
        assert_eq!((figures.checkpoint, figures.all()), (Found { flipped: 1, found: 1 }, figures.checkpoint));
        assert_eq!((figures.found_within_cycles_max, figures.bound_cycles), (9, 17));
    }
}
