//! The cycle: agree, step, vote, commit, release.

use super::{Node, Progress};
use crate::agree::{Kept, settle};
use crate::config::Drive;
use crate::fault::Faults;
use crate::ids::Instant;
use crate::journal::bump;
use crate::lease::{Arbiter, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::verdict::{Outcome, Verdict};
use crate::vote::{self, Sealed};

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME> {
    pub(super) fn poll_duplex<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        // A step on damaged memory would be the peer's to suffer.
        if self.progress == Progress::Sampled && self.samples.theirs.is_some() && !self.mending.waits() {
            if let Err(faults) = self.step_both() {
                return Some(self.fatal(now, faults));
            }
            self.outgoing.vote_is_new(now, &self.config);
        }
        if !self.slot_open() {
            return None;
        }
        if self.progress == Progress::Settled {
            // The pair cut over in a slot that began while starting: the cycle has its own.
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        if self.pressing.is_some() {
            // The peer's vote is too late now: the arbiter may already have moved on to the
            // epoch claimed, in which nothing of the old one can be driven.
            return self.poll_pressing(now, arbiter);
        }
        if self.progress == Progress::Voted && self.peer_vote.of(self.cycle).is_some() {
            return Some(self.compare(now));
        }
        if now >= self.schedule.deadline {
            let patience_is_over = self.held >= self.config.patience;
            if patience_is_over && self.mending.waits() {
                // An owner whose peer is gone as well has nobody to leave the outputs to.
                let owns = self.epoch.owner() == self.me || !self.drives_as_owner();
                if self.samples.theirs.is_none() && owns {
                    return Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED));
                }
                self.exclude_myself(now);
                return Some(self.verdict(Outcome::Waiting, [None, None], None));
            }
            let on_probation = self.probation > 0 && self.epoch.owner() != self.me;
            if patience_is_over && on_probation && self.mechanisms.on(Mechanism::Probation) {
                self.fault(Faults::PEER_SILENT | Faults::ON_PROBATION);
                self.stand_by(now, ModeEvent::Refused);
                return Some(self.verdict(Outcome::Waiting, [None, None], None));
            }
            // A joiner that does not answer is no reason to wait: it drives nothing yet.
            if patience_is_over || self.cut.is_some() {
                self.fault(Faults::PEER_SILENT);
                self.press(Grounds::Silence);
            } else {
                self.faults |= Faults::PEER_SILENT; // borne, so not worth the record
                self.held = self.held.saturating_add(1);
                bump(&mut self.counters.held);
                return Some(self.verdict(Outcome::Held, [None, None], None));
            }
        }
        self.poll_pressing(now, arbiter)
    }

    pub(super) fn poll_simplex(&mut self, now: Instant) -> Option<Verdict<P::Output>> {
        if !self.slot_open() || self.progress == Progress::Settled {
            return None;
        }
        if self.mending.waits() {
            return Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED)); // nobody left to ask
        }
        match self.serve_alone() {
            Ok(sealed) => {
                self.donor_committed(now);
                let holder = Some(self.me);
                Some(self.verdict(Outcome::Alone, [None, Some(sealed)], holder))
            }
            Err(faults) => Some(self.fatal(now, faults)),
        }
    }

    /// Completes the cycle by this channel alone: steps on the agreed input if both samples
    /// are there, else on its own sample, and commits.
    pub(super) fn serve_alone(&mut self) -> Result<Sealed<P::Output>, Faults> {
        self.step_both()?;
        let vote = self.my_vote.of(self.cycle).ok_or(Faults::OUTPUT_TOO_LARGE)?;
        let sealed = vote::single(self.cycle, &vote).ok_or(Faults::OUTPUT_TOO_LARGE)?;
        // Against the digest taken right after the step, so that a change since then shows.
        self.settle(vote.state_digest)?;
        bump(&mut self.counters.alone);
        self.is_fork = true; // should the peer go on alone as well
        Ok(sealed)
    }

    /// Agrees on the input, steps and votes.
    fn step_both(&mut self) -> Result<(), Faults> {
        let agreement = settle::<P>(self.me, self.samples.mine.as_ref(), self.samples.theirs.as_ref());
        // Without an own sample there is no cycle in progress; `Progress` says so.
        let agreement = agreement.ok_or(Faults::INPUT_DIVERGENCE)?;
        if agreement.discrepancy {
            bump(&mut self.counters.discrepancies);
        }
        let agreed = Kept::new(agreement.input).ok_or(Faults::INPUT_DIVERGENCE)?;
        let output = P::step(self.cycle, &mut self.mirror.tracked(), &agreed.value);
        let stray = self.mirror.take_stray_writes();
        if stray > 0 {
            self.counters.stray_writes = self.counters.stray_writes.saturating_add(stray);
            self.fault(Faults::STRAY_WRITE);
        }
        let state_digest = self.mirror.pending_digest();
        let cast = self.my_vote.cast(self.cycle, agreed.digest, state_digest, &output);
        #[cfg(feature = "sim")]
        if let Some(bit) = self.vote_flip.take() {
            self.my_vote.flip_output_bit(bit);
        }
        self.agreed = Some(agreed);
        self.progress = Progress::Voted;
        if cast { Ok(()) } else { Err(Faults::OUTPUT_TOO_LARGE) }
    }

    /// Votes: releases what both computed, or goes to the safe state with both votes on record.
    fn compare(&mut self, now: Instant) -> Verdict<P::Output> {
        let compare = self.mechanisms.on(Mechanism::Vote);
        let votes = self.my_vote.of(self.cycle).zip(self.peer_vote.of(self.cycle));
        let Some((mine, theirs)) = votes else {
            return self.fatal(now, Faults::OUTPUT_DIVERGENCE);
        };
        let voted_digest = mine.state_digest;
        let judged = vote::judge::<P>(self.cycle, self.me, &mine, &theirs, compare);
        let sealed = match judged {
            Ok(sealed) => sealed,
            Err(faults) => {
                bump(&mut self.counters.diverged);
                return self.fatal(now, faults);
            }
        };
        if let Err(faults) = self.settle(voted_digest) {
            return self.fatal(now, faults);
        }
        bump(&mut self.counters.agreed);
        self.probation = if self.held > 0 { self.probation } else { self.probation.saturating_sub(1) };

        let owner = self.epoch.owner() == self.me;
        let late = self.held > 0;
        if late {
            // The peer may be in the next cycle by now: follow at once.
            self.schedule.start_at(now);
        } else {
            self.schedule.steer(&self.config);
        }
        // A late completion is released by a leaseholder only, however outputs are driven.
        let needs_lease = self.drives_as_owner() || late;
        let released = (owner || !needs_lease).then(|| sealed.clone());
        self.last = Some(sealed);
        let holder = needs_lease.then_some(self.me);
        self.verdict(Outcome::Agreed, [None, released], holder)
    }

    /// Commits the cycle.
    fn settle(&mut self, voted_digest: u32) -> Result<(), Faults> {
        self.mirror.commit(voted_digest).map_err(|_| Faults::COMMIT_DAMAGED)?;
        self.progress = Progress::Settled;
        self.empty = false;
        Ok(())
    }

    pub(super) fn drives_as_owner(&self) -> bool {
        self.config.drive == Drive::Owner
    }
}
