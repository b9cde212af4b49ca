//! What both versions make of a reading, whatever their states look like: filters, the valve, alarms, interlocks.

use crate::filter::Filtered;
use crate::trend::TrendEntry;
use crate::{Alarms, Drive, Reading, Valve};
use twinstep::Cycle;

const VALVE_OPENS_ABOVE_CENTI_C: i32 = 7_000;
const VALVE_CLOSES_BELOW_CENTI_C: i32 = 6_600;
const TOO_HOT_ABOVE_CENTI_C: i32 = 7_500;
const TOO_COLD_BELOW_CENTI_C: i32 = 500;

/// Disagreeing cycles count up, agreeing ones down; the alarm is raised from this count on.
const DISAGREEMENT_ALARM_CYCLES: u32 = 3;
/// Where the count stops, so that the alarm clears soon after its cause has gone.
pub(crate) const DISAGREEMENT_LIMIT_CYCLES: u32 = 8;

/// What a state keeps of the cycle before.
pub(crate) struct Before {
    /// `None` before the first reading.
    pub(crate) filtered: Option<Filtered>,
    pub(crate) is_valve_open: bool,
    /// Cycles in which the sensors disagreed, less those in which they did not.
    pub(crate) disagreement_cycles: u32,
}

/// What a cycle is about, but for the heater.
pub(crate) struct Observation {
    pub(crate) filtered: Filtered,
    pub(crate) is_valve_open: bool,
    pub(crate) disagreement_cycles: u32,
    /// Heating against an open door or an open valve would only waste power.
    pub(crate) is_heater_locked: bool,
    alarms: Alarms,
}

impl Observation {
    /// Observes one cycle.
    pub(crate) fn new(before: &Before, input: &Reading) -> Self {
        let filtered = Filtered::next(before.filtered, input);
        let tank_centi_c = filtered.tank_centi_c();
        let is_valve_open = switch_valve(before.is_valve_open, tank_centi_c);
        let disagreement_cycles = count_disagreement(before.disagreement_cycles, input.disagree);

        let mut alarms = Alarms::empty();
        alarms.set(Alarms::TOO_HOT, tank_centi_c > TOO_HOT_ABOVE_CENTI_C);
        alarms.set(Alarms::TOO_COLD, tank_centi_c < TOO_COLD_BELOW_CENTI_C);
        alarms.set(Alarms::DOOR_OPEN, input.door_open);
        alarms.set(Alarms::SENSORS_DISAGREE, disagreement_cycles >= DISAGREEMENT_ALARM_CYCLES);
        let is_heater_locked = input.door_open || is_valve_open;
        Self { filtered, is_valve_open, disagreement_cycles, is_heater_locked, alarms }
    }

    /// What is driven, with this much heat.
    pub(crate) fn drive(&self, heater_permille: u16) -> Drive {
        let valve = if self.is_valve_open { Valve::Open } else { Valve::Closed };
        Drive { heater_permille, valve, alarms: self.alarms }
    }

    /// What the trend log keeps of it.
    pub(crate) fn entry(&self, cycle: Cycle, heater_permille: u16) -> TrendEntry {
        TrendEntry {
            cycle: cycle.0,
            tank_centi_c: self.filtered.tank_centi_c(),
            ambient_centi_c: self.filtered.ambient_centi_c(),
            heater_permille,
            alarm_bits: self.alarms.bits(),
            valve_open: u8::from(self.is_valve_open),
        }
    }
}

/// Opens the valve on a hot tank and closes it on a cooler one: the span between the two
/// keeps it from chattering. Returns whether it is open.
fn switch_valve(was_open: bool, tank_centi_c: i32) -> bool {
    tank_centi_c > VALVE_OPENS_ABOVE_CENTI_C || (was_open && tank_centi_c >= VALVE_CLOSES_BELOW_CENTI_C)
}

/// Counts cycles in which the sensors disagree.
fn count_disagreement(old: u32, disagree: bool) -> u32 {
    let old = old.min(DISAGREEMENT_LIMIT_CYCLES);
    if disagree { (old + 1).min(DISAGREEMENT_LIMIT_CYCLES) } else { old.saturating_sub(1) }
}
