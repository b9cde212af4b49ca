//! One flipped bit in mirrored memory, and what must come of it.

#![allow(dead_code, unreachable_pub)]

use super::bytes::assert_all;
use proptest::prelude::*;
use twinstep::digest::BLOCK_BYTES;
use twinstep::mirror::{Mirror, Scrubbed};
use twinstep::sim::Storage;

pub const BLOCK_BITS: usize = BLOCK_BYTES * 8;
pub const NOTHING: Scrubbed = Scrubbed { working: 0, checkpoint: 0, digests: 0, beyond_repair: None };

/// One flipped bit, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flip {
    Working(usize),
    Checkpoint(usize),
    /// A bit of a block digest or, after these, of the region digest.
    Digest(usize),
}

impl Flip {
    pub fn apply<const N: usize>(self, mirror: &mut Mirror<'_, [u8; N]>) {
        match self {
            Self::Working(bit) => mirror.flip_working_bit(bit),
            Self::Checkpoint(bit) => mirror.flip_checkpoint_bit(bit),
            Self::Digest(bit) => mirror.flip_digest_bit(bit),
        }
    }

    /// Brings the bit into the range of a state.
    pub fn within<const N: usize>(self) -> Self {
        match self {
            Self::Working(bit) => Self::Working(bit % (N * 8)),
            Self::Checkpoint(bit) => Self::Checkpoint(bit % (N * 8)),
            Self::Digest(bit) => Self::Digest(bit % digest_bits::<N>()),
        }
    }

    /// Returns the block that is damaged; the number of blocks for the region digest.
    pub fn block(self) -> usize {
        match self {
            Self::Working(bit) | Self::Checkpoint(bit) => bit / BLOCK_BITS,
            Self::Digest(bit) => bit / 32,
        }
    }

    /// What a scrub must report that mends this and nothing else.
    pub fn mended(self) -> Scrubbed {
        match self {
            Self::Working(_) => Scrubbed { working: 1, ..NOTHING },
            Self::Checkpoint(_) => Scrubbed { checkpoint: 1, ..NOTHING },
            Self::Digest(_) => Scrubbed { digests: 1, ..NOTHING },
        }
    }
}

pub fn digest_bits<const N: usize>() -> usize {
    (N.div_ceil(BLOCK_BYTES) + 1) * 32
}

pub fn all_flips<const N: usize>() -> impl Iterator<Item = Flip> {
    let bytes = (0..N * 8).flat_map(|bit| [Flip::Working(bit), Flip::Checkpoint(bit)]);
    bytes.chain((0..digest_bits::<N>()).map(Flip::Digest))
}

pub fn flip() -> impl Strategy<Value = Flip> {
    let bit = any::<usize>;
    prop_oneof![bit().prop_map(Flip::Working), bit().prop_map(Flip::Checkpoint), bit().prop_map(Flip::Digest)]
}

pub fn filled<'m, const N: usize>(storage: &'m mut Storage<[u8; N]>, bytes: &[u8; N]) -> Mirror<'m, [u8; N]> {
    Mirror::new(storage.cells(), |state| *state = *bytes)
}

/// Scrubs until a flip is found, which must be mended in time.
pub fn assert_mended<const N: usize>(mirror: &mut Mirror<'_, [u8; N]>, bytes: &[u8], flip: Flip, budget: u32) {
    flip.apply(mirror);
    assert_eq!(mirror.verify(), matches!(flip, Flip::Working(_)), "{flip:?}: all but the working copy is verified");
    let in_time = mirror.blocks().div_ceil(budget);
    let found = (0..in_time).map(|_| mirror.scrub(budget)).find(|found| *found != NOTHING);
    assert_eq!(found, Some(flip.mended()), "{flip:?}, {budget} blocks a call");
    assert_all(mirror, bytes);
    assert_eq!(mirror.scrub_all(), NOTHING, "{flip:?}: once");
}
