//! Blocks: the mirrored memory as bytes. It knows no program, only how long the state is, and compiles once.

use super::{CommitDamaged, RegionDigest};
use crate::bytes::copy;
use crate::digest::{BLOCK_BYTES, BlockWords, block_digest, copy_words, short_digest, whole_digest};
use crate::marks::{Marks, Summary};
use crate::memory::Block;
use zerocopy::FromBytes;

/// What is kept of the memory beside the memory itself.
#[derive(Clone, Hash)]
pub(super) struct Books {
    pub(super) summary: Summary,
    pub(super) region: RegionDigest,
    /// Where the scrub goes on.
    pub(super) scrub_at: usize,
    /// By how much the sum of the digests was off the region digest when the scrub last began anew.
    pub(super) sum_off: u32,
    /// Blocks committed last.
    pub(super) written: u32,
}

impl Books {
    pub(super) fn new() -> Self {
        Self { summary: Summary::default(), region: RegionDigest::new(0), scrub_at: 0, sum_off: 0, written: 0 }
    }
}

/// The memory of a mirror, borrowed for one call.
pub(super) struct Blocks<'b> {
    /// The state's bytes, as many as it has.
    pub(super) working: &'b mut [u8],
    pub(super) checkpoint: &'b mut [Block],
    pub(super) digests: &'b mut [u32],
    pub(super) marks: &'b mut [u8],
    pub(super) books: &'b mut Books,
}

