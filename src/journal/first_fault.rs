//! The latched record of what went wrong first.

use crate::diagnose::{Diagnosis, Evidence};
use crate::fault::{Faults, VoteRecord};
use crate::ids::{ChannelId, Cycle, Epoch};

/// The record of what went wrong first; latched until it is cleared on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FirstFault {
    /// The cycle in which it was seen.
    pub cycle: Cycle,
    /// The epoch in which it was seen.
    pub epoch: Epoch,
    /// What was seen.
    pub faults: Faults,
    /// The votes of A and B in that cycle, as far as this channel had them.
    pub votes: [Option<VoteRecord>; 2],
    /// If they differed: what A and B found, as far as this channel has it.
    pub evidence: [Option<Evidence>; 2],
    /// And what came of it.
    pub diagnosis: Option<Diagnosis>,
}

impl FirstFault {
    /// Returns what to look at first, if the votes differed: the program, a channel, the link, or what both channels share.
    pub fn hint(&self) -> Option<&'static str> {
        self.diagnosis.map(|diagnosis| diagnosis.hint_from(&self.evidence))
    }

    /// Returns the vote of `channel`, if it was there when the fault was seen.
    pub fn vote(&self, channel: ChannelId) -> Option<&VoteRecord> {
        let [a, b] = &self.votes;
        match channel {
            ChannelId::A => a.as_ref(),
            ChannelId::B => b.as_ref(),
        }
    }
}
