//! What a cycle does with the state, at 5 % dirty, and the CRC that it is held against.
//!
//! The loops build on each other: `write`, then `digest` after it, then `commit` after both,
//! so that the difference of two is one call. A block that is dirty already costs a write as
//! much as a clean one.

use core::hint::black_box;
use crc::{CRC_32_ISCSI, Crc, Table};
use twinstep::digest::{BLOCK_BYTES, block_digest};
use twinstep::mirror::Mirror;
use zerocopy::IntoBytes;

/// The state: 16 KiB.
pub(crate) const WORDS: usize = 16 * crate::KIB;
pub(crate) const BLOCKS: usize = 16 * crate::KIB_BLOCKS;

/// 5 % of the blocks.
const DIRTY_BLOCKS: usize = BLOCKS.div_ceil(20);

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

type State<'m> = Mirror<'m, [u32; WORDS]>;

#[inline(never)]
pub(crate) fn nothing(state: &mut State<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *state).committed_digest());
    }
}

/// Writes a word in each of the blocks that get dirty, scattered over the state.
#[inline(never)]
fn write_some(state: &mut State<'_>, value: u32) {
    let mut state = state.tracked();
    for nth in 0..DIRTY_BLOCKS {
        state.try_update(|words| words.get(nth * WORDS / DIRTY_BLOCKS), |word| word ^ value);
    }
}

#[inline(never)]
pub(crate) fn write(state: &mut State<'_>, repetitions: u32) {
    for value in 0..repetitions {
        write_some(black_box(state), value);
    }
}

#[inline(never)]
pub(crate) fn digest(state: &mut State<'_>, repetitions: u32) {
    for value in 0..repetitions {
        write_some(black_box(state), value);
        black_box(black_box(&mut *state).pending_digest());
    }
}

#[inline(never)]
pub(crate) fn commit(state: &mut State<'_>, repetitions: u32) {
    for value in 0..repetitions {
        write_some(black_box(state), value);
        let voted = black_box(black_box(&mut *state).pending_digest());
        let _ = black_box(black_box(&mut *state).commit(voted));
    }
}

#[inline(never)]
pub(crate) fn scrub(state: &mut State<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *state).scrub(1));
    }
}

#[inline(never)]
pub(crate) fn scrub_all(state: &mut State<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *state).scrub_all());
    }
}

#[inline(never)]
pub(crate) fn rollback(state: &mut State<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(&mut *state).rollback();
    }
}

#[inline(never)]
pub(crate) fn crc(state: &mut State<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(CRC.checksum(black_box(&mut *state).state().as_bytes()));
    }
}

#[inline(never)]
pub(crate) fn nothing_of_block(state: &mut State<'_>, repetitions: u32) {
    let block = first_block(state);
    for index in 0..repetitions {
        black_box(black_box(block).len() as u32 ^ black_box(index));
    }
}

/// The length is hidden too: in the library it is that of the last block at times.
#[inline(never)]
pub(crate) fn digest_of_block(state: &mut State<'_>, repetitions: u32) {
    let block = first_block(state);
    for index in 0..repetitions {
        black_box(block_digest(black_box(index), black_box(block)));
    }
}

fn first_block<'s>(state: &'s State<'_>) -> &'s [u8] {
    state.state().as_bytes().get(..BLOCK_BYTES).unwrap_or_default()
}
