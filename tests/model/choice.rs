//! What the environment may do next.

use super::ghost::Violation;
use super::world::{PERIOD_US, WINDOW_US, World};
use twinstep::{Mode, Site};

/// One thing that happens; channels by number, 0 for A and 1 for B.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// The next timer of a channel fires; it may die before it drives what comes of it.
    Wake { at: usize, dies: bool },
    /// The next frame arrives; likewise.
    Deliver { to: usize, dies: bool },
    /// A frame that was held up or repeated arrives, out of order.
    DeliverLate { to: usize },
    /// The next frame arrives with a flipped bit.
    Garbled { to: usize },
    /// The next frame is held up: it comes at any time later, or never.
    HoldUp { to: usize },
    /// The next frame arrives, and once more at any time later, or never.
    Repeat { to: usize },
    /// A channel stops dead.
    Crash { at: usize },
    /// A dead channel boots, empty, with a new nonce.
    Restart { at: usize },
    /// The link is cut; what was on its way is lost.
    Cut,
    /// The link is there again.
    Heal,
    /// The arbiter falls silent: it answers no claim and cannot be read.
    Silence,
    /// It answers again.
    Speak,
    /// In its next turn a channel reads that it does not own.
    Misread { at: usize },
    /// A bit flips; of a joiner's working memory in the copied one.
    Flip { at: usize, site: Site },
}

/// Frames on their way in one direction, at most: the link has to deliver before more is sent.
const MOST_IN_FLIGHT: usize = 4;

/// Returns all that may happen next.
pub fn choices(world: &World) -> Vec<Choice> {
    let mut all = Vec::with_capacity(24);
    let may_wake = [0, 1].map(|at| may_wake(world, at));
    let is_faulty = world.faults_left > 0;
    for (at, may_wake) in may_wake.into_iter().enumerate() {
        if may_wake {
            all.push(Choice::Wake { at, dies: false });
            if is_faulty {
                all.push(Choice::Wake { at, dies: true });
            }
        }
        let is_alive = world.nodes[at].is_some();
        if !world.towards[at].is_empty() && is_alive {
            all.push(Choice::Deliver { to: at, dies: false });
            if is_faulty {
                all.extend([Choice::Deliver { to: at, dies: true }, Choice::HoldUp { to: at }]);
                all.extend([Choice::Repeat { to: at }, Choice::Garbled { to: at }]);
            }
        }
        if !world.late[at].is_empty() && is_alive {
            all.push(Choice::DeliverLate { to: at });
        }
        if !is_alive {
            all.push(Choice::Restart { at });
        } else if is_faulty {
            all.push(Choice::Crash { at });
        }
        if is_alive && world.flips_left > 0 {
            let flips = world.sites.iter().filter(|site| may_flip(world, at, **site));
            all.extend(flips.map(|site| Choice::Flip { at, site: *site }));
        }
    }
    if world.arbiter.is_silent {
        all.push(Choice::Speak);
    } else if world.arbiter.is_fickle() && is_faulty {
        all.extend([Choice::Silence, Choice::Misread { at: 0 }, Choice::Misread { at: 1 }]);
    }
    if world.is_cut {
        all.push(Choice::Heal);
    } else if is_faulty {
        all.push(Choice::Cut);
    }
    all
}

/// Whether a bit may flip here: in duplex, since nothing is promised of a second fault.
fn may_flip(world: &World, at: usize, site: Site) -> bool {
    let in_duplex = world.mode(at) == Some(Mode::Duplex);
    let settled = world.nodes[at].as_ref().is_some_and(|node| node.settled_cycle().is_some());
    match site {
        Site::Working => in_duplex || world.mode(at) == Some(Mode::Joining),
        Site::Checkpoint | Site::MyVote => in_duplex,
        _ => in_duplex && settled && !world.ghost.channels[at].armed,
    }
}

/// Whether a channel's next timer may fire now.
///
/// The channels' clocks run at one speed and less than a period apart, and of two that are in
/// the cycle the deadline for `k` comes before the other's for `k + 1`: that start skew stays
/// below one period is what the steering of starts is for.
fn may_wake(world: &World, at: usize) -> bool {
    let Some(time) = world.wake_at(at).filter(|time| *time < world.horizon) else { return false };
    let Some(other) = world.wake_at(1 - at) else { return true };
    if world.towards[1 - at].len() >= MOST_IN_FLIGHT || !keeps_order(world, at, time) {
        return false;
    }
    if is_early(world, at, time) && world.early_left == 0 {
        return false;
    }
    let other_waits = !keeps_order(world, 1 - at, other);
    time < other + u64::from(PERIOD_US) || other_waits
}

/// Whether a timer fires before something that should come first: a frame on its way, or an earlier
/// timer of the other channel. Not the start of a cycle in duplex, for which the two race.
pub fn is_early(world: &World, at: usize, time: u64) -> bool {
    let is_start = world.nodes[at].as_ref().is_some_and(|node| time >= node.next_start().as_micros());
    let is_underway = world.towards.iter().any(|frames| !frames.is_empty());
    let in_duplex = world.modes() == [Some(Mode::Duplex); 2];
    !(is_start && in_duplex) && (is_underway || world.wake_at(1 - at).is_some_and(|other| other < time))
}

fn keeps_order(world: &World, at: usize, time: u64) -> bool {
    let [Some(mine), Some(other)] = [&world.nodes[at], &world.nodes[1 - at]] else { return true };
    let in_cycle = mine.mode() == Mode::Duplex && other.mode() == Mode::Duplex && mine.epoch() == other.epoch();
    let deadline = |next_start: u64| next_start.saturating_sub(u64::from(PERIOD_US - WINDOW_US));
    let is_ahead = in_cycle && mine.settled_cycle().is_none() && mine.cycle().since(other.cycle()) > 0;
    let other_waits = other.settled_cycle().is_none() && world.now[1 - at] < deadline(other.next_start().as_micros());
    !(is_ahead && other_waits && time >= deadline(mine.next_start().as_micros()))
}

/// A choice in words.
pub fn describe(choice: Choice, world: &World) -> String {
    let name = |at: usize| ["A", "B"][at];
    let death = |dies: bool| if dies { " (and dies)" } else { "" };
    match choice {
        Choice::Wake { at, dies } => {
            let from = world.now[at];
            format!("timer of {} at {}{}:", name(at), world.wake_at(at).unwrap_or(from), death(dies))
        }
        Choice::Deliver { to, dies } => format!("to {}{}:", name(to), death(dies)),
        Choice::DeliverLate { to } => format!("late to {}:", name(to)),
        Choice::Garbled { to } => format!("FAULT garbled to {}:", name(to)),
        Choice::HoldUp { to } => format!("FAULT held up, the frame to {}", name(to)),
        Choice::Repeat { to } => format!("FAULT repeated, to {}:", name(to)),
        Choice::Crash { at } => format!("FAULT {} dies", name(at)),
        Choice::Restart { at } => format!("{} boots", name(at)),
        Choice::Cut => "FAULT the link is cut".into(),
        Choice::Silence => "FAULT the arbiter falls silent".into(),
        Choice::Speak => "the arbiter answers again".into(),
        Choice::Misread { at } => format!("FAULT {} misreads the arbiter", name(at)),
        Choice::Heal => "the link heals".into(),
        Choice::Flip { at, site } => format!("FAULT a bit of {} flips: {site:?}", name(at)),
    }
}

/// What a path of choices came to: the invariant that broke, and how.
pub struct Broken {
    pub violation: Violation,
    pub path: Vec<Choice>,
}
