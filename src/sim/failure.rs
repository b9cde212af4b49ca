//! Channels that stop: dead at a byte of what they send, or hung for a while.

use crate::verdict::Unbound;

/// How a channel stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// For good, until it is restarted.
    Dies,
    /// For a while; then it goes on where it was, in the middle of a turn if need be.
    Hangs {
        /// How long; `None`: until it is restarted.
        for_us: Option<u64>,
        /// Whether what arrives meanwhile is kept for it, as by interrupts, or lost.
        hears: bool,
    },
}

/// A channel that hangs.
pub(super) struct Hung<O> {
    pub(super) until: Option<u64>,
    /// Since when, if it hangs in the middle of a send.
    pub(super) sends_since: Option<u64>,
    pub(super) hears: bool,
    /// What it was about to drive.
    pub(super) verdicts: [Option<Unbound<O>>; 2],
}
