//! Fingerprint and copy of the mirrored memory, for a model that explores many futures of one
//! channel.

use super::Mirror;
use crate::memory::{Cells, State};
use core::hash::{Hash, Hasher};

impl<T: State> Mirror<'_, T> {
    /// Copies all memory, and what is known of it, onto memory of the same size.
    pub(crate) fn copied_onto<'n>(&self, cells: Cells<'n, T>) -> Mirror<'n, T> {
        // All fields by name, so that a new one cannot be forgotten.
        let Self { working, checkpoint, digests, marks, books } = self;
        cells.working.as_mut_bytes().copy_from_slice(working.as_bytes());
        cells.checkpoint.copy_from_slice(checkpoint);
        cells.digests.copy_from_slice(digests);
        cells.marks.copy_from_slice(marks);
        Mirror {
            working: cells.working,
            checkpoint: cells.checkpoint,
            digests: cells.digests,
            marks: cells.marks,
            books: books.clone(),
        }
    }

    /// Feeds all that bears on what the memory does from here on.
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Self { working, checkpoint, digests, marks, books } = self;
        working.as_bytes().hash(hasher);
        for block in checkpoint.iter() {
            block.0.hash(hasher);
        }
        (digests, marks, books).hash(hasher);
    }
}
