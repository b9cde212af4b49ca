//! What holds of the memory between two calls (feature `sim`): a pure look at all of it.

use super::Mirror;
use super::blocks::{indexed_blocks, sum_of, trimmed};
use crate::digest::block_digest;
use crate::memory::State;
use core::fmt;

/// What holds of memory that nothing has damaged from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemoryInvariant {
    /// Each block of the checkpoint has the digest that is kept of it.
    BlockDigest,
    /// The region digest is the sum of the block digests, and both copies of it say the same.
    RegionDigest,
    /// A block that was not written since the last commit is the same in both copies.
    CleanBlock,
    /// Each mark means something, and the summary tells of each dirty one.
    Marks,
    /// As many blocks are counted to be copied as are marked.
    Uncopied,
    /// The scrub goes on at a block that there is.
    ScrubPlace,
}

impl MemoryInvariant {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::BlockDigest, Self::RegionDigest, Self::CleanBlock, Self::Marks, Self::Uncopied, Self::ScrubPlace];
}

impl fmt::Display for MemoryInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlockDigest => "a block of the checkpoint has another digest than the one kept of it",
            Self::RegionDigest => "the region digest is not the sum of the block digests",
            Self::CleanBlock => "a block that is not marked as written differs from the checkpoint",
            Self::Marks => "a mark of a block means nothing, or the summary hides it",
            Self::Uncopied => "not as many blocks are counted to be copied as are marked",
            Self::ScrubPlace => "the scrub goes on at a block that there is not",
        })
    }
}

impl<T: State> Mirror<'_, T> {
    /// Returns what does not hold of the memory.
    pub(crate) fn broken_invariant(&self) -> Option<MemoryInvariant> {
        let (seen, summary) = (self.books.summary.look(self.marks), &self.books.summary);
        let region = self.books.region;
        let (mut all_have_digests, mut clean_are_same) = (true, true);
        let blocks = indexed_blocks(self.working.as_bytes()).zip(self.checkpoint.iter()).zip(self.digests.iter());
        for (((index, fresh), kept), digest) in blocks {
            let kept = trimmed(size_of::<T>(), index as usize, kept);
            all_have_digests &= block_digest(index, kept) == *digest;
            clean_are_same &= fresh == kept || summary.may_differ(self.marks, index as usize);
        }
        let rules = [
            (!all_have_digests, MemoryInvariant::BlockDigest),
            (region.value != !region.inverse || sum_of(self.digests) != region.value, MemoryInvariant::RegionDigest),
            (!clean_are_same, MemoryInvariant::CleanBlock),
            (seen.has_hidden || seen.has_unknown, MemoryInvariant::Marks),
            (seen.uncopied != summary.uncopied(), MemoryInvariant::Uncopied),
            (self.books.scrub_at >= self.digests.len().max(1), MemoryInvariant::ScrubPlace),
        ];
        rules.into_iter().find(|(is_broken, _)| *is_broken).map(|(_, invariant)| invariant)
    }

    /// Whether anything may have been written since the last commit.
    pub(crate) fn is_written(&self) -> bool {
        self.books.summary.look(self.marks).is_dirty
    }
}
