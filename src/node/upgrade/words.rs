//! What the two halves of an upgrade tell each other, and in whose terms.

use super::Upgrades;
use super::books::Partner;
use crate::ids::{Epoch, Instant, Phase, Stage};
use crate::mode::Mode;
use crate::node::Node;
use crate::program::{Program, program_hash, version_hash};
use crate::upgrade::{Counts, Step, StepEvent, VersionRelation};
use crate::wire::{BufferTooSmall, Hello, Kind, Part, Reject, UpgradePayload};

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME, Upgrades<P>> {
    /// Returns what the sender's version is to this one's; `None`: they cannot pair, nor succeed one another.
    pub(in crate::node) fn relation_of(&self, hello: &Hello) -> Option<VersionRelation> {
        let is_of_me = |hash| hash != 0 && hash == version_hash(program_hash::<P>(), P::LAYOUT);
        let before = self.upgrade.versions.succession();
        if hello.config_hash != self.control.config.hash() {
            None
        } else if self.is_of_this_version(hello) {
            Some(VersionRelation::Same)
        } else if is_of_me(hello.predecessor) {
            Some(VersionRelation::Newer)
        } else {
            let said = version_hash(hello.program_hash, hello.layout_hash);
            before.is_some_and(|before| before.hash == said).then_some(VersionRelation::Older)
        }
    }

    /// Whether a peer that cannot pair is no surprise.
    pub(in crate::node) fn expects_another_version(&self) -> bool {
        self.control.undertaking.step() != Step::Idle
            || self.control.undertaking.version_relation() != VersionRelation::Same
    }

    /// Notes who the partner is, by its fresh word.
    pub(in crate::node) fn met(&mut self, hello: &Hello, relation: VersionRelation) {
        if hello.nonce != self.control.standing.peer_nonce() {
            self.upgrade.words.forget_partner();
            let comes_back = relation == VersionRelation::Older && self.control.undertaking.step() == Step::Merge;
            if comes_back && self.upgrade.departure.count_return() {
                self.step_on(StepEvent::GaveUp);
            }
        }
        self.upgrade.departure.met(); // its word is fresh, so the next one of this channel is so to it
        if relation != self.control.undertaking.version_relation() {
            self.control.undertaking.meet(relation);
            self.upgrade.words.owe();
        }
    }

    pub(in crate::node) fn handle_upgrade(
        &mut self,
        now: Instant,
        epoch: Epoch,
        told: &UpgradePayload,
    ) -> Result<(), Reject> {
        let step = Step::of_code(told.step).ok_or(Reject::Payload)?;
        let part = Part::from_bits(told.part).ok_or(Reject::Payload)?;
        if !self.upgrade.words.is_news(told.serial) {
            self.record.count(|counters| &mut counters.repeated);
            return Ok(());
        }
        self.answers_handover(now, epoch);
        let counts = Counts { cycles: told.tried, tolerated: told.tolerated, differing: told.differing };
        let cannot_migrate = part.contains(Part::CANNOT_MIGRATE).then_some(told.cannot_migrate);
        let UpgradePayload { serial, version, candidate, .. } = *told;
        self.upgrade.words.take(serial, Partner { step, part, version, candidate, counts }, cannot_migrate);
        if part.contains(Part::ASKS) && !self.has_to_tell() {
            self.upgrade.words.owe();
        }
        if self.leads() {
            if self.control.undertaking.version_relation() == VersionRelation::Newer && part.contains(Part::CONFIRMED) {
                self.step_on(StepEvent::CannotGoBack);
            }
            if self.control.standing.mode() == Mode::Duplex && step == Step::Abort {
                self.step_on(StepEvent::Duplex); // it has heard of it before it left
            }
        } else if self.is_led() && part.contains(Part::LEADS) {
            self.take_step(step);
        }
        self.look_for_duty(now);
        Ok(())
    }

    /// Whether there is something to tell, time and again.
    pub(in crate::node) fn has_to_tell(&self) -> bool {
        let (undertaking, upgrade) = (&self.control.undertaking, &self.upgrade);
        let is_under_way = undertaking.step() != Step::Idle || undertaking.version_relation() != VersionRelation::Same;
        let is_told = is_under_way || upgrade.versions.candidate().is_some();
        is_told || !undertaking.is_confirmed() || self.upgrade.versions.floor().is_some_and(|floor| floor < P::VERSION)
    }

    /// Whether there is a peer to talk to.
    pub(super) fn can_talk(&self) -> bool {
        self.control.standing.peer_nonce() != 0
            && self.control.standing.mode() != Mode::Safe
            && !self.meeting.is_cutting_first()
    }

    pub(in crate::node) fn upgrade_timeout(&self) -> Option<Instant> {
        let words = &self.upgrade.words;
        let at = if words.is_due() { Instant::from_micros(0) } else { words.at() };
        (self.can_talk() && (words.is_due() || self.has_to_tell())).then_some(at)
    }

    pub(in crate::node) fn transmit_upgrade(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        if self.upgrade_timeout().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let upgrade = &self.upgrade;
        let is_new = self.control.undertaking.is_new();
        let mut part = Part::empty();
        part.set(Part::READY, is_new && self.is_tried());
        part.set(Part::FAILED, is_new && self.has_failed());
        part.set(Part::CONFIRMED, self.control.undertaking.is_confirmed());
        part.set(Part::ASKS, self.has_to_tell());
        part.set(Part::LEADS, self.leads());
        let cannot_migrate = upgrade.versions.cannot_migrate();
        part.set(Part::CANNOT_MIGRATE, cannot_migrate.is_some());
        let Counts { cycles, tolerated, differing } = upgrade.versions.trial().counts();
        let payload = UpgradePayload {
            serial: upgrade.words.next_serial(),
            step: self.control.undertaking.step().code(),
            part: part.bits(),
            version: P::VERSION,
            candidate: upgrade.versions.candidate().map_or(0, |candidate| candidate.version),
            tried: cycles,
            tolerated,
            differing,
            cannot_migrate: cannot_migrate.unwrap_or_default(),
        };
        let phase = Phase::new(self.control.turn.committed(), Stage::Settled);
        let length = self.transmit(Kind::Upgrade, phase, buffer, &payload)?;
        self.upgrade.words.sent(now, self.control.undertaking.step(), &self.control.config);
        Ok(Some(length))
    }
}
