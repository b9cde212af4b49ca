//! The rig: boots two boards, carries their link, plays plant and output relay, injects
//! faults and judges every output. Exits 0 only when every claim of the scenario held.

// Pairs of things are indexed by a channel, which is 0 or 1.
#![allow(clippy::indexing_slicing)]

mod board;
mod budget;
mod campaign;
mod chart;
mod congruence;
mod counts;
mod cross_link;
mod debugger;
mod dualcore;
mod emulate;
mod engine;
mod firmware;
mod frames;
mod fuzz;
mod instructions;
mod journal;
mod judge;
mod log;
mod measure;
mod plant;
mod plant_side;
mod process;
mod provision;
mod qtest;
mod ram;
mod readme;
mod real_time;
mod record;
mod relay;
mod report;
mod rot;
mod rounds;
mod run;
mod scenario;
mod seu;
mod side_by_side;
mod simulate;
mod size;
mod stack;
mod strike;
mod tether;
mod timeline;
mod trace;
mod upgrade;
mod weather;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use engine::Pace;
use firmware::{Bins, Images, Toolchain};
use run::{Outcome, Progress};
use scenario::{Kind, Plan};
use seu::Aim;
use std::path::PathBuf;
use std::process::ExitCode;
use twinstep::sim::LineModel;
use twinstep::sim::campaign::cli;

/// Two boards of the heated tank under faults, judged at the plant.
#[derive(Parser)]
#[command(name = "cargo rig", bin_name = "cargo rig")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kill the board that drives in the middle of a cycle: no output goes missing
    Failover(Options),
    /// Flip, lose and repeat bytes on the cross link: nothing wrong, no false takeover
    Noise(Options),
    /// Cut the cross link with both boards alive: one goes on, never two
    Partition(Options),
    /// Kill, restart and copy ten times, the boards by turns: the outputs never stop
    Rejoin(Options),
    /// Flip bits in the memory of running boards: each one found and mended
    Rot(Options),
    /// Flip bits anywhere in the memory of running boards: nothing wrong is driven, whatever the boards do
    Seu {
        /// Bits to be flipped
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        flips: u32,
        /// In place of memory, hit a board's processor so often: a bit of a register, of the program counter or of the
        /// status register is flipped, or an instruction skipped, anywhere in library and program
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        registers: Option<u32>,
        /// In place of memory, skip each instruction from the peer's vote to the actuator, one after the other
        #[arg(long, conflicts_with = "registers")]
        every_instruction: bool,
        /// Only this share of the instructions, I/N
        #[arg(long, value_name = "I/N", requires = "every_instruction", value_parser = shard)]
        shard: Option<(u32, u32)>,
        /// Run up to this fault, and show what both boards noted from then on
        #[arg(long, value_name = "FAULT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        replay: Option<u32>,
        #[command(flatten)]
        options: Options,
    },
    /// Upgrade both boards to a new version, one at a time, tried beside the old one: the outputs never stop
    Upgrade(Options),
    /// Go back from a new version that is wrong, or not wanted: nothing wrong is driven
    Rollback(Options),
    /// Kill each half in each step of an upgrade: the other one goes on, and there is a way on or back
    UpgradeFaults {
        /// Only this row of the table
        #[arg(long, value_name = "ROW", value_parser = clap::value_parser!(u32).range(1..=16))]
        only: Option<u32>,
        #[command(flatten)]
        options: Options,
    },
    /// Stop each of a chip's two cores dead, bring it back, and flip bits in their memory: the outputs never stop
    Dualcore(Options),
    /// All scenarios, one after the other
    All(Options),
    /// Inject thousands of faults of every class into simulated pairs, and classify what becomes of each
    Campaign(cli::Options),
    /// Inject the same plan of faults into simulated pairs and into emulated boards, and set the outcomes side by side
    SideBySide(side_by_side::Options),
    /// Add up the shards of a campaign
    Merge(cli::MergeOptions),
    /// Show what both channels wrote into a journal file, as a table and a timeline
    Journal {
        /// The file, as `--journal` of a scenario writes it
        file: PathBuf,
        /// Draw the timeline here
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Check that no panic is left in the release firmware, and that the check finds one
    PanicFree,
    /// Count the instructions of writes and commits on a Cortex-M3 and on the host, and hold them to the budgets
    Measure {
        /// Write the figures and claims here
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Weigh the library: flash, memory and stack of a small firmware with it and without it, held to the budgets
    Size {
        /// Write the figures and claims here
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Compare the digests of a hundred thousand cycles on this host, Cortex-M3, Cortex-M33 and RISC-V
    Congruence {
        /// Write the digests and claims here
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Rewrite the README's tables from the recordings of the commands
    Readme(readme::Options),
    /// Run the fuzz targets for a while each, from their committed corpus
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 20)]
        seconds: u32,
        /// Only this one
        #[arg(value_parser = fuzz::TARGETS)]
        target: Option<String>,
    },
    /// Run cargo for a target without an operating system: `cargo rig thumb build --release`
    Thumb {
        /// The target, if not that of the boards
        #[arg(long, default_value = firmware::BOARD, value_parser = firmware::TARGETS)]
        target: String,
        /// Arguments for cargo
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
}

#[derive(Args, Clone)]
struct Options {
    /// Draws every moment and every fault of the run; the same seed replays it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw a seed, and print it before the run
    #[arg(long, conflicts_with = "seed")]
    fresh: bool,
    /// Control cycles that must reach the plant
    #[arg(long, default_value_t = 420, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    cycles: u32,
    /// Run on the simulated pair, without QEMU, with a line of its own
    #[arg(long, conflicts_with_all = ["real_time", "mhz", "baud", "fifo", "latency_us"])]
    sim: bool,
    /// Write the figures and claims here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the timeline here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the events of both channels here, for `cargo rig journal`
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Instructions that a board executes in a microsecond
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    mhz: u32,
    /// Bits a second on the cross link
    #[arg(long, default_value_t = 115_200, value_parser = clap::value_parser!(u32).range(300..=100_000_000))]
    baud: u32,
    /// Bytes that a board's UART takes before its sender has to wait
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_000))]
    fifo: u32,
    /// Time from a byte's last bit until the other board has it, in microseconds
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    latency_us: u32,
    /// `failover` by the host's clock, on boards with clocks and UARTs of their own; nothing is claimed of time
    #[arg(long, conflicts_with_all = ["mhz", "baud", "fifo", "latency_us"])]
    real_time: bool,
    /// Print the boards' decoded logs
    #[arg(long)]
    log: bool,
    /// Negative control of `partition` on boards: a relay that lets both through; the claims must fail
    #[arg(long)]
    broken_relay: bool,
    /// Negative control of `dualcore`: cores that do not look who owns as they drive; the claims must fail
    #[arg(long)]
    broken_claim: bool,
    /// Negative control of `upgrade` and `upgrade-faults`: no bootloader starts the new version; the claims must fail
    #[arg(long)]
    broken_bootloader: bool,
    /// Negative control of `rollback`: what the new version drives is not compared; the claims must fail
    #[arg(long)]
    broken_trial: bool,
}

