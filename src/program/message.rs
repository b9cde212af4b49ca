//! What is sent of a program: its inputs and outputs, and how long they can get.

use postcard::experimental::max_size::MaxSize;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An input or an output: a `serde` type whose postcard encoding has a longest length.
///
/// Every type with postcard's `MaxSize` is one: derive that, with `experimental-derive` among the features of `postcard`. For a type
/// that cannot have it, such as one with a list of your own, declare the bytes by hand: a `u8` or `bool` takes 1, a `u16` 3, a `u32` 5, a
/// `u64` 10; a list takes what its length does as a `u32`, and its elements. Keep the list that short where it is sampled.
pub trait Message: Serialize + DeserializeOwned + Clone {
    /// Bytes of the longest encoding. A longer input is refused as a cycle begins
    /// ([`BufferTooSmall`](crate::wire::BufferTooSmall)); a longer output is a fault,
    /// [`OUTPUT_TOO_LARGE`](crate::Faults::OUTPUT_TOO_LARGE), if its vote does not fit a frame.
    const MAX_BYTES: usize;
}

impl<T: Serialize + DeserializeOwned + Clone + MaxSize> Message for T {
    const MAX_BYTES: usize = T::POSTCARD_MAX_SIZE;
}
