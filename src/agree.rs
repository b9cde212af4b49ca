//! INPUT  both channels settle on one input a cycle.
//!
//! A sample lies in memory as it is sent: its digest, then its canonical bytes. What happens to it between the sensor and the
//! step knows bytes only.

use crate::bytes::copy;
use crate::canonical;
use crate::ids::ChannelId;
use crate::program::{Agreement, Program};
use crate::wire::{self, SAMPLE_DIGEST_BYTES};

/// A sample's payload.
#[derive(Clone)]
struct Payload<const FRAME: usize> {
    length: usize,
    bytes: [u8; FRAME],
}

impl<const FRAME: usize> Payload<FRAME> {
    fn bytes(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length).filter(|bytes| !bytes.is_empty())
    }

    fn is_sound(&self) -> bool {
        self.bytes().and_then(wire::sound_sample).is_some()
    }

    /// Becomes the same as another one, in what it is long.
    fn take(&mut self, other: &Self) {
        match other.bytes() {
            Some(bytes) => {
                copy(&mut self.bytes, bytes);
                self.length = bytes.len();
            }
            None => self.clear(),
        }
    }

    /// There is none. Without its digest what is left of it is no sample, should a bit of the length flip.
    fn clear(&mut self) {
        self.length = 0;
        if let Some(digest) = self.bytes.first_chunk_mut() {
            *digest = [0; SAMPLE_DIGEST_BYTES];
        }
    }
}

/// A sample, kept twice, each copy with its digest: if one is damaged, it is mended from the other.
#[derive(Clone)]
struct Kept<const FRAME: usize>([Payload<FRAME>; 2]);

/// What a look at a sample's copies found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    Sound,
    Mended,
    /// Both are damaged.
    Lost,
}

impl<const FRAME: usize> Kept<FRAME> {
    const NONE: Self = Self([const { Payload { length: 0, bytes: [0; FRAME] } }; 2]);

    /// Whether there is a sample. If only one of the two says so, a bit of a length has flipped, and the bytes tell of which.
    fn is_there(&self) -> bool {
        let [first, second] = &self.0;
        if first.length == second.length { first.length > 0 } else { self.0.iter().any(Payload::is_sound) }
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(Payload::clear);
    }

    /// Fixes a value; false if it does not fit, and then there is none.
    fn fix<T: serde::Serialize>(&mut self, value: &T) -> bool {
        self.clear();
        let [first, _] = &mut self.0;
        let Some((digest, room)) = first.bytes.split_first_chunk_mut::<SAMPLE_DIGEST_BYTES>() else { return false };
        let Some(length) = canonical::encode(value, room) else { return false };
        *digest = crate::digest::of_bytes(room.get(..length).unwrap_or_default()).to_le_bytes();
        first.length = SAMPLE_DIGEST_BYTES + length;
        self.copy_first();
        true
    }

    /// Keeps a received payload; false if it is too long, and then there is none.
    fn keep(&mut self, payload: &[u8]) -> bool {
        let [first, _] = &mut self.0;
        let Some(room) = first.bytes.get_mut(..payload.len()) else {
            self.clear();
            return false;
        };
        copy(room, payload);
        first.length = payload.len();
        self.copy_first();
        true
    }

    fn copy_first(&mut self) {
        let [first, second] = &mut self.0;
        second.take(first);
    }

    /// Checks the first copy before it is used. The second one is looked at only if need be.
    fn check(&mut self) -> Copies {
        let [first, second] = &mut self.0;
        if first.is_sound() {
            return Copies::Sound;
        }
        if !second.is_sound() {
            return Copies::Lost;
        }
        first.take(second);
        Copies::Mended
    }

    /// Returns the payload, as it is sent.
    fn payload(&self) -> Option<&[u8]> {
        let [first, _] = &self.0;
        first.bytes().filter(|_| self.is_there())
    }

    /// Returns the value.
    fn value<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        canonical::decode(self.payload()?.get(SAMPLE_DIGEST_BYTES..)?)
    }

    /// Flips a bit of one of the copies, of its bytes or, behind them, of its length, taken modulo what there is; false if there
    /// is none.
    #[cfg(feature = "sim")]
    fn flip(&mut self, copy: usize, bit: usize) -> bool {
        const LENGTH_BITS: usize = 16;
        let Some(Payload { length, bytes }) = self.0.get_mut(copy).filter(|copy| copy.length > 0) else { return false };
        // A length that was flipped before may say more than there is.
        let bits = bytes.len().min(*length) * 8;
        let bit = bit % (bits + LENGTH_BITS);
        match bytes.get_mut(bit / 8).filter(|_| bit < bits) {
            Some(byte) => *byte ^= 1 << (bit % 8),
            None => *length ^= 1 << (bit - bits),
        }
        true
    }
}

/// The samples of the cycle in progress, and the peer's for the next one if it is ahead.
#[derive(Clone)]
pub(crate) struct Samples<const FRAME: usize> {
    mine: Kept<FRAME>,
    theirs: Kept<FRAME>,
    ahead: Kept<FRAME>,
}

impl<const FRAME: usize> Samples<FRAME> {
    pub(crate) const NONE: Self = Self { mine: Kept::NONE, theirs: Kept::NONE, ahead: Kept::NONE };

