//! The loop of one core, with the mailbox for a cross link and one shared word for an arbiter.

use crate::uart::Uart;
use crate::{SHARED, stop};
use ::tank::TIMING;
use board::field::FieldBus;
use board::serve::{FRAME_BYTES, TankMemory, boot, serve};
use board::virtual_time::{Chip, FieldPort, Tether, TetherClock};
use tank::two_cores::{MAILBOX_SLOTS, MAILBOX_WORDS};
use twinstep::SharedClaim;
use twinstep_hal::{Link, MailboxLink};

const _: () = assert!(MAILBOX_WORDS * 4 >= FRAME_BYTES, "a slot takes every frame");

/// Serves for good on core 0 or 1, on memory of its own.
pub fn run(core: usize, memory: &'static mut TankMemory) -> ! {
    let uart = Uart::of_core(core);
    let Some(mut peripherals) = cortex_m::Peripherals::take() else { stop::begin_anew() };
    stop::may_stop(&mut peripherals.SCB);
    uart.may_wake();
    let tether = Tether::new(TetheredCore(uart), peripherals.SYST);
    let bus = FieldBus::new(FieldPort(&tether));
    let mut clock = TetherClock(&tether);
    let identity = boot(&bus, &mut clock, TIMING);
    // What waits in the mailbox is for this core's former life.
    let link = Ringing { link: MailboxLink::new(SHARED.mailbox.attach(identity.0)), tether: &tether };
    let arbiter = SharedClaim::new(&SHARED.claim);
    #[cfg(feature = "broken-claim")]
    let arbiter = broken_claim::Unfenced(arbiter);
    serve(identity, memory, &bus, clock, link, arbiter)
}

/// What the tether needs of a core.
struct TetheredCore(Uart);

impl Chip for TetheredCore {
    fn receive(&mut self) -> u8 {
        self.0.receive()
    }

    fn send(&mut self, byte: u8) {
        self.0.transmit(byte);
    }

    fn reset(&mut self) -> ! {
        stop::begin_anew()
    }
}

/// The mailbox with a doorbell, which wakes the other core: on a chip of the real world that is an interrupt.
struct Ringing<'t> {
    link: MailboxLink<'static, MAILBOX_SLOTS, MAILBOX_WORDS>,
    tether: &'t Tether<TetheredCore>,
}

impl Link for Ringing<'_> {
    type Error = <MailboxLink<'static, MAILBOX_SLOTS, MAILBOX_WORDS> as Link>::Error;
    const FRAME_BYTES: usize = MailboxLink::<MAILBOX_SLOTS, MAILBOX_WORDS>::FRAME_BYTES;

    fn send(&mut self, frame: &[u8], within_us: u32) -> Result<(), Self::Error> {
        let sent = self.link.send(frame, within_us);
        self.tether.ring();
        sent
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, Self::Error> {
        self.link.receive()
    }
}

#[cfg(feature = "broken-claim")]
mod broken_claim {
    use twinstep::{Arbiter, ChannelId, Claim, Confirmation, Epoch, Grounds, Instant, SharedClaim};

    /// Claims as it should, and does not look whether the outputs are still its own.
    pub(super) struct Unfenced<'m>(pub(super) SharedClaim<'m>);

    impl Arbiter for Unfenced<'_> {
        fn claim(&mut self, now: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
            self.0.claim(now, from, to, grounds)
        }

        fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
            (epoch.owner() == me).into()
        }

        fn release(&mut self, epoch: Epoch, me: ChannelId) {
            self.0.release(epoch, me);
        }

        fn remembered(&self) -> Option<Epoch> {
            self.0.remembered()
        }
    }
}
