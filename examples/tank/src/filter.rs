//! Low-pass filters of the two temperatures, with fractional bits.

use crate::Reading;

/// Fractional bits of the filters: without them a slow filter would never move the last digits.
pub(crate) const FRACTION_BITS: u32 = 8;
/// Time constants as powers of two: 4 cycles for the tank, 64 for the ambient.
const TANK_SHIFT: u32 = 2;
const AMBIENT_SHIFT: u32 = 6;

/// Both temperatures, filtered, in hundredths of a degree with 8 fractional bits.
#[derive(Clone, Copy)]
pub(crate) struct Filtered {
    pub(crate) tank_centi_c_q8: i32,
    pub(crate) ambient_centi_c_q8: i32,
}

impl Filtered {
    /// Feeds both filters; they start from the first reading.
    pub(crate) fn next(old: Option<Self>, input: &Reading) -> Self {
        let old_tank_q8 = old.map(|old| old.tank_centi_c_q8);
        let old_ambient_q8 = old.map(|old| old.ambient_centi_c_q8);
        Self {
            tank_centi_c_q8: low_pass(old_tank_q8, input.tank_centi_c, TANK_SHIFT),
            ambient_centi_c_q8: low_pass(old_ambient_q8, input.ambient_centi_c, AMBIENT_SHIFT),
        }
    }

    /// The tank's temperature in hundredths of a degree.
    pub(crate) fn tank_centi_c(&self) -> i32 {
        self.tank_centi_c_q8 >> FRACTION_BITS
    }

    /// The ambient temperature in hundredths of a degree.
    pub(crate) fn ambient_centi_c(&self) -> i32 {
        self.ambient_centi_c_q8 >> FRACTION_BITS
    }
}

/// A first-order low-pass filter. Without an old value it starts from the sample, since
/// starting from 0 °C would raise false alarms.
fn low_pass(old_q8: Option<i32>, sample_centi_c: i16, shift: u32) -> i32 {
    let sample_q8 = i32::from(sample_centi_c) << FRACTION_BITS;
    let old_q8 = old_q8.unwrap_or(sample_q8);
    old_q8.saturating_add(sample_q8.saturating_sub(old_q8) >> shift)
}
