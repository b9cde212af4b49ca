//! SUCCESSION  what a new version of a program says of the one before it.

use crate::memory::{State, blocks};
use crate::program::{Program, hash_of, version_hash};
use zerocopy::FromBytes;

/// A version of a program that takes over from the one before it while that serves: see
/// [`upgrade`](crate::upgrade).
///
/// Both versions sample and drive the same: [`Input`](Program::Input) and [`Output`](Program::Output) have the
/// same encoding, and both channels the same [`Config`](crate::Config).
pub trait Successor: Program {
    /// The state of the version before, as it lies in memory there. It may take as many blocks of 64 bytes as
    /// [`State`](Program::State) at most, else this does not compile: it is received where the checkpoint of the new one
    /// will be. Let a smaller new state have a reserve.
    type OldState: State;

    /// The version before: its [`VERSION`](Program::VERSION).
    const OLD_VERSION: u32;

    /// Its [`LAYOUT`](Program::LAYOUT). It is compared with what the serving channel says: a state of another layout is
    /// not taken.
    const OLD_LAYOUT: u32;

    /// Its [`SAFE`](Program::SAFE), if that was another one. If it is not what it was, the old version is not recognised, and
    /// the new one goes back by itself after 100 seconds.
    const OLD_SAFE: Self::Output = Self::SAFE;

    /// Makes the new state of the old one, in place, on zeroed memory. Any bit pattern may come in. It runs
    /// once, between two cycles: no longer than a `step`, or the first cycle of the trial is missed.
    ///
    /// # Errors
    /// [`CannotMigrate`] if there is no new state for this one. The channel goes back to the version before, and
    /// the one that serves has noticed nothing.
    fn migrate(old: &Self::OldState, new: &mut Self::State) -> Result<(), CannotMigrate>;

    /// Whether two outputs for one cycle whose canonical bytes differ are as close as they should be. By default
    /// they are not. What is tolerated is driven once the new version drives.
    fn tolerates(old: &Self::Output, new: &Self::Output) -> bool {
        let _ = (old, new);
        false
    }
}

/// A state that cannot be taken over; numbered by the program's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CannotMigrate(pub u16);

type Migrate<S> = fn(&[u8], &mut S) -> Result<(), CannotMigrate>;

/// A [`Successor`] as a channel keeps it, without its types.
pub struct Succession<P: Program> {
    /// Of the version before.
    pub(crate) hash: u32,
    pub(crate) state_bytes: usize,
    pub(crate) migrate: Migrate<P::State>,
    pub(crate) tolerates: fn(&P::Output, &P::Output) -> bool,
}

impl<P: Program> Clone for Succession<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Program> Copy for Succession<P> {}

impl<P: Successor> Succession<P> {
    /// Returns what a channel has to know of its version before.
    pub fn new() -> Self {
        const {
            assert!(
                blocks::<P::OldState>() <= blocks::<P::State>(),
                "the old state takes more blocks than the new one"
            );
            assert!(align_of::<P::OldState>() <= crate::digest::BLOCK_BYTES, "a state is aligned to 64 bytes at most");
        }
        Self {
            hash: version_hash(hash_of(P::OLD_VERSION, &P::OLD_SAFE), P::OLD_LAYOUT),
            state_bytes: size_of::<P::OldState>(),
            migrate: |bytes, new| match P::OldState::ref_from_prefix(bytes) {
                Ok((old, _)) => P::migrate(old, new),
                Err(_) => Err(CannotMigrate(u16::MAX)), // as long and as well aligned as any
            },
            tolerates: P::tolerates,
        }
    }
}

impl<P: Successor> Default for Succession<P> {
    fn default() -> Self {
        Self::new()
    }
}
