//! Memory for copies of a node: leaked once and used again.

use super::program::Sum;
use std::cell::RefCell;
use twinstep::Memory;
use twinstep::memory::{Cells, blocks};

thread_local! {
    /// Memory of states that are done with.
    static SPARE: RefCell<Vec<Cells<'static, Sum>>> = const { RefCell::new(Vec::new()) };
}

/// Takes memory that nobody uses.
pub fn spare() -> Cells<'static, Sum> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
        let memory: &'static mut Memory<Sum, { blocks::<Sum>() }> = Box::leak(Box::new(Memory::new()));
        memory.try_into().unwrap()
    })
}

/// Gives memory back.
pub fn give_back(cells: Cells<'static, Sum>) {
    SPARE.with_borrow_mut(|spare| spare.push(cells));
}
