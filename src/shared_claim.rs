//! SHARED CLAIM  the arbiter of two cores on one chip: one word that both see, changed in one step.
//!
//! The word holds the epoch that owns the outputs, counter and owner together, so that there is no
//! moment without a definite owner and none with two. It outlives the boot of either core.

use crate::ids::{ChannelId, Epoch, Instant};
use crate::lease::{Arbiter, Claim, Confirmation, Grounds};
use crate::sync::{Order, Word, const_fn};

/// The word, in shared memory: one for the pair.
///
/// All zero is the state before anyone has owned. Zero it as the [mailbox](crate::mailbox), once at power-up; afterwards no
/// start-up code may touch it: zeroed while the other core owns, it may let both own. A core that boots
/// finds the other one's epoch there. It is the arbiter itself: of memory with parity or error correction
/// give it that. Laid out as one 32-bit word, counter times 2 and the owner in bit 0, and padding to 64 bytes.
#[repr(C, align(64))]
pub struct ClaimWord(Word);

impl Default for ClaimWord {
    fn default() -> Self {
        Self::new()
    }
}

impl ClaimWord {
    const_fn! {
        /// Makes a word of a pair that nobody has owned yet.
        pub fn new() -> Self {
            Self(Word::new(Epoch::NONE.bits()))
        }
    }
}

/// One core's view of the word, for targets with a compare-and-swap; [`SplitClaim`](crate::SplitClaim)
/// needs none.
///
/// It takes a memory between the cores in which exclusive accesses of one are seen by the other, which the target does not
/// tell: on Arm a global exclusive monitor. Where the chip's manual does not promise that, both might be granted one
/// number: take [`SplitClaim`](crate::SplitClaim).
///
/// A claim is answered at once, whatever the other core does or has stopped doing. It cuts nothing off by itself: the other
/// core's outputs no longer open from then on, and a write that it has already begun still lands. What a core wrote
/// to shared memory before its claim is there for the other one once that sees the new epoch. The
/// word must not be cached, or the caches be coherent.
#[derive(Clone, Copy)]
pub struct SharedClaim<'m>(&'m ClaimWord);

impl<'m> SharedClaim<'m> {
    /// Makes a core's arbiter on the word of the pair.
    pub fn new(word: &'m ClaimWord) -> Self {
        Self(word)
    }

    fn through(&self) -> Epoch {
        Epoch::from_bits(self.0.0.load(Order::ClaimSeen))
    }
}

impl Arbiter for SharedClaim<'_> {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        let seen = self.through();
        if seen == to {
            return Claim::Granted;
        }
        if to.counter() <= seen.counter() {
            return Claim::Refused;
        }
        // Else the other core was faster, and may have claimed the same number or a lower one.
        let is_mine = self.0.0.replace(seen.bits(), to.bits(), Order::ClaimMade);
        if is_mine { Claim::Granted } else { Claim::Pending }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        (epoch != Epoch::NONE && epoch.owner() == me && self.through() == epoch).into()
    }

    /// The word stays as it is until the next claim.
    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        Some(self.through())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    const NOW: Instant = Instant::from_micros(0);

    #[test]
    fn the_newest_claim_owns_and_no_number_is_granted_twice() {
        let word = ClaimWord::new();
        let (mut a, mut b) = (SharedClaim::new(&word), SharedClaim::new(&word));
        let epoch = Epoch::new;
        assert_eq!(a.claim(NOW, Epoch::NONE, epoch(1, A), Grounds::First), Claim::Granted);
        assert_eq!(a.claim(NOW, Epoch::NONE, epoch(1, A), Grounds::First), Claim::Granted, "asked again");
        assert!(a.confirms(epoch(1, A), A) == Confirmation::Yes && b.confirms(epoch(1, A), B) != Confirmation::Yes);
        assert_eq!(b.claim(NOW, epoch(1, A), epoch(1, B), Grounds::Silence), Claim::Refused);
        assert_eq!(b.claim(NOW, epoch(1, A), epoch(2, B), Grounds::Silence), Claim::Granted);
        assert!(b.confirms(epoch(2, B), B) == Confirmation::Yes && a.confirms(epoch(1, A), A) != Confirmation::Yes);
        assert_eq!(a.claim(NOW, epoch(1, A), epoch(2, A), Grounds::Silence), Claim::Refused);
        assert_eq!((a.through(), b.through()), (epoch(2, B), epoch(2, B)));
    }

    #[test]
    fn nobody_owns_the_epoch_before_the_first() {
        let word = ClaimWord::new();
        assert_eq!(SharedClaim::new(&word).confirms(Epoch::NONE, A), Confirmation::No);
    }
}
