//! Flipped bits in mirrored memory: found in time, mended to what was there, never to anything else.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bytes.rs"]
mod bytes;
#[path = "support/flips.rs"]
mod flips;

use bytes::{assert_all, assert_checkpoint, pattern, sum_of_block_digests};
use flips::{BLOCK_BITS, Flip, NOTHING, all_flips, assert_mended, digest_bits, filled, flip};
use proptest::prelude::*;
use std::cell::Cell;
use twinstep::digest::BLOCK_BYTES;
use twinstep::mirror::{Mirror, Scrubbed};
use twinstep::sim::Storage;

fn assert_every_flip_is_mended<const N: usize>() {
    let bytes = pattern::<N>(N as u64);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for budget in 1..=mirror.blocks() + 1 {
        for flip in all_flips::<N>() {
            // One block more than a round each time: all places to start from get their turn.
            assert_eq!(mirror.scrub(1), NOTHING);
            assert_mended(&mut mirror, &bytes, flip, budget);
        }
    }
}

/// A flipped mark says that a block was written that nobody commits: its working copy is still scrubbed.
#[test]
fn a_flipped_mark_hides_no_flipped_bit() {
    const BLOCKS: usize = 20;
    for mark in 0..BLOCKS * 8 {
        let bytes = pattern::<{ BLOCKS * BLOCK_BYTES }>(7);
        let mut storage = Storage::new();
        let mut mirror = filled(&mut storage, &bytes);
        mirror.flip_mark_bit(mark);
        assert_mended(&mut mirror, &bytes, Flip::Working(mark / 8 * BLOCK_BITS + mark), 4);
    }
}

/// Every bit of both copies and of all digests, with every budget.
#[test]
fn every_single_flip_is_found_in_time_and_mended() {
    assert_every_flip_is_mended::<1>();
    assert_every_flip_is_mended::<3>();
    assert_every_flip_is_mended::<63>();
    assert_every_flip_is_mended::<64>();
    assert_every_flip_is_mended::<65>();
    assert_every_flip_is_mended::<200>();
    assert_every_flip_is_mended::<256>();
}

fn scrub_big<const N: usize>(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let budget = prop_oneof![1..20_u32, Just(u32::MAX)];
    let all = prop::collection::vec((flip(), budget, 0..2000_u32), 1..8);
    proptest!(config, |(all in all, seed: u64)| {
        let mut bytes = pattern::<N>(seed);
        let mut storage = Storage::new();
        let mut mirror = filled(&mut storage, &bytes);
        for (flip, budget, start) in all {
            // Bits are flipped in what was committed as well as in what was there first.
            let at = (seed as usize).wrapping_add(start as usize * 97) % N;
            mirror.tracked().update(|state| &state[at], |byte: u8| byte ^ 0x11);
            bytes[at] ^= 0x11;
            let pending = mirror.pending_digest();
            prop_assert_eq!(mirror.commit(pending), Ok(()));
            prop_assert_eq!(mirror.scrub(start), NOTHING);
            assert_mended(&mut mirror, &bytes, flip.within::<N>(), budget);
        }
    });
}

#[test]
fn flips_in_bigger_states_are_mended() {
    scrub_big::<2083>(60);
    scrub_big::<{ 257 * BLOCK_BYTES }>(20);
    scrub_big::<70_001>(10);
}

/// What lies in a checkpoint block behind the end of the state belongs to nobody.
#[test]
fn a_flip_behind_the_end_of_the_state_is_none() {
    let bytes = pattern::<70>(1);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for bit in 70 * 8..2 * BLOCK_BITS {
        mirror.flip_checkpoint_bit(bit);
        assert_eq!(mirror.scrub_all(), NOTHING);
        assert_all(&mut mirror, &bytes);
    }
    mirror.rollback();
    assert_all(&mut mirror, &bytes);
    // Behind the last of each nothing is flipped.
    mirror.flip_working_bit(70 * 8);
    mirror.flip_checkpoint_bit(2 * BLOCK_BITS);
    assert_all(&mut mirror, &bytes);
}

#[test]
fn a_scrub_of_no_blocks_still_checks_the_region_digest() {
    let bytes = pattern::<200>(2);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    mirror.flip_digest_bit(4 * 32 + 7);
    assert_eq!(mirror.scrub(0), Scrubbed { digests: 1, ..NOTHING });
    assert_all(&mut mirror, &bytes);

    let mut storage = Storage::<[u8; 0]>::new();
    let mut empty = filled(&mut storage, &[]);
    assert_eq!((empty.blocks(), empty.scrub_all(), empty.scrub(5)), (0, NOTHING, NOTHING));
}

/// Writes some blocks, in one of the two ways.
fn write_blocks<const N: usize>(mirror: &mut Mirror<'_, [u8; N]>, bytes: &mut [u8; N], places: &[usize], modify: bool) {
    for at in places.iter().map(|at| at % N) {
        if modify {
            mirror.tracked().modify(|state| state[at] ^= 0x42);
        } else {
            mirror.tracked().update(|state| &state[at], |byte: u8| byte ^ 0x42);
        }
        bytes[at] ^= 0x42;
    }
}

