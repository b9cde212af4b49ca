//! MARKS  what is known of each block, a byte a block.
//!
//! ```text
//! DIRTY      written since the last commit; found again through one summary word
//! SEND       the donor has to send it, for the first time or again
//! IN_FLIGHT  the donor has sent it and waits for the acknowledgement
//! ```

use crate::digest::BLOCK_BYTES;

const DIRTY: u8 = 1;
const SEND: u8 = 2;
const IN_FLIGHT: u8 = 4;

/// `DIRTY` in each byte of a word.
const DIRTY_IN_ANY: u32 = u32::from_le_bytes([DIRTY; WORD]);
/// Marks looked at together.
const WORD: usize = 4;
const LEAST_SHIFT: u32 = WORD.trailing_zeros();

/// What stays of the marks beside the bytes themselves.
#[derive(Default)]
pub(crate) struct Summary {
    /// A bit covers `2^shift` blocks; set if one of them may be dirty.
    groups: u32,
    shift: u32,
    unknown: bool,
    stray: u32,
    /// Blocks to be sent or in flight.
    uncopied: u32,
    /// A copy is being made: what is committed has to be sent again.
    is_copying: bool,
    /// Where the search for the next block to be sent goes on.
    cursor: usize,
}

impl Summary {
    /// Returns the summary for this many blocks.
    pub(crate) fn for_blocks(blocks: usize) -> Self {
        let shift = blocks.div_ceil(32).next_power_of_two().trailing_zeros();
        Self { shift: shift.max(LEAST_SHIFT), ..Self::default() }
    }

    pub(crate) fn uncopied(&self) -> u32 {
        self.uncopied
    }

    fn group_of(&self, block: usize) -> u32 {
        1_u32.wrapping_shl(block as u32 >> self.shift)
    }
}

/// The marks of all blocks.
pub(crate) struct Marks<'m> {
    pub(crate) map: &'m mut [u8],
    pub(crate) summary: &'m mut Summary,
}

impl Marks<'_> {
    #[inline]
    pub(crate) fn dirty(&mut self, block: usize) {
        if let Some(mark) = self.map.get_mut(block) {
            *mark |= DIRTY;
            self.summary.groups |= self.summary.group_of(block);
        }
    }

    /// Notes that `length` bytes from `start` were written.
    #[inline]
    pub(crate) fn dirty_span(&mut self, start: usize, length: usize) {
        if length == 0 {
            return;
        }
        for block in start / BLOCK_BYTES..=(start + length - 1) / BLOCK_BYTES {
            self.dirty(block);
        }
    }

    /// Notes that anything may have been written.
    pub(crate) fn dirty_unknown(&mut self) {
        self.summary.unknown = true;
    }

    /// Returns whether anything may have been written, and forgets it.
    pub(crate) fn take_unknown(&mut self) -> bool {
        core::mem::take(&mut self.summary.unknown)
    }

    /// Notes a write that named memory outside of the state.
    pub(crate) fn stray(&mut self) {
        self.summary.stray = self.summary.stray.saturating_add(1);
    }

    /// Returns how many stray writes there were, and forgets them.
    pub(crate) fn take_stray(&mut self) -> u32 {
        core::mem::take(&mut self.summary.stray)
    }

    pub(crate) fn is_dirty(&self, block: usize) -> bool {
        self.summary.unknown || self.map.get(block).is_some_and(|mark| mark & DIRTY != 0)
    }

    /// Calls `visit` with each dirty block, in rising order.
    pub(crate) fn each_dirty(&mut self, mut visit: impl FnMut(usize)) {
        let groups = self.summary.groups;
        self.each_dirty_mark(groups, |block, _| visit(block));
    }

    /// Calls `visit` with each dirty block and forgets that it was. During a copy it is to be
    /// sent again. Returns how many there were.
    pub(crate) fn drain_dirty(&mut self, mut visit: impl FnMut(usize)) -> u32 {
        let groups = core::mem::take(&mut self.summary.groups);
        let (is_copying, mut newly, mut count) = (self.summary.is_copying, 0, 0);
        self.each_dirty_mark(groups, |block, mark| {
            newly += u32::from(is_copying && *mark & (SEND | IN_FLIGHT) == 0);
            // A block in flight is out of date now: its acknowledgement finds it to be sent.
            *mark = if is_copying { SEND } else { 0 };
            count += 1;
            visit(block);
        });
        self.summary.uncopied += newly;
        self.summary.unknown = false;
        count
    }

    /// Forgets what was written.
    pub(crate) fn clear_dirty(&mut self) {
        let groups = core::mem::take(&mut self.summary.groups);
        self.each_dirty_mark(groups, |_, mark| *mark &= !DIRTY);
        self.summary.unknown = false;
    }

    #[inline]
    fn each_dirty_mark(&mut self, mut groups: u32, mut visit: impl FnMut(usize, &mut u8)) {
        let shift = self.summary.shift;
        while groups != 0 {
            let first = (groups.trailing_zeros() as usize).wrapping_shl(shift);
            groups &= groups - 1;
            let words = self.map.chunks_mut(WORD).skip(first / WORD).take(1_usize.wrapping_shl(shift - LEAST_SHIFT));
            for (word, at) in words.zip((first..).step_by(WORD)) {
                let all = <[u8; WORD]>::try_from(&*word).map_or(u32::MAX, u32::from_le_bytes);
                if all & DIRTY_IN_ANY == 0 {
                    continue;
                }
                for (mark, block) in word.iter_mut().zip(at..) {
                    if *mark & DIRTY != 0 {
                        visit(block, mark);
                    }
                }
            }
        }
    }
}

