//! What is noted of what happens: faults, the first of them with its evidence, and the journal.

use super::{MayUpgrade, Node};
use crate::fault::{Faults, Health};
use crate::ids::{Cycle, Instant};
use crate::journal::Event;
use crate::mirror::Scrubbed;
use crate::program::Program;
use crate::vote;
use crate::wire::Reject;

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Notes faults for the next verdict, latches the first, and puts them into the journal.
    pub(super) fn fault(&mut self, faults: Faults) {
        self.latch(faults);
        self.happened(Event::Fault(faults));
    }

    /// Notes faults that have an event of their own.
    pub(super) fn latch(&mut self, faults: Faults) {
        self.latch_of(self.control.turn.cycle(), faults);
    }

    /// Notes faults of a cycle, which may be the one before.
    pub(super) fn latch_of(&mut self, cycle: Cycle, faults: Faults) {
        if self.record.latch(faults) {
            let mine = self.my_vote.of(cycle).map(|vote| vote::record(&vote));
            let theirs = self.peer_vote.of(cycle).map(|vote| vote::record(&vote));
            let votes = self.control.config.me().in_order(mine, theirs);
            let epoch = self.control.standing.epoch();
            self.record.keep_first(cycle, epoch, faults, votes);
            self.record_evidence(); // a channel that only heard of a difference has it before the fault
        }
    }

    /// Puts an event into the journal.
    pub(super) fn happened(&mut self, event: Event) {
        self.record.happened(self.control.turn.cycle(), self.control.standing.epoch(), event);
    }

    /// Puts what is known of the examined cycle into the record of the first fault, if that is of it.
    pub(super) fn record_evidence(&mut self) {
        let Some(examination) = self.case.last() else { return };
        let evidence = self.control.config.me().in_order(examination.mine(), examination.theirs());
        self.record.add_evidence(examination.cycle(), evidence, examination.diagnosis());
    }

    /// Counts what a scrub mended. Memory that was mended did no harm: not worth the record.
    pub(super) fn note(&mut self, found: &Scrubbed) {
        self.record.count_by(|counters| counters.scrubbed(found));
        if (found.working, found.checkpoint, found.digests) != (0, 0, 0) {
            self.record.bear(Faults::MEMORY_REPAIRED);
            self.control.suspicion.note_health(Health::MEMORY_REPAIRED);
            let [working, checkpoint, digests] = [found.working, found.checkpoint, found.digests].map(|n| n as u16);
            self.happened(Event::Repaired { working, checkpoint, digests });
        }
    }

    /// Counts a frame that was dropped.
    pub(super) fn reject(&mut self, cause: Reject) {
        self.record.count_by(|counters| counters.reject(cause));
        self.happened(Event::Rejected(cause));
    }

    /// Notes that a block is beyond repair here: no step is done until the peer has sent it.
    pub(super) fn wants(&mut self, now: Instant, block: u16) {
        self.latch(Faults::MEMORY_DAMAGED);
        self.happened(Event::BeyondRepair(block));
        self.mending.want(now, block);
    }
}
