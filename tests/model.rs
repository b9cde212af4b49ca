//! A model of the pair, explored breadth first: two real nodes with the smallest program, and an
//! environment that may do whatever environments do, at any moment.
//!
//! ```text
//! program    tells every history from every other
//! arbiter    arbiters as plain values
//! world      a state: two nodes, frames on their way, the arbiter, the observer
//! choice     what may happen next
//! ghost      the observer: hears every frame, sees every drive, judges
//! fair       what becomes of a state once the faults are over
//! search     breadth first; a violation is told as a shortest path, a line a choice
//! controls   each rule left out once must break something
//! ```
//!
//! A state is two nodes as they are, so nothing of the protocol is written twice. Time is
//! abstract: each channel's clock stands still until the environment lets its next timer fire.
//! Timers fire in the order of their times and after the frames on their way, but for the starts
//! of cycles in duplex, which race, and for so many early ones as the search allows. Faults of the
//! environment (a frame held up, lost, repeated or damaged; a crash, also between vote and drive; a
//! cut) and of values (a bit of an output, of an agreed input, of memory, of a vote kept, of the
//! comparator's word; once, or for good) are counted; restart and healing come at any time.
//!
//! After one flip and nothing else both stay in duplex, nothing is held, nobody innocent is blamed.
//! After a flip and a fault of the environment a channel may be in the safe state only if it has
//! given evidence of the cycle and not got the peer's for a whole window, or if its checkpoint was
//! hit and the peer does not mend it; one with a bit that is stuck for good, also if both stand by
//! their results, and then both are.
//!
//! ```text
//! cargo test --test model -- --nocapture           figures of each search: one cycle with two faults
//! DEPTH=3 cargo test --release --test model -- --nocapture   three cycles with two faults
//! FUTURES=1 cargo test --test model -- --nocapture what becomes of every state, not of one in 64
//! RULE=cut TRACES=1 cargo test --test model left_out -- --nocapture   one control, with its trace
//! ```

#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "model/arbiter.rs"]
mod arbiter;
#[path = "model/choice.rs"]
mod choice;
#[path = "model/controls.rs"]
mod controls;
#[path = "model/fair.rs"]
mod fair;
#[path = "model/ghost.rs"]
mod ghost;
#[path = "model/hasher.rs"]
mod hasher;
#[path = "support/knob.rs"]
mod knob;
#[path = "model/program.rs"]
mod program;
#[path = "model/search.rs"]
mod search;
#[path = "model/spare.rs"]
mod spare;
#[path = "model/world.rs"]
mod world;

use arbiter::Kind;
use choice::Choice;
use ghost::Promise;
use knob::knob;
use search::{Plan, explore, tell};
use twinstep::{ChannelId, Drive, Site};
use world::{Setup, World};

/// Where a bit may flip once.
const TRANSIENT: [Site; 7] =
    [Site::Output, Site::Working, Site::Checkpoint, Site::MyVote, Site::PeerVote, Site::AgreedInput, Site::Comparator];
/// Where a channel may be broken for good.
const PERMANENT: [Site; 2] = [Site::StuckOutput, Site::FailingOutput];

const HOME: Setup = Setup {
    arbiter: Kind::Relay { asks: 1 },
    patience: 0,
    drive: Drive::Owner,
    cycles: 3,
    faults: 1,
    flips: 0,
    sites: &TRANSIENT,
    early: 0,
    promise: Promise::All,
    off: None,
};

/// Cycles explored with two faults.
fn depth() -> u32 {
    knob("DEPTH", 1)
}

/// The future of one state in so many is judged.
fn futures() -> u32 {
    knob("FUTURES", 64)
}

/// Explores everything from `start`, prints the figures, and fails with a trace.
fn holds(what: &str, start: &World, setup: Setup, menu: fn(Choice) -> bool) {
    let every = u64::from(futures());
    let plan = Plan { setup, every, every_last: every.min(8), most: usize::MAX, menu };
    let found = explore(start, &plan);
    let Setup { arbiter, patience, cycles, faults, flips, early, .. } = setup;
    println!(
        "{what}, {arbiter:?}, patience {patience}, {cycles} cycles, {faults} faults, {flips} flips, {early} early: \
         {} states, {} transitions, {} futures serve again within {} periods, {:.1} s",
        found.states, found.transitions, found.futures, found.periods, found.seconds,
    );
    if let Some(broken) = &found.broken {
        panic!("{}", tell(start, &setup, broken));
    }
    assert!(found.states > 50, "hardly anything was explored");
}

/// Two faults, and one fault with an early timer or a flipped bit, from a quiet moment in duplex.
fn holds_from_duplex(arbiter: Kind) {
    for setup in [
        Setup { arbiter, cycles: depth(), faults: 2, ..HOME },
        Setup { arbiter, cycles: depth(), early: 1, ..HOME },
        Setup { arbiter, patience: 1, cycles: depth().saturating_add(1).min(3), ..HOME },
        Setup { arbiter, cycles: depth(), flips: 1, ..HOME },
        Setup { arbiter, cycles: depth(), faults: 0, flips: 1, early: 1, ..HOME },
        Setup { arbiter, cycles: depth(), flips: 1, sites: &PERMANENT, ..HOME },
    ] {
        holds("duplex", &fair::in_duplex(&setup), setup, |_| true);
    }
}

#[test]
fn a_relay_that_answers_at_once() {
    holds_from_duplex(Kind::Relay { asks: 1 });
}

#[test]
fn a_relay_that_takes_a_while() {
    holds_from_duplex(Kind::Relay { asks: 2 });
}

