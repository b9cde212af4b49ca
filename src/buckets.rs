//! BUCKETS  how often a channel, the path or a comparator was suspected lately.
//!
//! A transient fault is borne, but one that keeps coming is none. Each suspicion fills a bucket, and
//! every so many cycles of duplex take one off again. Both channels count the same cycles and the
//! same diagnoses; levels also travel with the evidence, and the fuller one counts, so that a
//! channel that has just joined comes to the same verdict as the one that was there. Only that one takes all that it is told of itself:
//! another one can be told of a single suspicion more than it knows of.

use crate::diagnose::Suspects;
use crate::ids::{ChannelId, Cycle};

/// How full each bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buckets {
    levels: [u8; 5],
}

impl Buckets {
    const ORDER: [Suspects; 5] =
        [Suspects::CHANNEL_A, Suspects::CHANNEL_B, Suspects::PATH, Suspects::COMPARATOR_A, Suspects::COMPARATOR_B];

    /// Returns how often `suspect`, one flag, was suspected and not yet forgotten.
    pub fn level(&self, suspect: Suspects) -> u8 {
        let places = Self::ORDER.iter().zip(&self.levels);
        places.filter(|(flag, _)| **flag == suspect).fold(0, |_, (_, level)| *level)
    }

    /// Returns all levels: A, B, path, comparator of A, of B.
    pub fn levels(&self) -> [u8; 5] {
        self.levels
    }

    /// Returns the buckets with these levels.
    pub(crate) const fn with_levels(levels: [u8; 5]) -> Self {
        Self { levels }
    }

    /// Takes the fuller one of each bucket and the peer's; of those that are not about the peer itself at most this much more than its own:
    /// both count the same diagnoses.
    pub(crate) fn merge(&mut self, theirs: [u8; 5], of_peer: ChannelId, most_more: u8) {
        for ((level, theirs), flag) in self.levels.iter_mut().zip(theirs).zip(Self::ORDER) {
            let is_of_peer = Suspects::of(of_peer).contains(flag);
            let most = if is_of_peer { u8::MAX } else { level.saturating_add(most_more) };
            *level = theirs.min(most).max(*level);
        }
    }

    /// Notes a suspicion.
    pub(crate) fn fill(&mut self, suspects: Suspects) {
        for (level, _) in self.levels.iter_mut().zip(Self::ORDER).filter(|(_, flag)| suspects.contains(*flag)) {
            *level = level.saturating_add(1);
        }
    }

    /// Forgets what a channel and its comparator were suspected of.
    pub(crate) fn empty(&mut self, channel: ChannelId) {
        let of_channel = Suspects::of(channel);
        for (level, _) in self.levels.iter_mut().zip(Self::ORDER).filter(|(_, flag)| of_channel.contains(*flag)) {
            *level = 0;
        }
    }

    /// A cycle of duplex is done: each `every` cycles one suspicion is forgotten.
    pub(crate) fn leak(&mut self, cycle: Cycle, every: u32) {
        if cycle.0.checked_rem(every) == Some(0) {
            for level in &mut self.levels {
                *level = level.saturating_sub(1);
            }
        }
    }

    /// Returns what was suspected more than `limit` times.
    pub(crate) fn over(&self, limit: u8) -> Suspects {
        let places = Self::ORDER.iter().zip(&self.levels);
        places.filter(|(_, level)| **level > limit).fold(Suspects::empty(), |over, (flag, _)| over | *flag)
    }

    /// Returns the one channel that is suspected too often, itself or its comparator.
    pub(crate) fn channel_over(&self, limit: u8) -> Option<ChannelId> {
        let over = self.over(limit);
        let is_over = |channel| over.intersects(Suspects::of(channel));
        match (is_over(ChannelId::A), is_over(ChannelId::B)) {
            (true, false) => Some(ChannelId::A),
            (false, true) => Some(ChannelId::B),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suspect_has_its_own_bucket_and_each_leaks() {
        let mut buckets = Buckets::default();
        for (times, suspect) in Buckets::ORDER.into_iter().enumerate() {
            for _ in 0..times {
                buckets.fill(suspect);
            }
        }
        assert_eq!(buckets.levels(), [0, 1, 2, 3, 4]);
        assert_eq!(Buckets::ORDER.map(|suspect| buckets.level(suspect)), buckets.levels());
        assert_eq!(buckets.over(2), Suspects::COMPARATOR_A | Suspects::COMPARATOR_B);
        for cycle in 1..=20 {
            buckets.leak(Cycle(cycle), 10);
        }
        assert_eq!(buckets.levels(), [0, 0, 0, 1, 2]);
        buckets.leak(Cycle(20), 0);
        assert_eq!(buckets.levels(), [0, 0, 0, 1, 2], "an interval of 0 never forgets");
    }

    #[test]
    fn a_channel_is_over_by_itself_or_by_its_comparator_but_not_by_the_path() {
        let over = |suspects: &[Suspects]| {
            let mut buckets = Buckets::default();
            suspects.iter().for_each(|suspect| buckets.fill(*suspect));
            buckets.channel_over(0)
        };
        assert_eq!(over(&[]), None);
        assert_eq!(over(&[Suspects::PATH]), None);
        assert_eq!(over(&[Suspects::PATH, Suspects::CHANNEL_B]), Some(ChannelId::B));
        assert_eq!(over(&[Suspects::COMPARATOR_A]), Some(ChannelId::A));
        assert_eq!(over(&[Suspects::CHANNEL_A, Suspects::COMPARATOR_B]), None, "which one, nobody knows");
    }

    #[test]
    fn the_fuller_bucket_counts() {
        let mut buckets = Buckets { levels: [1, 0, 3, 0, 0] };
        buckets.merge([0, 2, 1, 0, 255], ChannelId::B, 1);
        assert_eq!(buckets.levels(), [1, 2, 3, 0, 255], "what B says of itself counts in full");
        buckets.fill(Suspects::all());
        assert_eq!(buckets.levels(), [2, 3, 4, 1, 255], "each stays at its maximum");
        buckets.merge([255; 5], ChannelId::B, 1);
        assert_eq!(buckets.levels(), [3, 255, 5, 2, 255], "what it says of A is no more than a hint");
        buckets.merge([255; 5], ChannelId::B, 255);
        assert_eq!(buckets.levels(), [255; 5], "but to a channel that has just joined");
    }
}
