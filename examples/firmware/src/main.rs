//! The heated tank on one board. Both boards run this image; which channel a board is, it
//! learns from the plant side at boot.
//!
//! UART0 is the cross link to the other board, UART1 the field bus to sensors, actuators
//! and the output relay. Logs are defmt over semihosting.
#![no_std]
#![no_main]

mod uart;

use board::clock::{SysTickClock, tick};
use board::field::{FieldBus, Relay};
use board::serve::{FRAME_BYTES, TankMemory, boot, give_up, serve};
use cortex_m_rt::{entry, exception};
#[cfg(feature = "log")]
use defmt_semihosting as _;
use twinstep_hal::SerialLink;
use uart::{CROSS_LINK, FIELD_BUS};

/// The core clock after reset as QEMU models it.
const CORE_HZ: u32 = 12_500_000;

#[entry]
fn main() -> ! {
    static mut MEMORY: TankMemory = TankMemory::new();

    let bus = FieldBus::new(FIELD_BUS.enabled());
    let Some(core) = cortex_m::Peripherals::take() else { give_up(&bus, 1) };
    uart::may_wake();
    let mut clock = SysTickClock::start(core.SYST, CORE_HZ, || {
        uart::sleep();
        bus.listen();
    });
    let identity = boot(&bus, &mut clock);

    let link = SerialLink::<_, FRAME_BYTES>::new(CROSS_LINK.enabled());
    serve(identity, MEMORY, &bus, clock, link, Relay(&bus))
}

#[exception]
fn SysTick() {
    tick();
}

/// Not reachable without the feature `log`, which `cargo rig panic-free` checks; the language asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
