//! When another copy may begin. Copies that come to nothing, and pairs that do not last, are tried again after pauses that grow.

use crate::ids::Instant;

/// Copies begun one after another.
#[derive(Clone, Default)]
pub(in crate::node) struct Again {
    /// Begun; less by one for each [`TOGETHER_PERIODS`] that the pair stayed together since.
    begun: u8,
    /// The pair is together since then.
    together_since: Option<Instant>,
    /// A peer that wants to join waits since then.
    waits_since: Option<Instant>,
}

/// So many begin at once.
const AT_ONCE: u8 = 3;
/// Periods that the first pause takes. With each copy more it is twice as long.
const FIRST_PAUSE: u16 = 2;
/// More copies do not make the pause longer.
const MOST_COPIES: u8 = AT_ONCE + 12;
/// After so many periods together one copy less counts.
const TOGETHER_PERIODS: u32 = 32;

impl Again {
    /// The mode has changed: the pair is together in it, or not.
    pub(in crate::node) fn mode_changed(&mut self, now: Instant, is_together: bool, period_us: u32) {
        if is_together {
            self.together_since.get_or_insert(now);
        } else if let Some(since) = self.together_since.take() {
            let lasted_us = now.since_us(since).max(0).cast_unsigned();
            let times = lasted_us.checked_div(period_us.saturating_mul(TOGETHER_PERIODS)).unwrap_or_default();
            self.begun = self.begun.min(MOST_COPIES).saturating_sub(times.min(u8::MAX.into()) as u8);
        }
    }

    /// The peer wants to join. Returns whether a copy may begin now, and whether a pause begins.
    pub(super) fn asks(&mut self, now: Instant, period_us: u32, longest_us: u32) -> (bool, bool) {
        let pause_us = period_us.saturating_mul(self.pause_periods().into()).min(longest_us);
        let begins = pause_us > 0 && self.waits_since.is_none();
        let since = *self.waits_since.get_or_insert(now);
        // A time ahead is none: a bit of it has flipped.
        let waits = (0..pause_us.cast_signed()).contains(&now.since_us(since));
        (!waits, begins)
    }

    /// A copy begins.
    pub(super) fn begins(&mut self) {
        (self.begun, self.waits_since) = (self.begun.saturating_add(1).min(MOST_COPIES), None);
    }

    fn pause_periods(&self) -> u16 {
        match self.begun.checked_sub(AT_ONCE) {
            None => 0,
            Some(more) => FIRST_PAUSE << more.min(MOST_COPIES - AT_ONCE),
        }
    }
}

impl core::hash::Hash for Again {
    /// A model's runs are shorter than what a pair has to stay together for.
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        let Self { begun, together_since: _, waits_since } = self;
        (begun, waits_since).hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_US: u32 = 10_000;
    const LONGEST_US: u32 = 1_000_000;

    /// Periods until a copy may begin.
    fn pause(again: &mut Again, now: &mut Instant) -> u32 {
        let mut periods = 0;
        while !again.asks(*now, PERIOD_US, LONGEST_US).0 {
            *now = now.plus_us(PERIOD_US);
            periods += 1;
        }
        periods
    }

    fn stay_together(again: &mut Again, now: &mut Instant, us: u32) {
        again.mode_changed(*now, true, PERIOD_US);
        *now = now.plus_us(us / 2);
        again.mode_changed(*now, true, PERIOD_US);
        *now = now.plus_us(us - us / 2);
        again.mode_changed(*now, false, PERIOD_US);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_shrink_as_long_as_the_pair_stays_together() {
        let (mut again, mut now) = (Again::default(), Instant::from_micros(7));
        for wanted in [0, 0, 0, 2, 4, 8, 16, 32, 64, 100, 100] {
            assert_eq!(pause(&mut again, &mut now), wanted);
            again.begins();
            stay_together(&mut again, &mut now, PERIOD_US * TOGETHER_PERIODS - 1); // not for long enough
        }
        for wanted in [100, 100, 64, 32, 16, 8, 4, 2, 0, 0] {
            stay_together(&mut again, &mut now, PERIOD_US * TOGETHER_PERIODS);
            assert_eq!(pause(&mut again.clone(), &mut now), wanted);
        }
    }

    #[test]
    fn whatever_bit_flips_the_pause_ends() {
        for bit in 0..64 {
            let mut now = Instant::from_micros(1 << 40);
            let since = Instant::from_micros(now.as_micros() ^ 1 << bit);
            let mut again = Again { begun: 255, together_since: None, waits_since: Some(since) };
            assert!(pause(&mut again, &mut now) <= 2 * LONGEST_US / PERIOD_US, "bit {bit}");
        }
    }
}
