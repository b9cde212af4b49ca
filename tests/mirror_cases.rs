//! The mirror in single cases: each block and field is found, memory is taken over, a commit is held to its vote.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bytes.rs"]
mod bytes;

use bytes::digest_from_scratch;
use twinstep::digest::BLOCK_BYTES;
use twinstep::memory::{Block, Cells};
use twinstep::mirror::{CommitDamaged, Mirror};
use twinstep::sim::Storage;
use twinstep::{Memory, blocks};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Returns the pending digest after one byte of each of these blocks was written.
fn touch<const N: usize>(mirror: &mut Mirror<'_, [u8; N]>, touched: &[usize]) -> (u32, u32) {
    for block in touched {
        mirror.tracked().update(|state| &state[block * BLOCK_BYTES], |byte: u8| byte ^ 0x80);
    }
    (mirror.pending_digest(), digest_from_scratch::<N>(mirror.state()))
}

/// Each block, alone and with its neighbour, is found through the summary word.
#[test]
fn every_block_is_found_again() {
    const BYTES: usize = 258 * BLOCK_BYTES + 5;
    const LAST: usize = 258;
    let mut storage = Storage::<[u8; BYTES]>::new();
    let mut mirror = Mirror::new(storage.cells(), |state: &mut [u8; BYTES]| state.fill(0x5A));
    let clean = mirror.committed_digest();
    let alone = (0..=LAST).step_by(5).map(|block| vec![block]);
    let pairs = [vec![0, LAST], vec![7, 8], vec![15, 16], vec![255, 256], vec![LAST - 1, LAST]];
    for touched in alone.chain(pairs) {
        let (pending, expected) = touch(&mut mirror, &touched);
        assert_eq!(pending, expected, "{touched:?}");
        assert_ne!(pending, clean, "{touched:?}");
        mirror.rollback();
        assert_eq!(mirror.pending_digest(), clean, "{touched:?}");
    }
    for block in [0, 100, 255, 256, 257, LAST] {
        let (pending, expected) = touch(&mut mirror, &[block]);
        assert_eq!((pending, mirror.commit(pending)), (expected, Ok(())), "block {block}");
        assert!(mirror.verify());
    }
}

/// Fields of all alignments; no padding.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Plant {
    flag: u8,
    small: [u8; 3],
    gain: f32,
    log: [u32; 40],
    wide: u64,
    last: [i16; 4],
}

#[test]
fn fields_are_found_by_their_place_in_the_state() {
    let mut storage = Storage::<Plant>::new();
    let mut mirror = Mirror::new(storage.cells(), |_| ());
    let mut expected = Plant::new_zeroed();

    let mut state = mirror.tracked();
    state.set(|s| &s.flag, 7);
    expected.flag = 7;
    state.set(|s| &s.small[1], 9);
    expected.small[1] = 9;
    state.set(|s| &s.gain, -2.5);
    state.update(|s| &s.gain, |gain: f32| gain * 2.0);
    expected.gain = -5.0;
    // Entries 13 and 14 lie on both sides of a block border.
    for at in [0_usize, 13, 14, 39] {
        assert!(state.try_update(|s| s.log.get(at), |entry: u32| entry + at as u32 + 1));
        expected.log[at] += at as u32 + 1;
    }
    assert!(!state.try_update(|s| s.log.get(40), |entry: u32| entry + 1));
    state.update(|s| &s.wide, |wide: u64| wide.wrapping_sub(1));
    expected.wide = u64::MAX;
    assert_eq!(state.edit(|s| &s.last, |last: &mut [i16; 4]| std::mem::replace(&mut last[3], -4)), Some(0));
    expected.last[3] = -4;
    assert_eq!((state.flag, state.gain, state.wide), (7, -5.0, u64::MAX), "a step reads what it wrote");

    assert_eq!(mirror.state().as_bytes(), expected.as_bytes());
    let pending = mirror.pending_digest();
    let mut fresh = Storage::<Plant>::new();
    assert_eq!(pending, Mirror::new(fresh.cells(), |s| *s = expected).committed_digest());
    assert_eq!(mirror.commit(pending), Ok(()));
    assert!(mirror.verify());

    let sum = mirror.tracked().modify(|s| {
        s.log[20] = 5;
        s.log.iter().sum::<u32>()
    });
    assert_eq!(sum, 1 + 14 + 15 + 40 + 5, "modify hands its result on");
    assert_ne!(mirror.pending_digest(), pending);
    mirror.rollback();
    assert_eq!((mirror.state().log[20], mirror.pending_digest()), (0, pending));
}

