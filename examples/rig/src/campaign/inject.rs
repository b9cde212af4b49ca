//! Does one injection to a pair.

use super::fault::{Fault, LinkFault, Second};
use super::plan::{EXCHANGE_US, LINK_DELAY_US, PERIOD_US, stops_a_channel};
use super::program::Mill;
use fastrand::Rng;
use twinstep::sim::{ArbiterKind, Disturbance, Failure, Moment, Pair, Setup};
use twinstep::{ChannelId, Mode, Site};

pub(crate) const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
const PERIOD: u64 = PERIOD_US as u64;

/// What is still to be done after the injection, and how long it is watched at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aftercare {
    /// In which period after the injection a channel is restarted.
    pub(crate) restart: [Option<u32>; 2],
    /// In which period disturbances end and clocks run as before.
    pub(crate) calm_in: Option<u32>,
    /// Periods.
    pub(crate) watch: u32,
}

/// All memory is scrubbed within that time.
pub(crate) const SHORT: Aftercare = Aftercare { restart: [None; 2], calm_in: None, watch: 5 };

/// Draws what a link fault does.
fn disturbance(rng: &mut Rng, fault: LinkFault) -> Disturbance {
    let late_us = rng.u64(0..[PERIOD / 4, 3 * PERIOD][rng.clone().usize(0..2)]);
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
    }
}

/// Draws any of the link's faults.
pub(crate) fn link_disturbance(rng: &mut Rng) -> Disturbance {
    let fault = LinkFault::ALL[rng.usize(0..LinkFault::ALL.len())];
    disturbance(rng, fault)
}

/// An injection, with its chance.
pub(crate) struct Injector {
    pub(crate) fault: Fault,
    rng: Rng,
    pub(crate) victim: ChannelId,
    bit: usize,
    setup: Setup,
}

impl Injector {
    /// Draws the victim. Without an arbiter the owner's death ends the service by design: there it is the other
    /// channel that stops.
    pub(crate) fn new(fault: Fault, mut rng: Rng, setup: &Setup, owner: Option<ChannelId>) -> Self {
        let drawn = CHANNELS[rng.usize(0..2)];
        let ruled = matches!(setup.arbiter, ArbiterKind::Preferred(_));
        let victim = match (fault, owner) {
            (Fault::Sealed | Fault::Misread, Some(owner)) => owner,
            (Fault::FlipThenTakeover, Some(owner)) if ruled => owner,
            (Fault::Second(_), Some(owner)) if ruled => owner.other(),
            (_, Some(owner)) if ruled && stops_a_channel(fault) => owner.other(),
            _ => drawn,
        };
        let bit = rng.usize(..);
        Self { fault, rng, victim, bit, setup: *setup }
    }

    /// Goes to a moment of the cycle: anywhere in it, or half of the time within the exchange.
    pub(crate) fn approach(&mut self, pair: &mut Pair<'_, Mill>) {
        let start = CHANNELS.iter().filter_map(|channel| pair.until_start_us(*channel)).min().unwrap_or_default();
        let (dense, anywhere) = (self.rng.u64(0..EXCHANGE_US), self.rng.u64(0..PERIOD));
        let wait = if self.rng.bool() { start.saturating_sub(200).min(PERIOD) + dense } else { anywhere };
        pair.run_us(wait);
    }

    /// Brings the pair into the state in which a second fault is to hit it. `victim` has died before.
    pub(crate) fn prepare(&mut self, pair: &mut Pair<'_, Mill>) {
        let Fault::Second(second) = self.fault else { return };
        pair.kill(self.victim);
        pair.run(2 + u32::from(self.setup.config.patience));
        if matches!(second, Second::FlipAlone | Second::StopAlone) {
            return;
        }
        pair.restart(self.victim);
        for _ in 0..200 {
            if CHANNELS.iter().any(|channel| pair.mode(*channel) == Some(Mode::Joining)) {
                break;
            }
            pair.run_us(PERIOD / 8);
        }
    }

