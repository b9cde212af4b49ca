//! SIM  a seeded pair in virtual time, with faults and an oracle (feature `sim`).
//!
//! Two real nodes, a link that loses, flips, repeats, delays, reorders, truncates,
//! inserts, reflects and cuts, an arbiter, drifting clocks; and an [`Oracle`] that runs the
//! program a third time and judges every released output. All from one seed, so that a
//! failure is replayed by its number. Frames take their time on a serial line, one after the other, and a channel waits
//! for its UART as with a blocking driver ([`LineModel`]): what the line cannot carry in a cycle does not cross in it.
//! Use it to test your own program:
//!
//! ```
//! use twinstep::sim::{LinkFaults, Pair, Setup, Storage};
//! # use twinstep::{Agreement, ChannelId, Cycle, Program, Tracked};
//! # struct Counter;
//! # impl Program for Counter {
//! #     type Input = u8;
//! #     type Output = u32;
//! #     type State = u32;
//! #     const SAFE: u32 = 0;
//! #     const VERSION: u32 = 1;
//! #     const BUILD: twinstep::Build = twinstep::Build::new(1);
//! #     fn agree(a: &u8, b: &u8) -> Agreement<u8> { Agreement::on(*a.max(b)) }
//! #     fn step(_: Cycle, state: &mut Tracked<u32>, input: &u8) -> u32 {
//! #         state.update(|s| s, |count| count.wrapping_add(u32::from(*input)));
//! #         **state
//! #     }
//! # }
//! let setup = Setup { seed: 7, link: LinkFaults::NOISY, ..Setup::default() };
//! let mut memory = [Storage::new(), Storage::new()];
//! let sensor = |channel: ChannelId, cycle: Cycle| (cycle.0 as u8).wrapping_add(channel.index() as u8);
//! let mut pair = Pair::<Counter>::new(&setup, &mut memory, sensor)?;
//! pair.run(100);
//! pair.kill(ChannelId::A);
//! pair.run(100);
//! pair.restart(ChannelId::A); // gets the state from B, which serves on
//! pair.run(100);
//! let report = pair.report();
//! assert_eq!((report.wrong, report.missing, report.owners_max), (0, 0, 1));
//! assert!(report.takeovers >= 1 && report.joined >= 1);
//! # Ok::<(), twinstep::ConfigError>(())
//! ```
//!
//! [`check_pure`] finds programs whose functions depend on more than their arguments: such a program diverges in the pair.
//!
#![doc = include_str!("sim/zeros.md")]
// A test rig: it may stop at its own mistakes.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod arbiter;
pub mod campaign;
mod checks;
mod clock;
mod disturbance;
mod failure;
mod hush;
mod line;
mod link;
mod oracle;
mod pair;
mod purity;
mod recent;
mod report;
mod sending;
mod setup;
mod storage;
mod trace;
mod upgrade;
mod votes;
mod wire;

pub use arbiter::{ArbiterKind, Silence, SimArbiter};
pub use campaign::Campaign;
pub use checks::Broken;
pub use disturbance::{Arrival, Disturbance, Disturbed, Secrets};
pub use failure::Failure;
pub use link::LinkFaults;
pub use oracle::{Judgement, Oracle};
pub use pair::{CallPoint, Moment, Pair, World};
pub use purity::{Impurity, SeenIn, Suspect, Symptom, check_pure};
pub use report::Report;
pub use setup::Setup;
pub use storage::Storage;
pub use trace::{Traced, TracedEvent};
pub use upgrade::{Bootloader, Half, Image, Memories, TwoOracles, UpgradePair, Version};
pub use votes::VoteTap;
pub use wire::{ByteTimes, LineModel, Wire, bytes_on_line};
