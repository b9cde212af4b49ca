//! The program in lockstep: votes, takeover, reintegration.
#![no_std]
#![no_main]

use cortex_m as _;
use size_firmware::{FRAME, Port, Relay, Ticks};
use twinstep::{ChannelId, Config, Memory, Node, blocks};
use twinstep_hal::{Lockstep, SerialLink};
use workloads::reference::{Reference, State};

type Pair = Lockstep<'static, Reference, SerialLink<Port, FRAME>, Relay, FRAME>;

/// Bytes of the node and of the run loop, for the rig.
#[used]
static SIZES: [u32; 2] = [size_of::<Node<'static, Reference, FRAME>>() as u32, size_of::<Pair>() as u32];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory<State, { blocks::<State>() }> = Memory::new();

    let config = Config { nonce: 1, ..Config::DEFAULT };
    let (mut port, mut clock) = (Port, Ticks);
    let Ok(mut pair) = Pair::new(ChannelId::A, MEMORY, SerialLink::new(Port), Relay, config) else { loop {} };
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
