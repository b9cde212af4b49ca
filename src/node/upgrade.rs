//! Upgrading in the node: orders, what the two halves tell each other, and what the firmware is to do.

use super::Node;
use super::trial::Handover;
use crate::fault::Faults;
use crate::ids::{Instant, Phase, Stage};
use crate::journal::{Event, bump};
use crate::mode::Mode;
use crate::program::{Program, program_hash};
use crate::succession::Succession;
use crate::upgrade::{
    Candidate, Counts, Duty, FirstDifference, Follower, Kin, NotReady, Order, Refusal, Status, Step, StepEvent, Trial,
    duty_of,
};
use crate::wire::{BufferTooSmall, Header, Hello, Kind, Part, Reject, Standing, UpgradePayload};

/// What a node keeps of an upgrade.
pub(super) struct Upgrading<P: Program> {
    /// What this version says of the one before it.
    pub(super) succession: Option<Succession<P>>,
    pub(super) kin: Kin,
    /// In whose terms this channel says its next `Hello`: of the one that it heard last.
    pub(super) terms: Kin,
    /// This channel began the trial as the new version.
    pub(super) is_new: bool,
    pub(super) step: Step,
    pub(super) handover: Handover,
    pub(super) trial: Trial<P>,
    /// This channel is about to restart: it takes part in nothing.
    pub(super) leaves: bool,
    /// Slots until it does, in which the peer is to hear of it.
    farewell: u8,
    pub(super) cannot_migrate: Option<u16>,
    candidate: Option<Candidate>,
    is_confirmed: bool,
    /// The oldest version that may be installed; `None`: nobody keeps one.
    floor: Option<u32>,
    restart: Option<Duty>,
    partner: Option<Partner>,
    /// An order given here, until the partner has answered it.
    ordered: Option<Order>,
    order_number: u8,
    refused: Option<Refusal>,
    /// The partner's order that was answered last, and how.
    answered: u8,
    answer: Option<Refusal>,
    serial: u16,
    pub(super) is_due: bool,
    at: Instant,
}

/// Slots in which a channel that is about to restart takes leave.
const FAREWELL_SLOTS: u8 = 3;

/// Why a peer is no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKin {
    /// Another program, layout or configuration.
    Stranger,
    /// Of this very version, and not aware of it yet.
    Mistaken,
}

/// What the partner said last.
#[derive(Clone, Copy, Hash)]
struct Partner {
    serial: u16,
    step: Step,
    part: Part,
    version: u32,
    candidate: u32,
    counts: Counts,
    cannot_migrate: Option<u16>,
}

impl<P: Program> Upgrading<P> {
    pub(super) const fn new() -> Self {
        Self {
            succession: None,
            kin: Kin::Same,
            terms: Kin::Same,
            is_new: false,
            step: Step::Idle,
            handover: Handover::Keeping,
            trial: Trial::NEW,
            leaves: false,
            farewell: 0,
            cannot_migrate: None,
            candidate: None,
            is_confirmed: true,
            floor: None,
            restart: None,
            partner: None,
            ordered: None,
            order_number: 0,
            refused: None,
            answered: 0,
            answer: None,
            serial: 0,
            is_due: false,
            at: Instant::from_micros(0),
        }
    }

    /// Whether the partner's last word has this.
    pub(super) fn partner_is(&self, part: Part) -> bool {
        self.partner.is_some_and(|partner| partner.part.contains(part))
    }

    #[cfg(feature = "sim")]
    pub(super) fn copied(&self) -> Self {
        Self { trial: self.trial.clone(), ..*self }
    }

    /// Feeds what bears on what the channel does.
    #[cfg(feature = "sim")]
    pub(super) fn fingerprint(&self, hasher: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        let Self {
            kin,
            terms,
            is_new,
            step,
            handover,
            trial,
            leaves,
            farewell,
            candidate,
            is_confirmed,
            floor,
            restart,
            ..
        } = self;
        (kin, terms, is_new, step, handover, trial.counts, leaves, farewell, candidate, is_confirmed, floor, restart)
            .hash(hasher);
        let Self { partner, ordered, order_number, answered, answer, is_due, at, .. } = self;
        (partner, ordered, order_number, answered, answer, is_due, at).hash(hasher);
    }

