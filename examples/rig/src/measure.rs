//! The costs that the library promises, held to what is counted on a Cortex-M3 at two optimisation levels, and on the host.

use crate::budget::Budgets;
use crate::counts::Counts;
use crate::firmware::{self, Toolchain};
use crate::process::tool;
use crate::provision;
use crate::scenario::{Claim, claim};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use workloads::{STATES_KIB, Workload};

/// A write in 64 KiB may take so many more than one in 1 KiB: the compiler checks a small bound with a
/// shorter form. A cost that follows the size would be far above, even that of a search by halving.
const FLAT_WITHIN: f64 = 2.0;
/// The board's clock counts 40 instructions at a time, and a figure is of a thousand repetitions.
const RESOLUTION: f64 = 0.1;
/// Blocks in the 16 KiB that are scrubbed and rolled back.
const BLOCKS: f64 = 256.0;

/// Measures on all platforms; returns whether every claim held.
pub(crate) fn run(json: Option<&Path>, say: &mut dyn FnMut(&str)) -> Result<bool> {
    let qemu = provision::program("qemu-system-arm", say)?;
    let valgrind = provision::program("valgrind", say)?;
    let toolchain = Toolchain::provide(firmware::BOARD, say)?;
    say("building the workloads");
    let board = |level: &str| -> Result<Counts> {
        Counts::on_board(&qemu, &toolchain.measure_firmware(level)?).context("on the board")
    };
    let (small, fast) = (board("\"s\"")?, board("3")?);
    let host = Counts::on_host(&valgrind, &host_program("under-callgrind", &[])?).context("on the host")?;
    // Apart, since the other figures are of nodes into which no faults can be injected.
    let program = host_program("simulated-under-callgrind", &["--features", "simulated"])?;
    let simulated =
        Counts::on_host(&valgrind, &program).context("of a simulated pair")?.figure(Workload::SimulatedCycle)?;
    let mut figures = figures_of("s", &small)?;
    figures.extend(figures_of("3", &fast)?);
    figures.push((
        "commit, times fewer than a CRC, host".to_owned(),
        host.figure(Workload::Crc)? / host.figure(Workload::Commit)?,
    ));
    figures.push((format!("{}, host", Workload::SimulatedCycle), simulated.round()));
    let budgets = Budgets::of("measure")?;
    let mut claims = budgets.claims(&figures);
    for (platform, counts) in [("Cortex-M3, s", &small), ("Cortex-M3, 3", &fast), ("host", &host)] {
        claims.extend(flat(platform, counts)?);
    }
    let is_same = [&fast, &host].iter().all(|other| other.digest == small.digest);
    claims.push(claim("all computed the same", is_same));
    let passed = claims.iter().all(|claim| claim.held);

    print!("{}\n{}", table([&small, &fast, &host])?, budgets.table(&figures));
    for claim in &claims {
        println!("  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
    }
    if let Some(path) = json {
        let report = json!({
            "cortex_m3": all(&small),
            "cortex_m3_fast": all(&fast),
            "host": all(&host),
            "simulated_cycle": simulated,
            "host_architecture": std::env::consts::ARCH,
            "claims": claims,
            "passed": passed,
        });
        std::fs::write(path, format!("{report:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(passed)
}

/// Builds a program of the workloads for the host with the release profile; the rig itself may be of another.
fn host_program(name: &str, features: &[&str]) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target_folder = root.join("target");
    let status = tool("cargo")
        .args(["build", "--quiet", "--release", "--locked", "--package", "workloads", "--bin", name])
        .args(features)
        .arg("--target-dir")
        .arg(&target_folder)
        .current_dir(&root)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the workloads do not build for the host");
    }
    Ok(target_folder.join("release").join(name))
}

/// Returns what has a budget on a board at an optimisation level.
fn figures_of(level: &str, counts: &Counts) -> Result<Vec<(String, f64)>> {
    let of = |workload| counts.figure(workload);
    let writes = writes(counts)?;
    let with_commit = of(Workload::DigestThenCommit)?;
    let commit = of(Workload::Commit)?;
    // A repetition is a cycle of both nodes.
    let cycle = of(Workload::Cycle)? / 2.0;
    let figures = [
        ("cycle of a node", cycle),
        ("cycle, times fewer than by hand", of(Workload::CycleByHand)? / cycle),
        ("idle turn", of(Workload::IdleTurn)?),
        ("tracked write of a word", writes.into_iter().fold(0.0, f64::max)),
        ("digest and commit, times fewer than a CRC", of(Workload::Crc)? / with_commit),
        ("commit, times fewer than a CRC", of(Workload::Crc)? / commit),
        ("scrub of all, a block", of(Workload::ScrubAll)? / BLOCKS),
        ("roll back, a block", of(Workload::Rollback)? / BLOCKS),
        ("vote of 1 KiB", of(Workload::Vote)?),
        ("vote, times fewer than slice ==", of(Workload::VoteBySlices)? / of(Workload::Vote)?),
        ("frame of 32 B", of(Workload::Frame)?),
        ("frame, times fewer than by postcard", of(Workload::FrameByPostcard)? / of(Workload::Frame)?),
    ];
    Ok(figures.map(|(name, figure)| (format!("{name}, {level}"), (figure * 10.0).round() / 10.0)).into())
}

fn writes(counts: &Counts) -> Result<Vec<f64>> {
    let of_size = |state_kib| [Workload::Set { state_kib }, Workload::TryUpdate { state_kib }];
    STATES_KIB.into_iter().flat_map(of_size).map(|workload| counts.figure(workload)).collect()
}

/// Whether a write costs the same in states of all sizes.
fn flat(platform: &str, counts: &Counts) -> Result<[Claim; 2]> {
    let claim_of = |call: &str, workload: fn(u32) -> Workload| -> Result<Claim> {
        let figures = STATES_KIB.map(|kib| counts.figure(workload(kib))).into_iter().collect::<Result<Vec<_>>>()?;
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(0.0, f64::max);
        let what = format!(
            "{platform}: {call} takes as many from 1 to 64 KiB, within {FLAT_WITHIN} ({least:.1} to {most:.1})"
        );
        Ok(claim(what, most - least <= FLAT_WITHIN + RESOLUTION))
    };
    Ok([
        claim_of("set", |state_kib| Workload::Set { state_kib })?,
        claim_of("try_update", |state_kib| Workload::TryUpdate { state_kib })?,
    ])
}

/// Draws the figures of all platforms side by side.
fn table(platforms: [&Counts; 3]) -> Result<String> {
    let levels = platforms.map(|counts| format!("opt-level {}", counts.opt_level));
    let mut table = row("instructions", ["Cortex-M3", "Cortex-M3", "host"]) + &row("", levels);
    let [small, ..] = platforms;
    for (workload, _) in small.figures() {
        let figures = platforms.map(|counts| counts.named(workload).map(|figure| format!("{figure:.1}")));
        let [a, b, c] = figures;
        table += &row(workload, [a?, b?, c?]);
    }
    Ok(table)
}

fn row(name: &str, [a, b, c]: [impl Display; 3]) -> String {
    format!("{name:36} {a:>12} {b:>12} {c:>12}\n")
}

fn all(counts: &Counts) -> Value {
    let figures: serde_json::Map<String, Value> =
        counts.figures().map(|(workload, figure)| (workload.clone(), json!(figure))).collect();
    json!({ "opt_level": counts.opt_level, "instructions": figures })
}

#[cfg(test)]
mod tests {
    use super::{Counts, Workload, flat};
    use workloads::STATES_KIB;

    /// Which claims hold if the writes take so many instructions.
    fn held(writes: [u32; 4]) -> [bool; 2] {
        let mut text = String::new();
        for (state_kib, figure) in STATES_KIB.into_iter().zip(writes) {
            for workload in [Workload::Set { state_kib }, Workload::TryUpdate { state_kib }] {
                text += &format!("{workload}\t1\t{figure}\t0\n");
            }
        }
        let counts = Counts::parse(&text, || anyhow::bail!("no more counts")).unwrap();
        flat("board", &counts).unwrap().map(|claim| claim.held)
    }

    #[test]
    fn a_write_that_costs_more_in_a_larger_state_is_found() {
        assert_eq!(held([45; 4]), [true; 2]);
        assert_eq!(held([30, 32, 30, 30]), [true; 2]);
        assert_eq!(held([30, 33, 30, 30]), [false; 2]);
    }
}
