//! Draws the table of a campaign as an SVG file: a row for each fault class, with the shares of its outcomes as a bar and
//! the counts beside it.

use super::classify::Outcome;
use super::drawing::{Area, INK, Panel, bar, css_size, readable_on, text, text_width};
use super::fault::Class;
use super::results::{Results, ResultsError};
use super::table::columns;
use super::tally::never_seen_bound;
use plotters::drawing::IntoDrawingArea;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, IntoFont, RGBColor, WHITE};
use std::error::Error;
use std::format;
use std::path::Path;
use std::prelude::v1::*;

type Result<T> = core::result::Result<T, Box<dyn Error>>;

const WIDTH: i32 = 1200;
const HEADER: i32 = 78;
const ROW: i32 = 20;
/// Where the names end, the counts of injections end, and the bars begin and end.
const NAMES: i32 = 190;
const COUNTS: i32 = 262;
const LEFT: i32 = 274;
const RIGHT: i32 = 1020;
/// Where latencies and bounds end.
const LATENCY: i32 = 1100;
const BOUND: i32 = WIDTH - 16;
/// What is there at all is seen.
const THINNEST: i32 = 2;

/// Draws the results and writes them to `path`, over what is there.
///
/// # Errors
/// [`ResultsError::File`] with the reason.
pub fn write(results: &Results, path: &Path) -> core::result::Result<(), ResultsError> {
    let of_file = |why: String| ResultsError::File(path.to_owned(), why);
    let svg = svg(results).map_err(|error| of_file(error.to_string()))?;
    std::fs::write(path, svg).map_err(|error| of_file(error.to_string()))
}

fn colour(outcome: Outcome) -> RGBColor {
    match outcome {
        Outcome::NoEffect => RGBColor(225, 225, 225),
        Outcome::Masked => RGBColor(0, 158, 115),
        Outcome::Recovered => RGBColor(86, 180, 233),
        Outcome::Held => RGBColor(240, 228, 66),
        Outcome::Excluded | Outcome::Crashed => RGBColor(230, 159, 0),
        Outcome::Safe => RGBColor(204, 121, 167),
        Outcome::Stopped => RGBColor(120, 90, 140),
        Outcome::Latent | Outcome::Missing | Outcome::NotBack => RGBColor(150, 40, 0),
        Outcome::Broken | Outcome::TwoOwners | Outcome::Wrong | Outcome::Panic => RGBColor(213, 0, 0),
    }
}

fn svg(results: &Results) -> Result<String> {
    let rows: Vec<&Class> = Class::ALL.iter().filter(|class| !results.absent.contains(class.name)).collect();
    let count = i32::try_from(rows.len())?;
    let height = HEADER + count * ROW + 30;
    let mut svg = String::new();
    {
        let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        header(&area, results)?;
        for (row, class) in (0..).zip(rows) {
            line(&area, results, class, HEADER + row * ROW + ROW / 2)?;
        }
        let note = "latency: cycles until something was noticed, median / longest; bound: of the probability of an \
                    outcome never seen, 95 % confidence; 2nd: there is no redundancy, and nothing is promised";
        text(&area, note, (16, height - 14), HPos::Left, &INK)?;
        area.present()?;
    }
    Ok(svg)
}

fn header(area: &Area<'_>, results: &Results) -> Result<()> {
    let style =
        ("sans-serif", css_size(20.0), FontStyle::Bold).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    let tally = &results.tally;
    let title = format!("{}: {} injections in {} cycles", results.title(), tally.injected(), tally.cycles);
    area.draw_text(&title, &style, (16, 24))?;
    let mut left = 16;
    for outcome in columns(tally) {
        let name = format!("{} {}", outcome.name(), tally.sum(|_| true, &[outcome]));
        bar(area, (left, left + 12), Panel { top: 46, bottom: 56 }, colour(outcome))?;
        text(area, &name, (left + 16, 51), HPos::Left, &INK)?;
        left += text_width(&name) + 26;
    }
    for (name, right) in [("injected", COUNTS), ("latency", LATENCY), ("bound", BOUND)] {
        text(area, name, (right, HEADER - 8), HPos::Right, &INK)?;
    }
    Ok(())
}

fn line(area: &Area<'_>, results: &Results, class: &Class, y: i32) -> Result<()> {
    let row = results.tally.row(class);
    text(area, class.name, (NAMES, y), HPos::Right, &INK)?;
    text(area, &row.injected.to_string(), (COUNTS, y), HPos::Right, &INK)?;
    for (outcome, left, right) in shares(&row.outcomes.iter().map(|(o, n)| (*o, *n)).collect::<Vec<_>>()) {
        bar(area, (left, right), Panel { top: y - ROW / 2 + 2, bottom: y + ROW / 2 - 2 }, colour(outcome))?;
        let count = row.count(outcome).to_string();
        if right - left > text_width(&count) + 6 {
            text(area, &count, ((left + right) / 2, y), HPos::Center, &readable_on(colour(outcome)))?;
        }
    }
    if let (Some(median), Some(longest)) = (row.latency(50), row.latency(100)) {
        text(area, &format!("{median} / {longest}"), (LATENCY, y), HPos::Right, &INK)?;
    }
    Ok(text(area, &format!("{:.1e}", never_seen_bound(row.injected)), (BOUND, y), HPos::Right, &INK)?)
}

/// Shares the width out; what is there has a width.
fn shares(counts: &[(Outcome, u64)]) -> Vec<(Outcome, i32, i32)> {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let there: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
    let free = f64::from(RIGHT - LEFT - THINNEST * there.len() as i32);
    let mut seen = 0;
    let mut before = 0;
    let mut edge = LEFT;
    let ends = there.into_iter().map(|(outcome, count)| {
        seen += count;
        before += THINNEST;
        let left = edge;
        edge = LEFT + before + (free * seen as f64 / total as f64).round() as i32;
        (*outcome, left, edge)
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_fill_the_width_and_nothing_there_vanishes() {
        let found = shares(&[(Outcome::NoEffect, 1_000_000), (Outcome::Wrong, 1), (Outcome::Panic, 0)]);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].1, found[1].2), (LEFT, RIGHT));
        assert!(found.iter().all(|(_, left, right)| right - left >= THINNEST));
        assert_eq!(found[0].2, found[1].1);
        assert!(shares(&[]).is_empty());
    }
}
