//! The mechanisms that can be switched off, by name.

use crate::mechanism::Mechanism;
use std::format;
use std::prelude::v1::*;

/// Those that a campaign misses when they are off, or of which it counts second faults.
pub(super) const ALL: [Mechanism; 27] = [
    Mechanism::Vote,
    Mechanism::Crc,
    Mechanism::Epoch,
    Mechanism::Phase,
    Mechanism::Echo,
    Mechanism::Lease,
    Mechanism::Overdue,
    Mechanism::FinalInput,
    Mechanism::Scrub,
    Mechanism::Resend,
    Mechanism::CutDigest,
    Mechanism::Probation,
    Mechanism::Checkpoint,
    Mechanism::Reexecution,
    Mechanism::Settled,
    Mechanism::Seal,
    Mechanism::Samples,
    Mechanism::Control,
    Mechanism::Overtaken,
    Mechanism::Numbers,
    Mechanism::Fork,
    Mechanism::CutNonce,
    Mechanism::VoteStays,
    Mechanism::Trial,
    Mechanism::StepTwice,
    Mechanism::Age,
    Mechanism::Misread,
];

/// Returns the name on the command line.
pub fn name(mechanism: Mechanism) -> String {
    format!("{mechanism:?}").to_lowercase()
}

/// Finds a mechanism by its name.
///
/// # Errors
/// [`UnknownMechanism`], which names them all.
pub fn named(text: &str) -> Result<Mechanism, UnknownMechanism> {
    let found = ALL.into_iter().find(|mechanism| name(*mechanism) == text.to_lowercase());
    found.ok_or(UnknownMechanism)
}

/// No mechanism has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMechanism;

impl core::fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the mechanisms are {}", ALL.map(name).join(", "))
    }
}

impl core::error::Error for UnknownMechanism {}

/// These keep a second fault from doing harm, of which a campaign claims nothing; they have their controls elsewhere.
pub(super) fn is_for_second_faults(off: Mechanism) -> bool {
    let in_a_copy = matches!(off, Mechanism::CutDigest | Mechanism::Probation | Mechanism::CutNonce);
    // The new version of a campaign is sound; what a bad one does is tried elsewhere.
    in_a_copy || matches!(off, Mechanism::Numbers | Mechanism::Fork | Mechanism::Trial)
}

#[cfg(test)]
mod tests {
    use super::{ALL, name, named};
    use std::prelude::v1::*;

    #[test]
    fn each_is_found_by_its_name() {
        for mechanism in ALL {
            assert_eq!(named(&name(mechanism)).unwrap(), mechanism);
        }
        assert!(named("luck").is_err());
    }
}
