//! The payload of the frames that carry what a channel found when the votes differed.

use super::payload::fixed_layout;

bitflags::bitflags! {
    /// What a channel found, as far as it is yes or no.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Finding: u8 {
        /// Every block of its checkpoint holds its digest.
        const CHECKPOINT_HOLDS = 1;
        /// It saw the votes differ.
        const SAW_MISMATCH = 2;
        /// It had the peer's first vote.
        const HAD_PEER_VOTE = 4;
    }
}

/// The payload of an `Evidence` and of a `Settled`. It does not change once it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidencePayload<'b> {
    /// Bits of [`Finding`].
    pub findings: u8,
    /// Bits of [`Health`](crate::fault::Health).
    pub health: u8,
    /// Value digest of the first vote.
    pub first: u32,
    /// The same of the receiver's first vote as the sender had it; 0 if it had not.
    pub peer_first: u32,
    /// How full the sender's buckets are: A, B, path, comparator of A, of B.
    pub levels: [u8; 5],
    /// The second vote; of a `Settled` the only one.
    pub vote: &'b [u8],
}

fixed_layout!(EvidencePayload {
    findings: u8,
    health: u8,
    first: u32,
    peer_first: u32,
    levels: [u8; 5];
    vote
});

/// Bytes that an evidence's payload takes beside the vote in it.
pub(crate) const EVIDENCE_BYTES: usize = EvidencePayload::BYTES;
