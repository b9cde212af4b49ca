//! The mirror against a plain byte array: whatever was written, committed or rolled back, bytes and digests agree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use twinstep::digest::{BLOCK_BYTES, block_digest};
use twinstep::memory::{Block, Cells};
use twinstep::mirror::{CommitDamaged, Mirror};
use twinstep::sim::Storage;
use twinstep::{Memory, Tracked, blocks};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Which of the writing calls.
#[derive(Clone, Copy, Debug)]
enum Call {
    Set,
    Update,
    TryUpdate,
    Edit,
}

/// Where to write, and what. Brought into the state's range as it is used.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    width: usize,
    fill: u8,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Write(Call, Place),
    /// Writes every `stride`th byte from `from` on.
    Modify {
        from: usize,
        stride: usize,
        fill: u8,
    },
    /// Names memory outside of the state.
    Stray(Call),
    /// Names a field that is not there.
    Missing,
    PendingDigest,
    Commit,
    /// Commits with this much of a difference in the voted digest.
    CommitWrong(u32),
    Rollback,
}

/// Within a word, a word, most of a block, a block, and spans over two to five blocks.
const WIDTHS: [usize; 10] = [1, 2, 3, 4, 8, 63, 64, 65, 130, 200];

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![Just(Call::Set), Just(Call::Update), Just(Call::TryUpdate), Just(Call::Edit)]
}

fn place() -> impl Strategy<Value = Place> {
    let anywhere = any::<usize>();
    let before_a_border = (1..2048_usize, 1..=8_usize).prop_map(|(block, before)| block * BLOCK_BYTES - before);
    let at = prop_oneof![anywhere, before_a_border];
    (at, 0..WIDTHS.len(), any::<u8>()).prop_map(|(at, width, fill)| Place { at, width: WIDTHS[width], fill })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (call(), place()).prop_map(|(call, place)| Op::Write(call, place)),
        2 => (any::<usize>(), 1..5000_usize, any::<u8>())
            .prop_map(|(from, stride, fill)| Op::Modify { from, stride, fill }),
        1 => call().prop_map(Op::Stray),
        1 => Just(Op::Missing),
        2 => Just(Op::PendingDigest),
        4 => Just(Op::Commit),
        1 => (1..=u32::MAX).prop_map(Op::CommitWrong),
        2 => Just(Op::Rollback),
    ]
}

/// What the mirror must be equal to.
struct Model {
    working: Vec<u8>,
    committed: Vec<u8>,
    committed_digest: u32,
    stray: u32,
}

/// Returns the region digest of these bytes in two ways that know of no history.
fn digest_from_scratch<const N: usize>(bytes: &[u8]) -> u32 {
    let mut storage = Storage::<[u8; N]>::new();
    let mirror = Mirror::new(storage.cells(), |state: &mut [u8; N]| state.copy_from_slice(bytes));
    let numbered = (0_u32..).zip(bytes.chunks(BLOCK_BYTES));
    let sum = numbered.fold(0_u32, |sum, (index, block)| sum.wrapping_add(block_digest(index, block)));
    assert_eq!(mirror.committed_digest(), sum, "the region digest is the sum of the block digests");
    sum
}

/// Names `W` bytes of the state.
fn chunk<const N: usize, const W: usize>(state: &[u8; N], at: usize) -> &[u8; W] {
    state[at..].first_chunk().unwrap()
}

fn write<const N: usize>(
    call: Call,
    place: Place,
    tracked: &mut Tracked<'_, [u8; N]>,
    model: &mut [u8],
) -> TestCaseResult {
    match place.width {
        2 if N >= 2 => write_wide::<N, 2>(call, place, tracked, model),
        3 if N >= 3 => write_wide::<N, 3>(call, place, tracked, model),
        4 if N >= 4 => write_wide::<N, 4>(call, place, tracked, model),
        8 if N >= 8 => write_wide::<N, 8>(call, place, tracked, model),
        63 if N >= 63 => write_wide::<N, 63>(call, place, tracked, model),
        64 if N >= 64 => write_wide::<N, 64>(call, place, tracked, model),
        65 if N >= 65 => write_wide::<N, 65>(call, place, tracked, model),
        130 if N >= 130 => write_wide::<N, 130>(call, place, tracked, model),
        200 if N >= 200 => write_wide::<N, 200>(call, place, tracked, model),
        _ => write_wide::<N, 1>(call, place, tracked, model),
    }
}

