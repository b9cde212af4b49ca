//! Version 2 of the controller: it overshoots less after an approach, and its heater chatters less.
//!
//! To the law of version 1 come three things, each bounded, so that the two versions' outputs are within
//! [`TOLERANCE_PERMILLE`] of each other in every cycle, whichever of them drives:
//! - a *push*: far below the set point the heater gets a little more;
//! - what the integral sums up in such an approach is *withheld* from the heater and given back slowly, for it would
//!   overshoot;
//! - the heater's power is *smoothed*, since most of what it does from one cycle to the next is the sensors' noise.

use crate::filter::{FRACTION_BITS, Filtered};
use crate::flaw::{Flaw, Sound};
use crate::law::{self, FULL_PERMILLE, INTEGRAL_LIMIT_CENTI_C, INTEGRAL_TIME_CYCLES};
use crate::observation::{Before, Observation};
use crate::trend::{self, TREND_ENTRIES, TrendEntry};
use crate::{Drive, Reading, Tank, sensors};
use core::marker::PhantomData;
use core::mem::offset_of;
use twinstep::program::layout_hash;
use twinstep::{Agreement, Build, Cycle, Program, Tracked, build_of};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const ONE_Q8: i32 = 1 << FRACTION_BITS;

/// What a deviation of one hundredth of a degree adds to the integral in a cycle.
pub(crate) const SUMMED_Q8: i32 = ONE_Q8 / INTEGRAL_TIME_CYCLES;
const _: () = assert!(SUMMED_Q8 * INTEGRAL_TIME_CYCLES == ONE_Q8, "the integral is that of version 1 to the bit");
const INTEGRAL_LIMIT_Q8: i32 = INTEGRAL_LIMIT_CENTI_C * ONE_Q8;

/// An approach is pushed from here on down, and no more than the limit: it is reached where the tank is colder by
/// as much.
const PUSHED_BELOW_CENTI_C: i32 = 100;
const PUSH_LIMIT_CENTI_C: i32 = 60;
/// What is summed up is withheld from here on down. Nearer to the set point the integral does its work.
const WITHHELD_BELOW_CENTI_C: i32 = 50;
/// As large as the push: a state taken over while an approach is pushed withholds all of the push at first.
const WITHHELD_LIMIT_Q8: i32 = PUSH_LIMIT_CENTI_C * ONE_Q8;
/// Time constant as a power of two of what is given back: 512 cycles, four times the integral's.
const GIVEN_BACK_SHIFT: u32 = 9;

/// Time constant of the heater's power as a power of two: 4 cycles.
const SMOOTHING_SHIFT: u32 = 2;
/// The power stays this near to what is wanted, so that it is smooth where little happens and in time where much does.
const SMOOTHING_LIMIT_PERMILLE: i32 = 20;

/// Whole thousandths: version 1 drops the fractions, version 2 rounds them.
const ROUNDING_PERMILLE: i32 = 2;

/// How far the heater powers of both versions may be from each other in one cycle. It is the sum of what version 2
/// adds to the law, so that no reading whatever takes two sound versions further apart.
pub const TOLERANCE_PERMILLE: u16 =
    (law::feedback_permille(PUSH_LIMIT_CENTI_C) + SMOOTHING_LIMIT_PERMILLE + ROUNDING_PERMILLE) as u16;

/// The control program, version 2.
pub type TankV2 = Version2<Sound>;

/// Version 2, sound or with a [`Flaw`].
pub struct Version2<F>(PhantomData<F>);

/// The program's state.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PlantV2 {
    /// The last cycles, as a ring.
    pub trend: [TrendEntry; TREND_ENTRIES],
    /// Where the next trend entry goes.
    pub trend_next: u32,
    /// Steps since the first one, or since the state was taken over.
    pub cycles_run: u32,
    /// Filtered ambient temperature, with 8 fractional bits.
    pub ambient_centi_c_q8: i32,
    /// Filtered tank temperature, with 8 fractional bits.
    pub tank_centi_c_q8: i32,
    /// Integral of the control deviation over the integral time, with 8 fractional bits.
    pub integral_centi_c_q8: i32,
    /// How much of it is withheld from the heater.
    pub withheld_centi_c_q8: i32,
    /// Smoothed heater power, with 8 fractional bits; 0 while something locks the heater.
    pub power_permille_q8: i32,
    /// Cycles in which the sensors disagreed, less those in which they did not.
    pub disagreement_cycles: u32,
    /// 0 if the valve is closed.
    pub valve_open: u32,
    /// 0 until the filters have started from a first reading.
    pub filters_primed: u32,
}

impl PlantV2 {
    /// Returns the youngest trend entry; all zero before the first step.
    pub fn latest(&self) -> Option<&TrendEntry> {
        trend::latest(&self.trend, self.trend_next)
    }

    /// Starts the smoothing from a power, and has the push of this moment withheld: version 1 did not push.
    pub(crate) fn start_without_bump(&mut self, power_permille: u16) {
        let deviation_centi_c = law::deviation_centi_c(self.filtered().tank_centi_c());
        self.withheld_centi_c_q8 = push_centi_c(deviation_centi_c) * ONE_Q8;
        self.power_permille_q8 = i32::from(power_permille).min(FULL_PERMILLE) * ONE_Q8;
    }

    fn filtered(&self) -> Filtered {
        Filtered { tank_centi_c_q8: self.tank_centi_c_q8, ambient_centi_c_q8: self.ambient_centi_c_q8 }
    }

    fn before(&self) -> Before {
        Before {
            filtered: (self.filters_primed != 0).then(|| self.filtered()),
            is_valve_open: self.valve_open != 0,
            disagreement_cycles: self.disagreement_cycles,
        }
    }
}

