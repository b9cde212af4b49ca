//! Whether the same program gives the same digests on this host and on emulated boards of three makes.

use crate::firmware::{self, Toolchain};
use crate::process;
use crate::provision;
use crate::scenario::{Claim, claim};
use anyhow::{Context, Result, bail};
use congruence::{CYCLES, Memories, PARTS, PROGRAMS};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A board that hangs is stopped; the whole run takes seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// A board and what stands for it.
struct Board {
    name: &'static str,
    target: &'static str,
    emulator: &'static str,
    machine: &'static [&'static str],
}

const BOARDS: [Board; 3] = [
    Board { name: "Cortex-M3", target: firmware::BOARD, emulator: "qemu-system-arm", machine: &["-M", "mps2-an385"] },
    Board {
        name: "Cortex-M33",
        target: firmware::TWO_CORES,
        emulator: "qemu-system-arm",
        machine: &["-M", "mps2-an505"],
    },
    Board {
        name: "RISC-V",
        target: firmware::RISC_V,
        emulator: "qemu-system-riscv32",
        machine: &["-M", "virt", "-bios", "none"],
    },
];

/// What each program's digest was after each part: a line each, the same text from every target.
type Digests = Vec<String>;

/// Compares all of them; returns whether every claim held.
pub(crate) fn run(json: Option<&Path>, say: &mut dyn FnMut(&str)) -> Result<bool> {
    let host = on_host()?;
    let is_complete = PROGRAMS.len() * PARTS as usize == host.len();
    let mut claims = vec![claim(
        format!("this host ran {CYCLES} cycles of each program, in {PARTS} parts"),
        is_complete
            && PROGRAMS.iter().all(|name| host.iter().any(|line| line.starts_with(&format!("{name}\t{CYCLES}\t")))),
    )];
    for board in &BOARDS {
        let found = on_board(board, &[], say).with_context(|| format!("on a {}", board.name))?;
        claims.push(compare(board.name, &host, &found));
    }
    let [board, ..] = &BOARDS;
    let found = on_board(board, &["--features", "incongruent"], say)?;
    let is_seen = first_difference(&host, &found).is_some_and(|line| line.starts_with("arithmetic"));
    claims.push(claim("control: a program that depends on the width of a pointer is found", is_seen));

    let passed = claims.iter().all(|claim| claim.held);
    for line in &host {
        println!("{}", line.replace('\t', "  "));
    }
    for claim in &claims {
        println!("  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
    }
    if let Some(path) = json {
        let report = json!({ "cycles": CYCLES, "digests": host, "claims": claims, "passed": passed });
        std::fs::write(path, format!("{report:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(passed)
}

fn on_host() -> Result<Digests> {
    let (mut memories, mut digests) = (Box::new(Memories::new()), Vec::new());
    let ran = congruence::run(&mut memories, |part| {
        digests.push(format!("{}\t{}\t{:08x}", part.program, part.cycle, part.digest));
    });
    ran.map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(digests)
}

fn on_board(board: &Board, features: &[&str], say: &mut dyn FnMut(&str)) -> Result<Digests> {
    let emulator = provision::program(board.emulator, say)?;
    let toolchain = Toolchain::provide(board.target, say)?;
    say(&format!("{CYCLES} cycles of each program on a {}", board.name));
    let image = toolchain.congruence_firmware(features)?;
    let mut command = Command::new(emulator);
    command
        .args(board.machine)
        .args(["-display", "none", "-monitor", "none", "-serial", "null"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(image);
    let text = process::run(&mut command, LIMIT)?;
    if text.is_empty() {
        bail!("the board says nothing");
    }
    Ok(text.lines().map(str::to_owned).collect())
}

fn compare(name: &str, host: &Digests, board: &Digests) -> Claim {
    match first_difference(host, board) {
        None => claim(format!("{name}: all digests are those of this host"), true),
        Some(line) => claim(format!("{name}: the digests are those of this host up to `{line}`"), false),
    }
}

/// Returns the first line of the host's that the board does not have, or of the board's beyond them.
fn first_difference<'d>(host: &'d Digests, board: &'d Digests) -> Option<&'d str> {
    let differs = host.iter().zip(board).find(|(host, board)| host != board).map(|(host, _)| host);
    let shorter = host.len().min(board.len());
    let rest = || host.get(shorter).or(board.get(shorter));
    differs.or_else(rest).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::{Digests, first_difference, on_host};

    #[test]
    fn each_difference_is_found() {
        let lines = |text: &str| -> Digests { text.split(' ').map(str::to_owned).collect() };
        let host = lines("a b c");
        assert_eq!(first_difference(&host, &lines("a b c")), None);
        assert_eq!(first_difference(&host, &lines("a x c")), Some("b"));
        assert_eq!(first_difference(&host, &lines("a b")), Some("c"));
        assert_eq!(first_difference(&host, &lines("a b c d")), Some("d"));
    }

    /// A program whose state stands still would be the same everywhere.
    #[test]
    fn the_digests_move() {
        let digests = on_host().unwrap();
        let distinct: std::collections::BTreeSet<_> = digests.iter().map(|line| line.rsplit('\t').next()).collect();
        assert_eq!(distinct.len(), digests.len());
    }
}