#[test]
fn a_commit_must_arrive_at_the_voted_digest() {
    let mut storage = Storage::<[u8; 200]>::new();
    let mut mirror = Mirror::new(storage.cells(), |_| ());
    let clean = mirror.committed_digest();
    assert_eq!(mirror.commit(clean ^ 1), Err(CommitDamaged), "even with nothing to commit");
    assert_eq!(mirror.commit(clean), Ok(()));

    // Something writes a block between the vote and the commit.
    mirror.tracked().set(|state| &state[70], 1);
    let voted = mirror.pending_digest();
    mirror.tracked().set(|state| &state[71], 1);
    assert_eq!(mirror.commit(voted), Err(CommitDamaged));
    assert_eq!(mirror.committed_digest(), clean, "nothing was committed");
    assert!(mirror.verify());
    mirror.rollback();
    mirror.tracked().set(|state| &state[70], 1);
    assert_eq!((mirror.pending_digest(), mirror.commit(voted)), (voted, Ok(())), "stepped again, it arrives");
}

/// A commit that fails takes its digests back. If the checkpoint was damaged meanwhile, in a block
/// that was to be committed, that still shows.
#[test]
fn a_commit_that_fails_hides_no_damage_of_the_checkpoint() {
    for (flip, block) in [(64 * 8 + 3, 1), (199 * 8, 3)] {
        let mut storage = Storage::<[u8; 200]>::new();
        let mut mirror = Mirror::new(storage.cells(), |_| ());
        mirror.tracked().set(|state| &state[70], 1);
        mirror.tracked().set(|state| &state[198], 1);
        let voted = mirror.pending_digest();
        mirror.flip_checkpoint_bit(flip);
        mirror.flip_working_bit(71 * 8);
        assert_eq!(mirror.commit(voted), Err(CommitDamaged));
        mirror.rollback();
        assert!(!mirror.verify(), "block {block}");
        assert!(mirror.scrub_all().beyond_repair.is_some(), "block {block}");
    }
}

/// A region digest that is damaged between the vote and the commit is mended, and costs nothing else.
#[test]
fn a_commit_that_fails_by_its_region_digest_can_be_done_again() {
    let mut storage = Storage::<[u8; 200]>::new();
    let mut mirror = Mirror::new(storage.cells(), |_| ());
    mirror.tracked().set(|state| &state[70], 1);
    let voted = mirror.pending_digest();
    mirror.flip_digest_bit(4 * 32 + 7);
    assert_eq!(mirror.commit(voted), Err(CommitDamaged));
    let found = mirror.scrub_all();
    assert_eq!((found.digests, found.beyond_repair), (1, None));
    mirror.rollback();
    mirror.tracked().set(|state| &state[70], 1);
    assert_eq!((mirror.pending_digest(), mirror.commit(voted)), (voted, Ok(())));
}

/// Memory is zeroed as it is taken over: nothing of its last use is left.
#[test]
fn memory_that_was_used_before_starts_anew() {
    let mut storage = Storage::<[u8; 200]>::new();
    let mut before = Mirror::new(storage.cells(), |state: &mut [u8; 200]| state.fill(0xAA));
    before.tracked().set(|state| &state[199], 1);

    let mut after = Mirror::new(storage.cells(), |state: &mut [u8; 200]| state[0] = 1);
    let mut expected = [0; 200];
    expected[0] = 1;
    let digest = digest_from_scratch::<200>(&expected);
    assert_eq!(after.state(), &expected);
    assert_eq!((after.committed_digest(), after.pending_digest()), (digest, digest));
    after.rollback();
    assert_eq!(after.state(), &expected);
    assert!(after.verify());
}

