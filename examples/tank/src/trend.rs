//! The trend log: the last cycles, as a ring.

use twinstep::Tracked;
use twinstep::memory::State;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of the trend log; about 43 minutes of the plant's time.
pub const TREND_ENTRIES: usize = 256;
const TREND_MASK: u32 = TREND_ENTRIES as u32 - 1;
const _: () = assert!(TREND_ENTRIES.is_power_of_two(), "the head wraps by a mask");

pub(crate) type Trend = [TrendEntry; TREND_ENTRIES];

/// What the trend log keeps of one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TrendEntry {
    /// The number of the cycle.
    pub cycle: u32,
    /// Filtered tank temperature, hundredths of a degree Celsius.
    pub tank_centi_c: i32,
    /// Filtered ambient temperature, hundredths of a degree Celsius.
    pub ambient_centi_c: i32,
    /// Heater power, thousandths of full power.
    pub heater_permille: u16,
    /// The bits of the [`Alarms`](crate::Alarms) raised.
    pub alarm_bits: u8,
    /// 0 if the valve was closed.
    pub valve_open: u8,
}

/// Returns the youngest entry; all zero before the first step.
pub(crate) fn latest(trend: &Trend, next: u32) -> Option<&TrendEntry> {
    trend.get((next.wrapping_sub(1) & TREND_MASK) as usize)
}

/// Writes the entry over the oldest one.
pub(crate) fn log<S: State>(
    state: &mut Tracked<S>,
    trend: impl FnOnce(&S) -> &Trend,
    next: impl Fn(&S) -> &u32,
    entry: TrendEntry,
) {
    let at = *next(state) & TREND_MASK;
    state.try_update(|s| trend(s).get(at as usize), |_| entry);
    state.set(next, (at + 1) & TREND_MASK);
}
