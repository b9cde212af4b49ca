//! What a tethered board needs of this chip: one UART, and the watchdog that ends a turn without an end.

use crate::uart::{UART0, Uart, may_wake};
use board::virtual_time::Chip;

/// UART0 is the tether.
pub(crate) struct TetheredChip(Uart);

impl TetheredChip {
    /// Sets UART and watchdog up.
    pub(crate) fn new() -> Self {
        may_wake();
        watchdog::start();
        Self(UART0.enabled())
    }
}

impl Chip for TetheredChip {
    fn receive(&mut self) -> u8 {
        while !self.0.has_received() {
            self.0.sleep();
        }
        self.0.received()
    }

    fn send(&mut self, byte: u8) {
        self.0.transmit(byte);
    }

    fn reset(&mut self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }

    fn begins(&mut self) {
        watchdog::ends_in(watchdog::LONGEST_TURN);
    }

    fn ends(&mut self) {
        watchdog::ends_in(u32::MAX);
    }
}

/// The watchdog of the LM3S6965. Once started it can only be fed. The emulator ends as it bites: a board that hangs is
/// a board that is gone, after a number of instructions and whatever the time.
mod watchdog {
    // Arm PrimeCell Watchdog (SP805) technical reference manual, and the chip's data sheet.
    const LOAD: usize = 0x4000_0000;
    const CONTROL: usize = 0x4000_0008;
    /// It bites as its second countdown ends.
    const COUNT_AND_RESET: u32 = 0b11;

    /// Core clocks of one of two countdowns: a quarter of a million instructions as the rig counts, more than any turn takes.
    pub(super) const LONGEST_TURN: u32 = 1_600_000;

    pub(super) fn start() {
        ends_in(u32::MAX);
        write(CONTROL, COUNT_AND_RESET);
    }

    pub(super) fn ends_in(clocks: u32) {
        write(LOAD, clocks);
    }

    fn write(register: usize, value: u32) {
        // SAFETY: a register of this chip's watchdog, a word; writing it has no effect on memory.
        unsafe { (register as *mut u32).write_volatile(value) }
    }
}
