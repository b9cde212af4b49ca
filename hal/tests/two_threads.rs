//! The whole pair on two real threads, as on two cores of one chip: a mailbox between them, one of the arbiters on
//! shared words, real time. One thread stops and boots again, the threads by turns.
//!
//! The host may stop a thread for as long as it likes, which looks like a dead core: then the other one goes on alone,
//! and rightly so. So nothing is asserted of how long anything takes, nor of who drives when.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant as HostInstant};
use twinstep::ChannelId::{A, B};
use twinstep::sim::Storage;
use twinstep::{
    Agreement, Arbiter, ChannelId, ClaimWord, ClaimWords, Config, Cycle, Epoch, Instant, Mailbox, Mode, Outcome,
    Program, SharedClaim, SplitClaim, Tracked,
};
use twinstep_hal::{Clock, Lockstep, MailboxLink};

/// Adds up what was agreed on.
struct Sum;

impl Program for Sum {
    type Input = u32;
    type Output = u32;
    type State = [u32; 512];
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Agreement::on(a.wrapping_add(*b))
    }

    fn step(cycle: Cycle, state: &mut Tracked<[u32; 512]>, input: &u32) -> u32 {
        let at = cycle.0 as usize % 512;
        let before = state.get(at.wrapping_sub(1) % 512).copied().unwrap_or_default();
        state.try_update(|s| s.get(at), |sum| sum.wrapping_add(before ^ input));
        state.get(at).copied().unwrap_or_default()
    }
}

const CONFIG: Config = Config {
    period_us: 8_000,
    vote_window_us: 6_000,
    retransmit_us: 1_000,
    hello_us: 2_000,
    link_delay_us: 50,
    patience: 2,
    probation_cycles: 2,
    copy_blocks: 8,
    ..Config::DEFAULT
};

struct HostClock(HostInstant);

impl Clock for HostClock {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    fn wait_until(&mut self, _: Instant) {
        thread::sleep(Duration::from_micros(100)); // a tick
    }
}

/// What reached the actuator, in its order.
#[derive(Default)]
struct Actuator {
    /// The newest epoch that has driven.
    epoch: Option<Epoch>,
    driven: BTreeMap<u32, u32>,
}

/// What both threads share.
struct Chip {
    mailbox: Mailbox<16, 32>,
    actuator: Mutex<Actuator>,
    boots: AtomicU32,
    /// The modes of both, as last seen.
    modes: Mutex<[Option<Mode>; 2]>,
    joined: AtomicU32,
}

const ROUNDS: u32 = 4;

/// Serves as a core until its turn to stop comes, or all rounds are over.
fn serve<R: Arbiter>(chip: &Chip, me: ChannelId, arbiter: R) {
    let nonce = chip.boots.fetch_add(1, Ordering::SeqCst) + 1;
    let mut memory = Storage::new();
    let mut clock = HostClock(HostInstant::now());
    let link = MailboxLink::new(chip.mailbox.attach(me));
    let config = Config { nonce, ..CONFIG };
    let mut pair = Lockstep::<Sum, _, _, 128>::new(me, memory.cells(), link, arbiter, config).unwrap();
    let mut in_duplex = 0;
    while chip.joined.load(Ordering::SeqCst) < ROUNDS {
        let verdict = pair.cycle(&mut clock, || nonce).unwrap();
        let (outcome, mode, epoch) = (verdict.outcome(), verdict.mode(), verdict.epoch());
        assert_ne!(outcome, Outcome::Safe, "{me}");
        for voted in verdict.release() {
            let mut actuator = chip.actuator.lock().unwrap();
            let cycle = voted.cycle().0;
            let Ok(output) = voted.open() else { continue }; // overtaken meanwhile
            // It opened under the actuator's lock, so nobody newer has driven yet.
            assert!(
                actuator.epoch.is_none_or(|newest| newest <= epoch),
                "{me} drives in {epoch} after {:?}",
                actuator.epoch
            );
            actuator.epoch = Some(epoch);
            let before = *actuator.driven.entry(cycle).or_insert(output);
            assert_eq!(before, output, "two outputs of cycle {cycle}, {outcome:?} in {epoch}");
        }
        let mut modes = chip.modes.lock().unwrap();
        modes[me.index()] = Some(mode);
        in_duplex = if *modes == [Some(Mode::Duplex); 2] { in_duplex + 1 } else { 0 };
        if in_duplex < 20 {
            continue;
        }
        // Both have been in duplex for a while: the round is over, and one of them stops.
        in_duplex = 0;
        if chip.joined.load(Ordering::SeqCst).is_multiple_of(2) == (me == A) {
            chip.joined.fetch_add(1, Ordering::SeqCst);
            modes[me.index()] = None;
            return;
        }
    }
}

/// Serves, stops, and boots again.
fn core<R: Arbiter>(chip: &Chip, me: ChannelId, arbiter: impl Fn() -> R) {
    while chip.joined.load(Ordering::SeqCst) < ROUNDS {
        serve(chip, me, arbiter());
    }
}

fn run<RA: Arbiter, RB: Arbiter>(a: impl Fn() -> RA + Sync + Send, b: impl Fn() -> RB + Sync + Send) {
    let chip = Chip {
        mailbox: Mailbox::starting_at(u32::MAX - 100),
        actuator: Mutex::default(),
        boots: AtomicU32::new(0),
        modes: Mutex::default(),
        joined: AtomicU32::new(0),
    };
    thread::scope(|scope| {
        scope.spawn(|| core(&chip, A, a));
        scope.spawn(|| core(&chip, B, b));
    });
    let actuator = chip.actuator.into_inner().unwrap();
    let boots = chip.boots.into_inner();
    println!("{} cycles driven, {boots} boots, epoch {}", actuator.driven.len(), actuator.epoch.unwrap());
    assert!(actuator.driven.len() > 60 && boots > ROUNDS, "{} cycles, {boots} boots", actuator.driven.len());
    let last = *actuator.driven.keys().next_back().unwrap();
    let missing: Vec<u32> = (1..last).filter(|cycle| !actuator.driven.contains_key(cycle)).collect();
    assert!(missing.is_empty(), "missing {missing:?}");
}

#[test]
fn with_a_compare_and_swap() {
    let word = ClaimWord::new();
    run(|| SharedClaim::new(&word), || SharedClaim::new(&word));
}

#[test]
fn with_loads_and_stores_only() {
    let words = ClaimWords::new();
    run(|| SplitClaim::new(&words, A), || SplitClaim::new(&words, B));
}
