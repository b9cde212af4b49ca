//! The operator against boards that are a few lines long.

use super::super::task::{Until, Why};
use super::super::view::Seen;
use super::*;
use ChannelId::{A, B};
use tank::field_bus::ModeCode;
use twinstep::upgrade::Counts;

fn seen(mode: ModeCode, version: u32, step: Step) -> Seen {
    Seen { mode, step, ..Seen::booted(version, true, version) }
}

fn view(now: f64, a: Option<Seen>, b: Option<Seen>) -> View {
    View { now, latest: now as u32, owner: Some(A), boards: [a, b] }
}

fn in_duplex(now: f64, version: u32) -> View {
    let seen = seen(ModeCode::Duplex, version, Step::Idle);
    view(now, Some(seen), Some(seen))
}

fn in_step(now: f64, step: Step) -> View {
    view(now, Some(seen(ModeCode::Trial, 1, step)), Some(seen(ModeCode::Trial, 2, step)))
}

fn operator(tasks: &[Task]) -> Operator {
    Operator::new(vec![Round { name: "test", flavour: Flavour::Sound, tasks: tasks.to_vec() }], false)
}

#[test]
fn orders_go_to_both_boards_by_turns_and_are_noted() {
    let mut operator = operator(&[Task::Give(Order::Prepare), Task::Give(Order::Split)]);
    assert_eq!(operator.look(&in_duplex(1.0, 1)), Some(Act::Order(A, Order::Prepare)));
    assert_eq!(operator.look(&in_duplex(2.0, 1)), None);
    operator.answered(Order::Prepare, None);
    assert_eq!(operator.look(&in_duplex(3.0, 1)), Some(Act::Order(B, Order::Split)));
    operator.answered(Order::Split, None);
    assert_eq!(operator.look(&in_duplex(4.0, 1)), None);
    assert!(operator.is_done() && !operator.is_stuck());
    let orders = operator.into_figures().orders;
    assert_eq!(orders.iter().map(|given| (given.board, given.to_owner)).collect::<Vec<_>>(), [(A, true), (B, false)]);
}

#[test]
fn an_order_that_is_too_early_is_given_again_and_one_that_is_wrong_is_not() {
    let mut operator = operator(&[Task::Give(Order::Switchover)]);
    assert!(operator.look(&in_duplex(1.0, 1)).is_some());
    operator.answered(Order::Switchover, Some(Refusal::TrialNotDone { cycles_left: 3 }));
    assert_eq!(operator.look(&in_duplex(2.0, 1)), None);
    assert_eq!(operator.look(&in_duplex(4.0, 1)), None);
    assert!(operator.look(&in_duplex(5.0, 1)).is_some(), "after three periods");
    operator.answered(Order::Switchover, Some(Refusal::TrialFailed));
    assert_eq!(operator.look(&in_duplex(6.0, 1)), None);
    assert!(operator.is_stuck());
}

#[test]
fn an_order_without_an_answer_is_given_again() {
    let mut operator = operator(&[Task::Give(Order::Prepare)]);
    assert!(operator.look(&in_duplex(1.0, 1)).is_some());
    assert_eq!(operator.look(&in_duplex(12.0, 1)), None);
    assert!(operator.look(&in_duplex(13.0, 1)).is_some());
}

#[test]
fn a_refusal_has_to_come_and_for_the_right_reason() {
    let task = Task::Refused(Order::Prepare, Why::NoCandidate);
    for (answer, is_fine) in [
        (Some(Refusal::NotReady(NotReady::NO_CANDIDATE | NotReady::UNSETTLED)), true),
        (Some(Refusal::NotReady(NotReady::FAULT_LATCHED)), false),
        (Some(Refusal::TrialFailed), false),
        (None, false),
    ] {
        let mut operator = operator(&[task]);
        assert!(operator.look(&in_duplex(1.0, 1)).is_some());
        operator.answered(Order::Prepare, answer);
        assert_eq!(operator.look(&in_duplex(2.0, 1)), None);
        assert_eq!(operator.is_stuck(), !is_fine, "{answer:?}");
        assert_eq!(operator.into_figures().orders[0].refused_as_due, is_fine);
    }
}

#[test]
fn what_does_not_happen_is_not_waited_for_for_ever() {
    let mut operator = operator(&[Task::Wait(Until::OnNew)]);
    assert_eq!(operator.look(&in_duplex(1.0, 1)), None);
    assert_eq!(operator.look(&in_duplex(250.0, 1)), None);
    assert!(!operator.is_stuck());
    assert_eq!(operator.look(&in_duplex(252.0, 1)), None);
    assert!(operator.is_stuck());
}

