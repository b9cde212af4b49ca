//! A function of the user's own before each call of a node.

use super::{LINE, PERIOD_US, Servo, sensor};
use std::cell::Cell;
use twinstep::sim::{CallPoint, LinkFaults, Pair, Report, Setup, Storage, Traced};
use twinstep::{ChannelId, Config, Node, Site};

fn setup(seed: u64, link: LinkFaults) -> Setup {
    let config = Config {
        period_us: PERIOD_US,
        vote_window_us: 21_000,
        retransmit_us: 2_500,
        hello_us: 15_000,
        link_delay_us: 1_500,
        ..Config::DEFAULT
    };
    Setup { seed, config, line: LINE, link, ..Setup::default() }
}

/// A run with a death, a restart and a flipped bit, and a hook if there is one.
fn run<H>(setup: &Setup, hook: Option<H>) -> (Report, Vec<Traced>)
where
    H: FnMut(CallPoint, ChannelId, &mut Node<'_, Servo>),
{
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(setup, &mut memory, sensor(setup.seed)).unwrap();
    if let Some(hook) = hook {
        pair.before_calls(hook);
    }
    pair.trace();
    pair.run(30);
    pair.kill(ChannelId::A);
    pair.run(10);
    pair.restart(ChannelId::A);
    pair.run(40);
    pair.node_mut(ChannelId::B).unwrap().flip(Site::Working, 77);
    pair.run(20);
    (pair.report(), pair.take_trace())
}

type Plain = fn(CallPoint, ChannelId, &mut Node<'_, Servo>);

#[test]
fn a_hook_that_counts_sees_all_calls_and_leaves_the_run_as_it_is() {
    for seed in 0..6 {
        let link = if seed % 2 == 0 { LinkFaults::NONE } else { LinkFaults::NOISY };
        let setup = setup(seed, link);
        let calls = [(); 2].map(|()| CallPoint::ALL.map(|_| Cell::new(0)));
        let count = |point: CallPoint, channel: ChannelId, node: &mut Node<'_, Servo>| {
            assert_eq!(node.channel(), channel);
            let at = CallPoint::ALL.iter().position(|other| *other == point).unwrap();
            calls[channel.index()][at].update(|count| count + 1);
        };
        let without = run(&setup, None::<Plain>);
        let with = run(&setup, Some(count));
        assert!(without == with, "seed {seed}: {:?}\n{:?}", without.0, with.0);
        println!("seed {seed}: {calls:?}");
        assert!(calls.as_flattened().iter().all(|count| count.get() >= 80), "{calls:?}");
    }
}

/// Runs with a bit flipped before this call of channel A, after the pair is in duplex.
fn flipped_before(point: CallPoint, nth: u32, site: Site) -> Report {
    let (seen, is_flipped) = (Cell::new(0), Cell::new(false));
    let mut memory = [Storage::new(), Storage::new()];
    let setup = setup(u64::from(nth), LinkFaults::NONE);
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(3)).unwrap();
    pair.run(20);
    assert_eq!(pair.report().diverged, 0);
    pair.before_calls(|at, channel, node| {
        if (at, channel) == (point, ChannelId::A) && seen.replace(seen.get() + 1) == nth {
            is_flipped.set(node.flip(site, 3));
        }
    });
    pair.run(nth + 10);
    assert!(is_flipped.get());
    pair.report()
}

#[test]
fn a_bit_that_a_hook_flips_is_masked_or_mended_before_any_call() {
    for point in CallPoint::ALL {
        for nth in 0..20 {
            let report = flipped_before(point, nth, Site::Output);
            let Report { wrong, missing, diverged, masked, .. } = report;
            assert_eq!((wrong, missing, diverged, masked), (0, 0, 2, 2), "before {point:?} {nth}: {report:?}");

            let report = flipped_before(point, nth, Site::Control);
            let Report { wrong, missing, held, control_repairs, .. } = report;
            assert_eq!((wrong, missing, held, control_repairs), (0, 0, 0, 1), "before {point:?} {nth}: {report:?}");
        }
    }
}

/// Before a poll, so within what the simulation catches of a program that panics.
#[test]
#[should_panic(expected = "the hook panicked")]
fn a_hook_that_panics_ends_the_run_and_kills_no_channel() {
    let fail: Plain = |point, _, _| assert_ne!(point, CallPoint::PollVerdict, "on purpose");
    run(&setup(1, LinkFaults::NONE), Some(fail));
}
