//! A trial in the node: two versions step on the same samples; one drives, and hands over between two cycles.
//!
//! ```text
//! in each cycle      as in duplex: samples, a step on both, votes. The states have nothing in common, so outputs alone
//!                    are compared, by the new version. Nobody can vouch for a channel but itself: each steps twice
//! the old one owns   its output is released, whatever the new one's is
//! the new one owns   its output is released if it is alike, else the old one's is; and if that is so more often than
//!                    allowed, the outputs go back
//! hand over          as `handover` says
//! ```

use super::Upgrades;
use crate::diagnose::{Diagnosis, Reason, Suspects};
use crate::digest::of_bytes;
use crate::fault::Faults;
use crate::ids::{Epoch, Instant};
use crate::journal::Event;
use crate::lease::Arbiter;
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::node::Node;
use crate::node::turn::Progress;
use crate::program::Program;
use crate::upgrade::{Counts, Duty, Likeness, Order, Step, StepEvent};
use crate::verdict::{Outcome, Unbound};
use crate::vote;

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME, Upgrades<P>> {
    pub(in crate::node) fn poll_trial<A: Arbiter>(
        &mut self,
        now: Instant,
        arbiter: &mut A,
    ) -> Option<Unbound<P::Output>> {
        if let Some(verdict) = self.poll_handover(now, arbiter) {
            return Some(verdict);
        }
        let may_step = !self.mending.waits() && !self.is_taking_outputs() && !self.has_let_go();
        if self.control.turn.progress() == Progress::Sampled && self.samples.has_theirs() && may_step {
            if self.step_twice(now).is_err() {
                // It cannot vouch for its own result: the other one goes on.
                self.exclude_myself(now);
                return self.schedule.is_open().then(|| self.verdict(Outcome::Waiting, [None, None], None));
            }
            self.outgoing.vote_is_new(now, self.schedule.resend_us(&self.control.config));
        }
        if !self.schedule.is_open() {
            return None;
        }
        if self.control.turn.is_settled() {
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        if self.is_taking_over() {
            return self.poll_takeover(now, arbiter);
        }
        let has_votes = self.my_vote.of(self.control.turn.cycle()).is_some()
            && self.peer_vote.of(self.control.turn.cycle()).is_some();
        if self.control.turn.progress() == Progress::Voted && has_votes {
            return Some(self.settle_trial(now));
        }
        // A claim on its way to take what was left to this channel has to be seen through.
        if !self.is_taking_outputs() && self.is_past_deadline(now) { self.miss_deadline(now, arbiter) } else { None }
    }

    /// Steps until two results are the same, from a sound checkpoint each time: at most three times.
    fn step_twice(&mut self, now: Instant) -> Result<(), Faults> {
        let first = self.step_once(now, false)?;
        if !self.mechanisms.on(Mechanism::StepTwice) {
            return Ok(());
        }
        let second = self.step_once(now, true)?;
        if first == second {
            return Ok(());
        }
        self.record.count(|counters| &mut counters.masked);
        self.control.suspicion.suspect(Suspects::channel(self.control.config.me()));
        self.report(self.control.turn.cycle(), Diagnosis::Transient(Suspects::channel(self.control.config.me())));
        let is_too_often = self.control.suspicion.buckets().channel_over(self.control.config.transient_limit())
            == Some(self.control.config.me());
        if is_too_often {
            self.report(self.control.turn.cycle(), Diagnosis::Faulty(self.control.config.me(), Reason::TooOften));
            return Err(Faults::FAULTY);
        }
        let third = self.step_once(now, true)?;
        if third == first || third == second {
            return Ok(());
        }
        self.report(self.control.turn.cycle(), Diagnosis::Faulty(self.control.config.me(), Reason::Unstable));
        Err(Faults::FAULTY)
    }

    /// Steps, the second time from the checkpoint once more; returns the digest of the vote.
    fn step_once(&mut self, now: Instant, is_again: bool) -> Result<Option<u32>, Faults> {
        if is_again && !self.restore_checkpoint(now) {
            return Err(Faults::CHECKPOINT_DAMAGED);
        }
        self.step_both()?;
        Ok(self.my_vote.payload_of(self.control.turn.cycle()).map(of_bytes))
    }

    /// A new version that does not own claims late: should the link be cut, the old one, which is approved, is the
    /// first to ask. It is not if the cut lets just the new one's vote through: the old one then settles the cycle, and its next deadline
    /// is a period later.
    pub(in crate::node) fn claim_after_the_old_version(&mut self) {
        if self.control.undertaking.is_new() && !self.control.owns() && self.mechanisms.on(Mechanism::OldFirst) {
            self.schedule.postpone_deadline(&self.control.config);
        }
    }

    /// Whether this channel, on trial, has not passed it: it does not go on alone, on whatever grounds.
    pub(in crate::node) fn may_not_go_on_alone(&self) -> bool {
        self.control.standing.mode() == Mode::Trial
            && self.control.undertaking.is_new()
            && self.has_failed()
            && self.mechanisms.on(Mechanism::Trial)
    }

    /// Leaves the outputs to nobody rather than to a version that has not passed its trial. One that owns them drives what is
    /// safe; one that does not goes back to the old version, which begins anew.
    pub(in crate::node) fn give_up_failed(&mut self, now: Instant) -> Unbound<P::Output> {
        if self.control.owns() {
            return self.fatal(now, Faults::TRIAL_FAILED);
        }
        self.fault(Faults::TRIAL_FAILED);
        self.leave_to(now, Duty::RestartIntoOld);
        self.verdict(Outcome::Waiting, [None, None], None)
    }

    /// Both versions' outputs of the cycle are there: compares them, commits, and releases one.
    fn settle_trial(&mut self, now: Instant) -> Unbound<P::Output> {
        let owns = self.control.owns();
        let is_new = self.control.undertaking.is_new();
        let mut likeness = Likeness::Same;
        if let (Some(succession), true) = (self.upgrade.versions.succession(), is_new)
            && let Some((mine, theirs)) =
                self.my_vote.of(self.control.turn.cycle()).zip(self.peer_vote.of(self.control.turn.cycle()))
        {
            let outputs = [theirs.output, mine.output];
            let is_first = self.upgrade.versions.trial().first().is_none();
            likeness = self.upgrade.versions.trial_mut().compare(
                &succession,
                self.control.turn.cycle(),
                self.stepped.agreed(),
                outputs,
            );
            if is_first && self.upgrade.versions.trial().first().is_some() {
                let [old, new] = outputs.map(of_bytes);
                self.happened(Event::NotAlike { input: mine.input_digest, old, new });
            }
        }
        if is_new && self.has_failed() {
            self.control.undertaking.fail();
        }
        let is_old_driven = is_new && likeness == Likeness::Differing && self.mechanisms.on(Mechanism::Trial);
        let goes_back = is_new && owns && self.has_failed() && self.mechanisms.on(Mechanism::Trial);
        let votes = [self.my_vote.of(self.control.turn.cycle()), self.peer_vote.of(self.control.turn.cycle())];
        let state_digest = votes[0].map_or(0, |vote| vote.state_digest);
        let [mine, theirs] = votes.map(|vote| vote.and_then(|vote| vote::single(self.control.turn.cycle(), &vote)));
        if !self.complete(now, state_digest) {
            return self.leave(now);
        }
        self.record.count(|counters| &mut counters.tried);
        if goes_back && self.control.undertaking.step() == Step::NewDrives {
            self.fault(Faults::TRIAL_FAILED);
            self.step_on(StepEvent::Ordered(Order::Abort));
        }
        let [old, new] = if is_new { [theirs, mine] } else { [mine, theirs] };
        // Should the owner have died before it drove: the old version's is right in any case.
        self.stepped.keep(old.clone(), self.schedule.sampled_at());
        let released = if is_new && !is_old_driven { new } else { old };
        let holder = self.control.config.drives_as_owner().then_some(self.control.config.me());
        self.verdict(Outcome::Tried, [None, released.filter(|_| owns)], holder)
    }

    /// Whether the step asks for the outputs to change sides.
    pub(in crate::node) fn wants_to_hand_over(&self) -> bool {
        match self.control.undertaking.step() {
            Step::Switchover => !self.control.undertaking.is_new() && self.partner_is_tried(),
            Step::Abort => self.control.undertaking.is_new(),
            _ => false,
        }
    }

    /// The outputs have changed sides: what comes is another trial.
    pub(in crate::node) fn handed_over(&mut self, epoch: Epoch) {
        let new_owns = self.control.undertaking.is_new() == (epoch.owner() == self.control.config.me());
        self.step_on(if new_owns { StepEvent::NewOwns } else { StepEvent::HandedBack });
        self.end_trial();
        self.upgrade.orders.drop_given(self.control.undertaking.step());
        self.upgrade.words.owe(); // the answer, before the first sample
    }

    /// Notes what a trial came to; what comes has counts of its own.
    pub(in crate::node) fn end_trial(&mut self) {
        let Counts { cycles, tolerated, differing } = self.upgrade.versions.trial().counts();
        if cycles > 0 {
            self.happened(Event::Tried { cycles, tolerated, differing });
        }
        self.upgrade.versions.trial_mut().turn();
    }
}
