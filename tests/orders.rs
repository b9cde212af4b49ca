//! Calls of a node in any order: what is wrong has its answer or does no harm, and the pair serves on.
//!
//! Each order of five calls of one channel is tried, from three states of the pair; the other channel is used as it should be. After
//! each order both are used rightly, and have to serve in duplex again.
//!
//! ```text
//! cargo test --test orders -- --nocapture                     the figures
//! LENGTH=8 cargo test --release --test orders -- --nocapture   orders of eight
//! ```

#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "model/arbiter.rs"]
mod arbiter;
#[path = "orders/call.rs"]
mod call;
#[path = "support/knob.rs"]
mod knob;
#[path = "orders/pair.rs"]
mod pair;
#[path = "model/program.rs"]
mod program;
#[path = "model/spare.rs"]
mod spare;
#[path = "orders/walk.rs"]
mod walk;

use call::{CALLS, Call};
use knob::knob;
use pair::{A, Pair};
use twinstep::Mechanism;
use walk::{Found, walk};

/// Periods that a pair is given to serve again: a channel that was away starts anew and joins.
const PERIODS: u64 = 24;

fn length() -> usize {
    knob("LENGTH", 5) as usize
}

/// Boots a pair and lets it serve.
fn in_duplex(off: Option<Mechanism>) -> Pair {
    let mut pair = Pair::booted(off);
    pair.serve(3, PERIODS).unwrap();
    pair
}

/// The same in the middle of a cycle: A has begun, and what it sent is on its way.
fn in_mid_cycle(off: Option<Mechanism>) -> Pair {
    let mut pair = in_duplex(off);
    while pair.now() < pair.nodes[A].next_start() {
        pair.wait();
    }
    pair.turn(A).unwrap();
    pair
}

fn holds(what: &str, start: &Pair) -> Found {
    let found = walk(start, &CALLS, length(), PERIODS);
    println!(
        "{what}: {} orders of {} calls, {} states, {} ended outside of duplex; serves again within {} periods",
        found.orders,
        length(),
        found.states,
        found.left_duplex,
        found.periods,
    );
    if let Some(wrong) = &found.wrong {
        panic!("{what}: {wrong}");
    }
    assert_eq!(found.orders, (CALLS.len() as u64).pow(length() as u32));
    found
}

#[test]
fn any_order_of_calls_at_boot() {
    holds("at boot", &Pair::booted(None));
}

#[test]
fn any_order_of_calls_in_duplex() {
    let found = holds("in duplex", &in_duplex(None));
    assert!(found.left_duplex < found.ends, "every order ends outside of duplex");
}

#[test]
fn any_order_of_calls_in_mid_cycle() {
    let found = holds("in mid-cycle", &in_mid_cycle(None));
    assert!(found.left_duplex < found.ends, "every order ends outside of duplex");
}

/// Controls: a call that does harm is noticed, in what is driven and in what becomes of the pair.
#[test]
fn harm_is_noticed() {
    let wrong = |off, harm| walk(&in_mid_cycle(off), &[Call::Peer, Call::Later, harm], 3, PERIODS).wrong;
    assert_eq!(wrong(None, Call::Peer), None);
    let stopped = wrong(None, Call::Break).unwrap();
    assert!(stopped.contains("does not serve"), "{stopped}");
    let driven = wrong(Some(Mechanism::Vote), Call::Break).unwrap();
    assert!(driven.contains("drives"), "{driven}");
}

/// Controls: what keeps the calls of one channel in order, each switched off.
#[test]
fn each_mechanism_left_out_is_noticed() {
    for off in [Mechanism::Phase, Mechanism::Lease, Mechanism::FinalInput, Mechanism::Overtaken] {
        let wrong = walk(&in_mid_cycle(Some(off)), &CALLS, 5, PERIODS).wrong;
        assert!(wrong.is_some(), "without {off:?} nothing is wrong");
    }
}
