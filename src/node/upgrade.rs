//! Upgrading in the node: orders, what the two halves tell each other, and what the firmware is to do.

mod books;
mod hooks;
mod orders;
mod trial;
mod words;

use super::Node;
use crate::fault::Faults;
use crate::ids::Instant;
use crate::journal::Event;
use crate::mode::Mode;
use crate::program::Program;
use crate::upgrade::{Counts, Duty, Follower, Step, StepEvent, duty_of};
use crate::wire::Part;
pub use books::Upgrades;

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
            self.upgrade.words.owe();
        }
    }

    /// Leaves service if this channel has to restart.
    pub(super) fn look_for_duty(&mut self, now: Instant) {
        if self.leads()
            || self.control.undertaking.leaves()
            || self.upgrade.departure.stays(now)
            || self.control.standing.mode() == Mode::Safe
        {
            return;
        }
        let is_led = self.is_led();
        let partner = self.upgrade.words.partner().filter(|partner| partner.part.contains(Part::LEADS));
        // One that serves has to say in which step it is; where nobody does, there is none.
        let step = if is_led { partner.map(|partner| partner.step) } else { Some(Step::Idle) };
        let Some(step) = step else { return };
        let duty = duty_of(Follower {
            relation: self.control.undertaking.version_relation(),
            step,
            is_led,
            is_in_duplex: self.control.standing.mode() == Mode::Duplex,
            has_state: !self.control.standing.is_empty(),
            is_confirmed: self.control.undertaking.is_confirmed(),
            partner_is_confirmed: self.upgrade.words.partner_is(Part::CONFIRMED),
        });
        if let Some(duty) = duty {
            self.leave_to(now, duty);
        }
    }

    /// Leaves service to be restarted.
    pub(super) fn leave_to(&mut self, now: Instant, duty: Duty) {
        self.control.undertaking.leave_to(duty);
        self.upgrade.departure.begin();
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
        self.outgoing.say_hello_at(now);
    }

    /// Another slot of the farewell is over.
    pub(super) fn count_farewell(&mut self) {
        self.upgrade.departure.slot_is_over();
    }

    /// An image on trial that cannot make itself understood, by another frame format or configuration, goes back.
    pub(super) fn count_unmet_slots(&mut self, now: Instant) {
        let is_alone = self.control.standing.mode() == Mode::Starting
            && self.control.standing.is_empty()
            && !self.control.undertaking.leaves();
        let is_on_trial = self.upgrade.versions.succession().is_some()
            && !self.control.undertaking.is_confirmed()
            && !self.upgrade.departure.stays(now);
        if self.upgrade.departure.count_unmet(is_alone && is_on_trial, &self.control.config) {
            self.fault(Faults::PEER_DIFFERS);
            self.leave_to(now, Duty::RestartIntoOld);
        }
    }

    /// Starting over, this channel knows of no upgrade; what it is about to do stays.
    pub(super) fn forget_upgrade(&mut self) {
        self.upgrade.orders.drop_given(self.control.undertaking.step());
        self.step_on(StepEvent::Forgotten);
        self.upgrade.versions.forget_trial();
        self.control.undertaking.forget_trial();
    }

    /// This version's outputs were not alike too often.
    pub(super) fn has_failed(&self) -> bool {
        self.control.undertaking.has_failed()
            || self.upgrade.versions.trial().counts().differing > self.control.config.trial_differences()
    }

    /// Whether the new version says that it has been tried for long enough, and this one's own limits say so, too.
    pub(super) fn partner_is_tried(&self) -> bool {
        let counts = self.upgrade.words.partner().map_or(Counts::default(), |partner| partner.counts);
        let is_within = counts.differing <= self.control.config.trial_differences();
        self.upgrade.words.partner_is(Part::READY) && counts.cycles >= self.control.config.trial_cycles() && is_within
    }

    fn is_tried(&self) -> bool {
        let is_long_enough = self.upgrade.versions.trial().counts().cycles >= self.control.config.trial_cycles();
        is_long_enough && !self.has_failed() && self.control.standing.mode() == Mode::Trial
    }

    /// Notes that the state could not be taken over: this half goes back to the version before.
    pub(super) fn refuse_migration(&mut self, now: Instant, number: u16) {
        self.upgrade.versions.refuse_migration(number);
        self.fault(Faults::CANNOT_MIGRATE);
        self.leave_to(now, Duty::RestartIntoOld);
    }
}
