//! The CMSDK UART of a core, its end of the tether: polled, with an interrupt that only wakes.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

// Register offsets, Cortex-M System Design Kit technical reference manual.
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const INTERRUPT_CLEAR: usize = 0x0C;
const BAUD_DIVIDER: usize = 0x10;

const TRANSMIT_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;
const ENABLE_BOTH_WAYS: u32 = 1 << 0 | 1 << 1;
const RECEIVE_INTERRUPT: u32 = 1 << 3;
const RECEIVED: u32 = 1 << 1;
/// The fastest: QEMU has no baud timing.
const LEAST_DIVIDER: u32 = 16;

const BASE: usize = 0x5020_0000;
const STRIDE: usize = 0x1000;
/// The line on which a UART's interrupts come together. QEMU before 9.1 has those of the two directions swapped.
const FIRST_COMBINED_LINE: u16 = 42;

/// The UART of one core, by its number.
#[derive(Clone, Copy)]
pub struct Uart(u16);

/// Its line to the interrupt controller.
#[derive(Clone, Copy)]
struct Line(u16);

// SAFETY: both UARTs' lines are interrupts of this chip, and no other number is ever made.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}

impl Uart {
    /// Sets up the UART of core 0 or 1 and returns it.
    pub fn of_core(core: usize) -> Self {
        let uart = Self(u16::from(core != 0));
        uart.write_register(BAUD_DIVIDER, LEAST_DIVIDER);
        uart.write_register(CONTROL, ENABLE_BOTH_WAYS);
        uart
    }

    /// Waits for a byte, asleep.
    pub fn receive(self) -> u8 {
        while !self.has_received() {
            self.sleep();
        }
        self.read_register(DATA) as u8
    }

    /// Sends a byte, as soon as there is room for it.
    pub fn transmit(self, byte: u8) {
        while self.read_register(STATE) & TRANSMIT_FULL != 0 {}
        self.write_register(DATA, u32::from(byte));
    }

    /// Lets the UART wake its core.
    pub fn may_wake(self) {
        // SAFETY: no critical section relies on this interrupt being masked.
        unsafe { NVIC::unmask(self.line()) };
    }

    /// Sleeps until a byte has arrived, or any other interrupt comes.
    fn sleep(self) {
        // With interrupts masked, one that becomes pending before `wfi` still ends it.
        cortex_m::interrupt::free(|_| {
            self.write_register(CONTROL, ENABLE_BOTH_WAYS | RECEIVE_INTERRUPT);
            if !self.has_received() {
                cortex_m::asm::wfi();
            }
            self.write_register(CONTROL, ENABLE_BOTH_WAYS);
            self.write_register(INTERRUPT_CLEAR, RECEIVED);
            NVIC::unpend(self.line());
        });
    }

    fn line(self) -> Line {
        Line(FIRST_COMBINED_LINE + self.0)
    }

    fn has_received(self) -> bool {
        self.read_register(STATE) & RECEIVE_FULL != 0
    }

    fn register(self, offset: usize) -> usize {
        BASE + usize::from(self.0) * STRIDE + offset
    }

    fn read_register(self, offset: usize) -> u32 {
        // SAFETY: a register of a UART of this chip: they are words, and reading them has no effect on memory.
        unsafe { (self.register(offset) as *const u32).read_volatile() }
    }

    fn write_register(self, offset: usize, value: u32) {
        // SAFETY: as above; the UART does no DMA, so a write has no effect on memory.
        unsafe { (self.register(offset) as *mut u32).write_volatile(value) }
    }
}
