//! The whole way of an upgrade on two real threads, each with flash of its own: version 2 is staged on one half, goes to
//! the other one over the cross link while both serve, is tried, drives, is committed to, and in the end both run
//! it, have confirmed it and refuse what is older.
//!
//! The host may stop a thread for as long as it likes, which looks like a dead half. Then an upgrade falls back, and the
//! operator begins anew. So nothing is asserted of how long anything takes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod board;

use board::flash::{Nor, PAGE};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant as HostInstant};
use twinstep::ChannelId::{A, B};
use twinstep::sim::Storage;
use twinstep::upgrade::{Order, Step};
use twinstep::{
    Agreement, CannotMigrate, ChannelId, ClaimWord, Config, Cycle, Instant, Mailbox, Mode, Outcome, Program,
    SharedClaim, Succession, Successor, Tracked, Upgrades,
};
use twinstep_hal::images::transfer::Progress;
use twinstep_hal::images::{Courier, DigestOnly, Edition, ImageHeader, Images, Layout, Slot, Slots, choose};
use twinstep_hal::{Clock, Lockstep, MailboxLink, Next, Updater};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

struct Sum;

fn sum(before: u64, input: u32) -> u64 {
    before.wrapping_mul(3).wrapping_add(input.into())
}

impl Program for Sum {
    type Input = u32;
    type Output = u32;
    type State = [u64; 64];
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Agreement::on(a.wrapping_add(*b))
    }

    fn step(_: Cycle, state: &mut Tracked<[u64; 64]>, input: &u32) -> u32 {
        state.update(|s| &s[0], |before| sum(before, *input));
        state[0] as u32
    }
}

/// The same outputs from another layout.
struct Sum2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Sums {
    reserve: [u64; 80],
    low: u32,
    high: u32,
}

impl Program for Sum2 {
    type Input = u32;
    type Output = u32;
    type State = Sums;
    const SAFE: u32 = 0;
    const VERSION: u32 = 2;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Sum::agree(a, b)
    }

    fn step(_: Cycle, state: &mut Tracked<Sums>, input: &u32) -> u32 {
        let after = sum(u64::from(state.high) << 32 | u64::from(state.low), *input);
        state.set(|s| &s.low, after as u32);
        state.set(|s| &s.high, (after >> 32) as u32);
        after as u32
    }
}

impl Successor for Sum2 {
    type OldState = [u64; 64];
    const OLD_VERSION: u32 = Sum::VERSION;
    const OLD_LAYOUT: u32 = Sum::LAYOUT;