fn write_wide<const N: usize, const W: usize>(
    call: Call,
    place: Place,
    tracked: &mut Tracked<'_, [u8; N]>,
    model: &mut [u8],
) -> TestCaseResult {
    let Place { at, fill, .. } = place;
    let at = at % (N + 1).saturating_sub(W).max(1);
    let expected = &mut model[at..at + W];
    match call {
        Call::Set => {
            let value: [u8; W] = std::array::from_fn(|i| fill.wrapping_add(i as u8));
            tracked.set(|state| chunk::<N, W>(state, at), value);
            expected.copy_from_slice(&value);
        }
        Call::Update => {
            let change = |byte: u8| byte.rotate_left(1) ^ fill;
            tracked.update(|state| chunk::<N, W>(state, at), |old: [u8; W]| old.map(change));
            expected.iter_mut().for_each(|byte| *byte = change(*byte));
        }
        Call::TryUpdate => {
            let change = |byte: u8| byte.wrapping_mul(3).wrapping_add(fill);
            let done = tracked.try_update(|state| state[at..].first_chunk::<W>(), |old: [u8; W]| old.map(change));
            prop_assert!(done);
            expected.iter_mut().for_each(|byte| *byte = change(*byte));
        }
        Call::Edit => {
            let first = tracked.edit(
                |state| chunk::<N, W>(state, at),
                |part: &mut [u8; W]| {
                    part.reverse();
                    part[0] ^= fill;
                    part[0]
                },
            );
            expected.reverse();
            expected[0] ^= fill;
            prop_assert_eq!(first, Some(expected[0]));
        }
    }
    prop_assert!(tracked[at..at + W] == *expected, "a step reads what it wrote");
    Ok(())
}

/// Memory that belongs to no state. In read-only memory, where a write would not go unnoticed.
static ELSEWHERE: u32 = 0xE15E_0000;

fn stray<const N: usize>(call: Call, tracked: &mut Tracked<'_, [u8; N]>) -> TestCaseResult {
    match call {
        Call::Set => tracked.set(|_| &ELSEWHERE, 1_u32),
        Call::Update => tracked.update(|_| &ELSEWHERE, |old: u32| old.wrapping_add(1)),
        Call::TryUpdate => {
            tracked.try_update(|_| Some(&ELSEWHERE), |old: u32| old.wrapping_add(1));
        }
        Call::Edit => {
            let done = tracked.edit(|_| &ELSEWHERE, |part: &mut u32| *part = 1);
            prop_assert_eq!(done, None);
        }
    }
    prop_assert_eq!(ELSEWHERE, 0xE15E_0000);
    Ok(())
}

/// Does the same to the mirror and to the model, and compares them after every step.
fn follow<const N: usize>(ops: &[Op]) -> TestCaseResult {
    let initial: Vec<u8> = (0..N).map(|i| (i * 7 + i / 64) as u8).collect();
    let mut storage = Storage::<[u8; N]>::new();
    let mut mirror = Mirror::new(storage.cells(), |state: &mut [u8; N]| state.copy_from_slice(&initial));
    let committed_digest = digest_from_scratch::<N>(&initial);
    let mut model = Model { working: initial.clone(), committed: initial, committed_digest, stray: 0 };

    for op in ops {
        match *op {
            Op::Write(call, place) => write(call, place, &mut mirror.tracked(), &mut model.working)?,
            Op::Modify { from, stride, fill } => {
                let from = from % N;
                mirror.tracked().modify(|state| {
                    state.iter_mut().skip(from).step_by(stride).for_each(|byte| *byte = byte.wrapping_add(fill));
                });
                let written = model.working.iter_mut().skip(from).step_by(stride);
                written.for_each(|byte| *byte = byte.wrapping_add(fill));
            }
            Op::Stray(call) => {
                stray(call, &mut mirror.tracked())?;
                model.stray += 1;
            }
            Op::Missing => {
                let done = mirror.tracked().try_update(|state| state.get(N), |byte: u8| byte.wrapping_add(1));
                prop_assert!(!done);
            }
            Op::PendingDigest => {
                prop_assert_eq!(mirror.pending_digest(), digest_from_scratch::<N>(&model.working));
            }
            Op::Commit => {
                let pending = mirror.pending_digest();
                prop_assert_eq!(pending, digest_from_scratch::<N>(&model.working));
                prop_assert_eq!(mirror.commit(pending), Ok(()));
                model.committed.clone_from(&model.working);
                model.committed_digest = pending;
            }
            Op::CommitWrong(difference) => {
                let pending = mirror.pending_digest();
                prop_assert_eq!(mirror.commit(pending ^ difference), Err(CommitDamaged));
                // What was written is in the checkpoint now, and its digests say so.
                model.committed.clone_from(&model.working);
                model.committed_digest = pending;
            }
            Op::Rollback => {
                mirror.rollback();
                model.working.clone_from(&model.committed);
            }
        }
        prop_assert!(mirror.state()[..] == model.working[..], "the working copy differs from the model");
        prop_assert_eq!(mirror.committed_digest(), model.committed_digest);
        prop_assert!(mirror.verify(), "the checkpoint does not hold its digests");
        prop_assert_eq!(mirror.take_stray_writes(), std::mem::take(&mut model.stray));
    }

    prop_assert_eq!(mirror.pending_digest(), digest_from_scratch::<N>(&model.working));
    mirror.rollback();
    prop_assert!(mirror.state()[..] == model.committed[..], "the rollback does not return what was committed");
    prop_assert_eq!(mirror.pending_digest(), digest_from_scratch::<N>(&model.committed));
    Ok(())
}

