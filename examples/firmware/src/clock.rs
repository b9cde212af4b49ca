//! Milliseconds from SysTick, and sleep until something happens.

use crate::uart::{CROSS_LINK, FIELD_BUS};
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::{NVIC, SYST, syst::SystClkSource};
use lm3s6965::Interrupt;
use twinstep::Instant;
use twinstep_hal::Clock;

/// The core clock after reset as QEMU models it.
const CORE_HZ: u32 = 12_500_000;

/// Milliseconds since the start, modulo 2^32.
static MILLIS: AtomicU32 = AtomicU32::new(0);

/// The board's clock.
pub struct SysTickClock {
    last_millis: u32,
    millis: u64,
}

impl SysTickClock {
    /// Starts the clock, and lets the UARTs wake the processor.
    pub fn start(mut systick: SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(CORE_HZ / 1000 - 1);
        systick.clear_current();
        systick.enable_counter();
        systick.enable_interrupt();
        // SAFETY: no critical section relies on these interrupts being masked.
        unsafe {
            NVIC::unmask(Interrupt::UART0);
            NVIC::unmask(Interrupt::UART1);
        }
        Self { last_millis: 0, millis: 0 }
    }
}

impl Clock for SysTickClock {
    fn now(&mut self) -> Instant {
        let millis = MILLIS.load(Ordering::Relaxed);
        self.millis += u64::from(millis.wrapping_sub(self.last_millis));
        self.last_millis = millis;
        Instant::from_micros(self.millis * 1000)
    }

    /// Sleeps until a byte arrives or the next millisecond begins.
    fn wait_until(&mut self, at: Instant) {
        if self.now() >= at {
            return;
        }
        // With interrupts masked, one that becomes pending before `wfi` still ends it.
        cortex_m::interrupt::free(|_| {
            CROSS_LINK.wake_on_receive(true);
            FIELD_BUS.wake_on_receive(true);
            if !CROSS_LINK.has_received() && !FIELD_BUS.has_received() {
                cortex_m::asm::wfi();
            }
            CROSS_LINK.wake_on_receive(false);
            FIELD_BUS.wake_on_receive(false);
            NVIC::unpend(Interrupt::UART0);
            NVIC::unpend(Interrupt::UART1);
        });
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    MILLIS.store(MILLIS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
