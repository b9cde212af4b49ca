//! The mirror against a plain byte array: whatever was written, committed or rolled back, bytes and digests agree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bytes.rs"]
mod bytes;

use bytes::{assert_checkpoint, digest_from_scratch};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use std::collections::BTreeSet;
use twinstep::Tracked;
use twinstep::digest::BLOCK_BYTES;
use twinstep::mirror::{CommitDamaged, Mirror, Scrubbed};
use twinstep::sim::Storage;

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
    /// Starts over with this in all bytes.
    Reset(u8),
    /// Gives the memory back and takes it over again.
    Restart(u8),
    /// Scrubs so many blocks where nothing is damaged.
    Scrub(u32),
    /// Flips a bit of the working copy, the checkpoint or the digests, and scrubs.
    Flip(u8, usize),
    /// Puts a block full of this.
    Put(usize, u8),
    /// Mends a block that needs none.
    Mend(usize),
    /// Adopts what is there, by the right digest or by one with this difference.
    Adopt(u32),
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
        1 => any::<u8>().prop_map(Op::Reset),
        1 => any::<u8>().prop_map(Op::Restart),
        2 => (0..40_u32).prop_map(Op::Scrub),
        4 => (0..3_u8, any::<usize>()).prop_map(|(kind, bit)| Op::Flip(kind, bit)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(block, fill)| Op::Put(block, fill)),
        1 => any::<usize>().prop_map(Op::Mend),
        1 => prop_oneof![Just(0), any::<u32>()].prop_map(Op::Adopt),
    ]
}

/// What the mirror must be equal to.
struct Model {
    working: Vec<u8>,
    committed: Vec<u8>,
    committed_digest: u32,
    /// Blocks written since the last commit.
    dirty: BTreeSet<usize>,
    /// Anything may have been written.
    unknown: bool,
    /// Blocks of the last commit.
    written: usize,
    stray: u32,
}

impl Model {
    fn new<const N: usize>(bytes: Vec<u8>) -> Self {
        let committed_digest = digest_from_scratch::<N>(&bytes);
        let (dirty, unknown, written, stray) = (BTreeSet::new(), false, 0, 0);
        Self { working: bytes.clone(), committed: bytes, committed_digest, dirty, unknown, written, stray }
    }

    /// The bytes of a block.
    fn span(&self, block: usize) -> std::ops::Range<usize> {
        block * BLOCK_BYTES..((block + 1) * BLOCK_BYTES).min(self.committed.len())
    }

    fn blocks(&self) -> usize {
        self.committed.len().div_ceil(BLOCK_BYTES)
    }

    /// Of what may have been written anywhere, that counts which differs.
    fn find_unknown(&mut self) {
        if std::mem::take(&mut self.unknown) {
            let differs = |block: &usize| self.working[self.span(*block)] != self.committed[self.span(*block)];
            let found: Vec<usize> = (0..self.blocks()).filter(differs).collect();
            self.dirty.extend(found);
        }
    }

    fn commit(&mut self, digest: u32) {
        self.find_unknown();
        self.committed.clone_from(&self.working);
        self.committed_digest = digest;
        self.written = std::mem::take(&mut self.dirty).len();
    }

    fn rollback(&mut self) {
        self.working.clone_from(&self.committed);
        self.dirty.clear();
        self.unknown = false;
    }

    /// Flips a bit and scrubs: that mends it, or the committed bytes do.
    fn follow_flip<const N: usize>(&self, kind: u8, bit: usize, mirror: &mut Mirror<'_, [u8; N]>) -> TestCaseResult {
        let nothing = Scrubbed::default();
        let bit = if kind == 2 { bit % (32 * (self.blocks() + 1)) } else { bit % (8 * N) };
        let block = bit / 8 / BLOCK_BYTES;
        let is_dirty = self.unknown || self.dirty.contains(&block);
        let expected = match kind {
            0 if is_dirty => return Ok(()), // the vote has to find that
            0 => {
                mirror.flip_working_bit(bit);
                Scrubbed { working: 1, ..nothing }
            }
            1 => {
                mirror.flip_checkpoint_bit(bit);
                let beyond_repair = is_dirty.then_some(block as u32);
                Scrubbed { checkpoint: u32::from(!is_dirty), beyond_repair, ..nothing }
            }
            _ => {
                mirror.flip_digest_bit(bit);
                Scrubbed { digests: 1, ..nothing }
            }
        };
        prop_assert_eq!(mirror.scrub_all(), expected);
        if let Some(block) = expected.beyond_repair {
            prop_assert_eq!(mirror.mend_block(block, &self.committed[self.span(block as usize)]), Ok(()));
        }
        Ok(())
    }
}

