//! From two empty channels to duplex: A cuts over B, or one starts alone.

use super::lineage::{Answer, newest_of};
use super::meeting::Boot;
use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{ChannelId, Epoch, Instant, Phase, Stage};
use crate::lease::{Arbiter, Grounds};
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::verdict::{Outcome, Unbound};
use crate::wire::{Cut, Kind, Reject};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    pub(super) fn poll_starting<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) -> Option<Unbound<P::Output>> {
        self.advance_boot(now, arbiter);
        self.schedule.is_open().then(|| self.verdict(Outcome::Waiting, [None, None], None))
    }

    fn advance_boot<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A) {
        let waits_for_grant = matches!(self.meeting.boot(), Boot::Alone | Boot::Joining);
        if waits_for_grant && self.control.claim.on(Grounds::First).is_none() {
            self.stop_booting(); // a flipped bit: nothing is claimed
        }
        if self.meeting.boot() == Boot::Listening {
            self.resolve_to_start_alone(now, arbiter);
        }
        if let (Boot::Leading { joiner_nonce }, false) = (self.meeting.boot(), self.control.claim.is_under_way()) {
            // The arbiter may remember more than two fresh boots do.
            let newest = self.control.standing.newest().max(newest_of(arbiter).counter());
            let first = arbiter.first_owner();
            let to = Epoch::new(newest, first).successor(first);
            if first == self.control.config.me() {
                self.control.claim.begin(to, Grounds::First);
            } else {
                self.cut_over_first(now, joiner_nonce, to); // the other one claims
            }
        }
        if let Some(to) = self.control.claim.on(Grounds::First)
            && self.claim_first(now, arbiter, to)
        {
            self.first_is_granted(now, to);
        }
        if let Boot::Cutting { until } = self.meeting.boot()
            && now >= until
        {
            self.stop_booting();
            self.outgoing.say_hello_at(now);
        }
    }

    /// This channel is the first owner.
    fn first_is_granted(&mut self, now: Instant, to: Epoch) {
        self.control.claim.end();
        match self.meeting.boot() {
            Boot::Leading { joiner_nonce } => self.cut_over_first(now, joiner_nonce, to),
            Boot::Alone => {
                self.control.standing.adopt(to);
                self.stop_booting();
                self.change_mode(now, ModeEvent::Granted);
                self.schedule.start_at(now);
            }
            Boot::Joining => self.enter_duplex(now, now),
            Boot::Listening | Boot::Cutting { .. } => {}
        }
    }

    /// Cuts the peer of this nonce over, both being empty.
    fn cut_over_first(&mut self, now: Instant, joiner_nonce: u32, to: Epoch) {
        self.control.standing.adopt(to);
        self.meet(joiner_nonce);
        self.meeting.cut_first(now, joiner_nonce, &self.control.config);
    }

    /// Claims the first ownership of epoch `to`; a refusal leads back to listening.
    fn claim_first<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A, to: Epoch) -> bool {
        match self.ask(now, arbiter, to, Grounds::First) {
            Answer::Granted => true,
            Answer::Pending => {
                self.schedule.poll_again_soon(now, &self.control.config);
                false
            }
            Answer::Unanswered => {
                self.stop_booting();
                false
            }
            Answer::Refused => {
                self.control.standing.saw(newest_of(arbiter).counter());
                self.fault(Faults::LEASE_REFUSED);
                self.stop_booting();
                false
            }
        }
    }

    /// Resolves to start alone, if that is the policy, the peer has not been heard for long
    /// enough, and the arbiter does not remember the peer as the owner: it may be serving
    /// behind a cut link, and an empty channel never takes over from a serving one.
    fn resolve_to_start_alone<A: Arbiter>(&mut self, now: Instant, arbiter: &A) {
        let due = self.control.config.solo_boot_after_us().is_some()
            && self.schedule.alone_since_is_past(now, &self.control.config);
        let remembered = newest_of(arbiter);
        let free = remembered == Epoch::NONE || remembered.owner() == self.control.config.me();
        if due
            && free
            && arbiter.remembered().is_some()
            && self.silence.may_ask()
            && !self.control.suspicion.is_barred(self.control.config.me())
            && !self.leaves()
        {
            self.control.standing.saw(remembered.counter());
            self.meeting.start_alone();
            self.control.claim.begin(self.next_epoch(), Grounds::First);
        }
    }

    /// Both channels are empty and this one has a fresh word of it: A leads.
    pub(super) fn lead(&mut self, joiner_nonce: u32) {
        let may_pair = !self.control.suspicion.is_any_barred() && !self.leaves() && self.silence.may_ask();
        if self.control.config.me() == ChannelId::A && self.meeting.boot() == Boot::Listening && may_pair {
            self.meeting.lead(joiner_nonce);
        }
    }

    /// Joins a channel that is empty as this one is, if its `Cut` is meant for this boot.
    pub(super) fn handle_first_cut(&mut self, now: Instant, cut: &Cut) -> Result<(), Reject> {
        if self.control.suspicion.is_any_barred() || self.leaves() || !self.silence.may_ask() {
            return Err(Reject::Mode);
        }
        let meant = self.is_for_this_boot(cut) && cut.epoch.counter() > self.control.standing.newest();
        if !meant {
            self.meeting.owe_answer(); // with the newest challenge
            return Err(Reject::Stale);
        }
        if cut.region_digest != self.mirror.committed_digest() || cut.base != self.control.turn.committed().0 {
            self.fault(Faults::PEER_DIFFERS);
            return Err(Reject::PeerDiffers);
        }
        self.control.standing.adopt(cut.epoch);
        self.meet(cut.nonce);
        if cut.epoch.owner() == self.control.config.me() {
            self.stop_booting(); // whatever it claimed: the leader's number counts
            self.meeting.join_first();
            self.control.claim.begin(cut.epoch, Grounds::First);
        } else {
            self.enter_duplex(now, now);
        }
        Ok(())
    }

    /// Whether a frame of this phase is the peer's answer to the cut.
    pub(super) fn answers_cut(&self, kind: Kind, phase: Phase) -> bool {
        self.meeting.is_cutting_first()
            && kind == Kind::Sample
            && phase == Phase::new(self.control.turn.cycle().next(), Stage::Sample)
    }
}
