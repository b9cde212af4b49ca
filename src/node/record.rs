//! Record: what the channel tells of what happened. No cycle depends on it; an upgrade is refused while a first fault is latched.

use crate::diagnose::{Diagnosis, Evidence};
use crate::fault::{Faults, VoteRecord};
use crate::ids::{Cycle, Epoch};
use crate::journal::{Counters, Entry, Event, FirstFault, Journal, bump};

/// Faults, counters and events, until they are read.
#[derive(Clone)]
pub(super) struct Record {
    /// Faults seen since the last verdict.
    faults: Faults,
    first_fault: Option<FirstFault>,
    counters: Counters,
    journal: Journal,
    /// The diagnosis for the next verdict.
    diagnosis: Option<Diagnosis>,
}

impl Record {
    pub(super) fn new() -> Self {
        let counters = Counters::default();
        Self { faults: Faults::empty(), first_fault: None, counters, journal: Journal::new(), diagnosis: None }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn first_fault(&self) -> Option<&FirstFault> {
        self.first_fault.as_ref()
    }

    pub(super) fn clear_first_fault(&mut self) {
        self.first_fault = None;
    }

    pub(super) fn read_event(&mut self) -> Option<Entry> {
        self.journal.read()
    }

    pub(super) fn lost_events(&self) -> u32 {
        self.journal.lost()
    }

    /// Counts something once more.
    pub(super) fn count(&mut self, counter: impl FnOnce(&mut Counters) -> &mut u32) {
        bump(counter(&mut self.counters));
    }

    /// Counts in a way of its own.
    pub(super) fn count_by(&mut self, how: impl FnOnce(&mut Counters)) {
        how(&mut self.counters);
    }

    /// Puts an event into the journal.
    pub(super) fn happened(&mut self, cycle: Cycle, epoch: Epoch, event: Event) {
        self.journal.note(cycle, epoch, event);
    }

    /// Notes faults for the next verdict that are not worth the record of the first one: they did no harm.
    pub(super) fn bear(&mut self, faults: Faults) {
        self.faults |= faults;
    }

    /// Notes faults for the next verdict; true if they are the first ones: then their record is due.
    pub(super) fn latch(&mut self, faults: Faults) -> bool {
        self.faults |= faults;
        self.first_fault.is_none()
    }

    /// Keeps what is known of the first fault.
    pub(super) fn keep_first(&mut self, cycle: Cycle, epoch: Epoch, faults: Faults, votes: [Option<VoteRecord>; 2]) {
        self.first_fault = Some(FirstFault { cycle, epoch, faults, votes, evidence: [None; 2], diagnosis: None });
    }

    /// Adds what was found of the cycle of the first fault.
    pub(super) fn add_evidence(&mut self, cycle: Cycle, evidence: [Option<Evidence>; 2], diagnosis: Option<Diagnosis>) {
        if let Some(first) = self.first_fault.as_mut().filter(|first| first.cycle == cycle) {
            (first.evidence, first.diagnosis) = (evidence, diagnosis);
        }
    }

    pub(super) fn diagnosed(&mut self, diagnosis: Diagnosis) {
        self.diagnosis = Some(diagnosis);
    }

    /// Hands out what belongs to the next verdict.
    pub(super) fn take_for_verdict(&mut self) -> (Faults, Option<Diagnosis>) {
        (core::mem::take(&mut self.faults), self.diagnosis.take())
    }
}
