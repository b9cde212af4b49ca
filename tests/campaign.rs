//! The fault campaign over a program that is not ours: enums, options and nested arrays, 60,000 bytes of state, and a plant that the
//! outputs move.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // rows and columns of its own log

#[path = "campaign/crane.rs"]
mod crane;

use crane::{Crane, CraneV2, Harbour};
use twinstep::sim::{Campaign, LineModel, check_pure};
use twinstep::{Config, Mechanism};

const CONFIG: Config = Config {
    period_us: 20_000,
    vote_window_us: 14_000,
    retransmit_us: 2_500,
    hello_us: 10_000,
    link_delay_us: 1_000,
    scrub_blocks: 240,
    copy_blocks: 96,
    copy_limit_ms: 4_000,
    probation_cycles: 3,
    transient_leak_ms: 60,
    ..Config::DEFAULT
};
/// As on an SPI: a copy of 96 blocks a cycle takes 8 ms of it.
const LINE: LineModel = LineModel { baud: 10_000_000, fifo_bytes: 16, latency_us: 500 };

fn campaign() -> Campaign<Crane> {
    Campaign::<Crane>::new(CONFIG, Harbour::new).line(LINE).successor::<CraneV2>()
}

#[test]
fn every_claim_holds_of_a_crane_and_every_mechanism_is_missed() {
    let results = campaign().cycles(60_000).seed(1).controls().run();
    println!("{results}");
    results.assert_claims();
}

#[test]
fn without_the_vote_the_claims_fail() {
    let results = campaign().cycles(20_000).off(Mechanism::Vote).run();
    assert!(results.failed().iter().any(|claim| claim.starts_with("wrong actuations")), "{results}");
}

#[test]
fn the_crane_is_pure() {
    check_pure::<Crane>(Harbour::new(1), 200).unwrap();
}
