//! Blocks for the peer and from the peer: what is refused, what is adopted, and the search for what differs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bytes.rs"]
mod bytes;

use bytes::{assert_all, assert_checkpoint, digest_from_scratch, pattern};
use proptest::prelude::*;
use std::collections::BTreeSet;
use twinstep::digest::BLOCK_BYTES;
use twinstep::mirror::{BlockRefused, Halving, Mirror, Range};
use twinstep::sim::Storage;

fn filled<'m, const N: usize>(storage: &'m mut Storage<[u8; N]>, bytes: &[u8; N]) -> Mirror<'m, [u8; N]> {
    Mirror::new(storage.cells(), |state| *state = *bytes)
}

/// Puts all blocks of the donor that `wanted` names.
fn donate<const N: usize>(
    donor: &Mirror<'_, [u8; N]>,
    joiner: &mut Mirror<'_, [u8; N]>,
    wanted: impl IntoIterator<Item = u32>,
) {
    for index in wanted {
        assert_eq!(joiner.put_block(index, donor.block(index).unwrap()), Ok(()));
    }
}

#[test]
fn a_block_that_does_not_fit_is_refused_with_the_figures() {
    let bytes = pattern::<200>(1);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    let some = [7; 100];
    for index in [4, 5, 1 << 26, u32::MAX] {
        let refused = Err(BlockRefused::OutOfRange { index, blocks: 4 });
        for length in [0, 8, 64] {
            assert_eq!(mirror.check_block(index, length), refused);
            assert_eq!(mirror.put_block(index, &some[..length]), refused);
            assert_eq!(mirror.mend_block(index, &some[..length]), refused);
        }
        assert_eq!(mirror.block(index), None);
    }
    for (index, need_bytes) in [(0, 64), (1, 64), (2, 64), (3, 8)] {
        assert_eq!(mirror.check_block(index, need_bytes), Ok(()));
        for have_bytes in (0..100).filter(|have| *have != need_bytes) {
            let refused = Err(BlockRefused::Length { need_bytes, have_bytes });
            assert_eq!(mirror.check_block(index, have_bytes), refused);
            assert_eq!(mirror.put_block(index, &some[..have_bytes]), refused);
            assert_eq!(mirror.mend_block(index, &some[..have_bytes]), refused);
        }
    }
    assert_all(&mut mirror, &bytes);
}

/// Only what was committed can be given to mend a block; nothing else is written.
#[test]
fn a_block_is_mended_by_its_own_bytes_only() {
    let bytes = pattern::<200>(2);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    for index in 0..4 {
        let own = mirror.block(index).unwrap().to_vec();
        assert_eq!(mirror.mend_block(index, &own), Ok(()));
        for bit in 0..own.len() * 8 {
            let mut other = own.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(mirror.mend_block(index, &other), Err(BlockRefused::Digest));
        }
        assert_all(&mut mirror, &bytes);
    }
    assert_eq!(mirror.mend_block(0, &bytes[64..128]), Err(BlockRefused::Digest), "a block moved");
    assert_all(&mut mirror, &bytes);
}

