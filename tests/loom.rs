//! The shared memory of two cores, in the ways in which their steps can interleave: all of them for the arbiter on one word, and
//! else those with three to five forced switches between the cores, beside those where one waits by itself.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom -- --nocapture
//! SWITCHES=3 ...   at most so many forced switches, in the models that have a limit
//! ```
//!
//! Without `--cfg loom` this file is empty. The types are those that ship; loom's atomics stand behind `twinstep::sync`, which also
//! weakens one ordering at a time for the negative controls, and stops a core after any number of writes.

#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "loom/claims.rs"]
mod claims;
#[path = "loom/frames.rs"]
mod frames;
#[path = "support/knob.rs"]
mod knob;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use twinstep::sync::{self, Order};

/// A model, and the orderings whose lack it must find.
struct Model {
    name: &'static str,
    run: fn(),
    needs: &'static [Order],
}

const MODELS: &[Model] = &[
    Model {
        name: "three frames through one slot, across the wrap",
        run: frames::through_one_slot,
        needs: &[Order::FrameWritten, Order::FrameSeen, Order::SlotReturned, Order::SlotSeen],
    },
    Model { name: "two frames each way", run: frames::two_each_way, needs: &[Order::FrameWritten, Order::FrameSeen] },
    Model { name: "a writer that stops at any point and boots again", run: frames::a_writer_stops, needs: &[] },
    Model { name: "a reader that stops at any point and boots again", run: frames::a_reader_stops, needs: &[] },
    Model {
        name: "two claims of one number on one word",
        run: claims::one_word,
        needs: &[Order::ClaimMade, Order::ClaimSeen],
    },
    Model {
        name: "two claims of one number without compare-and-swap",
        run: claims::split,
        needs: &[Order::Intent, Order::Held, Order::HeldSeen],
    },
    Model { name: "a takeover from an owner that still claims", run: claims::takeover, needs: &[] },
    Model { name: "a claimant that stops at any point and boots again", run: claims::a_claimant_stops, needs: &[] },
];

/// One at a time: they share the cores with each other and with nothing to gain.
static TURN: Mutex<()> = Mutex::new(());
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

/// Explores all executions of `model`, or those with up to so many forced switches between the cores, if `SWITCHES` allows as
/// many.
fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    let most = knob::knob("SWITCHES", u32::MAX) as usize;
    builder.preemption_bound = preemptions.map(|preemptions| preemptions.min(most));
    builder.check(move || {
        EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        model();
    });
}

/// What a model must fail with if an ordering is weakened: a race that loom sees, or what the model asserts.
const FINDINGS: [&str; 4] = ["Causality violation", "granted", "torn", "owns"];

/// Runs a model with one ordering weakened, or none; returns what it failed with.
fn failure(run: fn(), weak: Option<Order>) -> Option<String> {
    // In a thread of its own, as loom keeps what is left of a failed model in the thread.
    let checked = thread::spawn(move || {
        sync::weakened(weak);
        let told = catch_unwind(AssertUnwindSafe(run)).err()?;
        let text = told.downcast_ref::<String>().map(String::as_str).or(told.downcast_ref::<&str>().copied());
        Some(text.unwrap_or("?").to_owned())
    });
    checked.join().unwrap()
}

#[test]
fn all_models_hold() {
    let _turn = TURN.lock();
    for Model { name, run, .. } in MODELS {
        let began = std::time::Instant::now();
        let before = EXECUTIONS.load(Ordering::Relaxed);
        let failure = failure(*run, None);
        println!(
            "{name}: {} executions, {:.1} s",
            EXECUTIONS.load(Ordering::Relaxed) - before,
            began.elapsed().as_secs_f32()
        );
        assert_eq!(failure, None, "{name}");
    }
    let total = EXECUTIONS.load(Ordering::Relaxed);
    println!("{total} executions");
    assert!(total >= 50_000, "{total} executions are hardly all");
}

#[test]
fn each_ordering_weakened_fails_a_model() {
    let _turn = TURN.lock();
    let mut unneeded = Vec::from(Order::ALL);
    for Model { name, run, needs } in MODELS {
        for order in *needs {
            let failure = failure(*run, Some(*order)).unwrap_or_else(|| panic!("\"{name}\" holds without {order:?}"));
            let line = failure.lines().next().unwrap_or_default();
            println!("{order:?} weakened: \"{name}\" fails: {line}");
            assert!(FINDINGS.iter().any(|finding| failure.contains(finding)), "{failure}");
            unneeded.retain(|other| other != order);
        }
    }
    assert!(unneeded.is_empty(), "no model needs {unneeded:?}");
}
