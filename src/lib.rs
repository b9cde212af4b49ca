#![no_std]
#![doc = include_str!("../README.md")]
//!
//! # Crate map
//!
//! Each module imports only from those above it.
//!
//! ```text
//! ids, sync, bytes, digest, mechanism  newtypes; shared words; copies; digests and CRC; switches for negative controls
//! canonical                     the bytes of a value
//! mailbox                       a link for two cores on one chip
//! memory, marks, tracked, mirror  MIRROR: state in blocks, what was written, the checkpoint
//! fault                         faults, health, what is kept of a vote
//! program, rule                 what the user writes
//! succession                    what a new version says of the one before
//! config, wire                  timing and policy; the frame format
//! lease                         who owns the outputs: the arbiter
//! shared_claim, split_claim     arbiters of two cores on one chip
//! agree, vote, diagnose, handshake, mode  one idea each, as pure as they come
//! buckets, reintegrate, upgrade  who was suspected how often; who copies what to a channel that joins; new versions
//! journal, timing               events, counters, the first-fault record; what is measured of time
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
pub mod mailbox;
mod mechanism;
pub mod memory;
pub mod mirror;
pub mod mode;
pub mod node;
pub mod program;
pub mod rule;
#[cfg(target_has_atomic = "32")]
pub mod shared_claim;
#[cfg(feature = "sim")]
pub mod sim;
pub mod split_claim;
pub mod succession;
#[doc(hidden)]
pub mod sync;
pub mod timing;
pub mod tracked;
pub mod upgrade;
pub mod verdict;
pub mod vote;
pub mod wire;

mod agree;
mod bytes;
mod handshake;
mod marks;
pub mod reintegrate;

pub use config::{Config, ConfigError, Drive, Unattributed};
pub use diagnose::Diagnosis;
pub use fault::{Faults, Health};
pub use ids::{ChannelId, Cycle, Epoch, Instant, PairId};
pub use journal::{Entry, Event, FirstFault};
pub use lease::{Arbiter, Claim, Confirmation, Grounds, Preferred};
pub use mailbox::Mailbox;
#[cfg(feature = "sim")]
pub use mechanism::Mechanism;
pub use memory::{Memory, blocks};
pub use mode::Mode;
#[cfg(feature = "sim")]
pub use node::Site;
pub use node::{Begun, Calls, CopyForecast, MayUpgrade, NoUpgrades, Node, Upgrades, frame};
pub use program::{Agreement, Build, Message, Program};
#[cfg(target_has_atomic = "32")]
pub use shared_claim::{ClaimWord, SharedClaim};
pub use split_claim::{ClaimWords, SplitClaim};
pub use succession::{CannotMigrate, Succession, Successor};
pub use timing::Timing;
pub use tracked::Tracked;
pub use verdict::{Outcome, Release, Verdict};
pub use vote::{OpenError, Voted};
