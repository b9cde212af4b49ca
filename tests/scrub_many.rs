//! Several flipped bits in mirrored memory: mended if what is left tells how, and never wrongly.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bytes.rs"]
mod bytes;
#[path = "support/flips.rs"]
mod flips;

use bytes::{assert_all, pattern};
use flips::{BLOCK_BITS, Flip, NOTHING, assert_mended, filled, flip};
use proptest::prelude::*;
use twinstep::digest::BLOCK_BYTES;
use twinstep::mirror::{BlockRefused, Scrubbed};
use twinstep::sim::Storage;

/// A flip each in several blocks, one of them in a digest: all mended in one round.
#[test]
fn flips_in_different_blocks_are_mended_together() {
    const N: usize = 10 * BLOCK_BYTES - 5;
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let flips = prop::collection::vec(flip(), 1..8);
    proptest!(config, |(flips in flips, seed: u64, start in 0..10_u32)| {
        let bytes = pattern::<N>(seed);
        let mut storage = Storage::new();
        let mut mirror = filled(&mut storage, &bytes);
        prop_assert_eq!(mirror.scrub(start), NOTHING);
        let (mut damaged, mut expected) = (Vec::new(), NOTHING);
        for flip in flips.into_iter().map(|flip| flip.within::<N>()) {
            let is_second_digest = matches!(flip, Flip::Digest(_)) && expected.digests > 0;
            if damaged.contains(&flip.block()) || is_second_digest {
                continue;
            }
            damaged.push(flip.block());
            flip.apply(&mut mirror);
            let mended = flip.mended();
            expected.working += mended.working;
            expected.checkpoint += mended.checkpoint;
            expected.digests += mended.digests;
        }
        prop_assert_eq!(mirror.scrub_all(), expected);
        assert_all(&mut mirror, &bytes);
    });
}

/// A block's digest and one of its copies, or the region digest: what is left is evidence enough.
#[test]
fn a_digest_and_something_else_are_mended() {
    const N: usize = 200;
    let bytes = pattern::<N>(3);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for digest in 0..4 * 32 {
        let block = digest / 32;
        for bit in (block * BLOCK_BITS..N * 8).take(BLOCK_BITS).step_by(7) {
            for other in [Flip::Working(bit), Flip::Checkpoint(bit)] {
                Flip::Digest(digest).apply(&mut mirror);
                other.apply(&mut mirror);
                assert_eq!(mirror.scrub_all(), Scrubbed { digests: 1, ..other.mended() }, "{digest} and {other:?}");
                assert_all(&mut mirror, &bytes);
            }
        }
        for region in (4 * 32..5 * 32).filter(|region| region % 32 != digest % 32) {
            Flip::Digest(digest).apply(&mut mirror);
            Flip::Digest(region).apply(&mut mirror);
            assert_eq!(mirror.scrub_all(), Scrubbed { digests: 2, ..NOTHING }, "{digest} and {region}");
            assert_all(&mut mirror, &bytes);
        }
    }
}

/// The same bit of a block's digest and of the region digest: these may agree with each other.
/// Then the block is beyond repair, but neither of its copies is touched.
#[test]
fn the_same_bit_of_two_digests_harms_no_copy() {
    let bytes = pattern::<200>(9);
    let mut beyond_repair = 0;
    for digest in 0..4 * 32 {
        let mut storage = Storage::new();
        let mut mirror = filled(&mut storage, &bytes);
        Flip::Digest(digest).apply(&mut mirror);
        Flip::Digest(4 * 32 + digest % 32).apply(&mut mirror);
        let found = mirror.scrub_all();
        assert_eq!((found.working, found.checkpoint), (0, 0));
        assert_eq!(mirror.state(), &bytes);
        mirror.rollback();
        assert_eq!(mirror.state(), &bytes, "the checkpoint is whole, too");
        if let Some(block) = found.beyond_repair {
            assert_eq!(block as usize, digest / 32);
            beyond_repair += 1;
        } else {
            mirror.scrub(0);
            assert_all(&mut mirror, &bytes);
        }
    }
    assert!((1..128).contains(&beyond_repair), "half of them, about: {beyond_repair}");
}

