//! The table of fault classes and outcomes, as text.

use super::classify::Outcome;
use super::fault::{Class, Promise};
use super::results::Results;
use super::tally::{Row, Tally, never_seen_bound};
use std::fmt::Write;

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
pub(crate) fn columns(tally: &Tally) -> Vec<Outcome> {
    let seen = |outcome: &Outcome| tally.classes.values().any(|row| row.count(*outcome) > 0);
    Outcome::ALL.into_iter().filter(|outcome| ALWAYS.contains(outcome) || seen(outcome)).collect()
}

/// Returns the table, the claims, and how to replay what broke one.
pub(crate) fn text(results: &Results) -> String {
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
    for class in &Class::ALL {
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

fn cells(row: &Row, columns: &[Outcome]) -> Vec<String> {
    let number = |count: u64| if count == 0 { "-".to_owned() } else { count.to_string() };
    let latency = |percent| row.latency(percent).map_or("-".to_owned(), |cycles| cycles.to_string());
    let counts = columns.iter().map(|outcome| number(row.count(*outcome)));
    let ends = [latency(50), latency(100), format!("{:.1e}", never_seen_bound(row.injected))];
    std::iter::once(number(row.injected)).chain(counts).chain(ends).collect()
}
