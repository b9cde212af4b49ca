//! Closing a slot with a verdict, and leaving service.

use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{ChannelId, Instant};
use crate::journal::Event;
use crate::lease::Grounds;
use crate::mechanism::Mechanism;
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::verdict::{Outcome, Unbound};
use crate::vote::{self, Sealed};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Latches the safe state.
    pub(super) fn fatal(&mut self, now: Instant, faults: Faults) -> Unbound<P::Output> {
        self.fault(faults);
        self.change_mode(now, ModeEvent::Fatal);
        self.safe_verdict()
    }

    pub(super) fn safe_verdict(&mut self) -> Unbound<P::Output> {
        let drives = !self.control.config.drives_as_owner() || self.control.owns();
        let safe = if drives { vote::safe::<P>(self.control.turn.cycle()) } else { None };
        let holder = self.control.config.drives_as_owner().then_some(self.control.config.me());
        self.verdict(Outcome::Safe, [None, safe], holder)
    }

    /// Closes the slot with a verdict.
    pub(super) fn verdict(
        &mut self,
        outcome: Outcome,
        released: [Option<Sealed<P::Output>>; 2],
        holder: Option<ChannelId>,
    ) -> Unbound<P::Output> {
        self.schedule.close_slot();
        let (faults, diagnosis) = self.record.take_for_verdict();
        // Without the lease mechanism (a negative control) outputs open unconditionally.
        let holder = holder.filter(|_| self.mechanisms.on(Mechanism::Lease));
        let (mode, cycle, epoch, mechanisms) =
            (self.control.standing.mode(), self.control.turn.cycle(), self.control.standing.epoch(), self.mechanisms);
        Unbound { outcome, mode, cycle, epoch, faults, diagnosis, released, holder, mechanisms }
    }

    /// Releases nothing that comes of a sample older than the configuration allows: the next cycle has a younger one. The output of the
    /// cycle before may be a period older.
    pub(super) fn withhold_stale(&mut self, now: Instant, verdict: &mut Unbound<P::Output>) {
        let has_any = verdict.released.iter().any(Option::is_some);
        if !has_any || verdict.outcome == Outcome::Safe || !self.mechanisms.on(Mechanism::Age) {
            return;
        }
        let oldest_us = self.control.config.oldest_sample_us();
        if verdict.outcome != Outcome::TookOver && now <= self.schedule.sampled_at().plus_us(oldest_us) {
            return; // nearly always
        }
        self.withhold_what_is_stale(now, verdict, oldest_us);
    }

    #[cold]
    #[inline(never)]
    fn withhold_what_is_stale(&mut self, now: Instant, verdict: &mut Unbound<P::Output>, oldest_us: u32) {
        let period_us = self.control.config.period_us();
        let limits = [
            self.stepped.last_sampled_at().plus_us(oldest_us.saturating_add(period_us)),
            self.schedule.sampled_at().plus_us(oldest_us),
        ];
        let mut is_any_stale = false;
        for (released, limit) in verdict.released.iter_mut().zip(limits) {
            let stale = released.take_if(|_| now > limit);
            is_any_stale |= stale.is_some();
            #[cfg(feature = "sim")]
            self.stepped.withhold(verdict.outcome, stale);
        }
        if is_any_stale {
            self.record.count(|counters| &mut counters.withheld);
            self.happened(Event::Withheld);
        }
    }

    /// The deadline passed without a result: the last output stays, the cycle goes on.
    pub(super) fn hold(&mut self) -> Unbound<P::Output> {
        self.control.turn.hold();
        self.record.count(|counters| &mut counters.held);
        self.happened(Event::Held);
        // What is asked for a joiner, a channel can do without.
        let needs_answer = self.control.claim.on(Grounds::PeerJoins).is_none();
        if self.leads() && self.silence.is_unanswered() && needs_answer {
            return self.safe_verdict(); // nobody knows how long it will be
        }
        let holder = self.leads().then_some(self.control.config.me()); // whose actuators stay as they are
        self.verdict(Outcome::Held, [None, None], holder)
    }

    /// Takes this channel out of service: the peer goes on.
    pub(super) fn leave(&mut self, now: Instant) -> Unbound<P::Output> {
        self.exclude_myself(now);
        self.verdict(Outcome::Waiting, [None, None], None)
    }
}