/// A relay that falls silent, or is misread: whatever was asked of it meanwhile, once it answers the pair serves again.
#[test]
fn a_relay_that_does_not_answer() {
    for (patience, faults) in [(0, 2), (1, 1)] {
        let setup = Setup { arbiter: Kind::Fickle, patience, cycles: depth().saturating_add(1).min(3), faults, ..HOME };
        holds("unanswered", &fair::in_duplex(&setup), setup, controls::of_the_arbiter);
    }
    // Deeper, with an arbiter that falls silent while the link is cut.
    let setup = Setup { arbiter: Kind::Fickle, cycles: 3, faults: 2, ..HOME };
    holds("unanswered and cut", &fair::in_duplex(&setup), setup, controls::silence_and_cuts);
    let setup = Setup { arbiter: Kind::Fickle, cycles: 3, ..HOME };
    holds("unanswered boot", &World::booted(&setup), setup, controls::of_the_arbiter);
}

#[test]
fn the_rule_that_prefers_a() {
    holds_from_duplex(Kind::Preferred(ChannelId::A));
}

#[test]
fn the_rule_that_prefers_b() {
    holds_from_duplex(Kind::Preferred(ChannelId::B));
}

#[test]
fn from_boot() {
    for arbiter in [Kind::Relay { asks: 1 }, Kind::Preferred(ChannelId::B)] {
        // The boot itself is most of it: with two faults, 2.5 million states.
        let setup = Setup { arbiter, cycles: 2, faults: depth().min(2) as u8, ..HOME };
        holds("boot", &World::booted(&setup), setup, |_| true);
    }
}

/// One frame lost, late, repeated or damaged, on a link that is faster than the timers: it is sent
/// again in time, and both stay in duplex.
#[test]
fn a_frame_fault_costs_nothing() {
    for arbiter in [Kind::Relay { asks: 1 }, Kind::Preferred(ChannelId::A)] {
        let setup = Setup { arbiter, promise: Promise::Steady, ..HOME };
        holds("frames", &fair::in_duplex(&setup), setup, controls::of_frames);
    }
}

/// One flipped bit, of any kind, is masked in its cycle.
#[test]
fn a_flipped_bit_costs_nothing() {
    for patience in [0, 1] {
        let setup = Setup { patience, faults: 0, flips: 1, ..HOME };
        holds("flips", &fair::in_duplex(&setup), setup, |_| true);
    }
}

/// And with a fault of the environment beside it, when a cycle may be held.
#[test]
fn a_flipped_bit_with_patience() {
    for arbiter in [Kind::Relay { asks: 1 }, Kind::Preferred(ChannelId::A)] {
        let setup = Setup { arbiter, cycles: depth(), patience: 1, flips: 1, ..HOME };
        holds("flips", &fair::in_duplex(&setup), setup, |_| true);
    }
}

/// Outputs of both channels, combined in hardware, which late ones need the lease for.
#[test]
fn outputs_of_both() {
    let setup = Setup { drive: Drive::Both, patience: 1, cycles: depth(), ..HOME };
    holds("both drive", &fair::in_duplex(&setup), setup, |_| true);
}

/// Under an arbiter that lets both go on, one after the other, neither state is given up for the
/// other one, and both channels say why.
#[test]
fn two_lineages_never_merge() {
    let setup = Setup { arbiter: Kind::Forgetful, promise: Promise::Lineages, ..HOME };
    holds("lineages", &fair::in_duplex(&setup), setup, controls::crashes_and_cuts);
}

/// And with it the same search, as far as that and further, finds nothing.
#[test]
fn each_rule_left_out_breaks_something() {
    let (mut unnoticed, mut broken) = (Vec::new(), Vec::new());
    for control in chosen() {
        let Some(states) = breaks("without", &control) else {
            unnoticed.push(control.rule);
            continue;
        };
        if control.is_switch() && breaks("with", &control.with_all_on(states + 1_000)).is_some() {
            broken.push(control.rule);
        }
    }
    assert!(unnoticed.is_empty(), "left out unnoticed: {unnoticed:?}");
    assert!(broken.is_empty(), "broken with everything on: {broken:?}");
}

#[test]
#[ignore = "minutes; `.ci/nightly` runs it"]
fn with_every_rule_nothing_breaks() {
    let breaks_with_it = |control: &controls::Control| {
        control.is_switch() && breaks("with", &control.with_all_on(controls::MOST_STATES)).is_some()
    };
    let broken: Vec<_> =
        chosen().iter().filter(|control| breaks_with_it(control)).map(|control| control.rule).collect();
    assert!(broken.is_empty(), "broken with everything on: {broken:?}");
}

#[test]
#[ignore = "a million states and a minute; `.ci/nightly` runs it"]
fn the_epoch_left_out_breaks_something() {
    assert!(breaks("without", &controls::epoch(HOME)).is_some(), "left out unnoticed");
}

/// The controls, or those whose rule has `RULE` in its name.
fn chosen() -> Vec<controls::Control> {
    let mut all = controls::all(HOME);
    if let Ok(part) = std::env::var("RULE") {
        all.retain(|control| control.rule.contains(&part));
        assert!(!all.is_empty(), "no rule has \"{part}\" in its name");
    }
    all
}

/// Runs a control; returns the states after which something breaks, if anything does.
fn breaks(how: &str, control: &controls::Control) -> Option<usize> {
    let found = control.run();
    let Some(broken) = found.broken else {
        println!("{how} \"{}\": nothing ({} states, all: {})", control.rule, found.states, found.is_complete);
        return None;
    };
    let (states, choices) = (found.states, broken.path.len());
    println!("{how} \"{}\": {} ({states} states, {choices} choices)", control.rule, broken.violation);
    if std::env::var("TRACES").is_ok() {
        println!("{}", tell(&control.start(), control.setup(), &broken));
    }
    Some(states)
}
