//! What a mirror must be equal to: plain bytes, and digests that know of no history.

use super::{BYTES, State};
use std::collections::BTreeSet;
use std::ops::Range;
use twinstep::digest::{BLOCK_BYTES, block_digest};
use twinstep::mirror::{self, Mirror};

pub(super) const BLOCKS: usize = BYTES.div_ceil(BLOCK_BYTES);

/// The model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) working: State,
    pub(super) committed: State,
    /// Blocks written since the last commit.
    pub(super) dirty: BTreeSet<usize>,
    /// Anything may have been written.
    pub(super) unknown: bool,
    /// Blocks of the last commit.
    pub(super) written: usize,
    pub(super) stray: u32,
}

impl Model {
    pub(super) fn new(bytes: State) -> Self {
        let (dirty, unknown, written, stray) = (BTreeSet::new(), false, 0, 0);
        Self { working: bytes, committed: bytes, dirty, unknown, written, stray }
    }

    pub(super) fn is_dirty(&self, block: usize) -> bool {
        self.unknown || self.dirty.contains(&block)
    }

    /// Whether this bit of the checkpoint is all that tells a block that may have been written from what it was.
    pub(super) fn is_hidden_by(&self, bit: usize) -> bool {
        let block = bit / 8 / BLOCK_BYTES;
        let mut flipped = self.committed;
        flipped[bit / 8] ^= 1 << (bit % 8);
        self.unknown && flipped[span(block)] == self.working[span(block)]
    }

    /// Of what may have been written anywhere, that counts which differs.
    pub(super) fn find_unknown(&mut self) {
        if std::mem::take(&mut self.unknown) {
            let differs = |block: &usize| self.working[span(*block)] != self.committed[span(*block)];
            self.dirty.extend((0..BLOCKS).filter(differs).collect::<Vec<_>>());
        }
    }

    pub(super) fn commit(&mut self) {
        self.find_unknown();
        self.committed = self.working;
        self.written = std::mem::take(&mut self.dirty).len();
    }

    pub(super) fn rollback(&mut self) {
        self.working = self.committed;
        self.dirty.clear();
        self.unknown = false;
    }

    /// Compares all that a mirror shows with the model.
    pub(super) fn compare(&mut self, mirror: &mut Mirror<'_, State>) {
        assert_eq!(*mirror.state(), self.working, "the working copy");
        for block in 0..BLOCKS {
            let expected = &self.committed[span(block)];
            assert_eq!(mirror.block(block as u32), Some(expected), "checkpoint block {block}");
            let kept = mirror.range_digest(mirror::Range { first: block as u32, blocks: 1 });
            assert_eq!(kept, block_digest(block as u32, expected), "digest of block {block}");
        }
        assert_eq!(mirror.block(BLOCKS as u32), None);
        assert_eq!(mirror.committed_digest(), digest(&self.committed), "region digest");
        assert!(mirror.verify());
        assert_eq!(mirror.take_stray_writes(), std::mem::take(&mut self.stray), "stray writes");
        assert_eq!((mirror.blocks(), mirror.written_blocks()), (BLOCKS as u32, self.written as u32));
    }
}

/// The bytes of a block.
pub(super) fn span(block: usize) -> Range<usize> {
    block * BLOCK_BYTES..((block + 1) * BLOCK_BYTES).min(BYTES)
}

/// The region digest of a state.
pub(super) fn digest(state: &State) -> u32 {
    sum_of_digests(state, 0..BLOCKS)
}

/// The digest of some blocks in a row.
pub(super) fn sum_of_digests(state: &State, blocks: Range<usize>) -> u32 {
    blocks.fold(0, |sum, block| sum.wrapping_add(block_digest(block as u32, &state[span(block)])))
}
