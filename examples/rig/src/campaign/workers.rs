//! Runs the episodes of a shard on all cores, all of them or until the time is up.

use super::episode;
use super::plan::Plan;
use super::tally::Tally;
use crate::run::Progress;
use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Episodes that are run whatever the time: in so many every class comes, so that no claim depends on the clock.
pub(crate) const LEAST_EPISODES: u64 = 120;

/// Runs the plan with so many threads, or as much of it as is begun before `until`. Who does which episode makes no
/// difference to the sums. The episodes that are run are the first ones, without a gap: a plan of just so many is the same.
pub(crate) fn run(plan: &Plan, threads: usize, until: Option<Instant>, progress: &Progress) -> Result<Tally> {
    let (next, cycles) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let is_over = || until.is_some_and(|until| Instant::now() >= until) && next.load(Relaxed) >= LEAST_EPISODES;
    let work = || -> Result<Tally> {
        let mut tally = Tally::default();
        // Whoever takes a number does it: else there would be gaps.
        while !is_over()
            && let Some(number) = plan.of_shard(next.fetch_add(1, Relaxed))
        {
            let simulated = episode::run(plan, number, None, |done, _| {
                tally.count(done);
                true
            })?;
            (tally.cycles, tally.episodes) = (tally.cycles + simulated, tally.episodes + 1);
            let so_far = cycles.fetch_add(simulated, Relaxed) + simulated;
            let so_far = if until.is_some() { began.elapsed().as_secs() } else { so_far };
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
