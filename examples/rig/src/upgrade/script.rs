//! The tasks of the scenarios.

use super::cell::Cell;
use super::flavour::Flavour;
use super::task::{Half, Task, Until, Why};
use crate::scenario::{Kind, Plan};
use twinstep::upgrade::{Order, Step};

/// One upgrade from beginning to end.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) name: &'static str,
    /// The version 2 that it is about.
    pub(crate) flavour: Flavour,
    pub(crate) tasks: Vec<Task>,
}

/// Periods in duplex before an upgrade begins: the probation of a half that has joined is over.
const CALM_PERIODS: u32 = 12;

/// Returns the upgrades of a scenario, one after the other.
pub(crate) fn rounds(plan: &Plan) -> Vec<Round> {
    match (plan.kind, plan.cell) {
        (Kind::Upgrade, _) => vec![upgrade()],
        (Kind::Rollback, _) => vec![wrong_at_once(), wrong_later(), ordered_back(), not_taken_over()],
        (Kind::UpgradeFaults, Some(cell)) => vec![fault(cell)],
        _ => Vec::new(),
    }
}

fn upgrade() -> Round {
    let tasks = [
        &[Task::Wait(Until::OnOld), Task::Rest(CALM_PERIODS), Task::Forgive][..],
        &[Task::Refused(Order::Prepare, Why::NoCandidate), Task::Refused(Order::Switchover, Why::OutOfOrder)],
        &[Task::Offer(Flavour::Sound), Task::Give(Order::Prepare), Task::Refused(Order::Commit, Why::OutOfOrder)],
        &[Task::Give(Order::Split), Task::Wait(Until::Step(Step::OldDrives))],
        &[Task::Refused(Order::Switchover, Why::TrialNotDone), Task::Wait(Until::Ready), Task::Rest(10)],
        &[Task::Give(Order::Switchover), Task::Wait(Until::Step(Step::NewDrives)), Task::Wait(Until::Ready)],
        &[Task::Rest(10), Task::Give(Order::Commit), Task::Wait(Until::OnNew), Task::Rest(CALM_PERIODS)],
    ];
    Round { name: "upgrade", flavour: Flavour::Sound, tasks: tasks.concat() }
}

/// From duplex on version 1 to the trial in which that drives, or to where it fails to begin.
fn to_split(flavour: Flavour) -> Vec<Task> {
    let tasks = [
        &[Task::Wait(Until::OnOld), Task::Rest(CALM_PERIODS), Task::Forgive, Task::Offer(flavour)][..],
        &[Task::Give(Order::Prepare), Task::Give(Order::Split)],
    ];
    tasks.concat()
}

fn to_switchover(flavour: Flavour) -> Vec<Task> {
    let more = [
        Task::Wait(Until::Step(Step::OldDrives)),
        Task::Wait(Until::Ready),
        Task::Give(Order::Switchover),
        Task::Wait(Until::Step(Step::NewDrives)),
    ];
    [&to_split(flavour)[..], &more].concat()
}

fn wrong_at_once() -> Round {
    let more = [
        Task::Wait(Until::Step(Step::OldDrives)),
        Task::Wait(Until::Failed),
        Task::Rest(5),
        Task::Refused(Order::Switchover, Why::TrialFailed),
        Task::Give(Order::Abort),
        Task::Wait(Until::OnOld),
    ];
    let tasks = [&to_split(Flavour::Reversed)[..], &more].concat();
    Round { name: "wrong at once", flavour: Flavour::Reversed, tasks }
}

/// Nobody orders it back: it goes by itself.
fn wrong_later() -> Round {
    let tasks = [&to_switchover(Flavour::Overflowing)[..], &[Task::Wait(Until::OnOld)]].concat();
    Round { name: "wrong later", flavour: Flavour::Overflowing, tasks }
}

fn ordered_back() -> Round {
    let more = [Task::Rest(15), Task::Give(Order::Abort), Task::Wait(Until::OnOld)];
    let tasks = [&to_switchover(Flavour::Sound)[..], &more].concat();
    Round { name: "ordered back", flavour: Flavour::Sound, tasks }
}

fn not_taken_over() -> Round {
    // It comes back in version 1 by itself.
    let more = [Task::Wait(Until::Step(Step::Split)), Task::Wait(Until::OnOld), Task::Rest(CALM_PERIODS)];
    let tasks = [&to_split(Flavour::Refusing)[..], &more].concat();
    Round { name: "not taken over", flavour: Flavour::Refusing, tasks }
}

/// Up to the step, in which a half is killed, and on or back from there.
fn fault(cell: Cell) -> Round {
    let Cell { step, half, goal, .. } = cell;
    // The half that does not own and restarts is killed once it is back.
    let is_back = if half == Half::Other { &[Task::Wait(Until::Joining)][..] } else { &[] };
    let mut tasks = vec![Task::Wait(Until::OnOld), Task::Rest(CALM_PERIODS), Task::Forgive];
    tasks.extend([Task::Offer(Flavour::Sound), Task::Give(Order::Prepare)]);
    let way: [(Step, &[Task]); 7] = [
        (Step::Prepare, &[]),
        (Step::Split, &[Task::Give(Order::Split)]),
        // By then the new version's probation is over: before that it may not take over.
        (Step::OldDrives, &[Task::Wait(Until::Step(Step::OldDrives)), Task::Wait(Until::Ready)]),
        (Step::Switchover, &[Task::Give(Order::Switchover)]),
        (Step::NewDrives, &[Task::Wait(Until::Step(Step::NewDrives)), Task::Wait(Until::Ready)]),
        (Step::Commit, &[Task::Give(Order::Commit)]),
        (Step::Merge, &[Task::Wait(Until::Step(Step::Merge))]),
    ];
    for (at, more) in way {
        let is_past = step == Step::Abort && at == Step::Commit;
        if is_past {
            break;
        }
        tasks.extend(more);
        if at == step {
            break;
        }
    }
    if step == Step::Abort {
        tasks.extend([Task::Give(Order::Abort), Task::Wait(Until::OldOwns)]);
    }
    if matches!(step, Step::Split | Step::Merge | Step::Abort) {
        tasks.extend(is_back);
    }
    tasks.extend([Task::Kill(half), Task::Reach(goal)]);
    Round { name: "fault", flavour: Flavour::Sound, tasks }
}
