//! The fault campaign: thousands of injections into simulated pairs of real nodes, each classified by what became of it.
//!
//! ```text
//! plan, fault   which fault is injected into which pair, drawn from the seed and an index
//! inject        does it
//! episode       one pair, one injection after the other, watched
//! upgrade       one injection into an upgrade, for which there is a pair of its own
//! classify      what became of an injection: a pure function of what was observed
//! tally         counts; shards add up exactly
//! claims        what must hold of the counts
//! results       the counts as a file, and files merged
//! table, chart  the counts to be looked at
//! replay        one injection again, with all that both channels noted
//! without       classes that are left out
//! ```

mod chart;
mod claims;
mod classify;
mod episode;
mod fault;
mod inject;
mod mechanisms;
mod plan;
mod program;
mod replay;
mod results;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod upgrade;
mod without;
mod workers;

pub(crate) use classify::Outcome;
pub(crate) use fault::Class;
pub(crate) use results::Results;
pub(crate) use table::columns;
pub(crate) use tally::{Row, never_seen_bound};

use crate::run::Progress;
use anyhow::Result;
use clap::Args;
use plan::{Plan, Shard};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use twinstep::Mechanism;
use without::Without;

const MOST_CYCLES: u64 = 1_000_000_000_000;

/// What a campaign is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// Control cycles to be simulated, over all shards
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=MOST_CYCLES))]
    cycles: u64,
    /// Begin no more once this time is up; how many cycles that came to is printed with the seed, to repeat them.
    /// So many are run in any case that every class of faults comes
    #[arg(long, value_name = "S", conflicts_with_all = ["cycles", "shard", "replay"],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seconds: Option<u32>,
    /// Draws every injection; the same seed replays it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw a seed, and print it first
    #[arg(long, conflicts_with_all = ["seed", "shard", "replay"])]
    fresh: bool,
    /// Do only the I-th of N shares
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,
    /// Threads; all cores if not given
    #[arg(long)]
    jobs: Option<usize>,
    /// Write the counts here, to be looked at or merged
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the table here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Negative control: switch this mechanism off; the claims must fail
    #[arg(long, value_name = "MECHANISM", value_parser = mechanisms::named)]
    off: Option<Mechanism>,
    /// Inject nothing of this class, by its name in the table; may be given several times
    #[arg(long, value_name = "CLASS", value_parser = without::named)]
    without: Vec<usize>,
    /// Do only this injection, after those before it in its episode, and print what both channels did
    #[arg(long, value_name = "INDEX")]
    replay: Option<u64>,
}

/// What shards are merged into.
#[derive(Args)]
pub(crate) struct MergeOptions {
    /// The files that `campaign --json` wrote
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the sums here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the table here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs a campaign; returns whether every claim held.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut plan = options.plan();
    if options.fresh {
        println!("drawn: --seed {}", plan.seed); // at once: the run may be ended before it has a result
    }
    if let Some(index) = options.replay {
        return replay::replay(&plan, index);
    }
    let threads = options.jobs.or_else(|| Some(std::thread::available_parallelism().ok()?.get()));
    let of_shard = plan.cycles / u64::from(plan.shard.of);
    let progress = match options.seconds {
        Some(seconds) => Progress::of_seconds("campaign", seconds),
        None => Progress::new("campaign", u32::try_from(of_shard).unwrap_or(u32::MAX)),
    };
    let until = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    // Panics are counted; where they came from is seen when one is replayed.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let tally = workers::run(&plan, threads.unwrap_or(1), until, &progress);
    std::panic::set_hook(hook);
    drop(progress);
    let tally = tally?;
    if until.is_some() {
        plan = plan.of_episodes(tally.episodes);
    }
    present(&Results::new(&plan, tally), options.json.as_deref(), options.svg.as_deref())
}

impl Options {
    fn plan(&self) -> Plan {
        let Self { shard, off, .. } = *self;
        // Short, since it may be copied by hand.
        let seed = if self.fresh { u64::from(fastrand::u32(..)) } else { self.seed };
        let cycles = if self.seconds.is_some() { MOST_CYCLES } else { self.cycles };
        Plan { seed, cycles, shard, off, without: Without::classes(&self.without) }
    }
}

/// Adds shards up; returns whether every claim held.
pub(crate) fn merge(options: &MergeOptions) -> Result<bool> {
    present(&Results::read(&options.files)?, options.json.as_deref(), options.svg.as_deref())
}

fn present(results: &Results, json: Option<&Path>, svg: Option<&Path>) -> Result<bool> {
    print!("{}", table::text(results));
    if let Some(path) = json {
        results.write(path)?;
    }
    if let Some(path) = svg {
        chart::write_svg(results, path)?;
    }
    Ok(results.claims().iter().all(|claim| claim.held))
}
