//! Payloads of the frames that carry memory: reintegration and repair.

use super::payload::{Field, fixed_layout, put_rest};
use super::{Payload, Reject};
use crate::digest::BLOCK_BYTES;

/// The payload of a `Block`: one block of the sender's checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPayload<'b> {
    /// Numbers the blocks that a donor sends, in the order in which it sends them; 0 in an
    /// answer to a `Want`.
    pub serial: u16,
    /// The block's number.
    pub index: u16,
    /// Its bytes, all of them.
    pub bytes: &'b [u8],
}

const WORD_BYTES: usize = 4;
const BLOCK_NUMBERS_BYTES: usize = 6;

impl BlockPayload<'_> {
    /// Returns the mask that says that all words of so many bytes are there: bit `n` for the bytes from `4 * n` on.
    fn full_mask(bytes: usize) -> u16 {
        let words = bytes.div_ceil(WORD_BYTES).min(16) as u32;
        ((1_u32 << words) - 1) as u16
    }
}

impl<'b> Payload<'b> for BlockPayload<'b> {
    fn parse(bytes: &'b [u8]) -> Result<Self, Reject> {
        let mut rest = bytes;
        let mut number = || u16::take(&mut rest).ok_or(Reject::Payload);
        let (serial, index, mask) = (number()?, number()?, number()?);
        let is_full = mask == Self::full_mask(rest.len());
        let has_its_words = mask.count_ones() as usize == rest.len().div_ceil(WORD_BYTES);
        match (is_full, has_its_words) {
            (true, _) => Ok(Self { serial, index, bytes: rest }),
            (false, true) => Err(Reject::Unsupported),
            (false, false) => Err(Reject::Payload),
        }
    }

    fn payload_bytes(&self) -> usize {
        BLOCK_NUMBERS_BYTES + self.bytes.len()
    }

    fn write(&self, room: &mut [u8]) -> Option<()> {
        let mut room = room;
        for number in [self.serial, self.index, Self::full_mask(self.bytes.len())] {
            number.put(&mut room)?;
        }
        put_rest(room, self.bytes)
    }
}

/// The longest frame of a block, for a state of `size` bytes.
pub(crate) const fn longest_block_bytes(size: usize) -> usize {
    let block = if size < BLOCK_BYTES { size } else { BLOCK_BYTES };
    super::OVERHEAD_BYTES + BLOCK_NUMBERS_BYTES + block
}

/// The payload of an `Ack`: which blocks the joiner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPayload {
    /// The joiner's newest challenge, for the `Cut` to carry.
    pub challenge: u32,
    /// The highest serial taken.
    pub highest: u16,
    /// Bit `n` is set if serial `highest - n` was taken. One that was not never will be.
    pub taken: u32,
}

fixed_layout!(AckPayload { challenge: u32, highest: u16, taken: u32 });

/// The payload of a `Want`: this channel's copies of a block are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantPayload {
    /// The block's number.
    pub index: u16,
}

fixed_layout!(WantPayload { index: u16 });

/// The payload of a `Compare`: the donor's digest of some blocks in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComparePayload {
    /// The first block.
    pub first: u16,
    /// How many blocks: a power of two, of which this is the exponent.
    pub exponent: u8,
    /// Sum of their digests.
    pub digest: u32,
}

fixed_layout!(ComparePayload { first: u16, exponent: u8, digest: u32 });

/// The payload of a `Same`: the answer to a `Compare` of the same phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SamePayload {
    /// The first block, as asked.
    pub first: u16,
    /// The exponent, as asked.
    pub exponent: u8,
    /// Whether the joiner's digest is the same.
    pub is_same: bool,
}

fixed_layout!(SamePayload { first: u16, exponent: u8, is_same: bool });

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_block_comes_whole_or_is_refused_with_the_reason() {
        for length in 0..=BLOCK_BYTES {
            let bytes: Vec<u8> = (0..length as u8).collect();
            let block = BlockPayload { serial: 7, index: 300, bytes: &bytes };
            let mut payload = std::vec![0; block.payload_bytes()];
            assert_eq!(block.write(&mut payload), Some(()));
            assert_eq!(BlockPayload::parse(&payload), Ok(block));
            let words = length.div_ceil(4);
            assert_eq!(u16::from_le_bytes([payload[4], payload[5]]), (0xFFFF_u32 >> (16 - words)) as u16);
            // A byte more may be of the last word, or of a block that is too long: which lengths there are, the mirror knows.
            payload.push(0);
            let is_refused = BlockPayload::parse(&payload) == Err(Reject::Payload);
            assert_eq!(is_refused, length % 4 == 0 && length < BLOCK_BYTES, "{length}");
        }
        // The second and the fourth word of a block.
        let some = [7, 0, 44, 1, 0b1010, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(BlockPayload::parse(&some), Err(Reject::Unsupported));
        assert_eq!(BlockPayload::parse(&some[..13]), Err(Reject::Unsupported));
        assert_eq!(BlockPayload::parse(&some[..10]), Err(Reject::Payload));
        assert_eq!(BlockPayload::parse(&some[..5]), Err(Reject::Payload));
    }
}
