//! A clock that runs too fast or too slow, and jumps.

use crate::ids::Instant;

/// One channel's clock over true time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// True time and the clock's own, at the last change of its rate.
    since: u64,
    showed: u64,
    drift_ppm: i32,
}

const MILLION: i64 = 1_000_000;

impl Clock {
    /// A clock that shows `showed` at the true time 0.
    pub(super) fn new(showed: u64, drift_ppm: i32) -> Self {
        Self { since: 0, showed, drift_ppm }
    }

    /// What the clock shows at a true time.
    pub(super) fn shows(&self, now: u64) -> Instant {
        let elapsed = now.saturating_sub(self.since);
        let gained = elapsed.cast_signed() * i64::from(self.drift_ppm) / MILLION;
        Instant::from_micros((self.showed + elapsed).saturating_add_signed(gained))
    }

    /// Returns about the first true time at which the clock shows `at`.
    pub(super) fn true_time(&self, at: Instant) -> u64 {
        let ahead = at.as_micros().saturating_sub(self.showed).min(FURTHEST_US).cast_signed();
        let elapsed = ahead - ahead * i64::from(self.drift_ppm) / (MILLION + i64::from(self.drift_ppm));
        self.since.saturating_add(elapsed.max(0).cast_unsigned())
    }

    /// Runs at another rate from now on, and jumps by so much.
    pub(super) fn change(&mut self, now: u64, drift_ppm: i32, jump_us: i64) {
        let showed = self.shows(now).as_micros().saturating_add_signed(jump_us);
        *self = Self { since: now, showed, drift_ppm };
    }
}

/// Nobody waits for longer than that: a month.
const FURTHEST_US: u64 = 1 << 41;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_again_whatever_the_rate() {
        for drift_ppm in [-50_000, -200, 0, 200, 50_000] {
            let mut clock = Clock::new(7_000, drift_ppm);
            clock.change(1_000_000, drift_ppm, -300);
            for now in [1_000_000, 1_000_001, 1_234_567, 999_999_999] {
                let found = clock.true_time(clock.shows(now));
                assert!(found.abs_diff(now) <= 2, "{drift_ppm} ppm: {now} is found as {found}");
            }
        }
    }

    #[test]
    fn a_jump_shows_at_once_and_a_new_rate_later() {
        let mut clock = Clock::new(0, 0);
        clock.change(100, 10_000, 50);
        assert_eq!((clock.shows(100).as_micros(), clock.shows(200).as_micros()), (150, 251));
        clock.change(200, 0, -51);
        assert_eq!(clock.shows(300).as_micros(), 300);
    }
}
