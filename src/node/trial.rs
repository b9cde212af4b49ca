//! A trial in the node: two versions step on the same samples; one drives, and hands over between two cycles.
//!
//! ```text
//! in each cycle      as in duplex: samples, a step on both, votes. The states have nothing in common, so outputs alone
//!                    are compared, by the new version. Nobody can vouch for a channel but itself: each steps twice
//! the old one owns   its output is released, whatever the new one's is
//! the new one owns   its output is released if it is alike, else the old one's is; and if that is so more often than
//!                    allowed, the outputs go back
//! hand over          between s-1 and s the owner lets go and says Yours(s) until answered; the other one claims on
//!                    that, and both go on in the new epoch. The first frame of it is the answer
//! no answer          at its deadline of s the old owner claims again, if the arbiter is one that can tell who was first
//! numbers            a trial begins at a number that four divides, and each hand-over takes the next one. Whoever finds the
//!                    other one gone claims the next that four divides. So does the other one, should it live, whether it
//!                    knows of the last hand-over or not: the first to claim has the outputs, and is the only one
//! ```

use super::Node;
use super::turn::Progress;
use super::undertaking::Handover;
use crate::diagnose::{Diagnosis, Reason, Suspects};
use crate::digest::of_bytes;
use crate::fault::Faults;
use crate::ids::{Epoch, Instant, Phase, Stage};
use crate::journal::Event;
use crate::lease::{Arbiter, Claim, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::upgrade::{Counts, Duty, Likeness, Order, Step, StepEvent};
use crate::verdict::{Outcome, Verdict};
use crate::vote;
use crate::wire::{BufferTooSmall, Header, Kind, Reject};

/// So many numbers has a trial: for its beginning and its hand-overs.
const BLOCK: u32 = 4;

/// Whether the outputs can have been handed over from one epoch to the other.
fn is_in_block(from: Epoch, to: Epoch) -> bool {
    to.counter() > from.counter() && to.counter() / BLOCK == from.counter() / BLOCK
}

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME> {
    /// Returns the epoch in which a trial begins, or in which a channel goes on without the other one.
    pub(super) fn next_block(&self) -> Epoch {
        let before = self.next_epoch().counter().saturating_sub(1);
        let last = before | (BLOCK - 1);
        Epoch::new(last, self.control.config.me()).successor(self.control.config.me())
    }

    pub(super) fn has_dropped(&self) -> bool {
        self.control.undertaking.handover() == Handover::Dropped && self.mechanisms.on(Mechanism::LetGo)
    }

    pub(super) fn is_claiming(&self) -> bool {
        self.control.undertaking.handover() == Handover::Claiming
    }

    pub(super) fn poll_trial<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        if let Some(verdict) = self.poll_handover(now, arbiter) {
            return Some(verdict);
        }
        let may_step = !self.mending.waits() && !self.is_claiming() && !self.has_dropped();
        if self.control.turn.progress() == Progress::Sampled && self.samples.theirs.is_there() && may_step {
            if self.step_twice(now).is_err() {
                // It cannot vouch for its own result: the other one goes on.
                self.exclude_myself(now);
                return self.slot_open().then(|| self.verdict(Outcome::Waiting, [None, None], None));
            }
            self.outgoing.vote_is_new(now, &self.control.config);
        }
        if !self.slot_open() {
            return None;
        }
        if self.control.turn.is_settled() {
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        if self.pressing.is_some() {
            return self.poll_pressing(now, arbiter);
        }
        let has_votes = self.my_vote.of(self.control.turn.cycle()).is_some()
            && self.peer_vote.of(self.control.turn.cycle()).is_some();
        if self.control.turn.progress() == Progress::Voted && has_votes {
            return Some(self.settle_trial(now));
        }
        // A claim on its way to take what was left to this channel has to be seen through.
        if now >= self.schedule.deadline() && !self.is_claiming() { self.miss_deadline(now, arbiter) } else { None }
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
    /// first to ask.
    pub(super) fn give_the_old_one_time(&mut self) {
        if self.control.undertaking.is_new() && !self.control.owns() && self.mechanisms.on(Mechanism::OldFirst) {
            self.schedule.postpone_deadline(&self.control.config);
        }
    }

    /// Whether this channel, on trial, has not passed it: it does not go on alone, on whatever grounds.
    pub(super) fn may_not_go_on_alone(&self) -> bool {
        self.control.standing.mode() == Mode::Trial
            && self.control.undertaking.is_new()
            && self.has_failed()
            && self.mechanisms.on(Mechanism::Trial)
    }

    /// Leaves the outputs to nobody rather than to a version that has not passed its trial. One that owns them drives what is
    /// safe; one that does not goes back to the old version, which begins anew.
    pub(super) fn give_up_failed(&mut self, now: Instant) -> Verdict<P::Output> {
        if self.control.owns() {
            return self.fatal(now, Faults::TRIAL_FAILED);
        }
        self.fault(Faults::TRIAL_FAILED);
        self.leave_to(now, Duty::RestartIntoOld);
        self.verdict(Outcome::Waiting, [None, None], None)
    }

    /// Both versions' outputs of the cycle are there: compares them, commits, and releases one.
    fn settle_trial(&mut self, now: Instant) -> Verdict<P::Output> {
        let owns = self.control.owns();
        let is_new = self.control.undertaking.is_new();
        let mut likeness = Likeness::Same;
        if let (Some(succession), true) = (self.upgrade.succession, is_new)
            && let Some((mine, theirs)) =
                self.my_vote.of(self.control.turn.cycle()).zip(self.peer_vote.of(self.control.turn.cycle()))
        {
            let outputs = [theirs.output, mine.output];
            let is_first = self.upgrade.trial.first.is_none();
            likeness =
                self.upgrade.trial.compare(&succession, self.control.turn.cycle(), self.agreed.as_ref(), outputs);
            if is_first && self.upgrade.trial.first.is_some() {
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
        if self.settle_or_step_again(now, state_digest).is_err() {
            return self.leave(now);
        }
        self.record.count(|counters| &mut counters.tried);
        self.control.suspicion.leak(self.control.turn.cycle(), self.control.config.transient_leak_cycles());
        self.my_vote.settle();
        if self.control.turn.held() == 0 {
            self.control.standing.serve_probation();
        }
        if self.control.turn.held() > 0 {
            self.schedule.start_at(now);
        } else {
            self.schedule.steer(&self.control.config);
        }
        if goes_back && self.control.undertaking.step() == Step::NewDrives {
            self.fault(Faults::TRIAL_FAILED);
            self.step_on(StepEvent::Ordered(Order::Abort));
        }
        let [old, new] = if is_new { [theirs, mine] } else { [mine, theirs] };
        // Should the owner have died before it drove: the old version's is right in any case.
        self.last.clone_from(&old);
        let released = if is_new && !is_old_driven { new } else { old };
        let holder = self.drives_as_owner().then_some(self.control.config.me());
        self.verdict(Outcome::Tried, [None, released.filter(|_| owns)], holder)
    }

    /// Lets go of the outputs, or takes those that were left to this channel.
    fn poll_handover<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        let to = self.control.undertaking.claimed();
        match self.control.undertaking.handover() {
            Handover::Keeping if self.hands_over() => {
                arbiter.let_go(self.control.standing.epoch(), self.control.config.me());
                self.control.undertaking.drop_outputs();
                self.upgrade.drop_resend_at = now;
                self.happened(Event::LetGo);
                None
            }
            Handover::Keeping | Handover::Dropped => None,
            Handover::Claiming
                if to.owner() != self.control.config.me() || !is_in_block(self.control.standing.epoch(), to) =>
            {
                self.control.undertaking.keep_outputs(); // no claim of this channel's: damaged
                None
            }
            Handover::Claiming => match self.ask(arbiter, to, Grounds::HandedOver) {
                Claim::Granted => {
                    self.go_on_in(now, to);
                    None
                }
                Claim::Refused => {
                    // The other one has taken them back, and goes on alone.
                    self.control.standing.saw(super::takeover::newest_of(arbiter).counter());
                    self.fault(Faults::LEASE_REFUSED);
                    self.record.count(|counters| &mut counters.refused);
                    self.stand_by(now, ModeEvent::Refused);
                    self.slot_open().then(|| self.verdict(Outcome::Waiting, [None, None], None))
                }
                Claim::Pending if self.slot_open() && self.schedule.slot_is_over(now) => Some(self.hold()),
                Claim::Pending => {
                    self.schedule.poll_again_soon(now, &self.control.config);
                    None
                }
            },
        }
    }

    /// Whether the outputs go to the other channel now: between two cycles, both being in step.
    fn hands_over(&self) -> bool {
        let is_between = !self.slot_open() && self.control.turn.is_settled() && self.cut.is_none();
        let is_wanted = match self.control.undertaking.step() {
            Step::Switchover => !self.control.undertaking.is_new() && self.partner_is_tried(),
            Step::Abort => self.control.undertaking.is_new(),
            _ => false,
        };
        is_wanted && is_between && self.control.owns()
    }

    /// Both versions go on, and the other one owns.
    fn go_on_in(&mut self, now: Instant, epoch: Epoch) {
        self.control.standing.adopt(epoch);
        self.control.undertaking.keep_outputs();
        self.outgoing.restart(Phase::new(self.control.turn.committed(), Stage::Settled));
        if !self.control.turn.is_settled() {
            self.outgoing.sample_is_new(now, &self.control.config);
        }
        let new_owns = self.control.undertaking.is_new() == (epoch.owner() == self.control.config.me());
        self.step_on(if new_owns { StepEvent::NewOwns } else { StepEvent::HandedBack });
        self.end_trial();
        self.upgrade.drop_order();
        self.upgrade.is_due = true; // the answer, before the first sample
        self.happened(Event::HandedOver(epoch.owner()));
    }

    /// Notes what a trial came to; what comes has counts of its own.
    pub(super) fn end_trial(&mut self) {
        let Counts { cycles, tolerated, differing } = self.upgrade.trial.counts;
        if cycles > 0 {
            self.happened(Event::Tried { cycles, tolerated, differing });
        }
        self.upgrade.trial.turn();
    }

    /// The other channel has let go before this cycle.
    pub(super) fn handle_yours(&mut self, header: &Header) -> Result<(), Reject> {
        let is_left =
            self.control.standing.mode() == Mode::Trial && !self.control.owns() && !self.control.undertaking.leaves();
        if !is_left || self.control.undertaking.is_new() && self.has_failed() {
            return Err(Reject::Mode);
        }
        if header.epoch != self.control.standing.epoch() {
            return Err(Reject::Epoch);
        }
        let next = if self.control.turn.progress() == Progress::Sampled {
            self.control.turn.cycle()
        } else {
            self.control.turn.cycle().next()
        };
        let is_in_step = matches!(self.control.turn.progress(), Progress::Sampled | Progress::Settled);
        if !is_in_step || header.phase != Phase::new(next, Stage::Sample) {
            return Err(Reject::Phase);
        }
        let to = self.next_epoch();
        if !is_in_block(self.control.standing.epoch(), to) {
            return Err(Reject::Epoch); // no number is left for it
        }
        if self.control.undertaking.handover() == Handover::Keeping && self.pressing.is_none() {
            self.control.undertaking.claim_outputs(to);
        }
        Ok(())
    }

    /// Whether a frame of a newer epoch is the answer to what this channel let go; if so, it goes on in that.
    pub(super) fn answers_handover(&mut self, now: Instant, header: &Header) -> bool {
        let is_answer = self.control.standing.mode() == Mode::Trial
            && self.has_dropped()
            && self.pressing.is_none()
            && is_in_block(self.control.standing.epoch(), header.epoch)
            && header.epoch.owner() != self.control.config.me();
        if is_answer {
            self.go_on_in(now, header.epoch);
        }
        is_answer
    }

    pub(super) fn transmit_yours(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        if self.handover_timeout().is_none_or(|resend_at| now < resend_at) {
            return Ok(None);
        }
        let phase = Phase::new(self.control.turn.committed().next(), Stage::Sample);
        let length = self.transmit(Kind::Yours, phase, buffer, &())?;
        self.upgrade.drop_resend_at = now.plus_us(self.control.config.retransmit_us());
        Ok(Some(length))
    }

    pub(super) fn handover_timeout(&self) -> Option<Instant> {
        (self.control.undertaking.handover() == Handover::Dropped).then_some(self.upgrade.drop_resend_at)
    }
}
