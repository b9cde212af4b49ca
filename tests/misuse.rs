//! A node used by hand as a newcomer might: what is wrong has its answer, and the pair serves on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/frames.rs"]
mod frames;
mod support;

use bench::{A, B, Bench, HOME, ServoBench, TICK_US, memory};
use std::cell::RefCell;
use std::rc::Rc;
use support::{Sample, Servo, sensor};
use twinstep::wire::MAX_FRAME_BYTES;
use twinstep::{
    Arbiter, Begun, ChannelId, Claim, ClaimWord, Confirmation, Epoch, Faults, Grounds, Instant, Mode, OpenError,
    Outcome, Preferred, SharedClaim,
};

const SAMPLE: Sample = Sample { position: 1, limit: None };

/// Begins a cycle more often than one ends, and looks at no deadline; the peer is dead.
#[test]
fn begin_before_the_verdict_leaves_the_first_deadline() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(1));
    bench.boot();
    bench.run_cycles(3);
    let (mut verdicts, mut refused) = (0, 0);
    for half in 1..=100 {
        // The vote window is 60 ms, the period 100 ms.
        let now = Instant::from_micros(bench.now_us + half * 50_000);
        let begun = bench.nodes[A].begin(now, SAMPLE).unwrap();
        refused += u32::from(matches!(begun, Begun::VerdictDue(_)));
        verdicts += u32::from(bench.nodes[A].poll_verdict(now, &mut bench.arbiters[A]).is_some());
    }
    assert_eq!(bench.nodes[A].mode(), Mode::Simplex);
    assert!(verdicts >= 49 && refused >= 1, "{verdicts} verdicts, {refused} times nothing begun");
}

/// A sample that was not used is not the cycle's.
#[test]
fn a_sample_that_comes_too_early_is_not_used() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(2));
    bench.boot();
    bench.run_cycles(3);
    bench.cut_in_mid_cycle();
    let (cycle, deadline) = (bench.nodes[A].cycle(), bench.nodes[A].poll_timeout());
    let now = bench.now();
    let begun = bench.nodes[A].begin(now, Sample { position: 900, limit: Some(true) });
    assert_eq!(begun, Ok(Begun::VerdictDue(cycle)));
    assert_eq!(bench.nodes[A].poll_timeout(), deadline);
    bench.is_cut = false;
    bench.run_cycles(3); // judged by the samples that were taken
}

/// What an arbiter was told.
#[derive(Debug, Default)]
struct Told {
    released: Vec<(Epoch, ChannelId)>,
    cannot_tell: bool,
}

/// An arbiter that lets through whatever is newest, and notes what it is told.
#[derive(Clone)]
struct Noting<'w> {
    word: SharedClaim<'w>,
    told: Rc<RefCell<Told>>,
}

impl Arbiter for Noting<'_> {
    fn claim(&mut self, now: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
        self.word.claim(now, from, to, grounds)
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        let told = self.told.borrow();
        if told.cannot_tell {
            return Confirmation::CannotTell;
        }
        // As a pin would: once it is released, it denies.
        if told.released.contains(&(epoch, me)) { Confirmation::No } else { self.word.confirms(epoch, me) }
    }

    fn release(&mut self, epoch: Epoch, me: ChannelId) {
        self.told.borrow_mut().released.push((epoch, me));
    }

    fn remembered(&self) -> Option<Epoch> {
        self.word.remembered()
    }
}

type NotingBench<'m, 'w> = Bench<'m, Servo, MAX_FRAME_BYTES, Noting<'w>>;

fn with_noting(then: impl FnOnce(&mut NotingBench<'_, '_>, &[Rc<RefCell<Told>>; 2])) {
    let word = twinstep::ClaimWord::new();
    let told = [Rc::default(), Rc::default()];
    let arbiters =
        told.each_ref().map(|told: &Rc<RefCell<Told>>| Noting { word: SharedClaim::new(&word), told: told.clone() });
    let mut memory = memory::<Servo>();
    let mut bench = NotingBench::with_arbiters(&mut memory, HOME, arbiters, sensor(3));
    bench.boot();
    bench.run_cycles(3);
    then(&mut bench, &told);
}

