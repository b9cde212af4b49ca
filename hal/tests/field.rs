//! Two run loops in one virtual time, with what the field gives and a configuration does not say: other delays than those that were
//! configured, sensors that take their time, late wake-ups, stalls, clocks that jump, arbiters that are silent.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod board;
#[path = "field/clocks.rs"]
mod clocks;
#[path = "field/halves.rs"]
mod halves;
#[path = "field/newcomer.rs"]
mod newcomer;
#[path = "field/program.rs"]
mod program;
#[path = "field/rate.rs"]
mod rate;
#[path = "field/sends.rs"]
mod sends;
#[path = "field/stall.rs"]
mod stall;
#[path = "field/time.rs"]
mod time;
#[path = "field/uart.rs"]
mod uart;
