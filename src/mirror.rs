//! MIRROR  the working copy, the checkpoint, and which blocks differ.
//!
//! `step` writes the working copy through [`Tracked`]; what it touched is marked. The
//! vote carries the digest the region would have; the commit digests the marked blocks once
//! more, must arrive at the digest that was voted, and only then copies them into the
//! checkpoint: what was damaged since the vote never gets there. The region digest is the sum of the block digests, so it is kept by
//! difference: the cost of a cycle follows what was written, not the size of the state.
//!
//! ```text
//! this file   write, commit, roll back
//! scrub       flipped bits in memory that nobody writes: found and mended
//! exchange    blocks for the peer and from the peer; where two channels differ
//! landing     the state of another version, received and converted
//! ```

mod exchange;
#[cfg(feature = "sim")]
mod fingerprint;
mod landing;
mod scrub;

pub use exchange::{BlockRefused, Halving, Range};
pub(crate) use landing::is_block_of;
pub use scrub::Scrubbed;

use crate::bytes::copy;
use crate::digest::{BLOCK_BYTES, block_digest};
use crate::marks::{CopySet, Marks, Summary};
use crate::memory::{Block, Cells, State};
use crate::tracked::Tracked;

/// The mirrored memory of one channel.
pub struct Mirror<'m, T> {
    working: &'m mut T,
    checkpoint: &'m mut [Block],
    digests: &'m mut [u32],
    marks: &'m mut [u8],
    summary: Summary,
    region: RegionDigest,
    /// Where the scrub goes on.
    scrub_at: usize,
    /// By how much the sum of the digests was off the region digest when the scrub last began anew.
    sum_off: u32,
    /// Blocks committed last.
    written: u32,
}

/// The region digest, kept twice so that a flipped bit of it shows. Each of the two is carried
/// on by itself: a flipped bit shows until it is mended, whatever is committed meanwhile.
#[derive(Clone, Copy, Hash)]
struct RegionDigest {
    value: u32,
    inverse: u32,
}

impl RegionDigest {
    const fn new(value: u32) -> Self {
        Self { value, inverse: !value }
    }

    /// Returns the region digest after its block digests have changed by so much in all.
    const fn changed_by(self, change: u32) -> Self {
        Self { value: self.value.wrapping_add(change), inverse: self.inverse.wrapping_sub(change) }
    }
}

impl<'m, T: State> Mirror<'m, T> {
    /// Takes memory over: zeroes it, lets `init` fill the working copy, and makes that
    /// the first checkpoint.
    pub fn new(cells: Cells<'m, T>, init: impl FnOnce(&mut T)) -> Self {
        let Cells { working, checkpoint, digests, marks } = cells;
        let summary = Summary::default();
        let region = RegionDigest::new(0);
        let mut mirror =
            Self { working, checkpoint, digests, marks, summary, region, scrub_at: 0, sum_off: 0, written: 0 };
        mirror.reset(init);
        mirror
    }

    /// Starts over as [`new`](Self::new) does.
    pub fn reset(&mut self, init: impl FnOnce(&mut T)) {
        for byte in self.working.as_mut_bytes() {
            *byte = 0;
        }
        init(self.working);
        self.take_working();
    }

    /// Makes the working copy the first checkpoint.
    fn take_working(&mut self) {
        for block in self.checkpoint.iter_mut() {
            *block = Block::ZERO;
        }
        let mut region = 0_u32;
        let copies = self.checkpoint.iter_mut().zip(self.digests.iter_mut());
        for ((index, bytes), (kept, digest)) in indexed_blocks(self.working).zip(copies) {
            copy(&mut kept.0, bytes);
            *digest = block_digest(index, bytes);
            region = region.wrapping_add(*digest);
        }
        for mark in self.marks.iter_mut() {
            *mark = 0;
        }
        self.summary = Summary::default();
        self.region = RegionDigest::new(region);
        (self.scrub_at, self.sum_off, self.written) = (0, 0, 0);
    }

