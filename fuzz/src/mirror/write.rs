//! Writes through `Tracked`: each call, with fields of any place and width.

use super::model::Model;
use super::{BYTES, State};
use crate::seeded;
use twinstep::Tracked;
use twinstep::digest::BLOCK_BYTES;

seeded! {
    /// Which of the writing calls.
    pub enum Call {
        /// `set`.
        Set,
        /// `update`.
        Update,
        /// `try_update`.
        TryUpdate,
        /// `edit`.
        Edit,
    }
}

seeded! {
    /// The size of a field.
    pub enum Width {
        /// One byte.
        Byte,
        /// Four.
        Word,
        /// One byte less than a block.
        UnderBlock,
        /// A block.
        Block,
        /// Two blocks and two bytes.
        Span,
        /// All of the state.
        Whole,
    }
}

/// Writes to a field at, or before, the place named, and compares what a step would then read.
pub(super) fn write(call: Call, width: Width, at: u8, fill: u8, tracked: &mut Tracked<'_, State>, model: &mut Model) {
    match width {
        Width::Byte => write_wide::<1>(call, at, fill, tracked, model),
        Width::Word => write_wide::<4>(call, at, fill, tracked, model),
        Width::UnderBlock => write_wide::<63>(call, at, fill, tracked, model),
        Width::Block => write_wide::<64>(call, at, fill, tracked, model),
        Width::Span => write_wide::<130>(call, at, fill, tracked, model),
        Width::Whole => write_wide::<BYTES>(call, at, fill, tracked, model),
    }
}

fn write_wide<const W: usize>(call: Call, at: u8, fill: u8, tracked: &mut Tracked<'_, State>, model: &mut Model) {
    let at = usize::from(at) % (BYTES + 1 - W);
    model.dirty.extend(at / BLOCK_BYTES..=(at + W - 1) / BLOCK_BYTES);
    let expected = &mut model.working[at..at + W];
    match call {
        Call::Set => {
            let value: [u8; W] = std::array::from_fn(|byte| fill.wrapping_add(byte as u8));
            tracked.set(|state| field::<W>(state, at), value);
            expected.copy_from_slice(&value);
        }
        Call::Update => {
            let change = |byte: u8| byte.rotate_left(1) ^ fill;
            tracked.update(|state| field::<W>(state, at), |old: [u8; W]| old.map(change));
            expected.iter_mut().for_each(|byte| *byte = change(*byte));
        }
        Call::TryUpdate => {
            let change = |byte: u8| byte.wrapping_mul(3).wrapping_add(fill);
            let is_done = tracked.try_update(|state| state[at..].first_chunk::<W>(), |old: [u8; W]| old.map(change));
            assert!(is_done);
            expected.iter_mut().for_each(|byte| *byte = change(*byte));
        }
        Call::Edit => {
            let edited = tracked.edit(
                |state| field::<W>(state, at),
                |part: &mut [u8; W]| {
                    part.reverse();
                    part[0] ^= fill;
                    part[0]
                },
            );
            expected.reverse();
            expected[0] ^= fill;
            assert_eq!(edited, Some(expected[0]));
        }
    }
    assert_eq!(tracked[at..at + W], *expected, "a step reads what it wrote");
}

fn field<const W: usize>(state: &State, at: usize) -> &[u8; W] {
    state[at..].first_chunk().expect("within the state")
}

/// Memory that belongs to no state; it cannot be written without a fault.
static ELSEWHERE: u32 = 0xE15E_0000;

/// Names memory outside of the state.
pub(super) fn stray(call: Call, tracked: &mut Tracked<'_, State>) {
    match call {
        Call::Set => tracked.set(|_| &ELSEWHERE, 1_u32),
        Call::Update => tracked.update(|_| &ELSEWHERE, |old: u32| old.wrapping_add(1)),
        Call::TryUpdate => assert!(!tracked.try_update(|_| Some(&ELSEWHERE), |old: u32| old.wrapping_add(1))),
        Call::Edit => assert_eq!(tracked.edit(|_| &ELSEWHERE, |part: &mut u32| *part = 1), None),
    }
}
