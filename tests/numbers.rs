//! The end of the numbers: an arbiter that reads as all ones, and an epoch after which there is none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/frames.rs"]
mod frames;
mod support;

use bench::{A, B, Bench, HOME, memory};
use std::cell::Cell;
use support::{Servo, sensor};
use twinstep::wire::MAX_FRAME_BYTES;
use twinstep::{Arbiter, ChannelId, Claim, ClaimWord, Confirmation, Epoch, Grounds, Instant, Mode, SharedClaim};

const LAST: u32 = u32::MAX >> 1;

/// An arbiter that is read over a bus, which may give something else.
#[derive(Clone, Copy)]
struct OverBus<'w> {
    word: SharedClaim<'w>,
    reads: &'w Cell<Option<Epoch>>,
}

impl Arbiter for OverBus<'_> {
    fn claim(&mut self, now: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
        self.word.claim(now, from, to, grounds)
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        self.word.confirms(epoch, me)
    }

    fn release(&mut self, epoch: Epoch, me: ChannelId) {
        self.word.release(epoch, me);
    }

    fn remembered(&self) -> Option<Epoch> {
        self.reads.get().or(self.word.remembered())
    }
}

fn with_bus(
    reads: Epoch,
    then: impl FnOnce(&mut Bench<'_, Servo, MAX_FRAME_BYTES, OverBus<'_>>, &Cell<Option<Epoch>>),
) {
    let (word, reads) = (ClaimWord::new(), Cell::new(Some(reads)));
    let arbiter = OverBus { word: SharedClaim::new(&word), reads: &reads };
    let mut memory = memory::<Servo>();
    let mut bench = Bench::with_arbiters(&mut memory, HOME, [arbiter; 2], sensor(1));
    bench.boot();
    then(&mut bench, &reads);
}

#[test]
fn a_dead_bus_does_not_use_up_the_numbers() {
    for owner in [ChannelId::A, ChannelId::B] {
        with_bus(Epoch::new(LAST, owner), |bench, _| {
            bench.run_cycles(3);
            bench.reboot(A);
            bench.boot();
            bench.run_cycles(3);
            assert!(bench.nodes.iter().all(|node| node.epoch().counter() < 10), "{}", bench.nodes[B].epoch());
        });
    }
}

/// After two thousand million changes there is no further one: the survivor stands by, and says so in each cycle.
#[test]
fn at_the_last_number_a_survivor_stands_by() {
    with_bus(Epoch::new(LAST - 1, ChannelId::B), |bench, reads| {
        reads.set(None);
        bench.run_cycles(3);
        assert_eq!(bench.nodes[B].epoch().counter(), LAST);
        bench.is_cut = true;
        bench.run_until("both stand by", 1_000, |bench| bench.modes() == [Mode::Standby; 2]);
        for _ in 0..1_000 {
            bench.tick();
            let now = bench.now();
            for node in &bench.nodes {
                assert!(node.next_start() > now, "a cycle without a verdict");
                assert!(node.poll_timeout().is_none_or(|timeout| timeout > now), "asks to be polled at once");
            }
        }
    });
}