#[test]
fn the_way_on_and_the_way_back_from_each_step() {
    let next = |goal, step| next_order(goal, &in_step(1.0, step));
    let of = |goal| Step::ALL.map(|step| next(goal, step));
    // idle, prepare, split, old drives, switchover, new drives, commit, merge, abort
    let (split, abort) = (Some(Order::Split), Some(Order::Abort));
    assert_eq!(of(Goal::On), [None, split, None, None, None, None, None, None, None], "the trial is not over");
    assert_eq!(of(Goal::Back), [None, abort, abort, abort, None, abort, None, None, None]);
    assert_eq!(next_order(Goal::On, &in_duplex(1.0, 1)), Some(Order::Prepare));
    assert_eq!(next_order(Goal::On, &in_duplex(1.0, 2)), None);
    let ready = Seen { is_ready: true, ..seen(ModeCode::Trial, 1, Step::OldDrives) };
    assert_eq!(next_order(Goal::On, &view(1.0, Some(ready), None)), Some(Order::Switchover));
    // The new version serves alone: there is nobody to compare it with.
    let alone = seen(ModeCode::Simplex, 2, Step::NewDrives);
    let waits = seen(ModeCode::Starting, 1, Step::NewDrives);
    for other in [None, Some(waits)] {
        assert_eq!(next_order(Goal::On, &view(1.0, Some(alone), other)), Some(Order::Commit));
    }
}

#[test]
fn with_no_way_back_the_operator_goes_on() {
    let mut operator = operator(&[Task::Reach(Goal::Back)]);
    let alone = view(1.0, Some(seen(ModeCode::Simplex, 2, Step::NewDrives)), None);
    assert_eq!(operator.look(&alone), Some(Act::Order(A, Order::Abort)));
    operator.answered(Order::Abort, Some(Refusal::NoWayBack));
    assert_eq!(operator.look(&View { now: 2.0, ..alone }), None);
    assert_eq!(operator.look(&View { now: 3.0, ..alone }), Some(Act::Order(A, Order::Commit)));
    operator.answered(Order::Commit, None);
    assert_eq!(operator.look(&View { now: 4.0, ..alone }), None);
    assert_eq!(operator.look(&in_duplex(30.0, 2)), None);
    assert!(operator.is_done() && !operator.is_stuck());
}

#[test]
fn a_half_that_was_killed_is_followed_up() {
    let mut operator = operator(&[Task::Kill(Half::Owner), Task::Reach(Goal::Back)]);
    assert_eq!(operator.look(&in_duplex(1.0, 1)), Some(Act::Kill(A)));
    assert_eq!(operator.look(&in_duplex(2.0, 1)), None);
    operator.killed(A, Some(Step::Idle));
    let alone = View { owner: Some(B), ..view(3.0, None, Some(seen(ModeCode::Simplex, 1, Step::Idle))) };
    assert_eq!(operator.look(&alone), None);
    operator.drove(B, 1);
    assert_eq!(operator.look(&in_duplex(14.0, 1)), None);
    let killed = operator.into_figures().killed.unwrap();
    assert_eq!((killed.served_on, killed.duplex_at, killed.ended_at), (Some((B, 1)), Some(14.0), Some(14.0)));
}

#[test]
fn a_floor_that_rises_before_both_have_confirmed_is_noted() {
    let new = |is_confirmed, floor| Some(Seen { is_confirmed, floor, ..seen(ModeCode::Duplex, 2, Step::Idle) });
    for (a, b, too_early) in [
        (new(true, 2), new(true, 1), false),
        (new(true, 2), new(false, 1), true),
        (new(true, 2), Some(seen(ModeCode::Joining, 1, Step::Idle)), true),
        (new(true, 1), new(false, 1), false),
    ] {
        let mut operator = operator(&[Task::Rest(10)]);
        operator.look(&view(1.0, a, b));
        assert_eq!(operator.into_figures().floor_too_early, too_early);
    }
}

#[test]
fn both_trials_are_counted_by_the_new_version() {
    let mut operator = operator(&[Task::Rest(100)]);
    let counts = |cycles, differing| Counts { cycles, tolerated: 1, differing };
    let new = |step, counts| Some(Seen { counts, ..seen(ModeCode::Trial, 2, step) });
    operator.look(&in_duplex(0.0, 1));
    for (step, cycles, differing) in
        [(Step::OldDrives, 5, 0), (Step::OldDrives, 9, 0), (Step::NewDrives, 3, 0), (Step::Abort, 4, 1)]
    {
        let old = Some(Seen { counts: counts(cycles + 100, 7), ..seen(ModeCode::Trial, 1, step) });
        operator.look(&view(1.0, old, new(step, counts(cycles, differing))));
    }
    let round = operator.into_figures().rounds.remove(0);
    assert_eq!((round.old_drives.cycles, round.old_drives.differing), (9, 0));
    assert_eq!((round.new_drives.cycles, round.new_drives.differing), (4, 1));
}