/// With two block digests damaged no sum tells what they were. Both copies stay as they are, and
/// when the peer has the same, it is the digest that was wrong.
#[test]
fn two_digests_wait_for_the_peer() {
    let bytes = pattern::<200>(4);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    mirror.flip_digest_bit(32 + 5);
    mirror.flip_digest_bit(64 + 9);
    for _ in 0..5 {
        assert_eq!(mirror.scrub_all(), Scrubbed { beyond_repair: Some(1), ..NOTHING });
    }
    let mut other = [0; BLOCK_BYTES];
    other.copy_from_slice(&bytes[64..128]);
    other[7] ^= 1;
    assert_eq!(mirror.mend_block(1, &other), Err(BlockRefused::Digest));
    assert!(!mirror.verify());
    assert_eq!(mirror.mend_block(1, &bytes[64..128]), Ok(()));
    assert_eq!(mirror.state(), &bytes);
    assert_eq!(mirror.scrub_all(), Scrubbed { digests: 1, ..NOTHING }, "the other one alone is mended");
    assert_all(&mut mirror, &bytes);
}

/// Flips one bit in each copy of a block: nothing on this channel tells what was there.
fn assert_double_flips_wait_for_the_peer<const N: usize>(block: u32) {
    let bytes = pattern::<N>(5);
    let first = block as usize * BLOCK_BYTES;
    let end = (first + BLOCK_BYTES).min(N);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for working in first * 8..end * 8 {
        for checkpoint in first * 8..end * 8 {
            mirror.flip_working_bit(working);
            mirror.flip_checkpoint_bit(checkpoint);
            let digest = mirror.committed_digest();
            assert_eq!(mirror.scrub_all(), Scrubbed { beyond_repair: Some(block), ..NOTHING });
            assert_eq!(mirror.scrub(1), Scrubbed { beyond_repair: Some(block), ..NOTHING }, "checked again");

            // What the copies say now is refused, and nothing is written. (Were the peer's copy and
            // both copies here the same, the digest would be the one that is wrong.)
            let damaged: [u8; N] = *mirror.state();
            let kept = mirror.block(block).unwrap().to_vec();
            let apart = if working == checkpoint { 0 } else { 2 };
            for wrong in [&damaged[first..end], &kept].into_iter().take(apart) {
                assert_eq!(mirror.mend_block(block, wrong), Err(BlockRefused::Digest));
            }
            assert_eq!((mirror.state(), mirror.block(block).unwrap()), (&damaged, &kept[..]));
            assert_eq!(mirror.committed_digest(), digest);

            assert_eq!(mirror.mend_block(block, &bytes[first..end]), Ok(()));
            assert!(mirror.state() == &bytes && mirror.block(block) == Some(&bytes[first..end]));
            assert_eq!((mirror.scrub_all(), mirror.committed_digest()), (NOTHING, digest));
        }
    }
    assert_all(&mut mirror, &bytes);
}

/// All pairs of a bit of the one copy and a bit of the other.
#[test]
fn a_flip_in_each_copy_of_a_block_is_never_mended_wrongly() {
    assert_double_flips_wait_for_the_peer::<128>(1);
    assert_double_flips_wait_for_the_peer::<70>(1);
    assert_double_flips_wait_for_the_peer::<3>(0);
}

