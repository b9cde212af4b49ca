//! VOTE  pure comparison; mints the unforgeable [`Voted`].

use crate::canonical;
use crate::digest::of_bytes;
use crate::fault::{Faults, OUTPUT_HEAD_BYTES, VoteRecord};
use crate::ids::{ChannelId, Cycle};
use crate::lease::{Confirmation, Lease};
use crate::mechanism::{Mechanism, Mechanisms};
use crate::program::Program;
use crate::wire::VotePayload;
use core::hint::black_box;

/// Returns whether two byte strings are equal, four words at a time. On Cortex-M less than a fifth of
/// the instructions of slice `==`.
pub fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a_words, a_tail), (b_words, b_tail)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let ((a_fours, a_rest), (b_fours, b_rest)) = (a_words.as_chunks::<4>(), b_words.as_chunks::<4>());
    let differs = |a: &[u8; 4], b: &[u8; 4]| u32::from_le_bytes(*a) ^ u32::from_le_bytes(*b);
    let mut differing = 0;
    for ([a0, a1, a2, a3], [b0, b1, b2, b3]) in a_fours.iter().zip(b_fours) {
        differing |= differs(a0, b0) | differs(a1, b1) | differs(a2, b2) | differs(a3, b3);
    }
    for (a, b) in a_rest.iter().zip(b_rest) {
        differing |= differs(a, b);
    }
    for (a, b) in a_tail.iter().zip(b_tail) {
        differing |= u32::from(a ^ b);
    }
    differing == 0
}

/// The comparator: returns in what two votes differ, looked at in this order; empty if in nothing.
/// Switched off, as a negative control, it sees no difference.
pub(crate) fn difference(mine: &VotePayload<'_>, theirs: &VotePayload<'_>, is_on: bool) -> Faults {
    if !is_on {
        Faults::empty()
    } else if mine.input_digest != theirs.input_digest {
        Faults::INPUT_DIVERGENCE
    } else if mine.state_digest != theirs.state_digest {
        Faults::STATE_DIVERGENCE
    } else if same_bytes(mine.output, theirs.output) {
        Faults::empty()
    } else {
        Faults::OUTPUT_DIVERGENCE
    }
}

/// Compares the votes of one cycle: returns the released output, or in what they differ.
///
/// The released value is decoded from the compared bytes, not taken from the memory it
/// was computed in, and sealed with their digest.
pub(crate) fn judge<P: Program>(
    cycle: Cycle,
    me: ChannelId,
    mine: &VotePayload<'_>,
    theirs: &VotePayload<'_>,
    is_on: bool,
) -> Result<Sealed<P::Output>, Faults> {
    let difference = difference(mine, theirs, is_on);
    if difference.is_empty() {
        return single(cycle, mine).ok_or(Faults::OUTPUT_DIVERGENCE);
    }
    if difference != Faults::OUTPUT_DIVERGENCE {
        return Err(difference);
    }
    let [a, b] = me.in_order(mine.output, theirs.output);
    let ruled = canonical::decode(a).zip(canonical::decode(b)).and_then(|(a, b)| P::vote(&a, &b));
    ruled.and_then(|value| seal(cycle, value)).ok_or(difference)
}

