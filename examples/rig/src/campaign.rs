//! The fault campaign on the command line: `twinstep`'s campaign over a program of ours.

mod program;
#[cfg(test)]
mod tests;

pub(crate) use twinstep::sim::campaign::{Class, Outcome, Results, Row, columns, never_seen_bound};

use crate::run::Progress;
use anyhow::Result;
use clap::Args;
use program::{Mill, MillV2, sensor};
use std::path::{Path, PathBuf};
use twinstep::sim::campaign::{Shard, chart, junit, mechanisms};
use twinstep::sim::{Campaign, LineModel};
use twinstep::{Config, Mechanism};

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
    /// Write a JUnit report here, with a case for each class of faults
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Negative control: switch this mechanism off; the claims must fail
    #[arg(long, value_name = "MECHANISM", value_parser = mechanisms::named)]
    off: Option<Mechanism>,
    /// Inject nothing of this class, by its name in the table; may be given several times
    #[arg(long, value_name = "CLASS", value_parser = known)]
    without: Vec<String>,
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
    /// Write a JUnit report here, with a case for each class of faults
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs a campaign; returns whether every claim held.
pub(crate) fn run(options: &Options) -> Result<bool> {
    // Short, since it may be copied by hand.
    let seed = if options.fresh { u64::from(fastrand::u32(..)) } else { options.seed };
    if options.fresh {
        println!("drawn: --seed {seed}"); // at once: the run may be ended before it has a result
    }
    let campaign = campaign(options, seed)?;
    if let Some(index) = options.replay {
        let replay = campaign.replay(index);
        replay.print();
        return Ok(replay.kept == Some(true));
    }
    let of_shard = options.cycles / u64::from(options.shard.of);
    let progress = match options.seconds {
        Some(seconds) => Progress::of_seconds("campaign", seconds),
        None => Progress::new("campaign", u32::try_from(of_shard).unwrap_or(u32::MAX)),
    };
    let began = std::time::Instant::now();
    let results = campaign.run_with(&|cycles| {
        let so_far = if options.seconds.is_some() { began.elapsed().as_secs() } else { cycles };
        progress.at(u32::try_from(so_far).unwrap_or(u32::MAX));
    });
    drop(progress);
    present(&results, options.json.as_deref(), options.svg.as_deref(), options.junit.as_deref())
}

fn campaign(options: &Options, seed: u64) -> Result<Campaign<Mill>> {
    let Shard { number, of } = options.shard;
    let mut campaign = mill(seed).shard(number, of).cycles(options.cycles);
    if let Some(seconds) = options.seconds {
        campaign = campaign.seconds(seconds);
    }
    if let Some(mechanism) = options.off {
        campaign = campaign.off(mechanism);
    }
    if let Some(jobs) = options.jobs {
        campaign = campaign.threads(jobs);
    }
    for class in &options.without {
        campaign = campaign.without(class)?;
    }
    Ok(campaign)
}

/// The campaign of the mill, whose configurations are drawn.
fn mill(seed: u64) -> Campaign<Mill> {
    let config = Config {
        period_us: 20_000,
        vote_window_us: 14_000,
        retransmit_us: 2_500,
        hello_us: 10_000,
        link_delay_us: 1_000,
        scrub_blocks: 8,
        copy_blocks: 8,
        copy_limit_ms: 4_000, // 200 cycles
        probation_cycles: 3,
        // Injections come far more often than faults do: each is forgotten before the next.
        transient_leak_ms: 60,
        ..Config::DEFAULT
    };
    // At 921600 baud a sample's frame takes a quarter of a millisecond; the rest passes until it is seen. Slower lines
    // do as well, but at the boots the channels then wait for their UART, and no frame of an older epoch comes.
    let line = LineModel { baud: 921_600, latency_us: config.link_delay_us * 3 / 4, ..LineModel::UART_115200 };
    Campaign::<Mill>::new(config, sensor)
        .line(line)
        .vary(|rng, setup| setup.config.patience = rng.u8(0..3))
        .successor::<MillV2>()
        .seed(seed)
        .command("cargo rig campaign")
}

/// Checks the name of a class.
fn known(class: &str) -> Result<String, twinstep::sim::campaign::UnknownClass> {
    mill(0).without(class).map(|_| class.trim().to_owned())
}

/// Adds shards up; returns whether every claim held.
pub(crate) fn merge(options: &MergeOptions) -> Result<bool> {
    let results = Results::read(&options.files)?;
    present(&results, options.json.as_deref(), options.svg.as_deref(), options.junit.as_deref())
}

fn present(results: &Results, json: Option<&Path>, svg: Option<&Path>, junit: Option<&Path>) -> Result<bool> {
    print!("{results}");
    if let Some(path) = json {
        results.write(path)?;
    }
    if let Some(path) = svg {
        chart::write(results, path)?;
    }
    if let Some(path) = junit {
        junit::write(results, path)?;
    }
    Ok(results.passed())
}
