//! What a user sees of an upgrade, and orders: carried out by the channel that owns, passed on by the other one.

use crate::ids::{Instant, Phase, Stage};
use crate::mode::Mode;
use crate::node::{Node, Upgrades};
use crate::program::Program;
use crate::succession::Succession;
use crate::upgrade::{
    Candidate, Duty, FirstDifference, NotReady, Order, Ordered, Refusal, Retry, RunningImage, Status, Step, StepEvent,
    VersionRelation,
};
use crate::wire::{BufferTooSmall, Kind, OrderPayload, Part, Reject};

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME, Upgrades<P>> {
    /// Lets this version take over from the one before it, should that serve. To be said before the first cycle.
    pub fn succeed(&mut self, succession: Succession<P>) {
        self.within(|node| {
            node.upgrade.versions.succeed(succession);
            if node.upgrade.versions.floor().is_none() {
                node.control.undertaking.confirm(false); // unless `running_image` says otherwise
            }
        });
    }

    /// Says what this half can be restarted into: a verified image, or none any more.
    pub fn offer_candidate(&mut self, candidate: Option<Candidate>) {
        self.upgrade.versions.offer(candidate);
        self.upgrade.words.owe();
    }

    /// Says what is known of the running image, and what the oldest version is that may be installed.
    /// Without a word of it, nobody keeps a floor, and the image counts as confirmed, unless it is a
    /// [successor](Self::succeed): that counts as on trial.
    pub fn running_image(&mut self, image: RunningImage, floor: u32) {
        self.within(|node| {
            node.control.undertaking.confirm(image == RunningImage::Confirmed);
            node.upgrade.versions.set_floor(floor);
        });
    }

    /// Returns all that speaks against beginning an upgrade; empty: [`Order::Prepare`] is accepted, and then
    /// [`Order::Split`].
    /// Changes nothing.
    pub fn readiness(&self) -> NotReady {
        let upgrade = &self.upgrade;
        let candidate = upgrade.versions.candidate();
        let partner = upgrade.words.partner().map_or(0, |partner| partner.candidate);
        let partner_is_confirmed = upgrade.words.partner().is_none_or(|partner| partner.part.contains(Part::CONFIRMED));
        let is_claiming = self.control.claim.is_under_way();
        let mut reasons = NotReady::empty();
        for (reason, applies) in [
            (NotReady::NOT_IN_DUPLEX, self.control.standing.mode() != Mode::Duplex),
            (NotReady::FAULT_LATCHED, self.record.first_fault().is_some()),
            (NotReady::ON_PROBATION, self.control.standing.probation() > 0),
            (NotReady::BARRED, self.control.suspicion.is_any_barred()),
            (NotReady::NO_CANDIDATE, candidate.is_none()),
            (NotReady::PARTNER_HAS_NO_CANDIDATE, partner == 0 || candidate.is_some_and(|mine| mine.version != partner)),
            (NotReady::NO_SUCCESSOR, candidate.is_some_and(|candidate| candidate.takes_version != P::VERSION)),
            (NotReady::LAYOUT_DIFFERS, candidate.is_some_and(|candidate| candidate.takes_layout != P::LAYOUT)),
            (NotReady::BELOW_FLOOR, candidate.is_some_and(|candidate| candidate.version < candidate.floor)),
            (NotReady::NOT_CONFIRMED, !self.control.undertaking.is_confirmed() || !partner_is_confirmed),
            (NotReady::BOTH_DRIVE, !self.control.config.drives_as_owner()),
            (NotReady::COPY_FORECAST, self.copy_forecast().is_some()),
            (NotReady::UNSETTLED, is_claiming || self.control.turn.held() > 0 || self.meeting.is_cutting()),
        ] {
            reasons.set(reason, applies);
        }
        reasons
    }

    /// Gives an order. The channel that owns carries it out at once; the other one passes it on, and
    /// [`upgrade`](Self::upgrade) tells what the owner said.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed. It says whether another try is worth it: [`Refusal::retry`].
    pub fn order(&mut self, now: Instant, order: Order) -> Result<Ordered, Refusal> {
        self.within_at(now, |node, now| {
            if node.leads() {
                node.carry_out(now, order).map(|()| Ordered::Done)
            } else {
                node.pass_on(order).map(|()| Ordered::PassedOn)
            }
        })
    }

    /// Returns how the upgrade stands.
    pub fn upgrade(&self) -> Status {
        let upgrade = &self.upgrade;
        let partner = upgrade.words.partner();
        let is_new = self.control.undertaking.is_new();
        let counts = match partner {
            Some(partner) if !is_new => partner.counts,
            _ => upgrade.versions.trial().counts(),
        };
        Status {
            step: self.control.undertaking.step(),
            partner_step: partner.map_or(Step::Idle, |partner| partner.step),
            relation: self.control.undertaking.version_relation(),
            partner_version: partner.map_or(0, |partner| partner.version),
            duty: self.duty(),
            counts,
            is_ready: if is_new { self.is_tried() } else { self.partner_is_tried() },
            has_failed: if is_new { self.has_failed() } else { upgrade.words.partner_is(Part::FAILED) },
            ordered: upgrade.orders.given(),
            refused: upgrade.orders.refused(),
            cannot_migrate: upgrade.versions.cannot_migrate().or(upgrade.words.cannot_migrate()),
        }
    }

    /// Returns the first cycle of the trial whose outputs were not alike; known to the new version.
    pub fn first_difference(&self) -> Option<&FirstDifference<P::Input, P::Output>> {
        self.upgrade.versions.trial().first()
    }

    /// Returns what the firmware is to do, if anything.
    pub fn duty(&self) -> Option<Duty> {
        let (undertaking, floor) = (&self.control.undertaking, self.upgrade.versions.floor());
        let (restart, step, is_new) = (undertaking.restart(), undertaking.step(), undertaking.is_new());
        let is_confirmed = undertaking.is_confirmed();
        if !self.has_sound_control() {
            return None; // any other call mends it
        }
        if restart.is_some() {
            return restart.filter(|_| self.upgrade.departure.is_told());
        }
        let is_pair = self.control.standing.mode() == Mode::Duplex && step == Step::Idle && !self.meeting.is_cutting();
        let commits = matches!(step, Step::Commit | Step::Merge) && is_new && self.leads();
        if !is_confirmed && (is_pair || commits) {
            return Some(Duty::Confirm);
        }
        let is_older = floor.is_some_and(|floor| floor < P::VERSION);
        let are_confirmed = is_confirmed && self.upgrade.words.partner_is(Part::CONFIRMED);
        (is_pair && is_older && are_confirmed).then_some(Duty::RaiseFloor)
    }

    /// Says that the running image was confirmed, as [`Duty::Confirm`] asks.
    pub fn image_confirmed(&mut self) {
        self.within(|node| {
            node.control.undertaking.confirm(true);
            node.upgrade.words.owe();
            if node.control.standing.mode().serves_alone() && node.control.undertaking.step() == Step::Commit {
                node.step_on(StepEvent::NewAlone); // there is nobody to wait for
            }
        });
    }

    /// Says that older versions are refused from now on, as [`Duty::RaiseFloor`] asks.
    pub fn floor_raised(&mut self) {
        self.upgrade.versions.raise_floor();
    }

    /// Says that this half could not be restarted as asked: it joins again as it is. It is asked again after ten seconds, or not
    /// in this boot.
    pub fn restart_failed(&mut self, now: Instant, retry: Retry) {
        self.within_at(now, |node, now| {
            node.control.undertaking.stay();
            node.upgrade.departure.stay(now, retry);
            node.meeting.renew();
            node.outgoing.say_hello_at(now);
        });
    }

    pub(super) fn carry_out(&mut self, now: Instant, order: Order) -> Result<(), Refusal> {
        let step = self.control.undertaking.step();
        if !step.takes(order) {
            return Err(Refusal::OutOfOrder(step));
        }
        match order {
            Order::Prepare | Order::Split => {
                let reasons = self.readiness();
                if !reasons.is_empty() {
                    return Err(Refusal::NotReady(reasons));
                }
            }
            Order::Switchover => {
                let status = self.upgrade();
                if status.has_failed {
                    return Err(Refusal::TrialFailed);
                }
                if !status.is_ready {
                    let left = self.control.config.trial_cycles().saturating_sub(status.counts.cycles);
                    let cycles_left = u16::try_from(left).unwrap_or(u16::MAX);
                    return Err(Refusal::TrialNotDone { cycles_left });
                }
            }
            Order::Commit => {}
            Order::Abort
                if self.control.undertaking.version_relation() == VersionRelation::Newer
                    && self.upgrade.words.partner_is(Part::CONFIRMED) =>
            {
                return Err(Refusal::NoWayBack);
            }
            Order::Abort if step == Step::NewDrives && self.control.standing.mode() != Mode::Trial => {
                return Err(Refusal::NoWayBack);
            }
            Order::Abort => {}
        }
        self.step_on(StepEvent::Ordered(order));
        self.upgrade.departure.forget_returns();
        if order == Order::Commit
            && self.control.standing.mode().serves_alone()
            && self.control.undertaking.is_confirmed()
        {
            self.step_on(StepEvent::NewAlone); // there is nobody to wait for
        }
        self.outgoing.say_hello_at(now);
        Ok(())
    }

    pub(super) fn pass_on(&mut self, order: Order) -> Result<(), Refusal> {
        if !self.is_led() {
            return Err(Refusal::NoOwner);
        }
        if !self.upgrade.orders.pass_on(order) {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    /// Takes the partner's order, if this channel owns, and its answer to the one that was passed on.
    pub(in crate::node) fn handle_order(&mut self, now: Instant, told: &OrderPayload) -> Result<(), Reject> {
        self.upgrade.orders.was_answered(told.answered, Refusal::decoded(told.refusal, told.detail));
        if told.number == 0 || !self.leads() {
            return Ok(());
        }
        if self.upgrade.orders.is_new(told.number) {
            let done = Order::of_code(told.order).ok_or(Refusal::Unknown).and_then(|order| self.carry_out(now, order));
            self.upgrade.orders.answer_with(told.number, done.err());
        }
        self.upgrade.orders.owe();
        Ok(())
    }

    /// Returns when an order or an answer is due.
    pub(in crate::node) fn order_timeout(&self) -> Option<Instant> {
        self.upgrade.orders.due_at().filter(|_| self.can_talk())
    }

    pub(in crate::node) fn transmit_order(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        if self.order_timeout().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let phase = Phase::new(self.control.turn.committed(), Stage::Settled);
        let length = self.transmit(Kind::Order, phase, buffer, &self.upgrade.orders.payload())?;
        self.upgrade.orders.sent(now, &self.control.config);
        Ok(Some(length))
    }
}
