//! The cycle: agree, step, vote, commit, release.

use super::ballot::longest_output;
use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::agree::Copies;
use crate::diagnose::{Diagnosis, Reason, Suspects};
use crate::digest::of_bytes;
use crate::fault::{Faults, Health};
use crate::ids::Instant;
use crate::journal::Event;
use crate::lease::{Arbiter, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::verdict::{Outcome, Unbound};
use crate::vote::{self, Sealed};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    pub(super) fn poll_duplex<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        // A step on damaged memory would be the peer's to suffer.
        if self.control.turn.progress() == Progress::Sampled && self.samples.has_theirs() && !self.mending.waits() {
            match self.step_both() {
                Ok(()) => self.outgoing.vote_is_new(now, self.schedule.resend_us(&self.control.config)),
                // A flipped bit can make an output longer as well as another one: such a vote agrees with
                // nothing, and the step is done once more.
                Err(Faults::OUTPUT_TOO_LARGE) => self.differs(Faults::OUTPUT_TOO_LARGE),
                // A sample that is lost is this channel's loss alone; a slot is open, or this waits.
                Err(Faults::INPUT_DIVERGENCE) if self.schedule.is_open() => return Some(self.leave(now)),
                Err(Faults::INPUT_DIVERGENCE) => return None,
                Err(faults) => return Some(self.fatal(now, faults)),
            }
        }
        let is_undecided =
            self.control.turn.progress() == Progress::Voted && self.examination().is_none() && !self.is_taking_over();
        if self.schedule.is_open()
            && is_undecided
            && let Some(verdict) = self.compare(now)
        {
            return Some(verdict);
        }
        self.examine_if_due(now);
        if !self.schedule.is_open() {
            return None;
        }
        if self.control.turn.is_settled() {
            // The pair cut over in a slot that began while starting: the cycle has its own.
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        if self.is_taking_over() && !self.control.claim.is_backed() && self.has_no_culprit(now) {
            // Nobody knows which one is wrong: a peer that leaves now leaves no right result behind.
            return Some(self.fatal(now, Faults::UNATTRIBUTED));
        }
        if self.is_taking_over() {
            // The peer's vote is too late now: the arbiter may already have moved on to the
            // epoch claimed, in which nothing of the old one can be driven.
            return self.poll_takeover(now, arbiter);
        }
        let is_refused = self.examination().is_some_and(|examination| examination.is_refused());
        if self.control.turn.progress() == Progress::Examined
            && self.has_peer_evidence()
            && !is_refused
            && let Some(verdict) = self.conclude(now, arbiter)
        {
            return Some(verdict);
        }
        if self.is_past_deadline(now) { self.miss_deadline(now, arbiter) } else { None }
    }

    /// Whether the deadline passed without a result, for which this channel is not to blame itself.
    pub(super) fn is_past_deadline(&mut self, now: Instant) -> bool {
        if now < self.schedule.deadline() {
            return false;
        }
        let doubts = self.mechanisms.on(Mechanism::Doubt) && self.schedule.doubts_itself(now, &self.control.config);
        if doubts {
            self.record.count(|counters| &mut counters.stalls);
            self.happened(Event::Stalled);
        }
        !doubts
    }

    /// The deadline passed without a result.
    pub(super) fn miss_deadline<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        // One that answers every other deadline would keep the outputs at half their rate.
        let is_tardy = self.control.suspicion.is_tardy() && self.mechanisms.on(Mechanism::Tardy);
        let patience_is_over = is_tardy || self.control.turn.held() >= self.control.config.patience();
        if self.has_let_go() && patience_is_over {
            return self.take_over_at_deadline(now, Grounds::TakesBack, arbiter);
        }
        if self.found_peer_faulty() {
            return self.take_over_at_deadline(now, Grounds::PeerFaulty, arbiter);
        }
        if patience_is_over && self.mending.waits() {
            // An owner whose peer is gone as well has nobody to leave the outputs to.
            let owns = self.control.owns() || !self.control.config.drives_as_owner();
            if !self.samples.has_theirs() && owns {
                return Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED));
            }
            return Some(self.leave(now));
        }
        if self.examination().is_some() {
            if self.control.turn.progress() == Progress::Voted && !self.schedule.slot_is_over(now) {
                return None; // the first vote is about to go out
            }
            if !self.is_taking_over() && self.control.turn.progress() == Progress::Examined {
                let is_overdue = self.evidence_is_overdue();
                if is_overdue && patience_is_over {
                    return self.conclude_without_peer(now, arbiter);
                }
            }
            return Some(self.hold());
        }
        let on_probation = self.control.standing.probation() > 0 && !self.control.owns();
        if patience_is_over && on_probation && self.mechanisms.on(Mechanism::Probation) {
            self.fault(Faults::PEER_SILENT | Faults::ON_PROBATION);
            self.stand_by(now, ModeEvent::Refused);
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        // A joiner that does not answer is no reason to wait: it drives nothing yet.
        if patience_is_over || self.meeting.is_cutting() && self.mechanisms.on(Mechanism::CutPatience) {
            if self.silence.may_ask() {
                self.fault(Faults::PEER_SILENT); // else it was told before
            }
            return self.take_over_at_deadline(now, Grounds::Silence, arbiter);
        }
        self.record.bear(Faults::PEER_SILENT); // borne, so not worth the record
        Some(self.hold())
    }

    /// Checks the samples against their digests before they are used; false if one is lost.
    pub(super) fn check_samples(&mut self) -> bool {
        if !self.mechanisms.on(Mechanism::Samples) {
            return true;
        }
        let mut worst = Copies::Sound;
        for copies in self.samples.check() {
            match copies {
                Copies::Sound => continue,
                Copies::Mended => self.record.count(|counters| &mut counters.sample_repairs),
                Copies::Lost => worst = Copies::Lost,
            }
            self.record.bear(Faults::CONTROL_REPAIRED);
            self.control.suspicion.note_health(Health::CONTROL_REPAIRED);
            self.record.happened(self.control.turn.cycle(), self.control.standing.epoch(), Event::SampleRepaired);
        }
        worst != Copies::Lost
    }

    /// Agrees on the input, steps and votes.
    pub(super) fn step_both(&mut self) -> Result<(), Faults> {
        if !self.check_samples() {
            return Err(Faults::INPUT_DIVERGENCE);
        }
        let agreement = self.samples.settle::<P>(self.control.config.me());
        // Without an own sample there is no cycle in progress; `Progress` says so.
        let agreement = agreement.ok_or(Faults::INPUT_DIVERGENCE)?;
        let is_first = self.control.turn.progress() == Progress::Sampled;
        if agreement.discrepancy && is_first {
            self.record.count(|counters| &mut counters.discrepancies);
            self.happened(Event::Discrepancy);
        }
        let input_digest = self.my_vote.digest_of(&agreement.input).ok_or(Faults::INPUT_DIVERGENCE)?;
        self.remember(); // the step takes nearly all of a call: what flips meanwhile must not get into the copies
        let agreed = self.stepped.agree(agreement.input);
        #[cfg(feature = "sim")]
        self.injected.damage_input(agreed);
        let output = P::step(self.control.turn.cycle(), &mut self.mirror.tracked(), agreed);
        #[cfg(feature = "sim")]
        self.damage_control();
        self.recall();
        let stray = self.mirror.take_stray_writes();
        if stray > 0 {
            self.record.count_by(|counters| counters.stray_writes = counters.stray_writes.saturating_add(stray));
            self.fault(Faults::STRAY_WRITE);
        }
        let digests = [input_digest, self.mirror.pending_digest()];
        let cast = self.my_vote.cast(self.control.turn.cycle(), digests, &output, longest_output(FRAME));
        #[cfg(feature = "sim")]
        self.inject_into_vote();
        self.control.turn.reach(Progress::Voted);
        if cast { Ok(()) } else { Err(Faults::OUTPUT_TOO_LARGE) }
    }

    /// Votes: releases what both computed. If the votes differ, both channels examine the cycle, and
    /// the verdict waits for the peer's evidence.
    fn compare(&mut self, now: Instant) -> Option<Unbound<P::Output>> {
        let compare = self.mechanisms.on(Mechanism::Vote);
        let (mine, theirs) =
            self.my_vote.of(self.control.turn.cycle()).zip(self.peer_vote.of(self.control.turn.cycle()))?;
        if self.case.is_proof_test_due()
            && vote::difference(&mine, &theirs, compare).is_empty()
            && !self.prove_comparator()
        {
            return Some(self.leave(now));
        }
        let (mine, theirs) =
            self.my_vote.of(self.control.turn.cycle()).zip(self.peer_vote.of(self.control.turn.cycle()))?;
        let state_digest = mine.state_digest;
        let judged = vote::judge::<P>(self.control.turn.cycle(), self.control.config.me(), &mine, &theirs, compare);
        #[cfg(feature = "sim")]
        let judged = judged.and_then(|sealed| self.injected.report_difference().map_or(Ok(sealed), Err));
        match judged {
            Ok(sealed) => Some(self.commit_and_release(now, sealed, state_digest)),
            Err(faults) => {
                self.differs(faults);
                None
            }
        }
    }

    /// Commits what both channels voted for and releases it.
    pub(super) fn commit_and_release(
        &mut self,
        now: Instant,
        sealed: Sealed<P::Output>,
        state_digest: u32,
    ) -> Unbound<P::Output> {
        if !self.complete(now, state_digest) {
            return self.leave(now); // the peer goes on with what both voted for
        }
        self.record.count(|counters| &mut counters.agreed);
        let owner = self.control.owns();
        let late = self.control.turn.held() > 0;
        // A late completion is released by a leaseholder only, however outputs are driven.
        let needs_lease = self.control.config.drives_as_owner() || late;
        let released = (owner || !needs_lease).then(|| sealed.clone());
        self.stepped.keep(Some(sealed), self.schedule.sampled_at());
        let holder = needs_lease.then_some(self.control.config.me());
        self.verdict(Outcome::Agreed, [None, released], holder)
    }

    /// Completes a cycle that both channels voted on; false if its state cannot be committed.
    pub(super) fn complete(&mut self, now: Instant, state_digest: u32) -> bool {
        if self.settle_or_step_again(now, state_digest).is_err() {
            return false;
        }
        self.my_vote.settle();
        self.forecast_copy();
        self.meeting.agreed();
        self.silence.ends(); // with the peer there is nothing to be asked
        self.control.suspicion.leak(self.control.turn.cycle(), self.control.config.transient_leak_cycles());
        self.control.suspicion.note_lateness(self.control.turn.held() > 0);
        if self.control.turn.held() == 0 && !self.schedule.has_stalled() {
            self.control.standing.serve_probation();
            self.schedule.steer(now, &self.control.config);
        } else {
            self.schedule.follow(now, &self.control.config);
        }
        true
    }

    /// Commits the cycle; if the state was damaged meanwhile, after one more step.
    fn settle_or_step_again(&mut self, now: Instant, state_digest: u32) -> Result<(), Faults> {
        match self.settle(state_digest) {
            Err(faults) if !self.settle_again(now, state_digest) => Err(faults),
            _ => Ok(()),
        }
    }

    /// The state was damaged after it was voted on. The vote stands: stepping once more from the
    /// checkpoint must arrive at what it says.
    fn settle_again(&mut self, now: Instant, state_digest: u32) -> bool {
        self.latch(Faults::COMMIT_DAMAGED);
        if !self.mechanisms.on(Mechanism::Reexecution) {
            return false;
        }
        self.record.count(|counters| &mut counters.recommitted);
        self.happened(Event::Recommitted);
        self.control.suspicion.suspect(Suspects::channel(self.control.config.me()));
        if self.control.suspicion.buckets().channel_over(self.control.config.transient_limit())
            == Some(self.control.config.me())
        {
            self.report(self.control.turn.cycle(), Diagnosis::Faulty(self.control.config.me(), Reason::TooOften));
            return false;
        }
        let voted = self.my_vote.payload_of(self.control.turn.cycle()).map(of_bytes);
        let is_stepped = self.restore_checkpoint(now) && self.step_both().is_ok();
        is_stepped
            && self.my_vote.payload_of(self.control.turn.cycle()).map(of_bytes) == voted
            && self.settle(state_digest).is_ok()
    }

    /// Commits the cycle.
    pub(super) fn settle(&mut self, voted_digest: u32) -> Result<(), Faults> {
        self.mirror.commit(voted_digest).map_err(|_| Faults::COMMIT_DAMAGED)?;
        self.control.turn.reach(Progress::Settled);
        self.control.standing.take_state();
        self.control.suspicion.forget_health();
        Ok(())
    }
}
