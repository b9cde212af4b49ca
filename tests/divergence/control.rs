//! A bit of the control data flips just before a short call of the user's: the call mends it before it writes the copies anew.

use crate::bench::{A, HOME, ServoBench};
use crate::by_hand::with_bench;
use twinstep::{ChannelId, Health, Site};

type Call = fn(&mut ServoBench<'_>);

/// Calls that change control data and take no time.
const CALLS: [(&str, Call); 5] = [
    ("raise_health", |bench| bench.nodes[A].raise_health(Health::HARDWARE)),
    ("readmit", |bench| bench.nodes[A].readmit(ChannelId::B)),
    ("running_image", |bench| bench.nodes[A].running_image(true, 0)),
    ("image_confirmed", |bench| bench.nodes[A].image_confirmed()),
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
