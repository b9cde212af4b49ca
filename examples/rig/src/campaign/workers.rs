//! Runs the episodes of a shard on all cores.

use super::episode;
use super::plan::Plan;
use super::tally::Tally;
use crate::run::Progress;
use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs the plan with so many threads. Who does which episode makes no difference to the sums.
pub(crate) fn run(plan: &Plan, threads: usize, progress: &Progress) -> Result<Tally> {
    let episodes: Vec<u64> = plan.of_shard().collect();
    let (next, cycles) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> Result<Tally> {
        let mut tally = Tally::default();
        while let Some(number) = episodes.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            let simulated = episode::run(plan, *number, None, |done, _| {
                tally.count(done);
                true
            })?;
            (tally.cycles, tally.episodes) = (tally.cycles + simulated, tally.episodes + 1);
            let so_far = cycles.fetch_add(simulated, Ordering::Relaxed) + simulated;
            progress.at(u32::try_from(so_far).unwrap_or(u32::MAX));
        }
        Ok(tally)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut sum = Tally::default();
        for worker in workers {
            sum.add(&worker.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(sum)
    })
}