/// A joiner with all blocks of the donor adopts them; without one of them it does not.
fn follow_donation<const N: usize>(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(seed: u64, own: u64, place: usize, dirty in prop::option::of(any::<usize>()))| {
        prop_assume!(seed != own);
        let (donated, at_first) = (pattern::<N>(seed), pattern::<N>(own));
        let (mut storage, mut joiners) = (Storage::new(), Storage::new());
        let donor = filled(&mut storage, &donated);
        let mut joiner = filled(&mut joiners, &at_first);
        let digest = donor.committed_digest();
        let mut expected = at_first;
        let left_out = (place % N / BLOCK_BYTES) as u32;

        // What the joiner wrote by itself is of no account.
        if let Some(at) = dirty {
            joiner.tracked().update(|state| &state[at % N], |byte: u8| !byte);
        }
        for index in (0..donor.blocks()).filter(|index| *index != left_out) {
            donate(&donor, &mut joiner, [index]);
            let start = index as usize * BLOCK_BYTES;
            let end = (start + BLOCK_BYTES).min(N);
            expected[start..end].copy_from_slice(&donated[start..end]);
            prop_assert_eq!(&joiner.state()[start..end], &donated[start..end], "the working copy has it, too");
        }
        prop_assert_eq!(joiner.committed_digest(), digest_from_scratch::<N>(&expected));
        prop_assert!(!joiner.adopt(digest), "block {} is missing", left_out);
        assert_all(&mut joiner, &expected);

        donate(&donor, &mut joiner, [left_out]);
        prop_assert!(!joiner.adopt(digest ^ 1));
        prop_assert!(joiner.adopt(digest));
        assert_all(&mut joiner, &donated);
        prop_assert_eq!(joiner.committed_digest(), digest);
    });
}

#[test]
fn donated_blocks_are_adopted_when_all_are_there() {
    follow_donation::<5>(100);
    follow_donation::<64>(100);
    follow_donation::<200>(100);
    follow_donation::<{ 40 * BLOCK_BYTES + 1 }>(50);
}

/// A step that was under way at the joiner ends with the adoption.
#[test]
fn adoption_puts_the_checkpoint_into_the_working_copy() {
    let bytes = pattern::<200>(3);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    let digest = mirror.committed_digest();
    for is_right in [true, false] {
        mirror.tracked().set(|state| &state[70], !bytes[70]);
        mirror.tracked().modify(|state| state[199] ^= 1);
        assert_eq!(mirror.adopt(if is_right { digest } else { !digest }), is_right);
        assert_all(&mut mirror, &bytes);
    }
}

/// Damage to what was donated is noticed whatever bit it is; damage to a digest before its
/// block is put, or to the region digest, is over when the blocks are adopted.
#[cfg(feature = "sim")]
#[test]
fn damaged_memory_is_not_adopted() {
    let donated = pattern::<200>(4);
    let (mut storage, mut joiners) = (Storage::new(), Storage::new());
    let donor = filled(&mut storage, &donated);
    let mut joiner = filled(&mut joiners, &[0; 200]);
    let digest = donor.committed_digest();
    donate(&donor, &mut joiner, 0..4);
    for bit in 0..200 * 8 {
        joiner.flip_checkpoint_bit(bit);
        assert!(!joiner.adopt(digest), "bit {bit}");
        joiner.flip_checkpoint_bit(bit);
        joiner.flip_working_bit(bit);
        assert!(joiner.adopt(digest), "the working copy is made from the checkpoint");
        assert_all(&mut joiner, &donated);
    }
    for bit in 0..4 * 32 {
        joiner.flip_digest_bit(bit);
        assert!(!joiner.adopt(digest), "bit {bit} of the digests");
        joiner.flip_digest_bit(bit);
    }
    for bit in 0..5 * 32 {
        joiner.reset(|state| state.fill(1));
        donate(&donor, &mut joiner, 0..2);
        joiner.flip_digest_bit(bit);
        donate(&donor, &mut joiner, 0..4);
        assert!(joiner.adopt(digest), "bit {bit} of the digests, before its block");
        assert_all(&mut joiner, &donated);
    }
}

/// A block that is put is no write of the step: there is nothing to be committed.
#[test]
fn a_put_block_is_part_of_the_checkpoint_at_once() {
    let mut bytes = pattern::<200>(5);
    let mut storage = Storage::new();
    let mut mirror = filled(&mut storage, &bytes);
    bytes[64..128].fill(9);
    assert_eq!(mirror.put_block(1, &[9; 64]), Ok(()));
    assert_all(&mut mirror, &bytes);
    let digest = mirror.committed_digest();
    assert_eq!((mirror.commit(digest), mirror.written_blocks()), (Ok(()), 0));
    mirror.rollback();
    assert_all(&mut mirror, &bytes);
    assert_checkpoint(&mirror, &bytes);
}

