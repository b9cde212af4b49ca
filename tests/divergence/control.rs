//! A bit of the control data flips just before a short call of the user's: the call mends it before it writes the copies anew.

use crate::bench::{A, HOME, ServoBench};
use crate::by_hand::with_bench;
use crate::support::{Sample, Servo};
use twinstep::sim::Storage;
use twinstep::upgrade::{Retry, RunningImage};
use twinstep::{ChannelId, Config, Health, Instant, Node, Site, Upgrades};

type Call = fn(&mut ServoBench<'_>);

/// Calls that change control data and take no time.
const CALLS: [(&str, Call); 3] = [
    ("raise_health", |bench| bench.nodes[A].raise_health(Health::HARDWARE)),
    ("readmit", |bench| bench.nodes[A].readmit(ChannelId::B)),
    ("discard_state", |bench| {
        let now = bench.now();
        bench.nodes[A].discard_state(now);
    }),
];

#[test]
fn each_short_call_mends_before_it_changes() {
    for (name, call) in CALLS {
        for word in 0..Site::CONTROL_BITS / 32 {
            with_bench(HOME, 1, |bench| {
                let before = bench.nodes[A].counters().control_repairs;
                assert!(bench.nodes[A].flip(Site::Control, word * 32));
                call(bench);
                let mended = bench.nodes[A].counters().control_repairs - before;
                assert_eq!(mended, 1, "{name}, word {word}");
            });
        }
    }
}

/// A channel by itself that can be upgraded.
type Upgraded<'m> = Node<'m, Servo, 128, Upgrades<Servo>>;

#[test]
fn so_does_each_of_an_upgrade() {
    type Call = fn(&mut Upgraded<'_>);
    let calls: [(&str, Call); 3] = [
        ("running_image", |node| node.running_image(RunningImage::Confirmed, 0)),
        ("image_confirmed", |node| node.image_confirmed()),
        ("restart_failed", |node| node.restart_failed(Instant::from_micros(0), Retry::Never)),
    ];
    for (name, call) in calls {
        for word in 0..Site::CONTROL_BITS / 32 {
            let mut memory = Storage::new();
            let mut node =
                Upgraded::with_upgrades(ChannelId::A, memory.cells(), Config { nonce: 1, ..Config::DEFAULT }).unwrap();
            assert!(node.flip(Site::Control, word * 32));
            call(&mut node);
            assert_eq!(node.counters().control_repairs, 1, "{name}, word {word}");
        }
    }
}

/// Flips a bit of a word of the control data, or of its copies, does something, and returns how often it was mended.
fn mended_by(word: usize, does: impl Fn(&mut ServoBench<'_>)) -> u32 {
    let mut mended = 0;
    with_bench(HOME, 1, |bench| {
        let before = bench.nodes[A].counters().control_repairs;
        assert!(bench.nodes[A].flip(Site::Control, word * 32));
        does(bench);
        mended = bench.nodes[A].counters().control_repairs - before;
    });
    mended
}

/// The run loop makes its calls together. They begin with a check of what is in use, and of the first copy.
#[test]
fn several_calls_begin_with_the_same_check() {
    for word in 0..2 * Site::CONTROL_BITS / 32 {
        let mended = mended_by(word, |bench| {
            let now = bench.now();
            drop(bench.nodes[A].calls(now));
        });
        assert_eq!(mended, 1, "word {word}");
    }
}

/// The second copy, which only a majority needs, is looked at as a cycle begins.
#[test]
fn a_cycle_begins_with_a_check_of_the_second_copy() {
    for word in 2 * Site::CONTROL_BITS / 32..3 * Site::CONTROL_BITS / 32 {
        let mended = mended_by(word, |bench| {
            let now = bench.now();
            let _ = bench.nodes[A].begin(now, Sample { position: 1, limit: None }).unwrap();
        });
        assert_eq!(mended, 1, "word {word}");
    }
}
