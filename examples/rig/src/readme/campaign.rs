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

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::super::recording::CAMPAIGN;
    use super::{Results, render};
    use serde_json::{Value, json};

    /// Renders the results of the recorded command, with these classes and another seed.
    fn with(classes: &Value, seed: u64) -> Result<String, String> {
        let mut cycles = CAMPAIGN.arguments.iter().skip_while(|argument| **argument != "--cycles");
        let cycles: u64 = cycles.nth(1).unwrap().parse().unwrap();
        let tally = json!({ "cycles": 9000, "episodes": 18, "classes": classes, "broken": [], "broken_total": 0 });
        let text = json!({ "seed": seed, "cycles": cycles, "off": null, "shards": [1], "of": 1, "tally": tally,
            "passed": true, "claims": [] });
        let mut recorded = Recorded::default();
        recorded.insert(CAMPAIGN, text.to_string());
        recorded.get::<Results>(CAMPAIGN).unwrap();
        render(&recorded).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_classes_of_a_row_are_added_up() {
        let class = |outcome: &str, latency: &str| {
            json!({ "injected": 1000, "missed": 0, "diverged": 0, "outcomes": { outcome: 1000 },
                "latency_cycles": { latency: 1 } })
        };
        let table = with(&json!({ "crash": class("excluded", "2"), "hang": class("held", "5") }), 1).unwrap();
        assert!(table.contains("`: 2,000 faults in 9,000 simulated cycles.\n"), "{table}");
        let row = "| crash, reset, hang, at every byte | 2,000 | – | – | – | 1,000 | 1,000 | – | 0 | 5 | 1.5e-3 |";
        assert!(table.contains(row), "{table}");
        assert!(
            table.contains("| output damaged after the vote | 0 | – | – | – | – | – | – | 0 | – | 1.0e0 |"),
            "{table}"
        );
    }

    #[test]
    fn another_campaign_is_an_error() {
        let error = with(&json!({}), 2).unwrap_err();
        assert!(
            error.contains("campaign.json is no recording of") && error.contains("--seed 2` has made it"),
            "{error}"
        );
        let class = json!({ "injected": 0, "missed": 0, "diverged": 0, "outcomes": {}, "latency_cycles": {} });
        let error = with(&json!({ "luck": class }), 1).unwrap_err();
        assert!(error.contains("there is no class `luck` any more"), "{error}");
    }
}
