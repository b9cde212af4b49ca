//! Taking over: the arbiter first, then the last cycle of the dead owner, then this one.

use super::lineage::newest_of;
use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{Epoch, Instant};
use crate::journal::Event;
use crate::lease::{Arbiter, Claim, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::upgrade::StepEvent;
use crate::verdict::{Outcome, Unbound};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Resolves to go on without the peer; `poll_takeover` asks.
    pub(super) fn claim_outputs(&mut self, grounds: Grounds) {
        let is_trial =
            U::IS_ON && self.control.standing.mode() == Mode::Trial && self.mechanisms.on(Mechanism::TrialNumbers);
        let to = if is_trial { self.next_block() } else { self.next_epoch() };
        self.control.claim.begin(to, grounds);
    }

    /// Asks the arbiter for the outputs, to go on without the peer.
    pub(super) fn poll_takeover<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        let (to, grounds) = self.takeover_claim()?;
        if to.counter() <= self.control.standing.epoch().counter() {
            return Some(self.refused(now, Epoch::NONE)); // there is no newer number left
        }
        if self.control.standing.is_empty() && self.control.standing.mode().is_paired() && !self.samples.has_theirs() {
            // The first common cycle did not come about: without this channel's vote nobody
            // can have released it, so there is nothing to save.
            self.start_over(now);
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        if let Some(verdict) = U::gives_up(self, now) {
            return Some(verdict);
        }
        let was_backed = self.control.claim.is_backed();
        if !was_backed {
            if !self.is_all_sound() {
                return Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED));
            }
            self.mending.forget();
            self.control.claim.back();
        }
        match self.ask(now, arbiter, to, grounds) {
            // The answer took its time, in which memory may have been hit again.
            Claim::Granted if was_backed && !self.is_all_sound() || self.mending.waits() => {
                Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED))
            }
            Claim::Granted => Some(self.take_over(now, to)),
            // The guilty one must let go first; this channel asks again at the next deadline. If the
            // peer was granted a newer epoch, there is nothing to wait for.
            Claim::Refused
                if self.found_peer_faulty()
                    && self.mechanisms.on(Mechanism::KeptVerdict)
                    && newest_of(arbiter).counter() <= self.control.standing.epoch().counter() =>
            {
                self.control.claim.end();
                if let Some(examination) = self.case.last_mut() {
                    examination.refuse();
                }
                Some(self.hold())
            }
            Claim::Refused => Some(self.refused(now, newest_of(arbiter))),
            Claim::Pending if self.schedule.slot_is_over(now) => Some(self.hold()),
            Claim::Pending => {
                self.schedule.poll_again_soon(now, &self.control.config);
                None
            }
        }
    }

    /// The outputs are somebody else's: stands by.
    fn refused(&mut self, now: Instant, newest: Epoch) -> Unbound<P::Output> {
        self.control.standing.saw(newest.counter());
        self.control.claim.end();
        self.fault(Faults::LEASE_REFUSED);
        self.record.count(|counters| &mut counters.refused);
        self.stand_by(now, ModeEvent::Refused);
        self.verdict(Outcome::Waiting, [None, None], None)
    }

    /// Checks all memory and mends what can be mended; false if damage stays.
    fn is_all_sound(&mut self) -> bool {
        if !self.mechanisms.on(Mechanism::Checkpoint) {
            return true;
        }
        let found = self.mirror.scrub_all();
        self.note(&found);
        found.beyond_repair.is_none()
    }

    /// The outputs are this channel's. The order matters:
    /// 1. the dead owner's last cycle, unless its next sample proves that it was driven;
    /// 2. this cycle, re-executed from a verified checkpoint: a first result that nobody
    ///    compared may itself be the fault. With both samples the agreed input is final.
    fn take_over(&mut self, now: Instant, to: Epoch) -> Unbound<P::Output> {
        let was_owner = self.control.owns();
        let proven_driven = self.samples.has_theirs();
        self.control.standing.adopt(to);
        if self.meeting.is_cutting() {
            self.fault(Faults::COPY_FAILED); // the joiner did not answer the cut
            self.record.count(|counters| &mut counters.copies_failed);
        }
        self.change_mode(now, ModeEvent::Granted);
        let is_new = U::IS_ON && self.control.undertaking.is_new();
        U::steps_on(self, if is_new { StepEvent::NewAlone } else { StepEvent::OldAlone });
        self.record.count(|counters| &mut counters.takeovers);
        self.happened(Event::TookOver);

        self.case.close();
        if self.mechanisms.on(Mechanism::FirstResult) {
            self.mirror.rollback();
        }
        self.samples.forget_ahead(); // of a cycle that the peer will not take part in
        if !self.mechanisms.on(Mechanism::FinalInput) {
            self.samples.forget_theirs();
        }
        let last = self.stepped.take_last();
        let needed = !was_owner && !proven_driven && self.mechanisms.on(Mechanism::Overdue);
        let overdue = last.filter(|last| needed && last.cycle() == self.control.turn.cycle().previous());
        let holder = Some(self.control.config.me());
        match self.serve_alone() {
            Ok(sealed) => self.verdict(Outcome::TookOver, [overdue, Some(sealed)], holder),
            Err(faults) => self.fatal(now, faults),
        }
    }

    pub(super) fn poll_standby<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        if !self.schedule.is_open() {
            return None;
        }
        if self.is_taking_over() && !self.control.turn.is_settled() {
            return self.poll_takeover(now, arbiter);
        }
        Some(self.verdict(Outcome::Waiting, [None, None], None))
    }
}
