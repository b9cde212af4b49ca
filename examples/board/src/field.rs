//! The field bus: sensors in, outputs out, and the relay that arbitrates.

use core::cell::RefCell;
use embedded_io::{Read, ReadReady, Write};
use tank::Reading;
use tank::field_bus::{DutyCode, Image, MAX_MESSAGE_BYTES, OrderCode, Side, ToBoard, ToPlant};
use twinstep::{Arbiter, ChannelId, Claim, Confirmation, Epoch, Grounds, Instant};
use twinstep_hal::{Link, SerialLink};

/// The bus to the plant side, shared by the loop and its arbiter.
pub struct FieldBus<U>(RefCell<Inner<U>>);

struct Inner<U> {
    link: SerialLink<U, MAX_MESSAGE_BYTES>,
    boot: Option<ToBoard>,
    reading: Option<Reading>,
    /// The channels to be readmitted, A and B.
    readmitted: [bool; 2],
    told: Told,
    /// The epoch that the relay lets through.
    through: Epoch,
    /// The last claim sent, and the last one answered.
    asked: Option<Epoch>,
    answered: Option<Epoch>,
    /// How often the claim was looked after since it was sent.
    looks: u8,
}

/// What was told of an upgrade and not been looked at yet, the newest of each kind.
#[derive(Clone, Copy, Default)]
struct Told {
    image: Option<Image>,
    order: Option<OrderCode>,
    done: Option<DutyCode>,
    has_restart_failed: bool,
    is_forgiven: bool,
}

/// A claim is sent again after so many looks at it: it, or its answer, may be lost.
const LOOKS_AT_MOST: u8 = 16;

impl<U: Read + ReadReady + Write> FieldBus<U> {
    /// Makes the bus over a UART.
    pub fn new(uart: U) -> Self {
        Self(RefCell::new(Inner {
            link: SerialLink::new(uart),
            boot: None,
            reading: None,
            readmitted: [false; 2],
            told: Told::default(),
            through: Epoch::NONE,
            asked: None,
            answered: None,
            looks: 0,
        }))
    }

    /// Sends a message.
    pub fn send(&self, message: &ToPlant) {
        self.with(|inner| inner.send(message));
    }

    /// Takes in what has arrived. A core that sleeps does so at every byte: one that waits in the UART would wake it.
    pub fn listen(&self) {
        self.with(|inner| {
            inner.listened();
        });
    }

    /// Returns the boot message, once it has come.
    pub fn boot(&self) -> Option<ToBoard> {
        self.with(|inner| inner.listened().boot)?
    }

    /// Returns the newest reading; before the first one a cold tank behind a closed door.
    pub fn reading(&self) -> Reading {
        self.with(|inner| inner.listened().reading).flatten().unwrap_or_default()
    }

    /// Returns a channel that is to take part again, once for each time it was told.
    pub fn readmitted(&self) -> Option<Side> {
        self.with(|inner| {
            let [a, b] = &mut inner.readmitted;
            let told = [(a, Side::A), (b, Side::B)].into_iter().find(|(told, _)| **told);
            told.map(|(told, side)| {
                *told = false;
                side
            })
        })?
    }

    /// Returns what the bootloader knows, once for each time it was told.
    pub fn image(&self) -> Option<Image> {
        self.with(|inner| inner.listened().told.image.take())?
    }

    /// Returns an order of an upgrade, once.
    pub fn order(&self) -> Option<OrderCode> {
        self.with(|inner| inner.listened().told.order.take())?
    }

    /// Returns what has been done that was asked for, once.
    pub fn done(&self) -> Option<DutyCode> {
        self.with(|inner| inner.listened().told.done.take())?
    }

    /// Whether the board cannot be restarted as it asked; said once.
    pub fn has_restart_failed(&self) -> bool {
        self.with(|inner| core::mem::take(&mut inner.listened().told.has_restart_failed)).unwrap_or_default()
    }

    /// Whether the first fault was looked at; said once.
    pub fn is_forgiven(&self) -> bool {
        self.with(|inner| core::mem::take(&mut inner.listened().told.is_forgiven)).unwrap_or_default()
    }

    /// Nobody holds the bus across a call, so this always runs; it has no panic to show for it.
    fn with<R>(&self, act: impl FnOnce(&mut Inner<U>) -> R) -> Option<R> {
        self.0.try_borrow_mut().ok().map(|mut inner| act(&mut inner))
    }
}

impl<U: Read + ReadReady + Write> Inner<U> {
    fn send(&mut self, message: &ToPlant) {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let bytes = message.encode(&mut buffer).and_then(|length| buffer.get(..length));
        // A message lost here is a cycle the plant side misses, and reports.
        let _ = self.link.send(bytes.unwrap_or_default(), tank::TIMING.period_us);
    }

    /// Takes in all messages that have arrived.
    fn listened(&mut self) -> &mut Self {
        while let Ok(Some(bytes)) = self.link.receive() {
            match ToBoard::decode(bytes) {
                Some(ToBoard::Reading(reading)) => self.reading = Some(reading),
                Some(ToBoard::Lease { through, answers }) => {
                    self.through = through;
                    self.answered = answers.or(self.answered);
                }
                Some(boot @ ToBoard::Boot { .. }) => self.boot = Some(boot),
                Some(ToBoard::Readmit { side }) => {
                    let [a, b] = &mut self.readmitted;
                    *(if side == Side::A { a } else { b }) = true;
                }
                Some(ToBoard::Image(image)) => self.told.image = Some(image),
                Some(ToBoard::Order(order)) => self.told.order = Some(order),
                Some(ToBoard::Done(duty)) => self.told.done = Some(duty),
                Some(ToBoard::RestartFailed) => self.told.has_restart_failed = true,
                Some(ToBoard::Forgive) => self.told.is_forgiven = true,
                None => {}
            }
        }
        self
    }
}

/// The relay at the other end of the bus, as this board's arbiter.
pub struct Relay<'b, U>(pub &'b FieldBus<U>);

impl<U: Read + ReadReady + Write> Arbiter for Relay<'_, U> {
    fn claim(&mut self, _now: Instant, _from: Epoch, to: Epoch, _grounds: Grounds) -> Claim {
        let claim = self.0.with(|inner| {
            if inner.listened().answered == Some(to) {
                return if inner.through == to { Claim::Granted } else { Claim::Refused };
            }
            inner.looks = inner.looks.saturating_add(1);
            if inner.asked != Some(to) || inner.looks >= LOOKS_AT_MOST {
                (inner.asked, inner.looks) = (Some(to), 0);
                inner.send(&ToPlant::Claim { to });
            }
            Claim::Pending
        });
        claim.unwrap_or(Claim::Pending)
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        match self.0.with(|inner| inner.listened().through) {
            Some(through) => (epoch.owner() == me && through == epoch).into(),
            // The bus is in nobody's hands between two calls: where it cannot be read, memory is damaged, and stays so. To say that
            // nobody can tell would hold the outputs without an end, while the other board could drive them.
            None => Confirmation::No,
        }
    }

    /// The relay waits for the next claim.
    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        Some(self.0.with(|inner| inner.listened().through).unwrap_or(Epoch::NONE))
    }
}
