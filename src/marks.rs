//! MARKS  what is known of each block, a byte a block.
//!
//! ```text
//! DIRTY      written since the last commit; found again through one summary word
//! SEND       the donor has to send it, for the first time or again
//! IN_FLIGHT  the donor has sent it and waits for the acknowledgement
//! ```

#[cfg(feature = "sim")]
mod invariants;

use crate::digest::BLOCK_BYTES;

const DIRTY: u8 = 1;
const SEND: u8 = 2;
const IN_FLIGHT: u8 = 4;

/// Marks looked at together, as many as a processor takes in one instruction. The tests of this file take those of a small one,
/// the other tests those of the host.
#[cfg(all(target_pointer_width = "64", not(test)))]
type Word = u64;
#[cfg(any(not(target_pointer_width = "64"), test))]
type Word = u32;
const WORD: usize = size_of::<Word>();

/// `DIRTY` in each byte of a word.
const DIRTY_IN_ANY: Word = Word::from_le_bytes([DIRTY; WORD]);
/// Groups of blocks.
const GROUPS: u32 = u32::BITS;

/// What stays of the marks beside the bytes themselves.
#[derive(Clone, Default, Hash)]
pub(crate) struct Summary {
    /// A bit for each group of blocks that lie together; set if one of them may be dirty.
    groups: u32,
    unknown: bool,
    stray: u32,
    /// Blocks to be sent or in flight.
    uncopied: u32,
    /// Blocks that the last commit made out of date at the joiner.
    outdated: u32,
    /// A copy is being made: what is committed has to be sent again.
    is_copying: bool,
    /// Where the search for the next block to be sent goes on.
    cursor: usize,
}

impl Summary {
    pub(crate) fn uncopied(&self) -> u32 {
        self.uncopied
    }

    /// Returns how many blocks the last commit made out of date that had been copied.
    pub(crate) fn outdated(&self) -> u32 {
        self.outdated
    }

    /// Flips a bit of what is kept of all blocks, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn flip_bit(&mut self, bit: usize) {
        let words = [&mut self.groups, &mut self.uncopied];
        for word in words.into_iter().skip(bit % 2).take(1) {
            *word ^= 1 << (bit / 2 % 32);
        }
    }
}

/// The marks of all blocks.
pub(crate) struct Marks<'m> {
    pub(crate) map: &'m mut [u8],
    pub(crate) summary: &'m mut Summary,
}

