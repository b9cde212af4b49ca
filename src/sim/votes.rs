//! Listens on the link: who voted for what.

use super::oracle::encoded;
use super::recent::{Recent, Strings};
use crate::ids::{ChannelId, Cycle, Phase, Stage};
use crate::wire::{EvidencePayload, Kind, Payload, VoteFrame};
use serde::Serialize;

/// Remembers the votes that each channel sent, as seen on the link.
///
/// The frames come from the senders themselves, so their header is read without keys.
#[derive(Clone, Debug, Default)]
pub struct VoteTap {
    /// A channel may vote twice in a cycle: before and after the votes differed.
    outputs: [Recent<Strings>; 2],
}

const HEADER_BYTES: usize = 8;
const DIGEST_BYTES: usize = crate::wire::VOTE_DIGEST_BYTES;
const CRC_BYTES: usize = 4;
/// Votes kept for each channel.
const KEPT: usize = 16;
/// Phases that a vote may come after a later one.
const FURTHEST_BACK: u32 = 8;

impl VoteTap {
    /// Listens to a frame that `sender` sent.
    pub fn observe(&mut self, sender: ChannelId, frame: &[u8]) {
        let kind = Kind::of_frame(frame);
        let phase = frame.get(3..7).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let payload = frame.get(HEADER_BYTES..frame.len().saturating_sub(CRC_BYTES));
        // Evidence carries the second vote.
        let vote = match payload {
            Some(payload) if kind == Some(Kind::Vote) => VoteFrame::parse(payload).ok().map(|frame| frame.vote),
            Some(payload) if matches!(kind, Some(Kind::Evidence | Kind::Settled)) => {
                EvidencePayload::parse(payload).ok().map(|evidence| evidence.vote)
            }
            _ => None,
        };
        let output = vote.and_then(|vote| vote.get(DIGEST_BYTES..));
        let (Some(phase), Some(output)) = (phase.map(|phase| phase & !3 | Stage::Vote as u32), output) else { return };
        let outputs = &mut self.outputs[sender.index()];
        // The pair began anew: what it voted before would look like the future.
        if outputs.last().is_some_and(|last| phase.saturating_add(FURTHEST_BACK) < last) {
            outputs.keep(0);
        }
        outputs.entry(phase).add(output);
        outputs.keep(KEPT);
    }

    /// Returns the last cycle that `channel` voted in.
    pub fn latest(&self, channel: ChannelId) -> Option<Cycle> {
        let phase = self.outputs[channel.index()].last()?;
        Some(Cycle(phase >> 2))
    }

    /// Returns whether both channels voted for `output` in `cycle`.
    pub fn both_voted<O: Serialize>(&self, cycle: Cycle, output: &O) -> bool {
        self.both_voted_bytes(cycle, &encoded(output))
    }

    /// The same of an output's canonical bytes.
    pub(super) fn both_voted_bytes(&self, cycle: Cycle, output: &[u8]) -> bool {
        let phase = Phase::new(cycle, Stage::Vote).0;
        self.outputs.iter().all(|outputs| outputs.get(phase).is_some_and(|votes| votes.has(output)))
    }
}
