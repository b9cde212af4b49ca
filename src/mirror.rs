//! MIRROR  the working copy, the checkpoint, and which blocks differ.
//!
//! `step` writes the working copy through [`Tracked`]; what it touched is marked. The
//! vote carries the digest the region would have; the commit digests the marked blocks once
//! more, must arrive at the digest that was voted, and only then copies them into the
//! checkpoint: what was damaged since the vote never gets there. The region digest is the sum of the block digests, so it is kept by
//! difference: the cost of a cycle follows what was written, not the size of the state.
//!
//! ```text
//! this file   the typed memory of a program: write, and all that the files below do
//! blocks      the same memory as bytes: commit, roll back
//! scrub       flipped bits in memory that nobody writes: found and mended
//! exchange    blocks for the peer and from the peer; where two channels differ
//! landing     the state of another version, received and converted
//! invariants  what holds of it between two calls (feature `sim`)
//! ```

mod blocks;
mod exchange;
#[cfg(feature = "sim")]
mod fingerprint;
#[cfg(feature = "sim")]
mod invariants;
mod landing;
mod scrub;

pub use exchange::{BlockRefused, Halving, Range};
#[cfg(feature = "sim")]
pub use invariants::MemoryInvariant;
pub(crate) use landing::is_block_of;
pub use scrub::Scrubbed;

#[cfg(feature = "sim")]
use crate::digest::BLOCK_BYTES;
use crate::marks::{CopySet, Marks};
use crate::memory::{Block, Cells, State};
use crate::tracked::Tracked;
use blocks::{Blocks, Books, sum_if_all_hold, sum_of, trimmed};

/// The mirrored memory of one channel.
pub struct Mirror<'m, T> {
    working: &'m mut T,
    checkpoint: &'m mut [Block],
    digests: &'m mut [u32],
    marks: &'m mut [u8],
    books: Books,
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

    /// Whether one of the two says that this is the sum.
    const fn says(self, sum: u32) -> bool {
        sum == self.value || sum == !self.inverse
    }
}

impl<'m, T: State> Mirror<'m, T> {
    /// Takes memory over: zeroes it, lets `init` fill the working copy, and makes that
    /// the first checkpoint.
    pub fn new(cells: Cells<'m, T>, init: impl FnOnce(&mut T)) -> Self {
        let Cells { working, checkpoint, digests, marks } = cells;
        let mut mirror = Self { working, checkpoint, digests, marks, books: Books::new() };
        mirror.reset(init);
        mirror
    }

    /// Starts over as [`new`](Self::new) does.
    pub fn reset(&mut self, init: impl FnOnce(&mut T)) {
        for byte in self.working.as_mut_bytes() {
            *byte = 0;
        }
        init(self.working);
        self.as_blocks().take_working();
    }

