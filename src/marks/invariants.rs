//! What holds of the marks between two calls (feature `sim`): a pure look.

use super::{DIRTY, GROUPS, IN_FLIGHT, SEND, Summary, WORD};

/// What a look at the marks of all blocks finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Something may have been written since the last commit.
    pub(crate) is_dirty: bool,
    /// A mark says so of whose group the summary says nothing.
    pub(crate) has_hidden: bool,
    /// A mark means nothing.
    pub(crate) has_unknown: bool,
    /// Blocks to be sent or in flight.
    pub(crate) uncopied: u32,
}

impl Summary {
    /// Whether a block may have been written since the last commit, by its mark and the summary together.
    pub(crate) fn may_differ(&self, map: &[u8], block: usize) -> bool {
        let is_marked = map.get(block).is_some_and(|mark| mark & DIRTY != 0);
        self.unknown || is_marked && self.may_be_dirty(block, map.len())
    }

    /// Whether the summary says that some block of this block's group may be dirty. How many blocks a group has is told here
    /// once more: a look that shared the code would share its mistake.
    fn may_be_dirty(&self, block: usize, blocks: usize) -> bool {
        let mut size = WORD;
        while blocks.div_ceil(size) > GROUPS as usize {
            size *= 2;
        }
        self.groups >> (block / size) & 1 == 1
    }

    /// Looks at the marks.
    pub(crate) fn look(&self, map: &[u8]) -> Seen {
        let mut seen = Seen { is_dirty: self.unknown, ..Seen::default() };
        for (block, mark) in map.iter().enumerate().filter(|(_, mark)| **mark != 0) {
            let is_marked = mark & DIRTY != 0;
            seen.is_dirty |= is_marked;
            seen.has_hidden |= is_marked && !self.may_be_dirty(block, map.len());
            // A block is to be sent or in flight, not both.
            seen.has_unknown |=
                mark & !(DIRTY | SEND | IN_FLIGHT) != 0 || mark & (SEND | IN_FLIGHT) == SEND | IN_FLIGHT;
            seen.uncopied += u32::from(mark & (SEND | IN_FLIGHT) != 0);
        }
        seen
    }
}
