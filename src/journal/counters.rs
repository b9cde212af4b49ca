//! Counters of what happened since boot.

use crate::mirror::Scrubbed;
use crate::wire::Reject;

/// Counts of what happened since boot; each stays at its maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Cycles that both channels voted equally.
    pub agreed: u32,
    /// Cycles of a trial: both versions stepped, and the owner's output or the old one's was released.
    pub tried: u32,
    /// Cycles served alone.
    pub alone: u32,
    /// Deadlines that passed without a result.
    pub held: u32,
    /// Takeovers by this channel.
    pub takeovers: u32,
    /// Claims that the arbiter refused.
    pub refused: u32,
    /// Cycles in which the votes differed, as this channel saw or heard.
    pub diverged: u32,
    /// Of these, cycles in which stepping once more gave one result, which was released.
    pub masked: u32,
    /// Of these, cycles whose votes were for different inputs: sampled or agreed upon differently.
    pub inputs_differed: u32,
    /// Of these, cycles in which nothing spoke against either channel.
    pub unattributed: u32,
    /// Commits that found the state damaged since the vote, and were done again.
    pub recommitted: u32,
    /// Copies of samples that were damaged, and mended.
    pub sample_repairs: u32,
    /// Words of this channel's own control data that were damaged, and mended.
    pub control_repairs: u32,
    /// Times the peer was found faulty.
    pub peer_exclusions: u32,
    /// Proof tests of the comparator that were passed.
    pub proof_tests: u32,
    /// Cycles in which the two samples were too far apart for the program.
    pub discrepancies: u32,
    /// Mode changes.
    pub mode_changes: u32,
    /// Frames that came again though this channel had them.
    pub repeated: u32,
    /// Frames of this channel that were sent again.
    pub retransmitted: u32,
    /// Tracked writes that named memory outside of the state.
    pub stray_writes: u32,
    /// Blocks of the working copy that the scrub mended.
    pub working_repairs: u32,
    /// Blocks of the checkpoint that the scrub mended.
    pub checkpoint_repairs: u32,
    /// Digests that the scrub mended.
    pub digest_repairs: u32,
    /// Blocks mended from the peer's copy.
    pub peer_repairs: u32,
    /// Times this channel took itself out of service: its memory was beyond repair, or it was found
    /// faulty.
    pub self_exclusions: u32,
    /// Copies begun as the donor.
    pub copies_begun: u32,
    /// Copies that ended without the peer in duplex: given up, refused, or not answered.
    pub copies_failed: u32,
    /// Blocks sent as the donor, repetitions included.
    pub blocks_sent: u32,
    /// Times this channel joined a serving one.
    pub joined: u32,
    /// Cycles whose output was not released because their sample was too old.
    pub withheld: u32,
    /// Deadlines at which this channel was not polled, so that it gave the other one another vote window.
    pub stalls: u32,
    /// Times the clock went back, or on by more than this channel may be left alone: two periods beyond the patience, or twice `hello_us`
    /// if that is longer.
    pub gaps: u32,
    rejected: [u32; Reject::ALL.len()],
}

impl Counters {
    /// Returns how many frames were dropped for this cause.
    pub fn rejected(&self, cause: Reject) -> u32 {
        self.rejected.get(cause as usize).copied().unwrap_or_default()
    }

    /// Returns how many frames were dropped in all.
    pub fn rejected_total(&self) -> u32 {
        self.rejected.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns how many repairs of memory there were in all.
    pub fn repairs(&self) -> u32 {
        let local = self.working_repairs.saturating_add(self.checkpoint_repairs);
        local.saturating_add(self.digest_repairs).saturating_add(self.peer_repairs)
    }

    pub(crate) fn scrubbed(&mut self, found: &Scrubbed) {
        self.working_repairs = self.working_repairs.saturating_add(found.working);
        self.checkpoint_repairs = self.checkpoint_repairs.saturating_add(found.checkpoint);
        self.digest_repairs = self.digest_repairs.saturating_add(found.digests);
    }

    pub(crate) fn reject(&mut self, cause: Reject) {
        if let Some(count) = self.rejected.get_mut(cause as usize) {
            bump(count);
        }
    }
}

/// Counts one more, up to the maximum.
pub(crate) fn bump(count: &mut u32) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_counter() {
        let mut counters = Counters::default();
        for (times, cause) in Reject::ALL.iter().enumerate() {
            for _ in 0..times {
                counters.reject(*cause);
            }
        }
        for (times, cause) in Reject::ALL.iter().enumerate() {
            assert_eq!(counters.rejected(*cause), times as u32, "{cause}");
        }
    }
}