/// Runs a search to its end; returns what it found and how many comparisons it took.
fn search(blocks: u32, mut is_same: impl FnMut(Range) -> bool) -> (Vec<u32>, u32) {
    let (mut search, mut found, mut comparisons) = (Halving::new(blocks), Vec::new(), 0);
    while let Some(range) = search.range() {
        comparisons += 1;
        assert!(comparisons <= 2 * blocks.next_power_of_two(), "the search does not end");
        assert!(range.blocks > 0 && range.first < blocks, "{range:?} of {blocks}");
        let same = is_same(range);
        if !same && range.blocks == 1 {
            found.push(range.first);
        }
        search = search.after(same);
    }
    assert_eq!(search.after(true).range(), None, "over is over");
    (found, comparisons)
}

fn search_for(blocks: u32, differing: &BTreeSet<u32>) -> (Vec<u32>, u32) {
    search(blocks, |Range { first, blocks }| differing.range(first..first + blocks).next().is_none())
}

/// How many comparisons a search may take. A range is compared if it is the whole or the half of
/// one that differs. On each level there are at most as many ranges as the level has, and at most
/// as many that differ as there are differing blocks; each of those that is longer than a block
/// has two halves.
fn most_comparisons(blocks: u32, differing: u32) -> u32 {
    let levels = blocks.next_power_of_two().trailing_zeros();
    1 + (0..levels).map(|level| 2 * differing.min(1 << level)).sum::<u32>()
}

#[test]
fn the_search_finds_each_single_block_and_all() {
    assert_eq!(search_for(0, &BTreeSet::new()), (vec![], 0));
    for blocks in 1..=1030_u32 {
        let levels = blocks.next_power_of_two().trailing_zeros();
        assert_eq!(search_for(blocks, &BTreeSet::new()), (vec![], 1), "the same: one comparison");
        for differing in (0..blocks).step_by(1 + blocks as usize / 16).chain([blocks - 1]) {
            let (found, comparisons) = search_for(blocks, &BTreeSet::from([differing]));
            assert_eq!(found, [differing], "of {blocks}");
            assert!(comparisons <= 1 + 2 * levels, "{comparisons} of {blocks}");
        }
        let (found, comparisons) = search_for(blocks, &(0..blocks).collect());
        assert!(found.into_iter().eq(0..blocks), "all of {blocks}");
        assert!(comparisons < 2 * blocks + levels, "{comparisons}: each node over a block that there is");
    }
    // The bound is reached, so it is the least.
    assert_eq!(search_for(1024, &BTreeSet::from([0])).1, most_comparisons(1024, 1));
    assert_eq!(search_for(1024, &BTreeSet::from([5, 1000])).1, most_comparisons(1024, 2));
    assert_eq!(search_for(8, &(0..8).collect()).1, most_comparisons(8, 8));
}

