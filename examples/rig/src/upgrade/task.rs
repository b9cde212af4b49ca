//! What the operator does, and what it waits for.

use super::flavour::{Flavour, OLD_VERSION};
use super::view::View;
use tank::field_bus::ModeCode;
use twinstep::upgrade::{NotReady, Order, Refusal, Step};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Task {
    /// Wait until it is so.
    Wait(Until),
    /// Wait for so many periods.
    Rest(u32),
    /// Put a version 2 into both boards' flash, beside what runs.
    Offer(Flavour),
    /// Look at the boards' first faults, and clear them.
    Forgive,
    /// Give an order, again if it is too early, until it is carried out.
    Give(Order),
    /// Give an order that must be refused.
    Refused(Order, Why),
    /// Kill a half in the middle of a cycle.
    Kill(Half),
    /// Give what orders it takes to end in duplex on this version, or else on the other one.
    Reach(Goal),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Both boards are in duplex on version 1.
    OnOld,
    /// Both boards are in duplex on version 2, confirmed it and raised their floors.
    OnNew,
    /// The board that owns has come to this step.
    Step(Step),
    /// The new version may drive, or has been tried as it drives.
    Ready,
    /// The outputs were not alike too often.
    Failed,
    /// The half that does not own has left, restarted and takes the state over.
    Joining,
    /// The old version owns again.
    OldOwns,
}

/// Which half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Half {
    /// The one that owns the outputs.
    Owner,
    /// The other one.
    Other,
}

/// Which way an upgrade is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Goal {
    /// On version 1.
    Back,
    /// On version 2.
    On,
}

/// Why an order has to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    NoCandidate,
    OutOfOrder,
    TrialNotDone,
    TrialFailed,
}

impl Until {
    pub(crate) fn is_so(self, view: &View) -> bool {
        match self {
            Self::OnOld => view.settled() == Some(OLD_VERSION),
            Self::OnNew => view.settled().is_some_and(|version| version != OLD_VERSION),
            Self::Step(step) => view.step() == Some(step),
            Self::Ready => view.leader().is_some_and(|seen| seen.is_ready),
            Self::Failed => view.leader().is_some_and(|seen| seen.has_failed),
            Self::Joining => view.follower().is_some_and(|seen| {
                seen.mode == ModeCode::Joining && view.leader().is_some_and(|leader| leader.mode == ModeCode::Donor)
            }),
            Self::OldOwns => view.leader().is_some_and(|seen| seen.version == OLD_VERSION),
        }
    }
}

impl Why {
    /// Whether a refusal is for this reason, and tells of it.
    pub(crate) fn is(self, refusal: Refusal) -> bool {
        match (self, refusal) {
            (Self::NoCandidate, Refusal::NotReady(reasons)) => reasons.contains(NotReady::NO_CANDIDATE),
            (Self::OutOfOrder, Refusal::OutOfOrder(_))
            | (Self::TrialNotDone, Refusal::TrialNotDone { .. })
            | (Self::TrialFailed, Refusal::TrialFailed) => true,
            _ => false,
        }
    }
}

/// Whether an order that was refused for this can be given again a little later.
pub(crate) fn may_pass(refusal: Refusal) -> bool {
    match refusal {
        Refusal::TrialNotDone { .. } | Refusal::Busy | Refusal::NoOwner => true,
        Refusal::NotReady(reasons) => {
            let passing = NotReady::UNSETTLED | NotReady::ON_PROBATION | NotReady::PARTNER_HAS_NO_CANDIDATE;
            !reasons.is_empty() && passing.contains(reasons)
        }
        _ => false,
    }
}
