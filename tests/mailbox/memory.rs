//! A mailbox as the words of memory that it is: for stray writes, other images and caches.

use std::sync::atomic::{AtomicU32, Ordering};
use twinstep::Mailbox;

/// Returns the words of a mailbox that was made by [`at_power_up`], or of which no padding is looked at.
#[allow(unsafe_code)]
pub fn words<const S: usize, const W: usize>(mailbox: &Mailbox<S, W>) -> &[AtomicU32] {
    let words = size_of::<Mailbox<S, W>>() / 4;
    // SAFETY: the layout is documented: atomic words, and padding that nobody else looks at, in memory of `at_power_up`.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(mailbox).cast(), words) }
}

/// Returns a mailbox in memory that is all zero and that nobody has initialised: what both images find at power-up.
#[allow(unsafe_code)]
pub fn at_power_up<const S: usize, const W: usize>() -> Box<Mailbox<S, W>> {
    // SAFETY: the size is not 0, and all zero is a mailbox: it is made of words.
    unsafe { Box::from_raw(std::alloc::alloc_zeroed(std::alloc::Layout::new::<Mailbox<S, W>>()).cast()) }
}

pub fn load<const S: usize, const W: usize>(mailbox: &Mailbox<S, W>, word: usize) -> u32 {
    words(mailbox)[word].load(Ordering::SeqCst)
}

pub fn store<const S: usize, const W: usize>(mailbox: &Mailbox<S, W>, word: usize, value: u32) {
    words(mailbox)[word].store(value, Ordering::SeqCst);
}
