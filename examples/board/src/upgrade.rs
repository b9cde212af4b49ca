//! An upgrade, as the firmware of a board sees it: orders come over the field bus, and what the library asks for is
//! passed on to the plant side, which has the images and the bootloader.

use crate::field::FieldBus;
use crate::serve::short;
use embedded_io::{Read, ReadReady, Write};
use tank::field_bus::{Candidate, DutyCode, Image, ToPlant};
use tank::{Drive, Reading};
use twinstep::upgrade::{self, Duty, Order, Retry, RunningImage};
use twinstep::{Arbiter, Program, Upgrades};
use twinstep_hal::{Clock, Link, Lockstep};

/// What the loop keeps of an upgrade.
#[derive(Default)]
pub(crate) struct Upgrading {
    told: Option<ToPlant>,
    /// An order that was passed on to the other board.
    ordered: Option<Order>,
    /// What was to be done a cycle ago, and for how many cycles it has been asked for.
    duty: Option<Duty>,
    asked_cycles: u8,
    has_differed: bool,
}

/// A duty is asked for again after so many cycles: the plant side may not have heard.
const ASK_AGAIN_CYCLES: u8 = 16;

impl Upgrading {
    /// Tells the channel what the bootloader knows.
    pub(crate) fn take_image<P: Program, L: Link, A: Arbiter, const FRAME: usize>(
        pair: &mut Lockstep<'_, P, L, A, FRAME, Upgrades<P>>,
        image: Image,
    ) {
        let Image { is_confirmed, floor, candidate } = image;
        pair.running_image(if is_confirmed { RunningImage::Confirmed } else { RunningImage::OnTrial }, floor);
        pair.offer_candidate(candidate.map(|candidate| {
            let Candidate { version, takes_version, takes_layout } = candidate;
            upgrade::Candidate { version, takes_version, takes_layout, floor }
        }));
    }

    /// Does what has come over the field bus, after a cycle.
    pub(crate) fn obey<U, P, L, A, const FRAME: usize>(
        &mut self,
        pair: &mut Lockstep<'_, P, L, A, FRAME, Upgrades<P>>,
        bus: &FieldBus<U>,
        clock: &mut impl Clock,
    ) where
        U: Read + ReadReady + Write,
        P: Program<Input = Reading, Output = Drive>,
        L: Link,
        A: Arbiter,
    {
        if let Some(image) = bus.image() {
            Self::take_image(pair, image);
        }
        if bus.is_forgiven() {
            pair.clear_first_fault();
        }
        match bus.done() {
            Some(DutyCode::Confirm) => pair.image_confirmed(),
            Some(DutyCode::RaiseFloor) => pair.floor_raised(),
            Some(DutyCode::RestartIntoNew | DutyCode::RestartIntoOld) | None => {}
        }
        if bus.has_restart_failed() {
            pair.restart_failed(clock, Retry::Never);
        }
        if let Some(order) = bus.order() {
            let refusal = pair.order(clock, order.into()).err();
            self.ordered = pair.node().upgrade().ordered;
            // One that was passed on is answered when the other board has answered it.
            if refusal.is_some() || self.ordered != Some(order.into()) {
                bus.send(&ToPlant::Answered { order, refusal: refusal.map(Into::into) });
            }
        }
    }

    /// Reports what has changed, and what is to be done.
    pub(crate) fn report<U, P, L, A, const FRAME: usize>(
        &mut self,
        pair: &Lockstep<'_, P, L, A, FRAME, Upgrades<P>>,
        bus: &FieldBus<U>,
    ) where
        U: Read + ReadReady + Write,
        P: Program<Input = Reading, Output = Drive>,
        L: Link,
        A: Arbiter,
    {
        let status = pair.node().upgrade();
        let message = ToPlant::Upgrade {
            step: status.step.into(),
            partner_step: status.partner_step.into(),
            cycles: short(status.counts.cycles),
            tolerated: short(status.counts.tolerated),
            differing: short(status.counts.differing),
            is_ready: status.is_ready,
            has_failed: status.has_failed,
            cannot_migrate: status.cannot_migrate,
        };
        if self.told.replace(message) != Some(message) {
            bus.send(&message);
        }
        if let (Some(order), None) = (self.ordered, status.ordered) {
            bus.send(&ToPlant::Answered { order: order.into(), refusal: status.refused.map(Into::into) });
        }
        self.ordered = status.ordered;
        let first = pair.node().first_difference();
        if let (Some(first), false) = (first, self.has_differed) {
            let (cycle, input, old, new) = (first.cycle.0, first.input, first.old, first.new);
            bus.send(&ToPlant::Differed { cycle, input, old, new });
        }
        self.has_differed = first.is_some();
        // Before a restart the other board has to be told: it is by the end of the cycle after.
        let restarts = matches!(status.duty, Some(Duty::RestartIntoNew | Duty::RestartIntoOld));
        let is_asked_for = status.duty.is_some() && (self.duty == status.duty || !restarts);
        if self.duty != status.duty {
            self.asked_cycles = 0;
        }
        if let Some(duty) = status.duty.filter(|_| is_asked_for && self.asked_cycles == 0) {
            bus.send(&ToPlant::Duty(duty.into()));
        }
        self.asked_cycles = if is_asked_for { (self.asked_cycles + 1) % ASK_AGAIN_CYCLES } else { 0 };
        self.duty = status.duty;
    }
}
