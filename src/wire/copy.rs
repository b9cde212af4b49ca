//! Payloads of the frames that carry memory: reintegration and repair.

use serde::{Deserialize, Serialize};

/// The payload of a `Block`: one block of the sender's checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPayload<'b> {
    /// Numbers the blocks that a donor sends, in the order in which it sends them; 0 in an
    /// answer to a `Want`.
    pub serial: u16,
    /// The block's number.
    pub index: u16,
    /// Its bytes.
    #[serde(borrow)]
    pub bytes: &'b [u8],
}

/// The longest frame of a block, for a state of `size` bytes.
pub(crate) const fn longest_block_bytes(size: usize) -> usize {
    const NUMBERS: usize = 3 + 3 + 1;
    let block = if size < crate::digest::BLOCK_BYTES { size } else { crate::digest::BLOCK_BYTES };
    super::OVERHEAD_BYTES + NUMBERS + block
}

/// The payload of an `Ack`: which blocks the joiner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckPayload {
    /// The joiner's newest challenge, for the `Cut` to carry.
    pub challenge: u32,
    /// The highest serial taken.
    pub highest: u16,
    /// Bit `n` is set if serial `highest - n` was taken. One that was not never will be.
    pub taken: u32,
}

/// The payload of a `Want`: this channel's copies of a block are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantPayload {
    /// The block's number.
    pub index: u16,
}

/// The payload of a `Compare`: the donor's digest of some blocks in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparePayload {
    /// The first block.
    pub first: u16,
    /// How many blocks: a power of two, of which this is the exponent.
    pub exponent: u8,
    /// Sum of their digests.
    pub digest: u32,
}

/// The payload of a `Same`: the answer to a `Compare` of the same phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SamePayload {
    /// The first block, as asked.
    pub first: u16,
    /// The exponent, as asked.
    pub exponent: u8,
    /// Whether the joiner's digest is the same.
    pub is_same: bool,
}
