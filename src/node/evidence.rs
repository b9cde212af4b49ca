//! Evidence in the node: what this channel does when the votes of a cycle differ.
//!
//! ```text
//! votes differ, or the peer's Evidence comes  -> examine: check, roll back, step once more
//! both sides' evidence is there               -> conclude: the same diagnosis on both
//! the peer lags behind with its Evidence      -> answer: what this channel settled on
//! ```

use super::ballot::digest;
use super::{Node, Progress};
use crate::config::Unattributed;
use crate::diagnose::{Diagnosis, Evidence, Proof, Suspects, diagnose};
use crate::fault::{Faults, Health};
use crate::ids::{ChannelId, Cycle, Instant, Phase, Stage};
use crate::journal::{Event, bump};
use crate::lease::{Arbiter, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::program::Program;
use crate::verdict::Verdict;
use crate::vote;
use crate::wire::{BufferTooSmall, EvidencePayload, Header, Kind, Reject, VotePayload};

/// What is known of a cycle in which the votes differed. What was sent of it does not change, so
/// that both channels diagnose the same pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Examination {
    cycle: Cycle,
    mine: Option<Evidence>,
    theirs: Option<Evidence>,
    /// The peer's first vote as it arrived, before its second took its place.
    peer_first: Option<u32>,
    /// This channel's comparator saw the first votes differ.
    saw_mismatch: bool,
    my_levels: [u8; 5],
    peer_levels: [u8; 5],
    diagnosis: Option<Diagnosis>,
}

