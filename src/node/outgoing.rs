//! What is to be sent, and what the peer is known to have.

use super::settings::Settings;
use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::canonical;
use crate::ids::{Instant, Phase, Stage};
use crate::mechanism::Mechanism;
use crate::program::Program;
use crate::wire::{self, ARRIVAL_UNKNOWN, BufferTooSmall, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES, VoteFrame};

#[derive(Clone, Default, Hash)]
pub(super) struct Outgoing {
    sample_due: bool,
    vote_due: bool,
    evidence_due: bool,
    /// When what the peer has not acknowledged is sent again.
    resend_at: Instant,
    hello_at: Instant,
    answered_at: Option<Instant>,
    /// The last phase that the peer has of this channel without a gap.
    peer_has: Phase,
}

impl Outgoing {
    pub(super) fn sample_is_new(&mut self, now: Instant, resend_us: u32) {
        self.sample_due = true;
        self.resend_at = now.plus_us(resend_us);
    }

    pub(super) fn vote_is_new(&mut self, now: Instant, resend_us: u32) {
        self.vote_due = true;
        self.resend_at = now.plus_us(resend_us);
    }

    pub(super) fn evidence_is_new(&mut self, now: Instant, resend_us: u32) {
        (self.vote_due, self.evidence_due) = (false, true);
        self.resend_at = now.plus_us(resend_us);
    }

    /// Takes back times that are further ahead than any can be.
    pub(super) fn bound(&mut self, now: Instant, config: &Settings) {
        self.resend_at = self.resend_at.min(now.plus_us(config.longest_resend_us()));
        self.hello_at = self.hello_at.min(now.plus_us(config.hello_us()));
    }

    /// Whether no time is further ahead than any can be.
    #[cfg(feature = "sim")]
    pub(super) fn is_bounded(&self, now: Instant, config: &Settings) -> bool {
        self.resend_at <= now.plus_us(config.longest_resend_us()) && self.hello_at <= now.plus_us(config.hello_us())
    }

    /// Whether the peer has no more than what was sent up to `phase`.
    #[cfg(feature = "sim")]
    pub(super) fn peer_lags(&self, phase: Phase) -> bool {
        self.peer_has.since(phase) <= 0
    }

    /// The evidence is to go out once more.
    pub(super) fn evidence_again(&mut self) {
        self.evidence_due = true;
    }

    pub(super) fn is_vote_due(&self) -> bool {
        self.vote_due
    }

    /// Returns when the next regular `Hello` is due.
    pub(super) fn hello_at(&self) -> Instant {
        self.hello_at
    }

    /// The next `Hello` is due then.
    pub(super) fn say_hello_at(&mut self, at: Instant) {
        self.hello_at = at;
    }

    /// Whether a stale `Hello` is answered at once; if so, the next ones have to wait.
    pub(super) fn may_answer(&mut self, now: Instant, config: &Settings) -> bool {
        let waits = self.answered_at.is_some_and(|at| now < at.plus_us(config.retransmit_us()));
        if !waits {
            self.answered_at = Some(now);
        }
        !waits
    }

    /// Starts anew with a peer that has everything up to `phase`.
    pub(super) fn restart(&mut self, phase: Phase) {
        *self = Self { peer_has: phase, hello_at: self.hello_at, ..Self::default() };
    }

