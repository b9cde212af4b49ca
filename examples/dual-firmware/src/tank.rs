//! The loop of one core, with the mailbox for a cross link and one shared word for an arbiter.

use crate::SHARED;
use crate::chip::CORE_HZ;
use crate::uart::Uart;
use board::clock::SysTickClock;
use board::field::FieldBus;
use board::serve::{FRAME_BYTES, TankMemory, boot, give_up, serve};
use tank::two_cores::MAILBOX_WORDS;
use twinstep::SharedClaim;
use twinstep_hal::MailboxLink;

const _: () = assert!(MAILBOX_WORDS * 4 >= FRAME_BYTES, "a slot takes every frame");

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
    let link = MailboxLink::new(SHARED.mailbox.attach(identity.0));
    serve(identity, memory, &bus, clock, link, SharedClaim::new(&SHARED.claim))
}
