#![no_std]
//! The heated tank on one board. Both boards run the same image; which channel a board is, it learns from the plant
//! side at boot. Logs are defmt over semihosting.
//!
//! ```text
//! main             version 1
//! bin/v2           version 2
//! bin/reversed     a version 2 that is wrong from the first cycle on
//! bin/overflowing  a version 2 that is right for some time
//! bin/refusing     a version 2 that takes no state over
//! bin/blind        an overflowing one that takes any two outputs for alike
//! bin/real-time    version 1 with a clock and UARTs of its own
//! ```
//!
//! The time of all but the last is the rig's: clock and lines are on a tether (`board::virtual_time`). `real-time` has UART0
//! as the cross link to the other board and UART1 as the field bus to sensors, actuators and the output relay. It runs in
//! QEMU only: silicon also needs clock gates, pins and baud rates set up, and a watchdog that the loop feeds.

mod chip;
mod uart;

use board::clock::SysTickClock;
use board::field::{FieldBus, Relay};
use board::serve::{FRAME_BYTES, boot, serve_version};
use board::virtual_time::{FieldPort, LinkPort, Tether, TetherClock};
use chip::TetheredChip;
#[cfg(feature = "log")]
use defmt_semihosting as _;
use tank::{Drive, Reading, TIMING};
use twinstep::memory::Cells;
use twinstep::{Config, ConfigError, Program, Succession};
use twinstep_hal::SerialLink;
use uart::{UART0, UART1};

/// The core clock after reset as QEMU models it.
const CORE_HZ: u32 = 12_500_000;

/// Timing for a board whose time is that of a busy host, which may stop it for tens of milliseconds.
const REAL_TIMING: Config = Config {
    period_us: 120_000,
    vote_window_us: 85_000,
    retransmit_us: 12_000,
    hello_us: 40_000,
    link_delay_us: 2_000,
    ..TIMING
};

/// Serves for good in a version of the program, on memory for it; `succession` is what it says of the one before. Time
/// is the rig's.
pub fn run<P, M>(memory: M, succession: Option<Succession<P>>) -> !
where
    P: Program<Input = Reading, Output = Drive>,
    P::State: 'static,
    M: TryInto<Cells<'static, P::State>>,
    ConfigError: From<M::Error>,
{
    let Some(core) = cortex_m::Peripherals::take() else { stop() };
    let tether = Tether::new(TetheredChip::new(), core.SYST);
    let bus = FieldBus::new(FieldPort(&tether));
    let mut clock = TetherClock(&tether);
    let identity = boot(&bus, &mut clock, TIMING);
    let link = SerialLink::<_, FRAME_BYTES>::new(LinkPort(&tether));
    serve_version(identity, memory, succession, &bus, clock, link, Relay(&bus))
}

/// The same with a clock and UARTs of the board's own.
pub fn run_in_real_time<P, M>(memory: M, succession: Option<Succession<P>>) -> !
where
    P: Program<Input = Reading, Output = Drive>,
    P::State: 'static,
    M: TryInto<Cells<'static, P::State>>,
    ConfigError: From<M::Error>,
{
    let bus = FieldBus::new(UART1.enabled());
    let Some(core) = cortex_m::Peripherals::take() else { stop() };
    uart::may_wake();
    let mut clock = SysTickClock::start(core.SYST, CORE_HZ, || {
        uart::sleep();
        bus.listen();
    });
    let identity = boot(&bus, &mut clock, REAL_TIMING);

    let link = SerialLink::<_, FRAME_BYTES>::new(UART0.enabled());
    serve_version(identity, memory, succession, &bus, clock, link, Relay(&bus))
}

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// What an image of any version needs beside its `main`.
#[macro_export]
macro_rules! image {
    () => {
        /// Not reachable without the feature `log`, which `cargo rig panic-free` checks; the language asks for it.
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            cortex_m::asm::udf()
        }
    };
}
