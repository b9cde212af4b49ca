//! Evidence in the node: taken, answered and sent. What it says is found in `examine`.

use super::case::Examination;
use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::diagnose::Evidence;
use crate::digest::of_bytes;
use crate::fault::Health;
use crate::ids::{Cycle, Phase, Stage};
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::program::Program;
use crate::vote;
use crate::wire::{BufferTooSmall, EvidencePayload, Header, Kind, Reject, VotePayload};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Takes the evidence of the peer, or its word that it has settled the cycle.
    pub(super) fn handle_evidence(&mut self, header: &Header, payload: EvidencePayload<'_>) -> Result<(), Reject> {
        let is_settled = header.kind == Kind::Settled;
        let stage = if is_settled { Stage::Settled } else { Stage::Evidence };
        // A vote that makes no sense agrees with nothing, but the evidence it came with stands.
        let theirs = Evidence::of_payload(&payload, is_settled, of_bytes(payload.vote)).ok_or(Reject::Payload)?;
        let has_mine = is_settled || header.ack.since(header.phase) >= 0;
        let is_done = self.control.turn.is_settled() || self.control.standing.mode() == Mode::Safe;
        let is_waiting = matches!(self.control.turn.progress(), Progress::Voted | Progress::Examined);
        match header.phase.since(Phase::new(self.control.turn.cycle(), stage)) {
            0 if is_done && !has_mine => self.answer_evidence(self.control.turn.cycle(), theirs, &payload),
            -4 if !has_mine => self.answer_evidence(self.control.turn.cycle().previous(), theirs, &payload),
            0 if !is_done && is_waiting && (!is_settled || self.control.turn.progress() == Progress::Examined) => {
                self.keep_evidence(theirs, has_mine, &payload)
            }
            0 | -4 => {
                self.record.count(|counters| &mut counters.repeated);
                Ok(())
            }
            _ => Err(Reject::Phase),
        }
    }

    /// Keeps the peer's evidence of the cycle in progress; its second vote takes the place of its first.
    fn keep_evidence(&mut self, theirs: Evidence, has_mine: bool, payload: &EvidencePayload<'_>) -> Result<(), Reject> {
        let is_repetition = self.has_peer_evidence();
        if self.examination().is_none() {
            self.look_at_first_votes();
        }
        let Some(mut examination) = self.case.last().copied() else { return Ok(()) };
        if is_repetition {
            self.record.count(|counters| &mut counters.repeated);
        } else if !self.peer_vote.keep(self.control.turn.cycle(), payload.vote) {
            return Err(Reject::TooLong);
        } else {
            examination.note_theirs(theirs, payload.levels);
            if !self.is_taking_over() {
                examination.reopen();
            }
        }
        if has_mine {
            examination.acknowledge();
        }
        self.case.open(examination);
        // The peer learns that this channel has it, and gets what it lacks.
        if self.control.turn.progress() == Progress::Examined && (!is_repetition || !has_mine) {
            self.outgoing.evidence_again();
        }
        Ok(())
    }

    /// Looks at the first votes before the peer's second takes the place of its first.
    fn look_at_first_votes(&mut self) {
        let is_on = self.mechanisms.on(Mechanism::Vote);
        let votes = self.my_vote.of(self.control.turn.cycle()).zip(self.peer_vote.of(self.control.turn.cycle()));
        let judged = votes.map(|(mine, theirs)| {
            vote::judge::<P>(self.control.turn.cycle(), self.control.config.me(), &mine, &theirs, is_on).err()
        });
        match judged {
            Some(Some(faults)) => self.differs(faults),
            seen => {
                let peer_first = seen.and_then(|_| self.peer_vote.payload_of(self.control.turn.cycle())).map(of_bytes);
                self.case.open(Examination::of(self.control.turn.cycle(), peer_first, false));
            }
        }
    }

    /// Answers a peer that is still at a cycle that is done here: with this channel's evidence, or
    /// with what it settled on, having seen no difference.
    fn answer_evidence(&mut self, cycle: Cycle, theirs: Evidence, payload: &EvidencePayload<'_>) -> Result<(), Reject> {
        self.check_vote();
        if self.case.of(cycle).is_none() {
            let vote = self.my_vote.of(cycle).ok_or(Reject::Phase)?;
            if self.control.standing.mode() == Mode::Safe || !self.mechanisms.on(Mechanism::Settled) {
                return Err(Reject::Phase); // nothing was settled here
            }
            let first = of_bytes(self.my_vote.payload_of(cycle).unwrap_or_default());
            let peer_first = self.peer_vote.payload_of(cycle).map(of_bytes);
            let second = VotePayload::parse(payload.vote);
            let agree = second
                .is_some_and(|second| vote::judge::<P>(cycle, self.control.config.me(), &vote, &second, true).is_ok());
            // It saw no difference, so it looked for none in its memory: it says nothing against itself.
            let mine = Evidence {
                checkpoint_holds: true,
                saw_mismatch: false,
                is_settled: true,
                first,
                peer_first,
                second: first,
                health: Health::empty(),
            };
            let mut examination = Examination::of(cycle, peer_first, false);
            examination.note_mine(mine, self.control.suspicion.buckets().levels());
            examination.note_theirs(theirs, payload.levels);
            self.case.open(examination);
            self.record.count(|counters| &mut counters.diverged);
            self.diagnosed(agree);
        }
        self.outgoing.evidence_again();
        Ok(())
    }

    /// Whether what the peer lacks of a cycle is this channel's evidence rather than its vote: the
    /// vote that is kept is the second one then.
    pub(super) fn sends_evidence_of(&self, cycle: Cycle) -> bool {
        self.case.of(cycle).and_then(Examination::mine).is_some_and(|mine| !mine.is_settled)
    }

    pub(super) fn transmit_evidence(&self, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        // A vote of the next cycle has taken the place of what the peer no longer needs.
        let cycle = self.my_vote.cycle();
        let Some(examination) = self.case.of(cycle) else { return Ok(None) };
        let Some(mine) = examination.mine() else { return Ok(None) };
        let payload = mine.payload(examination.my_levels(), self.my_vote.payload_of(cycle).unwrap_or_default());
        let (kind, stage) =
            if mine.is_settled { (Kind::Settled, Stage::Settled) } else { (Kind::Evidence, Stage::Evidence) };
        self.transmit(kind, Phase::new(cycle, stage), buffer, &payload).map(Some)
    }
}
