//! Serving alone, as a donor too: each cycle is done by this channel by itself.

use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::Instant;
use crate::lease::Arbiter;
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::program::Program;
use crate::verdict::{Outcome, Unbound};
use crate::vote::{self, Sealed};
use core::ops::ControlFlow;

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    pub(super) fn poll_simplex(&mut self, now: Instant) -> Option<Unbound<P::Output>> {
        if !self.schedule.is_open() || self.control.turn.is_settled() {
            return None;
        }
        if self.mending.waits() {
            return Some(self.fatal(now, Faults::CHECKPOINT_DAMAGED)); // nobody left to ask
        }
        match self.serve_alone() {
            Ok(sealed) => {
                self.donor_committed(now);
                let holder = Some(self.control.config.me());
                Some(self.verdict(Outcome::Alone, [None, Some(sealed)], holder))
            }
            Err(faults) => Some(self.fatal(now, faults)),
        }
    }

    /// Completes the cycle by this channel alone: steps on the agreed input if both samples
    /// are there, else on its own sample, and commits.
    pub(super) fn serve_alone(&mut self) -> Result<Sealed<P::Output>, Faults> {
        if self.mechanisms.on(Mechanism::FirstResult) || self.control.turn.progress() == Progress::Sampled {
            self.step_both()?;
        }
        let vote = self.my_vote.of(self.control.turn.cycle()).ok_or(Faults::OUTPUT_TOO_LARGE)?;
        let sealed = vote::single(self.control.turn.cycle(), &vote).ok_or(Faults::OUTPUT_TOO_LARGE)?;
        // Against the digest taken right after the step, so that a change since then shows.
        self.settle(vote.state_digest)?;
        self.record.count(|counters| &mut counters.alone);
        self.control.standing.went_alone(); // should the peer go on alone as well
        Ok(sealed)
    }

    /// A donor serves alone, and between two cycles it cuts over once all blocks are there.
    pub(super) fn poll_donor<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        if let ControlFlow::Break(verdict) = self.claim_for_joiner(now, arbiter) {
            return verdict;
        }
        if !self.schedule.is_open() {
            self.go_on_copying(now);
            return None;
        }
        let waits = self.control.claim.is_under_way();
        let verdict = if waits { None } else { self.poll_simplex(now) };
        if verdict.is_some() && self.control.standing.mode() == Mode::Donor {
            // Blocks go out once the verdict was taken: look again then.
            self.schedule.poll_again_at_once(now);
        }
        verdict
    }
}
