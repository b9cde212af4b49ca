//! The program by itself: what the other images are compared with.
#![no_std]
#![no_main]

use cortex_m as _;
use size_firmware::{Port, Ticks};
use twinstep_hal::Clock;
use workloads::reference::{State, WORDS, output, writes};

const PERIOD_US: u32 = 10_000;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut STATE: State = [0; WORDS];

    let (mut port, mut clock) = (Port, Ticks);
    let mut cycle = 0_u32;
    let mut next = clock.now();
    loop {
        clock.wait_until(next);
        next = next.plus_us(PERIOD_US);
        cycle = cycle.wrapping_add(1);
        let input = port.sample();
        for (at, word) in writes(cycle, &input) {
            if let Some(place) = STATE.get_mut(at) {
                *place ^= word;
            }
        }
        port.drive(&output(&input, STATE.first().copied().unwrap_or_default()));
    }
}

size_firmware::image!();