/// Reads a share, I/N.
fn shard(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(shard, of)| Some((shard.parse().ok()?, of.parse().ok()?)));
    parts.filter(|(shard, of)| (1..=*of).contains(shard)).ok_or_else(|| "a share is I/N, from 1/N to N/N".into())
}

impl Options {
    /// The boards in virtual time, as the scenarios have them.
    fn of_boards() -> Self {
        #[derive(Parser)]
        struct Defaults {
            #[command(flatten)]
            options: Options,
        }
        Defaults::parse_from(["rig"]).options
    }

    fn pace(&self) -> Pace {
        let link = LineModel { baud: self.baud, fifo_bytes: self.fifo, latency_us: self.latency_us };
        Pace { mhz: Some(self.mhz), link, ..Pace::DEFAULT }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rig: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command; returns whether everything claimed held.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Failover(options) => run_all(&[Kind::Failover], &options),
        Command::Noise(options) => run_all(&[Kind::Noise], &options),
        Command::Partition(options) => run_all(&[Kind::Partition], &options),
        Command::Rejoin(options) => run_all(&[Kind::Rejoin], &options),
        Command::Rot(options) => run_all(&[Kind::Rot], &options),
        Command::Seu { flips, registers, every_instruction, shard, replay, options } => {
            let (shard, of) = shard.unwrap_or((1, 1));
            let aim = match registers {
                Some(_) => Aim::Registers,
                None if every_instruction => Aim::EveryInstruction { shard, of },
                None => Aim::Memory,
            };
            let flips = replay.or(registers).unwrap_or(if every_instruction { u32::MAX } else { flips });
            run_all_with(&[Kind::Seu], &options, Extent { flips, aim, replay, ..Extent::DEFAULT })
        }
        Command::Upgrade(options) => run_all(&[Kind::Upgrade], &options),
        Command::Rollback(options) => run_all(&[Kind::Rollback], &options),
        Command::UpgradeFaults { only, options } => {
            let only = only.map(|row| row as usize);
            run_all_with(&[Kind::UpgradeFaults], &options, Extent { only, ..Extent::DEFAULT })
        }
        Command::Dualcore(options) => run_all(&[Kind::Dualcore], &options),
        Command::All(options) => run_all(&Kind::ALL, &options),
        Command::Campaign(options) => campaign::run(&options),
        Command::SideBySide(options) => {
            let bench = Bench::provide(&[Kind::Rot], &Options::of_boards())?;
            let images = bench.board.context("the boards have no image")?;
            side_by_side::run(&options, &bench.qemu, &images)
        }
        Command::Merge(options) => Ok(options.merge()?),
        Command::Journal { file, svg } => journal::show(&file, svg.as_deref()).map(|()| true),
        Command::PanicFree => firmware::check_panic_free(&mut say),
        Command::Measure { json } => measure::run(json.as_deref(), &mut say),
        Command::Size { json } => size::run(json.as_deref(), &mut say),
        Command::Congruence { json } => congruence::run(json.as_deref(), &mut say),
        Command::Readme(options) => readme::run(&options, &mut say),
        Command::Fuzz { seconds, target } => fuzz::run(target.as_deref(), seconds, &mut say),
        Command::Thumb { target, arguments } => {
            Toolchain::provide(&target, &mut say)?.run_cargo(&arguments).map(|()| true)
        }
    }
}

