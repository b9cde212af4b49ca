//! Why an order is not carried out.

use super::{NotReady, Retry, Step};

/// Why an order was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// Something speaks against beginning.
    NotReady(NotReady),
    /// It is no order of this step.
    OutOfOrder(Step),
    /// The trial has not been long enough.
    TrialNotDone {
        /// Cycles still to go; 65535 are at least so many.
        cycles_left: u16,
    },
    /// The outputs were not alike too often.
    TrialFailed,
    /// There is nothing to go back to: the old version is not in step any more, or the new one is confirmed. Go on.
    NoWayBack,
    /// Another order is on its way to the partner.
    Busy,
    /// This channel does not own the outputs and knows of nobody who does.
    NoOwner,
    /// The partner said something that this version does not know.
    Unknown,
    /// It was on its way when the outputs changed sides or the partner booted anew: whether it was carried out is not known. Look at the step.
    Lost,
}

impl Refusal {
    /// Returns whether the same order may be accepted later, without anything else being done.
    pub fn retry(self) -> Retry {
        match self {
            Self::NotReady(reasons) if reasons.intersects(NotReady::LASTING) => Retry::Never,
            Self::NotReady(_) | Self::TrialNotDone { .. } | Self::Busy | Self::NoOwner | Self::Lost => Retry::Later,
            Self::OutOfOrder(_) | Self::TrialFailed | Self::NoWayBack | Self::Unknown => Retry::Never,
        }
    }

    /// Returns it as it is sent.
    pub(crate) fn encoded(self) -> (u8, u16) {
        match self {
            Self::NotReady(reasons) => (1, reasons.bits()),
            Self::OutOfOrder(step) => (2, step.code().into()),
            Self::TrialNotDone { cycles_left } => (3, cycles_left),
            Self::TrialFailed => (4, 0),
            Self::NoWayBack => (5, 0),
            Self::Busy => (6, 0),
            Self::NoOwner => (7, 0),
            Self::Unknown => (8, 0),
            Self::Lost => (9, 0),
        }
    }

    /// Returns what was sent; `None` if nothing was refused.
    pub(crate) fn decoded(code: u8, detail: u16) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::NotReady(NotReady::from_bits_retain(detail)),
            2 => Step::of_code(detail as u8).map_or(Self::Unknown, Self::OutOfOrder),
            3 => Self::TrialNotDone { cycles_left: detail },
            4 => Self::TrialFailed,
            5 => Self::NoWayBack,
            6 => Self::Busy,
            7 => Self::NoOwner,
            9 => Self::Lost,
            _ => Self::Unknown,
        })
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotReady(reasons) => write!(f, "not ready: {reasons}"),
            Self::OutOfOrder(step) => write!(f, "no order of step {step}"),
            Self::TrialNotDone { cycles_left } => write!(f, "{cycles_left} cycles of the trial to go"),
            Self::TrialFailed => f.write_str("the outputs were not alike too often"),
            Self::NoWayBack => f.write_str("there is nothing to go back to"),
            Self::Busy => f.write_str("another order is on its way"),
            Self::NoOwner => f.write_str("no owner is known"),
            Self::Unknown => f.write_str("the partner's reason is not known here"),
            Self::Lost => f.write_str("it was lost on its way"),
        }
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_worth_another_try() {
        assert_eq!(Refusal::NotReady(NotReady::UNSETTLED | NotReady::NOT_IN_DUPLEX).retry(), Retry::Later);
        for reason in NotReady::LASTING.iter() {
            assert_eq!(Refusal::NotReady(reason | NotReady::UNSETTLED).retry(), Retry::Never, "{reason}");
        }
        assert_eq!(Refusal::TrialNotDone { cycles_left: 3 }.retry(), Retry::Later);
        assert_eq!(Refusal::TrialFailed.retry(), Retry::Never);
    }

    #[test]
    fn what_is_sent_comes_back() {
        let steps = Step::ALL.into_iter().map(Refusal::OutOfOrder);
        let others = [
            Refusal::NotReady(NotReady::NO_CANDIDATE | NotReady::FAULT_LATCHED),
            Refusal::TrialNotDone { cycles_left: 300 },
            Refusal::TrialFailed,
            Refusal::NoWayBack,
            Refusal::Busy,
            Refusal::NoOwner,
            Refusal::Unknown,
            Refusal::Lost,
        ];
        for refusal in steps.chain(others) {
            let (code, detail) = refusal.encoded();
            assert_eq!(Refusal::decoded(code, detail), Some(refusal));
        }
        assert_eq!(Refusal::decoded(0, 9), None);
        assert_eq!(Refusal::decoded(2, 99), Some(Refusal::Unknown));
    }
}
