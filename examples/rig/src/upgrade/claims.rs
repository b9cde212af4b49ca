//! What is claimed of the upgrade scenarios.

use super::books::{RoundFigures, UpgradeFigures};
use super::cell::Cell;
use super::flavour::{Flavour, OLD_VERSION};
use crate::judge::Figures;
use crate::scenario::{Claim, Ending, Kind, Plan, claim, gap_claim};
use tank::field_bus::ModeCode;
use twinstep::upgrade::{Order, Step};

/// The number with which the version that takes no state over says so.
const UNWILLING: u16 = tank::Refusal::Unwilling as u16;

/// The steps of an upgrade that goes through.
const WAY: [Step; 8] = [
    Step::Prepare,
    Step::Split,
    Step::OldDrives,
    Step::Switchover,
    Step::NewDrives,
    Step::Commit,
    Step::Merge,
    Step::Idle,
];

/// Returns what is claimed of a run, and whether it held.
pub(crate) fn claims(plan: &Plan, figures: &Figures, ending: &Ending) -> Vec<Claim> {
    if plan.kind == Kind::UpgradeFaults {
        return of_faults(plan, figures);
    }
    let none = UpgradeFigures::default();
    let upgrade = figures.upgrade.as_ref().unwrap_or(&none);
    let mut claims = vec![
        claim(format!("at least {} cycles reached the plant", plan.cycles), figures.cycles >= plan.cycles),
        claim("missing 0", figures.missing == 0),
        claim("wrong 0", figures.wrong == 0),
        claim("unvoted_in_duplex 0", figures.unvoted_in_duplex == 0),
        claim("safe outputs 0", figures.safe == 0),
        claim("owners_max 1", figures.owners_max == 1),
        claim("blackout_cycles 0", figures.blackout_cycles == 0),
        claim("no output after one of a later cycle", figures.went_back == 0),
        claim("no board drove without the lease", figures.cut_off == 0),
        gap_claim(figures),
        claim("the state was never lost", figures.states_lost == 0),
        claim("each order was carried out, or refused where it had to be", upgrade.stuck.is_none()),
    ];
    match plan.kind {
        Kind::Upgrade => claims.extend(of_upgrade(upgrade)),
        Kind::Rollback => claims.extend(of_rollback(upgrade)),
        _ => {}
    }
    claims.push(claim("duplex at the end", ending.modes == [Some(ModeCode::Duplex); 2]));
    claims
}

fn of_upgrade(upgrade: &UpgradeFigures) -> Vec<Claim> {
    let refused = |order: Order| upgrade.orders.iter().any(|given| given.order == order && given.refused_as_due);
    let done =
        |to_owner: bool| upgrade.orders.iter().any(|given| given.to_owner == to_owner && given.refused.is_none());
    let new = Flavour::Sound.version();
    let round = upgrade.rounds.first().cloned().unwrap_or_default();
    let RoundFigures { old_drives, new_drives, driven_by_new, .. } = round;
    vec![
        claim("an upgrade without an image to restart into was refused, with the reason", refused(Order::Prepare)),
        claim("a switchover before the trial was over was refused", refused(Order::Switchover)),
        claim("a commit before its time was refused", refused(Order::Commit)),
        claim("orders were carried out that came by either board", done(true) && done(false)),
        claim("each step came, and in its order", came_in_order(upgrade)),
        claim(
            "version 2 stepped beside version 1, and was alike in every cycle",
            old_drives.cycles >= super::TRIAL_CYCLES && old_drives.differing == 0,
        ),
        claim(
            "then version 2 drove and version 1 stepped beside it, alike in every cycle",
            driven_by_new >= super::TRIAL_CYCLES
                && new_drives.cycles >= super::TRIAL_CYCLES
                && new_drives.differing == 0,
        ),
        claim("both boards run version 2", upgrade.versions == [Some(new); 2]),
        claim("and confirmed it", upgrade.confirmed == [true; 2]),
        claim(
            "older versions are refused since both had, and not before",
            upgrade.floors == [new; 2] && !upgrade.floor_too_early,
        ),
    ]
}

/// Whether the boards came to the steps in this order. A half that restarts knows of none in between.
fn came_in_order(upgrade: &UpgradeFigures) -> bool {
    let mut steps = upgrade.steps.iter().map(|stepped| stepped.to);
    WAY.into_iter().all(|due| steps.any(|step| step == due))
}

fn of_rollback(upgrade: &UpgradeFigures) -> Vec<Claim> {
    let round = |name: &str| upgrade.rounds.iter().find(|round| round.name == name).cloned().unwrap_or_default();
    let at_once = round("wrong at once");
    let later = round("wrong later");
    let ordered = round("ordered back");
    let refused = round("not taken over");
    let is_back = upgrade.rounds.iter().all(|round| round.ended_on == Some(OLD_VERSION));
    let switchover_refused =
        upgrade.orders.iter().any(|given| given.order == Order::Switchover && given.refused_as_due);
    vec![
        claim("a version that is wrong at once was found in the trial", at_once.old_drives.differing > 0),
        claim("it was not let drive, and never drove", switchover_refused && at_once.driven_by_new == 0),
        claim(
            "a version that goes wrong later passed its trial, and drove",
            later.old_drives.differing == 0 && later.driven_by_new > 0,
        ),
        claim("it was found as it drove, and went back by itself", later.new_drives.differing > 0 && later.aborts == 0),
        claim("a sound version that drove went back when ordered", ordered.driven_by_new > 0 && ordered.aborts == 1),
        claim(
            "a version that takes no state over went back by itself",
            refused.cannot_migrate == Some(UNWILLING) && refused.driven_by_new == 0 && refused.aborts == 0,
        ),
        claim("each time in duplex on version 1 again", upgrade.rounds.len() == 4 && is_back),
        claim("no older version was ever refused", upgrade.floors.iter().all(|floor| *floor <= OLD_VERSION)),
    ]
}

fn of_faults(plan: &Plan, figures: &Figures) -> Vec<Claim> {
    let (count, what) = match plan.only {
        Some(row) => (1, format!("the half of row {row} was killed")),
        None => (Cell::COUNT, "each half was killed in each step".to_owned()),
    };
    let cells = &figures.cells;
    let redundant = || cells.iter().filter(|cell| cell.is_redundant);
    vec![
        claim(what, cells.len() == count && cells.iter().all(|cell| cell.killed.is_some())),
        claim("wrong 0", figures.wrong == 0),
        claim("unvoted_in_duplex 0", figures.unvoted_in_duplex == 0),
        claim("safe outputs 0", figures.safe == 0),
        claim("owners_max 1", figures.owners_max == 1),
        claim("no output after one of a later cycle", figures.went_back == 0),
        claim("no board drove without the lease", figures.cut_off == 0),
        claim(
            "no cycle without an output where both halves may have the state",
            redundant().all(|cell| cell.blackout_cycles == 0 && cell.states_lost == 0),
        ),
        claim(
            "each time in duplex on one version again",
            !cells.is_empty() && cells.iter().all(|cell| cell.version.is_some() && cell.ended_after_periods.is_some()),
        ),
        claim("what is claimed of each cell held", cells.iter().all(super::CellFigures::holds)),
    ]
}

#[cfg(test)]
mod tests;
