#![no_std]
//! What the images have in common: a port, a clock and an arbiter, each as small as one can be. They stand for hardware,
//! and are in every image, so that they cancel out where two are compared.

use core::convert::Infallible;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use embedded_io::{ErrorType, Read, ReadReady, Write};
use twinstep::{Arbiter, ChannelId, Claim, Confirmation, Epoch, Grounds, Instant};
use twinstep_hal::Clock;
use workloads::reference::{Mode, Signals};

/// The longest frame.
pub const FRAME: usize = 96;

static DATA: AtomicU8 = AtomicU8::new(0);
static READY: AtomicU8 = AtomicU8::new(0);
static MICROS: AtomicU32 = AtomicU32::new(0);
static THROUGH: AtomicU32 = AtomicU32::new(0);

/// A byte wide, as a UART is.
pub struct Port;

impl ErrorType for Port {
    type Error = Infallible;
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(buffer.iter_mut().map(|byte| *byte = DATA.load(Relaxed)).count())
    }
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(READY.load(Relaxed) != 0)
    }
}

impl Write for Port {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        Ok(buffer.iter().map(|byte| DATA.store(*byte, Relaxed)).count())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Port {
    /// Reads the sensors.
    #[inline(never)]
    pub fn sample(&mut self) -> Signals {
        let byte = || DATA.load(Relaxed);
        let analog = core::array::from_fn(|_| f32::from_le_bytes([byte(), byte(), byte(), byte()]));
        let digital = byte();
        let mode = [Mode::Stopped, Mode::Manual, Mode::Automatic].get(usize::from(byte())).copied().unwrap_or_default();
        Signals { analog, digital, mode, is_valid: byte() != 0, number: byte() }
    }

    /// Drives the actuators.
    #[inline(never)]
    pub fn drive(&mut self, output: &Signals) {
        let put = |bytes: &[u8]| bytes.iter().for_each(|byte| DATA.store(*byte, Relaxed));
        output.analog.iter().for_each(|value| put(&value.to_le_bytes()));
        put(&[output.digital, output.mode as u8, output.is_valid.into(), output.number]);
    }

    /// Reads an order of a person.
    #[inline(never)]
    pub fn command(&mut self) -> u8 {
        DATA.load(Relaxed)
    }

    /// Tells a person something.
    #[inline(never)]
    pub fn tell(&mut self, word: u32) {
        word.to_le_bytes().iter().for_each(|byte| DATA.store(*byte, Relaxed));
    }
}

/// Counts microseconds, and busy-waits.
pub struct Ticks;

impl Clock for Ticks {
    fn now(&mut self) -> Instant {
        Instant::from_micros(MICROS.load(Relaxed).into())
    }

    fn wait_until(&mut self, at: Instant) {
        while self.now() < at {}
    }
}

/// One register: the epoch that is let through.
pub struct Relay;

impl Arbiter for Relay {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        THROUGH.store(to.counter() << 1 | to.owner().index() as u32, Relaxed);
        if READY.load(Relaxed) == 0 { Claim::Pending } else { Claim::Granted }
    }

    fn confirms(&self, epoch: Epoch, _: ChannelId) -> Confirmation {
        (self.remembered() == Some(epoch)).into()
    }

    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        let bits = THROUGH.load(Relaxed);
        Some(Epoch::new(bits >> 1, if bits & 1 == 0 { ChannelId::A } else { ChannelId::B }))
    }
}

/// What an image needs beside its `main`.
#[macro_export]
macro_rules! image {
    () => {
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            loop {
                core::hint::spin_loop();
            }
        }
    };
}
