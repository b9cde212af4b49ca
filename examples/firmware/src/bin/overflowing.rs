//! A version 2 that goes wrong once it has run for a while: for `cargo rig rollback`.
#![no_std]
#![no_main]

use board::serve::TankV2Memory;
use tank::OverflowingTank;
use twinstep::Succession;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: TankV2Memory = TankV2Memory::new();
    firmware::run::<OverflowingTank, _>(MEMORY, Some(Succession::new()))
}

firmware::image!();
