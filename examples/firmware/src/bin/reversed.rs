//! A version 2 that is wrong from the first cycle on: for `cargo rig rollback`.
#![no_std]
#![no_main]

use board::serve::TankV2Memory;
use tank::ReversedTank;
use twinstep::Succession;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: TankV2Memory = TankV2Memory::new();
    firmware::run::<ReversedTank, _>(MEMORY, Some(Succession::new()))
}

firmware::image!();