fn run<const N: usize>(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let ops = prop::collection::vec(op(), 1..40);
    if let Err(error) = TestRunner::new(config).run(&ops, |ops| follow::<N>(&ops)) {
        panic!("{error}");
    }
}

#[test]
fn state_of_1_byte() {
    run::<1>(200);
}

#[test]
fn state_of_63_bytes() {
    run::<63>(200);
}

#[test]
fn state_of_64_bytes() {
    run::<64>(200);
}

#[test]
fn state_of_65_bytes() {
    run::<65>(200);
}

#[test]
fn state_of_200_bytes() {
    run::<200>(200);
}

#[test]
fn state_of_2_kib_and_a_bit() {
    run::<2083>(100);
}

/// One block more than the summary word covers with one byte of the map for each bit.
#[test]
fn state_of_257_blocks() {
    run::<{ 257 * BLOCK_BYTES }>(24);
}

#[test]
fn state_above_64_kib() {
    run::<70_001>(10);
}

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
fn stray_references_are_counted_and_write_nothing() {
    let mut storage = Storage::<[u8; 200]>::new();
    let mut mirror = Mirror::new(storage.cells(), |state: &mut [u8; 200]| state.fill(3));
    let clean = mirror.committed_digest();
    for (call, count) in [(Call::Set, 1), (Call::Update, 2), (Call::TryUpdate, 3), (Call::Edit, 4)] {
        for _ in 0..count {
            stray(call, &mut mirror.tracked()).unwrap();
        }
        assert_eq!(mirror.take_stray_writes(), count, "{call:?}");
        assert_eq!(mirror.take_stray_writes(), 0, "{call:?}: taken once");
        assert_eq!(mirror.pending_digest(), clean, "{call:?}");
        assert_eq!(mirror.state(), &[3; 200], "{call:?}");
    }
    assert_eq!(mirror.commit(clean), Ok(()));
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
    assert_ne!(mirror.committed_digest(), voted, "the digest tells of the damage");
    assert!(mirror.verify(), "and holds for what the checkpoint has now");
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

#[test]
fn all_kinds_of_memory_are_alike_and_must_fit() {
    const COUNT: usize = blocks::<[u8; 200]>();
    assert_eq!(COUNT, 4);
    let fill = |state: &mut [u8; 200]| state.iter_mut().zip(1..).for_each(|(byte, i)| *byte = i);

    let mut memory = Memory::<[u8; 200], COUNT>::new();
    let cells: Cells<'_, [u8; 200]> = Cells::try_from(&mut memory).unwrap();
    let in_memory = Mirror::new(cells, fill).committed_digest();

    let (mut working, mut checkpoint) = ([0xFF_u8; 200], [Block::ZERO; COUNT]);
    let (mut digests, mut marks) = ([9; COUNT], [9; COUNT]);
    let cells = Cells::new(&mut working, &mut checkpoint, &mut digests, &mut marks).unwrap();
    let in_parts = Mirror::new(cells, fill).committed_digest();

    let mut storage = Storage::<[u8; 200]>::new();
    let in_storage = Mirror::new(storage.cells(), fill).committed_digest();
    assert_eq!((in_memory, in_parts), (in_storage, in_storage));

    let fits = |checkpoint: usize, digests: usize, marks: usize| {
        let (mut checkpoint, mut digests) = (vec![Block::ZERO; checkpoint], vec![0; digests]);
        let (mut working, mut marks) = ([0; 200], vec![0; marks]);
        Cells::<[u8; 200]>::new(&mut working, &mut checkpoint, &mut digests, &mut marks).is_some()
    };
    assert!(fits(COUNT, COUNT, COUNT));
    for wrong in [0, COUNT - 1, COUNT + 1] {
        assert!(!fits(wrong, COUNT, COUNT) && !fits(COUNT, wrong, COUNT) && !fits(COUNT, COUNT, wrong));
    }
}
