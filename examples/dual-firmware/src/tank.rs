//! The loop of one core, with the mailbox for a cross link and one shared word for an arbiter.

use crate::SHARED;
use crate::chip::CORE_HZ;
use crate::uart::Uart;
use board::clock::SysTickClock;
use board::field::FieldBus;
use board::serve::{FRAME_BYTES, TankMemory, boot, give_up, serve};
use tank::two_cores::{MAILBOX_SLOTS, MAILBOX_WORDS};
use twinstep::SharedClaim;
use twinstep::mailbox::{Port, ReceiveError, SendError};
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
    // What waits in the mailbox is for this core's former life.
    let link = MailboxLink { port: SHARED.mailbox.attach(identity.0), buffer: [0; FRAME_BYTES] };
    serve(identity, memory, &bus, clock, link, SharedClaim::new(&SHARED.claim))
}

/// A core's end of the mailbox, as a link.
struct MailboxLink {
    port: Port<'static, MAILBOX_SLOTS, MAILBOX_WORDS>,
    buffer: [u8; FRAME_BYTES],
}

/// What is wrong with a frame, which counts as lost.
#[derive(Debug)]
enum MailboxError {
    Send(#[expect(dead_code, reason = "for whoever looks")] SendError),
    Receive(#[expect(dead_code, reason = "for whoever looks")] ReceiveError),
}

impl Link for MailboxLink {
    type Error = MailboxError;

    fn send(&mut self, frame: &[u8]) -> Result<(), MailboxError> {
        self.port.send(frame).map_err(MailboxError::Send)
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, MailboxError> {
        let length = self.port.receive(&mut self.buffer).map_err(MailboxError::Receive)?;
        Ok(length.and_then(|length| self.buffer.get(..length)))
    }
}