/// Which blocks the donor still has to send.
pub(crate) struct CopySet<'m>(pub(crate) Marks<'m>);

impl CopySet<'_> {
    /// Starts a copy: every block has to be sent.
    pub(crate) fn begin(&mut self) {
        for mark in self.0.map.iter_mut() {
            *mark = (*mark & DIRTY) | SEND;
        }
        let summary = &mut *self.0.summary;
        (summary.uncopied, summary.is_copying, summary.cursor) = (self.0.map.len() as u32, true, 0);
    }

    /// Does not send again what is written meanwhile: a negative control.
    pub(crate) fn ignore_writes(&mut self) {
        self.0.summary.is_copying = false;
    }

    /// Ends the copy.
    pub(crate) fn end(&mut self) {
        for mark in self.0.map.iter_mut() {
            *mark &= DIRTY;
        }
        (self.0.summary.uncopied, self.0.summary.is_copying) = (0, false);
    }

    /// Returns how many blocks are to be sent or in flight.
    pub(crate) fn left(&self) -> u32 {
        self.0.summary.uncopied()
    }

    /// Returns the next block to be sent, round and round.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.left() == 0 {
            return None;
        }
        let cursor = self.0.summary.cursor;
        let to_send = |(_, mark): &(usize, &u8)| **mark & SEND != 0;
        let behind = (0..).zip(self.0.map.iter()).skip(cursor).find(to_send);
        let found = behind.or_else(|| (0..).zip(self.0.map.iter()).take(cursor).find(to_send));
        found.map(|(block, _)| block)
    }

    /// Notes that a block was sent. One that is done is not counted anew.
    pub(crate) fn sent(&mut self, block: usize) {
        if let Some(mark) = self.0.map.get_mut(block).filter(|mark| **mark & (SEND | IN_FLIGHT) != 0) {
            *mark = (*mark & DIRTY) | IN_FLIGHT;
            self.0.summary.cursor = block + 1;
        }
    }

    /// Notes that a block in flight was lost: it is sent again.
    pub(crate) fn lost(&mut self, block: usize) {
        if let Some(mark) = self.0.map.get_mut(block).filter(|mark| **mark & IN_FLIGHT != 0) {
            *mark = (*mark & DIRTY) | SEND;
        }
    }

    /// Notes that a block arrived; one that was written since stays to be sent. Returns
    /// whether it is done.
    pub(crate) fn arrived(&mut self, block: usize) -> bool {
        let mark = self.0.map.get_mut(block).filter(|mark| **mark & IN_FLIGHT != 0);
        if let Some(mark) = mark {
            *mark &= DIRTY;
            self.0.summary.uncopied = self.0.summary.uncopied.saturating_sub(1);
            return true;
        }
        false
    }

    /// Takes a block out of the set: the joiner has it already.
    pub(crate) fn spare(&mut self, block: usize) {
        if let Some(mark) = self.0.map.get_mut(block).filter(|mark| **mark & SEND != 0) {
            *mark &= DIRTY;
            self.0.summary.uncopied = self.0.summary.uncopied.saturating_sub(1);
        }
    }
}