    /// Injects; `None` if there was nothing at the place of the fault.
    pub(crate) fn apply(&mut self, pair: &mut Pair<'_, Mill>) -> Option<Aftercare> {
        let victim = self.victim;
        let restart_in = |period: u32| {
            let mut restart = [None; 2];
            restart[victim.index()] = Some(period);
            restart
        };
        match self.fault {
            Fault::Flip(site) => return self.flip(pair, site).then_some(SHORT),
            Fault::Sealed => pair.spoil_next_output(victim, self.bit),
            Fault::Permanent(site) => {
                self.flip(pair, site);
                return Some(Aftercare { restart: restart_in(4), ..SHORT });
            }
            Fault::Crash | Fault::HangForGood => {
                let hears = self.rng.bool();
                let is_crash = self.fault == Fault::Crash;
                let failure = if is_crash { Failure::Dies } else { Failure::Hangs { for_us: None, hears } };
                self.fail(pair, victim, failure);
                return Some(Aftercare { restart: restart_in(2 + self.rng.u32(0..4)), ..SHORT });
            }
            Fault::Reset => {
                self.fail(pair, victim, Failure::Dies);
                for _ in 0..2 * PERIOD / 250 {
                    if pair.mode(victim).is_none() {
                        break;
                    }
                    pair.run_us(250);
                }
                pair.kill(victim);
                pair.run_us(self.rng.u64(0..PERIOD / 4));
                pair.restart(victim);
            }
            Fault::Hang => {
                let longest = [PERIOD, 6 * PERIOD][self.rng.usize(0..2)];
                let failure = Failure::Hangs { for_us: Some(self.rng.u64(0..longest)), hears: self.rng.bool() };
                self.fail(pair, victim, failure);
                return Some(Aftercare { watch: 10, ..SHORT });
            }
            Fault::Link(fault) => {
                pair.disturb(victim, disturbance(&mut self.rng, fault));
                return Some(Aftercare { calm_in: Some(5), watch: 6, ..SHORT });
            }
            Fault::OldFrames => {
                let frames = self.rng.u32(1..=6);
                let kept = pair.frames_kept(victim).max(1);
                let replayed = (0..frames).filter(|_| pair.replay(victim, self.rng.usize(0..kept))).count();
                return (replayed > 0).then_some(SHORT);
            }
            Fault::OlderEpoch => return Self::older_epoch(pair).then_some(SHORT),
            Fault::Drift => {
                let drift_ppm = self.rng.i32(1_000..=30_000) * [1, -1][self.rng.usize(0..2)];
                pair.set_clock(victim, drift_ppm, 0);
                let calm_in = self.rng.u32(2..10);
                return Some(Aftercare { calm_in: Some(calm_in), watch: calm_in + 3, ..SHORT });
            }
            Fault::Jump => {
                let longest = [PERIOD / 4, 3 * PERIOD, 3 * PERIOD, 1 << 36][self.rng.usize(0..4)].cast_signed();
                pair.set_clock(victim, self.drift(victim), self.rng.i64(-longest..=longest));
            }
            Fault::Misread => {
                let times = self.rng.u32(1..=3);
                return pair.arbiter(victim).misread(times).then_some(SHORT);
            }
            Fault::Latent => return self.latent(pair).then_some(SHORT),
            Fault::FlipThenTakeover => {
                let sites = [Site::Checkpoint, Site::Checkpoint, Site::Working, Site::Digest, Site::LastOutput];
                let site = sites[self.rng.usize(0..sites.len())];
                pair.node(victim)?.flip(site, self.bit);
                self.fail(pair, victim.other(), Failure::Dies);
                let mut restart = [None; 2];
                restart[victim.other().index()] = Some(3);
                return Some(Aftercare { restart, ..SHORT });
            }
            Fault::Second(second) => return self.second(pair, second),
            Fault::Upgrade(_) => return None, // into a pair of its own
        }
        Some(SHORT)
    }

    /// The rate at which a channel's clock runs by itself.
    pub(crate) fn drift(&self, channel: ChannelId) -> i32 {
        self.setup.drift_ppm[channel.index()]
    }

    /// Lets a channel stop at a byte of what it sends, or between two turns.
    fn fail(&mut self, pair: &mut Pair<'_, Mill>, channel: ChannelId, failure: Failure) {
        if self.rng.u8(0..4) == 0 {
            pair.fail(channel, failure);
        } else {
            pair.fail_at_byte(channel, self.rng.u64(0..=BYTES_IN_A_CYCLE), failure);
        }
    }

    /// Flips the bit, now or half of the time between two calls of the node, waiting up to two cycles for something to be
    /// there.
    fn flip(&mut self, pair: &mut Pair<'_, Mill>, site: Site) -> bool {
        if site == Site::NextSample {
            // Only of a peer that is early.
            let early = self.victim.other();
            let jump_us = 5 * i64::from(LINK_DELAY_US) / 2;
            pair.set_clock(early, self.drift(early), jump_us);
        }
        let is_within = self.rng.bool();
        if is_within {
            let moments: &[Moment] = match site {
                // What has come is used at once.
                Site::PeerSample | Site::PeerVote | Site::NextSample => &[Moment::Received],
                Site::MySample | Site::SpareSample => &[Moment::Begun, Moment::Received],
                _ => &Moment::ALL,
            };
            let moment = moments[self.rng.usize(0..moments.len())];
            pair.flip_within_turn(self.victim, moment, site, self.bit);
        }
        for _ in 0..2 * PERIOD / 200 {
            let is_done = match is_within {
                true => !pair.is_flip_due(self.victim),
                false => pair.node(self.victim).is_some_and(|node| node.flip(site, self.bit)),
            };
            if is_done {
                return true;
            }
            pair.run_us(200);
        }
        pair.calm();
        false
    }

