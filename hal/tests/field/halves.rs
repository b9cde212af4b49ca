//! Two halves with flash of their own, in virtual time: version 2 is staged on both, an operator orders, and halves lose power in the
//! middle of it.

use super::program::Relay;
use super::time::{Around, Port, both};
use crate::board::flash::{Nor, PAGE};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use twinstep::sim::Storage;
use twinstep::upgrade::{Order, Step};
use twinstep::wire::MAX_FRAME_BYTES;
use twinstep::{
    Agreement, Build, CannotMigrate, Config, Cycle, Mode, Program, Succession, Successor, Tracked, Upgrades,
};
use twinstep_hal::images::{DigestOnly, Edition, ImageHeader, Images, Layout, Slot, Slots, choose};
use twinstep_hal::{Lockstep, Next, Updater};

macro_rules! version {
    ($name:ident, $number:expr, $words:expr) => {
        struct $name;

        impl Program for $name {
            type Input = u32;
            type Output = u32;
            type State = [u64; $words];
            const SAFE: u32 = 0;
            const VERSION: u32 = $number;
            const BUILD: Build = Build::new($number);

            fn agree(a: &u32, b: &u32) -> Agreement<u32> {
                Agreement::on(*a.max(b))
            }

            fn step(_: Cycle, state: &mut Tracked<[u64; $words]>, input: &u32) -> u32 {
                state.update(|s| &s[0], |sum| sum + u64::from(*input));
                state[0] as u32
            }
        }
    };
}
version!(One, 1, 16);
version!(Two, 2, 24);

impl Successor for Two {
    type OldState = [u64; 16];
    const OLD_VERSION: u32 = 1;
    const OLD_LAYOUT: u32 = One::LAYOUT;

    fn migrate(old: &[u64; 16], new: &mut [u64; 24]) -> Result<(), CannotMigrate> {
        new[0] = old[0];
        Ok(())
    }
}

const CONFIG: Config = Config {
    probation_cycles: 2,
    copy_blocks: 8,
    trial_cycles: 20,
    nonce: 1,
    solo_boot_after_us: Some(2_000_000),
    ..Config::DEFAULT
};
const IMAGE_BYTES: usize = 8_192;
const SLOT: u32 = 40 * PAGE as u32;
const LAYOUT: Layout = Layout { slot_a: 0, slot_b: SLOT, slot_bytes: SLOT, image_offset: 64, records: 2 * SLOT };
const RUN_US: u64 = 60_000_000;

type Flash = Nor<4>;
type Half<P> = Lockstep<'static, P, Port, Relay, MAX_FRAME_BYTES, Upgrades<P>>;

fn image(version: u32) -> (ImageHeader, Vec<u8>) {
    let mut rng = fastrand::Rng::with_seed(version.into());
    let bytes: Vec<u8> = (0..IMAGE_BYTES).map(|_| rng.u8(..)).collect();
    let (layout, before) = match version {
        1 => (One::LAYOUT, None),
        _ => (Two::LAYOUT, Some(Edition { version: 1, layout: One::LAYOUT })),
    };
    let (program, digest) = (Edition { version, layout }, Sha256::digest(&bytes).into());
    (ImageHeader { program, before, length: IMAGE_BYTES as u32, digest, signature_length: 0 }, bytes)
}

/// Flash as it leaves the factory, with version 2 staged.
fn factory() -> Flash {
    let mut flash = Flash::new(82);
    let (header, bytes) = image(1);
    flash.bytes[..64].copy_from_slice(&header.encode());
    flash.bytes[64..][..IMAGE_BYTES].copy_from_slice(&bytes);
    Slots::new(&mut flash, LAYOUT, DigestOnly, Slot::A).unwrap().provision().unwrap();
    let (header, bytes) = image(2);
    let mut slots = Slots::new(&mut flash, LAYOUT, DigestOnly, Slot::A).unwrap();
    let mut at = slots.begin(&header).unwrap() as usize;
    while at < IMAGE_BYTES {
        at = slots.write(at as u32, &bytes[at..]).unwrap() as usize;
    }
    flash
}

