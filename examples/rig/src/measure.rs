//! The costs that the library promises, held to what is counted on a Cortex-M3 and on the host.

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

/// A tracked write of an aligned word takes at most so many instructions.
const WRITE_AT_MOST: f64 = 45.0;
/// A commit at 5 % dirty takes so many times fewer instructions than a CRC over all of the state.
const COMMIT_RATIO_AT_LEAST: f64 = 40.0;
/// A write in 64 KiB may take so many more than one in 1 KiB: the compiler checks a small bound with a
/// shorter form. A cost that follows the size would be far above, even that of a search by halving.
const FLAT_WITHIN: f64 = 2.0;
/// The board's clock counts 40 instructions at a time, and a figure is of a thousand repetitions.
const RESOLUTION: f64 = 0.1;

/// Measures on both platforms; returns whether every claim held.
pub(crate) fn run(json: Option<&Path>, say: &mut dyn FnMut(&str)) -> Result<bool> {
    let qemu = provision::program("qemu-system-arm", say)?;
    let valgrind = provision::program("valgrind", say)?;
    let toolchain = Toolchain::provide(firmware::BOARD, say)?;
    say("building the workloads");
    let (image, program) = (toolchain.measure_firmware()?, host_program()?);
    let board = Counts::on_board(&qemu, &image).context("on the board")?;
    let host = Counts::on_host(&valgrind, &program).context("on the host")?;
    let mut claims = claims_of("Cortex-M3", &board)?;
    claims.extend(claims_of("host", &host)?);
    claims.push(claim("both computed the same", board.digest == host.digest));
    let passed = claims.iter().all(|claim| claim.held);

    print!("{}", table(&board, &host)?);
    for claim in &claims {
        println!("  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
    }
    if let Some(path) = json {
        let report = json!({ "cortex_m3": figures(&board), "host": figures(&host), "host_architecture": std::env::consts::ARCH, "claims": claims, "passed": passed });
        std::fs::write(path, format!("{report:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(passed)
}

/// Builds the host's program with the release profile; the rig itself may be of another.
fn host_program() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target_folder = root.join("target");
    let status = tool("cargo")
        .args(["build", "--quiet", "--release", "--locked", "--package", "workloads", "--target-dir"])
        .arg(&target_folder)
        .current_dir(&root)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the workloads do not build for the host");
    }
    Ok(target_folder.join("release/under-callgrind"))
}

/// Returns what is claimed of one platform, and whether it held.
fn claims_of(platform: &str, counts: &Counts) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    let set: fn(u32) -> Workload = |state_kib| Workload::Set { state_kib };
    let try_update: fn(u32) -> Workload = |state_kib| Workload::TryUpdate { state_kib };
    for (call, workload) in [("set", set), ("try_update", try_update)] {
        let figures = STATES_KIB.map(|kib| counts.figure(workload(kib))).into_iter().collect::<Result<Vec<_>>>()?;
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(0.0, f64::max);
        claims.push(claim(
            format!("{platform}: {call} of a word takes at most {WRITE_AT_MOST} instructions ({most:.1})"),
            most <= WRITE_AT_MOST,
        ));
        claims.push(claim(
            format!(
                "{platform}: {call} takes as many from 1 to 64 KiB, within {FLAT_WITHIN} ({least:.1} to {most:.1})"
            ),
            most - least <= FLAT_WITHIN + RESOLUTION,
        ));
    }
    let ratio = ratio_to_crc(counts, Workload::Commit)?;
    claims.push(claim(
        format!("{platform}: commit takes at least {COMMIT_RATIO_AT_LEAST} times fewer than the CRC ({ratio:.1})"),
        ratio >= COMMIT_RATIO_AT_LEAST,
    ));
    Ok(claims)
}

/// Returns how many times as much the CRC over all of the state takes.
fn ratio_to_crc(counts: &Counts, workload: Workload) -> Result<f64> {
    Ok(counts.figure(Workload::Crc)? / counts.figure(workload)?)
}

/// Draws the figures of both platforms, and how the cycle's compare with the CRC.
fn table(board: &Counts, host: &Counts) -> Result<String> {
    let levels = [board, host].map(|counts| format!("opt-level {}", counts.opt_level));
    let mut table = row("instructions", ["Cortex-M3", "host"]) + &row("", levels);
    for ((workload, on_board), (_, on_host)) in board.figures().zip(host.figures()) {
        table += &row(workload, [on_board, on_host].map(|figure| format!("{figure:.1}")));
    }
    for workload in [Workload::PendingDigest, Workload::Commit, Workload::DigestThenCommit] {
        let ratios = [ratio_to_crc(board, workload)?, ratio_to_crc(host, workload)?];
        table += &row(&format!("CRC / {workload}"), ratios.map(|ratio| format!("{ratio:.1}")));
    }
    Ok(table)
}

fn row(name: &str, [on_board, on_host]: [impl Display; 2]) -> String {
    format!("{name:36} {on_board:>12} {on_host:>12}\n")
}

fn figures(counts: &Counts) -> Value {
    let figures: serde_json::Map<String, Value> =
        counts.figures().map(|(workload, figure)| (workload.clone(), json!(figure))).collect();
    json!({ "opt_level": counts.opt_level, "instructions": figures })
}

#[cfg(test)]
mod tests {
    use super::{Counts, Workload, claims_of};
    use workloads::STATES_KIB;

    /// Which claims hold if the writes take so many instructions and the CRC so many times the commit.
    fn held(writes: [u32; 4], ratio: u32) -> Vec<bool> {
        let mut text = format!("{}\t1\t{ratio}00\t0\n{}\t1\t100\t0\n", Workload::Crc, Workload::Commit);
        for (state_kib, figure) in STATES_KIB.into_iter().zip(writes) {
            for workload in [Workload::Set { state_kib }, Workload::TryUpdate { state_kib }] {
                text += &format!("{workload}\t1\t{figure}\t0\n");
            }
        }
        let counts = Counts::parse(&text, || anyhow::bail!("no more counts")).unwrap();
        claims_of("board", &counts).unwrap().into_iter().map(|claim| claim.held).collect()
    }

    #[test]
    fn each_claim_fails_by_itself() {
        assert_eq!(held([45; 4], 40), [true; 5]);
        assert_eq!(held([46; 4], 40), [false, true, false, true, true]);
        assert_eq!(held([30, 33, 30, 30], 40), [true, false, true, false, true]);
        assert_eq!(held([45; 4], 39), [true, true, true, true, false]);
    }
}
