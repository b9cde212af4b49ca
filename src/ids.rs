//! Newtypes for what is counted, named and timed.
//!
//! Cycles and phases wrap: a machine that must not stop outlives 32 bits. They
//! therefore have no `Ord`; they are compared by their distance, which is right
//! as long as two compared values lie less than half the range apart (the
//! channels are never more than one cycle apart).

use serde::{Deserialize, Serialize};

/// Names one of the two redundant halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelId {
    /// The first half; ties are settled in its favour.
    A,
    /// The second half.
    B,
}

impl ChannelId {
    /// Returns the peer of this channel.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Returns 0 for A and 1 for B, the order in which both channels keep pairs of things.
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// Puts `mine` and `theirs` into the order A, B that both channels share.
    pub fn in_order<T>(self, mine: T, theirs: T) -> [T; 2] {
        match self {
            Self::A => [mine, theirs],
            Self::B => [theirs, mine],
        }
    }
}

impl core::fmt::Display for ChannelId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Numbers one pass of sample, agree, step, vote, actuate, mirror. Wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cycle(pub u32);

impl Cycle {
    /// Returns the following cycle.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Returns the cycle before this one.
    pub const fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// Returns how many cycles `self` is after `other`; negative when before it.
    pub const fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

impl core::fmt::Display for Cycle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a step inside a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stage {
    /// The channel's own sample is fixed.
    Sample = 0,
    /// The channel has stepped on the agreed input and voted.
    Vote = 1,
    /// The channel has stepped once more, since the votes differed, and says what it found.
    Evidence = 2,
    /// The cycle is done.
    Settled = 3,
}

/// Numbers progress: `4 * cycle + stage`, modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Phase(pub u32);

impl Phase {
    /// Returns the phase of a stage of a cycle.
    pub const fn new(cycle: Cycle, stage: Stage) -> Self {
        Self(cycle.0.wrapping_shl(2) | stage as u32)
    }

    /// Returns how many phases `self` is after `other`; negative when before it.
    pub const fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

/// Names a lineage of the pair's configuration: who may own, and since when.
///
/// The counter rises with every change that alters who may own the outputs; no
/// number is issued twice. Counter 0 is no lineage at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Epoch(u32);

impl Epoch {
    /// No lineage yet.
    pub const NONE: Self = Self(0);

    /// Returns the epoch with this counter (31 bits) and owner.
    pub const fn new(counter: u32, owner: ChannelId) -> Self {
        Self(counter.wrapping_shl(1) | owner.index() as u32)
    }

    /// Returns the lineage number.
    pub const fn counter(self) -> u32 {
        self.0 >> 1
    }

    /// Returns the channel that holds the output lease in this epoch.
    pub const fn owner(self) -> ChannelId {
        if self.0 & 1 == 0 { ChannelId::A } else { ChannelId::B }
    }

    /// Returns the first epoch after everything in `self`, owned by `owner`. The counter stays
    /// at its end, where no claim is newer any more: after two thousand million changes.
    pub const fn successor(self, owner: ChannelId) -> Self {
        let last = u32::MAX >> 1;
        Self::new(if self.counter() < last { self.counter() + 1 } else { last }, owner)
    }

    /// Returns counter and owner as one number.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Returns the epoch of such a number.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the low half, which is sent in every frame.
    pub(crate) const fn low(self) -> u16 {
        self.0 as u16
    }

    /// Returns the high half, which enters the CRC without being sent.
    pub(crate) const fn high(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Returns the epoch nearest to `self` whose low half is `low`.
    pub(crate) const fn nearest(self, low: u16) -> Self {
        let distance = low.wrapping_sub(self.low()).cast_signed();
        Self(self.0.wrapping_add_signed(distance as i32))
    }
}

impl core::fmt::Display for Epoch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}{}", self.counter(), self.owner())
    }
}

/// A point in time of one channel's own clock, in microseconds from any origin.
///
/// The two channels' clocks are never compared with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// Returns the instant `micros` after the clock's origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the clock's origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the instant `span_us` later.
    pub const fn plus_us(self, span_us: u32) -> Self {
        Self(self.0.saturating_add(span_us as u64))
    }

    /// Returns the instant moved by `span_us`, which may be negative.
    pub const fn shifted_us(self, span_us: i32) -> Self {
        Self(self.0.saturating_add_signed(span_us as i64))
    }

    /// Returns the microseconds from `earlier` to `self`, clamped to an `i32`.
    pub fn since_us(self, earlier: Self) -> i32 {
        let span = self.0.cast_signed().saturating_sub(earlier.0.cast_signed());
        i32::try_from(span).unwrap_or(if span < 0 { i32::MIN } else { i32::MAX })
    }
}

/// Identifies the pair. Never sent: it enters every CRC, so that a frame of another pair fails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PairId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_and_phases_compare_across_the_wrap() {
        assert_eq!(Cycle(2).since(Cycle(u32::MAX)), 3);
        assert_eq!(Cycle(u32::MAX).next(), Cycle(0));
        let last = Phase::new(Cycle(u32::MAX), Stage::Vote);
        assert_eq!(Phase::new(Cycle(0), Stage::Sample).since(last), 3);
        // The phase drops the cycle's two highest bits; distances stay right.
        let before = Phase::new(Cycle(0x3FFF_FFFF), Stage::Settled);
        assert_eq!(Phase::new(Cycle(0x4000_0000), Stage::Sample).since(before), 1);
    }

    #[test]
    fn an_epoch_is_found_again_from_its_low_half() {
        for counter in [0x7FFE_u32, 0x7FFF, 0x8000, 0x1_0000] {
            let mine = Epoch::new(counter, ChannelId::B);
            for step in 0..3 {
                let theirs = Epoch::new(counter + step, ChannelId::A);
                assert_eq!(mine.nearest(theirs.low()), theirs);
                assert_eq!(theirs.nearest(mine.low()), mine);
            }
        }
    }

    #[test]
    fn spans_are_signed_and_clamped() {
        let late = Instant::from_micros(u64::MAX / 2);
        assert_eq!(late.since_us(Instant::from_micros(0)), i32::MAX);
        assert_eq!(Instant::from_micros(0).since_us(late), i32::MIN);
        assert_eq!(Instant::from_micros(10).shifted_us(-20).as_micros(), 0);
    }
}