/// The region digest is carried on by a commit, by a block put and by one mended: its damage must
/// show after each of these, at the next call.
#[test]
fn the_region_digest_shows_its_damage_whatever_is_written_meanwhile() {
    let mut bytes = pattern::<200>(7);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for bit in 4 * 32..5 * 32 {
        mirror.flip_digest_bit(bit);
        bytes[70] ^= 1;
        mirror.tracked().set(|state| &state[70], bytes[70]);
        let pending = mirror.pending_digest();
        assert_eq!(mirror.commit(pending), Ok(()));
        assert_eq!(mirror.scrub(0), Scrubbed { digests: 1, ..NOTHING }, "after a commit");
        assert_all(&mut mirror, &bytes);

        mirror.flip_digest_bit(bit);
        bytes[199] ^= 1;
        assert_eq!(mirror.put_block(3, &bytes[192..]), Ok(()));
        assert_eq!(mirror.scrub(0), Scrubbed { digests: 1, ..NOTHING }, "after a block was put");
        assert_all(&mut mirror, &bytes);

        mirror.flip_digest_bit(bit);
        mirror.flip_working_bit(600);
        mirror.flip_checkpoint_bit(600);
        assert_eq!(mirror.mend_block(1, &bytes[64..128]), Ok(()));
        assert_eq!(mirror.scrub(0), Scrubbed { digests: 1, ..NOTHING }, "after a block was mended");
        assert_all(&mut mirror, &bytes);
    }
}

/// Negative controls: without the digests as witnesses, some flips are mended wrongly or not at all.
mod without_witnesses {
    use super::*;
    use twinstep::blocks;
    use twinstep::digest::block_digest;

    /// Two copies and a digest of one block, and the sum that the digest should give.
    struct Copies {
        working: [u8; 64],
        checkpoint: [u8; 64],
        digest: u32,
    }

    fn after(flip: Flip) -> (Copies, [u8; 64]) {
        let bytes = pattern::<64>(8);
        let mut copies = Copies { working: bytes, checkpoint: bytes, digest: block_digest(0, &bytes) };
        match flip {
            Flip::Working(bit) => copies.working[bit / 8] ^= 1 << (bit % 8),
            Flip::Checkpoint(bit) => copies.checkpoint[bit / 8] ^= 1 << (bit % 8),
            Flip::Digest(bit) => copies.digest ^= 1 << bit,
        }
        (copies, bytes)
    }

    fn mends_all(scrub: fn(&mut Copies), flips: impl IntoIterator<Item = Flip>) -> bool {
        flips.into_iter().all(|flip| {
            let (mut copies, bytes) = after(flip);
            scrub(&mut copies);
            copies.working == bytes && copies.checkpoint == bytes && copies.digest == block_digest(0, &bytes)
        })
    }

    fn trust_the_checkpoint(copies: &mut Copies) {
        copies.working = copies.checkpoint;
        copies.digest = block_digest(0, &copies.checkpoint);
    }

    fn trust_the_working_copy(copies: &mut Copies) {
        copies.checkpoint = copies.working;
        copies.digest = block_digest(0, &copies.working);
    }

    /// The block's digest, but no region digest to bear witness for it.
    fn trust_the_digest(copies: &mut Copies) {
        if block_digest(0, &copies.working) == copies.digest {
            copies.checkpoint = copies.working;
        } else if block_digest(0, &copies.checkpoint) == copies.digest {
            copies.working = copies.checkpoint;
        }
    }

    #[test]
    fn a_scrub_that_trusts_one_of_them_is_wrong() {
        let (working, checkpoint, digest) = (Flip::Working(77), Flip::Checkpoint(77), Flip::Digest(7));
        assert!(mends_all(trust_the_checkpoint, [working, digest]) && !mends_all(trust_the_checkpoint, [checkpoint]));
        assert!(mends_all(trust_the_working_copy, [checkpoint, digest]));
        assert!(!mends_all(trust_the_working_copy, [working]));
        assert!(mends_all(trust_the_digest, [working, checkpoint]) && !mends_all(trust_the_digest, [digest]));

        let bytes = pattern::<64>(8);
        let mut storage = Storage::new();
        let mut mirror = filled(&mut storage, &bytes);
        assert_eq!(blocks::<[u8; 64]>(), 1);
        for flip in [working, checkpoint, digest] {
            assert_mended(&mut mirror, &bytes, flip, 1);
        }
    }
}
