//! What becomes of a state once the faults are over: the link heals, every frame arrives at
//! once, both clocks run alike. Outside of a safe state the pair gets on.

use super::arbiter::Kind;
use super::choice::{Choice, choices};
use super::ghost::{Promise, Violation};
use super::world::{PERIOD_US, Setup, World};
use twinstep::{Faults, Mode, Site};

/// Periods that a pair is given to get on: a silent joiner or donor is given up after ten.
const PERIODS: u32 = 32;

/// Judges the future of a state without further faults.
///
/// Returns after how many periods it serves as it then does for good.
///
/// # Errors
/// The invariant that broke, or how the pair is stuck.
pub fn judge(world: &World, setup: &Setup, log: &mut Option<String>) -> Result<u32, Violation> {
    let mut world = world.clone();
    world.changed_after_us = 0;
    match judge_all(&mut world, setup, log) {
        Err(violation) if setup.promise != Promise::Lineages || violation.starts_with("I4") => Err(violation),
        _ => Ok((world.changed_after_us as u32).div_ceil(PERIOD_US)),
    }
}

fn judge_all(world: &mut World, setup: &Setup, log: &mut Option<String>) -> Result<(), Violation> {
    world.arbiter.is_silent = false;
    world.arbiter.misread = [false; 2];
    world.is_cut = false;
    world.late.iter_mut().for_each(Vec::clear);
    world.horizon = u64::MAX;
    world.told = [Faults::empty(); 2];
    let owner_died = is_ownerless(world);
    run(world, setup, log)?;
    if world.is_out_of_promise {
        return Ok(());
    }
    if world.modes().contains(&Some(Mode::Safe)) {
        return judge_safe(world); // latched: only a person leads out of it
    }
    let dead: Vec<usize> = (0..2).filter(|at| world.nodes[*at].is_none()).collect();
    if let [dead] = dead[..] {
        let survivor = 1 - dead;
        let must_serve = world.ghost.must_keep && !(matches!(setup.arbiter, Kind::Preferred(_)) && owner_died);
        let served = serves(world, setup, log)?;
        if must_serve && !served {
            return Err("the survivor of a single fault does not serve");
        }
        // A verdict against the dead one is kept until it says that it has let go.
        if !served && world.mode(survivor) == Some(Mode::Duplex) && !world.ghost.condemns_other(survivor) {
            return Err("a channel waits for a dead one for good");
        }
    }
    for dead in dead {
        world.apply(setup, Choice::Restart { at: dead }, log)?;
    }
    run(world, setup, log)?;
    let served = serves(world, setup, log)?;
    match world.modes() {
        _ if world.is_out_of_promise => Ok(()),
        modes if modes.contains(&Some(Mode::Safe)) => judge_safe(world),
        [Some(Mode::Duplex), Some(Mode::Duplex)] if served => Ok(()),
        _ if world.ghost.is_split() => {
            let is_told = world.told.iter().all(|told| told.contains(Faults::SPLIT_BRAIN));
            if is_told { Ok(()) } else { Err("I4: a split brain is not reported by both") }
        }
        _ if served && world.permanent().is_some() => Ok(()), // without the broken one
        _ if served => Err("the pair does not come back to duplex"),
        _ => Err("the pair does not get on"),
    }
}

/// What nobody can attribute stops both, unless something else went wrong.
fn judge_safe(world: &World) -> Result<(), Violation> {
    match world.permanent() {
        Some(Site::StuckOutput) if !world.is_orderly || world.modes() == [Some(Mode::Safe); 2] => Ok(()),
        Some(Site::StuckOutput) => Err("one channel is safe and the other one is not"),
        Some(_) if world.is_orderly => Err("a failing channel stopped the other one"),
        _ => Ok(()), // judged when it came
    }
}

/// Whether no living channel has the right to go on alone by the rule without hardware.
fn is_ownerless(world: &World) -> bool {
    !(0..2).any(|at| world.owns(at))
}

