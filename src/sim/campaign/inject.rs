//! Does one injection to a pair.

use super::fault::{Fault, LinkFault, Second};
use super::pace::Pace;
use super::plan::stops_a_channel;
use super::shape::Shape;
use super::target::{Act, Target};
use crate::digest::BLOCK_BYTES;
use crate::ids::ChannelId;
use crate::mode::Mode;
use crate::node::Site;
use crate::sim::{ArbiterKind, Disturbance, Failure, Moment, Setup, Silence};
use fastrand::Rng;
use std::prelude::v1::*;

pub(super) const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// What is still to be done after the injection, and how long it is watched at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aftercare {
    /// In which period after the injection a channel is restarted.
    pub(super) restart: [Option<u32>; 2],
    /// In which period disturbances end and clocks run as before.
    pub(super) calm_in: Option<u32>,
    /// Periods.
    pub(super) watch: u32,
}

impl Aftercare {
    /// Nothing is to be done. All memory is scrubbed within that time.
    pub(super) fn short(pace: &Pace) -> Self {
        Self { restart: [None; 2], calm_in: None, watch: pace.watch }
    }
}

/// Draws what a link fault does.
fn disturbance(rng: &mut Rng, fault: LinkFault, period_us: u64) -> Disturbance {
    let late_us = rng.u64(0..[period_us / 4, 3 * period_us][rng.clone().usize(0..2)]);
    match fault {
        LinkFault::Repetition => Disturbance::Repetition { late_us },
        LinkFault::Loss => Disturbance::Loss { frames: rng.u32(1..=4) },
        LinkFault::Delay => Disturbance::Delay { late_us },
        LinkFault::Insertion => Disturbance::Insertion,
        LinkFault::Masquerade => Disturbance::Masquerade,
        LinkFault::IncorrectAddressing => Disturbance::IncorrectAddressing,
        LinkFault::IncorrectSequence => Disturbance::IncorrectSequence,
        // Up to five bits are found for certain, more of them but for one in 2^32.
        LinkFault::Corruption => Disturbance::Corruption { bits: rng.u32(0..8) },
        LinkFault::AsymmetricInformation => Disturbance::AsymmetricInformation { frames: rng.u32(2..=8) },
        LinkFault::Subset => Disturbance::Subset { for_us: late_us },
        LinkFault::Blocked => Disturbance::Blocked { for_us: late_us },
        LinkFault::Stalled => Disturbance::Stalled { for_us: late_us },
        LinkFault::Slow => Disturbance::Slow { by_us: rng.u64(0..period_us / 6), for_us: 40 * period_us },
    }
}

/// Draws any of the link's faults.
pub(super) fn link_disturbance(rng: &mut Rng, period_us: u64) -> Disturbance {
    let fault = LinkFault::ALL[rng.usize(0..LinkFault::ALL.len())];
    disturbance(rng, fault, period_us)
}

/// An injection, with its chance.
pub(super) struct Injector<'s> {
    fault: Fault,
    rng: Rng,
    victim: ChannelId,
    bit: usize,
    setup: Setup,
    pace: Pace,
    shape: &'s Shape,
}

