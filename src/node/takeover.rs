//! Taking over: the arbiter first, then the last cycle of the dead owner, then this one.

use super::lineage::{Answer, newest_of};
use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{Epoch, Instant};
use crate::journal::Event;
use crate::lease::{Arbiter, Confirmation, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::upgrade::StepEvent;
use crate::verdict::{Outcome, Unbound};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Resolves to go on without the peer; `poll_takeover` asks. Not while it pauses, for an arbiter that did not answer, nor in a slot in
    /// which the arbiter did not confirm what this channel owns: the peer may have been granted the outputs, and have driven since.
    pub(super) fn claim_outputs(&mut self, grounds: Grounds) {
        if !self.silence.may_ask() {
            return;
        }
        let is_trial =
            U::IS_ON && self.control.standing.mode() == Mode::Trial && self.mechanisms.on(Mechanism::TrialNumbers);
        let to = if is_trial { self.next_block() } else { self.next_epoch() };
        self.control.claim.begin(to, grounds);
    }

    /// Claims the outputs at a deadline, to go on without the peer. While it pauses the cycle is held.
    pub(super) fn take_over_at_deadline<A: Arbiter>(
        &mut self,
        now: Instant,
        grounds: Grounds,
        arbiter: &mut A,
    ) -> Option<Unbound<P::Output>> {
        self.claim_outputs(grounds);
        if self.is_taking_over() { self.poll_takeover(now, arbiter) } else { Some(self.hold()) }
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
                return Some(self.cannot_go_on(now));
            }
            self.mending.forget();
            self.control.claim.back();
        }
        match self.ask(now, arbiter, to, grounds) {
            // The answer took its time, in which memory may have been hit again.
            Answer::Granted if was_backed && !self.is_all_sound() || self.mending.waits() => {
                self.control.standing.adopt(to); // the outputs are this channel's to be driven safe
                Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED))
            }
            Answer::Granted => Some(self.take_over(now, to)),
            // The guilty one must let go first; this channel asks again at the next deadline. If the
            // peer was granted a newer epoch, there is nothing to wait for.
            Answer::Refused
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
            Answer::Unanswered if self.leads() => Some(self.hold()),
            Answer::Unanswered => {
                self.stand_by(now, ModeEvent::Refused);
                Some(self.verdict(Outcome::Waiting, [None, None], None))
            }
            Answer::Refused => Some(self.refused(now, newest_of(arbiter))),
            Answer::Pending if self.schedule.slot_is_over(now) => Some(self.hold()),
            Answer::Pending => {
                self.schedule.poll_again_soon(now, &self.control.config);
                None
            }
        }
    }

    /// Memory is beyond repair, and the peer is gone. The owner drives what is safe; another channel has no outputs to drive, and what it
    /// knows of no use: it begins anew with the peer.
    fn cannot_go_on(&mut self, now: Instant) -> Unbound<P::Output> {
        if self.control.owns() {
            return self.fatal(now, Faults::CHECKPOINT_DAMAGED);
        }
        self.fault(Faults::CHECKPOINT_DAMAGED);
        self.leave(now)
    }

    /// The arbiter does not confirm that this channel owns. Only where it lets somebody newer through is one word of it enough: else it may be
    /// a misread, and while no output opens nothing is at stake.
    pub(super) fn lease_is_in_doubt<A: Arbiter>(&mut self, now: Instant, answer: Confirmation, arbiter: &A) {
        let (epoch, newest) = (self.control.standing.epoch(), newest_of(arbiter));
        let is_denied = answer == Confirmation::No;
        let is_overtaken = is_denied && newest.counter() > epoch.counter();
        let has_no_memory = arbiter.remembered().is_none();
        let limit = if is_denied && has_no_memory { 1 } else { self.control.config.claim_limit() };
        let is_lost = is_denied && !self.mechanisms.on(Mechanism::Misread);
        if !is_overtaken && !is_lost && !self.silence.doubt(limit) {
            self.record.bear(Faults::LEASE_UNKNOWN);
            return;
        }
        self.control.standing.saw(newest.counter());
        self.fault(if is_denied { Faults::LEASE_LOST } else { Faults::LEASE_UNKNOWN });
        self.stand_by(now, ModeEvent::LeaseLost);
        if !is_overtaken || newest.owner() == self.control.config.me() {
            self.silence.goes_on(self.control.config.claim_limit()); // nobody else has them: to be asked for again
        } else {
            self.silence.ends();
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
        // The arbiter was silent: it is asked again, unless it has let the peer through since, whose state is then the newer one.
        if self.silence.is_unanswered() && !self.control.standing.is_empty() {
            let newest = newest_of(arbiter);
            let is_peers = newest.counter() > self.control.standing.epoch().counter()
                && newest.owner() != self.control.config.me();
            if is_peers {
                self.control.standing.saw(newest.counter());
                self.silence.ends();
            } else {
                self.claim_outputs(Grounds::Silence);
            }
        }
        if self.is_taking_over() && !self.control.turn.is_settled() {
            return self.poll_takeover(now, arbiter);
        }
        Some(self.verdict(Outcome::Waiting, [None, None], None))
    }
}
