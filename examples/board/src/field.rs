//! The field bus: sensors in, outputs out, and the relay that arbitrates.

use core::cell::RefCell;
use embedded_io::{Read, ReadReady, Write};
use tank::Reading;
use tank::field_bus::{MAX_MESSAGE_BYTES, Side, ToBoard, ToPlant};
use twinstep::{Arbiter, ChannelId, Claim, Epoch, Grounds};
use twinstep_hal::{Link, SerialLink};

/// The bus to the plant side, shared by the loop and its arbiter.
pub struct FieldBus<U>(RefCell<Inner<U>>);

struct Inner<U> {
    link: SerialLink<U, MAX_MESSAGE_BYTES>,
    boot: Option<ToBoard>,
    reading: Option<Reading>,
    /// The channels to be readmitted, A and B.
    readmitted: [bool; 2],
    /// The epoch that the relay lets through.
    through: Epoch,
    /// The last claim sent, and the last one answered.
    asked: Option<Epoch>,
    answered: Option<Epoch>,
    /// How often the claim was looked after since it was sent.
    looks: u8,
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
        let _ = self.link.send(bytes.unwrap_or_default());
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
                None => {}
            }
        }
        self
    }
}

/// The relay at the other end of the bus, as this board's arbiter.
pub struct Relay<'b, U>(pub &'b FieldBus<U>);

impl<U: Read + ReadReady + Write> Arbiter for Relay<'_, U> {
    fn claim(&mut self, _from: Epoch, to: Epoch, _grounds: Grounds) -> Claim {
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

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> bool {
        epoch.owner() == me && self.0.with(|inner| inner.listened().through) == Some(epoch)
    }

    fn newest(&self) -> Epoch {
        self.0.with(|inner| inner.listened().through).unwrap_or(Epoch::NONE)
    }
}
