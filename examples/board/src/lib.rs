#![no_std]
//! What the emulated boards' firmware shares, whatever the chip: the loop, the field bus and the clock.
//!
//! ```text
//! field         the bus to the plant side: sensors in, outputs out; and the relay on it, as an arbiter
//! clock         milliseconds from SysTick, and sleep
//! virtual_time  clock and lines of a board whose time is the rig's
//! serve         boot, then cycle after cycle, reported over the field bus
//! upgrade       orders and duties of an upgrade, over the field bus
//! ```

pub mod clock;
pub mod field;
pub mod serve;
mod upgrade;
pub mod virtual_time;