    /// The next cycle begins: what the peer has sampled ahead is of it.
    pub(crate) fn advance(&mut self) {
        self.mine.clear();
        let Kept([first, second]) = &mut self.theirs;
        let Kept([ahead, spare]) = &self.ahead;
        first.take(ahead);
        second.take(spare);
        self.ahead.clear();
    }

    pub(crate) fn clear(&mut self) {
        self.mine.clear();
        self.theirs.clear();
        self.ahead.clear();
    }

    /// Fixes this channel's sample; false if it does not fit, and then there is none.
    pub(crate) fn fix<T: serde::Serialize>(&mut self, sample: &T) -> bool {
        self.mine.fix(sample)
    }

    /// Returns this channel's sample, as it is sent.
    pub(crate) fn payload(&self) -> Option<&[u8]> {
        self.mine.payload()
    }

    /// Whether this channel's sample is there.
    #[cfg(feature = "sim")]
    pub(crate) fn has_mine(&self) -> bool {
        self.mine.is_there()
    }

    /// Whether the peer's sample is there.
    pub(crate) fn has_theirs(&self) -> bool {
        self.theirs.is_there()
    }

    /// Whether the peer's sample of the next cycle is there.
    pub(crate) fn has_ahead(&self) -> bool {
        self.ahead.is_there()
    }

    /// Keeps the peer's sample; false if it is too long.
    pub(crate) fn keep_theirs(&mut self, payload: &[u8]) -> bool {
        self.theirs.keep(payload)
    }

    /// Keeps the peer's sample of the next cycle; false if it is too long.
    pub(crate) fn keep_ahead(&mut self, payload: &[u8]) -> bool {
        self.ahead.keep(payload)
    }

    pub(crate) fn forget_theirs(&mut self) {
        self.theirs.clear();
    }

    pub(crate) fn forget_ahead(&mut self) {
        self.ahead.clear();
    }

    /// Checks those of this cycle before they are used.
    pub(crate) fn check(&mut self) -> [Copies; 2] {
        [&mut self.mine, &mut self.theirs].map(|kept| if kept.is_there() { kept.check() } else { Copies::Sound })
    }

    /// Flips a bit of a sample: of this channel's, of its spare copy, of the peer's, of the peer's next one; false if there is none.
    #[cfg(feature = "sim")]
    pub(crate) fn flip(&mut self, which: usize, bit: usize) -> bool {
        match which {
            0 | 1 => self.mine.flip(which, bit),
            2 => self.theirs.flip(0, bit),
            _ => self.ahead.flip(0, bit),
        }
    }

    /// Settles on one input: of both samples in the order A, B if the peer's is there, else
    /// of this channel's own. `None` without an own sample, or with one that is no value.
    pub(crate) fn settle<P: Program>(&self, me: ChannelId) -> Option<Agreement<P::Input>> {
        let mine: P::Input = self.mine.value()?;
        if !self.theirs.is_there() {
            return Some(P::agree(&mine, &mine));
        }
        let theirs = self.theirs.value()?;
        let [a, b] = me.in_order(&mine, &theirs);
        Some(P::agree(a, b))
    }
}

#[cfg(feature = "sim")]
impl<const FRAME: usize> core::hash::Hash for Kept<FRAME> {
    /// What is left of an older sample has no effect.
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        self.0.each_ref().map(Payload::bytes).hash(hasher);
    }
}

#[cfg(feature = "sim")]
impl<const FRAME: usize> core::hash::Hash for Samples<FRAME> {
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        let Self { mine, theirs, ahead } = self;
        (mine, theirs, ahead).hash(hasher);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Twelve bytes with the digest: no more than a bit of the length away from others.
    const VALUE: u64 = 0x7F6F_5F4F_3F2F_1F0F;

    /// Two flips, one after the other, of any bits: the second one finds what the first one left.
    #[cfg(feature = "sim")]
    #[test]
    fn every_bit_can_be_flipped_after_every_other_one() {
        let bits = 12 * 8 + 16;
        for first in 0..bits {
            for second in 0..2 * bits {
                let mut samples = Samples::<32>::NONE;
                samples.mine.fix(&VALUE);
                assert!(samples.flip(0, first));
                samples.flip(0, second);
            }
        }
    }

    #[test]
    fn a_flipped_bit_of_a_length_neither_brings_a_sample_nor_takes_it_away() {
        for copy in 0..2 {
            for bit in 0..usize::BITS {
                let mut samples = Samples::<32>::NONE;
                for _ in 0..2 {
                    samples.theirs.fix(&VALUE);
                    let payload: std::vec::Vec<u8> = samples.theirs.payload().unwrap().into();
                    samples.theirs.0[copy].length ^= 1 << bit;
                    assert!(samples.has_theirs(), "copy {copy}, bit {bit}");
                    assert_ne!(samples.theirs.check(), Copies::Lost);
                    assert_eq!(samples.theirs.payload(), Some(&*payload));
                    samples.keep_ahead(&payload);
                    samples.advance();
                    samples.advance();
                    for kept in [&mut samples.mine, &mut samples.theirs, &mut samples.ahead] {
                        kept.0[copy].length ^= 1 << bit;
                        assert!(!kept.is_there() && kept.payload().is_none(), "copy {copy}, bit {bit}");
                        kept.0[copy].length ^= 1 << bit;
                    }
                }
            }
        }
    }
}
