//! A board whose flash loses power at any operation, and an oracle that knows what may be booted then.
#![allow(dead_code)] // each test takes what it needs
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub(crate) mod device;
pub(crate) mod flash;
pub(crate) mod pictures;
