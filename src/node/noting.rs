//! What is noted of what happens: faults, the first of them with its evidence, and the journal.

use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::Cycle;
use crate::journal::Event;
use crate::program::Program;
use crate::vote;

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
}