    /// Notes an acknowledgement; one of something never sent is none.
    pub(super) fn acknowledged(&mut self, ack: Phase, sent: Phase) {
        if ack.since(self.peer_has) > 0 && ack.since(sent) <= 0 {
            self.peer_has = ack;
        }
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Sends what is due of the cycle: the sample, the vote, the evidence.
    pub(super) fn transmit_cycle(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        if !self.is_in_cycle() {
            return Ok(None);
        }
        self.resend(now);
        // A cycle that was left to the other channel is sampled for in the epoch that one gives it.
        if self.outgoing.sample_due && !self.has_let_go() {
            let length = self.transmit_sample(buffer)?;
            self.outgoing.sample_due = false;
            self.schedule.sample_departs(now);
            if length.is_some() {
                return Ok(length);
            }
        }
        if self.outgoing.vote_due {
            let length = self.transmit_vote(buffer)?;
            self.outgoing.vote_due = false;
            return Ok(length);
        }
        if self.outgoing.evidence_due {
            let length = self.transmit_evidence(buffer)?;
            self.outgoing.evidence_due = false;
            return Ok(length);
        }
        Ok(None)
    }

    /// Returns when what the peer has not acknowledged of the cycle goes out again.
    pub(super) fn resend_timeout(&self) -> Option<Instant> {
        let waits = self.control.standing.mode().is_paired() && !self.control.turn.is_settled();
        waits.then_some(self.outgoing.resend_at)
    }

    /// Makes due what the peer lacks, as one of its frames shows.
    pub(super) fn answer_lack(&mut self, ack: Phase) {
        if !self.control.turn.is_settled() && Phase::new(self.control.turn.cycle(), Stage::Sample).since(ack) > 0 {
            self.outgoing.sample_due = true;
            self.record.count(|counters| &mut counters.retransmitted);
        }
        let stays = !self.control.turn.is_settled() || self.mechanisms.on(Mechanism::VoteStays);
        if stays && self.has_vote() && Phase::new(self.my_vote.cycle(), Stage::Vote).since(ack) > 0 {
            self.vote_again();
        }
    }

    /// Sends the vote again, or, once there is a second one, the evidence that carries it.
    fn vote_again(&mut self) {
        let is_examined = self.sends_evidence_of(self.my_vote.cycle());
        self.outgoing.vote_due |= !is_examined;
        self.outgoing.evidence_due |= is_examined;
        self.record.count(|counters| &mut counters.retransmitted);
    }

    /// Returns the last phase this channel has sent.
    pub(super) fn sent_phase(&self) -> Phase {
        match self.control.turn.progress() {
            Progress::Sampled => Phase::new(self.control.turn.cycle(), Stage::Sample),
            Progress::Voted | Progress::Examined | Progress::Settled => {
                Phase::new(self.control.turn.cycle(), Stage::Vote)
            }
        }
    }

    /// A settled channel is silent until asked; an unsettled one repeats what is not acknowledged.
    fn resend(&mut self, now: Instant) {
        if self.resend_timeout().is_none_or(|at| now < at) {
            return;
        }
        self.outgoing.resend_at = now.plus_us(self.schedule.resend_us(&self.control.config));
        // The last thing sent goes out again even if acknowledged: its own
        // acknowledgement is how the peer learns that this channel still waits.
        if Phase::new(self.control.turn.cycle(), Stage::Sample).since(self.outgoing.peer_has) > 0
            || self.control.turn.progress() == Progress::Sampled
        {
            self.outgoing.sample_due = true;
            self.record.count(|counters| &mut counters.retransmitted);
        }
        let is_done = self.examination().is_some_and(|known| known.is_acknowledged() && known.theirs().is_some());
        if self.control.turn.progress() != Progress::Sampled && !is_done {
            self.vote_again();
        }
    }

    fn has_vote(&self) -> bool {
        self.my_vote.payload_of(self.my_vote.cycle()).is_some()
    }

    fn transmit_sample(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        self.check_samples();
        let Some(payload) = self.samples.payload() else { return Ok(None) };
        let header = self.header(Kind::Sample, Phase::new(self.control.turn.cycle(), Stage::Sample));
        wire::build_of_bytes(buffer, &header, &self.keys(), payload).map(Some)
    }

    fn transmit_vote(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        self.check_vote();
        let cycle = self.my_vote.cycle();
        let Some(vote) = self.my_vote.payload_of(cycle) else { return Ok(None) };
        let is_on_time = cycle == self.control.turn.cycle() && self.control.turn.held() == 0;
        let arrival = if is_on_time { self.schedule.arrival(&self.control.config) } else { ARRIVAL_UNKNOWN };
        self.transmit(Kind::Vote, Phase::new(cycle, Stage::Vote), buffer, &VoteFrame { arrival, vote }).map(Some)
    }

    /// Whether a sample is as long as the program says at most, so that its frame fits.
    pub(super) fn fits(&self, sample: &P::Input) -> Result<(), BufferTooSmall> {
        let have_bytes = OVERHEAD_BYTES + wire::SAMPLE_DIGEST_BYTES + P::INPUT_BYTES;
        let input_bytes = canonical::encoded_len(sample).unwrap_or(MAX_FRAME_BYTES);
        let need_bytes = OVERHEAD_BYTES + wire::SAMPLE_DIGEST_BYTES + input_bytes;
        if need_bytes > have_bytes { Err(BufferTooSmall { need_bytes, have_bytes }) } else { Ok(()) }
    }
}
