//! What is known of the last cycles, in memory that is used again for the next ones: a campaign has many millions.

use std::collections::VecDeque;
use std::vec::Vec;

/// A value for each of the last numbers, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent<T> {
    of: VecDeque<(u32, T)>,
    /// Values that were dropped, empty.
    spare: Vec<T>,
}

/// A value that can be emptied and used again.
pub(super) trait Reuse: Default {
    /// Empties it.
    fn empty(&mut self);
}

impl<T> Reuse for [Vec<T>; 2] {
    fn empty(&mut self) {
        self.iter_mut().for_each(Vec::clear);
    }
}

impl<T: Reuse> Recent<T> {
    /// Returns the value of a number, an empty one at first.
    pub(super) fn entry(&mut self, number: u32) -> &mut T {
        // Most are asked for by the last numbers.
        let behind = self.of.iter().rev().take_while(|(other, _)| *other > number).count();
        let at = self.of.len() - behind;
        if at == 0 || self.of[at - 1].0 != number {
            self.of.insert(at, (number, self.spare.pop().unwrap_or_default()));
            return &mut self.of[at].1;
        }
        &mut self.of[at - 1].1
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (_, value) =
            self.of.iter().rev().find(|(other, _)| *other <= number).filter(|(other, _)| *other == number)?;
        Some(value)
    }

    /// Returns the largest number.
    pub(super) fn last(&self) -> Option<u32> {
        self.of.back().map(|(number, _)| *number)
    }

    /// Drops those before a number.
    pub(super) fn drop_before(&mut self, number: u32) {
        while self.of.front().is_some_and(|(first, _)| *first < number) {
            self.drop_first();
        }
    }

    /// Drops the first ones beyond so many.
    pub(super) fn keep(&mut self, most: usize) {
        while self.of.len() > most {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, mut value)) = self.of.pop_front() {
            value.empty();
            self.spare.push(value);
        }
    }
}

/// Byte strings, each once, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Reuse for Strings {
    fn empty(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Strings {
    /// Adds a string that is not there yet.
    pub(super) fn add(&mut self, string: &[u8]) {
        if !self.has(string) {
            self.bytes.extend_from_slice(string);
            self.ends.push(self.bytes.len());
        }
    }

    pub(super) fn has(&self, string: &[u8]) -> bool {
        let mut start = 0;
        self.ends.iter().any(|end| self.bytes[std::mem::replace(&mut start, *end)..*end] == *string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_any_order_and_the_first_ones_are_dropped() {
        let mut recent = Recent::<Strings>::default();
        for number in [5, 3, 9, 3, 4] {
            recent.entry(number).add(&number.to_le_bytes());
        }
        assert_eq!((recent.last(), recent.of.len()), (Some(9), 4));
        recent.drop_before(4);
        recent.keep(2);
        assert!(recent.get(4).is_none() && recent.get(6).is_none());
        assert!(recent.get(5).is_some_and(|strings| strings.has(&5_u32.to_le_bytes())));
        assert!(!recent.entry(10).has(&3_u32.to_le_bytes()), "used again, and empty");
    }

    #[test]
    fn a_string_is_one_that_was_added_and_no_part_of_it() {
        let mut strings = Strings::default();
        assert!(!strings.has(b""));
        for string in [&b"ab"[..], b"c", b"ab", b""] {
            strings.add(string);
        }
        assert_eq!(strings.ends.len(), 3);
        assert!(
            strings.has(b"ab") && strings.has(b"c") && strings.has(b"") && !strings.has(b"abc") && !strings.has(b"a")
        );
    }
}
