//! What became of an injection: a pure function of what was observed before and after it.
//!
//! The first line that applies, from the worst down:
//!
//! ```text
//! panic         the library panicked
//! wrong         an output reached the actuator that the program does not compute from what both sampled, or that in
//!               duplex not both had voted for, or that comes of too old a sample; or in the end the state is not what the program makes of it
//! two owners    two channels owned the outputs at one time
//! broken        something did not hold of a channel that must hold between any two of its calls
//! not back      the pair was not in duplex again, though whoever had left it was restarted
//! missing       a cycle's output never reached the actuator, though a later one did
//! safe state    a channel went to the safe state, and the safe output was driven if it owned; or a survivor left whose
//!               memory was beyond repair, and the pair began anew
//! stopped       no new output for longer than the patience and three cycles more
//! crashed       the program panicked in a channel, which died of it, and the other one served on
//! excluded      a channel left duplex, and the other one served on
//! held          a deadline passed without a result, which then came late; or an output was found damaged as it was
//!               opened, in whose place the user drives the safe one. Both channels stayed in duplex
//! latent        damage is left in the memory after the scrub has been over all of it
//! masked        a wrong value or a damaged one was found in the cycle and did not matter: in time, in duplex
//! recovered     something was found and set right, in time and in duplex: memory mended, frames dropped or repeated
//! no effect     nothing was seen of it
//! ```

use serde::{Deserialize, Serialize};

/// What became of an injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was seen of it.
    NoEffect,
    /// A wrong value was found in the cycle and did not matter.
    Masked,
    /// Something was found and set right in time.
    Recovered,
    /// An output came a deadline late, or was found damaged and not opened.
    Held,
    /// One channel left, the other served on.
    Excluded,
    /// The program panicked in one channel, and the other served on.
    Crashed,
    /// A channel went to the safe state.
    Safe,
    /// No output came for too long.
    Stopped,
    /// Damage is left in memory.
    Latent,
    /// A cycle's output never came.
    Missing,
    /// The pair did not come back.
    NotBack,
    /// Something did not hold of a channel that must.
    Broken,
    /// Two channels owned the outputs.
    TwoOwners,
    /// A wrong output or state.
    Wrong,
    /// The library panicked.
    Panic,
}

impl Outcome {
    /// All outcomes, from the mildest to the worst.
    pub const ALL: [Self; 15] = [
        Self::NoEffect,
        Self::Masked,
        Self::Recovered,
        Self::Held,
        Self::Excluded,
        Self::Crashed,
        Self::Safe,
        Self::Stopped,
        Self::Latent,
        Self::Missing,
        Self::NotBack,
        Self::Broken,
        Self::TwoOwners,
        Self::Wrong,
        Self::Panic,
    ];

    /// Returns its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoEffect => "no effect",
            Self::Masked => "masked",
            Self::Recovered => "recovered",
            Self::Held => "held",
            Self::Excluded => "excluded",
            Self::Crashed => "crashed",
            Self::Safe => "safe state",
            Self::Stopped => "stopped",
            Self::Latent => "latent",
            Self::Missing => "missing",
            Self::NotBack => "not back",
            Self::Broken => "broken",
            Self::TwoOwners => "two owners",
            Self::Wrong => "wrong",
            Self::Panic => "panic",
        }
    }

    /// Whether the cycle's output came in its cycle, and both channels stayed.
    pub fn is_in_time(self) -> bool {
        matches!(self, Self::NoEffect | Self::Masked | Self::Recovered)
    }

    /// Whether the pair is in no state for another injection.
    pub(super) fn spoils_the_pair(self) -> bool {
        matches!(self, Self::Latent | Self::NotBack | Self::Broken | Self::TwoOwners | Self::Wrong | Self::Panic)
    }
}

/// What was observed from an injection on, until the pair was in duplex again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The library panicked.
    pub panicked: bool,
    /// Outputs that the program does not compute, not both voted for, or that come of too old a sample.
    pub wrong_outputs: u32,
    /// In the end the state is another one.
    pub wrong_state: bool,
    /// The most channels that owned the outputs at one time.
    pub owners_max: u32,
    /// Calls after which something did not hold of a channel that must.
    pub broken_invariants: u32,
    /// In the end both were in duplex.
    pub is_back: bool,
    /// Cycles that never reached the actuator.
    pub missing: u32,
    /// Outputs found damaged as they were opened; each is a gap that is known of.
    pub damaged: u32,
    /// A channel went to the safe state.
    pub went_safe: bool,
    /// Times that the program panicked in a channel.
    pub crashes: u32,
    /// The most periods in a row without a new output.
    pub silent_periods: u32,
    /// Held cycles that the configuration allows.
    pub patience: u32,
    /// A channel left duplex, or died.
    pub left_duplex: bool,
    /// Deadlines that passed without a result.
    pub held: u32,
    /// In the end damage is left in memory.
    pub left_damage: bool,
    /// Values found wrong or damaged in a cycle: votes that differed, samples, control data, states at the commit.
    pub found_values: u32,
    /// All else that was noticed: memory mended, frames dropped, frames that came or were sent again.
    pub found_else: u32,
}

impl Observed {
    /// Tells what became of an injection.
    pub fn outcome(&self) -> Outcome {
        classify(self)
    }
}

