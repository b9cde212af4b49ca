//! SENDER  gives an image away.

use super::{CHUNK_OVERHEAD, Message, PAYLOAD_BYTES_AT_LEAST, Progress, Unreadable, decode, encode};
use crate::images::{ImageHeader, Refusal};

/// Asks for one offset before it is sent once more: it may be on its way.
const ASKS_BEFORE_GOING_BACK: u8 = 4;

/// Cycles without a word from the receiver before the sender stops sending chunks.
const SILENT_CYCLES: u8 = 8;

/// Cycles from an offer to the next.
const CYCLES_BETWEEN_OFFERS: u8 = 4;

/// Gives an image away.
#[derive(Clone, Debug)]
pub struct Sender<const PAYLOAD: usize> {
    header: ImageHeader,
    session: u32,
    chunks_per_cycle: u16,
    chunks_left: u16,
    /// Where the receiver is, once it has said so.
    asked: Option<u32>,
    /// How often it has not got on since.
    asks: u8,
    next: u32,
    silent_cycles: u8,
    cycles_to_offer: u8,
    ended: Option<Result<(), Refusal>>,
    payload: [u8; PAYLOAD],
}

impl<const PAYLOAD: usize> Sender<PAYLOAD> {
    /// Offers an image. `session` is any number other than in the transfer before, such as that of a cycle or a random
    /// one: what is still on its way of another transfer is told by it.
    pub const fn new(header: ImageHeader, session: u32, chunks_per_cycle: u16) -> Self {
        const { assert!(PAYLOAD >= PAYLOAD_BYTES_AT_LEAST, "an offer does not fit into the payload") };
        Self {
            header,
            session,
            chunks_per_cycle,
            chunks_left: 0,
            asked: None,
            asks: 0,
            next: 0,
            silent_cycles: 0,
            cycles_to_offer: 0,
            ended: None,
            payload: [0; PAYLOAD],
        }
    }

    /// Begins a cycle: as many chunks may be sent once more.
    pub const fn begin_cycle(&mut self) {
        self.chunks_left = self.chunks_per_cycle;
        self.cycles_to_offer = self.cycles_to_offer.saturating_sub(1);
        self.silent_cycles = self.silent_cycles.saturating_add(1);
        if self.silent_cycles > SILENT_CYCLES {
            self.asked = None;
        }
    }

    /// Returns the next payload for the receiver, or `None` if there is no more in this cycle. `read` is to fill
    /// the slice with the image, and then the signature, from an offset on.
    ///
    /// # Errors
    /// That of `read`; the same bytes are asked for once more.
    pub fn poll<E>(&mut self, read: impl FnOnce(u32, &mut [u8]) -> Result<(), E>) -> Result<Option<&[u8]>, E> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let session = self.session;
        if self.asked.is_none() {
            if self.cycles_to_offer > 0 {
                return Ok(None);
            }
            self.cycles_to_offer = CYCLES_BETWEEN_OFFERS;
            let message = Message::Offer { session, header: &self.header.encode() };
            return Ok(encode(&message, &mut self.payload));
        }
        let left = self.header.payload_length().saturating_sub(self.next) as usize;
        if left == 0 || self.chunks_left == 0 {
            return Ok(None);
        }
        let mut bytes = [0; PAYLOAD];
        let length = left.min(PAYLOAD.saturating_sub(CHUNK_OVERHEAD));
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        read(self.next, bytes)?;
        let message = Message::Chunk { session, offset: self.next, bytes };
        self.chunks_left -= 1;
        self.next = self.next.saturating_add(length as u32);
        Ok(encode(&message, &mut self.payload))
    }

    /// Takes a payload from the receiver.
    ///
    /// # Errors
    /// [`Unreadable`] if it is none of a transfer.
    pub fn handle(&mut self, payload: &[u8]) -> Result<(), Unreadable> {
        match decode(payload)? {
            Message::Ask { session, offset } if session == self.session => self.is_asked(offset),
            Message::Done { session } if session == self.session => self.ended = Some(Ok(())),
            Message::Refused { session, reason } if session == self.session => self.ended = Some(Err(reason)),
            // Of another transfer, or for the receiver on this side.
            _ => {}
        }
        Ok(())
    }

    fn is_asked(&mut self, offset: u32) {
        if offset > self.header.payload_length() {
            return; // of an image that this is not
        }
        self.silent_cycles = 0;
        match self.asked {
            Some(asked) if offset > asked => {
                (self.asked, self.next, self.asks) = (Some(offset), self.next.max(offset), 0)
            }
            // Late, or the receiver has restarted, or what was sent is lost: wait and see.
            Some(_) if self.asks < ASKS_BEFORE_GOING_BACK => self.asks += 1,
            _ => (self.asked, self.next, self.asks) = (Some(offset), offset, 0),
        }
    }

    /// Returns how far it is.
    pub const fn progress(&self) -> Progress {
        match (self.ended, self.asked) {
            (Some(Ok(())), _) => Progress::Done,
            (Some(Err(reason)), _) => Progress::Refused(reason),
            (None, Some(bytes)) => Progress::Going { bytes, length: self.header.payload_length() },
            (None, None) => Progress::Waiting,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::HEADER;
    use super::*;

    /// One payload from the sender, if it has one; chunks of zeros.
    fn sent<const N: usize>(sender: &mut Sender<N>) -> Option<Message<'_>> {
        let payload = sender.poll(|_, _| Ok::<(), ()>(())).unwrap();
        payload.map(|payload| decode(payload).unwrap())
    }

    fn ask<const N: usize>(sender: &mut Sender<N>, session: u32, offset: u32) {
        let mut payload = [0; 100];
        sender.handle(encode(&Message::Ask { session, offset }, &mut payload).unwrap()).unwrap();
    }

    fn offset_sent<const N: usize>(sender: &mut Sender<N>) -> Option<u32> {
        match sent(sender) {
            Some(Message::Chunk { offset, .. }) => Some(offset),
            _ => None,
        }
    }

    #[test]
    fn a_sender_keeps_to_its_budget_and_waits_before_it_goes_back() {
        let mut sender = Sender::<{ CHUNK_OVERHEAD + 100 }>::new(HEADER, 7, 2);
        sender.begin_cycle();
        assert!(matches!(sent(&mut sender), Some(Message::Offer { session: 7, .. })));
        assert_eq!(sent(&mut sender), None, "one offer");
        ask(&mut sender, 8, 500);
        assert_eq!(sender.progress(), Progress::Waiting, "another transfer's");
        ask(&mut sender, 7, 500);
        sender.begin_cycle();
        let two = [offset_sent(&mut sender), offset_sent(&mut sender), offset_sent(&mut sender)];
        assert_eq!(two, [Some(500), Some(600), None]);
        for _ in 0..ASKS_BEFORE_GOING_BACK {
            ask(&mut sender, 7, 500);
        }
        sender.begin_cycle();
        assert_eq!(offset_sent(&mut sender), Some(700), "it may still arrive");
        ask(&mut sender, 7, 500);
        assert_eq!(offset_sent(&mut sender), Some(500), "it did not");
        for _ in 0..=SILENT_CYCLES {
            sender.begin_cycle();
        }
        assert!(matches!(sent(&mut sender), Some(Message::Offer { .. })), "nobody is there");
    }

    #[test]
    fn an_error_of_the_image_skips_nothing() {
        let mut sender = Sender::<100>::new(HEADER, 7, 2);
        ask(&mut sender, 7, 500);
        sender.begin_cycle();
        assert_eq!(sender.poll(|_, _| Err(3)), Err(3));
        assert_eq!(offset_sent(&mut sender), Some(500));
    }
}