impl Examination {
    fn of(cycle: Cycle, peer_first: Option<u32>) -> Self {
        Self {
            cycle,
            mine: None,
            theirs: None,
            peer_first,
            saw_mismatch: false,
            my_levels: [0; 5],
            peer_levels: [0; 5],
            diagnosis: None,
        }
    }
}

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME> {
    /// Notes what the hardware or the user's own checks say against this channel in this cycle:
    /// evidence, should the votes differ.
    pub fn raise_health(&mut self, health: Health) {
        self.health |= health;
    }

    /// Whether a channel was found faulty too often, and may not join until [`readmit`](Self::readmit).
    pub fn is_barred(&self, channel: ChannelId) -> bool {
        let [a, b] = self.barred;
        if channel == ChannelId::A { a } else { b }
    }

    /// Lets a channel take part again that was found faulty too often, and forgets what it was
    /// suspected of: it was repaired or replaced. To be called on the channel that serves, and on the
    /// other one if that has not been booted since.
    pub fn readmit(&mut self, channel: ChannelId) {
        self.recall();
        self.bar(channel, false);
        self.buckets.empty(channel);
        self.happened(Event::Readmitted(channel));
        self.remember();
    }

    fn bar(&mut self, channel: ChannelId, is_barred: bool) {
        let [a, b] = &mut self.barred;
        *(if channel == ChannelId::A { a } else { b }) = is_barred;
    }

    pub(super) fn examination(&self) -> Option<&Examination> {
        self.examination.as_ref().filter(|examination| examination.cycle == self.cycle)
    }

    /// Whether the evidence of the peer is there.
    pub(super) fn has_peer_evidence(&self) -> bool {
        self.examination().is_some_and(|examination| examination.theirs.is_some())
    }

    /// Whether the peer was found faulty in this cycle and has not let go yet.
    pub(super) fn condemns_peer(&self) -> bool {
        let diagnosis = self.examination().and_then(|examination| examination.diagnosis);
        matches!(diagnosis, Some(Diagnosis::Faulty(channel, _)) if channel != self.me)
    }

    /// Begins to examine the cycle, since this channel saw its votes differ in this.
    pub(super) fn differs(&mut self, faults: Faults) {
        let peer_first = self.peer_vote.payload_of(self.cycle).map(digest);
        self.examination = Some(Examination { saw_mismatch: true, ..Examination::of(self.cycle, peer_first) });
        if faults.contains(Faults::INPUT_DIVERGENCE) {
            bump(&mut self.counters.inputs_differed);
        }
        self.fault(faults);
    }

    /// Checks the checkpoint, rolls back to it and steps once more on the agreed input, if the votes
    /// of the cycle differ and the first one is out: the second takes its place.
    pub(super) fn examine_if_due(&mut self, now: Instant) {
        let Some(mut examination) = self.examination().copied() else { return };
        if self.progress != Progress::Voted {
            return;
        }
        if self.outgoing.is_vote_due() {
            self.schedule.poll_again_at = Some(now.plus_us(1));
            return;
        }
        bump(&mut self.counters.diverged);
        let first = digest(self.my_vote.payload_of(self.cycle).unwrap_or_default());
        let checkpoint_holds = self.restore_checkpoint(now);
        if !P::self_test() {
            self.health |= Health::SELF_TEST_FAILED;
        }
        if self.mechanisms.on(Mechanism::Reexecution) && self.step_both().is_err() {
            self.my_vote.forget(); // a vote that is none agrees with nothing
        }
        self.progress = Progress::Examined;
        let second = digest(self.my_vote.payload_of(self.cycle).unwrap_or_default());
        let Examination { saw_mismatch, peer_first, .. } = examination;
        examination.mine = Some(Evidence {
            checkpoint_holds,
            saw_mismatch,
            is_settled: false,
            first,
            peer_first,
            second,
            health: self.health,
        });
        examination.my_levels = self.buckets.levels();
        self.examination = Some(examination);
        self.outgoing.evidence_is_new(now, &self.config);
    }

    /// Checks the checkpoint, mends what can be mended, and rolls back to it; false if damage stays.
    pub(super) fn restore_checkpoint(&mut self, now: Instant) -> bool {
        let mut damaged = None;
        if self.mechanisms.on(Mechanism::Checkpoint) {
            let found = self.mirror.scrub_all();
            self.note(&found);
            damaged = found.beyond_repair;
        }
        self.mirror.rollback();
        if let Some(block) = damaged {
            self.wants(now, block as u16);
        }
        damaged.is_none()
    }

    /// Diagnoses the cycle, both sides' evidence being there, and acts on it.
    pub(super) fn conclude<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Verdict<P::Output>> {
        let votes = self.my_vote.of(self.cycle).zip(self.peer_vote.of(self.cycle));
        let judged = votes.ok_or(Faults::OUTPUT_DIVERGENCE).and_then(|(mine, theirs)| {
            let sealed = vote::judge::<P>(self.cycle, self.me, &mine, &theirs, true)?;
            Ok((sealed, mine.state_digest))
        });
        match (self.diagnosed(judged.is_ok()), judged) {
            (Some(Diagnosis::Transient(_)), Ok((sealed, state_digest))) => {
                bump(&mut self.counters.masked);
                Some(self.commit_and_release(now, sealed, state_digest))
            }
            (Some(Diagnosis::Faulty(channel, _)), _) if channel == self.me => Some(self.leave(now)),
            (Some(Diagnosis::Faulty(..)), _) => {
                self.press(Grounds::PeerFaulty);
                if self.outgoing.evidence_due && now < self.schedule.deadline {
                    // First the peer has to hear of it: without a word it would not know whom to blame.
                    self.schedule.poll_again_at = Some(now.plus_us(1));
                    return None;
                }
                self.poll_pressing(now, arbiter)
            }
            _ => Some(self.fatal(now, Faults::UNATTRIBUTED)),
        }
    }

    /// The peer's evidence did not come in time: nobody can say who is wrong.
    pub(super) fn conclude_without_peer<A: Arbiter>(
        &mut self,
        now: Instant,
        arbiter: &mut A,
    ) -> Option<Verdict<P::Output>> {
        let diagnosis = self.by_policy(Diagnosis::Unattributed);
        if let Some(examination) = &mut self.examination {
            examination.diagnosis = Some(diagnosis);
        }
        self.report(diagnosis);
        match diagnosis {
            Diagnosis::Faulty(channel, _) if channel == self.me => Some(self.leave(now)),
            Diagnosis::Faulty(..) => {
                self.press(Grounds::PeerFaulty);
                self.poll_pressing(now, arbiter)
            }
            _ => Some(self.fatal(now, Faults::PEER_SILENT)),
        }
    }

    /// Returns the diagnosis of the examined cycle, made once.
    fn diagnosed(&mut self, agree: bool) -> Option<Diagnosis> {
        let examination = self.examination.as_mut()?;
        let (mine, theirs) = examination.mine.zip(examination.theirs)?;
        if examination.diagnosis.is_some() {
            return examination.diagnosis;
        }
        let [a, b] = self.me.in_order(mine, theirs);
        let found = diagnose(&a, &b, agree);
        self.buckets.merge(examination.peer_levels);
        match found {
            Diagnosis::Transient(suspects) => self.buckets.fill(suspects),
            Diagnosis::Faulty(channel, _) => self.buckets.fill(Suspects::channel(channel)),
            Diagnosis::Unattributed => {}
        }
        let diagnosis = self.by_policy(found);
        if let Some(examination) = &mut self.examination {
            examination.diagnosis = Some(diagnosis);
        }
        self.report(diagnosis);
        Some(diagnosis)
    }

    /// Puts what is known of the examined cycle into the record of the first fault, if that is of it.
    pub(super) fn record_evidence(&mut self) {
        let Some(Examination { mine, theirs, diagnosis, .. }) = self.examination().copied() else { return };
        if let Some(first) = self.first_fault.as_mut().filter(|first| first.cycle == self.cycle) {
            (first.evidence, first.diagnosis) = (self.me.in_order(mine, theirs), diagnosis);
        }
    }

    /// Applies the limit of transient faults, and the policy where nothing is known.
    fn by_policy(&self, found: Diagnosis) -> Diagnosis {
        match (found, self.buckets.channel_over(self.config.transient_limit), self.config.unattributed) {
            (Diagnosis::Transient(_), Some(channel), _) => Diagnosis::Faulty(channel, Proof::TooOften),
            (Diagnosis::Unattributed, _, Unattributed::Prefer(channel)) => {
                Diagnosis::Faulty(channel.other(), Proof::Policy)
            }
            _ => found,
        }
    }

    /// Puts a diagnosis into journal, counters and faults.
    fn report(&mut self, diagnosis: Diagnosis) {
        self.diagnosis = Some(diagnosis);
        self.record_evidence();
        self.happened(Event::Diagnosed(diagnosis));
        let limit = self.config.transient_limit;
        if self.buckets.over(limit).contains(Suspects::PATH) {
            self.fault(Faults::PATH_FAULTY);
        }
        if matches!(diagnosis, Diagnosis::Unattributed | Diagnosis::Faulty(_, Proof::Policy)) {
            bump(&mut self.counters.unattributed);
            self.fault(Faults::UNATTRIBUTED);
        }
        match diagnosis {
            Diagnosis::Transient(_) | Diagnosis::Unattributed => {}
            Diagnosis::Faulty(channel, _) => {
                if self.buckets.channel_over(limit) == Some(channel) {
                    self.bar(channel, true);
                    self.fault(Faults::BARRED);
                    self.happened(Event::Barred(channel));
                }
                if channel == self.me {
                    self.fault(Faults::FAULTY);
                } else {
                    self.fault(Faults::PEER_FAULTY);
                    bump(&mut self.counters.peer_exclusions);
                    self.happened(Event::Excluded(channel));
                }
            }
        }
    }

    /// Takes the evidence of the peer, or its word that it has settled the cycle.
    pub(super) fn handle_evidence(&mut self, header: &Header, payload: EvidencePayload<'_>) -> Result<(), Reject> {
        let is_settled = header.kind == Kind::Settled;
        let stage = if is_settled { Stage::Settled } else { Stage::Evidence };
        let theirs = Evidence::of_payload(&payload, is_settled, digest(payload.vote)).ok_or(Reject::Payload)?;
        // A vote that makes no sense agrees with nothing, but the evidence it came with stands.
        let is_done = self.progress == Progress::Settled || self.mode == Mode::Safe;
        let is_waiting = matches!(self.progress, Progress::Voted | Progress::Examined);
        match header.phase.since(Phase::new(self.cycle, stage)) {
            0 if is_done && !is_settled => self.answer_evidence(self.cycle, theirs, &payload),
            -4 if !is_settled => self.answer_evidence(self.cycle.previous(), theirs, &payload),
            0 if is_waiting && (!is_settled || self.progress == Progress::Examined) => {
                self.keep_evidence(theirs, &payload)
            }
            0 | -4 => {
                bump(&mut self.counters.repeated);
                Ok(())
            }
            _ => Err(Reject::Phase),
        }
    }

    /// Keeps the peer's evidence of the cycle in progress; its second vote takes the place of its first.
    fn keep_evidence(&mut self, theirs: Evidence, payload: &EvidencePayload<'_>) -> Result<(), Reject> {
        if self.has_peer_evidence() {
            bump(&mut self.counters.repeated);
            return Ok(());
        }
        if self.examination().is_none() {
            let votes = self.my_vote.of(self.cycle).zip(self.peer_vote.of(self.cycle));
            let difference =
                votes.map(|(mine, theirs)| vote::difference(&mine, &theirs, self.mechanisms.on(Mechanism::Vote)));
            match difference {
                Some(faults) if !faults.is_empty() => self.differs(faults),
                seen => {
                    let peer_first = seen.and_then(|_| self.peer_vote.payload_of(self.cycle)).map(digest);
                    self.examination = Some(Examination::of(self.cycle, peer_first));
                }
            }
        }
        let Some(mut examination) = self.examination else { return Ok(()) };
        if !self.peer_vote.keep(self.cycle, payload.vote) {
            return Err(Reject::TooLong);
        }
        (examination.theirs, examination.peer_levels) = (Some(theirs), payload.levels);
        self.examination = Some(examination);
        Ok(())
    }

    /// Answers a peer that is still at a cycle that is done here: with this channel's evidence, or
    /// with what it settled on, having seen no difference.
    fn answer_evidence(&mut self, cycle: Cycle, theirs: Evidence, payload: &EvidencePayload<'_>) -> Result<(), Reject> {
        self.check_vote();
        let known = self.examination.filter(|examination| examination.cycle == cycle);
        if known.is_none() {
            let vote = self.my_vote.of(cycle).ok_or(Reject::Phase)?;
            if self.mode == Mode::Safe || !self.mechanisms.on(Mechanism::Settled) {
                return Err(Reject::Phase); // nothing was settled here
            }
            let first = digest(self.my_vote.payload_of(cycle).unwrap_or_default());
            let peer_first = self.peer_vote.payload_of(cycle).map(digest);
            let judged = VotePayload::parse(payload.vote)
                .map(|second| vote::judge::<P>(cycle, self.me, &vote, &second, true).is_ok());
            let mine = Evidence {
                checkpoint_holds: true,
                saw_mismatch: false,
                is_settled: true,
                first,
                peer_first,
                second: first,
                health: Health::empty(),
            };
            self.examination = Some(Examination {
                mine: Some(mine),
                theirs: Some(theirs),
                my_levels: self.buckets.levels(),
                peer_levels: payload.levels,
                ..Examination::of(cycle, peer_first)
            });
            bump(&mut self.counters.diverged);
            self.diagnosed(judged == Some(true));
        }
        self.outgoing.evidence_due = true;
        Ok(())
    }

    /// Whether what the peer lacks of a cycle is this channel's evidence rather than its vote: the
    /// vote that is kept is the second one then.
    pub(super) fn sends_evidence_of(&self, cycle: Cycle) -> bool {
        let examination = self.examination.as_ref().filter(|examination| examination.cycle == cycle);
        examination.and_then(|examination| examination.mine).is_some_and(|mine| !mine.is_settled)
    }

    pub(super) fn transmit_evidence(&self, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let Some(examination) = &self.examination else { return Ok(None) };
        let Some(mine) = examination.mine else { return Ok(None) };
        let vote = self.my_vote.payload_of(examination.cycle).unwrap_or_default();
        let payload = mine.payload(examination.my_levels, vote);
        let (kind, stage) =
            if mine.is_settled { (Kind::Settled, Stage::Settled) } else { (Kind::Evidence, Stage::Evidence) };
        self.transmit(kind, Phase::new(examination.cycle, stage), buffer, &payload).map(Some)
    }
}
