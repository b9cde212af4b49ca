//! Core 0: channel A. It is running at power-up, and starts core 1.
#![no_std]
#![no_main]

use board::clock::tick;
use board::serve::TankMemory;
use core::sync::atomic::Ordering;
use cortex_m_rt::{entry, exception};
use dual_firmware::{SHARED, chip, tank};

#[entry]
fn main() -> ! {
    static mut MEMORY: TankMemory = TankMemory::new();
    // Once since power-up: a core 0 that begins anew finds core 1 serving.
    if SHARED.core_1_started.swap(1, Ordering::Relaxed) == 0 {
        chip::start_core_1();
    }
    tank::run(0, MEMORY)
}

#[exception]
fn SysTick() {
    tick();
}

/// No panic is reachable; the language asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