/// Names `W` bytes of the state.
fn chunk<const N: usize, const W: usize>(state: &[u8; N], at: usize) -> &[u8; W] {
    state[at..].first_chunk().unwrap()
}

fn write<const N: usize>(
    call: Call,
    place: Place,
    tracked: &mut Tracked<'_, [u8; N]>,
    model: &mut Model,
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
    model: &mut Model,
) -> TestCaseResult {
    let Place { at, fill, .. } = place;
    let at = at % (N + 1).saturating_sub(W).max(1);
    model.dirty.extend(at / BLOCK_BYTES..=(at + W - 1) / BLOCK_BYTES);
    let expected = &mut model.working[at..at + W];
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
    let mut model = Model::new::<N>(initial);

    for op in ops {
        match *op {
            Op::Write(call, place) => write(call, place, &mut mirror.tracked(), &mut model)?,
            Op::Modify { from, stride, fill } => {
                let from = from % N;
                mirror.tracked().modify(|state| {
                    state.iter_mut().skip(from).step_by(stride).for_each(|byte| *byte = byte.wrapping_add(fill));
                });
                let written = model.working.iter_mut().skip(from).step_by(stride);
                written.for_each(|byte| *byte = byte.wrapping_add(fill));
                model.unknown = true;
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
                model.find_unknown();
            }
            Op::Commit => {
                let pending = mirror.pending_digest();
                prop_assert_eq!(pending, digest_from_scratch::<N>(&model.working));
                prop_assert_eq!(mirror.commit(pending), Ok(()));
                model.commit(pending);
            }
            Op::CommitWrong(difference) => {
                let pending = mirror.pending_digest();
                prop_assert_eq!(mirror.commit(pending ^ difference), Err(CommitDamaged));
                model.find_unknown(); // and nothing else has happened
            }
            Op::Rollback => {
                mirror.rollback();
                model.rollback();
            }
            Op::Reset(fill) => {
                mirror.reset(|state| state[N / 2..].fill(fill));
                model = Model::new::<N>((0..N).map(|i| if i < N / 2 { 0 } else { fill }).collect());
            }
            Op::Restart(fill) => {
                mirror = Mirror::new(mirror.into_cells(), |state| state[..N / 2].fill(fill));
                model = Model::new::<N>((0..N).map(|i| if i < N / 2 { fill } else { 0 }).collect());
            }
            Op::Scrub(budget) => prop_assert_eq!(mirror.scrub(budget), Scrubbed::default()),
            Op::Flip(kind, bit) => model.follow_flip(kind, bit, &mut mirror)?,
            Op::Put(block, fill) => {
                let block = block % model.blocks();
                let span = model.span(block);
                prop_assert_eq!(mirror.put_block(block as u32, &vec![fill; span.len()]), Ok(()));
                model.committed[span.clone()].fill(fill);
                model.working[span].fill(fill);
                model.committed_digest = digest_from_scratch::<N>(&model.committed);
            }
            Op::Mend(block) => {
                let block = block % model.blocks();
                prop_assert_eq!(mirror.mend_block(block as u32, &model.committed[model.span(block)]), Ok(()));
            }
            Op::Adopt(difference) => {
                prop_assert_eq!(mirror.adopt(model.committed_digest ^ difference), difference == 0);
                model.rollback();
            }
        }
        prop_assert!(mirror.state()[..] == model.working[..], "the working copy differs from the model");
        assert_checkpoint(&mirror, &model.committed);
        prop_assert_eq!(mirror.committed_digest(), model.committed_digest);
        prop_assert_eq!((mirror.blocks(), mirror.written_blocks()), (model.blocks() as u32, model.written as u32));
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
