//! Two channels that both served alone: nobody's state is given up before a person says so.

use crate::bench::{A, B, Bench, CHANNELS, HOME, memory};
use crate::frames::{Captured, Copies, Snapshot, payload_of};
use crate::moments::begin_copy;
use crate::support::{Servo, sensor};
use std::cell::Cell;
use std::rc::Rc;
use twinstep::wire::{Hello, Kind, MAX_FRAME_BYTES, Payload, Standing};
use twinstep::{Arbiter, ChannelId, Claim, Confirmation, Epoch, Faults, Grounds, Instant, Mode};

/// A switch that a person turns: the outputs are that channel's, and the other one waits.
#[derive(Clone)]
struct Switch {
    me: ChannelId,
    first: ChannelId,
    stands_at: Rc<Cell<Option<ChannelId>>>,
}

impl Arbiter for Switch {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        assert_eq!(to.owner(), self.me);
        if self.stands_at.get() == Some(self.me) { Claim::Granted } else { Claim::Pending }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        (self.stands_at.get() == Some(me) && epoch.owner() == me).into()
    }

    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        None
    }

    fn first_owner(&self) -> ChannelId {
        self.first
    }
}

type SwitchBench<'m> = Bench<'m, Servo, MAX_FRAME_BYTES, Switch>;

