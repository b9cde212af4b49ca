//! Version 1 of the heated tank.
#![no_std]
#![no_main]

use board::serve::TankMemory;
use tank::Tank;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: TankMemory = TankMemory::new();
    firmware::run::<Tank, _>(MEMORY, None)
}

firmware::image!();