/// Whichever way a channel leaves service, its arbiter is told so once, with the epoch that it owned.
#[test]
fn the_lease_is_released_on_each_way_out() {
    // Overtaken by the other one behind a cut link: it stands by.
    with_noting(|bench, told| {
        let epoch = bench.nodes[A].epoch();
        assert!(told[A].borrow().released.is_empty());
        bench.is_judged = false;
        bench.arbiters[B].word.claim(
            bench.now(),
            epoch,
            Epoch::new(epoch.counter() + 5, ChannelId::B),
            Grounds::Silence,
        );
        for _ in 0..500 {
            bench.tick();
        }
        assert_eq!(told[A].borrow().released, [(epoch, ChannelId::A)]);
        assert!(told[B].borrow().released.is_empty(), "it owned nothing before");
    });
    // Beyond repair: it starts over, the other one serves.
    with_noting(|bench, told| {
        let epoch = bench.nodes[A].epoch();
        bench.is_judged = false;
        bench.loses.push(twinstep::wire::Kind::Block); // no repair from the peer
        bench.nodes[A].memory().flip_checkpoint_bit(77);
        bench.nodes[A].memory().flip_working_bit(77);
        for _ in 0..1_500 {
            bench.tick();
        }
        assert!(bench.nodes[A].counters().self_exclusions > 0);
        assert_eq!(told[A].borrow().released, [(epoch, ChannelId::A)]);
    });
}

/// Two channels of which the owner drives, and what came of each output that was released.
struct Driven<'w> {
    nodes: [twinstep::Node<'static, Servo>; 2],
    arbiters: [Noting<'w>; 2],
    told: [Rc<RefCell<Told>>; 2],
    towards: [Vec<Vec<u8>>; 2],
    now_us: u64,
    opened: [Vec<(Mode, Result<(), OpenError>)>; 2],
}

impl<'w> Driven<'w> {
    fn new(word: &'w ClaimWord) -> Self {
        let told: [Rc<RefCell<Told>>; 2] = [Rc::default(), Rc::default()];
        let arbiters = told.each_ref().map(|told| Noting { word: SharedClaim::new(word), told: told.clone() });
        let nodes = [(ChannelId::A, 1), (ChannelId::B, 2)].map(|(me, nonce)| {
            let memory = Box::leak(Box::new(twinstep::sim::Storage::new()));
            let config = twinstep::Config { nonce, link_delay_us: 1_000, ..twinstep::Config::DEFAULT };
            twinstep::Node::new(me, memory.cells(), config).unwrap()
        });
        let mut driven =
            Self { nodes, arbiters, told, towards: Default::default(), now_us: 0, opened: Default::default() };
        driven.run_until("duplex", |driven| driven.nodes.iter().all(|node| node.mode() == Mode::Duplex));
        driven.run(500);
        driven
    }

    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now_us += TICK_US;
            let now = Instant::from_micros(self.now_us);
            let arrived = std::mem::take(&mut self.towards);
            for (at, frames) in arrived.iter().enumerate() {
                for frame in frames {
                    let _ = self.nodes[at].handle_frame(now, frame);
                    self.poll(at, now);
                }
                self.poll(at, now);
                if now >= self.nodes[at].next_start() {
                    let _ = self.nodes[at].begin(now, SAMPLE).unwrap();
                    self.poll(at, now);
                }
                let mut buffer = [0; MAX_FRAME_BYTES];
                while let Some(length) = self.nodes[at].poll_transmit(now, &mut buffer).unwrap() {
                    self.towards[1 - at].push(buffer[..length].to_vec());
                }
            }
        }
    }

    fn poll(&mut self, at: usize, now: Instant) {
        let Some(verdict) = self.nodes[at].poll_verdict(now, &mut self.arbiters[at]) else { return };
        let mode = verdict.mode();
        self.opened[at].extend(verdict.release().map(|voted| (mode, voted.open().map(|_| ()))));
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..5_000 {
            self.run(1);
            if done(self) {
                return;
            }
        }
        panic!("{what} does not come");
    }
}

/// A lasting difference that nobody can be blamed for: the safe output opens, and then the lease is released, once.
#[test]
fn the_safe_output_comes_before_the_release() {
    let word = ClaimWord::new();
    let mut driven = Driven::new(&word);
    let epoch = driven.nodes[A].epoch();
    driven.opened[A].clear();
    driven.nodes[B].flip(twinstep::Site::StuckOutput, 3);
    driven.run_until("the safe state", |driven| driven.nodes[A].mode() == Mode::Safe);
    driven.run(300);
    let safe: Vec<_> =
        driven.opened[A].iter().filter(|(mode, _)| *mode == Mode::Safe).map(|(_, opened)| *opened).collect();
    assert_eq!(safe.first(), Some(&Ok(())), "the safe output itself");
    assert!(safe.len() > 1 && safe[1..].iter().all(|opened| *opened == Err(OpenError::LeaseLost)), "{safe:?}");
    assert_eq!(driven.told[A].borrow().released, [(epoch, ChannelId::A)]);
    assert!(driven.told[B].borrow().released.is_empty(), "it owned nothing");
}

