//! Version 2 of the heated tank, which takes over from version 1.
#![no_std]
#![no_main]

use board::serve::TankV2Memory;
use tank::TankV2;
use twinstep::Succession;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: TankV2Memory = TankV2Memory::new();
    firmware::run::<TankV2, _>(MEMORY, Some(Succession::new()))
}

firmware::image!();
