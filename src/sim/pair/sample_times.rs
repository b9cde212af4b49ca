//! When a channel fixed its samples: no output is to come of too old a one.

use crate::config::Config;
use crate::ids::Cycle;

/// So many cycles are kept: an output is of this cycle, or of the one before.
const KEPT: usize = 4;

/// True times of the samples of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SampleTimes([(u32, u64); KEPT]);

impl SampleTimes {
    /// The sample of a cycle is of now; a channel that stands by may take a younger one.
    pub(super) fn note(&mut self, cycle: Cycle, now: u64) {
        self.0[cycle.0 as usize % KEPT] = (cycle.0, now);
    }

    /// Whether an output of a cycle comes of a sample older than `patience + 1` periods; one of the cycle before may be a period older.
    pub(super) fn is_too_old(&self, cycle: Cycle, is_overdue: bool, now: u64, config: &Config) -> bool {
        let (of, at) = self.0[cycle.0 as usize % KEPT];
        let periods = u64::from(config.patience) + 1 + u64::from(is_overdue);
        let oldest = periods * u64::from(config.period_us);
        // By the channel's own clock, which may be some percent fast or slow.
        of == cycle.0 && now.saturating_sub(at) > oldest + oldest / 16
    }
}
