//! The controller: a PI loop with feed-forward and anti-windup, interlocks and a trend log.
//!
//! Integers throughout: floating point may round differently from one target to the next,
//! and the two channels must compute the same bits. Arithmetic saturates and nothing
//! indexes, so that no state whatever, not even one with flipped bits, makes a step panic.

use crate::filter::Filtered;
use crate::law::{self, FULL_PERMILLE, INTEGRAL_LIMIT_CENTI_C, INTEGRAL_TIME_CYCLES};
use crate::observation::{Before, Observation};
use crate::trend::{self, TREND_ENTRIES, TrendEntry};
use crate::{Alarms, Drive, Reading, Valve, sensors};
use core::mem::offset_of;
use twinstep::program::layout_hash;
use twinstep::{Agreement, Build, Cycle, Program, Tracked, build_of};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const INTEGRAL_LIMIT_CENTI_C_CYCLES: i32 = INTEGRAL_LIMIT_CENTI_C * INTEGRAL_TIME_CYCLES;

/// The control program.
pub struct Tank;

/// The program's state.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Plant {
    /// Integral of the control deviation, in hundredths of a degree times cycles.
    pub integral_centi_c_cycles: i32,
    /// Filtered tank temperature, with 8 fractional bits.
    pub tank_centi_c_q8: i32,
    /// Filtered ambient temperature, with 8 fractional bits.
    pub ambient_centi_c_q8: i32,
    /// 0 until the filters have started from a first reading.
    pub filters_primed: u32,
    /// 0 if the valve is closed.
    pub valve_open: u32,
    /// Cycles in which the sensors disagreed, less those in which they did not.
    pub disagreement_cycles: u32,
    /// Where the next trend entry goes.
    pub trend_next: u32,
    /// Puts the trend on a multiple of its entries' size: an entry then lies in one block
    /// of mirrored memory, and a step dirties one block less.
    pub reserved: u32,
    /// The last cycles, as a ring.
    pub trend: [TrendEntry; TREND_ENTRIES],
}

const _: () = assert!(offset_of!(Plant, trend).is_multiple_of(size_of::<TrendEntry>()));

impl Plant {
    /// Returns the youngest trend entry; all zero before the first step.
    pub fn latest(&self) -> Option<&TrendEntry> {
        trend::latest(&self.trend, self.trend_next)
    }

    fn before(&self) -> Before {
        let filtered = Filtered { tank_centi_c_q8: self.tank_centi_c_q8, ambient_centi_c_q8: self.ambient_centi_c_q8 };
        Before {
            filtered: (self.filters_primed != 0).then_some(filtered),
            is_valve_open: self.valve_open != 0,
            disagreement_cycles: self.disagreement_cycles,
        }
    }
}

impl Program for Tank {
    type Input = Reading;
    type Output = Drive;
    type State = Plant;

    const SAFE: Drive = Drive { heater_permille: 0, valve: Valve::Closed, alarms: Alarms::empty() };
    const VERSION: u32 = 1;
    const BUILD: Build =
        build_of!("lib.rs", "controller.rs", "filter.rs", "law.rs", "observation.rs", "sensors.rs", "trend.rs");
    const LAYOUT: u32 = layout_hash::<Plant>(&[
        offset_of!(Plant, integral_centi_c_cycles),
        offset_of!(Plant, tank_centi_c_q8),
        offset_of!(Plant, ambient_centi_c_q8),
        offset_of!(Plant, filters_primed),
        offset_of!(Plant, valve_open),
        offset_of!(Plant, disagreement_cycles),
        offset_of!(Plant, trend_next),
        offset_of!(Plant, trend),
        size_of::<TrendEntry>(),
    ]);

    fn agree(a: &Reading, b: &Reading) -> Agreement<Reading> {
        sensors::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Plant>, input: &Reading) -> Drive {
        let seen = Observation::new(&state.before(), input);
        state.set(|s| &s.tank_centi_c_q8, seen.filtered.tank_centi_c_q8);
        state.set(|s| &s.ambient_centi_c_q8, seen.filtered.ambient_centi_c_q8);
        state.set(|s| &s.filters_primed, 1);
        state.set(|s| &s.valve_open, u32::from(seen.is_valve_open));
        state.set(|s| &s.disagreement_cycles, seen.disagreement_cycles);

        let heater_permille = if seen.is_heater_locked { 0 } else { regulate(state, &seen.filtered) };
        trend::log(state, |s| &s.trend, |s| &s.trend_next, seen.entry(cycle, heater_permille));
        seen.drive(heater_permille)
    }
}

/// The PI controller; returns the heater power in thousandths.
fn regulate(state: &mut Tracked<Plant>, filtered: &Filtered) -> u16 {
    let limit = INTEGRAL_LIMIT_CENTI_C_CYCLES;
    let deviation_centi_c = law::deviation_centi_c(filtered.tank_centi_c());
    let integral = state.integral_centi_c_cycles.clamp(-limit, limit);

    let demand_permille = law::demand_permille(deviation_centi_c, integral / INTEGRAL_TIME_CYCLES, filtered);
    let is_summed_up = law::is_summed_up(deviation_centi_c, demand_permille);
    let sum = if is_summed_up { integral.saturating_add(deviation_centi_c) } else { integral };
    state.set(|s| &s.integral_centi_c_cycles, sum.clamp(-limit, limit));

    demand_permille.clamp(0, FULL_PERMILLE) as u16
}
