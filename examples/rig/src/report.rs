//! The figures and claims of a run, as text and as JSON.

use crate::rot::Found;
use crate::run::Outcome;
use crate::scenario::{Kind, Plan};
use crate::upgrade;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// Returns the width to draw for: that of the terminal if it says so.
pub(crate) fn terminal_columns() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(100).clamp(40, 200)
}

/// Returns the figures and the claims as lines.
pub(crate) fn text(plan: &Plan, outcome: &Outcome) -> String {
    let figures = &outcome.figures;
    let mut text = format!(
        "\n{} --seed {}: {} cycles, missing {}, wrong {}, unvoted_in_duplex {}, owners_max {}, takeovers {}, held {}\n",
        plan.kind.name(),
        plan.seed,
        figures.cycles,
        figures.missing,
        figures.wrong,
        figures.unvoted_in_duplex,
        figures.owners_max,
        figures.takeovers,
        figures.held,
    );
    // Writing to a string cannot fail.
    if let (Some(kill), Some(takeover)) = (figures.kill_cycle, figures.takeover_cycle) {
        let _ = writeln!(text, "owner killed in cycle {kill}, takeover in cycle {takeover}");
    }
    for round in &figures.rounds {
        let cycle = |cycle: Option<u32>| cycle.map_or("never".to_owned(), |cycle| cycle.to_string());
        let (restarted, duplex) = (cycle(round.restarted_after), cycle(round.duplex_in));
        let (board, killed) = (round.board, round.killed_in);
        let died = if plan.kind == Kind::Dualcore { "stopped" } else { "killed" };
        let _ = writeln!(text, "{board} {died} in cycle {killed}, restarted after {restarted}, in duplex by {duplex}");
    }
    if let Some(hung) = &figures.hung {
        let cycle = |cycle: Option<u32>| cycle.map_or("never".to_owned(), |cycle| cycle.to_string());
        let (hung_in, went_on, duplex) = (hung.hung_in, cycle(hung.went_on_after), cycle(hung.duplex_in));
        let _ = writeln!(text, "one hung in cycle {hung_in}, went on after {went_on}, in duplex by {duplex}");
    }
    if figures.blocks_copied > 0 {
        let (blocks, most) = (figures.blocks_copied, figures.blocks_in_a_cycle_max);
        let at_most = if most > 0 { format!(", at most {most} in a cycle") } else { String::new() };
        let _ = writeln!(text, "{blocks} blocks of memory copied{at_most}");
    }
    if let Some(rot) = &figures.rot {
        for (part, found) in [("working", rot.working), ("checkpoint", rot.checkpoint), ("digests", rot.digests)] {
            let Found { flipped, found, masked, written_over } = found;
            let _ = writeln!(
                text,
                "{part:>10}: {flipped} bits flipped, {found} found, {masked} masked, {written_over} written over"
            );
        }
        let (slowest, bound) = (rot.found_within_cycles_max, rot.bound_cycles);
        let _ = writeln!(text, "the slowest was found after {slowest} cycles, the bound is {bound}");
    }
    if let Some(seu) = &figures.seu {
        for line in seu.lines() {
            let _ = writeln!(text, "{line}");
        }
    }
    for line in upgrade::lines(figures) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(damaged) = figures.damaged_readings {
        let _ = writeln!(text, "{damaged} samples damaged before they were fixed; {} safe outputs", figures.safe);
    }
    if figures.link_overhead_bytes_max > 0 {
        let (bytes, repeated) = (figures.link_overhead_bytes_max, figures.repeated_frames);
        let _ = writeln!(
            text,
            "link: at most {bytes} bytes a cycle and direction beyond input and output; {repeated} frames repeated"
        );
    }
    if let (Some(damaged), Some(carried)) = (figures.damaged_bytes, figures.carried_bytes) {
        let _ = writeln!(text, "noise: {damaged} faults in {carried} bytes");
    }
    if let Some(unheard) = figures.unheard_frames.filter(|unheard| *unheard > 0) {
        let _ = writeln!(text, "{unheard} frames in the mailbox were written over before the rig read them");
    }
    for claim in &outcome.claims {
        let _ = writeln!(text, "  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
    }
    text
}

/// Writes figures and claims to a file.
pub(crate) fn write_json(plan: &Plan, simulated: bool, outcome: &Outcome, path: &Path) -> Result<()> {
    let mut report = serde_json::to_value(&outcome.figures)?;
    if let Some(report) = report.as_object_mut() {
        report.insert("scenario".into(), json!(plan.kind.name()));
        report.insert("arguments".into(), json!(arguments(std::env::args().skip(1))));
        report.insert("seed".into(), json!(plan.seed));
        report.insert("simulated".into(), json!(simulated));
        report.insert("passed".into(), json!(outcome.passed()));
        report.insert("claims".into(), json!(outcome.claims));
        report.insert("injections".into(), json!(outcome.record.injections));
    }
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Options that name a file to be written: they make no difference to what is run.
const FILES: [&str; 3] = ["--json", "--svg", "--journal"];

/// Returns the arguments that say what is run.
fn arguments(all: impl Iterator<Item = String>) -> Vec<String> {
    let (mut arguments, mut is_file) = (Vec::new(), false);
    for argument in all {
        let names_file = FILES.iter().any(|option| argument == *option);
        let has_file = argument.split_once('=').is_some_and(|(option, _)| FILES.contains(&option));
        if !is_file && !names_file && !has_file {
            arguments.push(argument);
        }
        is_file = names_file;
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn the_arguments_are_those_that_say_what_is_run() {
        let all = ["seu", "--json", "a.json", "--flips", "40", "--svg=b.svg", "--journal", "c", "--sim"];
        let kept = arguments(all.into_iter().map(str::to_owned));
        assert_eq!(kept, ["seu", "--flips", "40", "--sim"]);
    }
}
