//! MEMORY  where the user's state and its shadow live.
//!
//! ```text
//! working     [Block; n]   what `step` writes; the only copy it can reach
//! checkpoint  [Block; n]   the last state both channels agreed on
//! digests     [u32; n]     digest of each checkpoint block
//! marks       [u8; n]      written since the last commit; to be sent to a joiner
//! ```

use crate::digest::{BLOCK_BYTES, BlockWords};
use core::marker::PhantomData;
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, transmute_mut, transmute_ref};

/// What a program's state must be: plain bytes without padding, any pattern valid.
///
/// Derive zerocopy's `FromBytes, IntoBytes, KnownLayout, Immutable`; padding is then a
/// compile error, and a flipped bit is a wrong value but never undefined behaviour.
pub trait State: FromBytes + IntoBytes + KnownLayout + Immutable {}
impl<T: FromBytes + IntoBytes + KnownLayout + Immutable> State for T {}

/// One unit of mirrored memory, 64 bytes.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(64))]
pub struct Block(pub(crate) [u8; BLOCK_BYTES]);

impl Block {
    /// A block of zeros.
    pub const ZERO: Self = Self([0; BLOCK_BYTES]);

    pub(crate) fn words(&self) -> &BlockWords {
        transmute_ref!(self)
    }

    pub(crate) fn words_mut(&mut self) -> &mut BlockWords {
        transmute_mut!(self)
    }
}

/// Returns how many blocks a state of type `T` takes.
pub const fn blocks<T>() -> usize {
    size_of::<T>().div_ceil(BLOCK_BYTES)
}

/// Holds a program's state and its shadow: `Memory<Plant, { blocks::<Plant>() }>`.
///
/// All zero at first, so that a static of it takes no flash. It takes twice the state, rounded up
/// to blocks of 64 bytes, and 5 bytes a block: 42,560 bytes for a state of 20 KiB. Not for the
/// stack: hand out a static of it once, as `#[entry]` of cortex-m-rt does, or `static_cell`.
#[repr(C)]
pub struct Memory<T, const BLOCKS: usize> {
    working: [Block; BLOCKS],
    checkpoint: [Block; BLOCKS],
    digests: [u32; BLOCKS],
    marks: [u8; BLOCKS],
    state: PhantomData<fn() -> T>,
}

impl<T: State, const BLOCKS: usize> Memory<T, BLOCKS> {
    /// Where the working copy lies in a `Memory`, in bytes: for faults injected from outside.
    pub const WORKING: Range<usize> = 0..BLOCKS * BLOCK_BYTES;
    /// Where the checkpoint lies.
    pub const CHECKPOINT: Range<usize> = Self::WORKING.end..2 * Self::WORKING.end;
    /// Where the digests lie.
    pub const DIGESTS: Range<usize> = Self::CHECKPOINT.end..Self::CHECKPOINT.end + BLOCKS * size_of::<u32>();

    /// Returns memory of zeros. `BLOCKS` other than [`blocks::<T>()`](blocks) does not compile.
    pub const fn new() -> Self {
        const {
            assert!(BLOCKS == blocks::<T>(), "Memory<T, N> needs N = blocks::<T>()");
            assert!(align_of::<T>() <= BLOCK_BYTES, "a state is aligned to 64 bytes at most");
            assert!(core::mem::offset_of!(Self, checkpoint) == Self::CHECKPOINT.start);
            assert!(core::mem::offset_of!(Self, digests) == Self::DIGESTS.start);
        }
        Self {
            working: [Block::ZERO; BLOCKS],
            checkpoint: [Block::ZERO; BLOCKS],
            digests: [0; BLOCKS],
            marks: [0; BLOCKS],
            state: PhantomData,
        }
    }
}

impl<T: State, const BLOCKS: usize> Default for Memory<T, BLOCKS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Borrowed memory with its length erased to slices.
///
/// Made from a [`Memory`], or from parts, for instance to put the two copies into
/// different RAM banks.
pub struct Cells<'m, T> {
    pub(crate) working: &'m mut T,
    pub(crate) checkpoint: &'m mut [Block],
    pub(crate) digests: &'m mut [u32],
    pub(crate) marks: &'m mut [u8],
}

impl<'m, T: State> Cells<'m, T> {
    /// Puts memory together from parts; `None` unless each slice has
    /// [`blocks::<T>()`](blocks) entries, and the state lies at a multiple of four bytes. A [`Memory`]
    /// sees to all of it.
    pub fn new(
        working: &'m mut T,
        checkpoint: &'m mut [Block],
        digests: &'m mut [u32],
        marks: &'m mut [u8],
    ) -> Option<Self> {
        let need = blocks::<T>();
        let fits = checkpoint.len() == need && digests.len() == need && marks.len() == need;
        let is_aligned = need == 0 || core::ptr::from_mut(working).addr().is_multiple_of(size_of::<u32>());
        (fits && is_aligned).then_some(Self { working, checkpoint, digests, marks })
    }
}

#[cfg(feature = "sim")]
impl<T: State> Cells<'_, T> {
    /// Fills the memory with noise, as it is after a loss of power.
    pub(crate) fn scramble(&mut self, mut noise: impl FnMut() -> u8) {
        let digests = self.digests.as_mut_bytes();
        let copies = self.working.as_mut_bytes().iter_mut().chain(self.checkpoint.as_mut_bytes());
        for byte in copies.chain(digests).chain(self.marks.iter_mut()) {
            *byte = noise();
        }
    }
}

impl<'m, T: State, const BLOCKS: usize> TryFrom<&'m mut Memory<T, BLOCKS>> for Cells<'m, T> {
    type Error = MemoryMismatch;

    /// Borrows the memory. Fails never for a `Memory` that `new` made.
    fn try_from(memory: &'m mut Memory<T, BLOCKS>) -> Result<Self, MemoryMismatch> {
        let Ok((working, _)) = T::mut_from_prefix(memory.working.as_mut_bytes()) else {
            return Err(MemoryMismatch { need_blocks: blocks::<T>(), have_blocks: BLOCKS });
        };
        Self::new(working, &mut memory.checkpoint, &mut memory.digests, &mut memory.marks)
            .ok_or(MemoryMismatch { need_blocks: blocks::<T>(), have_blocks: BLOCKS })
    }
}

/// The memory handed over does not have the size of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryMismatch {
    /// Blocks the state takes.
    pub need_blocks: usize,
    /// Blocks there are.
    pub have_blocks: usize,
}
