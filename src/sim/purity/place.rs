//! Where a program's state lies, and what lies on the stack below its caller.

use crate::digest::BLOCK_BYTES;
use crate::memory::{Block, State, blocks};
use core::hint::black_box;
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes;

/// A page of memory.
const PAGE_BLOCKS: usize = 4096 / BLOCK_BYTES;

/// What the stack is filled with.
const LITTER_BYTES: usize = 32 * 1024;

/// Zeroed memory for a state, at a chosen distance from the start of a page.
pub(super) struct Place {
    blocks: Vec<Block>,
    start: usize,
}

impl Place {
    /// Allocates memory. The state lies `offset_blocks` blocks behind the start of a page.
    pub(super) fn new<T: State>(offset_blocks: usize) -> Self {
        const { assert!(align_of::<T>() <= BLOCK_BYTES, "a state is aligned to 64 bytes at most") }
        let blocks = vec![Block::ZERO; blocks::<T>() + PAGE_BLOCKS];
        let first = blocks.as_ptr().addr() / BLOCK_BYTES;
        let start = offset_blocks.wrapping_sub(first) % PAGE_BLOCKS;
        Self { blocks, start }
    }

    pub(super) fn state<T: State>(&mut self) -> &mut T {
        let bytes = self.blocks[self.start..].as_mut_bytes();
        T::mut_from_prefix(bytes).expect("allocated for this type").0
    }
}

/// Fills the stack below the caller with a pattern: that is what a function called next finds where it has yet to write.
#[inline(never)]
pub(super) fn litter_stack(pattern: u8) {
    let mut litter = [pattern; LITTER_BYTES];
    black_box(&mut litter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_lies_where_it_was_asked_for() {
        for offset in [0, 1, 21, 42, 63] {
            let mut place = Place::new::<[u64; 100]>(offset);
            let state: &mut [u64; 100] = place.state();
            assert_eq!(core::ptr::from_ref(state).addr() % 4096, offset * 64);
            assert_eq!(*state, [0; 100]);
        }
    }
}
