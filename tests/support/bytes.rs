//! What a mirror must be equal to: plain bytes, and digests that know of no history.

#![allow(dead_code, unreachable_pub)]

use twinstep::digest::{BLOCK_BYTES, block_digest};
use twinstep::mirror::{Mirror, Range};
use twinstep::sim::Storage;

/// Returns the region digest of these bytes in two ways that know of no history.
pub fn digest_from_scratch<const N: usize>(bytes: &[u8]) -> u32 {
    let mut storage = Storage::<[u8; N]>::new();
    let mirror = Mirror::new(storage.cells(), |state: &mut [u8; N]| state.copy_from_slice(bytes));
    let sum = sum_of_block_digests(bytes);
    assert_eq!(mirror.committed_digest(), sum, "the region digest is the sum of the block digests");
    sum
}

pub fn sum_of_block_digests(bytes: &[u8]) -> u32 {
    let numbered = (0_u32..).zip(bytes.chunks(BLOCK_BYTES));
    numbered.fold(0_u32, |sum, (index, block)| sum.wrapping_add(block_digest(index, block)))
}

/// Compares the checkpoint, each digest of it and their sum with these bytes.
pub fn assert_checkpoint<const N: usize>(mirror: &Mirror<'_, [u8; N]>, bytes: &[u8]) {
    for (index, expected) in (0..).zip(bytes.chunks(BLOCK_BYTES)) {
        assert!(mirror.block(index) == Some(expected), "checkpoint block {index} is wrong");
        let digest = mirror.range_digest(Range { first: index, blocks: 1 });
        assert_eq!(digest, block_digest(index, expected), "digest of block {index}");
    }
    assert_eq!(mirror.committed_digest(), sum_of_block_digests(bytes));
    assert!(mirror.verify());
}

/// Compares all there is with these bytes; nothing may be dirty.
pub fn assert_all<const N: usize>(mirror: &mut Mirror<'_, [u8; N]>, bytes: &[u8]) {
    assert!(mirror.state()[..] == *bytes, "the working copy is wrong");
    assert_checkpoint(mirror, bytes);
    assert_eq!(mirror.pending_digest(), mirror.committed_digest(), "nothing is dirty");
}

/// Returns bytes that differ from block to block.
pub fn pattern<const N: usize>(seed: u64) -> [u8; N] {
    let mut random = fastrand::Rng::with_seed(seed);
    std::array::from_fn(|_| random.u8(..))
}
