//! Time: the channel's own time, which is the user's clock without its jumps.
//!
//! Everything in a node waits and ages by this time. It never goes back, and between two calls it goes on by at most the longest gap
//! that a configuration gives cause for. So a clock that jumps by hours, either way, ends no wait early and prolongs none: a channel
//! whose clock has jumped is one that was not polled for a while. A counter of 32 bits that wraps goes on.

use super::settings::Settings;
use crate::ids::Instant;

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "sim", derive(Hash))]
pub(super) struct Time {
    now: Instant,
    /// What the clock shows more than that, modulo 2^64.
    offset: u64,
    is_running: bool,
}

impl Time {
    /// Takes what the clock shows; returns the channel's own time, and whether the clock went back, or on by more than any gap.
    #[inline(never)]
    pub(super) fn read(&mut self, shown: Instant, config: &Settings) -> (Instant, bool) {
        let now = Instant::from_micros(shown.as_micros().wrapping_sub(self.offset));
        let gone_us = now.as_micros().wrapping_sub(self.now.as_micros());
        // Nearly always.
        if gone_us <= config.period_us().into() && self.is_running {
            self.now = now;
            return (now, false);
        }
        self.read_far(shown, config)
    }

    #[cold]
    #[inline(never)]
    fn read_far(&mut self, shown: Instant, config: &Settings) -> (Instant, bool) {
        let (now, jumps) = self.look(shown, config);
        *self = Self { now, offset: shown.as_micros().wrapping_sub(now.as_micros()), is_running: true };
        (now, jumps)
    }

    /// Returns the channel's own time when the clock shows this.
    pub(super) fn at(&self, shown: Instant, config: &Settings) -> Instant {
        self.look(shown, config).0
    }

    fn look(&self, shown: Instant, config: &Settings) -> (Instant, bool) {
        if !self.is_running {
            return (shown, false);
        }
        let before = Instant::from_micros(self.now.as_micros().wrapping_add(self.offset));
        let (gone_us, longest_us) = (gone_us(before, shown), config.longest_gap_us());
        let is_back = gone_us == 0 && shown < before;
        (self.now.plus_us(gone_us.min(longest_us.into()) as u32), is_back || gone_us > longest_us.into())
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

/// Returns how far the clock went on from one call to the next; 0 if it went back.
fn gone_us(before: Instant, shown: Instant) -> u64 {
    let (before, shown) = (before.as_micros(), shown.as_micros());
    match (shown.checked_sub(before), u32::try_from(before), u32::try_from(shown)) {
        (Some(gone), ..) => gone,
        // A counter of 32 bits that has wrapped, or a clock that went back: then it is no small step in most cases, and in the others it
        // does no harm.
        (None, Ok(before), Ok(shown)) => u64::from(shown.wrapping_sub(before)),
        _ => 0,
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
        time.look(Instant::from_micros(shown), &config()).1
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

    #[test]
    fn a_counter_of_32_bits_goes_on_as_it_wraps() {
        let mut time = Time::default();
        let last = u64::from(u32::MAX) - 10;
        read(&mut time, last);
        assert!(!jumps(&time, 20));
        assert_eq!(read(&mut time, 20), last + 31);
        assert_eq!(time.on_clock(Instant::from_micros(last + 40)).as_micros(), 29);
    }
}