impl Blocks<'_> {
    /// Makes the working copy the first checkpoint.
    pub(super) fn take_working(&mut self) {
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
        *self.books = Books { region: RegionDigest::new(region), ..Books::new() };
    }

    /// Returns the digest the region will have once the marked blocks are committed.
    pub(super) fn pending_digest(&mut self) -> u32 {
        self.find_unknown();
        // Memory that is not aligned was refused; no state has this digest.
        let Some(Split { whole, last }) = Split::of(self.working) else { return !self.books.region.value };
        let digests = &*self.digests;
        let (mut region, mut is_last_dirty) = (self.books.region.value, false);
        let mut marks = Marks { map: self.marks, summary: &mut self.books.summary };
        marks.each_dirty(|block| match (whole.get(block), digests.get(block)) {
            (Some(fresh), Some(old)) => {
                region = region.wrapping_sub(*old).wrapping_add(whole_digest(block as u32, fresh));
            }
            _ => is_last_dirty = true,
        });
        match digests.get(whole.len()) {
            Some(old) if is_last_dirty => {
                region.wrapping_sub(*old).wrapping_add(short_digest(whole.len() as u32, last))
            }
            _ => region,
        }
    }

    /// Makes the marked blocks part of the checkpoint, once the region arrives at `voted`.
    pub(super) fn commit(&mut self, voted: u32) -> Result<(), CommitDamaged> {
        self.find_unknown();
        let Split { whole, last } = Split::of(self.working).ok_or(CommitDamaged)?;
        let (mut change, mut is_last_dirty) = (0_u32, false);
        let mut marks = Marks { map: self.marks, summary: &mut self.books.summary };
        marks.each_dirty(|block| match (whole.get(block), self.digests.get_mut(block)) {
            (Some(words), Some(digest)) => {
                let fresh = whole_digest(block as u32, words);
                change = change.wrapping_add(fresh).wrapping_sub(*digest);
                *digest = fresh;
            }
            _ => is_last_dirty = true,
        });
        if let Some(digest) = self.digests.get_mut(whole.len()).filter(|_| is_last_dirty) {
            let fresh = short_digest(whole.len() as u32, last);
            change = change.wrapping_add(fresh).wrapping_sub(*digest);
            *digest = fresh;
        }
        let region = self.books.region.changed_by(change);
        if region.value != voted {
            self.recall_digests();
            return Err(CommitDamaged);
        }
        self.books.region = region;
        let mut marks = Marks { map: self.marks, summary: &mut self.books.summary };
        self.books.written = marks.drain_dirty(|block| {
            if let (Some(kept), Some(fresh)) = (self.checkpoint.get_mut(block), whole.get(block)) {
                copy_words(kept.words_mut(), fresh);
            }
        });
        if let Some(kept) = self.checkpoint.get_mut(whole.len()).filter(|_| is_last_dirty) {
            copy(&mut kept.0, last);
        }
        Ok(())
    }

    /// Digests the marked blocks of the checkpoint again, in place of those of a commit that was
    /// not to be. Should the sum differ from what it was, the checkpoint is damaged: the difference
    /// goes onto one of them, so that a scrub sees it.
    #[cold]
    #[inline(never)]
    fn recall_digests(&mut self) {
        let mut last = 0;
        let (checkpoint, digests, state_bytes) = (&*self.checkpoint, &mut *self.digests, self.working.len());
        let mut marks = Marks { map: self.marks, summary: &mut self.books.summary };
        marks.each_dirty(|block| {
            if let (Some(kept), Some(digest)) = (checkpoint.get(block), digests.get_mut(block)) {
                *digest = block_digest(block as u32, trimmed(state_bytes, block, kept));
                last = block;
            }
        });
        let sum = sum_of(self.digests);
        if !self.books.region.says(sum)
            && let Some(digest) = self.digests.get_mut(last)
        {
            *digest = digest.wrapping_add(self.books.region.value.wrapping_sub(sum));
        }
    }

    /// Copies the checkpoint over the working copy: all blocks, since a flip in a block
    /// that nobody wrote is exactly the fault a rollback is for.
    pub(super) fn rollback(&mut self) {
        for (bytes, block) in self.working.chunks_mut(BLOCK_BYTES).zip(self.checkpoint.iter()) {
            match BlockWords::mut_from_bytes(bytes) {
                Ok(words) => copy_words(words, block.words()),
                Err(error) => copy(error.into_src(), &block.0), // the last one is shorter
            }
        }
        self.marks().clear_dirty();
    }

    pub(super) fn marks(&mut self) -> Marks<'_> {
        Marks { map: self.marks, summary: &mut self.books.summary }
    }

    /// Marks what [`Tracked::modify`](crate::Tracked::modify) may have written.
    #[inline]
    fn find_unknown(&mut self) {
        if self.marks().take_unknown() {
            self.mark_what_differs();
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_what_differs(&mut self) {
        let state_bytes = self.working.len();
        let mut marks = Marks { map: self.marks, summary: &mut self.books.summary };
        for ((index, fresh), copy) in indexed_blocks(self.working).zip(self.checkpoint.iter()) {
            if !same_words(fresh, trimmed(state_bytes, index as usize, copy)) {
                marks.dirty(index as usize);
            }
        }
    }
}

/// The state as whole blocks and the rest of it, which is shorter than one.
#[derive(Clone, Copy)]
pub(super) struct Split<'b> {
    whole: &'b [BlockWords],
    last: &'b [u8],
}

impl<'b> Split<'b> {
    #[inline(never)]
    pub(super) fn of(state: &'b [u8]) -> Option<Self> {
        let (whole, last) = <[BlockWords]>::ref_from_prefix(state).ok()?;
        Some(Self { whole, last })
    }
}

/// Returns the sum of the block digests if each checkpoint block holds its digest.
pub(super) fn sum_if_all_hold(state_bytes: usize, checkpoint: &[Block], digests: &[u32]) -> Option<u32> {
    let mut sum = 0_u32;
    let mut sound = true;
    for ((index, digest), block) in (0..).zip(digests).zip(checkpoint) {
        sound &= block_digest(index, trimmed(state_bytes, index as usize, block)) == *digest;
        sum = sum.wrapping_add(*digest);
    }
    sound.then_some(sum)
}

pub(super) fn sum_of(digests: &[u32]) -> u32 {
    digests.iter().fold(0, |sum, digest| sum.wrapping_add(*digest))
}

pub(super) fn indexed_blocks(state: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = state;
    (0..).map_while(move |index| {
        let (bytes, tail) = rest.split_at_checked(rest.len().min(BLOCK_BYTES))?;
        rest = tail;
        (!bytes.is_empty()).then_some((index, bytes))
    })
}

