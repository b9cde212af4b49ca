//! Each claim fails when what it claims is violated.

use super::super::books::{Ordered, Stepped, Tried};
use super::super::cell::CellFigures;
use super::super::task::{Goal, Half};
use super::*;
use crate::scenario::LONGEST_GAP_US;
use twinstep::ChannelId::{A, B};

fn plan(kind: Kind) -> Plan {
    Plan::new(kind, 1, 100)
}

fn ending(is_in_duplex: bool) -> Ending {
    let mode = if is_in_duplex { ModeCode::Duplex } else { ModeCode::Simplex };
    Ending { modes: [Some(mode); 2], link_changes: 0, one_stood_by: false, checks_link_overhead: false }
}

fn order(order: Order, to_owner: bool, is_refused: bool) -> Ordered {
    let refused = is_refused.then(|| "no".to_owned());
    Ordered { cycle: 1, order, board: if to_owner { A } else { B }, to_owner, refused, refused_as_due: is_refused }
}

fn sound(upgrade: UpgradeFigures) -> Figures {
    Figures { cycles: 100, owners_max: 1, longest_gap_us: Some(1), upgrade: Some(upgrade), ..Figures::default() }
}

fn upgraded() -> UpgradeFigures {
    let trial = Tried { cycles: 20, tolerated: 3, differing: 0 };
    let round = RoundFigures { old_drives: trial, new_drives: trial, driven_by_new: 40, ..RoundFigures::default() };
    let steps = WAY.map(|to| Stepped { cycle: 1, board: A, to });
    UpgradeFigures {
        orders: vec![
            order(Order::Prepare, true, true),
            order(Order::Switchover, false, true),
            order(Order::Commit, false, true),
            order(Order::Prepare, true, false),
            order(Order::Split, false, false),
        ],
        steps: steps.into(),
        rounds: vec![round],
        versions: [Some(2); 2],
        confirmed: [true; 2],
        floors: [2; 2],
        ..UpgradeFigures::default()
    }
}

fn rolled_back() -> UpgradeFigures {
    let differing = Tried { cycles: 5, tolerated: 0, differing: 1 };
    let round = |name| RoundFigures { name, ended_on: Some(OLD_VERSION), ..RoundFigures::default() };
    UpgradeFigures {
        orders: vec![order(Order::Switchover, true, true)],
        rounds: vec![
            RoundFigures { old_drives: differing, aborts: 1, ..round("wrong at once") },
            RoundFigures { new_drives: differing, driven_by_new: 9, ..round("wrong later") },
            RoundFigures { driven_by_new: 9, aborts: 1, ..round("ordered back") },
            RoundFigures { cannot_migrate: Some(UNWILLING), ..round("not taken over") },
        ],
        ..UpgradeFigures::default()
    }
}

/// Checks that all claims hold of `sound`, and that each change breaks some.
fn check(kind: Kind, sound: &Figures, changes: &[fn(&mut Figures)]) {
    let failed = |figures: &Figures, ending: &Ending| -> Vec<String> {
        claims(&plan(kind), figures, ending).into_iter().filter(|claim| !claim.held).map(|claim| claim.claim).collect()
    };
    assert_eq!(failed(sound, &ending(true)), Vec::<String>::new());
    for (number, change) in changes.iter().enumerate() {
        let mut figures = sound.clone();
        change(&mut figures);
        assert_ne!(failed(&figures, &ending(true)), Vec::<String>::new(), "change {number}");
    }
}

fn upgrade_of(figures: &mut Figures) -> &mut UpgradeFigures {
    figures.upgrade.as_mut().unwrap()
}

const OF_ANY_RUN: [fn(&mut Figures); 13] = [
    |figures| figures.cycles = 99,
    |figures| figures.missing = 1,
    |figures| figures.wrong = 1,
    |figures| figures.unvoted_in_duplex = 1,
    |figures| figures.safe = 1,
    |figures| figures.owners_max = 2,
    |figures| figures.blackout_cycles = 1,
    |figures| figures.states_lost = 1,
    |figures| figures.went_back = 1,
    |figures| figures.cut_off = 1,
    |figures| figures.longest_gap_us = None,
    |figures| figures.longest_gap_us = Some(u64::from(LONGEST_GAP_US) + 1),
    |figures| upgrade_of(figures).stuck = Some("split was refused".to_owned()),
];

