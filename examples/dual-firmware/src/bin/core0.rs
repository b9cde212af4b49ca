//! Core 0: channel A. It is running at power-up, and starts core 1.
#![no_std]
#![no_main]

use board::serve::TankMemory;
use cortex_m_rt::entry;
use dual_firmware::{chip, tank};

#[entry]
fn main() -> ! {
    static mut MEMORY: TankMemory = TankMemory::new();
    chip::start_core_1(); // a core 0 that begins anew finds it serving
    tank::run(0, MEMORY)
}

/// No panic is reachable; the language asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
