//! TRACKED  the state as `step` sees it: free to read, written so that it shows.

use crate::marks::Marks;
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
        self.write(start, value);
    }

    /// Replaces the named field by a function of it.
    pub fn update<U: IntoBytes + Immutable + Copy>(
        &mut self,
        field: impl FnOnce(&T) -> &U,
        change: impl FnOnce(U) -> U,
    ) {
        let place = field(self.state);
        let (start, value) = (offset_in(self.state, place), change(*place));
        self.write(start, value);
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
        self.write(start, value)
    }

    /// Lets `change` write anywhere in the named part, all of which is marked. `None`, and nothing
    /// done, if the part lies outside of the state.
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
        self.marks.dirty_span(start, length);
        Some(change(part))
    }

    /// Lets `change` write anywhere. What it wrote is found by comparing all of the state
    /// with the checkpoint, about 2.2 instructions a byte of *all* state: the convenient
    /// form, for small states and for what is seldom done.
    pub fn modify<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        self.marks.dirty_unknown();
        change(self.state)
    }

    /// Generic over the field: its size is known here, and a scalar is stored in one piece.
    fn write<U: IntoBytes + Immutable>(&mut self, start: usize, value: U) -> bool {
        let Some(bytes) = span(self.state, start, size_of::<U>()) else {
            self.marks.stray();
            return false;
        };
        if value.write_to(bytes).is_err() {
            return false; // never: the span has the size of the field
        }
        self.marks.dirty_span(start, size_of::<U>());
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
