//! Closing a slot with a verdict, and leaving service.

use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{ChannelId, Instant};
use crate::mechanism::Mechanism;
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::verdict::{Outcome, Verdict};
use crate::vote::{self, Sealed};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Leaves service without having lost anything; an empty channel starts over instead, as does one
    /// that was found faulty: nobody is to go on from its state.
    pub(super) fn stand_by(&mut self, now: Instant, event: ModeEvent) {
        let is_faulty = self.is_barred(self.control.config.me()) || self.was_found_faulty();
        self.change_mode(now, event);
        if self.control.standing.is_empty() || is_faulty {
            self.start_over(now);
        }
    }

    /// Latches the safe state.
    pub(super) fn fatal(&mut self, now: Instant, faults: Faults) -> Verdict<P::Output> {
        self.fault(faults);
        self.change_mode(now, ModeEvent::Fatal);
        self.safe_verdict()
    }

    pub(super) fn safe_verdict(&mut self) -> Verdict<P::Output> {
        let drives = !self.drives_as_owner() || self.control.owns();
        let safe = if drives { vote::safe::<P>(self.control.turn.cycle()) } else { None };
        let holder = self.drives_as_owner().then_some(self.control.config.me());
        self.verdict(Outcome::Safe, [None, safe], holder)
    }

    /// Closes the slot with a verdict.
    pub(super) fn verdict(
        &mut self,
        outcome: Outcome,
        released: [Option<Sealed<P::Output>>; 2],
        holder: Option<ChannelId>,
    ) -> Verdict<P::Output> {
        self.schedule.close_slot();
        let (faults, diagnosis) = self.record.take_for_verdict();
        // Without the lease mechanism (a negative control) outputs open unconditionally.
        let holder = holder.filter(|_| self.mechanisms.on(Mechanism::Lease));
        let (mode, cycle, epoch, mechanisms) =
            (self.control.standing.mode(), self.control.turn.cycle(), self.control.standing.epoch(), self.mechanisms);
        Verdict { outcome, mode, cycle, epoch, faults, diagnosis, released, holder, mechanisms }
    }
}
