//! What is due, by its time; of the same time, what was put in first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Things that are due.
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    count: u64,
}

struct Entry<T> {
    at_ns: u64,
    number: u64,
    due: T,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }

    /// Puts something in.
    pub(super) fn push(&mut self, at_ns: u64, due: T) {
        self.count += 1;
        self.heap.push(Reverse(Entry { at_ns, number: self.count, due }));
    }

    /// Takes out what is due first, and when.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at_ns, entry.due))
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (u64, u64) {
        (self.at_ns, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn the_earliest_comes_first_and_of_the_same_time_the_first_one_in() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            queue.push(at, what);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(3, 'a'), (3, 'b'), (5, 'c'), (5, 'd')]);
    }
}
