//! The control law both versions share: PI with feed-forward and anti-windup.
//!
//! The integral is a part of it to the bit. While one version shadows the other it cannot move the tank, so that two
//! integrals that sum up differently, if only in their rounding, would drift apart for good.

use crate::filter::Filtered;

const SETPOINT_CENTI_C: i32 = 6_000;

/// Full heater power.
pub(crate) const FULL_PERMILLE: i32 = 1_000;
/// The heater is at full power from 10 °C below the set point on.
const GAIN_PERMILLE_PER_C: i32 = 100;
const CENTI_C_PER_C: i32 = 100;
/// Integral time: how long a constant deviation takes to double its effect, about 20 minutes.
pub(crate) const INTEGRAL_TIME_CYCLES: i32 = 128;
/// The integral counts for 5 °C of deviation at most, half of the heater's power.
pub(crate) const INTEGRAL_LIMIT_CENTI_C: i32 = 500;
/// Losses the heater makes up for before they show: 2.5 ‰ for each degree to the ambient.
const FEED_FORWARD_CENTI_C_PER_PERMILLE: i32 = 40;

/// How far the tank is below the set point.
pub(crate) fn deviation_centi_c(tank_centi_c: i32) -> i32 {
    SETPOINT_CENTI_C.saturating_sub(tank_centi_c)
}

/// Heater power for a deviation, in thousandths, or whatever fraction of them the deviation comes in.
pub(crate) const fn feedback_permille(deviation_centi_c: i32) -> i32 {
    deviation_centi_c.saturating_mul(GAIN_PERMILLE_PER_C) / CENTI_C_PER_C
}

/// Heater power for the losses, in thousandths.
pub(crate) fn feed_forward_permille(ambient_centi_c: i32) -> i32 {
    SETPOINT_CENTI_C.saturating_sub(ambient_centi_c) / FEED_FORWARD_CENTI_C_PER_PERMILLE
}

/// Heater power for a deviation, for what the integral corrects it by, and for the losses; in thousandths, not yet
/// cut to what the heater has.
pub(crate) fn demand_permille(deviation_centi_c: i32, integral_centi_c: i32, filtered: &Filtered) -> i32 {
    let feedback_permille = feedback_permille(deviation_centi_c.saturating_add(integral_centi_c));
    feedback_permille.saturating_add(feed_forward_permille(filtered.ambient_centi_c()))
}

/// Whether a deviation is to be summed up.
///
/// Anti-windup: at an end of its range the heater cannot follow, so a deviation that asks for even more is not
/// summed up; else the sum would overshoot for as long later.
pub(crate) fn is_summed_up(deviation_centi_c: i32, demand_permille: i32) -> bool {
    let saturated_high = demand_permille >= FULL_PERMILLE && deviation_centi_c > 0;
    let saturated_low = demand_permille <= 0 && deviation_centi_c < 0;
    !(saturated_high || saturated_low)
}