    /// The partner has booted anew, or is another one: what it said is void.
    fn forget_partner(&mut self) {
        (self.partner, self.answered, self.answer) = (None, 0, None);
    }
}

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME> {
    /// Lets this version take over from the one before it, should that serve. To be said before the first cycle.
    pub fn succeed(&mut self, succession: Succession<P>) {
        self.upgrade.succession = Some(succession);
    }

    /// Says what this half can be restarted into: a verified image, or none any more.
    pub fn offer_candidate(&mut self, candidate: Option<Candidate>) {
        self.upgrade.candidate = candidate;
        self.upgrade.is_due = true;
    }

    /// Says of the running image whether it is confirmed, and what the oldest version is that may be installed.
    /// Without a word of it, it counts as confirmed, and nobody keeps a floor.
    pub fn running_image(&mut self, is_confirmed: bool, floor: u32) {
        self.recall();
        (self.upgrade.is_confirmed, self.upgrade.floor) = (is_confirmed, Some(floor));
        self.remember();
    }

    /// Returns all that speaks against beginning an upgrade; empty: [`Order::Split`] can be given.
    /// Changes nothing.
    pub fn readiness(&self) -> NotReady {
        let upgrade = &self.upgrade;
        let candidate = upgrade.candidate;
        let partner = upgrade.partner.map_or(0, |partner| partner.candidate);
        let partner_is_confirmed = upgrade.partner.is_none_or(|partner| partner.part.contains(Part::CONFIRMED));
        let is_claiming = self.pressing.is_some() || self.copying.raising.is_some();
        let mut reasons = NotReady::empty();
        for (reason, applies) in [
            (NotReady::NOT_IN_DUPLEX, self.mode != Mode::Duplex),
            (NotReady::FAULT_LATCHED, self.first_fault.is_some()),
            (NotReady::ON_PROBATION, self.probation > 0),
            (NotReady::BARRED, self.barred != [false; 2]),
            (NotReady::NO_CANDIDATE, candidate.is_none()),
            (NotReady::PARTNER_HAS_NO_CANDIDATE, partner == 0 || candidate.is_some_and(|mine| mine.version != partner)),
            (NotReady::NO_SUCCESSOR, candidate.is_some_and(|candidate| candidate.takes_version != P::VERSION)),
            (NotReady::LAYOUT_DIFFERS, candidate.is_some_and(|candidate| candidate.takes_layout != P::LAYOUT)),
            (NotReady::BELOW_FLOOR, candidate.is_some_and(|candidate| candidate.version < candidate.floor)),
            (NotReady::NOT_CONFIRMED, !upgrade.is_confirmed || !partner_is_confirmed),
            (NotReady::UNSETTLED, is_claiming || self.held > 0 || self.cut.is_some()),
        ] {
            reasons.set(reason, applies);
        }
        reasons
    }

    /// Gives an order. The channel that owns carries it out at once; the other one passes it on, and
    /// [`upgrade`](Self::upgrade) tells what the owner said.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed.
    pub fn order(&mut self, now: Instant, order: Order) -> Result<(), Refusal> {
        self.enter(now);
        let done = if self.leads() { self.carry_out(now, order) } else { self.pass_on(order) };
        self.remember();
        done
    }

    /// Returns how the upgrade stands.
    pub fn upgrade(&self) -> Status {
        let upgrade = &self.upgrade;
        let partner = upgrade.partner;
        let is_new = upgrade.is_new;
        let counts = match partner {
            Some(partner) if !is_new => partner.counts,
            _ => upgrade.trial.counts,
        };
        Status {
            step: upgrade.step,
            partner_step: partner.map_or(Step::Idle, |partner| partner.step),
            kin: upgrade.kin,
            partner_version: partner.map_or(0, |partner| partner.version),
            duty: self.duty(),
            counts,
            is_ready: if is_new { self.is_tried() } else { upgrade.partner_is(Part::READY) },
            has_failed: if is_new { self.has_failed() } else { upgrade.partner_is(Part::FAILED) },
            ordered: upgrade.ordered,
            refused: upgrade.refused,
            cannot_migrate: upgrade.cannot_migrate.or(partner.and_then(|partner| partner.cannot_migrate)),
        }
    }

    /// Returns the first cycle of the trial whose outputs were not alike; known to the new version.
    pub fn first_difference(&self) -> Option<&FirstDifference<P::Input, P::Output>> {
        self.upgrade.trial.first.as_ref()
    }

    /// Returns what the firmware is to do, if anything.
    pub fn duty(&self) -> Option<Duty> {
        let Upgrading { restart, step, is_new, is_confirmed, floor, .. } = self.upgrade;
        if restart.is_some() {
            return restart.filter(|_| self.upgrade.farewell == 0);
        }
        let is_pair = self.mode == Mode::Duplex && step == Step::Idle && self.cut.is_none();
        let commits = step == Step::Commit && is_new && self.leads();
        if !is_confirmed && (is_pair || commits) {
            return Some(Duty::Confirm);
        }
        let is_older = floor.is_some_and(|floor| floor < P::VERSION);
        let are_confirmed = is_confirmed && self.upgrade.partner_is(Part::CONFIRMED);
        (is_pair && is_older && are_confirmed).then_some(Duty::RaiseFloor)
    }

    /// Says that the running image was confirmed, as [`Duty::Confirm`] asks.
    pub fn image_confirmed(&mut self) {
        self.recall();
        (self.upgrade.is_confirmed, self.upgrade.is_due) = (true, true);
        if self.mode.serves_alone() && self.upgrade.step == Step::Commit {
            self.step_on(StepEvent::NewAlone); // there is nobody to wait for
        }
        self.remember();
    }

    pub(super) fn has_confirmed_image(&self) -> bool {
        self.upgrade.is_confirmed
    }

    /// Says that older versions are refused from now on, as [`Duty::RaiseFloor`] asks.
    pub fn floor_raised(&mut self) {
        self.upgrade.floor = self.upgrade.floor.map(|floor| floor.max(P::VERSION));
    }

    /// Says that this half could not be restarted as asked: it joins again as it is.
    pub fn restart_failed(&mut self, now: Instant) {
        self.enter(now);
        (self.upgrade.restart, self.upgrade.leaves) = (None, false);
        self.handshake.renew();
        self.outgoing.hello_at(now);
        self.remember();
    }

    /// Whether this channel serves and owns the outputs, as far as it knows; then it holds the step, too.
    pub fn leads(&self) -> bool {
        self.mode.serves() && self.epoch.owner() == self.me && !self.has_dropped()
    }

    /// Whether the partner does, as far as is known.
    fn is_led(&self) -> bool {
        match self.mode {
            Mode::Duplex | Mode::Trial => self.epoch.owner() != self.me,
            Mode::Starting | Mode::Joining | Mode::Standby => self.copying.serving.is_some(),
            Mode::Simplex | Mode::Donor | Mode::Safe => false,
        }
    }

    /// Changes the step if `event` does here.
    pub(super) fn step_on(&mut self, event: StepEvent) {
        if let Some(step) = self.upgrade.step.after(event) {
            self.take_step(step);
        }
    }

    fn take_step(&mut self, step: Step) {
        if self.upgrade.step != step {
            let from = core::mem::replace(&mut self.upgrade.step, step);
            self.happened(Event::UpgradeStep { from, to: step });
            self.upgrade.is_due = true;
        }
    }

    fn carry_out(&mut self, now: Instant, order: Order) -> Result<(), Refusal> {
        let step = self.upgrade.step;
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
                    let left = self.config.trial_cycles.saturating_sub(status.counts.cycles);
                    let cycles_left = u16::try_from(left).unwrap_or(u16::MAX);
                    return Err(Refusal::TrialNotDone { cycles_left });
                }
            }
            Order::Commit => {}
            Order::Abort if self.upgrade.kin == Kin::Newer && self.upgrade.partner_is(Part::CONFIRMED) => {
                return Err(Refusal::NoWayBack);
            }
            Order::Abort if step == Step::NewDrives && self.mode != Mode::Trial => return Err(Refusal::NoWayBack),
            Order::Abort => {}
        }
        self.step_on(StepEvent::Ordered(order));
        if order == Order::Commit && self.mode.serves_alone() && self.upgrade.is_confirmed {
            self.step_on(StepEvent::NewAlone); // there is nobody to wait for
        }
        self.outgoing.hello_at(now);
        Ok(())
    }

    fn pass_on(&mut self, order: Order) -> Result<(), Refusal> {
        if !self.is_led() {
            return Err(Refusal::NoOwner);
        }
        if self.upgrade.ordered.is_some_and(|other| other != order) {
            return Err(Refusal::Busy);
        }
        if self.upgrade.ordered.is_none() {
            self.upgrade.order_number = self.upgrade.order_number.wrapping_add(1).max(1);
        }
        (self.upgrade.ordered, self.upgrade.refused, self.upgrade.is_due) = (Some(order), None, true);
        Ok(())
    }

    // What the halves tell each other.

    /// Returns what the sender's version is to this one's, if they can pair or succeed one another; else why not.
    pub(super) fn kin_of(&mut self, hello: &Hello, standing: Standing) -> Result<Kin, NoKin> {
        let succeeds = standing.contains(Standing::SUCCEEDS);
        let hashes = [hello.program_hash, hello.layout_hash, hello.config_hash];
        let config_hash = self.config.hash();
        if hashes == [program_hash::<P>(), P::LAYOUT, config_hash] {
            return Ok(if succeeds { Kin::Newer } else { Kin::Same });
        }
        let before = self.upgrade.succession.map(|before| [before.program_hash, before.layout_hash, config_hash]);
        match before {
            Some(before) if before == hashes && !succeeds => Ok(Kin::Older),
            // Of this version itself, and takes this channel for one of the version before, as which it knew it.
            Some(before) if before == hashes => Err(NoKin::Mistaken),
            _ => Err(NoKin::Stranger),
        }
    }

    /// Whether a peer that cannot pair is no surprise.
    pub(super) fn expects_another_version(&self) -> bool {
        self.upgrade.step != Step::Idle || self.upgrade.kin != Kin::Same
    }

    /// Notes who the partner is, by its fresh word.
    pub(super) fn met(&mut self, hello: &Hello, kin: Kin) {
        if hello.nonce != self.peer_nonce {
            self.upgrade.forget_partner();
        }
        // Its word is fresh, so the next one of this channel is so to it.
        self.upgrade.farewell = self.upgrade.farewell.min(1);
        if kin != self.upgrade.kin {
            (self.upgrade.kin, self.upgrade.is_due) = (kin, true);
        }
    }

    /// Takes the addressee's version into account: to the version before, a successor speaks in its terms.
    pub(super) fn hello_in_terms(&self, hello: Hello) -> Hello {
        match self.upgrade.succession {
            Some(before) if self.upgrade.terms == Kin::Older => {
                Hello { program_hash: before.program_hash, layout_hash: before.layout_hash, ..hello }
            }
            _ => Hello { program_hash: program_hash::<P>(), layout_hash: P::LAYOUT, ..hello },
        }
    }

    pub(super) fn handle_upgrade(
        &mut self,
        now: Instant,
        header: &Header,
        told: &UpgradePayload,
    ) -> Result<(), Reject> {
        let step = Step::of_code(told.step).ok_or(Reject::Payload)?;
        let part = Part::from_bits(told.part).ok_or(Reject::Payload)?;
        let last = self.upgrade.partner.map(|partner| partner.serial);
        if last.is_some_and(|last| told.serial.wrapping_sub(last).cast_signed() <= 0) {
            bump(&mut self.counters.repeated);
            return Ok(());
        }
        self.answers_handover(now, header);
        let counts = Counts { cycles: told.tried, tolerated: told.tolerated, differing: told.differing };
        let UpgradePayload { serial, version, candidate, cannot_migrate, .. } = *told;
        self.upgrade.partner = Some(Partner { serial, step, part, version, candidate, counts, cannot_migrate });
        self.upgrade.is_due |= part.contains(Part::ASKS) && !self.has_to_tell();
        if self.upgrade.ordered.is_some() && told.answered == self.upgrade.order_number {
            (self.upgrade.ordered, self.upgrade.refused) = (None, Refusal::decoded(told.refusal, told.detail));
        }
        if self.leads() {
            self.answer_order(now, told);
            if self.upgrade.kin == Kin::Newer && part.contains(Part::CONFIRMED) {
                self.step_on(StepEvent::CannotGoBack);
            }
            if self.mode == Mode::Duplex && step == Step::Abort {
                self.step_on(StepEvent::Duplex); // it has heard of it before it left
            }
        } else if self.is_led() && part.contains(Part::LEADS) {
            self.take_step(step);
        }
        self.look_for_duty(now);
        Ok(())
    }

    fn answer_order(&mut self, now: Instant, told: &UpgradePayload) {
        if told.order == 0 || told.order_number == self.upgrade.answered {
            return;
        }
        let done = Order::of_code(told.order).ok_or(Refusal::Unknown).and_then(|order| self.carry_out(now, order));
        (self.upgrade.answered, self.upgrade.answer) = (told.order_number, done.err());
        self.upgrade.is_due = true;
    }

    /// Leaves service if this channel has to restart.
    pub(super) fn look_for_duty(&mut self, now: Instant) {
        if self.leads() || self.upgrade.leaves || self.mode == Mode::Safe {
            return;
        }
        let is_led = self.is_led();
        let partner = self.upgrade.partner.filter(|partner| partner.part.contains(Part::LEADS));
        // One that serves has to say in which step it is; where nobody does, there is none.
        let step = if is_led { partner.map(|partner| partner.step) } else { Some(Step::Idle) };
        let Some(step) = step else { return };
        let duty = duty_of(Follower {
            kin: self.upgrade.kin,
            step,
            is_led,
            is_in_duplex: self.mode == Mode::Duplex,
            has_state: !self.empty,
            is_confirmed: self.upgrade.is_confirmed,
            partner_is_confirmed: self.upgrade.partner_is(Part::CONFIRMED),
        });
        if let Some(duty) = duty {
            self.leave_to(now, duty);
        }
    }

    /// Leaves service to be restarted.
    pub(super) fn leave_to(&mut self, now: Instant, duty: Duty) {
        (self.upgrade.leaves, self.upgrade.restart, self.upgrade.farewell) = (true, Some(duty), FAREWELL_SLOTS);
        let serving = if self.mode.is_paired() { Some(self.epoch) } else { self.copying.serving };
        self.start_over(now);
        self.copying.serving = serving; // it is told why
        // Should it have been starting, nothing has changed its mode.
        self.boot = super::boot::Boot::Listening;
        self.outgoing.hello_at(now);
    }

    /// Another slot of the farewell is over.
    pub(super) fn take_leave(&mut self) {
        self.upgrade.farewell = self.upgrade.farewell.saturating_sub(1);
    }

    /// Starting over, this channel knows of no upgrade; what it is about to do stays.
    pub(super) fn forget_upgrade(&mut self) {
        self.step_on(StepEvent::Forgotten);
        (self.upgrade.trial, self.upgrade.is_new, self.upgrade.ordered) = (Trial::NEW, false, None);
    }

    /// Whether there is something to tell, time and again.
    fn has_to_tell(&self) -> bool {
        let Upgrading { step, kin, candidate, is_confirmed, ordered, .. } = &self.upgrade;
        let is_told = *step != Step::Idle || *kin != Kin::Same || candidate.is_some() || ordered.is_some();
        is_told || !is_confirmed || self.upgrade.floor.is_some_and(|floor| floor < P::VERSION)
    }

    pub(super) fn upgrade_timeout(&self) -> Option<Instant> {
        let is_known = self.peer_nonce != 0 && self.mode != Mode::Safe && !self.boot.is_cutting();
        let at = if self.upgrade.is_due { Instant::from_micros(0) } else { self.upgrade.at };
        (is_known && (self.upgrade.is_due || self.has_to_tell())).then_some(at)
    }

    pub(super) fn transmit_upgrade(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        if self.upgrade_timeout().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let upgrade = &self.upgrade;
        let is_new = upgrade.is_new;
        let mut part = Part::empty();
        part.set(Part::READY, is_new && self.is_tried());
        part.set(Part::FAILED, is_new && self.has_failed());
        part.set(Part::CONFIRMED, upgrade.is_confirmed);
        part.set(Part::ASKS, self.has_to_tell());
        part.set(Part::LEADS, self.leads());
        let (refusal, detail) = upgrade.answer.map_or((0, 0), Refusal::encoded);
        let Counts { cycles, tolerated, differing } = upgrade.trial.counts;
        let payload = UpgradePayload {
            serial: upgrade.serial.wrapping_add(1),
            step: upgrade.step.code(),
            part: part.bits(),
            version: P::VERSION,
            candidate: upgrade.candidate.map_or(0, |candidate| candidate.version),
            order: upgrade.ordered.map_or(0, Order::code),
            order_number: upgrade.order_number,
            answered: upgrade.answered,
            refusal,
            detail,
            tried: cycles,
            tolerated,
            differing,
            cannot_migrate: upgrade.cannot_migrate,
        };
        let phase = Phase::new(self.committed(), Stage::Settled);
        let length = self.transmit(Kind::Upgrade, phase, buffer, &payload)?;
        (self.upgrade.serial, self.upgrade.is_due) = (payload.serial, false);
        self.upgrade.at = now.plus_us(self.config.hello_us);
        Ok(Some(length))
    }

    /// This version's outputs were not alike too often.
    pub(super) fn has_failed(&self) -> bool {
        self.upgrade.trial.counts.differing > self.config.trial_differences
    }

    fn is_tried(&self) -> bool {
        let is_long_enough = self.upgrade.trial.counts.cycles >= self.config.trial_cycles;
        is_long_enough && !self.has_failed() && self.mode == Mode::Trial
    }

    /// Notes that the state could not be taken over: this half goes back to the version before.
    pub(super) fn refuse_migration(&mut self, now: Instant, number: u16) {
        self.upgrade.cannot_migrate = Some(number);
        self.fault(Faults::CANNOT_MIGRATE);
        self.leave_to(now, Duty::RestartIntoOld);
    }
}