/// In the middle of a step: the working copy stays, the checkpoint is right or said not to be.
#[test]
fn in_the_middle_of_a_step_nothing_is_mended_wrongly() {
    const N: usize = 12 * BLOCK_BYTES - 9;
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() };
    let places = prop::collection::vec(any::<usize>(), 1..10);
    let (mended, beyond_repair) = (Cell::new(0), Cell::new(0));
    proptest!(config, |(flip in flip(), places in places, modify: bool, seed: u64, start in 0..12_u32)| {
        let committed = pattern::<N>(seed);
        let mut storage = Storage::new();
        let mut mirror = filled(&mut storage, &committed);
        prop_assert_eq!(mirror.scrub(start), NOTHING);
        let mut working = committed;
        write_blocks(&mut mirror, &mut working, &places, modify);
        prop_assert_eq!(mirror.scrub_all(), NOTHING, "what a step writes is no damage");
        let flip = flip.within::<N>();
        let is_dirty = modify || places.iter().any(|at| at % N / BLOCK_BYTES == flip.block());
        if matches!(flip, Flip::Working(_)) && is_dirty {
            return Ok(()); // the vote has to find that: the mirror knows no other copy
        }

        flip.apply(&mut mirror);
        let found = mirror.scrub_all();
        prop_assert_eq!(mirror.state(), &working, "a working copy was mended wrongly, or written blocks touched");
        if matches!(flip, Flip::Checkpoint(_)) && is_dirty {
            let block = flip.block() as u32;
            prop_assert_eq!(found, Scrubbed { beyond_repair: Some(block), ..NOTHING });
            let start = flip.block() * BLOCK_BYTES;
            let end = (start + BLOCK_BYTES).min(N);
            prop_assert_eq!(mirror.mend_block(block, &working[start..end]).is_err(), working[start..end] != committed[start..end]);
            prop_assert_eq!(mirror.mend_block(block, &committed[start..end]), Ok(()));
            prop_assert_eq!(mirror.state(), &working, "what the step wrote is still there");
            prop_assert_eq!(mirror.scrub_all(), NOTHING);
            beyond_repair.set(beyond_repair.get() + 1);
        } else {
            prop_assert_eq!(found, flip.mended());
            mended.set(mended.get() + 1);
        }
        assert_checkpoint(&mirror, &committed);
        let pending = mirror.pending_digest();
        prop_assert_eq!(pending, sum_of_block_digests(&working));
        prop_assert_eq!(mirror.commit(pending), Ok(()));
        assert_all(&mut mirror, &working);
    });
    let (mended, beyond_repair) = (mended.get(), beyond_repair.get());
    println!("flips in the middle of a step: {mended} mended, {beyond_repair} beyond repair");
    assert!(mended > 100 && beyond_repair > 100, "both must happen");
}

/// A flip that no scrub met before the commit does not stay behind it. (A flip in the working
/// copy is the vote's to find.) Two rounds mend what is left, or two calls for all blocks.
#[test]
fn no_flip_outlives_a_commit() {
    const N: usize = 200;
    let bytes = pattern::<N>(6);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    let flips = (0..N * 8).map(Flip::Checkpoint).chain((0..digest_bits::<N>()).map(Flip::Digest));
    let places = [&[][..], &[70], &[0, 70, 130, 199]];
    for (flip, places) in flips.flat_map(|flip| places.map(|places| (flip, places))) {
        for budget in [0, 1, 2, 3, 4, u32::MAX] {
            let mut expected = bytes;
            mirror.reset(|state| *state = bytes);
            assert_eq!(mirror.scrub(flip.block() as u32), NOTHING, "somewhere in a round");
            write_blocks(&mut mirror, &mut expected, places, false);
            flip.apply(&mut mirror);
            // Alone, without a peer that would vote otherwise.
            let pending = mirror.pending_digest();
            assert_eq!(mirror.commit(pending), Ok(()));
            match budget {
                0 => assert_eq!(mirror.scrub_all().beyond_repair, None),
                // Till the end of this round, and two more.
                _ => (0..3 * 4).for_each(|_| assert_eq!(mirror.scrub(budget).beyond_repair, None)),
            }
            assert_eq!(mirror.scrub_all(), NOTHING, "{flip:?} with {places:?}");
            assert_all(&mut mirror, &expected);
        }
    }
}

/// A digest that is damaged where the round has passed is not taken for a damaged region digest.
#[test]
fn a_digest_damaged_behind_the_scrub_is_mended_in_the_next_round() {
    let bytes = pattern::<256>(10);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for (at, bit) in (0..4).flat_map(|at| (0..4 * 32).map(move |bit| (at, bit))) {
        mirror.reset(|state| *state = bytes);
        assert_eq!(mirror.scrub(at), NOTHING);
        mirror.flip_digest_bit(bit);
        let found: Vec<_> = (0..8).map(|_| mirror.scrub(1)).filter(|found| *found != NOTHING).collect();
        assert_eq!(found, [Scrubbed { digests: 1, ..NOTHING }], "bit {bit}, from block {at} on");
        assert_all(&mut mirror, &bytes);
    }
}

/// The same bit of the same digest, flipped again a round later: mended again, and not taken for a
/// region digest that is off for good.
#[test]
fn a_digest_that_flips_twice_is_mended_twice() {
    let mut storage = Storage::<[u8; 65]>::new();
    let mut mirror = Mirror::new(storage.cells(), |_| ());
    let committed = mirror.committed_digest();
    mirror.scrub(1); // so that the round ends before the damaged digest is looked at
    for _ in 0..2 {
        mirror.flip_digest_bit(3);
        let found = mirror.scrub_all();
        assert_eq!((found.digests, found.beyond_repair), (1, None));
        assert!(mirror.verify() && mirror.committed_digest() == committed);
    }
}