    /// The memory as bytes, which compile once for all programs.
    fn as_blocks(&mut self) -> Blocks<'_> {
        Blocks {
            working: self.working.as_mut_bytes(),
            checkpoint: self.checkpoint,
            digests: self.digests,
            marks: self.marks,
            books: &mut self.books,
        }
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
        self.books.written
    }

    /// Opens the working copy for one step.
    pub fn tracked(&mut self) -> Tracked<'_, T> {
        Tracked::new(self.working, Marks { map: self.marks, summary: &mut self.books.summary })
    }

    /// Returns the digest of the checkpoint.
    pub fn committed_digest(&self) -> u32 {
        self.books.region.value
    }

    /// Returns the digest the region will have once the marked blocks are committed.
    pub fn pending_digest(&mut self) -> u32 {
        self.as_blocks().pending_digest()
    }

    /// Makes the marked blocks part of the checkpoint, once the region arrives at `voted`.
    ///
    /// # Errors
    /// [`CommitDamaged`] if it does not: something wrote the working copy since the vote. Nothing
    /// was committed; roll back and step again.
    pub fn commit(&mut self, voted: u32) -> Result<(), CommitDamaged> {
        self.as_blocks().commit(voted)
    }

    /// Copies the checkpoint over the working copy: all blocks, since a flip in a block
    /// that nobody wrote is exactly the fault a rollback is for.
    pub fn rollback(&mut self) {
        self.as_blocks().rollback();
    }

    /// Checks the region digest and the next `blocks` blocks, round and round, and mends what
    /// can be mended. Two digests a block, one for a block written since the last commit; once a
    /// round, the digests are added up.
    ///
    /// A block beyond repair is checked again by the next call.
    pub fn scrub(&mut self, blocks: u32) -> Scrubbed {
        self.as_blocks().scrub(blocks)
    }

    /// Checks one block, as before it is sent.
    pub fn scrub_one(&mut self, block: u32) -> Scrubbed {
        self.as_blocks().scrub_one(block)
    }

    /// Checks all blocks and that their digests add up, as before a takeover.
    pub fn scrub_all(&mut self) -> Scrubbed {
        self.as_blocks().scrub_all()
    }

    /// Returns the bytes of a checkpoint block; the last one may be shorter than the others.
    pub fn block(&self, index: u32) -> Option<&[u8]> {
        Some(trimmed(size_of::<T>(), index as usize, self.checkpoint.get(index as usize)?))
    }

    /// Checks that there is such a block and that it takes so many bytes.
    ///
    /// # Errors
    /// [`BlockRefused`] with the figures.
    pub fn check_block(&self, index: u32, have_bytes: usize) -> Result<(), BlockRefused> {
        exchange::check_block(size_of::<T>(), self.blocks(), index, have_bytes)
    }

    /// Writes a donated block into both copies.
    ///
    /// # Errors
    /// [`BlockRefused`]; nothing was written.
    pub fn put_block(&mut self, index: u32, bytes: &[u8]) -> Result<(), BlockRefused> {
        self.as_blocks().put_block(index, bytes)
    }

    /// Mends a block from the peer's copy, if that matches the digest held here; or mends the
    /// digest, if the peer's copy is the same as both copies held here. If the block was written
    /// since the last commit, what was written stays.
    ///
    /// # Errors
    /// [`BlockRefused`]; nothing was written.
    pub fn mend_block(&mut self, index: u32, bytes: &[u8]) -> Result<(), BlockRefused> {
        self.as_blocks().mend_block(index, bytes)
    }

    /// Takes donated memory as the agreed state: true if every block holds its digest and
    /// they add up to `region_digest`. The working copy is then the checkpoint.
    pub fn adopt(&mut self, region_digest: u32) -> bool {
        self.as_blocks().adopt(region_digest)
    }

    /// Returns the sum of the block digests of a range, as far as there are such blocks.
    pub fn range_digest(&self, range: Range) -> u32 {
        let behind = self.digests.get(range.first as usize..).unwrap_or_default();
        sum_of(behind.get(..range.blocks as usize).unwrap_or(behind))
    }

    /// Recomputes every checkpoint digest; true if each one and their sum hold.
    pub fn verify(&self) -> bool {
        let sum = sum_if_all_hold(size_of::<T>(), self.checkpoint, self.digests);
        sum == Some(self.books.region.value)
    }

    /// Returns how often a tracked write named memory outside of the state, and forgets it.
    pub fn take_stray_writes(&mut self) -> u32 {
        self.as_blocks().marks().take_stray()
    }

    /// Returns how many blocks the last commit made out of date at the joiner.
    pub(crate) fn outdated_blocks(&self) -> u32 {
        self.books.summary.outdated()
    }

    /// Returns how many blocks the joiner does not have yet.
    pub(crate) fn uncopied_blocks(&self) -> u32 {
        self.books.summary.uncopied()
    }

    /// Returns which blocks the donor still has to send.
    pub(crate) fn copy_set(&mut self) -> CopySet<'_> {
        CopySet(Marks { map: self.marks, summary: &mut self.books.summary })
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
        let copies = blocks::indexed_blocks(self.working.as_bytes()).zip(self.checkpoint.iter());
        let mut same = copies.map(|((index, bytes), kept)| bytes == trimmed(size_of::<T>(), index as usize, kept));
        let (region, inverse) = (self.books.region.value, self.books.region.inverse);
        same.all(|same| same) && self.verify() && region == !inverse
    }

    /// Flips one bit of the marks of a block, or, after the last of these, of their summary.
    pub fn flip_mark_bit(&mut self, bit: usize) {
        match self.marks.get_mut(bit / 8) {
            Some(mark) => *mark ^= 1 << (bit % 8),
            None => self.books.summary.flip_bit(bit),
        }
    }

    /// Flips one bit of where the scrub goes on.
    pub fn flip_scrub_bit(&mut self, bit: usize) {
        self.books.scrub_at ^= 1 << (bit % 32);
    }

    /// Flips one bit of a block digest, or, after the last of these, of the region digest.
    pub fn flip_digest_bit(&mut self, bit: usize) {
        let digest = self.digests.get_mut(bit / 32).unwrap_or(&mut self.books.region.value);
        *digest ^= 1 << (bit % 32);
    }
}

/// The working copy changed between vote and commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitDamaged;