/// Tells what the set-up is doing.
fn say(line: &str) {
    eprintln!("rig: {line}");
}

/// How much of a scenario is run.
#[derive(Clone, Copy)]
struct Extent {
    /// Bits to be flipped anywhere.
    flips: u32,
    /// What is hit.
    aim: Aim,
    /// The fault that is to be shown.
    replay: Option<u32>,
    /// The only half to be killed, by its row.
    only: Option<usize>,
}

impl Extent {
    /// Few flips: that is one scenario of several.
    const DEFAULT: Self = Self { flips: 60, aim: Aim::Memory, replay: None, only: None };
}

fn run_all(kinds: &[Kind], options: &Options) -> Result<bool> {
    run_all_with(kinds, options, Extent::DEFAULT)
}

fn run_all_with(kinds: &[Kind], options: &Options, extent: Extent) -> Result<bool> {
    let Extent { flips, aim, replay, only } = extent;
    if kinds.len() > 1 && [&options.json, &options.svg, &options.journal].iter().any(|file| file.is_some()) {
        bail!("--json, --svg and --journal belong to one scenario, not to `all`");
    }
    if options.broken_relay && (options.sim || kinds != [Kind::Partition]) {
        bail!("--broken-relay is a control of `partition` on boards: elsewhere only one board ever claims");
    }
    if options.sim && aim != Aim::Memory {
        bail!("--registers and --every-instruction are for emulated boards: --sim has no processor");
    }
    if options.sim && kinds == [Kind::Dualcore] {
        bail!("two cores of one chip are emulated only: --sim knows a link and a relay");
    }
    if options.real_time && kinds != [Kind::Failover] {
        bail!("--real-time is a smoke of `failover`: all other scenarios are judged in virtual time");
    }
    if options.broken_claim && kinds != [Kind::Dualcore] {
        bail!("--broken-claim is a control of `dualcore`: elsewhere a relay is the arbiter");
    }
    if options.broken_bootloader && !matches!(kinds, [Kind::Upgrade | Kind::UpgradeFaults]) {
        bail!(
            "--broken-bootloader is a control of `upgrade` and `upgrade-faults`: elsewhere nobody needs a new version"
        );
    }
    if options.broken_trial && kinds != [Kind::Rollback] {
        bail!("--broken-trial is a control of `rollback`: elsewhere every new version is right");
    }
    let seed = if options.fresh { fastrand::u64(1..1 << 32) } else { options.seed };
    if options.fresh {
        say(&format!("drawn: --seed {seed}"));
    }
    let bench = if options.sim { None } else { Some(Bench::provide(kinds, options)?) };
    let mut failed = Vec::new();
    for kind in kinds.iter().filter(|kind| !options.sim || **kind != Kind::Dualcore) {
        let plan = Plan {
            broken_relay: options.broken_relay,
            broken_bootloader: options.broken_bootloader,
            broken_trial: options.broken_trial,
            pace: options.pace(),
            flips,
            aim,
            only,
            ..Plan::new(*kind, seed, options.cycles)
        };
        let progress = Progress::new(kind.name(), plan.cycles);
        let outcome = match &bench {
            Some(bench) if options.real_time => bench.run_in_real_time(plan, &progress),
            Some(bench) => bench.run(plan, &progress),
            None => simulate::run(plan, &progress),
        };
        drop(progress);
        let outcome = outcome.with_context(|| format!("{} --seed {seed}", kind.name()))?;
        present(&plan, options, &outcome)?;
        if let (Some(_), Some(seu)) = (replay, &outcome.figures.seu) {
            seu.last_lines(&outcome.journal).iter().for_each(|line| println!("{line}"));
        }
        for claim in outcome.claims.iter().filter(|claim| !claim.held) {
            failed.push(format!("{} --seed {seed}: FAILED {}", kind.name(), claim.claim));
        }
    }
    // Behind all tables: a log that is cut shows its end.
    failed.iter().for_each(|line| println!("{line}"));
    Ok(failed.is_empty())
}