#[repr(align(4))]
struct Aligned<T>(T);

/// Blocks are copied and digested by words of four bytes.
#[test]
fn a_state_that_lies_elsewhere_than_at_a_multiple_of_four_bytes_is_refused() {
    for off in 0..8 {
        let mut room = Aligned([0; 208]);
        let (mut checkpoint, mut digests, mut marks) = ([Block::ZERO; 4], [0; 4], [0; 4]);
        let working: &mut [u8; 200] = room.0[off..].first_chunk_mut().unwrap();
        let cells = Cells::new(working, &mut checkpoint, &mut digests, &mut marks);
        assert_eq!(cells.is_some(), off % 4 == 0, "{off}");
    }
}

#[test]
fn all_kinds_of_memory_are_alike_and_must_fit() {
    const COUNT: usize = blocks::<[u8; 200]>();
    assert_eq!(COUNT, 4);
    let fill = |state: &mut [u8; 200]| state.iter_mut().zip(1..).for_each(|(byte, i)| *byte = i);

    let mut memory = Memory::<[u8; 200], COUNT>::new();
    let cells: Cells<'_, [u8; 200]> = Cells::try_from(&mut memory).unwrap();
    let in_memory = Mirror::new(cells, fill).committed_digest();

    let (mut working, mut checkpoint) = (Aligned([0xFF_u8; 200]), [Block::ZERO; COUNT]);
    let (mut digests, mut marks) = ([9; COUNT], [9; COUNT]);
    let cells = Cells::new(&mut working.0, &mut checkpoint, &mut digests, &mut marks).unwrap();
    let in_parts = Mirror::new(cells, fill).committed_digest();

    let mut storage = Storage::<[u8; 200]>::new();
    let in_storage = Mirror::new(storage.cells(), fill).committed_digest();
    assert_eq!((in_memory, in_parts), (in_storage, in_storage));

    let fits = |checkpoint: usize, digests: usize, marks: usize| {
        let (mut checkpoint, mut digests) = (vec![Block::ZERO; checkpoint], vec![0; digests]);
        let (mut working, mut marks) = (Aligned([0; 200]), vec![0; marks]);
        Cells::<[u8; 200]>::new(&mut working.0, &mut checkpoint, &mut digests, &mut marks).is_some()
    };
    assert!(fits(COUNT, COUNT, COUNT));
    for wrong in [0, COUNT - 1, COUNT + 1] {
        assert!(!fits(wrong, COUNT, COUNT) && !fits(COUNT, wrong, COUNT) && !fits(COUNT, COUNT, wrong));
    }
}

/// A bit of the checkpoint flips that is all that `modify` had changed: it looks like no write, the pending digest is that
/// of before, and so the vote differs from the peer's. Stepping again from the checked checkpoint is right.
#[test]
fn a_flip_that_hides_a_write_is_for_the_vote_to_find() {
    let mut storage = Storage::<[u8; 100]>::new();
    let mut mirror = Mirror::new(storage.cells(), |state: &mut [u8; 100]| state.fill(6));
    let step = |mirror: &mut Mirror<'_, [u8; 100]>| {
        mirror.tracked().modify(|state| state[70] ^= 1);
        mirror.pending_digest()
    };
    let of_peer = step(&mut mirror);
    mirror.rollback();
    mirror.tracked().modify(|state| state[70] ^= 1);
    mirror.flip_checkpoint_bit(70 * 8);
    let hidden = mirror.pending_digest();
    assert_ne!(hidden, of_peer);
    assert_eq!(hidden, mirror.committed_digest());
    // Both copies have the bit now; the digest knows better, and the peer has the block.
    assert_eq!(mirror.scrub_all().beyond_repair, Some(1));
    assert_eq!(mirror.mend_block(1, &[6; 36]), Ok(()));
    mirror.rollback();
    assert_eq!(step(&mut mirror), of_peer);
}