impl Marks<'_> {
    /// Returns the power of two that says how many blocks a group has: as few as make do with the groups there are, and no fewer
    /// than are looked at together. It follows from the number of blocks: kept, it would be one more thing to be damaged.
    #[inline]
    fn shift(&self) -> u32 {
        let beyond_one_a_group = self.map.len().saturating_sub(1) as u32 / GROUPS;
        u32::BITS - (beyond_one_a_group | (WORD as u32 - 1)).leading_zeros()
    }

    #[inline]
    fn group_of(&self, block: usize) -> u32 {
        1_u32.wrapping_shl((block as u32).wrapping_shr(self.shift()))
    }

    #[inline]
    pub(crate) fn dirty(&mut self, block: usize) {
        let group = self.group_of(block);
        if let Some(mark) = self.map.get_mut(block) {
            *mark |= DIRTY;
            self.summary.groups |= group;
        }
    }

    /// Notes that `length` bytes from `start` were written.
    #[inline]
    pub(crate) fn dirty_span(&mut self, start: usize, length: usize) {
        let Some(beyond) = length.checked_sub(1) else { return };
        let (first, last) = (start / BLOCK_BYTES, (start + beyond) / BLOCK_BYTES);
        self.dirty(first);
        if first != last {
            self.dirty_through(first + 1, last);
        }
    }

    /// Apart, so that the write of a scalar does not carry the loop.
    #[inline(never)]
    fn dirty_through(&mut self, first: usize, last: usize) {
        for block in first..=last {
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

    /// A mark whose group knows nothing of it is a flipped bit: no commit would find it, and a scrub
    /// that believed it would never look at that block's working copy again.
    pub(crate) fn is_dirty(&self, block: usize) -> bool {
        let is_marked = self.map.get(block).is_some_and(|mark| mark & DIRTY != 0);
        self.summary.unknown || (is_marked && self.summary.groups & self.group_of(block) != 0)
    }

    /// Calls `visit` with each dirty block, in rising order.
    pub(crate) fn each_dirty(&mut self, mut visit: impl FnMut(usize)) {
        let groups = self.summary.groups;
        self.each_dirty_mark(groups, |block, _| visit(block));
    }

    /// Calls `visit` with each dirty block and forgets that it was. During a copy it is to be
    /// sent again. Returns how many there were.
    pub(crate) fn drain_dirty(&mut self, mut visit: impl FnMut(usize)) -> u32 {
        if self.summary.is_copying {
            self.send_dirty();
        }
        let groups = core::mem::take(&mut self.summary.groups);
        let mut count = 0;
        self.each_dirty_mark(groups, |block, mark| {
            *mark &= !DIRTY;
            count += 1;
            visit(block);
        });
        self.summary.unknown = false;
        count
    }

    /// Apart, so that the commit does not carry it while nothing is copied.
    #[inline(never)]
    fn send_dirty(&mut self) {
        let (groups, mut newly) = (self.summary.groups, 0);
        self.each_dirty_mark(groups, |_, mark| {
            newly += u32::from(*mark & (SEND | IN_FLIGHT) == 0);
            // A block in flight is out of date now: its acknowledgement finds it to be sent.
            *mark = DIRTY | SEND;
        });
        self.summary.uncopied += newly;
        self.summary.outdated = newly;
    }

    /// Forgets what was written.
    pub(crate) fn clear_dirty(&mut self) {
        let groups = core::mem::take(&mut self.summary.groups);
        self.each_dirty_mark(groups, |_, mark| *mark &= !DIRTY);
        self.summary.unknown = false;
    }

    #[inline]
    fn each_dirty_mark(&mut self, mut groups: u32, mut visit: impl FnMut(usize, &mut u8)) {
        let shift = self.shift();
        let size = 1_usize.wrapping_shl(shift);
        while groups != 0 {
            let mut at = (groups.trailing_zeros() as usize).wrapping_shl(shift);
            groups &= groups - 1;
            let end = at.wrapping_add(size);
            while at < end {
                let mut dirty = self.word_at(at) & DIRTY_IN_ANY;
                while dirty != 0 {
                    let block = at + dirty.trailing_zeros() as usize / 8;
                    dirty &= dirty - 1;
                    if let Some(mark) = self.map.get_mut(block) {
                        visit(block, mark);
                    }
                }
                at += WORD;
            }
        }
    }

    /// Returns a word of marks from this block on, the first one lowest; those past the end are clear.
    #[inline]
    fn word_at(&self, block: usize) -> Word {
        match self.map.get(block..block + WORD).and_then(<[u8]>::first_chunk) {
            Some(marks) => Word::from_le_bytes(*marks),
            None => self.last_word(block),
        }
    }

    /// Apart, so that the loop over words does not carry it.
    #[cold]
    #[inline(never)]
    fn last_word(&self, block: usize) -> Word {
        let mut word = [0; WORD];
        for (to, mark) in word.iter_mut().zip(self.map.get(block..).unwrap_or_default()) {
            *to = *mark;
        }
        Word::from_le_bytes(word)
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
        summary.outdated = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseResult;
    use std::collections::BTreeSet;
    use std::{vec, vec::Vec};

    /// One to beyond a thousand: with and without a remainder in words and in groups.
    const MOST_BLOCKS: usize = 1100;

    type Set = BTreeSet<usize>;

    /// The marks as sets.
    #[derive(Default)]
    struct Model {
        blocks: usize,
        dirty: Set,
        unknown: bool,
        stray: u32,
        send: Set,
        in_flight: Set,
        is_copying: bool,
        cursor: usize,
    }

    impl Model {
        fn next(&self) -> Option<usize> {
            self.send.range(self.cursor..).next().or(self.send.first()).copied()
        }

        fn left(&self) -> u32 {
            (self.send.len() + self.in_flight.len()) as u32
        }

        fn drain(&mut self) -> Set {
            let drained = core::mem::take(&mut self.dirty);
            self.unknown = false;
            if self.is_copying {
                self.in_flight.retain(|block| !drained.contains(block));
                self.send.extend(&drained);
            }
            drained
        }
    }

    /// A block's number is brought into the range of the blocks and a few beyond.
    #[derive(Clone, Copy, Debug)]
    enum Op {
        Dirty(usize),
        Span(usize, usize),
        Unknown,
        TakeUnknown,
        Stray,
        TakeStray,
        Clear,
        Drain,
        Begin,
        End,
        /// Sends this many blocks in turn.
        SendNext(usize),
        /// Sends a block out of turn: to be sent or not.
        Sent(usize),
        Lost(usize),
        Arrived(usize),
        Spare(usize),
        /// One in two blocks in flight arrives, one in three of the others is lost.
        Acknowledge,
    }

    fn op() -> impl Strategy<Value = Op> {
        let block = any::<usize>;
        prop_oneof![
            6 => block().prop_map(Op::Dirty),
            3 => (block(), 0..700_usize).prop_map(|(start, length)| Op::Span(start, length)),
            1 => Just(Op::Unknown),
            1 => Just(Op::TakeUnknown),
            1 => Just(Op::Stray),
            1 => Just(Op::TakeStray),
            1 => Just(Op::Clear),
            4 => Just(Op::Drain),
            2 => Just(Op::Begin),
            1 => Just(Op::End),
            6 => (1..300_usize).prop_map(Op::SendNext),
            2 => block().prop_map(Op::Sent),
            3 => block().prop_map(Op::Lost),
            3 => block().prop_map(Op::Arrived),
            3 => block().prop_map(Op::Spare),
            3 => Just(Op::Acknowledge),
        ]
    }

    /// Does the same to the marks and to the model.
    fn apply(op: Op, marks: Marks<'_>, model: &mut Model) -> TestCaseResult {
        let in_range = |block: usize| block % (model.blocks + 3);
        let mut copy_set = CopySet(marks);
        match op {
            Op::Dirty(block) => {
                let block = in_range(block);
                copy_set.0.dirty(block);
                model.dirty.extend((block < model.blocks).then_some(block));
            }
            Op::Span(start, length) => {
                let start = start % (model.blocks * BLOCK_BYTES + 1);
                copy_set.0.dirty_span(start, length);
                model.dirty.extend((start..start + length).map(|at| at / BLOCK_BYTES).filter(|b| *b < model.blocks));
            }
            Op::Unknown => {
                copy_set.0.dirty_unknown();
                model.unknown = true;
            }
            Op::TakeUnknown => prop_assert_eq!(copy_set.0.take_unknown(), core::mem::take(&mut model.unknown)),
            Op::Stray => {
                copy_set.0.stray();
                model.stray += 1;
            }
            Op::TakeStray => prop_assert_eq!(copy_set.0.take_stray(), core::mem::take(&mut model.stray)),
            Op::Clear => {
                copy_set.0.clear_dirty();
                model.dirty.clear();
                model.unknown = false;
            }
            Op::Drain => {
                let mut drained = Vec::new();
                let count = copy_set.0.drain_dirty(|block| drained.push(block));
                let expected = Vec::from_iter(model.drain());
                prop_assert_eq!((count as usize, drained), (expected.len(), expected));
            }
            Op::Begin => {
                copy_set.begin();
                (model.send, model.in_flight) = ((0..model.blocks).collect(), Set::new());
                (model.is_copying, model.cursor) = (true, 0);
            }
            Op::End => {
                copy_set.end();
                (model.send, model.in_flight, model.is_copying) = (Set::new(), Set::new(), false);
            }
            Op::SendNext(count) => {
                for _ in 0..count {
                    let next = copy_set.next();
                    prop_assert_eq!(next, model.next());
                    let Some(block) = next else { break };
                    copy_set.sent(block);
                    model.send.remove(&block);
                    model.in_flight.insert(block);
                    model.cursor = block + 1;
                }
            }
            Op::Sent(block) => {
                let block = in_range(block);
                copy_set.sent(block);
                if model.send.remove(&block) || model.in_flight.contains(&block) {
                    model.in_flight.insert(block);
                    model.cursor = block + 1;
                }
            }
            Op::Lost(block) => {
                let block = in_range(block);
                copy_set.lost(block);
                model.send.extend(model.in_flight.take(&block));
            }
            Op::Arrived(block) => {
                let block = in_range(block);
                prop_assert_eq!(copy_set.arrived(block), model.in_flight.remove(&block));
            }
            Op::Spare(block) => {
                let block = in_range(block);
                copy_set.spare(block);
                model.send.remove(&block);
            }
            Op::Acknowledge => {
                for (count, block) in core::mem::take(&mut model.in_flight).into_iter().enumerate() {
                    match count % 6 {
                        0 | 2 | 4 => prop_assert!(copy_set.arrived(block)),
                        1 => {
                            copy_set.lost(block);
                            model.send.insert(block);
                        }
                        _ => {
                            model.in_flight.insert(block);
                        }
                    }
                }
            }
        }
        prop_assert_eq!(copy_set.left(), model.left());
        prop_assert_eq!(copy_set.next(), model.next());
        Ok(())
    }

    /// Compares every mark with the model.
    fn compare(mut marks: Marks<'_>, model: &Model) -> TestCaseResult {
        let mut dirty = Vec::new();
        marks.each_dirty(|block| dirty.push(block));
        prop_assert!(dirty.iter().eq(&model.dirty), "{dirty:?} for {:?}", model.dirty);
        for block in 0..model.blocks + 3 {
            prop_assert_eq!(marks.is_dirty(block), model.unknown || model.dirty.contains(&block));
        }
        for (block, mark) in marks.map.iter().enumerate() {
            let expected = [(&model.dirty, DIRTY), (&model.send, SEND), (&model.in_flight, IN_FLIGHT)];
            let expected = expected.map(|(set, bit)| if set.contains(&block) { bit } else { 0 });
            prop_assert_eq!(*mark, expected.into_iter().sum::<u8>(), "block {}", block);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_marks_are_those_of_the_sets(
            blocks in prop_oneof![0..140_usize, 1..=MOST_BLOCKS],
            ops in prop::collection::vec(op(), 1..60),
        ) {
            let (mut map, mut summary) = (vec![0; blocks], Summary::default());
            let mut model = Model { blocks, ..Model::default() };
            for op in ops {
                apply(op, Marks { map: &mut map, summary: &mut summary }, &mut model)?;
                compare(Marks { map: &mut map, summary: &mut summary }, &model)?;
            }
        }

        /// Whatever is dirtied meanwhile, as long as less is dirtied than is sent: the copy ends,
        /// and what the joiner has then is what was last committed.
        #[test]
        fn a_copy_ends_with_the_joiner_up_to_date(
            blocks in 1..=300_usize,
            budget in 2..40_usize,
            mut seed in any::<u64>(),
        ) {
            let mut random = |below: usize| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) as usize % below
            };
            let (mut map, mut summary) = (vec![0; blocks], Summary::default());
            let mut set = CopySet(Marks { map: &mut map, summary: &mut summary });
            let (mut donor, mut joiner) = (vec![1_u32; blocks], vec![0; blocks]);
            set.begin();
            let mut cycles = 0;
            while set.left() > 0 {
                let mut sent = Vec::new();
                for _ in 0..budget {
                    let Some(block) = set.next() else { break };
                    set.sent(block);
                    sent.push((block, donor[block]));
                }
                // A step writes after the blocks were sent and before they are acknowledged.
                if random(budget) > 1 {
                    let block = random(blocks);
                    set.0.dirty(block);
                    prop_assert_eq!(set.0.drain_dirty(|block| donor[block] += 1), 1);
                }
                for (block, content) in sent {
                    if random(20) == 0 {
                        set.lost(block);
                    } else {
                        joiner[block] = content;
                        set.arrived(block);
                    }
                }
                cycles += 1;
                prop_assert!(cycles < 100 * blocks, "the copy does not end");
            }
            prop_assert_eq!(joiner, donor);
        }
    }

    /// Each block of each size is found through the summary word, alone and among all.
    #[test]
    fn each_block_is_found_in_each_size() {
        for blocks in 0..=MOST_BLOCKS {
            let (mut map, mut summary) = (vec![0; blocks], Summary::default());
            let mut marks = Marks { map: &mut map, summary: &mut summary };
            for block in 0..blocks {
                marks.dirty(block);
                let (mut seen, mut drained) = (Vec::new(), Vec::new());
                marks.each_dirty(|found| seen.push(found));
                assert_eq!(marks.drain_dirty(|found| drained.push(found)), 1);
                assert_eq!((seen, drained), (vec![block], vec![block]), "of {blocks}");
                marks.each_dirty(|found| panic!("block {found} of {blocks} is still dirty"));
            }
            (0..blocks).for_each(|block| marks.dirty(block));
            let mut all = Vec::new();
            assert_eq!(marks.drain_dirty(|found| all.push(found)), blocks as u32);
            assert!(all.into_iter().eq(0..blocks), "of {blocks}");
        }
    }

    /// Of a cycle's cost: a group that nobody wrote is not looked at, dirty marks or not.
    #[test]
    fn what_the_summary_rules_out_is_not_looked_at() {
        let (mut map, mut summary) = (vec![0; 1024], Summary::default());
        map[512] = DIRTY;
        let mut marks = Marks { map: &mut map, summary: &mut summary };
        marks.each_dirty(|block| panic!("block {block} is not in the summary"));
        marks.dirty(543);
        let mut seen = Vec::new();
        marks.each_dirty(|block| seen.push(block));
        assert_eq!(seen, [512, 543], "of one group all are looked at");
    }

    #[test]
    fn the_next_block_goes_round_and_meets_each_one_once() {
        for blocks in [1, 2, 3, 4, 5, 31, 127, 128, 129, 1023, 1025] {
            let (mut map, mut summary) = (vec![0; blocks], Summary::default());
            let mut set = CopySet(Marks { map: &mut map, summary: &mut summary });
            assert_eq!((set.next(), set.left()), (None, 0), "no copy yet");
            set.begin();
            for block in 0..blocks {
                assert_eq!((set.next(), set.left()), (Some(block), blocks as u32));
                set.sent(block);
            }
            assert_eq!((set.next(), set.left()), (None, blocks as u32), "all in flight");
            let lost = BTreeSet::from([0, blocks / 3, blocks / 2, blocks - 1]);
            lost.iter().for_each(|block| set.lost(*block));
            let again: Vec<_> = core::iter::from_fn(|| set.next().inspect(|block| set.sent(*block))).collect();
            assert!(again.iter().eq(&lost), "{again:?} for {lost:?}");
            assert!((0..blocks).all(|block| set.arrived(block)));
            assert_eq!((set.next(), set.left()), (None, 0));
        }
    }

    #[test]
    fn all_blocks_are_in_a_group_and_no_group_is_larger_than_it_must_be() {
        let mut map = vec![0; 65_536];
        for blocks in (1..=2_000).chain([4_096, 4_097, 32_768, 65_535, 65_536]) {
            let marks = Marks { map: &mut map[..blocks], summary: &mut Summary::default() };
            let shift = marks.shift();
            assert!((blocks - 1) >> shift < GROUPS as usize, "{blocks} blocks: one is in no group");
            assert!(1 << shift == WORD || (blocks - 1) >> (shift - 1) >= GROUPS as usize, "{blocks} blocks: too large");
        }
    }

    #[test]
    fn a_block_written_while_in_flight_is_sent_again() {
        let (mut map, mut summary) = (vec![0; 6], Summary::default());
        let mut set = CopySet(Marks { map: &mut map, summary: &mut summary });
        set.begin();
        (0..6).for_each(|block| set.sent(block));

        // Written in a step that is not committed: what was sent is still what is committed.
        set.0.dirty(1);
        assert!(set.arrived(1), "nothing newer is committed");
        assert_eq!(set.left(), 5);
        set.0.dirty(2);
        set.0.clear_dirty();
        assert!(set.arrived(2), "the step was rolled back");
        assert_eq!((set.left(), set.next()), (4, None));

        set.0.dirty(3);
        assert_eq!(set.0.drain_dirty(|_| ()), 1);
        assert!(!set.arrived(3), "the joiner has what was there before");
        assert_eq!((set.left(), set.next()), (4, Some(3)));
        set.sent(3);
        assert!(set.arrived(3));
        assert_eq!((set.left(), set.next()), (3, None));

        // One that had arrived before.
        set.0.dirty(2);
        assert_eq!(set.0.drain_dirty(|_| ()), 1);
        assert_eq!((set.left(), set.next()), (4, Some(2)));
        set.end();
        assert_eq!((set.left(), set.next()), (0, None));
        set.0.dirty(4);
        set.0.drain_dirty(|_| ());
        assert_eq!((set.left(), set.next()), (0, None), "no copy is being made");
    }
}