/// An arbiter that cannot be read is none that says no: the channel stays in service, nothing opens meanwhile, and it is told.
#[test]
fn an_arbiter_that_cannot_tell_costs_no_lease() {
    let word = ClaimWord::new();
    let mut driven = Driven::new(&word);
    let epoch = driven.nodes[A].epoch();
    driven.opened[A].clear();
    driven.told[A].borrow_mut().cannot_tell = true;
    driven.run(500);
    let opened: Vec<_> = driven.opened[A].iter().map(|(_, opened)| *opened).collect();
    assert!(opened.len() >= 4 && opened.iter().all(|opened| *opened == Err(OpenError::LeaseUnknown)), "{opened:?}");
    driven.told[A].borrow_mut().cannot_tell = false;
    driven.opened[A].clear();
    driven.run(500);
    assert!(driven.opened[A].len() >= 4 && driven.opened[A].iter().all(|(_, opened)| opened.is_ok()));
    assert_eq!((driven.nodes[A].epoch(), driven.nodes[A].mode()), (epoch, Mode::Duplex));
    assert!(driven.told[A].borrow().released.is_empty());
    let first = driven.nodes[A].first_fault().map_or(Faults::empty(), |first| first.faults);
    assert!(!first.contains(Faults::LEASE_LOST));
}

/// Of an arbiter without a memory nobody starts alone, whatever the configuration says.
#[test]
fn without_a_memory_nobody_starts_alone() {
    for (arbiter, starts) in [(None, false), (Some(Epoch::NONE), true)] {
        let mut storage = twinstep::sim::Storage::new();
        let config = twinstep::Config { nonce: 1, solo_boot_after_us: Some(200_000), ..twinstep::Config::DEFAULT };
        let mut node = twinstep::Node::<Servo>::new(ChannelId::A, storage.cells(), config).unwrap();
        let mut arbiter = Recalls(arbiter);
        let mut alone = false;
        for period in 0..10 {
            let now = Instant::from_micros(period * 100_000);
            let _ = node.begin(now, SAMPLE).unwrap();
            let verdict = node.poll_verdict(now, &mut arbiter).unwrap();
            alone |= verdict.outcome() == Outcome::Alone;
        }
        assert_eq!(alone, starts);
    }
    assert_eq!(Preferred(ChannelId::A).remembered(), None);
}

/// Grants everything, and remembers what it is told to.
struct Recalls(Option<Epoch>);

impl Arbiter for Recalls {
    fn claim(&mut self, _: Instant, _: Epoch, _: Epoch, _: Grounds) -> Claim {
        Claim::Granted
    }

    fn confirms(&self, _: Epoch, _: ChannelId) -> Confirmation {
        Confirmation::Yes
    }

    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        self.0
    }
}

/// An arbiter that never answers, until it grants.
struct Slow {
    answer: Claim,
    asked: Vec<Epoch>,
    released: Vec<Epoch>,
}

impl Arbiter for Slow {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, grounds: Grounds) -> Claim {
        self.asked.push(to);
        if grounds == Grounds::First { Claim::Granted } else { self.answer }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        (epoch.owner() == me && !self.released.contains(&epoch)).into()
    }

    fn release(&mut self, epoch: Epoch, _: ChannelId) {
        self.released.push(epoch);
    }

    fn remembered(&self) -> Option<Epoch> {
        None
    }
}

/// What was asked for and is not used any more is given back: the arbiter may have moved already.
#[test]
fn a_claim_that_is_given_up_is_released() {
    let mut memory = memory::<Servo>();
    let arbiters = [(); 2].map(|()| Slow { answer: Claim::Pending, asked: Vec::new(), released: Vec::new() });
    let mut bench = Bench::<Servo, MAX_FRAME_BYTES, Slow>::with_arbiters(&mut memory, HOME, arbiters, sensor(6));
    bench.boot();
    bench.run_cycles(3);
    bench.is_judged = false;
    bench.is_cut = true;
    bench.run_until("a claim", 500, |bench| bench.arbiters[B].asked.iter().any(|to| to.owner() == ChannelId::B));
    let asked = *bench.arbiters[B].asked.last().unwrap();
    assert!(bench.arbiters[B].released.is_empty(), "it is still wanted");
    // Memory beyond repair while the answer is on its way: the grant is of no use.
    for block in 0..16 {
        bench.nodes[B].memory().flip_checkpoint_bit(block * 512 + 5);
        bench.nodes[B].memory().flip_working_bit(block * 512 + 9);
    }
    bench.arbiters[B].answer = Claim::Granted;
    for _ in 0..300 {
        bench.tick();
    }
    assert_eq!(bench.nodes[B].mode(), Mode::Safe);
    assert_eq!(bench.arbiters[B].released, [asked]);
}
