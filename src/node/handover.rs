//! Handing over: the outputs change sides between two cycles, while both channels serve.
//!
//! ```text
//! hand over          between s-1 and s the owner lets go and says HandOver(s) until answered; the other one claims on
//!                    that, and both go on in the new epoch. The first frame of it is the answer
//! no answer          at its deadline of s the old owner claims again, if the arbiter is one that can tell who was first
//! numbers            a trial begins at a number that four divides, and each hand-over takes the next one. Whoever finds the
//!                    other one gone claims the next that four divides. So does the other one, should it live, whether it
//!                    knows of the last hand-over or not: the first to claim has the outputs, and is the only one
//! ```

use super::lineage::{Answer, is_in_block, newest_of};
use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{Epoch, Instant, Phase, Stage};
use crate::journal::Event;
use crate::lease::{Arbiter, Grounds};
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::verdict::{Outcome, Unbound};
use crate::wire::{self, BufferTooSmall, Header, Kind, Reject};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Lets go of the outputs, or takes those that were left to this channel.
    pub(super) fn poll_handover<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        let Some(to) = self.left_outputs() else {
            if !self.control.claim.has_let_go() && self.hands_over() {
                self.control.claim.let_go();
                self.release_lease(arbiter);
                self.drop_resend_at = now;
                self.happened(Event::LetGo);
            }
            return None;
        };
        match self.ask(now, arbiter, to, Grounds::HandedOver) {
            Answer::Granted => {
                self.go_on_in(now, to);
                None
            }
            Answer::Unanswered => {
                self.stand_by(now, ModeEvent::Refused);
                self.schedule.is_open().then(|| self.verdict(Outcome::Waiting, [None, None], None))
            }
            Answer::Refused => {
                // The other one has taken them back, and goes on alone.
                self.control.standing.saw(newest_of(arbiter).counter());
                self.fault(Faults::LEASE_REFUSED);
                self.record.count(|counters| &mut counters.refused);
                self.stand_by(now, ModeEvent::Refused);
                self.schedule.is_open().then(|| self.verdict(Outcome::Waiting, [None, None], None))
            }
            Answer::Pending if self.schedule.is_open() && self.schedule.slot_is_over(now) => Some(self.hold()),
            Answer::Pending => {
                self.schedule.poll_again_soon(now, &self.control.config);
                None
            }
        }
    }

    /// Whether the outputs go to the other channel now: between two cycles, both being in step.
    fn hands_over(&self) -> bool {
        let is_between = self.is_between_cycles() && !self.meeting.is_cutting();
        is_between && self.control.owns() && U::wants_to_hand_over(self)
    }

    /// Both channels go on, and the other one owns.
    fn go_on_in(&mut self, now: Instant, epoch: Epoch) {
        self.control.standing.adopt(epoch);
        self.control.claim.forget();
        self.outgoing.restart(Phase::new(self.control.turn.committed(), Stage::Settled));
        if !self.control.turn.is_settled() {
            self.outgoing.sample_is_new(now, self.schedule.resend_us(&self.control.config));
        }
        U::handed_over(self, epoch);
        self.happened(Event::HandedOver(epoch.owner()));
    }

    /// The other channel has let go before this cycle.
    pub(super) fn handle_handover(&mut self, header: &Header) -> Result<(), Reject> {
        let is_left = self.control.standing.mode() == Mode::Trial && !self.control.owns() && !self.leaves();
        if !is_left || !U::takes_outputs(self) {
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
        self.control.claim.begin(to, Grounds::HandedOver);
        Ok(())
    }

    /// Whether a frame of a newer epoch is the answer to what this channel let go; if so, it goes on in that.
    pub(super) fn answers_handover(&mut self, now: Instant, epoch: Epoch) -> bool {
        let is_answer = self.control.standing.mode() == Mode::Trial
            && self.has_let_go()
            && !self.is_taking_over()
            && is_in_block(self.control.standing.epoch(), epoch)
            && epoch.owner() != self.control.config.me();
        if is_answer {
            self.go_on_in(now, epoch);
        }
        is_answer
    }

    pub(super) fn transmit_handover(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        if self.handover_timeout().is_none_or(|resend_at| now < resend_at) {
            return Ok(None);
        }
        let phase = Phase::new(self.control.turn.committed().next(), Stage::Sample);
        let header = self.header(Kind::HandOver, phase);
        let length = wire::build_of_bytes(buffer, &header, &self.keys(), &[])?;
        self.drop_resend_at = now.plus_us(self.control.config.retransmit_us());
        Ok(Some(length))
    }

    /// Takes back a time that is further ahead than any can be.
    pub(super) fn bound_handover(&mut self, now: Instant) {
        self.drop_resend_at = self.drop_resend_at.min(now.plus_us(self.control.config.retransmit_us()));
    }

    pub(super) fn handover_timeout(&self) -> Option<Instant> {
        (U::IS_ON && self.control.claim.has_let_go()).then_some(self.drop_resend_at)
    }
}