fn classify(seen: &Observed) -> Outcome {
    let rules = [
        (seen.panicked, Outcome::Panic),
        (seen.wrong_outputs > 0 || seen.wrong_state, Outcome::Wrong),
        (seen.owners_max > 1, Outcome::TwoOwners),
        (seen.broken_invariants > 0, Outcome::Broken),
        (!seen.is_back, Outcome::NotBack),
        (seen.missing > seen.damaged, Outcome::Missing),
        (seen.went_safe, Outcome::Safe),
        (seen.silent_periods > seen.patience + 3, Outcome::Stopped),
        (seen.crashes > 0, Outcome::Crashed),
        (seen.left_duplex, Outcome::Excluded),
        (seen.held > 0 || seen.damaged > 0, Outcome::Held),
        (seen.left_damage, Outcome::Latent),
        (seen.found_values > 0, Outcome::Masked),
        (seen.found_else > 0, Outcome::Recovered),
    ];
    rules.into_iter().find(|(applies, _)| *applies).map_or(Outcome::NoEffect, |(_, outcome)| outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    /// Nothing happened.
    const CALM: Observed = Observed {
        panicked: false,
        wrong_outputs: 0,
        wrong_state: false,
        owners_max: 1,
        broken_invariants: 0,
        is_back: true,
        missing: 0,
        damaged: 0,
        went_safe: false,
        crashes: 0,
        silent_periods: 1,
        patience: 0,
        left_duplex: false,
        held: 0,
        left_damage: false,
        found_values: 0,
        found_else: 0,
    };

    /// From the mildest to the worst.
    const TRUTH: [(Observed, Outcome); 18] = [
        (CALM, Outcome::NoEffect),
        (Observed { found_else: 1, ..CALM }, Outcome::Recovered),
        (Observed { found_values: 1, ..CALM }, Outcome::Masked),
        (Observed { left_damage: true, ..CALM }, Outcome::Latent),
        (Observed { damaged: 1, missing: 1, ..CALM }, Outcome::Held),
        (Observed { held: 1, ..CALM }, Outcome::Held),
        (Observed { left_duplex: true, ..CALM }, Outcome::Excluded),
        (Observed { crashes: 1, left_duplex: true, ..CALM }, Outcome::Crashed),
        (Observed { silent_periods: 4, ..CALM }, Outcome::Stopped),
        (Observed { went_safe: true, ..CALM }, Outcome::Safe),
        (Observed { damaged: 1, missing: 2, ..CALM }, Outcome::Missing),
        (Observed { missing: 1, ..CALM }, Outcome::Missing),
        (Observed { is_back: false, ..CALM }, Outcome::NotBack),
        (Observed { broken_invariants: 1, ..CALM }, Outcome::Broken),
        (Observed { owners_max: 2, ..CALM }, Outcome::TwoOwners),
        (Observed { wrong_state: true, ..CALM }, Outcome::Wrong),
        (Observed { wrong_outputs: 1, ..CALM }, Outcome::Wrong),
        (Observed { panicked: true, ..CALM }, Outcome::Panic),
    ];

    #[test]
    fn each_observation_has_its_outcome() {
        for (seen, outcome) in TRUTH {
            assert_eq!(classify(&seen), outcome, "{seen:?}");
        }
    }

    #[test]
    fn of_two_observations_the_worse_one_counts() {
        let both = |a: &Observed, b: &Observed| Observed {
            panicked: a.panicked | b.panicked,
            wrong_outputs: a.wrong_outputs.max(b.wrong_outputs),
            wrong_state: a.wrong_state | b.wrong_state,
            owners_max: a.owners_max.max(b.owners_max),
            broken_invariants: a.broken_invariants + b.broken_invariants,
            is_back: a.is_back & b.is_back,
            missing: a.missing + b.missing,
            damaged: a.damaged + b.damaged,
            went_safe: a.went_safe | b.went_safe,
            crashes: a.crashes + b.crashes,
            silent_periods: a.silent_periods.max(b.silent_periods),
            patience: 0,
            left_duplex: a.left_duplex | b.left_duplex,
            held: a.held.max(b.held),
            left_damage: a.left_damage | b.left_damage,
            found_values: a.found_values + b.found_values,
            found_else: a.found_else + b.found_else,
        };
        // Gaps and what is known of them are looked at together.
        let alone = |seen: &Observed| seen.missing == 0;
        for (mild, (a, _)) in TRUTH.iter().enumerate().filter(|(_, (seen, _))| alone(seen)) {
            for (b, worse) in TRUTH.iter().skip(mild).filter(|(seen, _)| alone(seen)) {
                assert_eq!(classify(&both(a, b)), *worse, "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn patience_is_no_stop() {
        assert_eq!(classify(&Observed { silent_periods: 5, patience: 2, held: 2, ..CALM }), Outcome::Held);
    }

    #[test]
    fn every_outcome_is_reached_and_named_once() {
        for outcome in Outcome::ALL {
            assert!(TRUTH.iter().any(|(_, reached)| *reached == outcome), "{outcome:?}");
        }
        let names: std::collections::HashSet<_> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        assert_eq!(names.len(), Outcome::ALL.len());
    }
}
