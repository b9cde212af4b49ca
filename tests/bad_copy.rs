//! Bad input among the frames that carry memory: each one that is not the peer's word of now is
//! refused by its cause, counted, and changes nothing; then the copy goes on, or starts over, and
//! the pair is in duplex with the right state.
//!
//! Two nodes driven by hand, their frames carried by the test. The test holds the keys, so what
//! it forges passes the CRC.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "bad_copy/answers.rs"]
mod answers;
#[path = "support/bench.rs"]
mod bench;
#[path = "bad_copy/blocks.rs"]
mod blocks;
#[path = "bad_copy/cuts.rs"]
mod cuts;
#[path = "bad_copy/everywhere.rs"]
mod everywhere;
#[path = "bad_copy/forked.rs"]
mod forked;
#[path = "support/frames.rs"]
mod frames;
#[path = "bad_copy/moments.rs"]
mod moments;
#[path = "bad_copy/random.rs"]
mod random;
mod support;
