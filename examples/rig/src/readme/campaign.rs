//! The table of the fault campaign: its classes in a few rows.

use super::markdown::{Column, count, number, table};
use super::recorded::{Recorded, missing};
use super::recording::CAMPAIGN;
use super::rows::{Grouped, rows};
use crate::campaign::{Class, Outcome, Results, Row, columns, never_seen_bound};
use anyhow::{Context, Result, ensure};

pub(super) fn render(recorded: &Recorded) -> Result<String> {
    let Some(results) = recorded.get::<Results>(CAMPAIGN)? else { return Ok(missing(CAMPAIGN)) };
    draw(&results).with_context(|| format!("{} is no recording of `{}`", CAMPAIGN.file(), CAMPAIGN.command()))
}

fn draw(results: &Results) -> Result<String> {
    let made_by = format!("cargo rig {}", results.title());
    ensure!(made_by == CAMPAIGN.command(), "`{made_by}` has made it");
    for name in results.tally.classes.keys() {
        ensure!(Class::ALL.iter().any(|class| class.name == name), "there is no class `{name}` any more");
    }
    let outcomes = columns(&results.tally);
    let headings = [Column::Text("fault".into()), Column::Number("injected".into())]
        .into_iter()
        .chain(outcomes.iter().map(|outcome| Column::Number(outcome.name().into())))
        .chain(["slowest found, cycles", "bound 95 %"].map(|heading| Column::Number(heading.into())));
    let lines: Vec<Vec<String>> = rows()?.iter().map(|row| cells(row, results, &outcomes)).collect();
    let (injected, cycles) = (number(results.tally.injected()), number(results.tally.cycles));
    Ok(format!(
        "`{made_by}`: {injected} faults in {cycles} simulated cycles.\n\n{}",
        table(&headings.collect::<Vec<_>>(), &lines)
    ))
}

fn cells(row: &Grouped, results: &Results, outcomes: &[Outcome]) -> Vec<String> {
    let mut sum = Row::default();
    row.classes().for_each(|class| sum.add(&results.tally.row(class)));
    let counted = |outcome: &Outcome| match outcome {
        Outcome::Wrong => number(sum.count(*outcome)),
        _ => count(sum.count(*outcome)),
    };
    let slowest = sum.latency(100).map_or("–".into(), number);
    [row.name.into(), number(sum.injected)]
        .into_iter()
        .chain(outcomes.iter().map(counted))
        .chain([slowest, format!("{:.1e}", never_seen_bound(sum.injected))])
        .collect()
}
