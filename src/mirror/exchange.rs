//! Exchange: blocks for the peer and from the peer, and where two channels differ.

use super::RegionDigest;
use super::blocks::{Blocks, block_bytes, block_length, same_words, sum_if_all_hold, trimmed};
use crate::bytes::copy;
use crate::digest::{BLOCK_BYTES, block_digest};

/// Why a block was not taken; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BlockRefused {
    /// There is no such block.
    OutOfRange {
        /// The block's number.
        index: u32,
        /// How many blocks there are.
        blocks: u32,
    },
    /// The block has another length.
    Length {
        /// Bytes the block takes.
        need_bytes: usize,
        /// Bytes there are.
        have_bytes: usize,
    },
    /// The block does not match the digest that this channel holds of it.
    Digest,
}

/// Checks that a state has such a block and that it takes so many bytes.
pub(super) fn check_block(state_bytes: usize, blocks: u32, index: u32, have_bytes: usize) -> Result<(), BlockRefused> {
    if index >= blocks {
        return Err(BlockRefused::OutOfRange { index, blocks });
    }
    let need_bytes = block_length(state_bytes, index as usize);
    if have_bytes == need_bytes { Ok(()) } else { Err(BlockRefused::Length { need_bytes, have_bytes }) }
}

impl Blocks<'_> {
    fn check_block(&self, index: u32, have_bytes: usize) -> Result<(), BlockRefused> {
        check_block(self.working.len(), self.digests.len() as u32, index, have_bytes)
    }

    /// Writes a donated block into both copies.
    pub(super) fn put_block(&mut self, index: u32, bytes: &[u8]) -> Result<(), BlockRefused> {
        self.check_block(index, bytes.len())?;
        self.put_checkpoint(index, bytes);
        self.put_working(index, bytes);
        Ok(())
    }

    fn put_checkpoint(&mut self, index: u32, bytes: &[u8]) {
        let digest = block_digest(index, bytes);
        let place = index as usize;
        if let (Some(kept), Some(old)) = (self.checkpoint.get_mut(place), self.digests.get_mut(place)) {
            copy(&mut kept.0, bytes);
            self.books.region = self.books.region.changed_by(digest.wrapping_sub(*old));
            *old = digest;
        }
    }

    fn put_working(&mut self, index: u32, bytes: &[u8]) {
        let start = index as usize * BLOCK_BYTES;
        copy(self.working.get_mut(start..).unwrap_or_default(), bytes);
    }

    /// Mends a block from the peer's copy, or its digest.
    pub(super) fn mend_block(&mut self, index: u32, bytes: &[u8]) -> Result<(), BlockRefused> {
        self.check_block(index, bytes.len())?;
        let (digest, is_dirty) = (block_digest(index, bytes), self.marks().is_dirty(index as usize));
        let kept = self.checkpoint.get(index as usize);
        let kept_is_same =
            kept.is_some_and(|kept| same_words(trimmed(self.working.len(), index as usize, kept), bytes));
        let working = block_bytes(self.working, index as usize);
        let working_is_same = is_dirty || working.is_some_and(|working| same_words(working, bytes));
        let held = self.digests.get_mut(index as usize).ok_or(BlockRefused::Digest)?;
        if *held != digest {
            if !(kept_is_same && working_is_same) {
                return Err(BlockRefused::Digest);
            }
            // The region digest was agreed with this block in it: it stays.
            *held = digest;
        }
        self.put_checkpoint(index, bytes);
        if !is_dirty {
            self.put_working(index, bytes);
        }
        Ok(())
    }

    /// Takes donated memory as the agreed state, if it has this digest.
    pub(super) fn adopt(&mut self, region_digest: u32) -> bool {
        let sum = sum_if_all_hold(self.working.len(), self.checkpoint, self.digests);
        let sound = sum == Some(region_digest);
        if sound {
            // Its own could have been carried on from a digest that was damaged before.
            self.books.region = RegionDigest::new(region_digest);
        }
        self.rollback();
        sound
    }
}

/// Some blocks in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Range {
    /// The first block.
    pub first: u32,
    /// How many blocks; some of them may lie behind the last one there is.
    pub blocks: u32,
}

/// The search for the blocks in which two channels differ: compare the digests of
/// [`range`](Self::range) and say what came of it. Ranges that differ are halved until single
/// blocks are left; ranges that are the same are passed over.
///
/// ```
/// use twinstep::mirror::{Halving, Range};
/// let (mut search, mut found) = (Halving::new(100), Vec::new());
/// while let Some(Range { first, blocks }) = search.range() {
///     let differs = (first..first + blocks).contains(&42); // in life: digests are compared
///     if differs && blocks == 1 {
///         found.push(first);
///     }
///     search = search.after(!differs);
/// }
/// assert_eq!(found, [42]);
/// ```
///
/// Sums of unrelated block digests are equal by chance once in 2^32; the digest of the whole
/// region is compared at the end in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Halving {
    range: Option<Range>,
    end: u32,
}

impl Halving {
    /// Starts with so many blocks.
    pub const fn new(blocks: u32) -> Self {
        // The halves of a power of two are aligned to their length, which tells where in the
        // search a range stands without a stack.
        let whole = if blocks > 1 << 31 { 1 << 31 } else { blocks.next_power_of_two() };
        Self { range: if blocks > 0 { Some(Range { first: 0, blocks: whole }) } else { None }, end: blocks }
    }

    /// Returns the range to be compared; `None` when the search is over.
    pub const fn range(&self) -> Option<Range> {
        self.range
    }

    /// Returns the search after the comparison of [`range`](Self::range).
    #[must_use]
    pub fn after(self, is_same: bool) -> Self {
        let range = self.range.and_then(|Range { first, blocks }| {
            if !is_same && blocks > 1 {
                return Some(Range { first, blocks: blocks / 2 });
            }
            let first = first.saturating_add(blocks);
            (first < self.end).then(|| Range { first, blocks: 1 << first.trailing_zeros() })
        });
        Self { range, ..self }
    }
}