    /// Gives the memory back.
    pub fn into_cells(self) -> Cells<'m, T> {
        Cells { working: self.working, checkpoint: self.checkpoint, digests: self.digests, marks: self.marks }
    }

    /// Returns the working copy.
    pub fn state(&self) -> &T {
        self.working
    }

    /// Returns how many blocks there are.
    pub fn blocks(&self) -> u32 {
        self.digests.len() as u32
    }

    /// Returns how many blocks the last commit copied.
    pub fn written_blocks(&self) -> u32 {
        self.written
    }

    /// Opens the working copy for one step.
    pub fn tracked(&mut self) -> Tracked<'_, T> {
        Tracked::new(self.working, Marks { map: self.marks, summary: &mut self.summary })
    }

    /// Returns the digest of the checkpoint.
    pub fn committed_digest(&self) -> u32 {
        self.region.value
    }

    /// Returns the digest the region will have once the marked blocks are committed.
    pub fn pending_digest(&mut self) -> u32 {
        self.find_unknown();
        let (bytes, digests) = (self.working.as_bytes(), &*self.digests);
        let mut region = self.region.value;
        let mut marks = Marks { map: self.marks, summary: &mut self.summary };
        marks.each_dirty(|block| {
            if let (Some(fresh), Some(old)) = (block_bytes(bytes, block), digests.get(block)) {
                region = region.wrapping_sub(*old).wrapping_add(block_digest(block as u32, fresh));
            }
        });
        region
    }

    /// Makes the marked blocks part of the checkpoint, once the region arrives at `voted`.
    ///
    /// # Errors
    /// [`CommitDamaged`] if it does not: something wrote the working copy since the vote. Nothing
    /// was committed; roll back and step again.
    pub fn commit(&mut self, voted: u32) -> Result<(), CommitDamaged> {
        self.find_unknown();
        let (bytes, digests) = (self.working.as_bytes(), &mut *self.digests);
        let mut change = 0_u32;
        let mut marks = Marks { map: self.marks, summary: &mut self.summary };
        marks.each_dirty(|block| {
            if let (Some(fresh), Some(digest)) = (block_bytes(bytes, block), digests.get_mut(block)) {
                let fresh = block_digest(block as u32, fresh);
                change = change.wrapping_add(fresh).wrapping_sub(*digest);
                *digest = fresh;
            }
        });
        let region = self.region.changed_by(change);
        if region.value != voted {
            self.recall_digests();
            return Err(CommitDamaged);
        }
        self.region = region;
        let checkpoint = &mut *self.checkpoint;
        self.written = marks.drain_dirty(|block| {
            if let Some(copy) = checkpoint.get_mut(block) {
                copy_block(block, bytes, copy);
            }
        });
        Ok(())
    }

    /// Digests the marked blocks of the checkpoint again, in place of those of a commit that was
    /// not to be. Should the sum differ from what it was, the checkpoint is damaged: the difference
    /// goes onto one of them, so that a scrub sees it.
    fn recall_digests(&mut self) {
        let mut last = 0;
        let (checkpoint, digests) = (&*self.checkpoint, &mut *self.digests);
        let mut marks = Marks { map: self.marks, summary: &mut self.summary };
        marks.each_dirty(|block| {
            if let (Some(kept), Some(digest)) = (checkpoint.get(block), digests.get_mut(block)) {
                *digest = block_digest(block as u32, trimmed::<T>(block, kept));
                last = block;
            }
        });
        let sum = self.sum_of_digests();
        if !self.is_region(sum)
            && let Some(digest) = self.digests.get_mut(last)
        {
            *digest = digest.wrapping_add(self.region.value.wrapping_sub(sum));
        }
    }

    /// Copies the checkpoint over the working copy: all blocks, since a flip in a block
    /// that nobody wrote is exactly the fault a rollback is for.
    pub fn rollback(&mut self) {
        let (whole, last) = self.working.as_mut_bytes().as_chunks_mut::<BLOCK_BYTES>();
        let (of_whole, of_last) = self.checkpoint.split_at(whole.len().min(self.checkpoint.len()));
        for (bytes, block) in whole.iter_mut().zip(of_whole) {
            copy(bytes, &block.0);
        }
        of_last.iter().for_each(|block| copy(last, &block.0));
        self.marks().clear_dirty();
    }

    /// Recomputes every checkpoint digest; true if each one and their sum hold.
    pub fn verify(&self) -> bool {
        self.sum_if_all_hold() == Some(self.region.value)
    }

    /// Returns the sum of the block digests if each checkpoint block holds its digest.
    fn sum_if_all_hold(&self) -> Option<u32> {
        let mut sum = 0_u32;
        let mut sound = true;
        for ((index, digest), block) in (0..).zip(self.digests.iter()).zip(self.checkpoint.iter()) {
            sound &= block_digest(index, trimmed::<T>(index as usize, block)) == *digest;
            sum = sum.wrapping_add(*digest);
        }
        sound.then_some(sum)
    }

    /// Returns how often a tracked write named memory outside of the state, and forgets it.
    pub fn take_stray_writes(&mut self) -> u32 {
        self.marks().take_stray()
    }

    /// Returns how many blocks the joiner does not have yet.
    pub(crate) fn uncopied_blocks(&self) -> u32 {
        self.summary.uncopied()
    }

    /// Returns which blocks the donor still has to send.
    pub(crate) fn copy_set(&mut self) -> CopySet<'_> {
        CopySet(self.marks())
    }

    fn marks(&mut self) -> Marks<'_> {
        Marks { map: self.marks, summary: &mut self.summary }
    }

    /// Marks what [`Tracked::modify`] may have written.
    fn find_unknown(&mut self) {
        if !self.marks().take_unknown() {
            return;
        }
        let mut marks = Marks { map: self.marks, summary: &mut self.summary };
        for ((index, fresh), copy) in indexed_blocks(self.working).zip(self.checkpoint.iter()) {
            if !same_words(fresh, trimmed::<T>(index as usize, copy)) {
                marks.dirty(index as usize);
            }
        }
    }
}

