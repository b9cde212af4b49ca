//! Who is injected what, drawn from the seed and an index alone, so that shards add up.
//!
//! ```text
//! campaign   --cycles, in episodes of so many cycles; shard I/N has those whose number is I - 1 modulo N
//! episode    one simulated pair in one configuration; injections one after the other, each into a pair that is back in
//!            duplex, until the cycles are used up; after what may leave traces, another pair of the same configuration
//! injection  index = episode * MOST_INJECTIONS + its place in the episode
//! ```

use super::fault::{Class, Fault};
use super::without::Without;
use crate::mechanism::Mechanism;
use core::fmt;
use core::str::FromStr;
use fastrand::Rng;
use std::prelude::v1::*;

/// An episode has fewer injections than that.
pub(super) const MOST_INJECTIONS: u64 = 128;

/// A share of a campaign: `I/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `of`.
    pub number: u32,
    /// How many shares there are.
    pub of: u32,
}

impl Shard {
    /// The only share.
    pub const WHOLE: Self = Self { number: 1, of: 1 };
}

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(text: &str) -> Result<Self, BadShard> {
        let (number, of) = text.split_once('/').ok_or(BadShard)?;
        let shard = Self { number: number.parse().map_err(|_| BadShard)?, of: of.parse().map_err(|_| BadShard)? };
        if shard.is_sound() { Ok(shard) } else { Err(BadShard) }
    }
}

impl Shard {
    pub(super) const fn is_sound(self) -> bool {
        1 <= self.number && self.number <= self.of
    }
}

/// A text that is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadShard;

impl fmt::Display for BadShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shard is written I/N, with an I from 1 to N")
    }
}

impl core::error::Error for BadShard {}

/// What a campaign is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) cycles: u64,
    pub(super) shard: Shard,
    /// A mechanism switched off, as a negative control.
    pub(super) off: Option<Mechanism>,
    /// Classes of which nothing is injected.
    pub(super) without: Without,
    /// Cycles after which an episode begins no more injections.
    pub(super) episode_cycles: u64,
}

impl Plan {
    /// Returns how many episodes all shards have together.
    pub(super) fn episodes(&self) -> u64 {
        self.cycles.div_ceil(self.episode_cycles.max(1)).max(1)
    }

    /// Returns the same plan of so many episodes.
    pub(super) fn of_episodes(self, episodes: u64) -> Self {
        Self { cycles: episodes * self.episode_cycles, ..self }
    }

    /// Returns an episode of this shard, counted from 0.
    pub(super) fn of_shard(&self, at: u64) -> Option<u64> {
        let number = at.checked_mul(self.shard.of.into())?.checked_add(u64::from(self.shard.number) - 1)?;
        (number < self.episodes()).then_some(number)
    }

    /// Returns the chance by which the configuration of an episode is drawn.
    pub(super) fn chance_of_setup(&self, episode: u64) -> Rng {
        draw(self.seed, episode, 0xE9)
    }

    /// Returns the place in [`Class::ALL`] of an injection's class, by dealing decks.
    pub(super) fn class(&self, index: u64) -> usize {
        let (episode, place) = (index / MOST_INJECTIONS, index % MOST_INJECTIONS);
        if place == 0 && episode.is_multiple_of(BOOTS_EACH) {
            return Class::of_boot();
        }
        let mut deck: Vec<usize> = Vec::new();
        for (class, of_class) in Class::ALL.iter().enumerate() {
            deck.extend(std::iter::repeat_n(class, of_class.weight as usize));
        }
        // An episode comes about so far; the next goes on there. Each deck is shuffled anew.
        let (at, cards) = (episode * DEALT_IN_AN_EPISODE + place, deck.len().max(1) as u64);
        draw(self.seed, at / cards, 0xDEC).shuffle(&mut deck);
        deck.get((at % cards) as usize).copied().unwrap_or_default()
    }

    /// Returns the chance of one injection.
    pub(super) fn chance(&self, index: u64) -> Rng {
        draw(self.seed, index, 0x1D)
    }
}

/// Every fourth episode begins with the fault of a boot.
const BOOTS_EACH: u64 = 4;
/// About as many injections as an episode has.
const DEALT_IN_AN_EPISODE: u64 = 47;

fn draw(seed: u64, index: u64, purpose: u64) -> Rng {
    let mut mixed =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.wrapping_mul(0xD134_2543_DE82_EF95) ^ purpose << 56;
    for _ in 0..2 {
        mixed = (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    }
    Rng::with_seed(mixed ^ mixed >> 32)
}

/// Whether a fault stops the outputs if it hits the owner of a pair without an arbiter.
pub(super) fn stops_a_channel(fault: Fault) -> bool {
    use crate::node::Site;
    let stops = matches!(fault, Fault::Crash | Fault::Reset | Fault::Hang | Fault::HangForGood);
    stops || matches!(fault, Fault::Jump | Fault::Flip(Site::Times))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan =
        Plan { seed: 3, cycles: 6_000, shard: Shard::WHOLE, off: None, without: Without::NOTHING, episode_cycles: 500 };

    fn of_shard(plan: &Plan) -> Vec<u64> {
        (0..).map_while(|at| plan.of_shard(at)).collect()
    }

    #[test]
    fn shards_are_all_episodes_once() {
        let mut all: Vec<u64> =
            (1..=3).flat_map(|number| of_shard(&Plan { shard: Shard { number, of: 3 }, ..PLAN })).collect();
        all.sort_unstable();
        assert_eq!(all, (0..PLAN.episodes()).collect::<Vec<_>>());
        assert_eq!(of_shard(&PLAN), all);
    }

    #[test]
    fn a_shard_is_written_i_of_n() {
        assert_eq!("2/3".parse::<Shard>().unwrap(), Shard { number: 2, of: 3 });
        for bad in ["0/3", "4/3", "3", "a/b", "1/0"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_few_episodes_deal_every_class() {
        let dealt = (0..16).flat_map(|episode| (0..36).map(move |place| episode * MOST_INJECTIONS + place));
        let seen: std::collections::HashSet<usize> = dealt.map(|index| PLAN.class(index)).collect();
        assert_eq!(seen.len(), Class::ALL.len());
    }

    #[test]
    fn neighbours_are_drawn_apart() {
        let seen: std::collections::HashSet<u64> = (0..1000).map(|index| PLAN.chance(index).u64(..)).collect();
        assert_eq!(seen.len(), 1000);
    }
}
