//! Milliseconds from SysTick, and sleep until something happens.

use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use twinstep::Instant;
use twinstep_hal::Clock;

/// Milliseconds since the start, modulo 2^32.
static MILLIS: AtomicU32 = AtomicU32::new(0);

/// The board's clock. `sleep` waits for the next interrupt or received byte, whichever comes first.
pub struct SysTickClock<S> {
    sleep: S,
    last_millis: u32,
    millis: u64,
}

impl<S: FnMut()> SysTickClock<S> {
    /// Starts the clock of a core that runs at so many hertz; its image's SysTick handler calls [`tick`].
    pub fn start(mut systick: SYST, core_hz: u32, sleep: S) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(core_hz / 1000 - 1);
        systick.clear_current();
        systick.enable_counter();
        systick.enable_interrupt();
        Self { sleep, last_millis: 0, millis: 0 }
    }
}

impl<S: FnMut()> Clock for SysTickClock<S> {
    fn now(&mut self) -> Instant {
        let millis = MILLIS.load(Ordering::Relaxed);
        self.millis += u64::from(millis.wrapping_sub(self.last_millis));
        self.last_millis = millis;
        Instant::from_micros(self.millis * 1000)
    }

    /// Sleeps until a byte arrives or the next millisecond begins.
    fn wait_until(&mut self, at: Instant) {
        if self.now() < at {
            (self.sleep)();
        }
    }
}

/// Counts a millisecond. For the SysTick handler, which alone writes the count.
pub fn tick() {
    MILLIS.store(MILLIS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
