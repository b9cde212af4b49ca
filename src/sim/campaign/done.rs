//! An injection that was done.

use super::classify::{Observed, Outcome};
use crate::mode::Mode;
use crate::sim::{Broken, Report, Traced};
use std::prelude::v1::*;

/// One injection, done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its number in the campaign.
    pub index: u64,
    /// The place of its class in [`Class::ALL`](super::Class::ALL).
    pub class: usize,
    /// `None` if there was nothing at the place of the fault.
    pub outcome: Option<Outcome>,
    /// Periods until something was noticed.
    pub latency: Option<u32>,
    /// Votes differed.
    pub diverged: bool,
    /// What was observed.
    pub seen: Observed,
}

/// What a pair was like after an injection, to be read by a person.
#[derive(Clone, Debug, Default)]
pub struct After {
    /// The modes of A and B.
    pub modes: [Option<Mode>; 2],
    /// What both channels did, if this was asked for.
    pub trace: Vec<Traced>,
    /// What the pair came to since its boot.
    pub report: Report,
    /// The panic that ended it.
    pub panic: Option<String>,
    /// The first invariant that was broken.
    pub broken: Option<Broken>,
}

/// What was seen of an injection into an upgrade.
pub struct Watched {
    /// `None` if it is not of its class: what it hit was no half of that sort.
    pub outcome: Option<Outcome>,
    /// What was observed.
    pub seen: Observed,
    /// Cycles that were simulated for it.
    pub cycles: u64,
    /// What the pair was like.
    pub after: After,
}
