//! What became of an upgrade, in lines.

use super::books::{RoundFigures, Tried, UpgradeFigures};
use super::cell::CellFigures;
use super::order_name;
use crate::judge::Figures;

/// Returns the lines of a report.
pub(crate) fn lines(figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(upgrade) = &figures.upgrade {
        lines.extend(orders(upgrade));
        lines.extend(upgrade.rounds.iter().map(round));
        if let Some(stuck) = &upgrade.stuck {
            lines.push(format!("the operator could not go on: {stuck}"));
        }
    }
    if !figures.cells.is_empty() {
        lines.push(format!(
            "{:<18} {:<6} {:<6} {:<10} {:>8} {:>8} {:>8}   {:<7} claim",
            "step", "killed", "served", "in version", "without", "duplex", "ended", "version"
        ));
        lines.extend(figures.cells.iter().map(cell));
    }
    lines
}

fn orders(upgrade: &UpgradeFigures) -> impl Iterator<Item = String> {
    upgrade.orders.iter().map(|given| {
        let whom = if given.to_owner { "which owned" } else { "which did not own" };
        let answer = given.refused.as_ref().map_or("done".to_owned(), |why| format!("refused: {why}"));
        format!("cycle {:>4}: {} to {}, {whom}: {answer}", given.cycle, order_name(given.order), given.board)
    })
}

fn round(round: &RoundFigures) -> String {
    let tried = |Tried { cycles, tolerated, differing }: Tried| {
        format!("{cycles} cycles, {tolerated} tolerated, {differing} not alike")
    };
    let ended = CellFigures::version_name(round.ended_on);
    let migrated = round.cannot_migrate.map_or(String::new(), |number| format!("; state refused with {number}"));
    let differed = round.first_difference.as_ref().map_or(String::new(), |what| format!("; first in {what}"));
    format!(
        "{}: version 2 beside version 1: {}; driving: {}; it drove {} outputs{migrated}{differed}; duplex on version {ended}",
        round.name,
        tried(round.old_drives),
        tried(round.new_drives),
        round.driven_by_new,
    )
}

fn cell(cell: &CellFigures) -> String {
    let board = |board: Option<twinstep::ChannelId>| board.map_or("-".to_owned(), |board| board.to_string());
    let half = match cell.cell.half {
        super::task::Half::Owner => "owner",
        super::task::Half::Other => "other",
    };
    let without = if cell.began_anew() { "anew".to_owned() } else { cell.blackout_cycles.to_string() };
    let after = |periods: Option<f64>| periods.map_or("never".to_owned(), |periods| format!("{periods:.0}"));
    let (duplex, ended) = (after(cell.duplex_after_periods), after(cell.ended_after_periods));
    let claim = match (cell.holds(), cell.is_redundant) {
        (false, _) => "FAILED",
        (true, true) => "ok",
        (true, false) => "ok, no redundancy",
    };
    let step = cell.cell.step.to_string();
    let by_then = cell.killed_in.as_ref().filter(|killed_in| **killed_in != step);
    let by_then = by_then.map_or(String::new(), |killed_in| format!("; by then in {killed_in}"));
    format!(
        "{:<18} {half:<6} {:<6} {:<10} {without:>8} {duplex:>8} {ended:>8}   {:<7} {claim}{by_then}{}",
        step,
        board(cell.served_on),
        CellFigures::version_name(cell.served_on_version),
        CellFigures::version_name(cell.version),
        cell.stuck.as_ref().map_or(String::new(), |stuck| format!(": {stuck}")),
    )
}