impl<'s> Injector<'s> {
    /// Draws the victim. Without an arbiter the owner's death ends the service by design: there it is the other
    /// channel that stops.
    pub(super) fn new(
        fault: Fault,
        mut rng: Rng,
        setup: &Setup,
        (pace, shape): (Pace, &'s Shape),
        owner: Option<ChannelId>,
    ) -> Self {
        let drawn = CHANNELS[rng.usize(0..2)];
        let ruled = matches!(setup.arbiter, ArbiterKind::Preferred(_));
        let victim = match (fault, owner) {
            (Fault::Sealed | Fault::Misread | Fault::Unread, Some(owner)) => owner,
            (Fault::FlipThenTakeover, Some(owner)) if ruled => owner,
            (Fault::Second(_), Some(owner)) if ruled => owner.other(),
            (_, Some(owner)) if ruled && stops_a_channel(fault) => owner.other(),
            _ => drawn,
        };
        let bit = rng.usize(..);
        Self { fault, rng, victim, bit, setup: *setup, pace, shape }
    }

    /// Goes to a moment of the cycle: anywhere in it, or half of the time within the exchange.
    pub(super) fn approach(&mut self, pair: &mut dyn Target) {
        let period_us = self.pace.period_us;
        let start = pair.view().until_start_us.into_iter().flatten().min().unwrap_or_default();
        let (dense, anywhere) = (self.rng.u64(0..self.pace.exchange_us().max(1)), self.rng.u64(0..period_us));
        let wait =
            if self.rng.bool() { start.saturating_sub(period_us / 100).min(period_us) + dense } else { anywhere };
        pair.run_us(wait);
    }

    /// Brings the pair into the state in which a second fault is to hit it; false if that does not come about: a copy of a small state may
    /// be over between two looks. `victim` has died before.
    pub(super) fn prepare(&mut self, pair: &mut dyn Target) -> bool {
        let Fault::Second(second) = self.fault else { return true };
        let is_dead = pair.act(Act::Kill(self.victim));
        self.run(pair, 2 + u32::from(self.setup.config.patience));
        if matches!(second, Second::FlipAlone | Second::StopAlone) {
            return is_dead;
        }
        pair.act(Act::Restart(self.victim));
        for _ in 0..200 {
            if pair.view().modes.contains(&Some(Mode::Joining)) {
                return true;
            }
            pair.run_us(self.pace.period_us / 8);
        }
        false
    }

    /// Injects; `None` if there was nothing at the place of the fault.
    pub(super) fn apply(&mut self, pair: &mut dyn Target) -> Option<Aftercare> {
        let (victim, short, period_us) = (self.victim, Aftercare::short(&self.pace), self.pace.period_us);
        let restart_in = |period: u32| {
            let mut restart = [None; 2];
            restart[victim.index()] = Some(period);
            restart
        };
        match self.fault {
            Fault::Flip(site) => return self.flip(pair, site).then_some(short),
            Fault::Sealed => return pair.act(Act::SpoilOutput(victim, self.bit)).then_some(short),
            Fault::Permanent(site) => {
                return self.flip(pair, site).then_some(Aftercare { restart: restart_in(4), ..short });
            }
            Fault::Crash | Fault::HangForGood => {
                let hears = self.rng.bool();
                let is_crash = self.fault == Fault::Crash;
                let failure = if is_crash { Failure::Dies } else { Failure::Hangs { for_us: None, hears } };
                let can = self.fail(pair, victim, failure);
                let restart = restart_in(2 + self.rng.u32(0..4));
                return can.then_some(Aftercare { restart, ..short });
            }
            Fault::Reset => {
                if !self.fail(pair, victim, Failure::Dies) {
                    return None;
                }
                for _ in 0..2 * 80 {
                    if pair.view().mode(victim).is_none() {
                        break;
                    }
                    pair.run_us(period_us / 80);
                }
                pair.act(Act::Kill(victim));
                pair.run_us(self.rng.u64(0..period_us / 4));
                pair.act(Act::Restart(victim));
            }
            Fault::Hang => {
                let longest = [period_us, 6 * period_us][self.rng.usize(0..2)];
                let failure = Failure::Hangs { for_us: Some(self.rng.u64(0..longest)), hears: self.rng.bool() };
                let can = self.fail(pair, victim, failure);
                return can.then_some(Aftercare { watch: short.watch.max(10), ..short });
            }
            Fault::Link(fault) => {
                let disturbance = disturbance(&mut self.rng, fault, period_us);
                let calm = Aftercare { calm_in: Some(5), watch: short.watch.max(6), ..short };
                return pair.act(Act::Disturb(victim, disturbance)).then_some(calm);
            }
            Fault::OldFrames => {
                let frames = self.rng.u32(1..=6);
                let kept = kept(pair, victim).max(1);
                let replayed = (0..frames).filter(|_| pair.act(Act::Replay(victim, self.rng.usize(0..kept)))).count();
                return (replayed > 0).then_some(short);
            }
            Fault::OlderEpoch => return self.older_epoch(pair).then_some(short),
            Fault::Drift => {
                let drift_ppm = self.rng.i32(1_000..=30_000) * [1, -1][self.rng.usize(0..2)];
                let is_set = pair.act(Act::Clock(victim, drift_ppm, 0));
                let calm_in = self.rng.u32(2..10);
                let watch = calm_in + 3;
                return is_set.then_some(Aftercare { calm_in: Some(calm_in), watch, ..short });
            }
            Fault::Jump => {
                let longest =
                    [period_us / 4, 3 * period_us, 3 * period_us, 1 << 36][self.rng.usize(0..4)].cast_signed();
                let jump_us = self.rng.i64(-longest..=longest);
                return pair.act(Act::Clock(victim, self.drift(victim), jump_us)).then_some(short);
            }
            Fault::Misread => {
                let times = self.rng.u32(1..=3);
                return pair.act(Act::Misread(victim, times)).then_some(short);
            }
            Fault::Unread => {
                let times = [self.rng.u32(1..=10), self.rng.u32(10..=200)][self.rng.usize(0..2)];
                let lasts = Aftercare { watch: short.watch + times / 2, ..short };
                return pair.act(Act::CannotTell(victim, times)).then_some(lasts);
            }
            Fault::Mute => {
                let how = [Silence::OfAnswers, Silence::OfAll][self.rng.usize(0..2)];
                if !pair.act(Act::Silence(how)) || !self.fail(pair, victim, Failure::Dies) {
                    return None;
                }
                let speaks_in = self.rng.u32(1..=3 * u32::from(self.setup.config.claim_limit));
                let restart = restart_in(speaks_in / 2 + self.rng.u32(2..20));
                let watch = short.watch + speaks_in;
                return Some(Aftercare { restart, calm_in: Some(speaks_in), watch });
            }
            Fault::Latent => return self.latent(pair).then_some(short),
            Fault::FlipThenTakeover => {
                let sites = [Site::Checkpoint, Site::Checkpoint, Site::Working, Site::Digest, Site::LastOutput];
                let site = sites[self.rng.usize(0..sites.len())];
                pair.view().mode(victim)?; // it may have died before
                pair.act(Act::Flip(victim, site, self.bit_at(site)));
                if !self.fail(pair, victim.other(), Failure::Dies) {
                    return None;
                }
                let mut restart = [None; 2];
                restart[victim.other().index()] = Some(3);
                return Some(Aftercare { restart, ..short });
            }
            Fault::Second(second) => return self.second(pair, second),
            Fault::Upgrade(_) => return None, // into a pair of its own
        }
        Some(short)
    }

    /// Lets the pair run for so many periods.
    fn run(&self, pair: &mut dyn Target, periods: u32) {
        pair.run_us(u64::from(periods) * self.pace.period_us);
    }

    /// The rate at which a channel's clock runs by itself.
    pub(super) fn drift(&self, channel: ChannelId) -> i32 {
        self.setup.drift_ppm[channel.index()]
    }

    /// Lets a channel stop at a byte of what it sends, or between two turns.
    fn fail(&mut self, pair: &mut dyn Target, channel: ChannelId, failure: Failure) -> bool {
        if self.rng.u8(0..4) == 0 {
            pair.act(Act::Stop(channel, failure))
        } else {
            pair.act(Act::StopAtByte(channel, self.rng.u64(0..=self.pace.cycle_bytes), failure))
        }
    }

    /// Returns the bit that is flipped at a place. Half of those of the state are in blocks that are often written: of a large state
    /// few others are looked at before the scrub comes to them.
    fn bit_at(&mut self, site: Site) -> usize {
        let (bits, often) = (8 * BLOCK_BYTES, &self.shape.often_written);
        let is_state = matches!(site, Site::Working | Site::Checkpoint);
        if !is_state || often.is_empty() || self.rng.bool() {
            return self.bit;
        }
        often[self.rng.usize(0..often.len())] * bits + self.bit % bits
    }

    /// Flips the bit, now or half of the time between two calls of the node, waiting up to two cycles for something to be
    /// there.
    fn flip(&mut self, pair: &mut dyn Target, site: Site) -> bool {
        if site == Site::NextSample {
            // Only of a peer that is early.
            let early = self.victim.other();
            let jump_us = 5 * self.pace.link_delay_us.cast_signed() / 2;
            pair.act(Act::Clock(early, self.drift(early), jump_us));
        }
        let (bit, mut is_within) = (self.bit_at(site), self.rng.bool());
        if is_within {
            let moments: &[Moment] = match site {
                // What has come is used at once.
                Site::PeerSample | Site::PeerVote | Site::NextSample => &[Moment::Received],
                Site::MySample | Site::SpareSample => &[Moment::Begun, Moment::Received],
                _ => &Moment::ALL,
            };
            let moment = moments[self.rng.usize(0..moments.len())];
            // A target that is not looked into so deeply is hit now.
            is_within = pair.act(Act::FlipWithin(self.victim, moment, site, bit));
        }
        for _ in 0..2 * 100 {
            let is_done = match is_within {
                true => !pair.view().flip_is_due[self.victim.index()],
                false => pair.act(Act::Flip(self.victim, site, bit)),
            };
            if is_done {
                return true;
            }
            pair.run_us(self.pace.period_us / 100);
        }
        pair.act(Act::Calm);
        false
    }

    /// Flips a bit in a block that is never written, and after more than a scrub of all memory another one of the same
    /// block, in another copy or in the other channel.
    fn latent(&mut self, pair: &mut dyn Target) -> bool {
        let bits = 8 * BLOCK_BYTES;
        let Some(most) = self.shape.never_written.len().checked_sub(1) else { return false };
        let first = self.rng.usize(0..(most + 1) * bits);
        let block = self.shape.never_written[first / bits] * bits;
        let second = block + self.rng.usize(0..bits);
        let is_working = self.rng.bool();
        let flip = |pair: &mut dyn Target, channel, is_working: bool, bit| {
            let site = if is_working { Site::Working } else { Site::Checkpoint };
            pair.act(Act::Flip(channel, site, bit))
        };
        let is_flipped = flip(pair, self.victim, is_working, block + first % bits);
        self.run(pair, self.pace.watch);
        let same_channel = self.rng.bool();
        let other = if same_channel { self.victim } else { self.victim.other() };
        is_flipped && flip(pair, other, !is_working, second)
    }

    /// Lets the first cycle of a new pair fail, and brings what was sent in it into the first cycle of the next epoch.
    fn older_epoch(&self, pair: &mut dyn Target) -> bool {
        let (b, period_us) = (ChannelId::B, self.pace.period_us);
        let in_duplex = |pair: &dyn Target| pair.view().mode(b) == Some(Mode::Duplex);
        // B is cut over first, and says so by its sample.
        let sampled = |pair: &dyn Target| in_duplex(pair) && pair.view().cycles[b.index()] == Some(1);
        if !(0..400).any(|_| {
            pair.run_us(period_us / 50);
            sampled(pair)
        }) {
            return false;
        }
        let sent = kept(pair, b);
        pair.act(Act::Cut(true));
        let starts_over = (0..400).any(|_| {
            pair.run_us(period_us / 8);
            pair.view().modes == [Some(Mode::Starting); 2]
        });
        pair.act(Act::Cut(false));
        // B is cut over again, and A waits for its first sample.
        let waits = starts_over
            && (0..800).any(|_| {
                pair.run_us(period_us / 100);
                in_duplex(pair)
            });
        let since = kept(pair, b).saturating_sub(sent);
        waits && (since..since + 3).rev().all(|age| pair.act(Act::Replay(b, age)))
    }

    fn second(&mut self, pair: &mut dyn Target, second: Second) -> Option<Aftercare> {
        let (dead, alone) = (self.victim, self.victim.other());
        let either = CHANNELS[self.rng.usize(0..2)];
        // One that stays is a class of its own.
        let passing = |site: &Site| !matches!(site, Site::StuckOutput | Site::FailingOutput);
        let sites: Vec<Site> = Site::ALL.into_iter().filter(passing).collect();
        let site = sites[self.rng.usize(0..sites.len())];
        let mut restart = [None; 2];
        let both = match second {
            Second::FlipAlone => pair.act(Act::Flip(alone, site, self.bit)).then_some([Some(3), None]),
            Second::FlipCopying => pair.act(Act::Flip(either, site, self.bit)).then_some([None; 2]),
            Second::Books => {
                let is_flipped = (0..40).any(|_| {
                    let is_flipped = pair.act(Act::Flip(either, Site::Copying, self.bit));
                    if !is_flipped {
                        pair.run_us(self.pace.period_us / 20);
                    }
                    is_flipped
                });
                is_flipped.then_some([None; 2])
            }
            Second::StopAlone => self.fail(pair, alone, Failure::Dies).then_some([Some(3), Some(4)]),
            Second::LinkCopying => {
                let faults = [LinkFault::Corruption, LinkFault::Loss, LinkFault::IncorrectSequence, LinkFault::Delay];
                let fault = faults[self.rng.usize(0..faults.len())];
                let disturbance = disturbance(&mut self.rng, fault, self.pace.period_us);
                pair.act(Act::Disturb(either, disturbance)).then_some([None; 2])
            }
            Second::StopCopying => {
                let can = self.fail(pair, either, Failure::Dies);
                can.then_some(if either == dead { [Some(3), None] } else { [None, Some(3)] })
            }
        };
        [restart[dead.index()], restart[alone.index()]] = both?;
        Some(Aftercare { restart, calm_in: Some(5), watch: self.pace.watch.max(8) })
    }
}

fn kept(pair: &dyn Target, channel: ChannelId) -> usize {
    pair.view().frames_kept[channel.index()]
}
