//! The same plan of faults over two targets: simulated pairs and emulated boards, each class with what became of it on both.
//!
//! Both run the heated tank with the boards' configuration, on a line of the boards' speed. A class that cannot be injected
//! into boards from outside is left out on both. The README says which differences are known, and why they are there.

use crate::emulate::EmulatedBench;
use crate::engine::Pace;
use crate::firmware::Images;
use crate::run::Progress;
use anyhow::Result;
use clap::Args;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tank::{Reading, TIMING, Tank};
use twinstep::sim::campaign::{Bench, Class, Outcome, Promise, Results, Shard};
use twinstep::sim::{ArbiterKind, Campaign};
use twinstep::{ChannelId, Cycle};

/// What is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// Control cycles on each target, over all shards
    #[arg(long, default_value_t = 12_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    cycles: u64,
    /// Draws every injection; the same seed replays it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Do only the I-th of N shares
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,
    /// Threads; all cores if not given
    #[arg(long)]
    jobs: Option<usize>,
    /// Write the counts of the simulated pairs here
    #[arg(long, value_name = "FILE")]
    simulated: Option<PathBuf>,
    /// Write the counts of the emulated boards here
    #[arg(long, value_name = "FILE")]
    emulated: Option<PathBuf>,
    /// Do only this injection on the boards, after those before it in its episode, and print what they noted
    #[arg(long, value_name = "INDEX")]
    replay: Option<u64>,
}

/// Runs the plan on both targets; returns whether every claim held on both.
pub(crate) fn run(options: &Options, qemu: &Path, images: &Images) -> Result<bool> {
    let bench = || EmulatedBench { qemu: qemu.into(), images: images.clone(), pace: Pace::DEFAULT };
    let left_out: Vec<&str> = Class::ALL.iter().filter(|class| !bench().can(class)).map(|class| class.name).collect();
    let plan = |options: &Options| -> Result<Campaign<Tank>> {
        let Shard { number, of } = options.shard;
        let mut campaign = tank().cycles(options.cycles).seed(options.seed).shard(number, of);
        for class in &left_out {
            campaign = campaign.without(class)?;
        }
        Ok(match options.jobs {
            Some(jobs) => campaign.threads(jobs),
            None => campaign,
        })
    };
    if let Some(index) = options.replay {
        let replay = plan(options)?.on(bench()).replay(index);
        replay.print();
        return Ok(replay.kept == Some(true));
    }
    let simulated = plan(options)?.run();
    let progress =
        Progress::new("boards", u32::try_from(options.cycles / u64::from(options.shard.of)).unwrap_or(u32::MAX));
    let emulated =
        plan(options)?.on(bench()).run_with(&|cycles| progress.at(u32::try_from(cycles).unwrap_or(u32::MAX)));
    drop(progress);
    print!("{}", text(&simulated, &emulated));
    for (results, path) in [(&simulated, &options.simulated), (&emulated, &options.emulated)] {
        if let Some(path) = path {
            results.write(path)?;
        }
    }
    Ok(simulated.passed() && emulated.passed())
}

/// The campaign of the tank, as the boards are configured and wired.
fn tank() -> Campaign<Tank> {
    Campaign::<Tank>::new(TIMING, sensor).line(Pace::DEFAULT.link).arbiter(ArbiterKind::Relay { asks: 2 })
}

/// What the sensors of a tank read that nobody heats.
fn sensor(seed: u64) -> impl FnMut(ChannelId, Cycle) -> Reading {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |_, cycle| Reading {
        tank_centi_c: 2_000 + (cycle.0 % 500) as i16 + rng.i16(-3..=3),
        ambient_centi_c: 1_500 + rng.i16(-3..=3),
        door_open: cycle.0 % 50 == 7,
        disagree: false,
    }
}

/// Returns a line for each class: how many were injected, and what became of them, on both targets.
fn text(simulated: &Results, emulated: &Results) -> String {
    let mut text = String::new();
    let shares = |results: &Results, class: &Class| {
        let row = results.tally.row(class);
        let seen = Outcome::ALL.iter().filter(|outcome| row.count(**outcome) > 0);
        let shares = seen.map(|outcome| {
            let percent = row.count(*outcome) * 100 / row.injected.max(1);
            format!("{} {percent} %", outcome.name())
        });
        format!("{:>4}  {}", row.injected, shares.collect::<Vec<_>>().join(", "))
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:<26}{:<58}emulated boards", "", "simulated pairs");
    for class in Class::ALL.iter().filter(|class| !simulated.without.contains(class.name)) {
        let _ = writeln!(text, "{:<26}{:<58}{}", class.name, shares(simulated, class), shares(emulated, class));
    }
    for (name, results) in [("simulated", simulated), ("emulated", emulated)] {
        let harmless = Class::ALL.iter().filter(|class| class.promise != Promise::Nothing);
        let single: u64 = harmless.map(|class| results.tally.row(class).injected).sum();
        let _ = writeln!(
            text,
            "{name}: {} injections, {single} of single faults, in {} cycles",
            results.tally.injected(),
            results.tally.cycles
        );
        if name == "emulated" {
            text += "  a board is not looked into after each call: no broken invariant can be seen\n";
        }
        for claim in results.claims() {
            let _ = writeln!(text, "  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
        }
        let broken = results.tally.broken.iter().map(|index| format!("  {name} --replay {index}\n"));
        text.extend(broken);
        let panics = results.tally.panics.iter().map(|(what, count)| format!("  {count} times: {what}\n"));
        text.extend(panics);
    }
    text
}
