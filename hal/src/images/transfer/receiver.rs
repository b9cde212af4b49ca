//! RECEIVER  takes an image in.

use super::{Message, PAYLOAD_BYTES_AT_LEAST, Progress, Unreadable, decode, encode};
use crate::images::{ImageHeader, Images, Refusal};

/// Errors of the flash in one transfer after which the receiver begins again.
const FLASH_RETRIES: u8 = 3;

/// Takes an image in, through [`Images`].
#[derive(Clone, Debug)]
pub struct Receiver<const PAYLOAD: usize> {
    chunks_per_cycle: u16,
    chunks_left: u16,
    verify_bytes_per_cycle: u32,
    transfer: Option<Transfer>,
    /// In each cycle while it goes on, then to whatever comes.
    has_to_answer: bool,
    payload: [u8; PAYLOAD],
}

#[derive(Clone, Copy, Debug)]
struct Transfer {
    session: u32,
    header: ImageHeader,
    retries: u8,
    progress: Progress,
}

impl<const PAYLOAD: usize> Receiver<PAYLOAD> {
    /// Waits for an offer. Stages so many chunks a cycle at most, whatever comes, and verifies so many bytes.
    pub const fn new(chunks_per_cycle: u16, verify_bytes_per_cycle: u32) -> Self {
        const { assert!(PAYLOAD >= PAYLOAD_BYTES_AT_LEAST, "an offer does not fit into the payload") };
        let (chunks_left, transfer, has_to_answer, payload) = (chunks_per_cycle, None, false, [0; PAYLOAD]);
        Self { chunks_per_cycle, chunks_left, verify_bytes_per_cycle, transfer, has_to_answer, payload }
    }

    /// Begins a cycle, and verifies a piece once all bytes are there.
    pub fn begin_cycle<I: Images>(&mut self, images: &mut I) {
        self.chunks_left = self.chunks_per_cycle;
        let Some(transfer) = &mut self.transfer else { return };
        if let Progress::Going { bytes, length } = transfer.progress {
            self.has_to_answer = true;
            if bytes >= length {
                transfer.verify(images, self.verify_bytes_per_cycle);
            }
        }
    }

    /// Takes a payload from the sender: begins to stage, or stages one chunk.
    ///
    /// # Errors
    /// [`Unreadable`] if it is none of a transfer.
    pub fn handle<I: Images>(&mut self, payload: &[u8], images: &mut I) -> Result<(), Unreadable> {
        match decode(payload)? {
            Message::Offer { session, header } => {
                let header = ImageHeader::parse(header).map_err(|_| Unreadable)?;
                self.has_to_answer = true;
                let is_known = |transfer: &Transfer| (transfer.session, transfer.header) == (session, header);
                if !self.transfer.as_ref().is_some_and(is_known) {
                    let progress = Progress::Waiting;
                    let transfer = self.transfer.insert(Transfer { session, header, retries: FLASH_RETRIES, progress });
                    transfer.begin(images);
                }
            }
            Message::Chunk { session, offset, bytes } => {
                let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.session == session) else {
                    return Ok(()); // it will be offered once more
                };
                self.has_to_answer = true;
                if matches!(transfer.progress, Progress::Going { bytes, .. } if bytes == offset) && self.chunks_left > 0
                {
                    self.chunks_left -= 1;
                    transfer.stage(images, offset, bytes);
                }
            }
            // For the sender on this side.
            Message::Ask { .. } | Message::Done { .. } | Message::Refused { .. } => {}
        }
        Ok(())
    }

    /// Returns the payload for the sender, at most one for each time that something changed or a cycle began.
    pub fn poll(&mut self) -> Option<&[u8]> {
        let transfer = self.transfer.as_ref()?;
        if !core::mem::take(&mut self.has_to_answer) {
            return None;
        }
        let session = transfer.session;
        let message = match transfer.progress {
            Progress::Waiting => return None,
            Progress::Going { bytes, .. } => Message::Ask { session, offset: bytes },
            Progress::Done => Message::Done { session },
            Progress::Refused(reason) => Message::Refused { session, reason },
        };
        encode(&message, &mut self.payload)
    }

    /// Returns how far it is.
    pub const fn progress(&self) -> Progress {
        match &self.transfer {
            Some(transfer) => transfer.progress,
            None => Progress::Waiting,
        }
    }

    /// Returns the header of the image that comes in.
    pub const fn header(&self) -> Option<&ImageHeader> {
        match &self.transfer {
            Some(transfer) => Some(&transfer.header),
            None => None,
        }
    }
}

impl Transfer {
    fn begin<I: Images>(&mut self, images: &mut I) {
        let begun = images.begin(&self.header);
        self.progress = self.at(begun);
    }

    fn stage<I: Images>(&mut self, images: &mut I, offset: u32, bytes: &[u8]) {
        match images.write(offset, bytes) {
            Err(Refusal::Offset { expected, .. }) => self.progress = self.at(Ok(expected)),
            // What the flash did not take is written once more, and so is what another one has staged over.
            Err(Refusal::Flash(_) | Refusal::NotBegun) if self.retries > 0 => {
                self.retries -= 1;
                self.begin(images);
            }
            written => self.progress = self.at(written),
        }
    }

    fn verify<I: Images>(&mut self, images: &mut I, bytes_at_most: u32) {
        match images.verify(bytes_at_most) {
            Ok(None) => {}
            Ok(Some(header)) if header == self.header => self.progress = Progress::Done,
            Ok(Some(_)) => self.progress = Progress::Refused(Refusal::OtherImage),
            Err(refusal) => self.progress = Progress::Refused(refusal),
        }
    }

    fn at(&self, bytes: Result<u32, Refusal>) -> Progress {
        match bytes {
            Ok(bytes) => Progress::Going { bytes, length: self.header.payload_length() },
            Err(refusal) => Progress::Refused(refusal),
        }
    }
}
