//! How long things take for one configuration and one program, from which a campaign knows how long to wait.

use super::shape::Shape;
use crate::config::Config;

/// Times and numbers of cycles of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The period, in microseconds.
    pub period_us: u64,
    /// What a frame takes by the configuration, in microseconds.
    pub link_delay_us: u64,
    /// Periods in which all memory is scrubbed, and some more: after an injection it is watched for that long at least.
    pub watch: u32,
    /// Periods after which whoever is not in duplex is restarted by hand.
    pub helped_in: u32,
    /// Periods after which nobody waits any more.
    pub given_up_in: u32,
    /// Eighths of periods that a channel that has joined is on probation for, and some more.
    pub on_probation: u32,
    /// Cycles after which an episode begins no more injections.
    pub episode_cycles: u64,
    /// Bytes that a channel sends in a cycle: a sample and a vote, some of it again.
    pub cycle_bytes: u64,
}

impl Pace {
    /// Works them out.
    pub fn new(config: &Config, shape: &Shape) -> Self {
        let scrub = shape.scrub_cycles(config);
        // A copy that never ends is given up by the pair itself.
        let copy = shape.copy_cycles(config).unwrap_or(MOST_COPY);
        let (patience, probation) = (u32::from(config.patience), u32::from(config.probation_cycles) + 2);
        let watch = scrub + 3;
        let helped_in = LEAST_HELPED_IN.max(2 * copy + LEAST_HELPED_IN / 2).max(2 * (patience + 3));
        Self {
            period_us: config.period_us.into(),
            link_delay_us: config.link_delay_us.into(),
            watch,
            helped_in,
            given_up_in: (3 * helped_in).max(watch + helped_in).max(probation + helped_in),
            on_probation: 8 * probation,
            episode_cycles: (u64::from(helped_in) * 25 / 2).max(8 * u64::from(scrub)),
            cycle_bytes: shape.exchange_bytes * 5 / 3,
        }
    }

    /// Within that time from the start of a cycle votes are exchanged: a sample, a vote, and some more should the votes differ.
    pub fn exchange_us(&self) -> u64 {
        4 * self.link_delay_us
    }
}

/// Periods in which a small state is copied many times over.
const LEAST_HELPED_IN: u32 = 40;
/// Cycles of a copy that goes on for ever, for which nobody waits.
const MOST_COPY: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_waits_long_enough() {
        for (blocks, scrub_blocks, copy_blocks) in [(1, 1, 4), (16, 8, 8), (1_000, 4, 64), (4_000, 4, 200), (60, 60, 1)]
        {
            for (patience, probation_cycles) in [(0, 8), (255, 0), (3, 500)] {
                let config = Config { scrub_blocks, copy_blocks, patience, probation_cycles, ..Config::DEFAULT };
                let shape = Shape { blocks, dirty_in_eight: 8, ..Shape::default() };
                let pace = Pace::new(&config, &shape);
                assert!(pace.given_up_in > pace.watch, "{pace:?}");
                assert!(8 * pace.given_up_in > pace.on_probation, "{pace:?}");
                assert!(pace.given_up_in > u32::from(patience) + 3, "an outage that is too long is seen: {pace:?}");
                assert!(pace.episode_cycles > u64::from(pace.watch), "{pace:?}");
            }
        }
    }
}
