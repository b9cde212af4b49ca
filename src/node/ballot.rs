//! A ballot: the payload of one vote, kept in its encoded form: it is compared and sent as bytes.

use super::{MayUpgrade, Node};
use crate::bytes::copy;
use crate::canonical;
use crate::digest::of_bytes;
use crate::fault::Faults;
use crate::ids::Cycle;
use crate::journal::Event;
use crate::mechanism::Mechanism;
use crate::program::Program;
use crate::wire::{MAX_FRAME_BYTES, OVERHEAD_BYTES, VOTE_DIGEST_BYTES, VotePayload};

#[derive(Clone)]
pub(super) struct Ballot<const FRAME: usize> {
    cycle: Cycle,
    length: usize,
    /// Digest of the payload, once the cycle is settled.
    settled: Option<u32>,
    bytes: [u8; FRAME],
}

impl<const FRAME: usize> Ballot<FRAME> {
    pub(super) const NONE: Self = Self { cycle: Cycle(0), length: 0, settled: None, bytes: [0; FRAME] };

    /// Returns the cycle of the last vote that was here.
    pub(super) fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// Returns how long its payload is; 0 if there is none.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Returns the vote if it is of `cycle`.
    pub(super) fn of(&self, cycle: Cycle) -> Option<VotePayload<'_>> {
        VotePayload::parse(self.payload_of(cycle)?)
    }

    pub(super) fn payload_of(&self, cycle: Cycle) -> Option<&[u8]> {
        if self.length == 0 || self.cycle != cycle {
            return None;
        }
        self.bytes.get(..self.length)
    }

    /// Keeps a received payload; false if it is too long.
    pub(super) fn keep(&mut self, cycle: Cycle, payload: &[u8]) -> bool {
        let Some(room) = self.bytes.get_mut(..payload.len()) else { return false };
        copy(room, payload);
        (self.cycle, self.length, self.settled) = (cycle, payload.len(), None);
        true
    }

    /// Returns the digest of a value, whose canonical bytes take the place of the old vote: its own are about to.
    pub(super) fn digest_of<T: serde::Serialize>(&mut self, value: &T) -> Option<u32> {
        self.length = 0;
        match canonical::encode(value, &mut self.bytes) {
            Some(length) => Some(of_bytes(self.bytes.get(..length)?)),
            None => canonical::digest(value), // longer than any sample: agreed of both
        }
    }

    /// Encodes a vote of at most `longest_output` bytes of output; false if it is longer. The old
    /// vote is gone either way.
    pub(super) fn cast<O: serde::Serialize>(
        &mut self,
        cycle: Cycle,
        [input, state]: [u32; 2],
        output: &O,
        longest_output: usize,
    ) -> bool {
        (self.cycle, self.length, self.settled) = (cycle, 0, None);
        let Some((digests, room)) = self.bytes.split_first_chunk_mut::<VOTE_DIGEST_BYTES>() else {
            return false;
        };
        let [i0, i1, i2, i3] = input.to_le_bytes();
        let [s0, s1, s2, s3] = state.to_le_bytes();
        *digests = [i0, i1, i2, i3, s0, s1, s2, s3];
        let room = room.get_mut(..longest_output).unwrap_or_default();
        let Some(output_bytes) = canonical::encode(output, room) else { return false };
        self.length = VOTE_DIGEST_BYTES + output_bytes;
        true
    }

    /// Flips a bit of the payload, if it has that many.
    pub(super) fn flip_bit(&mut self, bit: usize) {
        let payload = self.bytes.get_mut(..self.length).unwrap_or_default();
        if let Some(byte) = payload.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    pub(super) fn forget(&mut self) {
        self.length = 0;
    }

    /// The cycle is settled: the vote stays for a peer that lacks it.
    pub(super) fn settle(&mut self) {
        self.settled = self.payload_of(self.cycle).map(of_bytes);
    }

    /// Mends a vote that was damaged since its cycle was settled from the other channel's, if that
    /// was the same; true if it did.
    fn mend(&mut self, other: &Self) -> bool {
        let is_damaged = self.settled.is_some() && self.payload_of(self.cycle).map(of_bytes) != self.settled;
        let Some(payload) = other.payload_of(self.cycle).filter(|_| is_damaged) else { return false };
        let settled = Some(of_bytes(payload));
        let is_mended = settled == self.settled && self.keep(self.cycle, payload);
        if is_mended {
            self.settled = settled;
        }
        is_mended
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Checks the vote of a settled cycle before the peer, which lacks it, gets it again: it would take
    /// a damaged one for what this channel settled on.
    pub(super) fn check_vote(&mut self) {
        if self.mechanisms.on(Mechanism::Control) && self.my_vote.mend(&self.peer_vote) {
            self.record.count(|counters| &mut counters.control_repairs);
            self.record.bear(Faults::CONTROL_REPAIRED);
            self.happened(Event::ControlRepaired);
        }
    }
}

/// Returns the longest output whose vote, and the evidence that carries it, fit a frame.
pub(super) const fn longest_output(frame: usize) -> usize {
    let frame = if frame < MAX_FRAME_BYTES { frame } else { MAX_FRAME_BYTES };
    frame.saturating_sub(OVERHEAD_BYTES + crate::wire::EVIDENCE_BYTES + VOTE_DIGEST_BYTES)
}

#[cfg(feature = "sim")]
impl<const FRAME: usize> Ballot<FRAME> {
    /// Flips a bit, taken modulo the payload's; false if there is none.
    pub(super) fn flip_within(&mut self, bit: usize) -> bool {
        let bits = self.length * 8;
        if bits > 0 {
            self.flip_bit(bit % bits);
        }
        bits > 0
    }

    /// Flips a bit of the output, whatever its length.
    pub(super) fn flip_output_bit(&mut self, bit: usize) {
        let bits = self.length.saturating_sub(VOTE_DIGEST_BYTES) * 8;
        if bits > 0 {
            self.flip_bit(VOTE_DIGEST_BYTES * 8 + bit % bits);
        }
    }
}

#[cfg(feature = "sim")]
impl<const FRAME: usize> core::hash::Hash for Ballot<FRAME> {
    /// What is left of an older or a forgotten vote has no effect.
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        let Self { cycle, length: _, settled, bytes: _ } = self;
        self.payload_of(*cycle).map(|vote| (cycle, settled, vote)).hash(hasher);
    }
}
