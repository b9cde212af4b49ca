//! Figures of the program that a campaign is about, from a run of it alone.

use crate::config::Config;
use crate::digest::BLOCK_BYTES;
use crate::ids::{ChannelId, Cycle};
use crate::mirror::Mirror;
use crate::node::frame;
use crate::program::Program;
use crate::sim::{Storage, World};
use crate::wire::{OVERHEAD_BYTES, SAMPLE_DIGEST_BYTES, VOTE_DIGEST_BYTES};
use serde::{Deserialize, Serialize};
use std::prelude::v1::*;
use zerocopy::IntoBytes;

/// Figures of a program in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Blocks of its state.
    pub blocks: u32,
    /// Blocks that it wrote in one cycle at most.
    pub worst_dirty_blocks: u32,
    /// Blocks that it wrote in eight cycles in a row at most, its first eight left out.
    pub dirty_in_eight: u32,
    /// Bytes of its longest frame.
    pub longest_frame_bytes: usize,
    /// Bytes of a sample's frame and a vote's.
    pub exchange_bytes: u64,
    /// The longest time from the start of a cycle to its vote in a calm pair, in microseconds.
    pub exchange_us: u64,
    /// What is left of the vote window then, in microseconds; negative if a vote came late. The program's own time is not in it:
    /// subtract your step, twice if a divergence is to be masked in its cycle.
    pub window_left_us: i64,
    /// Blocks that did not change in the run that is looked at.
    #[serde(skip)]
    pub never_written: Vec<usize>,
    /// Blocks that were written in one cycle of eight at least.
    #[serde(skip)]
    pub often_written: Vec<usize>,
}

/// Cycles of the run, fewer for a large state.
const CYCLES: usize = 1_000;
const FEWEST_CYCLES: usize = 200;
const BYTES_COMPARED: usize = 256 << 20;

impl Shape {
    /// Returns the cycles that a copy to a joining channel takes at least, if the line carries `copy_blocks` in a cycle; `None` if as
    /// much is written as is copied, so that it never ends.
    pub fn copy_cycles(&self, config: &Config) -> Option<u32> {
        let dirty = self.dirty_in_eight.div_ceil(8);
        let copied = u32::from(config.copy_blocks).checked_sub(dirty).filter(|left| *left > 0)?;
        Some(self.blocks.div_ceil(copied) + 1)
    }

    /// Returns the cycles in which all memory is scrubbed.
    pub fn scrub_cycles(&self, config: &Config) -> u32 {
        self.blocks.div_ceil(u32::from(config.scrub_blocks).max(1))
    }

    /// Runs the program by itself, both samples from `world`, and looks at what it writes.
    pub(super) fn of<P: Program>(mut world: Box<dyn World<P>>) -> Self {
        let mut storage = Storage::<P::State>::new();
        let mut mirror = Mirror::new(storage.cells(), P::init);
        let blocks = mirror.blocks();
        let mut before = mirror.state().as_bytes().to_vec();
        let mut writes = std::vec![0_usize; blocks as usize];
        let mut dirty: Vec<u32> = Vec::new();
        let cycles = (BYTES_COMPARED / size_of::<P::State>().max(1)).clamp(FEWEST_CYCLES, CYCLES);
        for cycle in (1..=cycles as u32).map(Cycle) {
            let [a, b] = [ChannelId::A, ChannelId::B].map(|channel| world.sample(channel, cycle));
            let output = P::step(cycle, &mut mirror.tracked(), &P::agree(&a, &b).input);
            world.drive(ChannelId::A, cycle, &output);
            let digest = mirror.pending_digest();
            let _ = mirror.commit(digest); // nothing damages this memory
            dirty.push(mirror.written_blocks());
            let after = mirror.state().as_bytes();
            let pairs = before.chunks(BLOCK_BYTES).zip(after.chunks(BLOCK_BYTES));
            pairs.zip(&mut writes).for_each(|((before, after), writes)| *writes += usize::from(before != after));
            before.copy_from_slice(after);
        }
        let written = |is_meant: fn(usize, usize) -> bool| {
            (0..writes.len()).filter(|block| is_meant(writes[*block], cycles)).collect::<Vec<_>>()
        };
        Self {
            blocks,
            worst_dirty_blocks: dirty.iter().copied().max().unwrap_or_default(),
            dirty_in_eight: dirty.windows(8).skip(8).map(|eight| eight.iter().sum()).max().unwrap_or_default(),
            longest_frame_bytes: frame::<P>(),
            exchange_bytes: (2 * OVERHEAD_BYTES + SAMPLE_DIGEST_BYTES + P::INPUT_BYTES) as u64
                + (ARRIVAL_BYTES + VOTE_DIGEST_BYTES + P::OUTPUT_BYTES) as u64,
            exchange_us: 0,
            window_left_us: 0,
            never_written: written(|writes, _| writes == 0),
            often_written: written(|writes, cycles| writes >= cycles / 8),
        }
    }
}

const ARRIVAL_BYTES: usize = 2;
