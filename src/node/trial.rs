//! A trial in the node: two versions step on the same samples; one drives, and hands over between two cycles.
//!
//! ```text
//! in each cycle      as in duplex: samples, a step on both, votes. The states have nothing in common, so outputs alone
//!                    are compared, by the new version. Nobody can vouch for a channel but itself: each steps twice
//! the old one owns   its output is released, whatever the new one's is
//! the new one owns   its output is released if it is alike; if not more often than allowed, the old one's is,
//!                    and the outputs go back
//! hand over          between s-1 and s the owner lets go and says Yours(s) until answered; the other one claims on
//!                    that, and both go on in the new epoch. The first frame of it is the answer
//! no answer          at its deadline of s the old owner claims again, if the arbiter is one that can tell who was first
//! numbers            a trial begins at a number that four divides, and each hand-over takes the next one. Whoever finds the
//!                    other one gone claims the next that four divides. So does the other one, should it live, whether it
//!                    knows of the last hand-over or not: the first to claim has the outputs, and is the only one
//! ```

use super::ballot::digest;
use super::{Node, Progress};
use crate::fault::Faults;
use crate::ids::{Epoch, Instant, Phase, Stage};
use crate::journal::{Event, bump};
use crate::lease::{Arbiter, Claim, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::program::Program;
use crate::upgrade::{Counts, Order, Step, StepEvent};
use crate::verdict::{Outcome, Verdict};
use crate::vote;
use crate::wire::{BufferTooSmall, Header, Kind, Part, Reject};

/// The outputs on their way from one channel to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Handover {
    /// They are not.
    Keeping,
    /// This channel has let go, and says so until the other one has taken them.
    Dropped { resend_at: Instant },
    /// They were left to this channel, which claims them.
    Claiming { to: Epoch },
}

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
        Epoch::new(last, self.me).successor(self.me)
    }

    pub(super) fn has_dropped(&self) -> bool {
        matches!(self.upgrade.handover, Handover::Dropped { .. }) && self.mechanisms.on(Mechanism::LetGo)
    }

    fn is_claiming(&self) -> bool {
        matches!(self.upgrade.handover, Handover::Claiming { .. })
    }

    pub(super) fn poll_trial<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        if let Some(verdict) = self.poll_handover(now, arbiter) {
            return Some(verdict);
        }
        let may_step = !self.mending.waits() && !self.is_claiming() && !self.has_dropped();
        if self.progress == Progress::Sampled && self.samples.theirs.is_some() && may_step {
            if self.step_twice(now).is_err() {
                // It cannot vouch for its own result: the other one goes on.
                self.exclude_myself(now);
                return self.slot_open().then(|| self.verdict(Outcome::Waiting, [None, None], None));
            }
            self.outgoing.vote_is_new(now, &self.config);
        }
        if !self.slot_open() {
            return None;
        }
        if self.progress == Progress::Settled {
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        if self.pressing.is_some() {
            return self.poll_pressing(now, arbiter);
        }
        let has_votes = self.my_vote.of(self.cycle).is_some() && self.peer_vote.of(self.cycle).is_some();
        if self.progress == Progress::Voted && has_votes {
            return Some(self.settle_trial(now));
        }
        if now >= self.schedule.deadline { self.miss_deadline(now, arbiter) } else { None }
    }

    /// Steps until two results in a row are the same, from a sound checkpoint each time.
    fn step_twice(&mut self, now: Instant) -> Result<(), Faults> {
        const STEPS: u8 = 3;
        let mut before = None;
        for _ in 0..STEPS {
            self.step_both()?;
            let result = self.my_vote.payload_of(self.cycle).map(digest);
            if before == Some(result) || !self.mechanisms.on(Mechanism::StepTwice) {
                return Ok(());
            }
            if before.replace(result).is_some() {
                bump(&mut self.counters.masked);
            }
            if !self.restore_checkpoint(now) {
                return Err(Faults::CHECKPOINT_DAMAGED);
            }
        }
        Err(Faults::FAULTY)
    }

    /// A new version that does not own claims late: should the link be cut, the old one, which is approved, is the
    /// first to ask.
    pub(super) fn give_the_old_one_time(&mut self) {
        if self.upgrade.is_new && self.epoch.owner() != self.me && self.mechanisms.on(Mechanism::OldFirst) {
            let rest_us = self.config.period_us.saturating_sub(self.config.vote_window_us);
            self.schedule.deadline = self.schedule.deadline.plus_us(rest_us / 2);
        }
    }

    /// Whether this channel, on trial, has not passed it: should the owner die, nothing is better than what it does.
    pub(super) fn may_not_take_over(&self) -> bool {
        let is_on_trial = self.mode == Mode::Trial && self.upgrade.is_new;
        is_on_trial && self.epoch.owner() != self.me && self.has_failed() && self.mechanisms.on(Mechanism::Trial)
    }

    /// Both versions' outputs of the cycle are there: compares them, commits, and releases one.
    fn settle_trial(&mut self, now: Instant) -> Verdict<P::Output> {
        let owns = self.epoch.owner() == self.me;
        let is_new = self.upgrade.is_new;
        if let (Some(succession), true) = (self.upgrade.succession, is_new)
            && let Some((mine, theirs)) = self.my_vote.of(self.cycle).zip(self.peer_vote.of(self.cycle))
        {
            let outputs = [theirs.output, mine.output];
            let is_first = self.upgrade.trial.first.is_none();
            self.upgrade.trial.compare(&succession, self.cycle, self.agreed.as_ref(), outputs);
            if is_first && self.upgrade.trial.first.is_some() {
                let [old, new] = outputs.map(digest);
                self.happened(Event::NotAlike { input: mine.input_digest, old, new });
            }
        }
        let goes_back = is_new && owns && self.has_failed() && self.mechanisms.on(Mechanism::Trial);
        let votes = [self.my_vote.of(self.cycle), self.peer_vote.of(self.cycle)];
        let state_digest = votes[0].map_or(0, |vote| vote.state_digest);
        let [mine, theirs] = votes.map(|vote| vote.and_then(|vote| vote::single(self.cycle, &vote)));
        if self.settle_or_step_again(now, state_digest).is_err() {
            return self.leave(now);
        }
        bump(&mut self.counters.tried);
        self.my_vote.settle();
        self.probation = if self.held > 0 { self.probation } else { self.probation.saturating_sub(1) };
        if self.held > 0 {
            self.schedule.start_at(now);
        } else {
            self.schedule.steer(&self.config);
        }
        if goes_back && self.upgrade.step == Step::NewDrives {
            self.fault(Faults::TRIAL_FAILED);
            self.step_on(StepEvent::Ordered(Order::Abort));
        }
        let [old, new] = if is_new { [theirs, mine] } else { [mine, theirs] };
        // Should the owner have died before it drove: the old version's is right in any case.
        self.last.clone_from(&old);
        let released = if is_new && !goes_back { new } else { old };
        let holder = self.drives_as_owner().then_some(self.me);
        self.verdict(Outcome::Tried, [None, released.filter(|_| owns)], holder)
    }

    /// Lets go of the outputs, or takes those that were left to this channel.
    fn poll_handover<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        match self.upgrade.handover {
            Handover::Keeping if self.hands_over() => {
                arbiter.let_go(self.epoch, self.me);
                self.upgrade.handover = Handover::Dropped { resend_at: now };
                self.happened(Event::LetGo);
                None
            }
            Handover::Keeping | Handover::Dropped { .. } => None,
            Handover::Claiming { to } => match self.ask(arbiter, to, Grounds::HandedOver) {
                Claim::Granted => {
                    self.go_on_in(now, to);
                    None
                }
                Claim::Refused => {
                    self.newest = self.newest.max(super::takeover::newest_of(arbiter).counter());
                    self.upgrade.handover = Handover::Keeping;
                    None
                }
                Claim::Pending if self.slot_open() && self.schedule.slot_is_over(now) => Some(self.hold()),
                Claim::Pending => {
                    self.schedule.poll_again_soon(now, &self.config);
                    None
                }
            },
        }
    }

    /// Whether the outputs go to the other channel now: between two cycles, both being in step.
    fn hands_over(&self) -> bool {
        let is_between = !self.slot_open() && self.progress == Progress::Settled && self.cut.is_none();
        let is_wanted = match self.upgrade.step {
            Step::Switchover => !self.upgrade.is_new && self.upgrade.partner_is(Part::READY),
            Step::Abort => self.upgrade.is_new,
            _ => false,
        };
        is_wanted && is_between && self.epoch.owner() == self.me
    }

    /// Both versions go on, and the other one owns.
    fn go_on_in(&mut self, now: Instant, epoch: Epoch) {
        (self.epoch, self.newest) = (epoch, self.newest.max(epoch.counter()));
        self.upgrade.handover = Handover::Keeping;
        self.outgoing.restart(Phase::new(self.committed(), Stage::Settled));
        if self.progress != Progress::Settled {
            self.outgoing.sample_is_new(now, &self.config);
        }
        let new_owns = self.upgrade.is_new == (epoch.owner() == self.me);
        self.step_on(if new_owns { StepEvent::NewOwns } else { StepEvent::HandedBack });
        self.end_trial();
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
        let is_left = self.mode == Mode::Trial && self.epoch.owner() != self.me && !self.upgrade.leaves;
        if !is_left || self.upgrade.is_new && self.has_failed() {
            return Err(Reject::Mode);
        }
        if header.epoch != self.epoch {
            return Err(Reject::Epoch);
        }
        let next = if self.progress == Progress::Sampled { self.cycle } else { self.cycle.next() };
        let is_in_step = matches!(self.progress, Progress::Sampled | Progress::Settled);
        if !is_in_step || header.phase != Phase::new(next, Stage::Sample) {
            return Err(Reject::Phase);
        }
        let to = self.next_epoch();
        if !is_in_block(self.epoch, to) {
            return Err(Reject::Epoch); // no number is left for it
        }
        if self.upgrade.handover == Handover::Keeping && self.pressing.is_none() {
            self.upgrade.handover = Handover::Claiming { to };
        }
        Ok(())
    }

    /// Whether a frame of a newer epoch is the answer to what this channel let go; if so, it goes on in that.
    pub(super) fn answers_handover(&mut self, now: Instant, header: &Header) -> bool {
        let is_answer = self.mode == Mode::Trial
            && self.has_dropped()
            && self.pressing.is_none()
            && is_in_block(self.epoch, header.epoch)
            && header.epoch.owner() != self.me;
        if is_answer {
            self.go_on_in(now, header.epoch);
        }
        is_answer
    }

    pub(super) fn transmit_yours(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let Handover::Dropped { resend_at } = self.upgrade.handover else { return Ok(None) };
        if now < resend_at {
            return Ok(None);
        }
        let phase = Phase::new(self.committed().next(), Stage::Sample);
        let length = self.transmit(Kind::Yours, phase, buffer, &())?;
        self.upgrade.handover = Handover::Dropped { resend_at: now.plus_us(self.config.retransmit_us) };
        Ok(Some(length))
    }

    pub(super) fn handover_timeout(&self) -> Option<Instant> {
        match self.upgrade.handover {
            Handover::Dropped { resend_at } => Some(resend_at),
            Handover::Keeping | Handover::Claiming { .. } => None,
        }
    }
}
