//! The loop of one core. It has no link to the other one yet.

use crate::chip::CORE_HZ;
use crate::uart::Uart;
use board::clock::SysTickClock;
use board::field::FieldBus;
use board::serve::{TankMemory, boot, give_up, serve};
use twinstep::{ChannelId, Preferred};
use twinstep_hal::Link;

/// Serves for good on core 0 or 1, on memory of its own.
pub fn run(core: usize, memory: &'static mut TankMemory) -> ! {
    let uart = Uart::of_core(core);
    let bus = FieldBus::new(uart);
    let Some(peripherals) = cortex_m::Peripherals::take() else { give_up(&bus, 1) };
    uart.may_wake();
    let mut clock = SysTickClock::start(peripherals.SYST, CORE_HZ, || {
        uart.sleep();
        bus.listen();
    });
    let identity = boot(&bus, &mut clock);
    serve(identity, memory, &bus, clock, NoLink, Preferred(ChannelId::A))
}

/// Until there is a mailbox.
struct NoLink;

impl Link for NoLink {
    type Error = core::convert::Infallible;

    fn send(&mut self, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, Self::Error> {
        Ok(None)
    }
}