pub(super) fn block_bytes(bytes: &[u8], block: usize) -> Option<&[u8]> {
    let (whole, last) = bytes.as_chunks::<BLOCK_BYTES>();
    match whole.get(block) {
        Some(bytes) => Some(bytes),
        None => (block == whole.len() && !last.is_empty()).then_some(last),
    }
}

/// Returns the part of a checkpoint block that belongs to the state.
pub(super) fn trimmed(state_bytes: usize, index: usize, block: &Block) -> &[u8] {
    block.0.get(..block_length(state_bytes, index)).unwrap_or_default()
}

pub(super) fn block_length(state_bytes: usize, block: usize) -> usize {
    state_bytes.saturating_sub(block.saturating_mul(BLOCK_BYTES)).min(BLOCK_BYTES)
}

pub(super) fn same_words(a: &[u8], b: &[u8]) -> bool {
    let ((a_words, a_tail), (b_words, b_tail)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    a_tail == b_tail && a_words.iter().zip(b_words).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Instant;
    use crate::marks::CopySet;
    use crate::reintegrate::{Donor, Joiner, Ledger, Serial};
    use std::vec::Vec;
    use zerocopy::IntoBytes;

    /// The memory of a program that is made at run time: nothing but its size is known of its state.
    struct Made {
        state_bytes: usize,
        working: Vec<Block>,
        checkpoint: Vec<Block>,
        digests: Vec<u32>,
        marks: Vec<u8>,
        books: Books,
    }

    impl Made {
        fn new(state_bytes: usize, fill: u8) -> Self {
            let blocks = state_bytes.div_ceil(BLOCK_BYTES);
            let mut made = Self {
                state_bytes,
                working: (0..blocks).map(|_| Block::ZERO).collect(),
                checkpoint: (0..blocks).map(|_| Block::ZERO).collect(),
                digests: (0..blocks).map(|_| 0).collect(),
                marks: (0..blocks).map(|_| 0).collect(),
                books: Books::new(),
            };
            (0..state_bytes).for_each(|at| made.state()[at] = fill ^ at as u8);
            made.blocks().take_working();
            made
        }

        fn blocks(&mut self) -> Blocks<'_> {
            let Self { state_bytes, working, checkpoint, digests, marks, books } = self;
            let working = &mut working.as_mut_slice().as_mut_bytes()[..*state_bytes];
            Blocks { working, checkpoint, digests, marks, books }
        }

        fn state(&mut self) -> &mut [u8] {
            self.blocks().working
        }

        /// Writes a byte of some block and the last one of all, as a step would, and commits.
        fn step(&mut self, at: usize, value: u8) -> Option<u32> {
            let mut blocks = self.blocks();
            for at in [at, blocks.working.len() - 1] {
                blocks.working[at] = value;
                blocks.marks().dirty_span(at, 1);
            }
            let digest = blocks.pending_digest();
            assert_eq!(blocks.commit(!digest), Err(CommitDamaged));
            blocks.commit(digest).ok()?;
            Some(digest)
        }

        fn copy_set(&mut self) -> CopySet<'_> {
            CopySet(Marks { map: &mut self.marks, summary: &mut self.books.summary })
        }

        fn block(&self, index: u16) -> &[u8] {
            trimmed(self.state_bytes, index.into(), &self.checkpoint[usize::from(index)])
        }
    }

    /// Two channels of a program of any size: they commit to the same digests, mend each flipped bit, roll back, and one
    /// copies its state to the other while it goes on writing.
    #[test]
    fn the_memory_of_a_program_that_is_made_at_run_time() {
        for state_bytes in [1, 3, 4, 63, 64, 65, 127, 128, 200, 1_000, 4_096, 4_099] {
            let [mut a, mut b] = [0, 0].map(|fill| Made::new(state_bytes, fill));
            let total = a.digests.len() as u32;
            for turn in 0..20 {
                let (at, value) = (turn * 31 % state_bytes, turn as u8 + 1);
                let digest = a.step(at, value);
                assert!(digest.is_some() && digest == b.step(at, value), "{state_bytes} bytes");

                let bit = turn * 97 % (state_bytes * 8);
                a.state()[bit / 8] ^= 1 << (bit % 8);
                let found = a.blocks().scrub_all();
                assert_eq!((found.working, found.beyond_repair), (1, None), "{state_bytes} bytes");
                b.checkpoint[bit / 8 / BLOCK_BYTES].0[bit / 8 % BLOCK_BYTES] ^= 1 << (bit % 8);
                assert_eq!(b.blocks().scrub_all().checkpoint, 1, "{state_bytes} bytes");

                a.state()[at] ^= 0xFF; // a step that is not committed
                a.blocks().marks().dirty_unknown();
                assert_ne!(Some(a.blocks().pending_digest()), digest, "{state_bytes} bytes");
                a.blocks().rollback();
                assert_eq!(a.state(), b.state(), "{state_bytes} bytes");

                // A block that is beyond repair here comes from the peer.
                let index = (at / BLOCK_BYTES) as u16;
                a.state()[at] ^= 1;
                a.checkpoint[usize::from(index)].0[at % BLOCK_BYTES] ^= 2;
                assert_eq!(a.blocks().scrub(total).beyond_repair, Some(index.into()), "{state_bytes} bytes");
                a.blocks().mend_block(index.into(), b.block(index)).unwrap();
                assert_eq!(a.state(), b.state(), "{state_bytes} bytes");
            }
            let mut joiner = Made::new(state_bytes, 0xA5);
            copy_over(&mut a, &mut joiner);
            assert_eq!(a.digests, joiner.digests, "{state_bytes} bytes");
            assert_eq!(a.state(), joiner.state(), "{state_bytes} bytes");
        }
        // One without a state has nothing to be wrong.
        let mut empty = Made::new(0, 0);
        let digest = empty.blocks().pending_digest();
        assert_eq!((digest, empty.blocks().commit(digest)), (0, Ok(())));
        assert_eq!(empty.blocks().scrub_all(), super::super::Scrubbed::default());
    }

    /// Such memory is refused where it is lent; here it commits nothing, and loses nothing.
    #[test]
    fn what_does_not_lie_at_a_multiple_of_four_bytes_is_not_committed() {
        let mut made = Made::new(200, 3);
        let digest = made.books.region.value;
        let mut blocks = made.blocks();
        let (_, working) = core::mem::take(&mut blocks.working).split_at_mut(1);
        blocks.working = working;
        blocks.marks().dirty_span(0, 1);
        let pending = blocks.pending_digest();
        assert_ne!(pending, digest);
        assert_eq!((blocks.commit(pending), blocks.commit(digest)), (Err(CommitDamaged), Err(CommitDamaged)));
        blocks.working.fill(0);
        blocks.rollback();
        assert_eq!(blocks.working[..64], blocks.checkpoint[0].0);
    }

    /// Copies the state over as a donor does, each third block lost on its way, and a byte written in each cycle.
    fn copy_over(donor: &mut Made, joiner: &mut Made) {
        let (total, now) = (donor.digests.len() as u32, Instant::from_micros(0));
        let mut books = Donor::new(donor.copy_set(), 5, 10_000, Ledger::default());
        let mut taken: Option<Joiner> = None;
        for turn in 0.. {
            assert!(turn < 5_000, "the copy does not end");
            assert!(books.begin_cycle());
            if turn < 10 {
                donor.step(turn * 61 % donor.state_bytes, turn as u8);
                let written = donor.books.written;
                books.committed([written; 2], &donor.copy_set(), total).unwrap();
            }
            while let Some((serial, index)) = books.next(&mut donor.copy_set(), now) {
                books.sent(&mut donor.copy_set(), index, now);
                if (usize::from(serial) + turn).is_multiple_of(3) {
                    continue; // lost
                }
                let joined = taken.get_or_insert_with(|| Joiner::new(serial, now));
                assert_eq!(joined.judge(serial), Serial::New);
                joined.take(serial);
                joiner.blocks().put_block(index.into(), donor.block(index)).unwrap();
            }
            if let Some(joined) = &taken {
                books.acknowledged(&mut donor.copy_set(), &joined.ack(0), now);
            }
            if turn >= 10 && donor.books.summary.uncopied() == 0 {
                break;
            }
        }
        assert!(joiner.blocks().adopt(donor.books.region.value));
    }
}
