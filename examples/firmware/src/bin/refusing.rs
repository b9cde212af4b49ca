//! A version 2 that takes no state over: for `cargo rig rollback`.
#![no_std]
#![no_main]

use board::serve::TankV2Memory;
use tank::RefusingTank;
use twinstep::Succession;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: TankV2Memory = TankV2Memory::new();
    firmware::run::<RefusingTank, _>(MEMORY, Some(Succession::new()))
}

firmware::image!();
