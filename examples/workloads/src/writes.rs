//! A tracked write of one word, as `step` makes it.
//!
//! Each loop hides the state and the index from the optimiser, so that every write loads what
//! it needs anew and none is merged with the one before; the call itself is inlined, as it is
//! in a user's `step`.

use core::hint::black_box;
use twinstep::Tracked;

/// Odd, so that all words get their turn, far from each other.
const STRIDE: u32 = 37;

/// Writes at a place that the optimiser knows nothing of, as a `step` does somewhere: without
/// it the check that the place lies within the state would be optimised away in the others.
#[inline(never)]
pub(crate) fn elsewhere<const WORDS: usize>(state: &mut Tracked<'_, [u32; WORDS]>) {
    state.try_update(|words| black_box(words.first()), |word| word.wrapping_add(1));
    state.try_update(|words| black_box(words.last()), |word| word.wrapping_add(1));
}

/// Nothing: what the other loops take beside the write.
#[inline(never)]
pub(crate) fn nothing<const WORDS: usize>(state: &mut Tracked<'_, [u32; WORDS]>, repetitions: u32) {
    for value in 0..repetitions {
        black_box(&mut *state);
        black_box(index::<WORDS>(value));
    }
}

#[inline(never)]
pub(crate) fn set<const WORDS: usize>(state: &mut Tracked<'_, [u32; WORDS]>, repetitions: u32) {
    for value in 0..repetitions {
        let state = black_box(&mut *state);
        let index = black_box(index::<WORDS>(value));
        #[allow(clippy::indexing_slicing)] // no state is empty: the check is optimised away
        state.set(|words| words.get(index).unwrap_or(&words[0]), value);
    }
}

#[inline(never)]
pub(crate) fn try_update<const WORDS: usize>(state: &mut Tracked<'_, [u32; WORDS]>, repetitions: u32) {
    for value in 0..repetitions {
        let state = black_box(&mut *state);
        let index = black_box(index::<WORDS>(value));
        state.try_update(|words| words.get(index), |word| word.wrapping_add(value));
    }
}

fn index<const WORDS: usize>(value: u32) -> usize {
    value.wrapping_mul(STRIDE) as usize % WORDS
}
