#![no_std]
#![doc = include_str!("../README.md")]
//!
//! # Crate map
//!
//! Each module imports only from those above it.
//!
//! ```text
//! ids, digest, mechanism        newtypes; digests and CRC; switches for negative controls
//! canonical                     the bytes of a value
//! memory, marks, tracked, mirror  MIRROR: state in blocks, what was written, the checkpoint
//! fault                         faults, health, what is kept of a vote
//! program, rule                 what the user writes
//! config, wire                  timing and policy; the frame format
//! lease                         who owns the outputs: the arbiter
//! agree, vote, diagnose, handshake, mode  one idea each, as pure as they come
//! buckets, reintegrate          who was suspected how often; who copies what to a channel that joins
//! journal                       events, counters, the first-fault record
//! verdict                       what a cycle came to
//! node                          one channel: the cycle from top to bottom
//! sim                           a seeded pair in virtual time (feature `sim`)
//! ```
//!
//! # The data's way
//!
//! ```text
//! sample -> [Sample frame] -> agree -> step -> [Vote frame] -> compare -> commit -> Voted -> actuator
//!                peer's -------^        |           peer's -------^          |
//!                                    tracked state                     checkpoint
//! ```

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod buckets;
pub mod canonical;
pub mod config;
pub mod diagnose;
pub mod digest;
pub mod fault;
pub mod ids;
pub mod journal;
pub mod lease;
mod mechanism;
pub mod memory;
pub mod mirror;
pub mod mode;
pub mod node;
pub mod program;
pub mod rule;
#[cfg(feature = "sim")]
pub mod sim;
pub mod tracked;
pub mod verdict;
pub mod vote;
pub mod wire;

mod agree;
mod handshake;
mod marks;
pub mod reintegrate;

pub use config::{Config, ConfigError, Drive, Unattributed};
pub use diagnose::Diagnosis;
pub use fault::{Faults, Health};
pub use ids::{ChannelId, Cycle, Epoch, Instant, PairId};
pub use journal::{Entry, Event, FirstFault};
pub use lease::{Arbiter, Claim, Grounds, Preferred};
#[cfg(feature = "sim")]
pub use mechanism::Mechanism;
pub use memory::{Memory, blocks};
pub use mode::Mode;
#[cfg(feature = "sim")]
pub use node::Site;
pub use node::{Begun, Node};
pub use program::{Agreement, Program};
pub use tracked::Tracked;
pub use verdict::{Outcome, Release, Verdict};
pub use vote::{OpenError, Voted};
