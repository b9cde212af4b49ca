//! COURIER  an image on its way over the cross link, a parcel each way in a cycle.

use super::transfer::{Progress, Receiver, Sender};
use super::{ImageHeader, Images};
use crate::mail::Mail;

/// Carries an image to the other half, or takes one from there: hand it to
/// [`Lockstep::cycle_with`](crate::Lockstep::cycle_with), and call [`tend`](Self::tend) after each cycle.
///
/// A parcel of `PAYLOAD` bytes brings 14 less of the image: at least [`PAYLOAD_BYTES_AT_LEAST`](super::transfer::PAYLOAD_BYTES_AT_LEAST),
/// at most [`Node::PARCEL_BYTES`](twinstep::Node::PARCEL_BYTES), and no more than the time allows that [`Mail`] speaks of. With 200 bytes,
/// cycles of 20 ms and 921600 baud, 64 KiB take 7 s. Once [`received`](Self::received) says that all is there, call
/// [`Updater::staged`](crate::Updater::staged).
pub struct Courier<const PAYLOAD: usize> {
    sender: Option<Sender<PAYLOAD>>,
    receiver: Receiver<PAYLOAD>,
    inbox: Parcel<PAYLOAD>,
    outbox: Parcel<PAYLOAD>,
}

#[derive(Clone, Copy)]
struct Parcel<const PAYLOAD: usize> {
    length: usize,
    bytes: [u8; PAYLOAD],
}

impl<const PAYLOAD: usize> Parcel<PAYLOAD> {
    const NONE: Self = Self { length: 0, bytes: [0; PAYLOAD] };

    /// Puts a parcel in; one that is too long is none.
    fn put(&mut self, parcel: &[u8]) {
        let Some(room) = self.bytes.get_mut(..parcel.len()) else { return };
        for (to, from) in room.iter_mut().zip(parcel) {
            *to = *from;
        }
        self.length = parcel.len();
    }

    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length).filter(|parcel| !parcel.is_empty())
    }
}

/// Chunks that a receiver takes in a cycle at most: no more come.
const CHUNKS_A_CYCLE: u16 = 2;

impl<const PAYLOAD: usize> Courier<PAYLOAD> {
    /// Waits for an image, of which so many bytes are checked a cycle once it is there.
    pub const fn new(verify_bytes: u32) -> Self {
        let receiver = Receiver::new(CHUNKS_A_CYCLE, verify_bytes);
        Self { sender: None, receiver, inbox: Parcel::NONE, outbox: Parcel::NONE }
    }

    /// Begins to send an image. `session` is another number for each attempt.
    pub const fn send(&mut self, header: ImageHeader, session: u32) {
        self.sender = Some(Sender::new(header, session, 1));
    }

    /// Goes on: takes what came, and gets ready what is to go. `read` fills its slice with the image that is sent, and then
    /// its signature, from an offset on: from flash that is mapped into memory, or by another handle of its driver, since `images`
    /// is in use.
    ///
    /// # Errors
    /// That of `read`.
    pub fn tend<E>(
        &mut self,
        images: &mut impl Images,
        read: impl FnOnce(u32, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.receiver.begin_cycle(images);
        if let Some(parcel) = self.inbox.get() {
            // What cannot be read is no message of a transfer.
            if let Some(sender) = &mut self.sender {
                let _ = sender.handle(parcel);
            }
            let _ = self.receiver.handle(parcel, images);
            self.inbox.length = 0;
        }
        if let Some(sender) = &mut self.sender {
            sender.begin_cycle();
        }
        if self.outbox.get().is_some() {
            return Ok(()); // there was no time for it yet
        }
        if let Some(parcel) = self.receiver.poll() {
            self.outbox.put(parcel);
        } else if let Some(sender) = &mut self.sender
            && let Some(parcel) = sender.poll(read)?
        {
            self.outbox.put(parcel);
        }
        Ok(())
    }

    /// Returns how far the image is that is sent; `None` if none is.
    pub fn sent(&self) -> Option<Progress> {
        self.sender.as_ref().map(Sender::progress)
    }

    /// Returns how far the image is that comes in.
    pub const fn received(&self) -> Progress {
        self.receiver.progress()
    }
}

impl<const PAYLOAD: usize> Mail for Courier<PAYLOAD> {
    fn take(&mut self, parcel: &[u8]) {
        self.inbox.put(parcel);
    }

    fn give(&mut self, room: &mut [u8]) -> Option<usize> {
        let parcel = self.outbox.get()?;
        let room = room.get_mut(..parcel.len())?;
        for (to, from) in room.iter_mut().zip(parcel) {
            *to = *from;
        }
        self.outbox.length = 0;
        Some(room.len())
    }
}