    /// Flips a bit in a block that is never written, and after more than a scrub of all memory another one of the same
    /// block, in another copy or in the other channel.
    fn latent(&mut self, pair: &mut Pair<'_, Mill>) -> bool {
        let bits = 8 * 64;
        let never_written = 8 * bits..16 * bits;
        let first = self.rng.usize(never_written);
        let second = first / bits * bits + self.rng.usize(0..bits);
        let is_working = self.rng.bool();
        let flip = |pair: &mut Pair<'_, Mill>, channel, is_working: bool, bit| {
            let site = if is_working { Site::Working } else { Site::Checkpoint };
            pair.node(channel).is_some_and(|node| node.flip(site, bit))
        };
        let is_flipped = flip(pair, self.victim, is_working, first);
        pair.run(5);
        let same_channel = self.rng.bool();
        let other = if same_channel { self.victim } else { self.victim.other() };
        is_flipped && flip(pair, other, !is_working, second)
    }

    /// Lets the first cycle of a new pair fail, and brings what was sent in it into the first cycle of the next epoch.
    fn older_epoch(pair: &mut Pair<'_, Mill>) -> bool {
        let in_duplex = |pair: &Pair<'_, Mill>, channel| pair.mode(channel) == Some(Mode::Duplex);
        // B is cut over first, and says so by its sample.
        let sampled = |pair: &mut Pair<'_, Mill>| {
            in_duplex(pair, ChannelId::B) && pair.node(ChannelId::B).is_some_and(|node| node.cycle().0 == 1)
        };
        if !(0..400).any(|_| {
            pair.run_us(PERIOD / 50);
            sampled(pair)
        }) {
            return false;
        }
        let sent = pair.frames_kept(ChannelId::B);
        pair.cut(true);
        let starts_over = (0..400).any(|_| {
            pair.run_us(PERIOD / 8);
            CHANNELS.iter().all(|channel| pair.mode(*channel) == Some(Mode::Starting))
        });
        pair.cut(false);
        // B is cut over again, and A waits for its first sample.
        let waits = starts_over
            && (0..800).any(|_| {
                pair.run_us(PERIOD / 100);
                in_duplex(pair, ChannelId::B)
            });
        let since = pair.frames_kept(ChannelId::B).saturating_sub(sent);
        waits && (since..since + 3).rev().all(|age| pair.replay(ChannelId::B, age))
    }

    fn second(&mut self, pair: &mut Pair<'_, Mill>, second: Second) -> Option<Aftercare> {
        let (dead, alone) = (self.victim, self.victim.other());
        let either = CHANNELS[self.rng.usize(0..2)];
        // One that stays is a class of its own.
        let passing = |site: &Site| !matches!(site, Site::StuckOutput | Site::FailingOutput);
        let sites: Vec<Site> = Site::ALL.into_iter().filter(passing).collect();
        let site = sites[self.rng.usize(0..sites.len())];
        let mut restart = [None; 2];
        let both = match second {
            Second::FlipAlone => pair.node(alone)?.flip(site, self.bit).then_some([Some(3), None]),
            Second::FlipCopying => pair.node(either)?.flip(site, self.bit).then_some([None; 2]),
            Second::Books => {
                let is_flipped = (0..40).any(|_| {
                    let is_flipped = pair.node(either).is_some_and(|node| node.flip(Site::Copying, self.bit));
                    if !is_flipped {
                        pair.run_us(PERIOD / 20);
                    }
                    is_flipped
                });
                is_flipped.then_some([None; 2])
            }
            Second::StopAlone => {
                self.fail(pair, alone, Failure::Dies);
                Some([Some(3), Some(4)])
            }
            Second::LinkCopying => {
                let faults = [LinkFault::Corruption, LinkFault::Loss, LinkFault::IncorrectSequence, LinkFault::Delay];
                let fault = faults[self.rng.usize(0..faults.len())];
                let disturbance = disturbance(&mut self.rng, fault);
                pair.disturb(either, disturbance);
                Some([None; 2])
            }
            Second::StopCopying => {
                self.fail(pair, either, Failure::Dies);
                Some(if either == dead { [Some(3), None] } else { [None, Some(3)] })
            }
        };
        [restart[dead.index()], restart[alone.index()]] = both?;
        Some(Aftercare { restart, calm_in: Some(5), watch: 8 })
    }
}

/// A sample and a vote, some of it again.
const BYTES_IN_A_CYCLE: u64 = 100;
