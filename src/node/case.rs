//! Case: what is known of a cycle in which the votes differed, and when the comparator was last proved.

use crate::diagnose::{Diagnosis, Evidence};
use crate::ids::{ChannelId, Cycle, Phase};

/// What is known of a cycle in which the votes differed. What was sent of it does not change, so
/// that both channels diagnose the same pair.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Examination {
    cycle: Cycle,
    mine: Option<Evidence>,
    theirs: Option<Evidence>,
    peer_first: Option<u32>,
    saw_mismatch: bool,
    my_levels: [u8; 5],
    peer_levels: [u8; 5],
    is_acknowledged: bool,
    diagnosis: Option<Diagnosis>,
    is_refused: bool,
    missed: u8,
}

impl Examination {
    /// Begins for a cycle, with the digest of the peer's first vote, and whether this channel's comparator saw the first
    /// votes differ.
    pub(super) fn of(cycle: Cycle, peer_first: Option<u32>, saw_mismatch: bool) -> Self {
        Self {
            cycle,
            mine: None,
            theirs: None,
            peer_first,
            saw_mismatch,
            my_levels: [0; 5],
            peer_levels: [0; 5],
            is_acknowledged: false,
            diagnosis: None,
            is_refused: false,
            missed: 0,
        }
    }

    pub(super) fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// Returns what this channel found.
    pub(super) fn mine(&self) -> Option<Evidence> {
        self.mine
    }

    /// Returns what the peer found.
    pub(super) fn theirs(&self) -> Option<Evidence> {
        self.theirs
    }

    /// Returns the digest of the peer's first vote as it arrived, before its second took its place.
    pub(super) fn peer_first(&self) -> Option<u32> {
        self.peer_first
    }

    /// Whether this channel's comparator saw the first votes differ.
    pub(super) fn saw_mismatch(&self) -> bool {
        self.saw_mismatch
    }

    /// Returns the levels of this channel's buckets, as they are sent.
    pub(super) fn my_levels(&self) -> [u8; 5] {
        self.my_levels
    }

    pub(super) fn peer_levels(&self) -> [u8; 5] {
        self.peer_levels
    }

    /// Whether the peer has this channel's evidence.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.is_acknowledged
    }

    pub(super) fn diagnosis(&self) -> Option<Diagnosis> {
        self.diagnosis
    }

    /// Whether the arbiter refused to cut the peer off: the next claim waits for the deadline.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Notes what this channel found.
    pub(super) fn note_mine(&mut self, mine: Evidence, levels: [u8; 5]) {
        (self.mine, self.my_levels) = (Some(mine), levels);
    }

    /// Notes what the peer found.
    pub(super) fn note_theirs(&mut self, theirs: Evidence, levels: [u8; 5]) {
        (self.theirs, self.peer_levels) = (Some(theirs), levels);
    }

    /// The peer's evidence, or the vote that came with it, is lost here: it has to repeat them.
    pub(super) fn lose_theirs(&mut self) {
        self.theirs = None;
    }

    pub(super) fn acknowledge(&mut self) {
        self.is_acknowledged = true;
    }

    pub(super) fn diagnose(&mut self, diagnosis: Diagnosis) {
        self.diagnosis = Some(diagnosis);
    }

    /// A diagnosis that was made without the peer's evidence is void.
    pub(super) fn reopen(&mut self) {
        (self.diagnosis, self.is_refused) = (None, false);
    }

    pub(super) fn refuse(&mut self) {
        self.is_refused = true;
    }

    /// Counts a deadline since the evidence is out; returns how many there were.
    pub(super) fn miss(&mut self) -> u8 {
        self.missed = self.missed.saturating_add(1);
        self.missed
    }
}

#[derive(Clone)]
pub(super) struct Case {
    examination: Option<Examination>,
    is_proof_test_due: bool,
    proof_tested_in: Option<Cycle>,
}

impl Case {
    pub(super) const NONE: Self = Self { examination: None, is_proof_test_due: false, proof_tested_in: None };

    /// Returns the last examination, of this cycle or of one before.
    pub(super) fn last(&self) -> Option<&Examination> {
        self.examination.as_ref()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Examination> {
        self.examination.as_mut()
    }

    /// Returns the examination of a cycle.
    pub(super) fn of(&self, cycle: Cycle) -> Option<&Examination> {
        self.examination.as_ref().filter(|examination| examination.cycle == cycle)
    }

    /// Returns what an evidence of this phase acknowledges: the phase itself if the peer's evidence is here.
    pub(super) fn ack(&self, phase: Phase) -> Phase {
        let has_theirs = self.examination.as_ref().is_some_and(|examination| examination.theirs.is_some());
        Phase(phase.0.wrapping_sub(u32::from(!has_theirs)))
    }

    /// Whether a channel was found faulty in this cycle.
    pub(super) fn found_faulty(&self, cycle: Cycle, channel: ChannelId) -> bool {
        let diagnosis = self.of(cycle).and_then(Examination::diagnosis);
        matches!(diagnosis, Some(Diagnosis::Faulty(faulty, _)) if faulty == channel)
    }

    pub(super) fn open(&mut self, examination: Examination) {
        self.examination = Some(examination);
    }

    pub(super) fn close(&mut self) {
        self.examination = None;
    }

    pub(super) fn ask_for_proof_test(&mut self) {
        self.is_proof_test_due = true;
    }

    pub(super) fn is_proof_test_due(&self) -> bool {
        self.is_proof_test_due
    }

    pub(super) fn begin_proof_test(&mut self) {
        self.is_proof_test_due = false;
    }

    pub(super) fn passed_proof_test(&mut self, cycle: Cycle) {
        self.proof_tested_in = Some(cycle);
    }

    /// Returns the cycle in which the comparator last passed.
    pub(super) fn proof_tested_in(&self) -> Option<Cycle> {
        self.proof_tested_in
    }

    /// Cycles are counted anew.
    pub(super) fn forget_proof_test(&mut self) {
        self.proof_tested_in = None;
    }
}

#[cfg(feature = "sim")]
impl core::hash::Hash for Case {
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        let Self { examination, is_proof_test_due, proof_tested_in: _ } = self;
        (examination, is_proof_test_due).hash(hasher);
    }
}