/// Seals the output of a channel that serves alone, or that both voted for byte by byte.
pub(crate) fn single<O>(cycle: Cycle, vote: &VotePayload<'_>) -> Option<Sealed<O>>
where
    O: serde::de::DeserializeOwned,
{
    let value = canonical::decode(vote.output)?;
    Some(Sealed { cycle, value, seal: of_bytes(vote.output), mechanisms: Mechanisms::ALL_ON })
}

/// Seals the program's safe output.
pub(crate) fn safe<P: Program>(cycle: Cycle) -> Option<Sealed<P::Output>> {
    seal(cycle, P::SAFE)
}

fn seal<O: serde::Serialize>(cycle: Cycle, value: O) -> Option<Sealed<O>> {
    let seal = canonical::digest(&value)?;
    Some(Sealed { cycle, value, seal, mechanisms: Mechanisms::ALL_ON })
}

/// Returns what is kept of a vote in the first-fault record.
pub(crate) fn record(vote: &VotePayload<'_>) -> VoteRecord {
    let mut output_head = [0; OUTPUT_HEAD_BYTES];
    for (to, from) in output_head.iter_mut().zip(vote.output) {
        *to = *from;
    }
    VoteRecord {
        input_digest: vote.input_digest,
        state_digest: vote.state_digest,
        output_digest: of_bytes(vote.output),
        output_bytes: vote.output.len() as u16,
        output_head,
    }
}

/// A voted output on its way to becoming a [`Voted`].
#[derive(Clone, Hash)]
pub(crate) struct Sealed<O> {
    cycle: Cycle,
    value: O,
    seal: u32,
    mechanisms: Mechanisms,
}

impl<O> Sealed<O> {
    pub(crate) fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// The value behind the seal, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn value(&mut self) -> &mut O {
        &mut self.value
    }

    /// The value behind the seal, for an observer.
    #[cfg(feature = "sim")]
    pub(crate) fn into_value(self) -> O {
        self.value
    }

    /// Binds the output to the lease it may be opened under; `None`: no lease is needed.
    pub(crate) fn under(self, lease: Option<Lease<'_>>, mechanisms: Mechanisms) -> Voted<'_, O> {
        Voted { sealed: Self { mechanisms, ..self }, lease }
    }
}

/// An output that the voter released: it can be made nowhere else, and opened once.
///
/// It cannot be made by hand:
/// ```compile_fail
/// let forged = twinstep::Voted { sealed: 1, lease: None };
/// ```
/// and not be opened twice:
/// ```compile_fail
/// fn twice(voted: twinstep::Voted<u8>) {
///     let _ = voted.open();
///     let _ = voted.open();
/// }
/// ```
#[must_use = "a voted output does nothing until it is driven"]
pub struct Voted<'l, O> {
    sealed: Sealed<O>,
    lease: Option<Lease<'l>>,
}

impl<O: serde::Serialize> Voted<'_, O> {
    /// Returns the cycle the output belongs to.
    pub fn cycle(&self) -> Cycle {
        self.sealed.cycle
    }

    /// Hands out the output, to be driven at once.
    ///
    /// # Errors
    /// [`OpenError`]: what to drive instead depends on which.
    pub fn open(self) -> Result<O, OpenError> {
        match self.lease.map_or(Confirmation::Yes, |lease| lease.holds()) {
            Confirmation::Yes => {}
            Confirmation::No => return Err(OpenError::LeaseLost),
            Confirmation::CannotTell => return Err(OpenError::LeaseUnknown),
        }
        // Without the black box the optimiser sees that nothing changed the value since it
        // was sealed, and removes the check.
        let value = black_box(self.sealed.value);
        let is_sound = canonical::digest(&value) == Some(black_box(self.sealed.seal));
        if !is_sound && self.sealed.mechanisms.on(Mechanism::Seal) {
            return Err(OpenError::Damaged);
        }
        Ok(value)
    }

    /// Damages the value after the vote, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn damaged_by(mut self, damage: impl FnOnce(&mut O)) -> Self {
        damage(&mut self.sealed.value);
        self
    }
}

/// Why a voted output was not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenError {
    /// The value changed after the vote: drive the safe output instead. The outputs are this channel's.
    Damaged,
    /// The arbiter no longer confirms this channel. The other one drives: leave shared
    /// actuators alone, and put those wired to this channel only into their safe position.
    LeaseLost,
    /// The arbiter cannot tell now whether this channel owns: hold the last output, as if nothing had been released.
    LeaseUnknown,
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Damaged => "the output changed after the vote",
            Self::LeaseLost => "the arbiter no longer confirms this channel",
            Self::LeaseUnknown => "the arbiter cannot tell whether this channel owns",
        })
    }
}

impl core::error::Error for OpenError {}
