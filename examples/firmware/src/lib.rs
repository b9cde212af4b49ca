#![no_std]
//! The heated tank on one board. Both boards run the same image; which channel a board is, it learns from the plant
//! side at boot.
//!
//! UART0 is the cross link to the other board, UART1 the field bus to sensors, actuators
//! and the output relay. Logs are defmt over semihosting.
//!
//! ```text
//! main             version 1
//! bin/v2           version 2
//! bin/reversed     a version 2 that is wrong from the first cycle on
//! bin/overflowing  a version 2 that is right for some time
//! bin/refusing     a version 2 that takes no state over
//! bin/blind        an overflowing one that takes any two outputs for alike
//! ```

mod uart;

use board::clock::SysTickClock;
use board::field::{FieldBus, Relay};
use board::serve::{FRAME_BYTES, boot, give_up, serve_version};
#[cfg(feature = "log")]
use defmt_semihosting as _;
use tank::{Drive, Reading};
use twinstep::memory::Cells;
use twinstep::{ConfigError, Program, Succession};
use twinstep_hal::SerialLink;
use uart::{CROSS_LINK, FIELD_BUS};

/// The core clock after reset as QEMU models it.
const CORE_HZ: u32 = 12_500_000;

/// Serves for good in a version of the program, on memory for it; `succession` is what it says of the one before.
pub fn run<P, M>(memory: M, succession: Option<Succession<P>>) -> !
where
    P: Program<Input = Reading, Output = Drive>,
    P::State: 'static,
    M: TryInto<Cells<'static, P::State>>,
    ConfigError: From<M::Error>,
{
    let bus = FieldBus::new(FIELD_BUS.enabled());
    let Some(core) = cortex_m::Peripherals::take() else { give_up(&bus, 1) };
    uart::may_wake();
    let mut clock = SysTickClock::start(core.SYST, CORE_HZ, || {
        uart::sleep();
        bus.listen();
    });
    let identity = boot(&bus, &mut clock);

    let link = SerialLink::<_, FRAME_BYTES>::new(CROSS_LINK.enabled());
    serve_version(identity, memory, succession, &bus, clock, link, Relay(&bus))
}

/// What an image of any version needs beside its `main`.
#[macro_export]
macro_rules! image {
    () => {
        #[cortex_m_rt::exception]
        fn SysTick() {
            board::clock::tick();
        }

        /// Not reachable without the feature `log`, which `cargo rig panic-free` checks; the language asks for it.
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            cortex_m::asm::udf()
        }
    };
}
