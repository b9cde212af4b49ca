//! DIAGNOSE  who was wrong: a pure function of both sides' evidence.
//!
//! Votes that differ do not say who is wrong. Both channels then check the checkpoint, roll back to
//! it, step once more on the same agreed input, and exchange what they found. The first rule that
//! applies decides, and both get the same answer from the same pair:
//!
//! ```text
//! the second results                         who was wrong
//! 1  agree                                   Transient: the result is released. Suspected is who
//!                                              changed its result between first and second;
//!                                              else who recorded the other's vote as another:
//!                                              the path between them (which end, nobody knows);
//!                                              else who claimed a mismatch where there is none:
//!                                              its comparator
//!    differ, and one side had settled:       the other one
//! 2  differ, one checkpoint is damaged:      that channel
//! 3  differ, one result changed:             that channel
//! 4  differ, one self-test or health failed: that channel
//! 5  differ                                  Unattributed: a policy decides
//! ```

use crate::fault::{Health, flags_are_named};
use crate::ids::ChannelId;
use crate::wire::{EvidencePayload, Finding};
use serde::{Deserialize, Serialize};

bitflags::bitflags! {
    /// Who or what is suspected of a transient fault.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Suspects: u8 {
        /// Channel A computed or kept a result wrongly.
        const CHANNEL_A = 1;
        /// Channel B did.
        const CHANNEL_B = 2;
        /// A vote was damaged on its way: in a transmitter, on the link, or in a receiver.
        const PATH = 4;
        /// The comparator of A saw a difference where there was none.
        const COMPARATOR_A = 8;
        /// The comparator of B did.
        const COMPARATOR_B = 16;
    }
}

impl Suspects {
    /// Returns the flag of a channel.
    pub const fn channel(channel: ChannelId) -> Self {
        match channel {
            ChannelId::A => Self::CHANNEL_A,
            ChannelId::B => Self::CHANNEL_B,
        }
    }

    /// Returns the flag of a channel's comparator.
    pub const fn comparator(channel: ChannelId) -> Self {
        match channel {
            ChannelId::A => Self::COMPARATOR_A,
            ChannelId::B => Self::COMPARATOR_B,
        }
    }
}

flags_are_named!(Suspects, u8);

/// What one channel found when the votes of a cycle differed. Votes are told apart by their digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Evidence {
    /// Every block of the checkpoint holds its digest, if need be after it was mended.
    pub checkpoint_holds: bool,
    /// The channel saw the votes differ, rather than hearing of it.
    pub saw_mismatch: bool,
    /// The channel saw no difference and has done the cycle: its result is final.
    pub is_settled: bool,
    /// The vote that the channel cast first.
    pub first: u32,
    /// The peer's first vote as the channel had it, if it had.
    pub peer_first: Option<u32>,
    /// The vote for what stepping once more came to.
    pub second: u32,
    /// What the channel says of its own health in this cycle.
    pub health: Health,
}

impl Evidence {
    /// Reads the evidence of a frame; `second` is the digest of the vote in it.
    pub fn of_payload(payload: &EvidencePayload<'_>, is_settled: bool, second: u32) -> Option<Self> {
        let findings = Finding::from_bits(payload.findings)?;
        Some(Self {
            checkpoint_holds: findings.contains(Finding::CHECKPOINT_HOLDS),
            saw_mismatch: findings.contains(Finding::SAW_MISMATCH),
            is_settled,
            first: payload.first,
            peer_first: findings.contains(Finding::HAD_PEER_VOTE).then_some(payload.peer_first),
            second,
            health: Health::from_bits(payload.health)?,
        })
    }

    /// Returns the payload that says this, with the bucket levels and the second vote.
    pub fn payload<'b>(&self, levels: [u8; 5], vote: &'b [u8]) -> EvidencePayload<'b> {
        let mut findings = Finding::empty();
        findings.set(Finding::CHECKPOINT_HOLDS, self.checkpoint_holds);
        findings.set(Finding::SAW_MISMATCH, self.saw_mismatch);
        findings.set(Finding::HAD_PEER_VOTE, self.peer_first.is_some());
        EvidencePayload {
            findings: findings.bits(),
            health: self.health.bits(),
            first: self.first,
            peer_first: self.peer_first.unwrap_or_default(),
            levels,
            vote,
        }
    }

    /// Whether stepping once more gave another result.
    pub const fn is_unstable(&self) -> bool {
        self.first != self.second
    }
}

/// Why a channel counts as faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Proof {
    /// The other channel had settled, and stepping once more did not arrive at its result.
    Settled,
    /// Its checkpoint is damaged.
    Checkpoint,
    /// It gave two results for the same input from the same state.
    Unstable,
    /// Its self-test failed, or its health was in doubt.
    Health,
    /// It was suspected too often.
    TooOften,
    /// Nothing proves it; the policy prefers the other channel.
    Policy,
}

/// What came of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Diagnosis {
    /// Stepping once more, both agree: that result is released.
    Transient(Suspects),
    /// This channel is faulty; the other one goes on.
    Faulty(ChannelId, Proof),
    /// Both stand by their results, and nothing speaks against either.
    Unattributed,
}

/// Tells who was wrong from the evidence of A and B. `agree`: the voter accepts the second results.
pub fn diagnose(a: &Evidence, b: &Evidence, agree: bool) -> Diagnosis {
    if agree {
        return Diagnosis::Transient(suspects(a, b));
    }
    let only = |of_a: bool, of_b: bool| match (of_a, of_b) {
        (true, false) => Some(ChannelId::A),
        (false, true) => Some(ChannelId::B),
        _ => None,
    };
    let rules = [
        (only(b.is_settled, a.is_settled), Proof::Settled),
        (only(!a.checkpoint_holds, !b.checkpoint_holds), Proof::Checkpoint),
        (only(a.is_unstable(), b.is_unstable()), Proof::Unstable),
        (only(!a.health.is_empty(), !b.health.is_empty()), Proof::Health),
    ];
    let found = rules.into_iter().find_map(|(channel, proof)| Some((channel?, proof)));
    found.map_or(Diagnosis::Unattributed, |(channel, proof)| Diagnosis::Faulty(channel, proof))
}

fn suspects(a: &Evidence, b: &Evidence) -> Suspects {
    let misread = |by: &Evidence, of: &Evidence| by.peer_first.is_some_and(|seen| seen != of.first);
    let mut suspects = Suspects::empty();
    suspects.set(Suspects::CHANNEL_A, a.is_unstable());
    suspects.set(Suspects::CHANNEL_B, b.is_unstable());
    if suspects.is_empty() && (misread(a, b) || misread(b, a)) {
        suspects = Suspects::PATH;
    }
    if suspects.is_empty() {
        suspects.set(Suspects::COMPARATOR_A, a.saw_mismatch);
        suspects.set(Suspects::COMPARATOR_B, b.saw_mismatch);
    }
    suspects
}
