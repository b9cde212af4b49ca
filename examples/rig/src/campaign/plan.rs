//! Who is injected what, drawn from the seed and an index alone, so that shards add up.
//!
//! ```text
//! campaign   --cycles, in episodes of EPISODE_CYCLES; shard I/N has those whose number is I - 1 modulo N
//! episode    one simulated pair in one configuration; injections one after the other, each into a pair that is back in
//!            duplex, until the cycles are used up; after what may leave traces, another pair of the same configuration
//! injection  index = episode * MOST_INJECTIONS + its place in the episode
//! ```

use super::fault::{Class, Fault};
use super::without::Without;
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use std::str::FromStr;
use twinstep::sim::{ArbiterKind, LineModel, LinkFaults, Setup};
use twinstep::{ChannelId, Config, Mechanism};

/// Cycles after which an episode begins no more injections.
pub(crate) const EPISODE_CYCLES: u64 = 500;
/// An episode has fewer injections than that.
pub(crate) const MOST_INJECTIONS: u64 = 128;

pub(crate) const PERIOD_US: u32 = 20_000;
pub(crate) const LINK_DELAY_US: u32 = 1_000;
pub(crate) const SCRUB_BLOCKS: u16 = 8;
pub(crate) const PROBATION_CYCLES: u16 = 3;
/// Votes are exchanged within that time from the start of a cycle: a sample, a vote, and some more should the votes
/// differ.
pub(crate) const EXCHANGE_US: u64 = 4 * LINK_DELAY_US as u64;

/// A share of a campaign: `I/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1 to `of`.
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl Shard {
    #[cfg(test)]
    pub(crate) const WHOLE: Self = Self { number: 1, of: 1 };
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, of) = text.split_once('/').context("a shard is written I/N")?;
        let (number, of) = (number.parse()?, of.parse()?);
        ensure!((1..=of).contains(&number), "a shard I/N has an I from 1 to N");
        Ok(Self { number, of })
    }
}

/// What a campaign is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) cycles: u64,
    pub(crate) shard: Shard,
    /// A mechanism switched off, as a negative control.
    pub(crate) off: Option<Mechanism>,
    /// Classes of which nothing is injected.
    pub(crate) without: Without,
}

impl Plan {
    /// Returns how many episodes all shards have together.
    pub(crate) fn episodes(&self) -> u64 {
        self.cycles.div_ceil(EPISODE_CYCLES).max(1)
    }

    /// Returns the same plan of so many episodes.
    pub(crate) fn of_episodes(self, episodes: u64) -> Self {
        Self { cycles: episodes * EPISODE_CYCLES, ..self }
    }

    /// Returns an episode of this shard, counted from 0.
    pub(crate) fn of_shard(&self, at: u64) -> Option<u64> {
        let number = at.checked_mul(self.shard.of.into())?.checked_add(u64::from(self.shard.number) - 1)?;
        (number < self.episodes()).then_some(number)
    }

    /// Returns the configuration of an episode.
    pub(crate) fn setup(&self, episode: u64) -> Setup {
        let mut rng = draw(self.seed, episode, 0xE9);
        let arbiter = match rng.u32(0..6) {
            0..3 => ArbiterKind::Relay { asks: 1 },
            3 => ArbiterKind::Relay { asks: 3 },
            4 => ArbiterKind::Preferred(ChannelId::A),
            _ => ArbiterKind::Preferred(ChannelId::B),
        };
        let config = Config {
            period_us: PERIOD_US,
            vote_window_us: 14_000,
            retransmit_us: 2_500,
            hello_us: 10_000,
            link_delay_us: LINK_DELAY_US,
            patience: rng.u8(0..3),
            scrub_blocks: SCRUB_BLOCKS,
            copy_blocks: 8,
            copy_limit_ms: 4_000, // 200 cycles
            probation_cycles: PROBATION_CYCLES,
            // Injections come far more often than faults do: each is forgotten before the next.
            transient_leak_ms: 60,
            ..Config::DEFAULT
        };
        let drift_ppm = [rng.i32(-200..=200), rng.i32(-200..=200)];
        // At 921600 baud a sample's frame takes a quarter of a millisecond; the rest passes until it is seen. Slower lines
        // do as well, but at the boots the channels then wait for their UART, and no frame of an older epoch comes.
        let line = LineModel { baud: 921_600, latency_us: LINK_DELAY_US * 3 / 4, ..LineModel::UART_115200 };
        Setup { seed: rng.u64(..), config, line, link: LinkFaults::NONE, arbiter, drift_ppm, off: self.off }
    }

    /// Returns the place in [`Class::ALL`] of an injection's class, by dealing decks.
    pub(crate) fn class(&self, index: u64) -> usize {
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
    pub(crate) fn chance(&self, index: u64) -> Rng {
        draw(self.seed, index, 0x1D)
    }
}

/// Each so manieth episode begins with the fault of a boot.
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
pub(crate) fn stops_a_channel(fault: Fault) -> bool {
    use twinstep::Site;
    let stops = matches!(fault, Fault::Crash | Fault::Reset | Fault::Hang | Fault::HangForGood);
    stops || matches!(fault, Fault::Jump | Fault::Flip(Site::Times))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { seed: 3, cycles: 6_000, shard: Shard::WHOLE, off: None, without: Without::NOTHING };

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
        let dealt = (0..8).flat_map(|episode| (0..36).map(move |place| episode * MOST_INJECTIONS + place));
        let seen: std::collections::HashSet<usize> = dealt.map(|index| PLAN.class(index)).collect();
        assert_eq!(seen.len(), Class::ALL.len());
    }

    #[test]
    fn neighbours_are_drawn_apart() {
        let seen: std::collections::HashSet<u64> = (0..1000).map(|index| PLAN.chance(index).u64(..)).collect();
        assert_eq!(seen.len(), 1000);
    }
}
