//! MIRROR  the working copy, the checkpoint, and which blocks differ.
//!
//! `step` writes the working copy through [`Tracked`]; what it touched is marked. The
//! vote carries the digest the region would have; the commit copies the marked blocks
//! into the checkpoint and digests them in the same pass, and must arrive at the digest
//! that was voted. The region digest is the sum of the block digests, so it is kept by
//! difference.

use crate::digest::{BLOCK_BYTES, block_digest, block_seed, mix, partial_word};
use crate::memory::{Block, Cells, State};
use crate::tracked::{Marks, Summary, Tracked};

/// The mirrored memory of one channel.
pub struct Mirror<'m, T> {
    working: &'m mut T,
    checkpoint: &'m mut [Block],
    digests: &'m mut [u32],
    map: &'m mut [u8],
    summary: Summary,
    region: u32,
}

impl<'m, T: State> Mirror<'m, T> {
    /// Takes memory over: zeroes it, lets `init` fill the working copy, and makes that
    /// the first checkpoint.
    pub fn new(cells: Cells<'m, T>, init: impl FnOnce(&mut T)) -> Self {
        let Cells { working, checkpoint, digests, marks } = cells;
        for byte in working.as_mut_bytes() {
            *byte = 0;
        }
        init(working);
        for block in checkpoint.iter_mut() {
            *block = Block::ZERO;
        }
        let mut region = 0_u32;
        let copies = checkpoint.iter_mut().zip(digests.iter_mut());
        for ((index, bytes), (copy, digest)) in indexed_blocks(working).zip(copies) {
            *digest = copy_and_digest(index, bytes, copy);
            region = region.wrapping_add(*digest);
        }
        for byte in marks.iter_mut() {
            *byte = 0;
        }
        let summary = Summary::for_blocks(marks.len());
        Self { working, checkpoint, digests, map: marks, summary, region }
    }

    /// Returns the working copy.
    pub fn state(&self) -> &T {
        self.working
    }

    /// Opens the working copy for one step.
    pub fn tracked(&mut self) -> Tracked<'_, T> {
        Tracked::new(self.working, Marks { map: self.map, summary: &mut self.summary })
    }

    /// Returns the digest of the checkpoint.
    pub fn committed_digest(&self) -> u32 {
        self.region
    }

    /// Returns the digest the region will have once the marked blocks are committed.
    pub fn pending_digest(&mut self) -> u32 {
        if self.marks().take_unknown() {
            self.mark_by_comparison();
        }
        let (bytes, digests) = (self.working.as_bytes(), &*self.digests);
        let mut region = self.region;
        let marks = Marks { map: self.map, summary: &mut self.summary };
        marks.for_each(|block| {
            if let (Some(fresh), Some(old)) = (block_bytes(bytes, block), digests.get(block)) {
                region = region.wrapping_sub(*old).wrapping_add(block_digest(block as u32, fresh));
            }
        });
        region
    }

    /// Makes the marked blocks part of the checkpoint.
    ///
    /// # Errors
    /// [`CommitDamaged`] if the region does not arrive at `voted`, the digest that was
    /// voted: something wrote the working copy since. The checkpoint then holds that
    /// damage, and its digests say so.
    pub fn commit(&mut self, voted: u32) -> Result<(), CommitDamaged> {
        if self.marks().take_unknown() {
            self.mark_by_comparison();
        }
        let bytes = self.working.as_bytes();
        let (checkpoint, digests) = (&mut *self.checkpoint, &mut *self.digests);
        let mut region = self.region;
        let mut marks = Marks { map: self.map, summary: &mut self.summary };
        marks.for_each(|block| {
            let cells = (block_bytes(bytes, block), checkpoint.get_mut(block), digests.get_mut(block));
            if let (Some(fresh), Some(copy), Some(digest)) = cells {
                let old = *digest;
                *digest = copy_and_digest(block as u32, fresh, copy);
                region = region.wrapping_sub(old).wrapping_add(*digest);
            }
        });
        marks.clear();
        self.region = region;
        if region == voted { Ok(()) } else { Err(CommitDamaged) }
    }

    /// Copies the checkpoint over the working copy: all blocks, since a flip in a block
    /// that nobody wrote is exactly the fault a rollback is for.
    pub fn rollback(&mut self) {
        let mut rest = self.working.as_mut_bytes();
        for block in self.checkpoint.iter() {
            let length = rest.len().min(BLOCK_BYTES);
            let Some((bytes, tail)) = rest.split_at_mut_checked(length) else { break };
            for (to, from) in bytes.iter_mut().zip(&block.0) {
                *to = *from;
            }
            rest = tail;
        }
        self.marks().clear();
    }

    /// Recomputes every checkpoint digest; true if each one and their sum hold.
    pub fn verify(&self) -> bool {
        let mut region = 0_u32;
        let mut sound = true;
        for ((index, digest), block) in (0..).zip(self.digests.iter()).zip(self.checkpoint.iter()) {
            let length = block_length::<T>(index as usize);
            sound &= block.0.get(..length).is_some_and(|bytes| block_digest(index, bytes) == *digest);
            region = region.wrapping_add(*digest);
        }
        sound && region == self.region
    }

    /// Returns how often a tracked write named memory outside of the state, and forgets it.
    pub fn take_stray_writes(&mut self) -> u32 {
        self.marks().take_stray()
    }

    /// Flips one bit of the working copy behind the mirror's back, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn flip_working_bit(&mut self, bit: usize) {
        if let Some(byte) = self.working.as_mut_bytes().get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    fn marks(&mut self) -> Marks<'_> {
        Marks { map: self.map, summary: &mut self.summary }
    }

    /// Marks the blocks in which the working copy differs from the checkpoint.
    fn mark_by_comparison(&mut self) {
        let mut marks = Marks { map: self.map, summary: &mut self.summary };
        for ((index, fresh), copy) in indexed_blocks(self.working).zip(self.checkpoint.iter()) {
            let (fresh_words, fresh_tail) = fresh.as_chunks::<4>();
            let (copy_words, _) = copy.0.as_chunks::<4>();
            let tail = fresh_words.len() * 4;
            let copy_tail = copy.0.get(tail..tail + fresh_tail.len());
            let same = fresh_words.iter().zip(copy_words).all(|(a, b)| a == b) && copy_tail == Some(fresh_tail);
            if !same {
                marks.mark(index as usize);
            }
        }
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
    let start = block.checked_mul(BLOCK_BYTES)?;
    let end = start.checked_add(BLOCK_BYTES)?.min(bytes.len());
    bytes.get(start..end)
}

fn block_length<T>(block: usize) -> usize {
    size_of::<T>().saturating_sub(block.saturating_mul(BLOCK_BYTES)).min(BLOCK_BYTES)
}

/// Copies a block and digests what was copied, in one pass.
fn copy_and_digest(index: u32, bytes: &[u8], copy: &mut Block) -> u32 {
    let (words, tail) = bytes.as_chunks::<4>();
    let (copies, _) = copy.0.as_chunks_mut::<4>();
    let mut state = block_seed(index);
    for (word, copied) in words.iter().zip(copies) {
        *copied = *word;
        state = mix(state, u32::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        for (to, from) in copy.0.iter_mut().skip(words.len() * 4).zip(tail) {
            *to = *from;
        }
        state = mix(state, partial_word(tail));
    }
    state
}
