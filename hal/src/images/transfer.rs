//! TRANSFER  an image from one half to the other, in small payloads.
//!
//! ```text
//! sender                               receiver
//!   offer: header          ----->      begins to stage, or goes on where it stopped
//!                          <-----      ask: offset            once a cycle, also while it verifies
//!   chunk: offset, bytes   ----->      stages                 so many a cycle
//!                          <-----      done, or refused: why  to all that still comes
//! ```
//!
//! The receiver says where to go on, again and again, so payloads may be lost, doubled, late, or in any order, and either
//! side may restart: it only costs time. How payloads travel is not known here. They come in whole or not
//! at all; each is at most `PAYLOAD` bytes of postcard. Nothing here waits or reads a clock: call `begin_cycle` once a cycle.
//!
//! ```
//! # use twinstep_hal::images::{transfer::{Progress, Receiver, Sender}, Edition, ImageHeader, Images};
//! # use sha2::{Digest, Sha256};
//! # fn both(header: ImageHeader, image: &[u8], images: &mut impl Images) {
//! let mut sender = Sender::<96>::new(header, 1, 4);
//! let mut receiver = Receiver::<96>::new(4, 1024);
//! while receiver.progress() != Progress::Done {
//!     sender.begin_cycle();
//!     receiver.begin_cycle(images);
//!     while let Ok(Some(payload)) = sender.poll(|at, bytes| {
//!         bytes.copy_from_slice(&image[at as usize..][..bytes.len()]);
//!         Ok::<(), ()>(())
//!     }) {
//!         receiver.handle(payload, images).unwrap();
//!     }
//!     if let Some(payload) = receiver.poll() {
//!         sender.handle(payload).unwrap();
//!     }
//! }
//! # }
//! ```

mod receiver;
mod sender;

use super::{HEADER_BYTES, Refusal};
use serde::{Deserialize, Serialize};
use twinstep::canonical;

pub use receiver::Receiver;
pub use sender::Sender;

/// Bytes of the longest payload without data of the image: an offer.
pub const PAYLOAD_BYTES_AT_LEAST: usize = 1 + 5 + 1 + HEADER_BYTES;

/// Bytes of a chunk that are not data: kind, session, offset, length.
const CHUNK_OVERHEAD: usize = 1 + 5 + 5 + 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Message<'b> {
    Offer { session: u32, header: &'b [u8] },
    Ask { session: u32, offset: u32 },
    Chunk { session: u32, offset: u32, bytes: &'b [u8] },
    Done { session: u32 },
    Refused { session: u32, reason: Refusal },
}

/// A payload that is no message of a transfer. It was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unreadable;

impl core::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a message of an image transfer")
    }
}

impl core::error::Error for Unreadable {}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// The other side has not said anything yet, or not for a while.
    Waiting,
    /// It goes on. All bytes may be there, and not be verified yet.
    Going {
        /// Bytes that have arrived.
        bytes: u32,
        /// Bytes of image and signature.
        length: u32,
    },
    /// The image has arrived and is verified: it can be booted.
    Done,
    /// The receiver does not take the image. Nothing more is sent; to try again, make another [`Sender`].
    Refused(Refusal),
}

fn decode(payload: &[u8]) -> Result<Message<'_>, Unreadable> {
    canonical::decode(payload).ok_or(Unreadable)
}

/// Encodes a message. Each fits: an offer by the check of `PAYLOAD`, a chunk by its length, the others are shorter.
fn encode<'p>(message: &Message<'_>, payload: &'p mut [u8]) -> Option<&'p [u8]> {
    let used = canonical::encode(message, payload)?;
    payload.get(..used)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::images::{Edition, FlashFault, HeaderError, ImageHeader, RecordsError, Slot};

    pub(super) const HEADER: ImageHeader = ImageHeader {
        program: Edition { version: u32::MAX, layout: u32::MAX },
        before: None,
        length: u32::MAX - 7,
        digest: [0xFF; 32],
        signature_length: 7,
    };

    #[test]
    fn every_message_fits_into_the_shortest_payload() {
        let (session, offset) = (u32::MAX, u32::MAX);
        let header = HEADER.encode();
        let figures = (u32::MAX, u32::MAX);
        let reasons = [
            Refusal::Header(HeaderError::Check { given: figures.0, computed: figures.1 }),
            Refusal::BelowFloor { version: figures.0, floor: figures.1 },
            Refusal::Records(RecordsError::Unknown { sequence: u32::MAX }),
            Refusal::Flash(FlashFault::ReadBack),
            Refusal::Elsewhere { running: Slot::A, noted: Slot::B },
        ];
        let refused = reasons.map(|reason| Message::Refused { session, reason });
        let others = [
            Message::Offer { session, header: &header },
            Message::Ask { session, offset },
            Message::Done { session },
            Message::Chunk { session, offset, bytes: &[0; PAYLOAD_BYTES_AT_LEAST - CHUNK_OVERHEAD] },
        ];
        for message in refused.into_iter().chain(others) {
            let mut payload = [0; PAYLOAD_BYTES_AT_LEAST];
            let bytes = encode(&message, &mut payload).unwrap();
            assert_eq!(decode(bytes), Ok(message));
        }
    }

    #[test]
    fn what_is_no_message_is_not_read() {
        let mut payload = [0; 100];
        let ask = encode(&Message::Ask { session: 9, offset: 300 }, &mut payload).unwrap().len();
        for length in 0..ask {
            assert_eq!(decode(payload.get(..length).unwrap()), Err(Unreadable));
        }
        assert_eq!(decode(payload.get(..ask + 1).unwrap()), Err(Unreadable), "a byte too many");
        assert_eq!(decode(&[5, 1, 1]), Err(Unreadable), "no such kind");
    }
}
