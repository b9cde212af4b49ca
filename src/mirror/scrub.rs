//! Scrub: flipped bits in memory that nobody writes, found and mended.
//!
//! Of each block there are two copies and a digest, and all digests add up to the region
//! digest. A single flip leaves enough of them to tell which one is wrong:
//!
//! ```text
//! working holds   checkpoint holds
//! yes             yes                nothing
//! no              yes                the working copy is mended from the checkpoint
//! yes             no                 the checkpoint is mended from the working copy
//! no              no                 a copy whose digest would make the region add up
//!                                    is right, and the block's digest was not; else
//!                                    the block is beyond repair on this channel
//! ```
//!
//! A block written since the last commit has no working copy to be compared.

use super::RegionDigest;
use super::blocks::{Blocks, block_bytes, sum_of, trimmed};
use crate::bytes::copy;
use crate::digest::{BLOCK_BYTES, block_digest};

/// What a scrub found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scrubbed {
    /// Blocks of the working copy that were mended.
    pub working: u32,
    /// Blocks of the checkpoint that were mended.
    pub checkpoint: u32,
    /// Digests that were mended.
    pub digests: u32,
    /// A block that this channel cannot mend by itself.
    pub beyond_repair: Option<u32>,
}

impl Blocks<'_> {
    /// Checks the region digest and the next `blocks` blocks, round and round, and mends what can be mended.
    pub(super) fn scrub(&mut self, blocks: u32) -> Scrubbed {
        let mut found = Scrubbed { digests: u32::from(self.mend_region()), ..Scrubbed::default() };
        for _ in 0..blocks.min(self.digests.len() as u32) {
            if self.books.scrub_at >= self.digests.len() {
                self.books.scrub_at = 0; // damaged itself
            }
            if !self.scrub_block(self.books.scrub_at, &mut found) {
                found.beyond_repair = Some(self.books.scrub_at as u32);
                return found;
            }
            self.books.scrub_at += 1;
            if self.books.scrub_at == self.digests.len() {
                self.books.scrub_at = 0;
                found.digests += u32::from(self.end_round());
            }
        }
        found
    }

    /// Checks one block, as before it is sent.
    pub(super) fn scrub_one(&mut self, block: u32) -> Scrubbed {
        let mut found = Scrubbed::default();
        if !self.scrub_block(block as usize, &mut found) {
            found.beyond_repair = Some(block);
        }
        found
    }

    /// Checks all blocks and that their digests add up, as before a takeover.
    pub(super) fn scrub_all(&mut self) -> Scrubbed {
        let mut found = self.scrub(self.digests.len() as u32);
        if found.beyond_repair.is_none() && self.mend_sum() {
            found.digests += 1;
        }
        found
    }

    /// Mends the region digest if it was carried on from a block's digest that was damaged: such
    /// a digest is replaced when its block is committed, but the region digest stays off by the
    /// damage. A digest that is damaged now is mended within the round; what is off by the same
    /// amount a round later is the region digest.
    fn end_round(&mut self) -> bool {
        let off = sum_of(self.digests).wrapping_sub(self.books.region.value);
        let is_lasting = off == core::mem::replace(&mut self.books.sum_off, off);
        is_lasting && self.mend_sum()
    }

    /// Takes the sum of the digests for the region digest, after each of them was found to be right.
    /// True if that mended it.
    fn mend_sum(&mut self) -> bool {
        let sum = sum_of(self.digests);
        let is_off = sum != self.books.region.value;
        if is_off {
            self.books.region = RegionDigest::new(sum);
        }
        is_off
    }

    /// Mends the region digest if one of its two copies was damaged; true if it was mended.
    fn mend_region(&mut self) -> bool {
        let RegionDigest { value, inverse } = self.books.region;
        if value == !inverse {
            return false;
        }
        // If the sum agrees with neither, a block's digest is damaged too: that is mended first.
        let sum = sum_of(self.digests);
        let is_mended = self.books.region.says(sum);
        if is_mended {
            self.books.region = RegionDigest::new(sum);
        }
        is_mended
    }

    /// Checks a block; false if it is beyond repair.
    fn scrub_block(&mut self, block: usize, found: &mut Scrubbed) -> bool {
        let is_dirty = self.marks().is_dirty(block);
        let index = block as u32;
        let Some(digest) = self.digests.get(block).copied() else { return true };
        let Some(kept) = self.checkpoint.get(block) else { return true };
        let kept_digest = block_digest(index, trimmed(self.working.len(), block, kept));
        let working_digest = match block_bytes(self.working, block) {
            Some(bytes) if !is_dirty => block_digest(index, bytes),
            _ => kept_digest,
        };
        let holds = |computed: u32| computed == digest;
        match (holds(working_digest), holds(kept_digest)) {
            (true, true) => return true,
            (false, true) => self.mend_working(block, found),
            (true, false) => self.mend_checkpoint(block, found),
            (false, false) => {
                let others = sum_of(self.digests).wrapping_sub(digest);
                let adds_up = |computed: u32| self.books.region.says(others.wrapping_add(computed));
                let right = [kept_digest, working_digest].into_iter().find(|computed| adds_up(*computed));
                let (Some(right), Some(place)) = (right, self.digests.get_mut(block)) else { return false };
                *place = right;
                self.books.sum_off = 0; // what the sum was off by was this
                found.digests += 1;
                match (working_digest == right, kept_digest == right) {
                    (false, true) => self.mend_working(block, found),
                    (true, false) => self.mend_checkpoint(block, found),
                    _ => {}
                }
            }
        }
        true
    }

    fn mend_working(&mut self, block: usize, found: &mut Scrubbed) {
        let start = block * BLOCK_BYTES;
        let Some(kept) = self.checkpoint.get(block) else { return };
        copy(self.working.get_mut(start..).unwrap_or_default(), &kept.0);
        found.working += 1;
    }

    fn mend_checkpoint(&mut self, block: usize, found: &mut Scrubbed) {
        let bytes = block_bytes(self.working, block);
        if let (Some(bytes), Some(kept)) = (bytes, self.checkpoint.get_mut(block)) {
            copy(&mut kept.0, bytes);
            found.checkpoint += 1;
        }
    }
}