impl<F: Flaw> Program for Version2<F> {
    type Input = Reading;
    type Output = Drive;
    type State = PlantV2;

    const SAFE: Drive = Tank::SAFE;
    const VERSION: u32 = F::VERSION;
    const BUILD: Build = build_of!(
        "lib.rs",
        "controller_v2.rs",
        "filter.rs",
        "flaw.rs",
        "law.rs",
        "observation.rs",
        "sensors.rs",
        "trend.rs"
    );
    const LAYOUT: u32 = layout_hash::<PlantV2>(&[
        offset_of!(PlantV2, trend),
        size_of::<TrendEntry>(),
        offset_of!(PlantV2, trend_next),
        offset_of!(PlantV2, cycles_run),
        offset_of!(PlantV2, ambient_centi_c_q8),
        offset_of!(PlantV2, tank_centi_c_q8),
        offset_of!(PlantV2, integral_centi_c_q8),
        offset_of!(PlantV2, withheld_centi_c_q8),
        offset_of!(PlantV2, power_permille_q8),
        offset_of!(PlantV2, disagreement_cycles),
        offset_of!(PlantV2, valve_open),
        offset_of!(PlantV2, filters_primed),
    ]);

    fn agree(a: &Reading, b: &Reading) -> Agreement<Reading> {
        sensors::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<PlantV2>, input: &Reading) -> Drive {
        let seen = Observation::new(&state.before(), input);
        state.set(|s| &s.tank_centi_c_q8, seen.filtered.tank_centi_c_q8);
        state.set(|s| &s.ambient_centi_c_q8, seen.filtered.ambient_centi_c_q8);
        state.set(|s| &s.filters_primed, 1);
        state.set(|s| &s.valve_open, u32::from(seen.is_valve_open));
        state.set(|s| &s.disagreement_cycles, seen.disagreement_cycles);
        state.update(|s| &s.cycles_run, |cycles| cycles.saturating_add(1));

        let power_permille_q8 = if seen.is_heater_locked {
            0
        } else {
            let wanted_permille_q8 = regulate(state, &seen.filtered);
            smooth(state.power_permille_q8, wanted_permille_q8)
        };
        state.set(|s| &s.power_permille_q8, power_permille_q8);

        let rounded_permille = (power_permille_q8 + ONE_Q8 / 2) >> FRACTION_BITS;
        let heater_permille = F::bend(rounded_permille.clamp(0, FULL_PERMILLE) as u16, state.cycles_run);
        trend::log(state, |s| &s.trend, |s| &s.trend_next, seen.entry(cycle, heater_permille));
        seen.drive(heater_permille)
    }
}

/// The PI controller; returns the heater power wanted, from nothing to full power.
fn regulate(state: &mut Tracked<PlantV2>, filtered: &Filtered) -> i32 {
    let limit_q8 = INTEGRAL_LIMIT_Q8;
    let deviation_centi_c = law::deviation_centi_c(filtered.tank_centi_c());
    let integral_q8 = state.integral_centi_c_q8.clamp(-limit_q8, limit_q8);
    let withheld_q8 = give_back(state.withheld_centi_c_q8.clamp(0, WITHHELD_LIMIT_Q8));

    let pushed_centi_c = deviation_centi_c.saturating_add(push_centi_c(deviation_centi_c));
    let corrected_q8 = pushed_centi_c.saturating_mul(ONE_Q8).saturating_add(integral_q8 - withheld_q8);
    let feed_forward_q8 = law::feed_forward_permille(filtered.ambient_centi_c()).saturating_mul(ONE_Q8);
    let wanted_q8 = law::feedback_permille(corrected_q8).saturating_add(feed_forward_q8);

    // What version 1 would ask for decides what is summed up, so that both integrals stay the same.
    let demand_permille = law::demand_permille(deviation_centi_c, integral_q8 / ONE_Q8, filtered);
    let is_summed_up = law::is_summed_up(deviation_centi_c, demand_permille);
    let summed_q8 = if is_summed_up { deviation_centi_c.saturating_mul(SUMMED_Q8) } else { 0 };
    let is_approach = deviation_centi_c > WITHHELD_BELOW_CENTI_C;
    let newly_withheld_q8 = if is_approach { summed_q8 } else { 0 };
    let sum_q8 = integral_q8.saturating_add(summed_q8);
    state.set(|s| &s.integral_centi_c_q8, sum_q8.clamp(-limit_q8, limit_q8));
    state.set(|s| &s.withheld_centi_c_q8, withheld_q8.saturating_add(newly_withheld_q8).min(WITHHELD_LIMIT_Q8));

    wanted_q8.clamp(0, FULL_PERMILLE * ONE_Q8)
}

/// What is added to a large deviation from below.
fn push_centi_c(deviation_centi_c: i32) -> i32 {
    deviation_centi_c.saturating_sub(PUSHED_BELOW_CENTI_C).clamp(0, PUSH_LIMIT_CENTI_C)
}

/// Returns what is still withheld a cycle later; in the end, nothing.
fn give_back(withheld_q8: i32) -> i32 {
    let rounding_up = (1 << GIVEN_BACK_SHIFT) - 1;
    withheld_q8 - ((withheld_q8 + rounding_up) >> GIVEN_BACK_SHIFT)
}

/// Returns the next power on its way to the one wanted.
fn smooth(old_q8: i32, wanted_q8: i32) -> i32 {
    let old_q8 = old_q8.clamp(0, FULL_PERMILLE * ONE_Q8);
    let limit_q8 = SMOOTHING_LIMIT_PERMILLE * ONE_Q8;
    (old_q8 + ((wanted_q8 - old_q8) >> SMOOTHING_SHIFT)).clamp(wanted_q8 - limit_q8, wanted_q8 + limit_q8)
}
