//! Core 1: channel B. Core 0 starts it.
#![no_std]
#![no_main]

use board::serve::TankMemory;
use cortex_m_rt::entry;
use dual_firmware::tank;

#[entry]
fn main() -> ! {
    static mut MEMORY: TankMemory = TankMemory::new();
    tank::run(1, MEMORY)
}

/// No panic is reachable; the language asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
