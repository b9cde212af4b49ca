//! Examining in the node: what this channel does by itself when the votes of a cycle differ.
//!
//! ```text
//! votes differ, or the peer's Evidence comes  -> check the checkpoint, roll back, step once more
//! both sides' evidence is there               -> conclude: the same diagnosis on both
//! ```
//!
//! A transient fault is concluded at once: who lacks the evidence gets it until the next vote. Who
//! goes or stays alone first waits, until the deadline at most, for the peer to have this channel's
//! evidence: afterwards there would be nobody to send it.

use super::case::Examination;
use super::lineage::newest_of;
use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::config::Unattributed;
use crate::diagnose::{Diagnosis, Evidence, Reason, Suspects, diagnose};
use crate::digest::of_bytes;
use crate::fault::{Faults, Health};
use crate::ids::{Cycle, Instant};
use crate::journal::Event;
use crate::lease::{Arbiter, Grounds};
use crate::mechanism::Mechanism;
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::verdict::{Outcome, Unbound};
use crate::vote::{self, Sealed};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    pub(super) fn examination(&self) -> Option<&Examination> {
        self.case.of(self.control.turn.cycle())
    }

    /// Whether the evidence of the peer is there.
    pub(super) fn has_peer_evidence(&self) -> bool {
        self.examination().is_some_and(|examination| examination.theirs().is_some())
    }

    /// Whether the peer was found faulty in this cycle and has not let go yet.
    pub(super) fn found_peer_faulty(&self) -> bool {
        self.case.found_faulty(self.control.turn.cycle(), self.control.config.me().other())
    }

    /// Begins to examine the cycle, since this channel saw its votes differ in this.
    pub(super) fn differs(&mut self, faults: Faults) {
        let peer_first = self.peer_vote.payload_of(self.control.turn.cycle()).map(of_bytes);
        self.case.open(Examination::of(self.control.turn.cycle(), peer_first, true));
        if faults.contains(Faults::INPUT_DIVERGENCE) {
            self.record.count(|counters| &mut counters.inputs_differed);
        }
        self.fault(faults);
    }

    /// Checks the checkpoint, rolls back to it and steps once more on the agreed input, if the votes
    /// of the cycle differ and the first one is out: the second takes its place.
    pub(super) fn examine_if_due(&mut self, now: Instant) {
        let Some(mut examination) = self.examination().copied() else { return };
        if self.control.turn.progress() != Progress::Voted {
            return;
        }
        if self.outgoing.is_vote_due() {
            self.schedule.poll_again_at_once(now);
            return;
        }
        self.record.count(|counters| &mut counters.diverged);
        let first = of_bytes(self.my_vote.payload_of(self.control.turn.cycle()).unwrap_or_default());
        let checkpoint_holds = self.restore_checkpoint(now);
        if !P::self_test() {
            self.control.suspicion.note_health(Health::SELF_TEST_FAILED);
        }
        self.step_again();
        self.control.turn.reach(Progress::Examined);
        let second = of_bytes(self.my_vote.payload_of(self.control.turn.cycle()).unwrap_or_default());
        let mine = Evidence {
            checkpoint_holds,
            saw_mismatch: examination.saw_mismatch(),
            is_settled: false,
            first,
            peer_first: examination.peer_first(),
            second,
            health: self.control.suspicion.health(),
        };
        examination.note_mine(mine, self.control.suspicion.buckets().levels());
        self.case.open(examination);
        self.outgoing.evidence_is_new(now, self.schedule.resend_us(&self.control.config));
    }

    /// Steps once more, from the checkpoint that was rolled back to.
    fn step_again(&mut self) {
        if self.mechanisms.on(Mechanism::Reexecution) && self.step_both().is_err() {
            self.my_vote.forget(); // a vote that is none agrees with nothing
        }
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

    /// Whether both sides' evidence of the cycle speaks against neither, and the policy is the safe state.
    pub(super) fn has_no_culprit(&mut self, now: Instant) -> bool {
        if self.control.turn.progress() != Progress::Examined
            || !self.has_peer_evidence()
            || !self.second_votes_are_sound(now)
        {
            return false;
        }
        let agree = self.judge_second_votes().is_ok();
        self.diagnosed(agree) == Some(Diagnosis::Unattributed)
    }

    /// Diagnoses the cycle, both sides' evidence being there, and acts on it; `None`: later.
    pub(super) fn conclude<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        if !self.second_votes_are_sound(now) {
            return None;
        }
        let judged = self.judge_second_votes();
        let diagnosis = self.diagnosed(judged.is_ok())?;
        if let (Diagnosis::Transient(_), Ok((sealed, state_digest))) = (diagnosis, judged) {
            self.record.count(|counters| &mut counters.masked);
            return Some(self.commit_and_release(now, sealed, state_digest));
        }
        let is_acknowledged = self.examination().is_some_and(|examination| examination.is_acknowledged());
        if !is_acknowledged && now < self.schedule.deadline() {
            return None;
        }
        self.act_on(now, diagnosis, arbiter)
    }

    /// Returns the agreed result of the second steps, with the digest of its state.
    fn judge_second_votes(&self) -> Result<(Sealed<P::Output>, u32), Faults> {
        let votes = self.my_vote.of(self.control.turn.cycle()).zip(self.peer_vote.of(self.control.turn.cycle()));
        votes.ok_or(Faults::OUTPUT_DIVERGENCE).and_then(|(mine, theirs)| {
            let sealed = vote::judge::<P>(self.control.turn.cycle(), self.control.config.me(), &mine, &theirs, true)?;
            Ok((sealed, mine.state_digest))
        })
    }

    /// The peer's evidence did not come in time: nobody can say who is wrong.
    pub(super) fn conclude_without_peer<A: Arbiter>(
        &mut self,
        now: Instant,
        arbiter: &mut A,
    ) -> Option<Unbound<P::Output>> {
        if !self.control.owns() && newest_of(arbiter).counter() > self.control.standing.epoch().counter() {
            // The peer has come to its conclusion and went on without this channel.
            self.fault(Faults::OVERTAKEN);
            self.silence.ends();
            self.stand_by(now, ModeEvent::Overtaken);
            return Some(self.verdict(Outcome::Waiting, [None, None], None));
        }
        let diagnosis = self.decide(Diagnosis::Unattributed);
        self.act_on(now, diagnosis, arbiter)
    }

    fn act_on<A: Arbiter>(
        &mut self,
        now: Instant,
        diagnosis: Diagnosis,
        arbiter: &mut A,
    ) -> Option<Unbound<P::Output>> {
        match diagnosis {
            Diagnosis::Faulty(channel, _)
                if channel == self.control.config.me() && self.mechanisms.on(Mechanism::LettingGo) =>
            {
                Some(self.leave(now))
            }
            Diagnosis::Faulty(..) => self.take_over_at_deadline(now, Grounds::PeerFaulty, arbiter),
            Diagnosis::Transient(_) | Diagnosis::Unattributed => Some(self.fatal(now, Faults::UNATTRIBUTED)),
        }
    }

    /// Counts a deadline that passed without the peer's evidence. It has at least one vote window for
    /// itself, however late the difference was seen; true once it is over.
    pub(super) fn evidence_is_overdue(&mut self) -> bool {
        let Some(examination) = self.case.last_mut() else { return true };
        examination.miss() > u8::from(self.mechanisms.on(Mechanism::EvidenceWindow))
    }

    /// Whether both second votes are still those that the evidence speaks of, since they wait in
    /// memory: an own one that is not is stepped for again, and the peer has to repeat its.
    fn second_votes_are_sound(&mut self, now: Instant) -> bool {
        let evidence = self.examination().and_then(|examination| examination.mine().zip(examination.theirs()));
        let Some((mine, theirs)) = evidence else { return false };
        if of_bytes(self.my_vote.payload_of(self.control.turn.cycle()).unwrap_or_default()) != mine.second {
            self.restore_checkpoint(now);
            self.step_again();
            self.control.turn.reach(Progress::Examined);
        }
        let is_sound =
            of_bytes(self.peer_vote.payload_of(self.control.turn.cycle()).unwrap_or_default()) == theirs.second;
        if !is_sound && let Some(examination) = self.case.last_mut() {
            examination.lose_theirs();
            self.outgoing.evidence_again();
        }
        is_sound
    }

    /// Returns the diagnosis of the examined cycle, made once.
    pub(super) fn diagnosed(&mut self, agree: bool) -> Option<Diagnosis> {
        let examination = self.case.last()?;
        let (mine, theirs) = examination.mine().zip(examination.theirs())?;
        if examination.diagnosis().is_some() {
            return examination.diagnosis();
        }
        let peer_levels = examination.peer_levels();
        let [a, b] = self.control.config.me().in_order(mine, theirs);
        let found = diagnose(&a, &b, agree);
        self.control.suspicion.merge(peer_levels, self.control.config.me().other());
        let is_transient = matches!(found, Diagnosis::Transient(_));
        if let Diagnosis::Transient(suspects) = found {
            self.control.suspicion.suspect(suspects);
        }
        if let Diagnosis::Faulty(channel, _) = self.by_policy(found)
            && !is_transient
        {
            // However it came to be excluded: it is not to come back for ever to the same end.
            self.control.suspicion.suspect(Suspects::channel(channel));
        }
        Some(self.decide(found))
    }

    /// Takes a diagnosis for the cycle's, by the policy where nothing is known, and reports it.
    fn decide(&mut self, found: Diagnosis) -> Diagnosis {
        let diagnosis = self.by_policy(found);
        let mut cycle = self.control.turn.cycle();
        if let Some(examination) = self.case.last_mut() {
            examination.diagnose(diagnosis);
            cycle = examination.cycle();
        }
        self.report(cycle, diagnosis);
        diagnosis
    }

    /// Applies the limit of transient faults, and the policy where nothing is known.
    fn by_policy(&self, found: Diagnosis) -> Diagnosis {
        match (found, self.control.config.unattributed()) {
            (Diagnosis::Transient(suspects), _) => {
                let over = self.control.suspicion.buckets().channel_over(self.control.config.transient_limit());
                let over = over.filter(|channel| suspects.intersects(Suspects::of(*channel)));
                over.map_or(found, |channel| Diagnosis::Faulty(channel, Reason::TooOften))
            }
            (Diagnosis::Unattributed, Unattributed::Prefer(channel)) => {
                Diagnosis::Faulty(channel.other(), Reason::Policy)
            }
            _ => found,
        }
    }

    /// Puts the diagnosis of a cycle into journal, counters and faults.
    pub(super) fn report(&mut self, cycle: Cycle, diagnosis: Diagnosis) {
        self.record.diagnosed(diagnosis);
        self.record_evidence();
        let note = |node: &mut Self, event| node.record.happened(cycle, node.control.standing.epoch(), event);
        note(self, Event::Diagnosed(diagnosis));
        let limit = self.control.config.transient_limit();
        if self.control.suspicion.buckets().over(limit).contains(Suspects::PATH) {
            self.fault(Faults::PATH_FAULTY);
        }
        match diagnosis {
            Diagnosis::Unattributed | Diagnosis::Faulty(_, Reason::Policy) => {
                self.record.count(|counters| &mut counters.unattributed);
                self.latch_of(cycle, Faults::UNATTRIBUTED);
            }
            Diagnosis::Transient(_) | Diagnosis::Faulty(..) => {}
        }
        let Diagnosis::Faulty(channel, _) = diagnosis else { return };
        if self.control.suspicion.buckets().channel_over(limit) == Some(channel) {
            self.control.suspicion.bar(channel);
            self.latch_of(cycle, Faults::BARRED);
            note(self, Event::Barred(channel));
        }
        if channel == self.control.config.me() {
            self.latch_of(cycle, Faults::FAULTY);
        } else {
            self.latch_of(cycle, Faults::PEER_FAULTY);
            self.record.count(|counters| &mut counters.peer_exclusions);
            note(self, Event::Excluded(channel));
        }
    }
}
