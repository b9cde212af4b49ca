//! Active upgrade: two versions of a program in one pair, step by step, and whatever happens in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/knob.rs"]
mod knob;
#[path = "support/successor.rs"]
mod successor;
mod support;

#[path = "upgrade/faults.rs"]
mod faults;
#[path = "upgrade/found.rs"]
mod found;
#[path = "upgrade/only.rs"]
mod only;
#[path = "upgrade/orders.rs"]
mod orders;
#[path = "upgrade/random.rs"]
mod random;
#[path = "upgrade/steps.rs"]
mod steps;

use successor::ServoV2;
use support::{Servo, sensor};
use twinstep::sim::{ArbiterKind, LineModel, Memories, Setup, UpgradePair, Version};
use twinstep::upgrade::{Order, Step};
use twinstep::{ChannelId, Config, Mode};

type Pair<'m, const FLAW: u8> = UpgradePair<'m, Servo, ServoV2<FLAW>>;

const A: ChannelId = ChannelId::A;
const B: ChannelId = ChannelId::B;
const TRIAL_CYCLES: u32 = 20;

fn setup(seed: u64) -> Setup {
    let config = Config {
        period_us: 20_000,
        vote_window_us: 14_000,
        retransmit_us: 2_500,
        hello_us: 10_000,
        link_delay_us: 1_000,
        trial_cycles: TRIAL_CYCLES,
        copy_blocks: 8,
        probation_cycles: 0, // a half that has just joined is to take over, too
        ..Config::DEFAULT
    };
    // Cycles of 20 ms want 460800 baud: half a millisecond for a sample's frame, and as much until it is seen.
    let line = LineModel { baud: 460_800, latency_us: 500, ..LineModel::UART_115200 };
    Setup { seed, config, line, ..Setup::default() }
}

/// Lets the pair run until it is so, for at most so many periods.
fn run_until<const FLAW: u8>(
    pair: &mut Pair<'_, FLAW>,
    periods: u32,
    what: &str,
    is_so: impl Fn(&Pair<'_, FLAW>) -> bool,
) {
    for _ in 0..periods {
        if is_so(pair) {
            return;
        }
        pair.run(1);
    }
    panic!("not in {periods} periods: {what}; {}", describe(pair));
}

fn describe<const FLAW: u8>(pair: &Pair<'_, FLAW>) -> String {
    let of =
        |channel| format!("{channel}: {:?} {:?} {:?}", pair.version(channel), pair.mode(channel), pair.status(channel));
    format!("\n{}\n{}\n{:?}", of(A), of(B), pair.report())
}

fn in_duplex<const FLAW: u8>(pair: &Pair<'_, FLAW>, version: Version) -> bool {
    [A, B].iter().all(|channel| {
        pair.mode(*channel) == Some(Mode::Duplex)
            && pair.version(*channel) == Some(version)
            && pair.status(*channel).is_some_and(|status| status.step == Step::Idle && status.duty.is_none())
    })
}

fn step<const FLAW: u8>(pair: &Pair<'_, FLAW>, channel: ChannelId) -> Option<Step> {
    pair.status(channel).map(|status| status.step)
}

#[track_caller]
fn assert_flawless<const FLAW: u8>(pair: &Pair<'_, FLAW>) {
    let report = pair.report();
    let bad = (report.wrong, report.missing, report.states_lost, report.safe, report.restless);
    assert!(bad == (0, 0, 0, 0, 0) && report.owners_max == 1, "{}", describe(pair));
}

/// Brings a pair in duplex to the beginning of this step.
fn bring_to<const FLAW: u8>(pair: &mut Pair<'_, FLAW>, to: Step) {
    run_until(pair, 100, "duplex", |pair| in_duplex(pair, Version::Old));
    pair.run(10);
    for channel in [A, B] {
        pair.half_mut(channel).unwrap().clear_first_fault();
    }
    let owner = pair.owner().unwrap();
    let other = owner.other();
    for (step, order) in [(Step::Prepare, Order::Prepare), (Step::Split, Order::Split)] {
        pair.order(owner, order).unwrap();
        if to == step {
            return;
        }
    }
    run_until(pair, 200, "trial", |pair| step(pair, owner) == Some(Step::OldDrives));
    if to == Step::OldDrives {
        return;
    }
    run_until(pair, 200, "ready", |pair| pair.status(owner).unwrap().is_ready);
    pair.order(owner, Order::Switchover).unwrap();
    if to == Step::Switchover {
        return;
    }
    run_until(pair, 20, "switchover", |pair| step(pair, other) == Some(Step::NewDrives));
    if to == Step::NewDrives {
        return;
    }
    if to == Step::Abort {
        pair.order(other, Order::Abort).unwrap();
        return;
    }
    pair.run(30);
    pair.order(other, Order::Commit).unwrap();
    if to == Step::Commit {
        return;
    }
    run_until(pair, 50, "merge", |pair| step(pair, other) == Some(Step::Merge));
}

fn with_arbiter(seed: u64, arbiter: ArbiterKind) -> Setup {
    Setup { arbiter, ..setup(seed) }
}
