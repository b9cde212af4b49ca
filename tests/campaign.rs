//! The fault campaign over a program that is not ours: enums, options and nested arrays, 60,000 bytes of state, and a plant that the
//! outputs move.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // rows and columns of its own log

#[path = "campaign/brittle.rs"]
mod brittle;
#[path = "campaign/crane.rs"]
mod crane;

use brittle::Brittle;
use crane::{Crane, CraneV2, Harbour};
use twinstep::sim::campaign::{Class, Outcome, Promise};
use twinstep::sim::{ArbiterKind, Campaign, LineModel, check_pure};
use twinstep::{ChannelId, Config, Cycle, Mechanism};

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
    ..Config::DEFAULT
};
/// As on an SPI of 8 MHz: a copy of 96 blocks a cycle takes 8 ms of it.
const LINE: LineModel = LineModel { baud: 10_000_000, fifo_bytes: 16, latency_us: 500 };

fn campaign() -> Campaign<Crane> {
    Campaign::<Crane>::new(CONFIG, Harbour::new).line(LINE).successor::<CraneV2>()
}

#[test]
fn every_claim_holds_of_a_crane_and_every_mechanism_is_missed() {
    let results = campaign().cycles(100_000).seed(1).controls().run();
    println!("{results}");
    results.assert_claims();
    assert_eq!((results.controls.len(), results.absent.len()), (21, 0));
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

/// A channel whose program panics dies of it, and the other one serves on.
#[test]
fn a_panic_of_the_program_is_a_channel_that_dies() {
    let sensor = |seed: u64| move |_: ChannelId, cycle: Cycle| (u64::from(cycle.0) ^ seed) as u8;
    // By a rule instead of hardware the owner's death ends the service.
    let relay = ArbiterKind::Relay { asks: 1 };
    let results = Campaign::<Brittle>::new(CONFIG, sensor).line(LINE).arbiter(relay).cycles(60_000).run();
    results.assert_claims();
    let of = |outcome| results.tally.classes.values().map(|row| row.count(outcome)).sum::<u64>();
    assert!(of(Outcome::Crashed) > 0 && of(Outcome::Panic) == 0, "{results}");
    assert!(results.tally.panics.keys().any(|what| what.contains("is none of sixteen")), "{results}");
    assert!(results.to_string().contains("brittle.rs:"), "{results}");
    // There is no other version, and no memory that is never written.
    let absent = Class::ALL.iter().filter(|class| results.absent.contains(class.name));
    assert!(absent.clone().any(|class| class.name.starts_with("upgrade")), "{results}");
    assert!(absent.clone().all(|class| class.promise != Promise::InTime));
}

/// One that panics without any fault has no results, and says why.
#[test]
fn a_program_that_panics_by_itself_is_no_campaign() {
    let sensor = |_| {
        |_: ChannelId, cycle: Cycle| -> u8 {
            assert!(cycle.0 < 100, "the sensor is worn out");
            7
        }
    };
    let results = Campaign::<Brittle>::new(CONFIG, sensor).line(LINE).cycles(1_000).run();
    assert!(results.unfit.as_ref().is_some_and(|why| why.contains("the sensor is worn out")), "{results}");
    assert_eq!(results.failed().len(), 1);
    let late = LineModel { baud: 9_600, ..LineModel::UART_115200 };
    let results = Campaign::<Crane>::new(CONFIG, Harbour::new).line(late).run();
    assert!(results.failed()[0].contains("the longest frame takes"), "{results}");
    let shard = campaign().shard(3, 2).run();
    assert!(shard.failed()[0].contains("an I from 1 to N"), "{shard}");
}
