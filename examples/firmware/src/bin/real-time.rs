//! Version 1 of the heated tank on a board with a clock and UARTs of its own.
#![no_std]
#![no_main]

use board::serve::TankMemory;
use cortex_m_rt::{entry, exception};
use tank::Tank;

#[entry]
fn main() -> ! {
    static mut MEMORY: TankMemory = TankMemory::new();
    firmware::run_in_real_time::<Tank, _>(MEMORY, None)
}

#[exception]
fn SysTick() {
    board::clock::tick();
}

firmware::image!();
