//! The mechanisms that can be switched off, by name.

use anyhow::{Context, Result};
use twinstep::Mechanism;

pub(crate) const ALL: [Mechanism; 25] = [
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
];

/// Returns the name on the command line.
pub(crate) fn name(mechanism: Mechanism) -> String {
    format!("{mechanism:?}").to_lowercase()
}

/// Finds a mechanism by its name.
pub(crate) fn named(text: &str) -> Result<Mechanism> {
    let found = ALL.into_iter().find(|mechanism| name(*mechanism) == text.to_lowercase());
    found.with_context(|| format!("the mechanisms are {}", ALL.map(name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{ALL, name, named};

    #[test]
    fn each_is_found_by_its_name() {
        for mechanism in ALL {
            assert_eq!(named(&name(mechanism)).unwrap(), mechanism);
        }
        assert!(named("luck").is_err());
    }
}
