//! What the field does to a pair and a simulation took for granted: data that has grown old, channels that nobody polls, answers that do not
//! come. Each with its control: without the mechanism the same test fails.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "field/age.rs"]
mod age;
#[path = "field/answers.rs"]
mod answers;
#[path = "field/hostile.rs"]
mod hostile;
#[path = "field/identity.rs"]
mod identity;
#[path = "field/rejoin.rs"]
mod rejoin;
#[path = "field/stall.rs"]
mod stall;
mod support;
#[path = "field/two.rs"]
mod two;