/// What both halves know.
struct Plan {
    verify_bytes: u32,
    /// Who loses power as soon as the other half has confirmed version 2.
    resets: [bool; 2],
    is_confirmed: AtomicBool,
    is_reset: [AtomicBool; 2],
    boots: AtomicU32,
    relay: Relay,
}

/// Serves until a reset, or the end; returns what it came to.
fn serve<P: Program<Input = u32, Output = u32, State: 'static>>(
    port: &mut Port,
    flash: &mut Flash,
    slot: Slot,
    plan: &Plan,
    prepare: impl FnOnce(&mut Half<P>),
) -> (Mode, u32) {
    let config = Config { nonce: plan.boots.fetch_add(1, SeqCst) + 1, ..CONFIG };
    let memory: &'static mut Storage<P::State> = Box::leak(Box::new(Storage::new()));
    let relay = plan.relay.clone();
    let mut pair = Half::<P>::with_upgrades(port.me, memory.cells(), port.clone(), relay, config).unwrap();
    prepare(&mut pair);
    let mut updater = Updater::new(Slots::new(flash, LAYOUT, DigestOnly, slot).unwrap(), plan.verify_bytes);
    updater.begin(&mut pair).unwrap();
    let me = port.me.index();
    while port.now_us() < RUN_US {
        let _ = pair.cycle(port, || 1).unwrap();
        let is_stable = !updater.images().status().unwrap().is_on_trial();
        if P::VERSION == 2 && is_stable {
            plan.is_confirmed.store(true, SeqCst);
        }
        if plan.is_confirmed.load(SeqCst) && plan.resets[me] && !plan.is_reset[me].swap(true, SeqCst) {
            break; // the power is gone
        }
        match updater.tend(&mut pair, port) {
            Ok(Next::Reset) => break,
            Ok(Next::GoOn) | Err(_) => {}
        }
        pair.clear_first_fault();
        let status = pair.node().upgrade();
        let order = match status.step {
            Step::Idle if P::VERSION == 1 => Order::Prepare,
            Step::Prepare => Order::Split,
            Step::OldDrives if status.is_ready => Order::Switchover,
            Step::NewDrives if status.counts.cycles > 10 || pair.node().mode() != Mode::Trial => Order::Commit,
            _ => continue,
        };
        if pair.node().leads() {
            let _ = pair.order(port, order);
        }
    }
    (pair.node().mode(), P::VERSION)
}

/// Runs both halves; returns mode and version of each in the end.
fn ends(verify_bytes: u32, resets: [bool; 2]) -> [(Mode, u32); 2] {
    let (is_confirmed, is_reset, boots, relay) = Default::default();
    let plan = Plan { verify_bytes, resets, is_confirmed, is_reset, boots, relay };
    both([Around::usual(), Around::usual()], |mut port| {
        let (mut flash, mut end) = (factory(), (Mode::Safe, 0));
        while port.now_us() < RUN_US {
            flash.power_on();
            let choice = choose(&mut flash, &LAYOUT, &DigestOnly).unwrap();
            end = match choice.header.program.version {
                1 => serve::<One>(&mut port, &mut flash, choice.slot, &plan, |_| {}),
                _ => serve::<Two>(&mut port, &mut flash, choice.slot, &plan, |pair| pair.succeed(Succession::new())),
            };
            port.pass(300_000);
        }
        end
    })
}

/// A piece of the image that takes many cycles to be verified, and one that takes a single one.
#[test]
fn halves_that_lose_power_in_the_commit_come_to_the_new_version() {
    for verify_bytes in [256, 1_000, 8_192] {
        for resets in [[false; 2], [true, false], [false, true], [true; 2]] {
            assert_eq!(ends(verify_bytes, resets), [(Mode::Duplex, 2); 2], "{verify_bytes} {resets:?}");
        }
    }
}
