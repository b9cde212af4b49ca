//! Frames in: each one is accepted, recognised as a repetition, or dropped and counted.

use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::canonical;
use crate::fault::Faults;
use crate::ids::{Epoch, Instant, Phase, Stage};
use crate::lease::Grounds;
use crate::mechanism::Mechanism;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::upgrade::VersionRelation;
use crate::wire::{
    self, EvidencePayload, Features, Header, Hello, Kind, Payload, Reject, Standing, VoteFrame, VotePayload,
};

/// A pair that reboots each hour for a century does not come so far.
const FURTHEST_EPOCH: u32 = 1 << 20;

/// What a cycle frame is to this channel now.
enum Relation {
    CurrentSample,
    NextSample,
    CurrentVote,
    /// It came before, or nobody waits for it any more.
    Repetition,
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Takes one frame as it came from the link, without delimiters.
    ///
    /// # Errors
    /// [`Reject`]: why the frame was dropped. It is counted. The cycle, the state and the
    /// samples are as before; a stale `Hello` may still be answered, a frame of a newer epoch
    /// tells a channel without the lease to stand by, and a `Cut` whose digest the copied memory
    /// does not have lets a joining channel start over.
    pub fn handle_frame(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Reject> {
        self.within_at(now, |node, now| node.take_frame(now, bytes))
    }

    #[inline(never)]
    pub(super) fn take_frame(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Reject> {
        let handled = self.dispatch(now, bytes);
        if let Err(cause) = handled {
            self.reject(cause);
        }
        handled
    }

    fn dispatch(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Reject> {
        let check_crc = self.mechanisms.on(Mechanism::Crc);
        let (header, payload) = wire::parse_checked(bytes, &self.keys(), check_crc)?;
        if header.sender == self.control.config.me() {
            if header.kind == Kind::Hello
                && let Ok(hello) = Hello::parse(payload)
                && self.meeting.hear_twin(
                    &hello,
                    self.control.config.nonce(),
                    hello.epoch.counter() > self.control.standing.newest(),
                )
            {
                self.schedule.heard(now); // somebody is there who may serve
                self.fault(Faults::IDENTITY);
            }
            return Err(Reject::Sender);
        }
        self.schedule.heard(now);
        self.hand_out(now, &header, payload)
    }

    pub(super) fn handle_hello(&mut self, now: Instant, hello: &Hello) -> Result<(), Reject> {
        let (standing, features) = hello.standing().zip(hello.features()).ok_or(Reject::Unsupported)?;
        if features.contains(Features::AUTHENTICATED) {
            return Err(Reject::Unsupported);
        }
        // A channel that has just booted knows of no epoch, and a pair that serves may have come to any in its years.
        let knows_any = self.control.standing.newest().max(self.remembered.counter()) > 0;
        if self.is_far_ahead(hello.epoch) && (knows_any || !standing.contains(Standing::OWNS)) {
            return Err(Reject::Epoch);
        }
        let relation = if features.contains(Features::UPGRADES) == U::IS_ON {
            U::relation_of(self, hello).ok_or(Reject::PeerDiffers)
        } else {
            Err(Reject::Upgrades)
        };
        let relation = match relation {
            Ok(relation) => relation,
            Err(cause) => return self.refuse_stranger(now, hello, standing, cause),
        };
        let serves = standing.contains(Standing::OWNS);
        if self.control.standing.mode() == Mode::Joining && hello.nonce == self.control.standing.peer_nonce() && serves
        {
            return Ok(()); // nothing new from the donor; its `Cut` is to find the challenge it has
        }
        if !self.meeting.hear(hello, self.control.config.nonce()) && self.mechanisms.on(Mechanism::Echo) {
            self.answer_stale(now, standing);
            // A stranger's first word echoes nothing; that is no reason to count it as dropped.
            return if hello.echo_nonce == 0 { Ok(()) } else { Err(Reject::Stale) };
        }
        if standing.contains(Standing::OUTSIDE) && self.meeting.repeats_nonce(hello) {
            self.fault(Faults::IDENTITY);
        }
        U::met(self, hello, relation);
        let handled = self.take_hello(now, hello, standing, relation);
        U::looks_for_duty(self, now);
        handled
    }

    /// The peer is of another kind. Only its fresh word is a fault: what is stale may be of before it was replaced.
    fn refuse_stranger(
        &mut self,
        now: Instant,
        hello: &Hello,
        standing: Standing,
        cause: Reject,
    ) -> Result<(), Reject> {
        let is_fresh = self.meeting.hear(hello, self.control.config.nonce()) || !self.mechanisms.on(Mechanism::Echo);
        if !is_fresh {
            self.answer_stale(now, standing);
        } else if cause == Reject::Upgrades || !U::expects_another_version(self) {
            self.fault(Faults::PEER_DIFFERS);
        }
        Err(cause)
    }

    /// Whether an epoch is so far ahead of all that this channel has heard of that no pair can have come to it: it would use the numbers
    /// up.
    pub(super) fn is_far_ahead(&self, epoch: Epoch) -> bool {
        let newest = self.control.standing.newest().max(self.remembered.counter());
        epoch.counter() > newest.saturating_add(FURTHEST_EPOCH) && self.mechanisms.on(Mechanism::Numbers)
    }

    /// Acts on the peer's fresh word.
    fn take_hello(
        &mut self,
        now: Instant,
        hello: &Hello,
        standing: Standing,
        relation: VersionRelation,
    ) -> Result<(), Reject> {
        self.control.standing.saw(hello.epoch.counter());
        if !standing.contains(Standing::OUTSIDE) {
            if self.control.standing.mode() == Mode::Starting {
                self.outgoing.say_hello_at(now); // the peer waits for word that this channel has let go
            }
            return Ok(()); // an answer from within the cycle
        }
        let (owns, empty) = (standing.contains(Standing::OWNS), standing.contains(Standing::EMPTY));
        let grounds = if empty { Grounds::PeerEmpty } else { Grounds::PeerStandsBy };
        // Equal counter, other owner: both went on alone from one parent.
        let other_lineage = hello.epoch.counter() == self.control.standing.epoch().counter()
            && hello.epoch.owner() != self.control.standing.epoch().owner();
        let split = !empty && (other_lineage || standing.contains(Standing::FORKED));
        let minds_forks = self.mechanisms.on(Mechanism::Fork);
        // Two versions have no state in common that could be merged or not.
        let split = split && minds_forks && relation == VersionRelation::Same;
        match self.control.standing.mode() {
            Mode::Starting | Mode::Standby if owns && relation == VersionRelation::Newer => {
                self.forget_overtaken_cycle(hello);
                self.left_behind(hello);
            }
            Mode::Starting | Mode::Joining if owns => self.offered(now, hello),
            Mode::Starting if relation != VersionRelation::Same => {
                self.meeting.nobody_serves();
                self.meet(hello.nonce);
            }
            Mode::Starting if empty => {
                self.meeting.nobody_serves(); // should it have served, it no longer does
                self.lead(hello.nonce);
            }
            Mode::Joining => self.start_over(now), // the donor has lost its state, or no longer serves
            Mode::Duplex | Mode::Trial if !owns => {
                if !standing.contains(Standing::LEAVES) {
                    self.fault(Faults::PEER_LEFT);
                }
                self.claim_outputs(grounds);
            }
            Mode::Duplex if split => self.fault(Faults::SPLIT_BRAIN),
            Mode::Duplex | Mode::Trial if hello.epoch.counter() > self.control.standing.epoch().counter() => {
                self.overtaken(now)
            }
            Mode::Simplex | Mode::Donor | Mode::Standby if split => self.fault(Faults::SPLIT_BRAIN),
            Mode::Simplex | Mode::Donor if !owns => self.donate(now, hello, standing),
            // The peer's state does not contain what this channel did alone.
            Mode::Standby
                if owns && self.control.standing.is_fork() && minds_forks && relation == VersionRelation::Same =>
            {
                self.fault(Faults::SPLIT_BRAIN)
            }
            Mode::Standby if owns => {
                self.forget_overtaken_cycle(hello);
                self.offered(now, hello);
            }
            Mode::Standby if (empty || self.is_newer_than(hello)) && !self.control.standing.is_empty() => {
                self.claim_outputs(grounds)
            }
            Mode::Starting | Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Standby | Mode::Safe => {}
        }
        Ok(())
    }

    /// The version after this one serves: nothing of it can be taken, but it can be talked to.
    fn left_behind(&mut self, hello: &Hello) {
        self.stop_booting();
        self.meeting.peer_serves(hello.epoch);
        self.meet(hello.nonce);
    }

    /// A `Hello` that is not fresh asks for an answer with something to echo. A leader that
    /// cuts over answers with the `Cut`: a `Hello` of its own would use up the challenge that
    /// the `Cut` carries. A channel in the safe state is silent: nobody is to lean on it.
    fn answer_stale(&mut self, now: Instant, standing: Standing) {
        // Not more often than frames are repeated, however often the link repeats them, and so that
        // two channels that find each other's words stale do not answer each other without end.
        let is_cut = self.meeting.is_cutting_first();
        let wants_answer = standing.contains(Standing::OUTSIDE) && self.control.standing.mode() != Mode::Safe;
        if (is_cut || wants_answer) && self.outgoing.may_answer(now, &self.control.config) {
            if is_cut {
                self.meeting.cut_again(now);
            } else {
                self.meeting.owe_answer();
            }
        }
    }

    /// The peer serves in a newer epoch. A channel that holds the lease never stands by
    /// because of a frame; whether it still does is the arbiter's to say.
    fn overtaken(&mut self, now: Instant) {
        // What it claims back, the arbiter decides.
        let has_let_go = self.has_let_go() && !self.is_taking_over();
        let holds_none = (!self.control.owns() || has_let_go) && self.control.standing.mode().is_paired();
        if holds_none && self.mechanisms.on(Mechanism::Overtaken) {
            self.fault(Faults::OVERTAKEN);
            self.silence.ends();
            self.stand_by(now, ModeEvent::Overtaken);
        }
    }

    /// The pair went on without this channel, so the cycle it was in is long done: should it
    /// serve again, it is with a fresh sample and without a word of what it had then.
    fn forget_overtaken_cycle(&mut self, hello: &Hello) {
        if hello.epoch.counter() <= self.control.standing.epoch().counter() {
            return;
        }
        self.stepped.forget_last();
        self.samples.forget_theirs();
        self.samples.forget_ahead();
        if !self.control.turn.is_settled() {
            self.control.turn.reach(Progress::Sampled);
        }
    }

    /// Of two that stand by, the newer state goes on; of equal ones, the owner's.
    fn is_newer_than(&self, hello: &Hello) -> bool {
        let cycles = self.control.turn.committed().since(crate::ids::Cycle(hello.committed));
        // The owner's: an arbiter that is a rule grants nobody else.
        let mine = (self.control.standing.epoch().counter(), cycles, self.control.owns());
        mine > (hello.epoch.counter(), 0, false)
    }

    pub(super) fn handle_cycle_frame(&mut self, now: Instant, header: &Header, payload: &[u8]) -> Result<(), Reject> {
        if header.epoch != self.control.standing.epoch()
            && self.mechanisms.on(Mechanism::Epoch)
            && !self.answers_handover(now, header.epoch)
        {
            if header.epoch.counter() > self.control.standing.epoch().counter() {
                self.control.standing.saw(header.epoch.counter());
                self.overtaken(now);
            }
            return Err(Reject::Epoch);
        }
        match self.control.standing.mode() {
            Mode::Duplex | Mode::Trial | Mode::Safe => {}
            Mode::Starting if self.answers_cut(header.kind, header.phase) => {
                // Only a frame that decodes is an answer.
                check_sample::<P>(payload)?;
                self.enter_duplex(now, now);
            }
            Mode::Starting | Mode::Simplex | Mode::Donor | Mode::Joining | Mode::Standby => {
                return Err(Reject::Mode);
            }
        }
        if matches!(header.kind, Kind::Evidence | Kind::Settled) {
            if self.control.standing.mode() == Mode::Trial {
                return Err(Reject::Mode); // two versions' votes may differ
            }
            return self.handle_evidence(header, EvidencePayload::parse(payload)?);
        }
        let relation = self.relation(header)?;
        self.meeting.cut_is_answered();
        match relation {
            Relation::CurrentSample => {
                check_sample::<P>(payload)?;
                if !self.samples.keep_theirs(payload) {
                    return Err(Reject::TooLong);
                }
                self.schedule.sample_arrived(now, false);
            }
            Relation::NextSample => {
                check_sample::<P>(payload)?;
                if !self.samples.keep_ahead(payload) {
                    return Err(Reject::TooLong);
                }
                self.schedule.sample_arrived(now, true);
            }
            Relation::CurrentVote => {
                let VoteFrame { arrival, vote } = VoteFrame::parse(payload)?;
                let VotePayload { output, .. } = VotePayload::parse(vote).ok_or(Reject::Payload)?;
                canonical::decode::<P::Output>(output).ok_or(Reject::Payload)?;
                if !self.peer_vote.keep(self.control.turn.cycle(), vote) {
                    return Err(Reject::TooLong);
                }
                self.schedule.peer_reports(arrival, &self.control.config);
            }
            Relation::Repetition => {
                self.record.count(|counters| &mut counters.repeated);
                self.answer_lack(header.ack);
            }
        }
        let sent = self.sent_phase();
        self.outgoing.acknowledged(header.ack, sent);
        Ok(())
    }

    /// The exact match of the phase: what a CRC cannot guard.
    fn relation(&self, header: &Header) -> Result<Relation, Reject> {
        let phase = Phase::new(self.control.turn.cycle(), Stage::Sample);
        let settled = self.control.turn.is_settled();
        let accepts = self.control.standing.mode().is_paired();
        if !self.mechanisms.on(Mechanism::Phase) {
            return Ok(match header.kind {
                Kind::Sample if settled => Relation::NextSample,
                Kind::Sample => Relation::CurrentSample,
                _ => Relation::CurrentVote,
            });
        }
        let voted = self.control.turn.progress() != Progress::Sampled;
        match (header.kind, header.phase.since(phase)) {
            (Kind::Sample, 0) if accepts && !settled && !self.samples.has_theirs() => Ok(Relation::CurrentSample),
            // The peer is one cycle ahead: it has this channel's vote.
            (Kind::Sample, 4) if accepts && voted && !self.samples.has_ahead() => Ok(Relation::NextSample),
            (Kind::Vote, 1) if accepts && !settled && self.lacks_peer_vote() => Ok(Relation::CurrentVote),
            (Kind::Sample, 0) | (Kind::Vote, 1) => Ok(Relation::Repetition),
            (Kind::Sample, 4) if voted => Ok(Relation::Repetition),
            // The peer is one cycle behind and still waits for the vote.
            (Kind::Sample, -4) | (Kind::Vote, -3) => Ok(Relation::Repetition),
            _ => Err(Reject::Phase),
        }
    }

    /// Whether a vote of the peer would be its first: not once a second one is here.
    fn lacks_peer_vote(&self) -> bool {
        self.peer_vote.of(self.control.turn.cycle()).is_none() && !self.has_peer_evidence()
    }
}

/// Whether a payload is a sample of the program.
fn check_sample<P: Program>(payload: &[u8]) -> Result<(), Reject> {
    let (_, input) = wire::split_sample(payload).ok_or(Reject::Payload)?;
    canonical::decode::<P::Input>(input).ok_or(Reject::Payload)?;
    wire::sound_sample(payload).map(|_| ()).ok_or(Reject::SampleDigest)
}
