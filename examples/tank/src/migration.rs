//! From version 1 of the controller to version 2: how the state is taken over, and how near the outputs are.

use crate::controller::INTEGRAL_LIMIT_CENTI_C_CYCLES;
use crate::controller_v2::{PlantV2, SUMMED_Q8, TOLERANCE_PERMILLE, Version2};
use crate::filter::FRACTION_BITS;
use crate::flaw::Flaw;
use crate::observation::DISAGREEMENT_LIMIT_CYCLES;
use crate::trend::TREND_ENTRIES;
use crate::{Drive, Plant, Tank};
use twinstep::{CannotMigrate, Program, Successor};

/// Why a state of version 1 is not taken over: it is none that version 1 could have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Refusal {
    /// A filtered temperature is none that a sensor can read, or the filters' flag is neither 0 nor 1.
    Filters = 1,
    /// The integral is outside of its limits.
    Integral = 2,
    /// The valve is neither open nor closed.
    Valve = 3,
    /// The count of disagreeing cycles is beyond its limit.
    Disagreement = 4,
    /// The next trend entry would go beyond the ring.
    Trend = 5,
    /// The reserve of version 1 has been written.
    Reserve = 6,
    /// A program that takes nothing over: see [`RefusingTank`](crate::RefusingTank).
    Unwilling = 7,
}

impl From<Refusal> for CannotMigrate {
    fn from(refusal: Refusal) -> Self {
        Self(refusal as u16)
    }
}

impl<F: Flaw> Successor for Version2<F> {
    type OldState = Plant;

    const OLD_VERSION: u32 = Tank::VERSION;
    const OLD_LAYOUT: u32 = Tank::LAYOUT;

    fn migrate(old: &Plant, new: &mut PlantV2) -> Result<(), CannotMigrate> {
        if F::REFUSES {
            return Err(Refusal::Unwilling.into());
        }
        check(old)?;
        new.trend.copy_from_slice(&old.trend);
        new.trend_next = old.trend_next;
        new.cycles_run = 0;
        new.ambient_centi_c_q8 = old.ambient_centi_c_q8;
        new.tank_centi_c_q8 = old.tank_centi_c_q8;
        new.integral_centi_c_q8 = old.integral_centi_c_cycles.saturating_mul(SUMMED_Q8);
        new.disagreement_cycles = old.disagreement_cycles;
        new.valve_open = old.valve_open;
        new.filters_primed = old.filters_primed;
        if old.filters_primed != 0 {
            new.start_without_bump(old.latest().map_or(0, |entry| entry.heater_permille));
        }
        Ok(())
    }

    fn tolerates(old: &Drive, new: &Drive) -> bool {
        old.valve == new.valve
            && old.alarms == new.alarms
            && old.heater_permille.abs_diff(new.heater_permille) <= TOLERANCE_PERMILLE
    }
}

/// Whether version 1 could have come to this state.
fn check(old: &Plant) -> Result<(), Refusal> {
    let is_readable = |centi_c_q8: i32| i16::try_from(centi_c_q8 >> FRACTION_BITS).is_ok();
    let limit = INTEGRAL_LIMIT_CENTI_C_CYCLES;
    let checks = [
        (Refusal::Filters, old.filters_primed <= 1),
        (Refusal::Filters, is_readable(old.tank_centi_c_q8) && is_readable(old.ambient_centi_c_q8)),
        (Refusal::Integral, (-limit..=limit).contains(&old.integral_centi_c_cycles)),
        (Refusal::Valve, old.valve_open <= 1),
        (Refusal::Disagreement, old.disagreement_cycles <= DISAGREEMENT_LIMIT_CYCLES),
        (Refusal::Trend, (old.trend_next as usize) < TREND_ENTRIES),
        (Refusal::Reserve, old.reserved == 0),
    ];
    checks.into_iter().find(|(_, holds)| !holds).map_or(Ok(()), |(refusal, _)| Err(refusal))
}
