//! When another copy may begin. Copies that come to nothing, and pairs that do not last, are tried again after pauses that grow.

use crate::ids::Instant;

/// Copies begun one after another.
#[derive(Clone, Default, Hash)]
pub(super) struct Again {
    /// Begun; less by one for each time that the pair stayed together for [`TOGETHER_CYCLES`] since.
    begun: u8,
    /// Cycles in duplex; not counted once there are no copies to be forgotten.
    together: u8,
    /// A peer that wants to join waits since then.
    waits_since: Option<Instant>,
}

/// So many begin at once.
const AT_ONCE: u8 = 3;
/// Periods that the first pause takes. With each copy more it is twice as long.
const FIRST_PAUSE: u16 = 2;
/// More copies do not make the pause longer.
const MOST_COPIES: u8 = AT_ONCE + 12;
/// After so many cycles in duplex one copy less counts.
const TOGETHER_CYCLES: u8 = 32;

impl Again {
    /// Another cycle of duplex is done.
    pub(super) fn stays_together(&mut self) {
        if self.begun > 0 {
            self.together = self.together.saturating_add(1);
            if self.together >= TOGETHER_CYCLES {
                (self.begun, self.together) = (self.begun - 1, 0);
            }
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
        (self.begun, self.together, self.waits_since) = (self.begun.saturating_add(1).min(MOST_COPIES), 0, None);
    }

    fn pause_periods(&self) -> u16 {
        match self.begun.checked_sub(AT_ONCE) {
            None => 0,
            Some(more) => FIRST_PAUSE << more.min(MOST_COPIES - AT_ONCE),
        }
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

    fn together(again: &mut Again, cycles: u32) {
        (0..cycles).for_each(|_| again.stays_together());
    }

    #[test]
    fn pauses_grow_to_the_longest_and_shrink_as_long_as_the_pair_stays_together() {
        let (mut again, mut now) = (Again::default(), Instant::from_micros(7));
        for wanted in [0, 0, 0, 2, 4, 8, 16, 32, 64, 100, 100] {
            assert_eq!(pause(&mut again, &mut now), wanted);
            again.begins();
            together(&mut again, u32::from(TOGETHER_CYCLES) - 1); // not for long enough
        }
        for wanted in [100, 100, 64, 32, 16, 8, 4, 2, 0, 0] {
            together(&mut again, TOGETHER_CYCLES.into());
            assert_eq!(pause(&mut again.clone(), &mut now), wanted);
        }
    }

    #[test]
    fn whatever_bit_flips_the_pause_ends() {
        for bit in 0..64 {
            let mut now = Instant::from_micros(1 << 40);
            let since = Instant::from_micros(now.as_micros() ^ 1 << bit);
            let mut again = Again { begun: 255, together: 0, waits_since: Some(since) };
            assert!(pause(&mut again, &mut now) <= 2 * LONGEST_US / PERIOD_US, "bit {bit}");
        }
    }
}
