//! A campaign on the command line: a program's own `main` is one line.

use super::plan::Shard;
use super::results::{Results, ResultsError};
use super::{Campaign, UnknownClass, chart, junit, mechanisms};
use crate::mechanism::Mechanism;
use crate::program::Program;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::prelude::v1::*;
use std::process::ExitCode;
use std::time::Instant;
use std::{eprintln, print, println};

const MOST_CYCLES: u64 = 1_000_000_000_000;

/// Files that results are written to.
#[derive(Args, Clone, Debug, Default)]
pub struct Output {
    /// Write the counts here, to be looked at or merged
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the table here
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write a JUnit report here, with a case for each class of faults
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// What a campaign is asked for.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Control cycles to be simulated, over all shards; 200,000 if the program says nothing else
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MOST_CYCLES))]
    pub cycles: Option<u64>,
    /// Begin no more once this time is up; how many cycles that came to is printed with the seed, to repeat them.
    /// So many are run in any case that every class of faults comes
    #[arg(long, value_name = "S", conflicts_with_all = ["cycles", "shard", "replay"],
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub seconds: Option<u32>,
    /// Draws every injection; the same seed replays it; 1 if the program says nothing else
    #[arg(long)]
    pub seed: Option<u64>,
    /// Draw a seed, and print it first
    #[arg(long, conflicts_with_all = ["seed", "shard", "replay"])]
    pub fresh: bool,
    /// Do only the I-th of N shares
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Threads; all cores if not given
    #[arg(long)]
    pub jobs: Option<usize>,
    /// What is written.
    #[command(flatten)]
    pub output: Output,
    /// Negative control: switch this mechanism off; the claims must fail
    #[arg(long, value_name = "MECHANISM", value_parser = mechanisms::named)]
    pub off: Option<Mechanism>,
    /// Switch each mechanism off in turn as well, until a claim fails
    #[arg(long, conflicts_with_all = ["off", "shard", "seconds"])]
    pub controls: bool,
    /// Inject nothing of this class, by its name in the table; may be given several times
    #[arg(long, value_name = "CLASS", value_parser = known)]
    pub without: Vec<String>,
    /// Do only this injection, after those before it in its episode, and print what both channels did
    #[arg(long, value_name = "INDEX")]
    pub replay: Option<u64>,
}

/// What shards are merged into.
#[derive(Args, Clone, Debug)]
pub struct MergeOptions {
    /// The files that `--json` wrote
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// What is written.
    #[command(flatten)]
    pub output: Output,
}

/// A fault campaign over a program: thousands of injections into pairs of it, each classified by what became of it.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Add up the shards of a campaign
    Merge(MergeOptions),
}

impl<P: Program + 'static> Campaign<P> {
    /// Runs what the command line asks for: the campaign with its options, or `merge` of its shards. What an option says replaces what
    /// the program said. Exits with 0 if every claim held, with 1 if one failed, and with 2 if there is no result.
    ///
    /// ```no_run
    /// # use twinstep::sim::Campaign;
    /// # use twinstep::{Agreement, ChannelId, Config, Cycle, Program, Tracked};
    /// # struct Heater;
    /// # impl Program for Heater {
    /// #     type Input = u8;
    /// #     type Output = u32;
    /// #     type State = u32;
    /// #     const SAFE: u32 = 0;
    /// #     const VERSION: u32 = 1;
    /// #     const BUILD: twinstep::Build = twinstep::Build::new(1);
    /// #     fn agree(a: &u8, b: &u8) -> Agreement<u8> { Agreement::on(*a.max(b)) }
    /// #     fn step(_: Cycle, _: &mut Tracked<u32>, input: &u8) -> u32 { u32::from(*input) }
    /// # }
    /// fn main() -> std::process::ExitCode {
    ///     let sensor = |seed: u64| move |_: ChannelId, cycle: Cycle| (u64::from(cycle.0) ^ seed) as u8;
    ///     Campaign::<Heater>::new(Config::DEFAULT, sensor).main()
    /// }
    /// ```
    pub fn main(self) -> ExitCode {
        let cli = Cli::parse();
        let own = std::env::args().next().unwrap_or_default();
        let command = self.command.clone().unwrap_or(own);
        let result = match &cli.command {
            Some(Command::Merge(options)) => options.merge(),
            None => cli.options.run(self.command(&command)),
        };
        match result {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(2)
            }
        }
    }
}

impl Options {
    /// Runs a campaign with these options, and shows on the way how far it is; returns whether every claim held.
    ///
    /// # Errors
    /// [`ResultsError`], if a file cannot be written.
    pub fn run<P: Program + 'static>(&self, campaign: Campaign<P>) -> Result<bool, ResultsError> {
        let campaign = self.apply(campaign);
        if let Some(index) = self.replay {
            let replay = campaign.replay(index);
            replay.print();
            return Ok(replay.kept == Some(true));
        }
        let (bar, began) = (self.bar(campaign.plan.cycles, campaign.plan.shard), Instant::now());
        let results = campaign.run_with(&|cycles| {
            bar.set_position(if self.seconds.is_some() { began.elapsed().as_secs() } else { cycles });
        });
        bar.finish_and_clear();
        present(&results, &self.output)
    }

    fn apply<P: Program + 'static>(&self, campaign: Campaign<P>) -> Campaign<P> {
        let mut campaign = campaign;
        if let Some(seed) = self.seed {
            campaign = campaign.seed(seed);
        }
        if self.fresh {
            let seed = u64::from(fastrand::u32(..)); // short, since it may be copied by hand
            println!("drawn: --seed {seed}"); // at once: the run may be ended before it has a result
            campaign = campaign.seed(seed);
        }
        if let Some(Shard { number, of }) = self.shard {
            campaign = campaign.shard(number, of);
        }
        if let Some(cycles) = self.cycles {
            campaign = campaign.cycles(cycles);
        }
        if let Some(seconds) = self.seconds {
            campaign = campaign.seconds(seconds);
        }
        if let Some(mechanism) = self.off {
            campaign = campaign.off(mechanism);
        }
        if self.controls {
            campaign = campaign.controls();
        }
        if let Some(jobs) = self.jobs {
            campaign = campaign.threads(jobs);
        }
        for class in &self.without {
            campaign.plan.without.add(super::without::named(class).unwrap_or(usize::MAX)); // `known` has looked
        }
        campaign
    }

    fn bar(&self, cycles: u64, shard: Shard) -> indicatif::ProgressBar {
        let (length, template) = match self.seconds {
            Some(seconds) => (seconds.into(), "  campaign [{bar:40}] {pos} of {len} seconds"),
            None => {
                let of_shard = cycles / u64::from(shard.of.max(1));
                (of_shard, "  campaign [{bar:40}] cycle {pos}/{len}, {elapsed}, {eta} to go")
            }
        };
        let bar = indicatif::ProgressBar::new(length);
        if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }
}

impl MergeOptions {
    /// Adds shards up; returns whether every claim held.
    ///
    /// # Errors
    /// [`ResultsError`], if a file cannot be read or written, or the shards do not belong together.
    pub fn merge(&self) -> Result<bool, ResultsError> {
        present(&Results::read(&self.files)?, &self.output)
    }
}

fn present(results: &Results, Output { json, svg, junit }: &Output) -> Result<bool, ResultsError> {
    print!("{results}");
    if let Some(why) = &results.unfit {
        return Err(ResultsError::Unfit(why.clone()));
    }
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

/// Checks the name of a class.
fn known(class: &str) -> Result<String, UnknownClass> {
    super::without::named(class).map(|_| class.trim().to_owned())
}
