//! Time: the channel's own time, which is the user's clock without its jumps.
//!
//! Everything in a node waits and ages by this time. It never goes back, and between two calls it goes on by at most the longest gap
//! that a configuration gives cause for. After more than that nobody knows how much time has passed: all of it, or none, if the
//! clock was set. So what has an age is older by the longest gap, and the schedule starts and ends its cycles later by as much: no output
//! is younger than its sample is, and no peer is blamed for time that did not pass. A counter of 32 bits that wraps goes on.

use super::settings::Settings;
use crate::ids::Instant;

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "sim", derive(Hash))]
pub(super) struct Time {
    now: Instant,
    /// What the clock shows more than that, modulo 2^64.
    offset: u64,
    is_running: bool,
    /// The clock went on by more than any gap, and no cycle has ended since. If it does so again, time has passed: a clock that is read so
    /// seldom has not jumped, and a cycle whose deadline moves on and on would never end.
    has_jumped: bool,
}

impl Time {
    /// Takes what the clock shows; returns the channel's own time and, if the clock went back, or on by more than any gap, by how much its own
    /// time went on all the same.
    #[inline(never)]
    pub(super) fn read(&mut self, shown: Instant, config: &Settings) -> (Instant, Option<u32>) {
        let now = Instant::from_micros(shown.as_micros().wrapping_sub(self.offset));
        let gone_us = now.as_micros().wrapping_sub(self.now.as_micros());
        // Nearly always.
        if gone_us <= config.period_us().into() && self.is_running {
            self.now = now;
            return (now, None);
        }
        self.read_far(shown, config)
    }

    #[cold]
    #[inline(never)]
    fn read_far(&mut self, shown: Instant, config: &Settings) -> (Instant, Option<u32>) {
        let (now, jumped_us) = self.look(shown, config);
        let has_jumped = self.has_jumped || jumped_us.is_some_and(|us| us > 0);
        *self = Self { now, offset: shown.as_micros().wrapping_sub(now.as_micros()), is_running: true, has_jumped };
        (now, jumped_us)
    }

    /// A cycle has ended.
    pub(super) fn cycle_ends(&mut self) {
        self.has_jumped = false;
    }

    /// Returns the channel's own time when the clock shows this.
    pub(super) fn at(&self, shown: Instant, config: &Settings) -> Instant {
        self.look(shown, config).0
    }

    fn look(&self, shown: Instant, config: &Settings) -> (Instant, Option<u32>) {
        if !self.is_running {
            return (shown, None);
        }
        let before = Instant::from_micros(self.now.as_micros().wrapping_add(self.offset));
        let longest_us = config.longest_gap_us();
        match gone_us(before, shown) {
            None => (self.now, Some(0)),
            Some(gone_us) if gone_us > longest_us.into() && !self.has_jumped => {
                (self.now.plus_us(longest_us), Some(longest_us))
            }
            Some(gone_us) => (Instant::from_micros(self.now.as_micros().saturating_add(gone_us)), None),
        }
    }

    /// Returns what the clock shows at this time, unless it jumps before.
    pub(super) fn on_clock(&self, at: Instant) -> Instant {
        if self.offset == 0 {
            return at;
        }
        let (now, at) = (self.now.as_micros(), at.as_micros());
        let shown = now.wrapping_add(self.offset);
        let at = if at < now { shown.saturating_sub(now - at) } else { shown.saturating_add(at - now) };
        Instant::from_micros(at)
    }
}

/// Returns how far the clock went on from one call to the next; `None` if it went back.
fn gone_us(before: Instant, shown: Instant) -> Option<u64> {
    let (before, shown) = (before.as_micros(), shown.as_micros());
    match (shown.checked_sub(before), u32::try_from(before), u32::try_from(shown)) {
        (Some(gone), ..) => Some(gone),
        // A counter of 32 bits that has wrapped goes on by less than half its range; else it is a clock of more bits that went back.
        (None, Ok(before), Ok(shown)) => {
            Some(shown.wrapping_sub(before).into()).filter(|gone| *gone <= u64::from(u32::MAX / 2))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::ids::ChannelId;

    const HOUR_US: u64 = 3_600_000_000;

    fn config() -> Settings {
        Settings::new(ChannelId::A, &Config { nonce: 1, ..Config::DEFAULT })
    }

    fn jumps(time: &Time, shown: u64) -> bool {
        time.look(Instant::from_micros(shown), &config()).1.is_some()
    }

    fn read(time: &mut Time, shown: u64) -> u64 {
        time.read(Instant::from_micros(shown), &config()).0.as_micros()
    }

    #[test]
    fn it_is_what_the_clock_shows_until_that_jumps() {
        let mut time = Time::default();
        for shown in [HOUR_US, HOUR_US, HOUR_US + 7, HOUR_US + 199_000] {
            assert!(!jumps(&time, shown));
            assert_eq!(read(&mut time, shown), shown);
            assert_eq!(time.on_clock(Instant::from_micros(shown + 5)).as_micros(), shown + 5);
        }
    }

    #[test]
    fn a_jump_ahead_is_a_gap_and_a_jump_back_is_none() {
        let mut time = Time::default();
        let gap = u64::from(config().longest_gap_us());
        let before = read(&mut time, 5 * HOUR_US);
        assert!(jumps(&time, 9 * HOUR_US));
        assert_eq!(read(&mut time, 9 * HOUR_US), before + gap);
        assert!(jumps(&time, 2 * HOUR_US));
        assert_eq!(read(&mut time, 2 * HOUR_US), before + gap, "it stands still");
        assert_eq!(read(&mut time, 2 * HOUR_US + 3), before + gap + 3);
        // What it waits for is there as long after the jump as before.
        let at = Instant::from_micros(before + gap + 1_003);
        assert_eq!(time.on_clock(at).as_micros(), 2 * HOUR_US + 1_003);
        assert_eq!(time.on_clock(Instant::from_micros(before)).as_micros(), 2 * HOUR_US + 3 - gap - 3);
    }

    /// A clock that is younger than a counter of 32 bits runs for.
    #[test]
    fn a_young_clock_may_go_back_as_well() {
        let mut time = Time::default();
        let before = read(&mut time, 10_000_000);
        for shown in [9_999_999, 9_000_000, 5] {
            assert!(jumps(&time, shown));
            assert_eq!(read(&mut time, shown), before, "it stands still");
        }
    }

    #[test]
    fn a_counter_of_32_bits_goes_on_as_it_wraps() {
        let mut time = Time::default();
        let last = u64::from(u32::MAX) - 10;
        read(&mut time, last);
        assert!(!jumps(&time, 20));
        assert_eq!(read(&mut time, 20), last + 31);
        assert_eq!(time.on_clock(Instant::from_micros(last + 40)).as_micros(), 29);
    }

    #[test]
    fn it_may_jump_once_in_a_cycle() {
        let gap = u64::from(config().longest_gap_us());
        let mut time = Time::default();
        let mut own = read(&mut time, HOUR_US);
        for (shown, passes) in [(2, gap), (3, HOUR_US), (4, HOUR_US)] {
            let now = read(&mut time, shown * HOUR_US);
            assert_eq!(now - own, passes, "at {shown} hours");
            own = now;
        }
        time.cycle_ends();
        assert_eq!(read(&mut time, 5 * HOUR_US) - own, gap);
    }
}
