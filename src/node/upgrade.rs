//! Upgrading in the node: orders, what the two halves tell each other, and what the firmware is to do.

mod hooks;
mod orders;
mod trial;
mod words;

use super::Node;
use super::settings::Settings;

use crate::fault::Faults;
use crate::ids::Instant;
use crate::journal::Event;
use crate::mode::Mode;
use crate::program::Program;
use crate::succession::Succession;
use crate::upgrade::{Candidate, Counts, Duty, Follower, Kin, Order, Refusal, Step, StepEvent, Trial, duty_of};
use crate::wire::Part;

/// A node whose other half can be upgraded while this one serves, and this one afterwards: what it keeps of that.
pub struct Upgrades<P: Program> {
    /// What this version says of the one before it.
    pub(super) succession: Option<Succession<P>>,
    /// In whose terms this channel says its next `Hello`: of the one that it heard last.
    pub(super) terms: Kin,
    pub(super) trial: Trial<P>,
    /// Slots until it does, in which the peer is to hear of it.
    farewell: u8,
    /// It could not be restarted as asked, and does not try again in this boot.
    stays: bool,
    /// Slots in which it has not met anybody.
    lonely: u16,
    /// Times that the other half came back in the old version after the commit.
    returns: u8,
    pub(super) cannot_migrate: Option<u16>,
    candidate: Option<Candidate>,
    /// The oldest version that may be installed; `None`: nobody keeps one.
    floor: Option<u32>,
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

/// Without an upgrade under way words are exchanged more seldom, by this factor.
const IDLE_INTERVALS: u32 = 16;
/// Slots after which an unconfirmed image that nobody takes for a successor goes back by itself.
const LONELY_SLOTS: u16 = 1_000;
/// Times that the other half may come back in the old version after the commit.
const RETURNS: u8 = 3;

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

impl<P: Program> Upgrades<P> {
    const fn new() -> Self {
        Self {
            succession: None,
            terms: Kin::Same,
            trial: Trial::NEW,
            farewell: 0,
            stays: false,
            lonely: 0,
            returns: 0,
            cannot_migrate: None,
            candidate: None,
            floor: None,
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
    fn copied(&self) -> Self {
        Self { trial: self.trial.clone(), ..*self }
    }

    /// Feeds what bears on what the channel does.
    #[cfg(feature = "sim")]
    fn fingerprint(&self, hasher: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        let Self { terms, trial, farewell, candidate, floor, stays, lonely, returns, .. } = self;
        (terms, trial.counts, farewell, candidate, floor, stays, lonely, returns).hash(hasher);
        let Self { partner, ordered, order_number, answered, answer, is_due, at, .. } = self;
        (partner, ordered, order_number, answered, answer, is_due, at).hash(hasher);
    }

    /// The partner has booted anew, or is another one: what it said is void.
    pub(super) fn forget_partner(&mut self) {
        (self.partner, self.answered, self.answer, self.ordered) = (None, 0, None, None);
    }

    /// An order that was passed on is for the channel that owned then.
    pub(super) fn drop_order(&mut self) {
        self.ordered = None;
    }

    /// Takes back times that are further ahead than any can be.
    pub(super) fn bound(&mut self, now: Instant, config: &Settings) {
        self.at = self.at.min(now.plus_us(config.hello_us().saturating_mul(IDLE_INTERVALS)));
    }
}

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME, Upgrades<P>> {
    /// Whether the partner does, as far as is known.
    fn is_led(&self) -> bool {
        match self.control.standing.mode() {
            Mode::Duplex | Mode::Trial => !self.control.owns(),
            Mode::Starting | Mode::Joining | Mode::Standby => self.meeting.serving().is_some(),
            Mode::Simplex | Mode::Donor | Mode::Safe => false,
        }
    }

    /// Changes the step if `event` does here.
    pub(super) fn step_on(&mut self, event: StepEvent) {
        if let Some(step) = self.control.undertaking.step().after(event) {
            self.take_step(step);
        }
    }

    fn take_step(&mut self, step: Step) {
        if self.control.undertaking.step() != step {
            let from = self.control.undertaking.step();
            self.control.undertaking.take_step(step);
            self.happened(Event::UpgradeStep { from, to: step });
            self.upgrade.is_due = true;
        }
    }

    /// Leaves service if this channel has to restart.
    pub(super) fn look_for_duty(&mut self, now: Instant) {
        if self.leads()
            || self.control.undertaking.leaves()
            || self.upgrade.stays
            || self.control.standing.mode() == Mode::Safe
        {
            return;
        }
        let is_led = self.is_led();
        let partner = self.upgrade.partner.filter(|partner| partner.part.contains(Part::LEADS));
        // One that serves has to say in which step it is; where nobody does, there is none.
        let step = if is_led { partner.map(|partner| partner.step) } else { Some(Step::Idle) };
        let Some(step) = step else { return };
        let duty = duty_of(Follower {
            kin: self.control.undertaking.kin(),
            step,
            is_led,
            is_in_duplex: self.control.standing.mode() == Mode::Duplex,
            has_state: !self.control.standing.is_empty(),
            is_confirmed: self.control.undertaking.is_confirmed(),
            partner_is_confirmed: self.upgrade.partner_is(Part::CONFIRMED),
        });
        if let Some(duty) = duty {
            self.leave_to(now, duty);
        }
    }

    /// Leaves service to be restarted.
    pub(super) fn leave_to(&mut self, now: Instant, duty: Duty) {
        self.control.undertaking.leave_to(duty);
        self.upgrade.farewell = FAREWELL_SLOTS;
        let serving = if self.control.standing.mode().is_paired() {
            Some(self.control.standing.epoch())
        } else {
            self.meeting.serving()
        };
        self.start_over(now);
        if let Some(epoch) = serving {
            self.meeting.peer_serves(epoch); // it is told why
        }
        // Should it have been starting, nothing has changed its mode.
        self.stop_booting();
        self.outgoing.hello_at(now);
    }

    /// Another slot of the farewell is over.
    pub(super) fn take_leave(&mut self) {
        self.upgrade.farewell = self.upgrade.farewell.saturating_sub(1);
    }

    /// An image on trial that cannot make itself understood, by another frame format or configuration, goes back.
    pub(super) fn count_loneliness(&mut self, now: Instant) {
        let is_alone = self.control.standing.mode() == Mode::Starting
            && self.control.standing.is_empty()
            && !self.control.undertaking.leaves();
        let is_on_trial =
            self.upgrade.succession.is_some() && !self.control.undertaking.is_confirmed() && !self.upgrade.stays;
        self.upgrade.lonely = if is_alone && is_on_trial { self.upgrade.lonely.saturating_add(1) } else { 0 };
        if self.upgrade.lonely > LONELY_SLOTS {
            self.fault(Faults::PEER_DIFFERS);
            self.leave_to(now, Duty::RestartIntoOld);
        }
    }

    /// Starting over, this channel knows of no upgrade; what it is about to do stays.
    pub(super) fn forget_upgrade(&mut self) {
        self.step_on(StepEvent::Forgotten);
        self.upgrade.trial = Trial::NEW;
        self.control.undertaking.forget_trial();
        self.upgrade.drop_order();
    }

    /// This version's outputs were not alike too often.
    pub(super) fn has_failed(&self) -> bool {
        self.control.undertaking.has_failed()
            || self.upgrade.trial.counts.differing > self.control.config.trial_differences()
    }

    /// Whether the new version says that it has been tried for long enough, and this one's own limits say so, too.
    pub(super) fn partner_is_tried(&self) -> bool {
        let counts = self.upgrade.partner.map_or(Counts::default(), |partner| partner.counts);
        let is_within = counts.differing <= self.control.config.trial_differences();
        self.upgrade.partner_is(Part::READY) && counts.cycles >= self.control.config.trial_cycles() && is_within
    }

    fn is_tried(&self) -> bool {
        let is_long_enough = self.upgrade.trial.counts.cycles >= self.control.config.trial_cycles();
        is_long_enough && !self.has_failed() && self.control.standing.mode() == Mode::Trial
    }

    /// Notes that the state could not be taken over: this half goes back to the version before.
    pub(super) fn refuse_migration(&mut self, now: Instant, number: u16) {
        self.upgrade.cannot_migrate = Some(number);
        self.fault(Faults::CANNOT_MIGRATE);
        self.leave_to(now, Duty::RestartIntoOld);
    }
}