    fn migrate(old: &[u64; 64], new: &mut Sums) -> Result<(), CannotMigrate> {
        (new.low, new.high) = (old[0] as u32, (old[0] >> 32) as u32);
        Ok(())
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
    trial_cycles: 20,
    ..Config::DEFAULT
};

/// Longer waits are a hang of this test.
const CYCLES_AT_MOST: u32 = 20_000;
const FRAME_BYTES: usize = 128;
const LAYOUT: Layout = Layout {
    slot_a: 0,
    slot_b: 4 * PAGE as u32,
    slot_bytes: 4 * PAGE as u32,
    image_offset: 64,
    records: 8 * PAGE as u32,
};

type Flash = Nor<4>;

struct HostClock(HostInstant);

impl Clock for HostClock {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    fn wait_until(&mut self, _: Instant) {
        thread::sleep(Duration::from_micros(100)); // a tick
    }
}

/// An image: noise, since what runs is in this test.
fn image(version: u32) -> (ImageHeader, Vec<u8>) {
    let mut rng = fastrand::Rng::with_seed(version.into());
    let bytes: Vec<u8> = (0..700).map(|_| rng.u8(..)).collect();
    let (layout, before) = match version {
        1 => (Sum::LAYOUT, None),
        _ => (Sum2::LAYOUT, Some(Edition { version: 1, layout: Sum::LAYOUT })),
    };
    let header = ImageHeader {
        program: Edition { version, layout },
        before,
        length: bytes.len() as u32,
        digest: Sha256::digest(&bytes).into(),
        signature_length: 0,
    };
    (header, bytes)
}

/// Flash as it comes from the factory, with version 1.
fn factory() -> Mutex<Flash> {
    let mut flash = Flash::new(10);
    let (header, bytes) = image(1);
    flash.bytes[..64].copy_from_slice(&header.encode());
    flash.bytes[64..][..bytes.len()].copy_from_slice(&bytes);
    Slots::new(&mut flash, LAYOUT, DigestOnly, Slot::A).unwrap().provision().unwrap();
    Mutex::new(flash)
}

/// What both halves share, and what is known of them.
struct Plant {
    mailbox: Mailbox<16, 32>,
    owner: ClaimWord,
    flash: [Mutex<Flash>; 2],
    boots: AtomicU32,
    driven: Mutex<BTreeMap<u32, u32>>,
    /// Both halves' versions and cycles in duplex, as last seen.
    seen: Mutex<[(u32, u32); 2]>,
    is_over: AtomicBool,
}

type Pair<'m, P> = Lockstep<'m, P, MailboxLink<'m, 16, 32>, SharedClaim<'m>, FRAME_BYTES, Upgrades<P>>;

/// Serves until a reset is asked for, or all is over.
fn serve<'m, P>(
    plant: &'m Plant,
    me: ChannelId,
    slot: Slot,
    prepare: impl FnOnce(&mut Pair<'m, P>),
    cells: &'m mut Storage<P::State>,
) where
    P: Program<Input = u32, Output = u32>,
{
    let nonce = plant.boots.fetch_add(1, Ordering::SeqCst) + 1;
    let mut flash = plant.flash[me.index()].try_lock().unwrap();
    let mut clock = HostClock(HostInstant::now());
    let link = MailboxLink::new(plant.mailbox.attach(me));
    let config = Config { nonce, ..CONFIG };
    let mut pair: Pair<'_, P> =
        Lockstep::with_upgrades(me, cells.cells(), link, SharedClaim::new(&plant.owner), config).unwrap();
    prepare(&mut pair);
    let mut updater = Updater::new(Slots::new(&mut *flash, LAYOUT, DigestOnly, slot).unwrap(), 256);
    updater.begin(&mut pair).unwrap();
    let mut courier = Courier::<100>::new(256);
    let (header, bytes) = image(2);
    let mut is_staged = false;
    let mut in_duplex = 0;
    for cycles in 0_u32.. {
        assert!(cycles < CYCLES_AT_MOST, "{me}: {:?} {:?}", pair.node().mode(), pair.node().upgrade());
        let verdict = pair.cycle_with(&mut clock, || nonce, &mut courier).unwrap();
        assert_ne!(verdict.outcome(), Outcome::Safe, "{me}");
        let mode = verdict.mode();
        for voted in verdict.release() {
            let mut driven = plant.driven.lock().unwrap();
            let cycle = voted.cycle().0;
            let Ok(output) = voted.open() else { continue }; // overtaken meanwhile
            let before = *driven.entry(cycle).or_insert(output);
            assert_eq!(before, output, "two outputs of cycle {cycle}");
        }
        if plant.is_over.load(Ordering::SeqCst) {
            return;
        }
        // Version 2 comes to A by some way, and from there to B.
        if P::VERSION == 1 && me == A && cycles == 20 {
            let images = updater.images();
            if images.status().is_ok_and(|status| status.candidate.is_none()) {
                let mut at = images.begin(&header).unwrap();
                while (at as usize) < bytes.len() {
                    at = images.write(at, &bytes[at as usize..]).unwrap();
                }
                updater.staged();
            }
            courier.send(header, nonce);
        }
        let read = |at: u32, into: &mut [u8]| {
            into.copy_from_slice(&bytes[at as usize..][..into.len()]);
            Ok::<(), ()>(())
        };
        courier.tend(updater.images(), read).unwrap();
        if courier.received() == Progress::Done && !std::mem::replace(&mut is_staged, true) {
            updater.staged();
        }
        match updater.tend(&mut pair, &mut clock) {
            Ok(Next::Reset) => return,
            // At first there is nothing in the other slot.
            Ok(Next::GoOn) | Err(_) => {}
        }
        pair.clear_first_fault(); // the operator has seen it
        order_on(&mut pair, &mut clock, &courier);
        in_duplex = if mode == Mode::Duplex && pair.duty().is_none() { in_duplex + 1 } else { 0 };
        let mut seen = plant.seen.lock().unwrap();
        seen[me.index()] = (P::VERSION, in_duplex);
        let is_done = seen.iter().all(|(version, in_duplex)| *version == 2 && *in_duplex > 20);
        plant.is_over.fetch_or(is_done, Ordering::SeqCst);
    }
}

/// The operator: on the half that owns, the next step as soon as it can be taken.
fn order_on<P: Program>(pair: &mut Pair<'_, P>, clock: &mut HostClock, courier: &Courier<100>) {
    let status = pair.node().upgrade();
    // A half that is still sending the image, or waiting for it, has to go on with that.
    let is_sending = courier.sent().is_some_and(|sent| sent != Progress::Done);
    let order = match status.step {
        Step::Idle if P::VERSION == 1 && !is_sending => Order::Prepare,
        Step::Prepare => Order::Split,
        Step::OldDrives if status.is_ready => Order::Switchover,
        Step::NewDrives if status.counts.cycles > 10 || pair.node().mode() != Mode::Trial => Order::Commit,
        _ => return,
    };
    if pair.node().leads() {
        let _ = pair.order(clock, order); // not ready yet
    }
}

/// One half: what the bootloader chooses, again and again.
fn half(plant: &Plant, me: ChannelId) {
    while !plant.is_over.load(Ordering::SeqCst) {
        let mut flash = plant.flash[me.index()].lock().unwrap();
        flash.power_on();
        let choice = choose(&mut *flash, &LAYOUT, &DigestOnly).unwrap();
        drop(flash);
        match choice.header.program.version {
            1 => serve::<Sum>(plant, me, choice.slot, |_| {}, &mut Storage::new()),
            2 => serve::<Sum2>(plant, me, choice.slot, |pair| pair.succeed(Succession::new()), &mut Storage::new()),
            other => panic!("version {other} is booted"),
        }
    }
}

#[test]
fn from_flash_to_flash() {
    let plant = Plant {
        mailbox: Mailbox::new(),
        owner: ClaimWord::new(),
        flash: [factory(), factory()],
        boots: AtomicU32::new(0),
        driven: Mutex::default(),
        seen: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        scope.spawn(|| half(&plant, A));
        scope.spawn(|| half(&plant, B));
    });
    let driven = plant.driven.into_inner().unwrap();
    let last = *driven.keys().next_back().unwrap();
    let missing: Vec<u32> = (1..last).filter(|cycle| !driven.contains_key(cycle)).collect();
    assert!(missing.is_empty(), "missing {missing:?}");
    println!("{} cycles driven, {} boots", driven.len(), plant.boots.into_inner());
    for flash in plant.flash {
        let mut flash = flash.into_inner().unwrap();
        let choice = choose(&mut flash, &LAYOUT, &DigestOnly).unwrap();
        assert_eq!((choice.header.program.version, choice.is_on_trial), (2, false));
        let status = Slots::new(&mut flash, LAYOUT, DigestOnly, choice.slot).unwrap().status().unwrap();
        assert_eq!(status.floor, 2);
        assert_eq!(flash.violation, None);
    }
}
