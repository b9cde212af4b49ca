//! A PL011 UART of the LM3S6965, polled, with an interrupt that only wakes.

use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use lm3s6965::Interrupt;

/// The tether; in real time the cross link to the other board.
pub const UART0: Uart = Uart(0x4000_C000);
/// In real time the field bus to the plant.
pub const UART1: Uart = Uart(0x4000_D000);

// Register offsets, PrimeCell UART (PL011) technical reference manual.
const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const LINE_CONTROL: usize = 0x2C;
const CONTROL: usize = 0x30;
const INTERRUPT_MASK: usize = 0x38;

const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;
const FIFO_8_BITS: u32 = 0b111 << 4;
const ENABLE_BOTH_WAYS: u32 = 1 << 0 | 1 << 8 | 1 << 9;
const RECEIVE_INTERRUPTS: u32 = 1 << 4 | 1 << 6;

/// Lets both UARTs wake the processor.
pub fn may_wake() {
    // SAFETY: no critical section relies on these interrupts being masked.
    unsafe {
        NVIC::unmask(Interrupt::UART0);
        NVIC::unmask(Interrupt::UART1);
    }
}

/// Sleeps until a byte has arrived on one of them, or any other interrupt comes.
pub fn sleep() {
    // With interrupts masked, one that becomes pending before `wfi` still ends it.
    cortex_m::interrupt::free(|_| {
        UART0.wake_on_receive(true);
        UART1.wake_on_receive(true);
        if !UART0.has_received() && !UART1.has_received() {
            cortex_m::asm::wfi();
        }
        UART0.wake_on_receive(false);
        UART1.wake_on_receive(false);
        NVIC::unpend(Interrupt::UART0);
        NVIC::unpend(Interrupt::UART1);
    });
}

/// One UART, by the address of its registers.
pub struct Uart(usize);

impl Uart {
    /// Sets the UART up and returns it.
    pub fn enabled(self) -> Self {
        self.write_register(LINE_CONTROL, FIFO_8_BITS);
        self.write_register(CONTROL, ENABLE_BOTH_WAYS);
        self
    }

    /// Lets a received byte wake the processor, or not.
    pub fn wake_on_receive(&self, wakes: bool) {
        self.write_register(INTERRUPT_MASK, if wakes { RECEIVE_INTERRUPTS } else { 0 });
    }

    /// Whether a received byte waits.
    pub fn has_received(&self) -> bool {
        self.read_register(FLAGS) & RECEIVE_EMPTY == 0
    }

    /// Sleeps until a byte has arrived, or any other interrupt comes.
    pub fn sleep(&self) {
        cortex_m::interrupt::free(|_| {
            self.wake_on_receive(true);
            if !self.has_received() {
                cortex_m::asm::wfi();
            }
            self.wake_on_receive(false);
            NVIC::unpend(Interrupt::UART0);
        });
    }

    /// Takes a byte that waits.
    pub fn received(&self) -> u8 {
        self.read_register(DATA) as u8
    }

    /// Sends a byte, as soon as there is room for it.
    pub fn transmit(&self, byte: u8) {
        while self.read_register(FLAGS) & TRANSMIT_FULL != 0 {}
        self.write_register(DATA, u32::from(byte));
    }

    fn read_register(&self, offset: usize) -> u32 {
        // SAFETY: `self.0` is the base of a PL011 of this chip; its registers are words, and
        // reading them has no effect on memory.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    fn write_register(&self, offset: usize, value: u32) {
        // SAFETY: as above; the UART does no DMA, so a write has no effect on memory.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }
}

impl ErrorType for Uart {
    type Error = embedded_io::ErrorKind;
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let mut count = 0;
        for place in buffer {
            // Waits for the first byte only, as `Read` promises.
            while !self.has_received() {
                if count > 0 {
                    return Ok(count);
                }
            }
            *place = self.received();
            count += 1;
        }
        Ok(count)
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.has_received())
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        for byte in bytes {
            self.transmit(*byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
