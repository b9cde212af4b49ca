//! The version after it in lockstep, with all that the library has: upgrades and their orders, journal, parcels.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use cortex_m as _;
use size_firmware::{FRAME, Port, Relay, Ticks};
use twinstep::upgrade::{Candidate, Duty, Order, Retry, RunningImage};
use twinstep::{ChannelId, Config, Memory, Node, Succession, Upgrades, blocks};
use twinstep_hal::{Lockstep, SerialLink};
use workloads::reference::{Reference2, State};

type Pair = Lockstep<'static, Reference2, SerialLink<Port, FRAME>, Relay, FRAME, Upgrades<Reference2>>;

/// Bytes of the node and of the run loop, for the rig.
#[used]
static SIZES: [u32; 2] =
    [size_of::<Node<'static, Reference2, FRAME, Upgrades<Reference2>>>() as u32, size_of::<Pair>() as u32];

/// Makes the pair where it stays: a function of its own, so that what it takes of the stack is given back.
#[inline(never)]
fn start(
    place: &'static mut MaybeUninit<Pair>,
    memory: &'static mut Memory<State, { blocks::<State>() }>,
    config: Config,
) -> Option<&'static mut Pair> {
    Some(place.write(Pair::with_upgrades(ChannelId::A, memory, SerialLink::new(Port), Relay, config).ok()?))
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut PAIR: MaybeUninit<Pair> = MaybeUninit::uninit();
    static mut MEMORY: Memory<State, { blocks::<State>() }> = Memory::new();

    let config = Config { nonce: 1, ..Config::DEFAULT };
    let Some(pair) = start(PAIR, MEMORY, config) else { loop {} };
    serve(pair)
}

/// Runs cycle after cycle.
#[inline(never)]
fn serve(pair: &mut Pair) -> ! {
    let (mut port, mut clock) = (Port, Ticks);
    pair.succeed(Succession::new());
    pair.running_image(if port.command() == 1 { RunningImage::Confirmed } else { RunningImage::OnTrial }, 1);
    pair.offer_candidate(Some(Candidate { version: 3, takes_version: 2, takes_layout: 0, floor: 1 }));
    loop {
        let Ok(verdict) = pair.cycle(&mut clock, || port.sample()) else { loop {} };
        for voted in verdict.release() {
            if let Ok(output) = voted.open() {
                port.drive(&output);
            }
        }
        while let Some(entry) = pair.read_event() {
            port.tell(entry.cycle.0);
        }
        let order = match port.command() {
            1 => Some(Order::Prepare),
            2 => Some(Order::Split),
            3 => Some(Order::Switchover),
            4 => Some(Order::Commit),
            5 => Some(Order::Abort),
            _ => None,
        };
        if let Some(order) = order {
            let _ = pair.order(&mut clock, order);
        }
        match pair.duty() {
            None => {}
            Some(Duty::Confirm) => pair.image_confirmed(),
            Some(Duty::RaiseFloor) => pair.floor_raised(),
            Some(Duty::RestartIntoNew | Duty::RestartIntoOld) => pair.restart_failed(&mut clock, Retry::Never),
        }
        port.tell(pair.node().upgrade().counts.cycles);
    }
}

size_firmware::image!();