fn present(plan: &Plan, options: &Options, outcome: &Outcome) -> Result<()> {
    if options.log {
        for (name, lines) in ["A", "B"].iter().zip(&outcome.logs) {
            for line in lines {
                println!("{name}: {line}");
            }
        }
    }
    print!("{}", timeline::draw(&outcome.record, report::terminal_columns()));
    print!("{}", report::text(plan, outcome));
    if let Some(path) = &options.json {
        report::write_json(plan, options.sim, outcome, path)?;
    }
    if let Some(path) = &options.svg {
        chart::write_svg(&outcome.record, path)?;
    }
    if let Some(path) = &options.journal {
        journal::write(&outcome.journal, path)?;
    }
    Ok(())
}

/// What emulated runs need: QEMU and the firmware's images.
struct Bench {
    qemu: PathBuf,
    board: Option<Images>,
    cores: Option<[PathBuf; 2]>,
}

impl Bench {
    /// Finds what these scenarios need, and installs or builds what is missing.
    fn provide(kinds: &[Kind], options: &Options) -> Result<Self> {
        let mut bench = Self { qemu: provision::program("qemu-system-arm", &mut say)?, board: None, cores: None };
        if kinds.iter().any(|kind| *kind != Kind::Dualcore) {
            let toolchain = Toolchain::provide(firmware::BOARD, &mut say)?;
            say("building the firmware");
            let bins = if options.real_time {
                Bins::RealTime
            } else if kinds.iter().any(|kind| kind.upgrades()) {
                Bins::AllVersions
            } else {
                Bins::Version1
            };
            bench.board = Some(toolchain.firmware(bins)?);
        }
        if kinds.contains(&Kind::Dualcore) {
            let toolchain = Toolchain::provide(firmware::TWO_CORES, &mut say)?;
            say("building the firmware of both cores");
            bench.cores = Some(toolchain.dual_firmware(if options.broken_claim { "broken-claim" } else { "" })?);
        }
        Ok(bench)
    }

    fn run_in_real_time(&self, plan: Plan, progress: &Progress) -> Result<Outcome> {
        let images = self.board.as_ref().context("the boards have no image")?;
        real_time::run(plan, &self.qemu, &images.real_time(), progress)
    }

    fn run(&self, plan: Plan, progress: &Progress) -> Result<Outcome> {
        if plan.kind == Kind::Dualcore {
            let images = self.cores.as_ref().context("the cores have no image")?;
            return dualcore::run(plan, &self.qemu, images, progress);
        }
        emulate::run(plan, &self.qemu, self.board.as_ref().context("the boards have no image")?, progress)
    }
}
