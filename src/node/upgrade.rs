//! Upgrading in the node: orders, what the two halves tell each other, and what the firmware is to do.

mod orders;
mod words;

use super::Node;
use super::trial::Handover;
use crate::fault::Faults;
use crate::ids::Instant;
use crate::journal::Event;
use crate::mode::Mode;
use crate::program::Program;
use crate::succession::Succession;
use crate::upgrade::{Candidate, Counts, Duty, Follower, Kin, Order, Refusal, Step, StepEvent, Trial, duty_of};
use crate::wire::Part;

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

    /// Returns what must not change by itself, as one word of the control data.
    pub(super) fn word(&self) -> u32 {
        let restart = match self.restart {
            None | Some(Duty::Confirm | Duty::RaiseFloor) => 0,
            Some(Duty::RestartIntoNew) => 1,
            Some(Duty::RestartIntoOld) => 2,
        };
        let has_dropped = matches!(self.handover, Handover::Dropped { .. });
        let flags = [self.is_new, self.leaves, self.is_confirmed, has_dropped];
        let flags = flags.into_iter().rev().fold(0, |word, flag| word << 1 | u32::from(flag));
        u32::from(self.step.code()) | (self.kin as u32) << 8 | restart << 12 | flags << 16
    }

    pub(super) fn set_word(&mut self, word: u32) {
        // A number that names none cannot be the majority's.
        self.step = Step::of_code(word as u8).unwrap_or(self.step);
        self.kin = Kin::ALL.get((word >> 8 & 0xF) as usize).copied().unwrap_or(self.kin);
        self.restart = match word >> 12 & 0xF {
            1 => Some(Duty::RestartIntoNew),
            2 => Some(Duty::RestartIntoOld),
            _ => None,
        };
        let flag = |at: u32| word >> (16 + at) & 1 == 1;
        (self.is_new, self.leaves, self.is_confirmed) = (flag(0), flag(1), flag(2));
        match (self.handover, flag(3)) {
            (Handover::Dropped { .. }, false) => self.handover = Handover::Keeping,
            (Handover::Keeping | Handover::Claiming { .. }, true) => {
                self.handover = Handover::Dropped { resend_at: Instant::from_micros(0) };
            }
            _ => {}
        }
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
    pub(super) fn has_confirmed_image(&self) -> bool {
        self.upgrade.is_confirmed
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
