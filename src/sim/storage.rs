//! Heap memory for a state whose size only the type knows.

use crate::memory::{Block, Cells, State, blocks};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

/// As a [`Memory`](crate::Memory) aligns its state.
#[repr(C, align(64))]
struct Aligned<T>(T);

/// Owns the mirrored memory of one channel, for programs run on a host.
pub struct Storage<T> {
    working: Box<Aligned<T>>,
    checkpoint: Vec<Block>,
    digests: Vec<u32>,
    marks: Vec<u8>,
}

impl<T: State> Storage<T> {
    /// Allocates zeroed memory.
    pub fn new() -> Self {
        let count = blocks::<T>();
        Self {
            working: Box::new(Aligned(T::new_zeroed())),
            checkpoint: vec![Block::ZERO; count],
            digests: vec![0; count],
            marks: vec![0; count],
        }
    }

    /// Borrows the memory for a node or a mirror.
    pub fn cells(&mut self) -> Cells<'_, T> {
        Cells::new(&mut self.working.0, &mut self.checkpoint, &mut self.digests, &mut self.marks)
            .expect("allocated for this type")
    }
}

impl<T: State> Default for Storage<T> {
    fn default() -> Self {
        Self::new()
    }
}
