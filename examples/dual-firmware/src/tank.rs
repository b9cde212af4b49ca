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
    let identity = boot(&bus, &mut clock, ::tank::TIMING);
    // What waits in the mailbox is for this core's former life.
    let link = MailboxLink::new(SHARED.mailbox.attach(identity.0));
    let arbiter = SharedClaim::new(&SHARED.claim);
    #[cfg(feature = "broken-claim")]
    let arbiter = broken_claim::Unfenced(arbiter);
    serve(identity, memory, &bus, clock, link, arbiter)
}

#[cfg(feature = "broken-claim")]
mod broken_claim {
    use twinstep::{Arbiter, ChannelId, Claim, Epoch, Grounds, SharedClaim};

    /// Claims as it should, and does not look whether the outputs are still its own.
    pub(super) struct Unfenced<'m>(pub(super) SharedClaim<'m>);

    impl Arbiter for Unfenced<'_> {
        fn claim(&mut self, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
            self.0.claim(from, to, grounds)
        }

        fn confirms(&self, epoch: Epoch, me: ChannelId) -> bool {
            epoch.owner() == me
        }

        fn newest(&self) -> Epoch {
            self.0.newest()
        }
    }
}
