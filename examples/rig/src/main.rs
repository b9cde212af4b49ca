//! The rig: boots two boards, carries their link, plays plant and output relay, injects
//! faults and judges every output. Exits 0 only when every claim of the scenario held.

mod board;
mod chart;
mod cross_link;
mod emulate;
mod frames;
mod judge;
mod log;
mod plant;
mod plant_side;
mod provision;
mod record;
mod relay;
mod report;
mod run;
mod scenario;
mod simulate;
mod timeline;
mod weather;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use run::{Outcome, Progress};
use scenario::{Kind, Plan};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Two boards of the heated tank under faults, judged at the plant.
#[derive(Parser)]
#[command(name = "cargo rig", bin_name = "cargo rig")]
struct Cli {
    #[command(subcommand)]
    command: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Kill the board that drives in the middle of a cycle: no output goes missing
    Failover(Options),
    /// Flip, lose and repeat bytes on the cross link: nothing wrong, no false takeover
    Noise(Options),
    /// Cut the cross link with both boards alive: one goes on, never two
    Partition(Options),
    /// All scenarios, one after the other
    All(Options),
}

#[derive(Args, Clone)]
struct Options {
    /// Draws every moment and every fault of the run; the same seed replays it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Control cycles that must reach the plant
    #[arg(long, default_value_t = 420, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    cycles: u32,
    /// Run on the simulated pair, without QEMU
    #[arg(long)]
    sim: bool,
    /// Write the figures and claims here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the timeline here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the boards' decoded logs
    #[arg(long)]
    log: bool,
    /// Negative control: a relay that lets both boards through; the claims must fail
    #[arg(long)]
    broken_relay: bool,
}

fn main() -> ExitCode {
    let (kinds, options) = match Cli::parse().command {
        Scenario::Failover(options) => (vec![Kind::Failover], options),
        Scenario::Noise(options) => (vec![Kind::Noise], options),
        Scenario::Partition(options) => (vec![Kind::Partition], options),
        Scenario::All(options) => (Kind::ALL.to_vec(), options),
    };
    match run_all(&kinds, &options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rig: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run_all(kinds: &[Kind], options: &Options) -> Result<bool> {
    if kinds.len() > 1 && (options.json.is_some() || options.svg.is_some()) {
        bail!("--json and --svg belong to one scenario, not to `all`");
    }
    let bench = if options.sim { None } else { Some(Bench::provide()?) };
    let mut passed = true;
    for kind in kinds {
        let plan = Plan { broken_relay: options.broken_relay, ..Plan::new(*kind, options.seed, options.cycles) };
        let progress = Progress::new(kind.name(), plan.cycles);
        let outcome = match &bench {
            Some(bench) => emulate::run(plan, &bench.qemu, &bench.image, &progress),
            None => simulate::run(plan, &progress),
        };
        drop(progress);
        let outcome = outcome.with_context(|| format!("{} --seed {}", kind.name(), options.seed))?;
        present(&plan, options, &outcome)?;
        passed &= outcome.passed();
    }
    Ok(passed)
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
    Ok(())
}

/// What emulated runs need: QEMU and the firmware image.
struct Bench {
    qemu: PathBuf,
    image: PathBuf,
}

const TARGET: &str = "thumbv7m-none-eabi";

impl Bench {
    /// Finds what is needed, and installs or builds what is missing.
    fn provide() -> Result<Self> {
        let mut say = |line: &str| eprintln!("rig: {line}");
        let qemu = provision::qemu("qemu-system-arm", &mut say)?;
        let cargo = provision::thumb(TARGET, &mut say)?;
        let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware");
        say("building the firmware");
        let status = cargo
            .command()
            .args(["build", "--quiet", "--release", "--locked"])
            .current_dir(&firmware)
            .status()
            .context("cargo cannot be started")?;
        if !status.success() {
            bail!("the firmware does not build");
        }
        let image = firmware.join("target").join(TARGET).join("release/firmware");
        Ok(Self { qemu, image })
    }
}
