//! What a traced pair did, to be read by a person.

use crate::diagnose::Diagnosis;
use crate::fault::Faults;
use crate::ids::{ChannelId, Cycle};
use crate::journal::Entry;
use crate::mode::Mode;
use crate::node::Invariant;
use crate::verdict::Outcome;
use std::string::String;

/// Something that a traced pair did.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// True time.
    pub at_us: u64,
    /// The channel.
    pub channel: ChannelId,
    /// What it did.
    pub what: TracedEvent,
}

/// What a channel did.
#[derive(Clone, Debug, PartialEq)]
pub enum TracedEvent {
    /// Put this into its journal.
    Noted(Entry),
    /// Came to a verdict.
    Verdict {
        /// The cycle.
        cycle: Cycle,
        /// What it came to.
        outcome: Outcome,
        /// The mode after it.
        mode: Mode,
        /// The faults seen.
        faults: Faults,
        /// Who was wrong, if the votes differed.
        diagnosis: Option<Diagnosis>,
    },
    /// Fixed this sample for a cycle.
    Sampled(String),
    /// Released this output, of which the oracle says that.
    Drove(String),
    /// Was found with this broken.
    Broke(Invariant),
    /// Was from then on as this says: off, on, or hung.
    Became(String),
}
