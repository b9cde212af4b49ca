//! Runs the episodes of a shard on all cores, all of them or until the time is up.

use super::done::{After, Done};
use super::tally::Tally;
use std::prelude::v1::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Episodes that are run whatever the time: in so many every class comes, so that no claim depends on the clock.
pub(super) const LEAST_EPISODES: u64 = 120;

/// Who is told of each injection; `false` ends the episode.
pub(super) type Told<'t> = &'t mut dyn FnMut(&Done, After) -> bool;

/// What the workers share.
pub(super) struct Work<'w> {
    /// Returns an episode by its place in the shard, as long as there are some.
    pub(super) of_shard: &'w (dyn Fn(u64) -> Option<u64> + Sync),
    /// Runs one; returns its cycles.
    pub(super) episode: &'w (dyn Fn(u64, Told<'_>) -> Result<u64, String> + Sync),
    /// No more are begun after that.
    pub(super) until: Option<Instant>,
    /// Ends it early, by what one worker has counted.
    pub(super) is_enough: &'w (dyn Fn(&Tally) -> bool + Sync),
    /// Told how many cycles were simulated so far.
    pub(super) progress: &'w (dyn Fn(u64) + Sync),
}

/// Runs the work with so many threads. Who does which episode makes no difference to the sums. The episodes that are run are the
/// first ones, without a gap: a plan of just so many is the same.
pub(super) fn run(work: &Work<'_>, threads: usize) -> Result<Tally, String> {
    let (next, cycles, has_failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let is_over = || work.until.is_some_and(|until| Instant::now() >= until) && next.load(Relaxed) >= LEAST_EPISODES;
    let body = || -> Result<Tally, String> {
        let mut tally = Tally::default();
        // Whoever takes a number does it: else there would be gaps.
        while !is_over()
            && !has_failed.load(Relaxed)
            && !(work.is_enough)(&tally)
            && let Some(number) = (work.of_shard)(next.fetch_add(1, Relaxed))
        {
            let simulated = (work.episode)(number, &mut |done, after| {
                tally.count(done);
                after.broken.iter().for_each(|broken| tally.found_broken(broken.invariant));
                after.panic.iter().for_each(|what| tally.panicked(what));
                true
            });
            let simulated = simulated.inspect_err(|_| has_failed.store(true, Relaxed))?;
            (tally.cycles, tally.episodes) = (tally.cycles + simulated, tally.episodes + 1);
            (work.progress)(cycles.fetch_add(simulated, Relaxed) + simulated);
        }
        Ok(tally)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(body)).collect();
        let mut sum = Tally::default();
        for worker in workers {
            sum.add(&worker.join().map_err(|_| "a worker panicked".to_owned())??);
        }
        Ok(sum)
    })
}