/// Faults from outside, behind the mirror's back.
#[cfg(feature = "sim")]
impl<T: State> Mirror<'_, T> {
    /// Flips one bit of the working copy.
    pub fn flip_working_bit(&mut self, bit: usize) {
        if let Some(byte) = self.working.as_mut_bytes().get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Flips one bit of the checkpoint.
    pub fn flip_checkpoint_bit(&mut self, bit: usize) {
        let block = self.checkpoint.get_mut(bit / 8 / BLOCK_BYTES);
        if let Some(byte) = block.and_then(|block| block.0.get_mut(bit / 8 % BLOCK_BYTES)) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Whether both copies, the digests and their sum are what they should be, and nothing waits to be
    /// committed.
    pub fn is_sound(&self) -> bool {
        let copies = indexed_blocks(self.working).zip(self.checkpoint.iter());
        let mut same = copies.map(|((index, bytes), kept)| bytes == trimmed::<T>(index as usize, kept));
        let (region, inverse) = (self.region.value, self.region.inverse);
        same.all(|same| same) && self.verify() && region == !inverse
    }

    /// Flips one bit of the marks of a block, or, after the last of these, of their summary.
    pub fn flip_mark_bit(&mut self, bit: usize) {
        match self.marks.get_mut(bit / 8) {
            Some(mark) => *mark ^= 1 << (bit % 8),
            None => self.summary.flip_bit(bit),
        }
    }

    /// Flips one bit of where the scrub goes on.
    pub fn flip_scrub_bit(&mut self, bit: usize) {
        self.scrub_at ^= 1 << (bit % 32);
    }

    /// Flips one bit of a block digest, or, after the last of these, of the region digest.
    pub fn flip_digest_bit(&mut self, bit: usize) {
        let digest = self.digests.get_mut(bit / 32).unwrap_or(&mut self.region.value);
        *digest ^= 1 << (bit % 32);
    }
}

/// The working copy changed between vote and commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitDamaged;

fn indexed_blocks<T: State>(state: &T) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = state.as_bytes();
    (0..).map_while(move |index| {
        let (bytes, tail) = rest.split_at_checked(rest.len().min(BLOCK_BYTES))?;
        rest = tail;
        (!bytes.is_empty()).then_some((index, bytes))
    })
}

fn block_bytes(bytes: &[u8], block: usize) -> Option<&[u8]> {
    let (whole, last) = bytes.as_chunks::<BLOCK_BYTES>();
    match whole.get(block) {
        Some(bytes) => Some(bytes),
        None => (block == whole.len() && !last.is_empty()).then_some(last),
    }
}

/// Returns the part of a checkpoint block that belongs to the state.
fn trimmed<T>(index: usize, block: &Block) -> &[u8] {
    block.0.get(..block_length::<T>(index)).unwrap_or_default()
}

fn block_length<T>(block: usize) -> usize {
    size_of::<T>().saturating_sub(block.saturating_mul(BLOCK_BYTES)).min(BLOCK_BYTES)
}

fn same_words(a: &[u8], b: &[u8]) -> bool {
    let ((a_words, a_tail), (b_words, b_tail)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    a_tail == b_tail && a_words.iter().zip(b_words).all(|(a, b)| a == b)
}

/// Copies a block out of the state's bytes.
#[inline]
fn copy_block(block: usize, state: &[u8], copied: &mut Block) {
    let (whole, last) = state.as_chunks::<BLOCK_BYTES>();
    match whole.get(block) {
        Some(block) => copied.0 = *block,
        None => copy(&mut copied.0, last),
    }
}