#[test]
fn of_an_upgrade() {
    let sound = sound(upgraded());
    check(Kind::Upgrade, &sound, &OF_ANY_RUN);
    check(
        Kind::Upgrade,
        &sound,
        &[
            |figures| upgrade_of(figures).orders[0].refused_as_due = false,
            |figures| upgrade_of(figures).orders[1].refused_as_due = false,
            |figures| upgrade_of(figures).orders[2].refused_as_due = false,
            |figures| upgrade_of(figures).orders.truncate(4),
            |figures| upgrade_of(figures).steps.swap(2, 3),
            |figures| upgrade_of(figures).steps[6].to = Step::Commit,
            |figures| upgrade_of(figures).rounds[0].old_drives.cycles = 19,
            |figures| upgrade_of(figures).rounds[0].old_drives.differing = 1,
            |figures| upgrade_of(figures).rounds[0].new_drives.cycles = 19,
            |figures| upgrade_of(figures).rounds[0].new_drives.differing = 1,
            |figures| upgrade_of(figures).rounds[0].driven_by_new = 19,
            |figures| upgrade_of(figures).versions[1] = Some(1),
            |figures| upgrade_of(figures).confirmed[0] = false,
            |figures| upgrade_of(figures).floors[1] = 1,
            |figures| upgrade_of(figures).floor_too_early = true,
        ],
    );
    assert!(claims(&plan(Kind::Upgrade), &sound, &ending(false)).iter().any(|claim| !claim.held));
}

#[test]
fn of_a_rollback() {
    let sound = sound(rolled_back());
    check(Kind::Rollback, &sound, &OF_ANY_RUN);
    check(
        Kind::Rollback,
        &sound,
        &[
            |figures| upgrade_of(figures).rounds[0].old_drives.differing = 0,
            |figures| upgrade_of(figures).rounds[0].driven_by_new = 1,
            |figures| upgrade_of(figures).orders.clear(),
            |figures| upgrade_of(figures).rounds[1].driven_by_new = 0,
            |figures| upgrade_of(figures).rounds[1].new_drives.differing = 0,
            |figures| upgrade_of(figures).rounds[1].old_drives.differing = 1,
            |figures| upgrade_of(figures).rounds[1].aborts = 1,
            |figures| upgrade_of(figures).rounds[2].aborts = 0,
            |figures| upgrade_of(figures).rounds[2].driven_by_new = 0,
            |figures| upgrade_of(figures).rounds[3].cannot_migrate = None,
            |figures| upgrade_of(figures).rounds[3].aborts = 1,
            |figures| upgrade_of(figures).rounds[2].ended_on = Some(2),
            |figures| drop(upgrade_of(figures).rounds.pop()),
            |figures| upgrade_of(figures).floors[0] = 2,
        ],
    );
}

#[test]
fn of_halves_that_are_killed() {
    let cell = |cell: Cell| CellFigures {
        is_redundant: cell.is_redundant(),
        cell,
        killed_in: Some(cell.step.to_string()),
        killed: Some(A),
        served_on: Some(B),
        served_on_version: Some(1),
        blackout_cycles: 0,
        silence_periods: 1.0,
        states_lost: u32::from(!cell.is_redundant()),
        wrong: 0,
        owners_max: 1,
        duplex_after_periods: Some(20.0),
        ended_after_periods: Some(30.0),
        version: Some(2),
        stuck: None,
    };
    let cells = Cell::all(1).into_iter().map(cell).collect();
    let sound = Figures { owners_max: 1, cells, ..Figures::default() };
    check(
        Kind::UpgradeFaults,
        &sound,
        &[
            |figures| drop(figures.cells.pop()),
            |figures| figures.cells[3].killed = None,
            |figures| figures.wrong = 1,
            |figures| figures.unvoted_in_duplex = 1,
            |figures| figures.safe = 1,
            |figures| figures.owners_max = 2,
            |figures| figures.cells[0].blackout_cycles = 1,
            |figures| figures.cells[0].states_lost = 1,
            |figures| figures.cells[5].version = None,
            |figures| figures.cells[5].ended_after_periods = None,
            |figures| figures.cells[2].wrong = 1,
            |figures| figures.cells[2].owners_max = 2,
        ],
    );
    let split = sound.cells.iter().find(|figures| figures.cell.step == Step::Split).unwrap();
    assert_eq!((split.cell.half, split.is_redundant), (Half::Owner, false));
    assert!(sound.cells.iter().any(|figures| figures.cell.goal == Goal::Back));
}