/// The length is any `u32`, also one whose next power of two is none.
#[test]
fn the_search_ends_with_the_greatest_numbers_of_blocks() {
    for blocks in [(1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX] {
        for differing in [0, 1 << 20, (1 << 31) - 2, blocks - 1] {
            let (mut search, mut found, mut comparisons) = (Halving::new(blocks), vec![], 0);
            while let Some(Range { first, blocks }) = search.range() {
                let is_same = !(first..=first + (blocks - 1)).contains(&differing);
                if !is_same && blocks == 1 {
                    found.push(first);
                }
                comparisons += 1;
                assert!(comparisons < 2 * 32 + 2);
                search = search.after(is_same);
            }
            assert_eq!(found, [differing], "of {blocks}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_finds_exactly_what_differs(
        (blocks, differing) in (0..=1030_u32).prop_flat_map(|blocks| {
            (Just(blocks), prop::collection::btree_set(0..blocks.max(1), 0..=(blocks as usize).min(40)))
        }),
    ) {
        let (found, comparisons) = search_for(blocks, &differing);
        prop_assert!(found.iter().eq(&differing), "{:?} for {:?}", found, differing);
        let most = if blocks == 0 { 0 } else { most_comparisons(blocks, differing.len() as u32) };
        prop_assert!(comparisons <= most, "{} comparisons, at most {}", comparisons, most);
    }
}

/// Two channels with the same state but for some blocks.
fn search_mirrors<const N: usize>(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let places = prop::collection::btree_set(0..N, 0..12);
    proptest!(config, |(seed: u64, places in places, bit in 0..8_u32)| {
        let ours = pattern::<N>(seed);
        let mut theirs = ours;
        places.iter().for_each(|at| theirs[*at] ^= 1 << bit);
        let (mut storage, mut peers) = (Storage::new(), Storage::new());
        let (donor, mut joiner) = (filled(&mut storage, &ours), filled(&mut peers, &theirs));
        let differing: BTreeSet<_> = places.iter().map(|at| (at / BLOCK_BYTES) as u32).collect();

        let (found, comparisons) =
            search(donor.blocks(), |range| donor.range_digest(range) == joiner.range_digest(range));
        prop_assert!(found.iter().eq(&differing), "{:?} for {:?}", found, differing);
        prop_assert!(comparisons <= most_comparisons(donor.blocks(), differing.len() as u32));

        donate(&donor, &mut joiner, found);
        prop_assert!(joiner.adopt(donor.committed_digest()));
        assert_all(&mut joiner, &ours);
    });
}

#[test]
fn the_search_finds_the_blocks_in_which_two_mirrors_differ() {
    search_mirrors::<1>(20);
    search_mirrors::<64>(20);
    search_mirrors::<200>(100);
    search_mirrors::<{ 33 * BLOCK_BYTES }>(100);
    search_mirrors::<70_001>(20);
}

#[test]
fn a_range_is_summed_as_far_as_there_are_blocks() {
    let bytes = pattern::<{ 9 * BLOCK_BYTES + 1 }>(6);
    let mut storage = Storage::new();
    let mirror = filled(&mut storage, &bytes);
    let single = |first| mirror.range_digest(Range { first, blocks: 1 });
    for (first, blocks) in (0..12).flat_map(|first| (0..12).map(move |blocks| (first, blocks))) {
        let expected = (first..(first + blocks).min(10)).fold(0_u32, |sum, index| sum.wrapping_add(single(index)));
        assert_eq!(mirror.range_digest(Range { first, blocks }), expected);
    }
    assert_eq!(mirror.range_digest(Range { first: 0, blocks: u32::MAX }), mirror.committed_digest());
    assert_eq!(mirror.range_digest(Range { first: u32::MAX, blocks: u32::MAX }), 0);
}

/// The negative control: two blocks that changed places. Sums of digests that know of no index
/// find nothing; those of the mirror find both.
#[test]
fn blocks_that_changed_places_are_found() {
    let ours = pattern::<{ 8 * BLOCK_BYTES }>(7);
    let mut theirs = ours;
    theirs[2 * 64..3 * 64].copy_from_slice(&ours[5 * 64..6 * 64]);
    theirs[5 * 64..6 * 64].copy_from_slice(&ours[2 * 64..3 * 64]);
    let (mut storage, mut peers) = (Storage::new(), Storage::new());
    let (a, b) = (filled(&mut storage, &ours), filled(&mut peers, &theirs));
    assert_eq!(search(8, |range| a.range_digest(range) == b.range_digest(range)).0, [2, 5]);

    let without_index = |bytes: &[u8], Range { first, blocks }: Range| {
        let digests = bytes.chunks(64).map(|block| twinstep::digest::block_digest(0, block));
        digests.skip(first as usize).take(blocks as usize).fold(0, u32::wrapping_add)
    };
    assert_eq!(search(8, |range| without_index(&ours, range) == without_index(&theirs, range)).0, [0_u32; 0]);
}
