//! PROGRAM  what the user writes.

mod build;
mod message;

pub use build::Build;
pub use message::Message;

use crate::canonical;
use crate::digest::ValueDigest;
use crate::ids::Cycle;
use crate::memory::State;
use crate::tracked::Tracked;
use serde::Serialize;

/// A deterministic control program, run by both channels in lockstep.
///
/// `step` is pure: no clock, no I/O, no statics, no random numbers of its own; what it
/// needs of these comes in with the input. That is what makes voting, re-execution and
/// simulation possible. `sim::check_pure` (feature `sim`) finds programs that are not pure.
/// A program has no `self` for the same reason: whatever it remembers is
/// [`State`](Self::State), which both channels compare and copy.
pub trait Program {
    /// What a channel samples each cycle: small and structured, sent every cycle.
    type Input: Message;
    /// What is voted and driven. Outputs are levels, not pulses: a takeover may drive a
    /// cycle's output a second time.
    type Output: Message;
    /// Bulk memory, mirrored in blocks.
    type State: State;

    /// The output that is safe to drive at any time.
    const SAFE: Self::Output;

    /// The program's version: raise it with every change. Channels whose versions
    /// differ do not pair, except a [`Successor`](crate::Successor) with the version before it.
    const VERSION: u32;

    /// The identity of the program's source and types: channels of one version whose builds differ do not pair, so that a change
    /// without a new [`VERSION`](Self::VERSION) is found before it runs. `build_of!("controller.rs")` digests the source; see
    /// [`Build`].
    const BUILD: Build;

    /// Bytes of the longest encoding of an input. A frame too small for it does not compile: see [`frame`](crate::frame).
    const INPUT_BYTES: usize = <Self::Input as Message>::MAX_BYTES;

    /// The same of an output.
    const OUTPUT_BYTES: usize = <Self::Output as Message>::MAX_BYTES;

    /// Hash of the state's layout: channels of one version whose layouts differ do not pair. This one covers size
    /// and alignment; name offsets to have the order of the fields in it too, and the size of
    /// what arrays hold: `layout_hash::<Plant>(&[offset_of!(Plant, integral), size_of::<Entry>()])`.
    /// It does not see types: a field that changes its meaning needs a new [`VERSION`](Self::VERSION).
    const LAYOUT: u32 = layout_hash::<Self::State>(&[]);

    /// Fills the state, in place, on zeroed memory.
    fn init(state: &mut Self::State) {
        let _ = state;
    }

    /// Settles on one input from the samples of A and B, in this order on both channels.
    ///
    /// A channel that runs alone calls it with its own sample twice, so what `agree`
    /// checks and clamps is checked and clamped there too.
    fn agree(a: &Self::Input, b: &Self::Input) -> Agreement<Self::Input>;

    /// Computes one cycle.
    fn step(cycle: Cycle, state: &mut Tracked<Self::State>, input: &Self::Input) -> Self::Output;

    /// Tests the processor that runs it, when the votes of a cycle differ and nobody knows yet who is
    /// wrong: false is evidence against this channel. Arithmetic with known results, a pattern
    /// written and read. This default tests nothing; and it is no cyclic self-test, since it runs only
    /// when votes differ. It runs within the vote window, after one more `step`.
    fn self_test() -> bool {
        true
    }

    /// Votes on outputs whose canonical bytes differ: what may be released in their place,
    /// or `None`, the default, if they diverge. `a` and `b` come in this order on both
    /// channels. Equal bytes always agree and never get here. [`rule`](crate::rule) has
    /// ready-made rules for single fields.
    fn vote(a: &Self::Output, b: &Self::Output) -> Option<Self::Output> {
        let _ = (a, b);
        None
    }
}

/// What both channels step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Agreement<I> {
    /// The agreed input.
    pub input: I,
    /// Whether the two samples were further apart than the program expects of its sensors.
    pub discrepancy: bool,
}

impl<I> Agreement<I> {
    /// Agrees on `input`.
    pub const fn on(input: I) -> Self {
        Self { input, discrepancy: false }
    }

    /// Agrees on `input` and says whether the samples were too far apart.
    pub const fn with_discrepancy(input: I, discrepancy: bool) -> Self {
        Self { input, discrepancy }
    }
}

/// Returns what distinguishes a program from another one.
pub fn program_hash<P: Program>() -> u32 {
    hash_of(P::VERSION, &P::SAFE)
}

/// Returns the hash of a program of this version and with this safe output.
pub(crate) fn hash_of<O: Serialize>(version: u32, safe: &O) -> u32 {
    let mut digest = ValueDigest::new();
    for number in [version, canonical::digest(safe).unwrap_or_default()] {
        digest.extend(&number.to_le_bytes());
    }
    digest.finish()
}

/// Returns the hash of a version, of its program's hash and its layout's; never 0, which stands for none.
pub(crate) fn version_hash(program_hash: u32, layout_hash: u32) -> u32 {
    ValueDigest::new().with(program_hash).with(layout_hash).finish().max(1)
}

/// Returns the hash of a state's layout: of its size and alignment, of the byte order, since
/// memory is mirrored as it lies there, and of the offsets given.
pub const fn layout_hash<T>(mut offsets: &[usize]) -> u32 {
    let digest = ValueDigest::new().with(size_of::<T>() as u32).with(align_of::<T>() as u32);
    let mut digest = digest.with(cfg!(target_endian = "big") as u32);
    while let [first, rest @ ..] = offsets {
        digest = digest.with(*first as u32);
        offsets = rest;
    }
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_hash_covers_size_alignment_and_the_offsets_given() {
        let mut seen = std::collections::HashSet::new();
        assert!(seen.insert(layout_hash::<u32>(&[])));
        assert!(seen.insert(layout_hash::<[u8; 4]>(&[])), "another alignment");
        assert!(seen.insert(layout_hash::<[u8; 5]>(&[])), "another size");
        assert!(seen.insert(layout_hash::<[u8; 5]>(&[0, 4])));
        assert!(seen.insert(layout_hash::<[u8; 5]>(&[4, 0])), "another order");
        let mut by_hand = ValueDigest::new();
        for number in [5_u32, 1, 0, 4, 0] {
            by_hand.extend(&number.to_le_bytes());
        }
        if cfg!(target_endian = "little") {
            assert_eq!(layout_hash::<[u8; 5]>(&[4, 0]), by_hand.finish(), "as wire.rs describes it");
        }
    }
}
