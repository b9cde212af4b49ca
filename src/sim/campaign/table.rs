//! The table of fault classes and outcomes, as text.

use super::classify::Outcome;
use super::fault::{Class, Promise};
use super::results::Results;
use super::tally::{Row, Tally, never_seen_bound};
use core::fmt::Write;
use std::format;
use std::prelude::v1::*;

/// Outcomes that have a column even if there is none of them.
const ALWAYS: [Outcome; 7] = [
    Outcome::NoEffect,
    Outcome::Masked,
    Outcome::Recovered,
    Outcome::Held,
    Outcome::Excluded,
    Outcome::Safe,
    Outcome::Wrong,
];

/// Returns the outcomes that have a column.
pub fn columns(tally: &Tally) -> Vec<Outcome> {
    let seen = |outcome: &Outcome| tally.classes.values().any(|row| row.count(*outcome) > 0);
    Outcome::ALL.into_iter().filter(|outcome| ALWAYS.contains(outcome) || seen(outcome)).collect()
}

/// Returns the table, the claims, and how to replay what broke one.
pub(super) fn text(results: &Results) -> String {
    let tally = &results.tally;
    let columns = columns(tally);
    let mut text = format!("\n{}: {} injections in {} cycles\n", results.title(), tally.injected(), tally.cycles);
    let mut line = |name: &str, cells: Vec<String>| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name:<26}");
        for cell in cells {
            let _ = write!(text, "{cell:>11}");
        }
        text.push('\n');
    };
    let names = columns.iter().map(|outcome| outcome.name().to_owned());
    let head = std::iter::once("injected".to_owned()).chain(names);
    line("", head.chain(["median".to_owned(), "max cycles".to_owned(), "bound 95 %".to_owned()]).collect());
    for class in Class::ALL.iter().filter(|class| !results.absent.contains(class.name)) {
        line(class.name, cells(&tally.row(class), &columns));
    }
    let mut single = Tally::default();
    let mut all = Row::default();
    for class in Class::ALL.iter().filter(|class| class.promise != Promise::Nothing) {
        single.classes.insert("single".to_owned(), tally.row(class));
        let mut sum = Tally::default();
        sum.classes.insert("single".to_owned(), std::mem::take(&mut all));
        sum.add(&single);
        all = sum.classes.remove("single").unwrap_or_default();
    }
    line("all but 2nd faults", cells(&all, &columns));
    text.push_str(
        "each injection counts once, under the worst that applies: masked: a wrong value was found, and the cycle was right\n\
         in time; recovered: something else was found and set right in time; held: an output came a deadline late, or was\n\
         found damaged and not opened; excluded: one channel left, the other served on\n\
         median and max: cycles until something was noticed\n\
         bound: an outcome of which the row has none is, with 95 % confidence, rarer than this per injection\n\
         2nd: a second fault during simplex or a copy, where there is no redundancy and nothing is promised\n",
    );
    text.push_str(&figures(results));
    for claim in results.claims() {
        let _ = writeln!(text, "  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
    }
    for index in &tally.broken {
        let _ = writeln!(text, "  {}", results.replay(*index));
    }
    if tally.broken_total > tally.broken.len() as u64 {
        let _ = writeln!(text, "  and {} more", tally.broken_total - tally.broken.len() as u64);
    }
    text
}

/// Returns what was found of the program itself.
fn figures(results: &Results) -> String {
    let (shape, mut text) = (&results.shape, String::new());
    if shape.longest_frame_bytes > 0 {
        let copy = results.copy_cycles.map_or("a copy of it never ends".to_owned(), |cycles| {
            format!("a copy of it takes {cycles} cycles at least")
        });
        let _ = writeln!(
            text,
            "{}: {} blocks of state, at most {} written in a cycle; {copy}; scrubbed within {} cycles\n\
             longest frame {} bytes; votes were there {} us after the start of a cycle, {} us before the end of the window",
            results.program,
            shape.blocks,
            shape.worst_dirty_blocks,
            results.scrub_cycles,
            shape.longest_frame_bytes,
            shape.exchange_us,
            shape.window_left_us,
        );
    }
    if !results.absent.is_empty() {
        let absent: Vec<&str> = results.absent.iter().map(String::as_str).collect();
        let _ = writeln!(text, "not for this program: {}", absent.join(", "));
    }
    for (what, count) in &results.tally.panics {
        let _ = writeln!(text, "said {count} times as an injection ended: {what}");
    }
    for (what, count) in &results.tally.broken_invariants {
        let _ = writeln!(text, "invariant broken {count} times: it {what}");
    }
    text
}

fn cells(row: &Row, columns: &[Outcome]) -> Vec<String> {
    let number = |count: u64| if count == 0 { "-".to_owned() } else { count.to_string() };
    let latency = |percent| row.latency(percent).map_or("-".to_owned(), |cycles| cycles.to_string());
    let counts = columns.iter().map(|outcome| number(row.count(*outcome)));
    let ends = [latency(50), latency(100), format!("{:.1e}", never_seen_bound(row.injected))];
    std::iter::once(number(row.injected)).chain(counts).chain(ends).collect()
}
