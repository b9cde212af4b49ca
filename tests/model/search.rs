//! Breadth first over all states, so that the first path found to a violation is a shortest one.

use super::choice::{Broken, Choice, choices, describe, is_early};
use super::fair;
use super::ghost::Violation;
use super::world::{Setup, World};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

/// A fingerprint is its own hash.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a search came to.
pub struct Found {
    pub states: usize,
    pub transitions: u64,
    pub futures: u64,
    /// The most periods that a pair takes to serve again once the faults are over.
    pub periods: u32,
    pub seconds: f32,
    pub broken: Option<Broken>,
    /// Every state was looked at.
    pub is_complete: bool,
}

/// How states are looked at.
#[derive(Clone, Copy)]
pub struct Plan {
    pub setup: Setup,
    /// The future of every nth state is judged,
    pub every: u64,
    /// and that of every nth after which only time could go on.
    pub every_last: u64,
    /// After so many states a search for what must be there ends.
    pub most: usize,
    /// Which faults there are.
    pub menu: fn(Choice) -> bool,
}

/// Explores all that can become of `start`.
pub fn explore(start: &World, plan: &Plan) -> Found {
    let began = Instant::now();
    let setup = &plan.setup;
    let mut seen: HashSet<u64, BuildHasherDefault<Identity>> = HashSet::default();
    let mut parents: Vec<(u32, Choice)> = vec![(0, Choice::Heal)];
    let mut frontier = VecDeque::from([(Box::new(start.clone()), 0_u32)]);
    let (mut transitions, mut futures, mut periods) = (0, 0, 0);
    let (mut broken, mut is_complete) = (None, true);
    seen.insert(start.fingerprint());
    'search: while let Some((world, id)) = frontier.pop_front() {
        let mut is_last = true;
        for choice in choices(&world).into_iter().filter(|choice| (plan.menu)(*choice)) {
            let mut next: Box<World> = world.clone(); // in a box: what is kept is moved as a pointer
            match step(&mut next, setup, choice, &mut None) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(violation) => {
                    broken = Some(Broken { violation, path: path_to(&parents, id, choice) });
                    break 'search;
                }
            }
            transitions += 1;
            is_last &= matches!(choice, Choice::Heal | Choice::Speak | Choice::Restart { .. });
            if seen.insert(next.fingerprint()) {
                parents.push((id, choice));
                frontier.push_back((next, parents.len() as u32 - 1));
            }
        }
        let draw = world.fingerprint() >> 7;
        if draw.is_multiple_of(plan.every) || is_last && draw.is_multiple_of(plan.every_last) {
            futures += 1;
            match fair::judge(&world, setup, &mut None) {
                Ok(took) => periods = periods.max(took),
                Err(violation) => {
                    let (parent, choice) = parents[id as usize];
                    let path = if id == 0 { Vec::new() } else { path_to(&parents, parent, choice) };
                    broken = Some(Broken { violation, path });
                    break;
                }
            }
        }
        if seen.len() > plan.most {
            is_complete = false;
            break;
        }
    }
    Found {
        states: seen.len(),
        transitions,
        futures,
        periods,
        seconds: began.elapsed().as_secs_f32(),
        broken,
        is_complete,
    }
}

fn step(world: &mut World, setup: &Setup, choice: Choice, log: &mut Option<String>) -> Result<bool, Violation> {
    if let Choice::Wake { at, .. } = choice
        && let Some(time) = world.wake_at(at)
        && is_early(world, at, time)
    {
        world.fires_early();
    }
    world.apply(setup, choice, log)
}

fn path_to(parents: &[(u32, Choice)], mut id: u32, last: Choice) -> Vec<Choice> {
    let mut path = vec![last];
    while id != 0 {
        let (parent, choice) = parents[id as usize];
        path.push(choice);
        id = parent;
    }
    path.reverse();
    path
}

/// Tells a path, a line a choice, and what comes after it.
pub fn tell(start: &World, setup: &Setup, broken: &Broken) -> String {
    let mut world = start.clone();
    let mut log = Some(format!("{}\n{setup:?}", broken.violation));
    for (number, choice) in broken.path.iter().enumerate() {
        let words = describe(*choice, &world);
        log.as_mut().unwrap().push_str(&format!("\n{number:3} {words}"));
        let done = step(&mut world, setup, *choice, &mut log);
        let modes = world.modes().map(|mode| mode.map_or("dead".into(), |mode| format!("{mode:?}")));
        log.as_mut().unwrap().push_str(&format!("  [{} {}]", modes[0], modes[1]));
        if let Err(violation) = done {
            log.as_mut().unwrap().push_str(&format!("\n => {violation}"));
            return log.unwrap();
        }
    }
    if let Err(violation) = fair::judge(&world, setup, &mut log) {
        log.as_mut().unwrap().push_str(&format!("\n => {violation}"));
    }
    log.unwrap()
}