/// Runs a pair that both channels have left alone, one after the other, the link being cut.
/// `first` lost the outputs and stands by, the other one serves; the link is still cut.
fn with_forked(first: usize, raise: bool, test: impl FnOnce(&mut SwitchBench<'_>, &Rc<Cell<Option<ChannelId>>>)) {
    let second = 1 - first;
    let stands_at = Rc::new(Cell::new(Some(CHANNELS[first])));
    let arbiters = CHANNELS.map(|me| Switch { me, first: CHANNELS[first], stands_at: stands_at.clone() });
    let mut memory = memory::<Servo>();
    let mut bench = SwitchBench::with_arbiters(&mut memory, HOME, arbiters, sensor(17));
    bench.boot();
    bench.run_cycles(4);
    if raise {
        raise_newest(&mut bench, second);
    }
    bench.is_cut = true;
    bench.is_judged = false; // their states part
    bench.run_until("one alone", 1_000, |bench| bench.nodes[first].counters().alone >= 5);
    assert_eq!((bench.mode(first), bench.mode(second)), (Mode::Simplex, Mode::Duplex), "the other one is to wait");
    stands_at.set(Some(CHANNELS[second]));
    bench.run_until("the other alone", 1_000, |bench| bench.nodes[second].counters().alone >= 5);
    assert_eq!((bench.mode(first), bench.mode(second)), (Mode::Standby, Mode::Simplex));
    assert_eq!(bench.nodes[first].epoch().counter() == bench.nodes[second].epoch().counter(), !raise);
    assert_ne!(bench.nodes[first].state_digest(), bench.nodes[second].state_digest());
    for node in &mut bench.nodes {
        node.clear_first_fault(); // the silence
    }
    test(&mut bench, &stands_at);
}

/// Lets a channel hear of a newer epoch, from within the cycle, so that it claims a higher one.
fn raise_newest(bench: &mut SwitchBench<'_>, at: usize) {
    let (peer, epoch) = (CHANNELS[1 - at], bench.nodes[at].epoch());
    let is_hello = |frame: &Captured| frame.header.kind == Kind::Hello;
    let said = bench.captured(at).into_iter().rfind(is_hello).unwrap();
    let said = Hello::parse(&said.payload).unwrap();
    let phase = bench.settled_phase(at);
    // A stranger's first word is answered, with the newest challenge.
    let first_word = Hello { echo_nonce: 0, ..said }.saying(Standing::OUTSIDE);
    let first_word = bench.forge(Kind::Hello, peer, epoch, phase, &payload_of(&first_word));
    assert_eq!(bench.let_pass(at, &first_word), 0);
    let answer = bench.next_frame(at).unwrap();
    let answer = Hello::parse(&bench.capture(&answer).payload).unwrap();
    let newer = Hello {
        echo_nonce: answer.nonce,
        echo_challenge: answer.challenge,
        epoch: Epoch::new(epoch.counter() + 3, peer),
        ..said
    };
    let newer = bench.forge(Kind::Hello, peer, epoch, phase, &payload_of(&newer.saying(Standing::empty())));
    assert_eq!(bench.let_pass(at, &newer), 0);
}

fn is_split(bench: &SwitchBench<'_>, at: usize) -> bool {
    bench.nodes[at].first_fault().is_some_and(|first| first.faults.contains(Faults::SPLIT_BRAIN))
}

#[test]
fn a_forked_channel_joins_only_after_its_state_was_discarded() {
    for (first, raise) in [(A, false), (B, false), (A, true), (B, true)] {
        with_forked(first, raise, |bench, _| {
            let second = 1 - first;
            let forked = Copies::of(&mut bench.nodes[first]);
            bench.is_cut = false;
            bench.run_until("both know", 500, |bench| is_split(bench, A) && is_split(bench, B));
            for _ in 0..3_000 {
                bench.tick();
                assert_eq!((bench.mode(first), bench.mode(second)), (Mode::Standby, Mode::Simplex));
            }
            assert!(bench.nodes[second].counters().alone > 30, "it serves on");
            assert_eq!(Copies::of(&mut bench.nodes[first]), forked, "the state is there for a person to look at");
            let counters = [A, B].map(|at| bench.nodes[at].counters());
            assert_eq!(counters.map(|counters| (counters.copies_begun, counters.joined)), [(0, 0); 2]);

            // One that serves has nothing to discard.
            let now = bench.now();
            let before = Snapshot::of(&mut bench.nodes[second]);
            assert!(!bench.nodes[second].discard_state(now));
            assert_eq!(Snapshot::of(&mut bench.nodes[second]), before);
            assert!(bench.nodes[first].discard_state(now));
            assert_eq!((bench.mode(first), bench.nodes[first].is_empty()), (Mode::Starting, true));
            assert!(!bench.nodes[first].discard_state(now), "nor has one that has no state");
            join(bench, first);
        });
    }
}

/// Runs until the channel has joined, and some cycles more.
fn join(bench: &mut SwitchBench<'_>, joiner: usize) {
    let ends_at = bench.now_us + 4_000_000;
    while bench.modes() != [Mode::Duplex; 2] {
        assert!(bench.now_us < ends_at, "{:?}", bench.modes());
        bench.tick();
        assert!(!matches!(bench.mode(joiner), Mode::Simplex | Mode::Donor), "the discarded state serves");
    }
    assert_eq!((bench.nodes[joiner].counters().joined, bench.nodes[1 - joiner].counters().copies_begun), (1, 1));
    let agreed = bench.nodes[joiner].counters().agreed;
    bench.run_until("cycles in duplex", 1_000, |bench| {
        bench.is_quiet() && bench.nodes[joiner].counters().agreed >= agreed + 5
    });
    let [a, b] = &mut bench.nodes;
    assert_eq!(Copies::of(a), Copies::of(b));
    assert_eq!((a.counters().diverged, b.counters().diverged), (0, 0));
}

/// The negative control: a channel that stands by without having served alone joins by itself.
#[test]
fn a_channel_that_did_not_serve_alone_joins_by_itself() {
    for first in [A, B] {
        let second = 1 - first;
        let stands_at = Rc::new(Cell::new(Some(CHANNELS[first])));
        let arbiters = CHANNELS.map(|me| Switch { me, first: CHANNELS[first], stands_at: stands_at.clone() });
        let mut memory = memory::<Servo>();
        let mut bench = SwitchBench::with_arbiters(&mut memory, HOME, arbiters, sensor(18));
        bench.boot();
        bench.run_cycles(4);
        bench.is_cut = true;
        stands_at.set(Some(CHANNELS[second]));
        bench.run_until("the other alone", 1_000, |bench| bench.nodes[second].counters().alone >= 5);
        assert_eq!((bench.mode(first), bench.mode(second)), (Mode::Standby, Mode::Simplex));
        bench.is_cut = false;
        join(&mut bench, first);
        assert!(!is_split(&bench, A) && !is_split(&bench, B));
        bench.run_cycles(3); // judged all along
    }
}

/// Both stand by, both with a state of their own: nobody claims anything by itself.
#[test]
fn of_two_forked_channels_that_stand_by_none_claims() {
    for (first, raise, discards) in [(A, false, A), (B, false, A), (A, true, A), (A, true, B)] {
        with_forked(first, raise, |bench, stands_at| {
            stands_at.set(None);
            bench.run_until("both out of service", 500, |bench| bench.modes() == [Mode::Standby; 2]);
            bench.nodes[1 - first].clear_first_fault(); // the loss of the outputs
            bench.is_cut = false;
            bench.run_until("both know", 500, |bench| is_split(bench, A) && is_split(bench, B));
            for _ in 0..3_000 {
                bench.tick();
                assert_eq!(bench.modes(), [Mode::Standby; 2]);
            }
            // Not even if it were granted.
            stands_at.set(Some(CHANNELS[1 - discards]));
            for _ in 0..500 {
                bench.tick();
                assert_eq!(bench.modes(), [Mode::Standby; 2]);
            }
            assert!(bench.nodes[discards].discard_state(bench.now()));
            join(bench, discards);
        });
    }
}

/// Once back in duplex the fork is over: the next one to stand by joins by itself again.
#[test]
fn a_fork_is_forgotten_once_the_pair_is_in_duplex() {
    with_forked(A, false, |bench, _| {
        assert!(bench.nodes[A].discard_state(bench.now()));
        bench.is_cut = false;
        join(bench, A);
        for node in &mut bench.nodes {
            node.clear_first_fault();
        }
        begin_copy(bench, A);
        bench.boot();
        assert!(!is_split(bench, A) && !is_split(bench, B));
    });
}
