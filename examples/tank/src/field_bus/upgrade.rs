//! What is sent of an upgrade, as codes of its own: their numbers stay, whatever becomes of the library's enums.

use serde::{Deserialize, Serialize};
use twinstep::upgrade::{Duty, NotReady, Order, Refusal, Step};

/// A [`Step`] as it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepCode {
    /// No upgrade.
    #[default]
    Idle,
    /// Both halves are ready for it.
    Prepare,
    /// The old version serves alone; the other half restarts into the new one.
    Split,
    /// The old version drives, the new one steps beside it.
    OldDrives,
    /// The old version hands over as soon as it can.
    Switchover,
    /// The new version drives, the old one steps beside it.
    NewDrives,
    /// The new version is being confirmed.
    Commit,
    /// The other half restarts into the new version.
    Merge,
    /// Back to the old version.
    Abort,
}

impl From<Step> for StepCode {
    fn from(step: Step) -> Self {
        match step {
            Step::Idle => Self::Idle,
            Step::Prepare => Self::Prepare,
            Step::Split => Self::Split,
            Step::OldDrives => Self::OldDrives,
            Step::Switchover => Self::Switchover,
            Step::NewDrives => Self::NewDrives,
            Step::Commit => Self::Commit,
            Step::Merge => Self::Merge,
            Step::Abort => Self::Abort,
        }
    }
}

impl From<StepCode> for Step {
    fn from(step: StepCode) -> Self {
        match step {
            StepCode::Idle => Self::Idle,
            StepCode::Prepare => Self::Prepare,
            StepCode::Split => Self::Split,
            StepCode::OldDrives => Self::OldDrives,
            StepCode::Switchover => Self::Switchover,
            StepCode::NewDrives => Self::NewDrives,
            StepCode::Commit => Self::Commit,
            StepCode::Merge => Self::Merge,
            StepCode::Abort => Self::Abort,
        }
    }
}

/// An [`Order`] as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderCode {
    /// Check that both halves are ready.
    Prepare,
    /// Let the half that does not own restart into its candidate.
    Split,
    /// Let the new version drive.
    Switchover,
    /// Keep the new version.
    Commit,
    /// Go back to the old version.
    Abort,
}

impl From<Order> for OrderCode {
    fn from(order: Order) -> Self {
        match order {
            Order::Prepare => Self::Prepare,
            Order::Split => Self::Split,
            Order::Switchover => Self::Switchover,
            Order::Commit => Self::Commit,
            Order::Abort => Self::Abort,
        }
    }
}

impl From<OrderCode> for Order {
    fn from(order: OrderCode) -> Self {
        match order {
            OrderCode::Prepare => Self::Prepare,
            OrderCode::Split => Self::Split,
            OrderCode::Switchover => Self::Switchover,
            OrderCode::Commit => Self::Commit,
            OrderCode::Abort => Self::Abort,
        }
    }
}

/// A [`Duty`] as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DutyCode {
    /// Mark the candidate to be booted on trial, and restart the board.
    RestartIntoNew,
    /// Mark the image before to be booted, and restart the board.
    RestartIntoOld,
    /// Mark the running image to be booted from now on.
    Confirm,
    /// Refuse older images from now on.
    RaiseFloor,
}

impl From<Duty> for DutyCode {
    fn from(duty: Duty) -> Self {
        match duty {
            Duty::RestartIntoNew => Self::RestartIntoNew,
            Duty::RestartIntoOld => Self::RestartIntoOld,
            Duty::Confirm => Self::Confirm,
            Duty::RaiseFloor => Self::RaiseFloor,
        }
    }
}

/// A [`Refusal`] as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// Something speaks against beginning.
    NotReady {
        /// The bits of [`NotReady`].
        reasons: u16,
    },
    /// It is no order of this step.
    OutOfOrder {
        /// The step.
        step: StepCode,
    },
    /// The trial has not been long enough.
    TrialNotDone {
        /// Cycles still to go.
        cycles_left: u16,
    },
    /// The outputs were not alike too often.
    TrialFailed,
    /// There is nothing to go back to.
    NoWayBack,
    /// Another order is on its way.
    Busy,
    /// No owner is known.
    NoOwner,
    /// For a reason that is not known here.
    Unknown,
    /// It was lost on its way to the other board.
    Lost,
}

impl From<Refusal> for RefusalCode {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotReady(reasons) => Self::NotReady { reasons: reasons.bits() },
            Refusal::OutOfOrder(step) => Self::OutOfOrder { step: step.into() },
            Refusal::TrialNotDone { cycles_left } => Self::TrialNotDone { cycles_left },
            Refusal::TrialFailed => Self::TrialFailed,
            Refusal::NoWayBack => Self::NoWayBack,
            Refusal::Busy => Self::Busy,
            Refusal::NoOwner => Self::NoOwner,
            Refusal::Unknown => Self::Unknown,
            Refusal::Lost => Self::Lost,
        }
    }
}

impl From<RefusalCode> for Refusal {
    fn from(refusal: RefusalCode) -> Self {
        match refusal {
            RefusalCode::NotReady { reasons } => Self::NotReady(NotReady::from_bits_retain(reasons)),
            RefusalCode::OutOfOrder { step } => Self::OutOfOrder(step.into()),
            RefusalCode::TrialNotDone { cycles_left } => Self::TrialNotDone { cycles_left },
            RefusalCode::TrialFailed => Self::TrialFailed,
            RefusalCode::NoWayBack => Self::NoWayBack,
            RefusalCode::Busy => Self::Busy,
            RefusalCode::NoOwner => Self::NoOwner,
            RefusalCode::Unknown => Self::Unknown,
            RefusalCode::Lost => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_numbers_and_convert_both_ways() {
        assert_eq!(Step::ALL.map(|step| StepCode::from(step) as u8), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Step::ALL.map(|step| Step::from(StepCode::from(step))), Step::ALL);
        assert_eq!(Order::ALL.map(|order| OrderCode::from(order) as u8), [0, 1, 2, 3, 4]);
        assert_eq!(Order::ALL.map(|order| Order::from(OrderCode::from(order))), Order::ALL);
        let duties = [Duty::RestartIntoNew, Duty::RestartIntoOld, Duty::Confirm, Duty::RaiseFloor];
        assert_eq!(duties.map(|duty| DutyCode::from(duty) as u8), [0, 1, 2, 3]);
        for refusal in [
            Refusal::NotReady(NotReady::NO_CANDIDATE | NotReady::UNSETTLED),
            Refusal::OutOfOrder(Step::Merge),
            Refusal::TrialNotDone { cycles_left: 300 },
            Refusal::TrialFailed,
            Refusal::NoWayBack,
            Refusal::Busy,
            Refusal::NoOwner,
            Refusal::Unknown,
        ] {
            assert_eq!(Refusal::from(RefusalCode::from(refusal)), refusal);
        }
    }
}
