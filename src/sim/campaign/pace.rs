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
        let scrub = shape.blocks.div_ceil(u32::from(config.scrub_blocks).max(1));
        let copy = shape.copy_cycles.unwrap_or_default();
        let helped_in = LEAST_HELPED_IN.max(2 * copy + LEAST_HELPED_IN / 2);
        Self {
            period_us: config.period_us.into(),
            link_delay_us: config.link_delay_us.into(),
            watch: scrub + 3,
            helped_in,
            given_up_in: 3 * helped_in,
            on_probation: 8 * (u32::from(config.probation_cycles) + 2),
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
