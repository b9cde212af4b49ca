//! The program in lockstep: votes, takeover, reintegration.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use cortex_m as _;
use size_firmware::{FRAME, Port, Relay, Ticks};
use twinstep::{ChannelId, Config, Memory, Node, blocks};
use twinstep_hal::{Lockstep, SerialLink};
use workloads::reference::{Reference, State};

type Pair = Lockstep<'static, Reference, SerialLink<Port, FRAME>, Relay, FRAME>;

/// Bytes of the node and of the run loop, for the rig.
#[used]
static SIZES: [u32; 2] = [size_of::<Node<'static, Reference, FRAME>>() as u32, size_of::<Pair>() as u32];

/// Makes the pair where it stays: a function of its own, so that what it takes of the stack is given back.
#[inline(never)]
fn start(
    place: &'static mut MaybeUninit<Pair>,
    memory: &'static mut Memory<State, { blocks::<State>() }>,
    config: Config,
) -> Option<&'static mut Pair> {
    Some(place.write(Pair::new(ChannelId::A, memory, SerialLink::new(Port), Relay, config).ok()?))
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
    loop {
        let Ok(verdict) = pair.cycle(&mut clock, || port.sample()) else { loop {} };
        for voted in verdict.release() {
            if let Ok(output) = voted.open() {
                port.drive(&output);
            }
        }
    }
}

size_firmware::image!();