/// Runs a few periods more and tells whether outputs are driven in them.
fn serves(world: &mut World, setup: &Setup, log: &mut Option<String>) -> Result<bool, Violation> {
    let before = world.driven;
    run_periods(world, setup, 4, log)?;
    Ok(world.driven - before >= 3)
}

fn run(world: &mut World, setup: &Setup, log: &mut Option<String>) -> Result<(), Violation> {
    run_periods(world, setup, PERIODS, log)
}

/// Runs fairly for so many periods.
pub fn run_periods(world: &mut World, setup: &Setup, periods: u32, log: &mut Option<String>) -> Result<(), Violation> {
    let all = u64::from(periods * PERIOD_US);
    let (mut left, mut in_a_row, mut modes) = (all, 0, world.modes());
    for _ in 0..periods * 60 {
        step(world, setup, &mut left, &mut in_a_row, log)?;
        if world.modes() != modes {
            modes = world.modes();
            world.changed_after_us = world.changed_after_us.max(all - left);
        }
        if left == 0 || world.is_out_of_promise {
            return Ok(());
        }
    }
    Err("a channel asks to be polled again and again")
}

/// Frames that may answer each other before time passes or a channel changes its mode: a difference, the leaving of a
/// channel and its return may follow each other at once on a link that takes no time, and are no endless exchange.
const MOST_IN_A_ROW: u32 = 24;

/// Lets one thing happen: the next frame, else the next timer of both.
fn step(
    world: &mut World,
    setup: &Setup,
    left: &mut u64,
    in_a_row: &mut u32,
    log: &mut Option<String>,
) -> Result<(), Violation> {
    for to in 0..2 {
        if world.nodes[to].is_none() {
            world.towards[to].clear();
        }
        if !world.towards[to].is_empty() {
            *in_a_row += 1;
            if *in_a_row > MOST_IN_A_ROW {
                return Err("frames go to and fro without end");
            }
            if world.mode(to) != Some(Mode::Duplex) {
                // Its clock shows the same; if it stands further back it had nothing to do meanwhile.
                let now = world.now[1 - to].min(world.wake_at(to).unwrap_or(0));
                world.now[to] = world.now[to].max(now);
            }
            let before = world.modes();
            told(world, setup, Choice::Deliver { to, dies: false }, log)?;
            if world.modes() != before {
                *in_a_row = 0;
            }
            return Ok(());
        }
    }
    // Both clocks show the same.
    let next = (0..2).filter_map(|at| Some((world.wake_at(at)?, at))).min();
    let now = world.now[0].max(world.now[1]);
    let Some((time, at)) = next.filter(|(time, _)| time.saturating_sub(now) <= *left) else {
        *left = 0;
        return Ok(());
    };
    *left -= time.saturating_sub(now);
    *in_a_row = 0;
    told(world, setup, Choice::Wake { at, dies: false }, log)
}

fn told(world: &mut World, setup: &Setup, choice: Choice, log: &mut Option<String>) -> Result<(), Violation> {
    if let Some(log) = log {
        let words = super::choice::describe(choice, world);
        log.push_str(&format!("\n    then {words}"));
    }
    world.apply(setup, choice, log).map(|_| ())
}

/// Boots a pair without faults, up to a quiet moment in duplex after two cycles.
pub fn in_duplex(setup: &Setup) -> World {
    let mut world = World::booted(setup);
    world.horizon = u64::MAX;
    let (mut left, mut in_a_row) = (u64::MAX, 0);
    for _ in 0..1000 {
        step(&mut world, setup, &mut left, &mut in_a_row, &mut None).unwrap();
        let settled = world.nodes.iter().flatten().all(|node| node.settled_cycle().is_some_and(|cycle| cycle.0 == 2));
        let quiet = world.towards.iter().all(Vec::is_empty);
        if world.modes() == [Some(Mode::Duplex); 2] && settled && quiet {
            let first = (0..2).filter_map(|at| world.wake_at(at)).min().unwrap_or_default();
            world.horizon = first + u64::from(setup.cycles * PERIOD_US);
            assert!(!choices(&world).is_empty());
            return world;
        }
    }
    panic!("no duplex without a fault: {:?}", world.modes());
}
