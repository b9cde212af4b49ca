//! TRACKED  the state as `step` sees it: free to read, written so that it shows.

use crate::digest::BLOCK_BYTES;
use crate::memory::State;
use core::ops::Deref;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The program's state during a step. Reads like a `&T`; every write marks its blocks.
///
/// The writing calls take a projection `&T -> &U` that names the field; it cannot write
/// behind the mirror's back. A projection that returns a reference from elsewhere names
/// no memory of the state: nothing is written, and it is counted as a fault.
pub struct Tracked<'t, T> {
    state: &'t mut T,
    marks: Marks<'t>,
}

impl<'t, T: State> Tracked<'t, T> {
    pub(crate) fn new(state: &'t mut T, marks: Marks<'t>) -> Self {
        Self { state, marks }
    }

    /// Writes `value` into the named field.
    pub fn set<U: IntoBytes + Immutable>(&mut self, field: impl FnOnce(&T) -> &U, value: U) {
        let start = offset_in(self.state, field(self.state));
        self.write(start, value.as_bytes());
    }

    /// Replaces the named field by a function of it.
    pub fn update<U: IntoBytes + Immutable + Copy>(
        &mut self,
        field: impl FnOnce(&T) -> &U,
        change: impl FnOnce(U) -> U,
    ) {
        let place = field(self.state);
        let (start, value) = (offset_in(self.state, place), change(*place));
        self.write(start, value.as_bytes());
    }

    /// Replaces the named field by a function of it, if there is such a field:
    /// `state.try_update(|s| s.log.get(i), |x| x + 1)` needs no panicking index.
    /// Returns whether it was written.
    pub fn try_update<U: IntoBytes + Immutable + Copy>(
        &mut self,
        field: impl FnOnce(&T) -> Option<&U>,
        change: impl FnOnce(U) -> U,
    ) -> bool {
        let Some(place) = field(self.state) else { return false };
        let (start, value) = (offset_in(self.state, place), change(*place));
        self.write(start, value.as_bytes())
    }

    /// Lets `change` write anywhere in the named part, all of which is marked.
    pub fn edit<U, R>(&mut self, part: impl FnOnce(&T) -> &U, change: impl FnOnce(&mut U) -> R) -> Option<R>
    where
        U: FromBytes + IntoBytes + KnownLayout,
    {
        let start = offset_in(self.state, part(self.state));
        let length = size_of::<U>();
        let Some(bytes) = span(self.state, start, length) else {
            self.marks.stray();
            return None;
        };
        let part = U::mut_from_bytes(bytes).ok()?;
        self.marks.mark_span(start, length);
        Some(change(part))
    }

    /// Lets `change` write anywhere. What it wrote is found by comparing all of the state
    /// with the checkpoint, about 2.2 instructions a byte of *all* state: the convenient
    /// form, for small states and for what is seldom done.
    pub fn modify<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        self.marks.mark_unknown();
        change(self.state)
    }

    fn write(&mut self, start: usize, value: &[u8]) -> bool {
        let Some(bytes) = span(self.state, start, value.len()) else {
            self.marks.stray();
            return false;
        };
        for (to, from) in bytes.iter_mut().zip(value) {
            *to = *from;
        }
        self.marks.mark_span(start, value.len());
        true
    }
}

impl<T> Deref for Tracked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.state
    }
}

/// Returns how far into `state` the reference points; a wild number if it points elsewhere.
fn offset_in<T, U>(state: &T, place: &U) -> usize {
    core::ptr::from_ref(place).addr().wrapping_sub(core::ptr::from_ref(state).addr())
}

fn span<T: State>(state: &mut T, start: usize, length: usize) -> Option<&mut [u8]> {
    state.as_mut_bytes().get_mut(start..start.checked_add(length)?)
}

/// What stays of the marks beside the map itself.
#[derive(Default)]
pub(crate) struct Summary {
    /// A bit covers `2^shift` bytes of the map, that is eight times as many blocks.
    groups: u32,
    shift: u32,
    unknown: bool,
    stray: u32,
}

impl Summary {
    /// Returns the summary for this many blocks.
    pub(crate) fn for_blocks(blocks: usize) -> Self {
        let shift = blocks.div_ceil(8 * 32).next_power_of_two().trailing_zeros();
        Self { shift, ..Self::default() }
    }
}

/// The blocks written since the last commit: a bit map, found again through one summary word.
pub(crate) struct Marks<'m> {
    /// A bit a block, in the first eighth of the memory set aside.
    pub(crate) map: &'m mut [u8],
    pub(crate) summary: &'m mut Summary,
}

impl Marks<'_> {
    pub(crate) fn mark(&mut self, block: usize) {
        if let Some(byte) = self.map.get_mut(block / 8) {
            *byte |= 1 << (block % 8);
            self.summary.groups |= 1_u32.wrapping_shl((block / 8) as u32 >> self.summary.shift);
        }
    }

    /// Notes that `length` bytes from `start` were written.
    fn mark_span(&mut self, start: usize, length: usize) {
        if length == 0 {
            return;
        }
        for block in start / BLOCK_BYTES..=(start + length - 1) / BLOCK_BYTES {
            self.mark(block);
        }
    }

    /// Notes that anything may have been written.
    fn mark_unknown(&mut self) {
        self.summary.unknown = true;
    }

    /// Returns whether anything may have been written, and forgets it.
    pub(crate) fn take_unknown(&mut self) -> bool {
        core::mem::take(&mut self.summary.unknown)
    }

    /// Notes a write that named memory outside of the state.
    fn stray(&mut self) {
        self.summary.stray = self.summary.stray.saturating_add(1);
    }

    /// Returns how many stray writes there were, and forgets them.
    pub(crate) fn take_stray(&mut self) -> u32 {
        core::mem::take(&mut self.summary.stray)
    }

    /// Calls `visit` with each marked block, in rising order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(usize)) {
        for group in groups(self.summary) {
            let bytes = self.map.iter().zip(0_usize..).skip(group).take(1 << self.summary.shift);
            for (byte, index) in bytes {
                let mut bits = *byte;
                while bits != 0 {
                    visit(index * 8 + bits.trailing_zeros() as usize);
                    bits &= bits - 1;
                }
            }
        }
    }

    /// Forgets all marks.
    pub(crate) fn clear(&mut self) {
        for group in groups(self.summary) {
            for byte in self.map.iter_mut().skip(group).take(1 << self.summary.shift) {
                *byte = 0;
            }
        }
        self.summary.groups = 0;
        self.summary.unknown = false;
    }
}

/// Yields where in the map each group with a mark begins.
fn groups(summary: &Summary) -> impl Iterator<Item = usize> + use<> {
    let (mut rest, shift) = (summary.groups, summary.shift);
    core::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let group = (rest.trailing_zeros() as usize) << shift;
        rest &= rest - 1;
        Some(group)
    })
}
