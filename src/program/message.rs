//! What is sent of a program: its inputs and outputs, and how long they can get.

use postcard::experimental::max_size::MaxSize;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An input or an output: a `serde` type whose postcard encoding has a longest length.
///
/// Every type with postcard's `MaxSize` is one: derive that, with `experimental-derive` among the features of `postcard`. For a type
/// that cannot have it, such as one with a list, declare the bytes by hand.
pub trait Message: Serialize + DeserializeOwned + Clone {
    /// Bytes of the longest encoding. A longer input is refused as a cycle begins; a longer output is a fault,
    /// [`OUTPUT_TOO_LARGE`](crate::Faults::OUTPUT_TOO_LARGE), if its vote does not fit a frame.
    const MAX_BYTES: usize;
}

impl<T: Serialize + DeserializeOwned + Clone + MaxSize> Message for T {
    const MAX_BYTES: usize = T::POSTCARD_MAX_SIZE;
}
