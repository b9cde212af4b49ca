//! One fault in a simulated pair in duplex, at a moment counted from the start of a cycle, and what
//! came of it.

use crate::support::{Servo, sensor};
use twinstep::journal::Counters;
use twinstep::sim::{ArbiterKind, LineModel, Pair, Report, Setup, Storage};
use twinstep::wire::Kind;
use twinstep::{ChannelId, Config, Cycle, Diagnosis, Event, FirstFault, Mechanism, Mode, Site, Unattributed};
use zerocopy::IntoBytes;

pub const PERIOD_US: u32 = 30_000;
pub const LINK_DELAY_US: u64 = 1_500;
/// Moments within a cycle are counted in link delays: each frame takes the same time, however long it is.
pub const LINE: LineModel = LineModel { latency_us: LINK_DELAY_US as u32, ..LineModel::INSTANT };
pub const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
/// The owner is A, B, and A by a rule.
pub const ARBITERS: [ArbiterKind; 3] =
    [ArbiterKind::Relay { asks: 1 }, ArbiterKind::Preferred(ChannelId::B), ArbiterKind::Preferred(ChannelId::A)];
/// Cycles after the fault: enough for the scrub to come round.
const AFTERWARDS: u32 = 8;

pub fn config() -> Config {
    Config {
        period_us: PERIOD_US,
        vote_window_us: 21_000,
        retransmit_us: 2_500,
        hello_us: 15_000,
        link_delay_us: LINK_DELAY_US as u32,
        ..Config::DEFAULT
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub seed: u64,
    pub site: Site,
    pub victim: ChannelId,
    pub bit: usize,
    /// From the start of the victim's cycle.
    pub at_us: u64,
    pub arbiter: ArbiterKind,
    pub unattributed: Unattributed,
    pub transient_limit: u8,
    /// The next frame of this kind, of either channel, is lost.
    pub loses: Option<Kind>,
    pub off: Option<Mechanism>,
}

impl Case {
    /// A case picked by its seed: victim, arbiter, bit, and a moment in the first 6 ms.
    pub fn of_seed(seed: u64, site: Site) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            seed,
            site,
            victim: CHANNELS[seed as usize % 2],
            bit: rng.usize(..),
            at_us: rng.u64(0..6_000),
            arbiter: ARBITERS[seed as usize / 2 % 3],
            unattributed: Unattributed::Safe,
            transient_limit: Config::DEFAULT.transient_limit,
            loses: None,
            off: None,
        }
    }

    pub fn config(&self) -> Config {
        Config { unattributed: self.unattributed, transient_limit: self.transient_limit, ..config() }
    }

    /// Lets the fault happen, and some more cycles pass.
    pub fn run(&self) -> Ending {
        self.with_pair(|pair, hit| {
            pair.run(AFTERWARDS);
            to_quiet(pair);
            Ending::of(pair, hit)
        })
    }

    /// Brings a pair into duplex, lets the fault happen, and hands the pair over.
    pub fn with_pair<R>(&self, then: impl FnOnce(&mut Pair<'_, Servo>, bool) -> R) -> R {
        self.with_clean_pair(|pair| {
            if let Some(kind) = self.loses {
                pair.lose_next(kind);
            }
            pair.run_us(self.at_us);
            let hit = pair.node_mut(self.victim).unwrap().flip(self.site, self.bit);
            then(pair, hit)
        })
    }

    /// Brings a pair into duplex, to the start of a cycle of the victim.
    pub fn with_clean_pair<R>(&self, then: impl FnOnce(&mut Pair<'_, Servo>) -> R) -> R {
        let Self { seed, off, arbiter, .. } = *self;
        let setup = Setup { seed, config: self.config(), line: LINE, off, arbiter, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(self.seed)).unwrap();
        pair.run(8 + (self.seed % 5) as u32);
        to_next_start(&mut pair, self.victim);
        then(&mut pair)
    }
}

/// Runs until a channel is about to begin a cycle.
pub fn to_next_start(pair: &mut Pair<'_, Servo>, channel: ChannelId) {
    let now = pair.local_time(channel);
    let wait_us = pair.node(channel).unwrap().next_start().since_us(now);
    pair.run_us(wait_us.max(0).cast_unsigned().into());
}

/// Runs until a cycle is over on both channels, if they are in duplex.
pub fn to_quiet(pair: &mut Pair<'_, Servo>) {
    to_next_start(pair, ChannelId::A);
    pair.run_us(10 * LINK_DELAY_US);
}

/// What one channel says afterwards.
#[derive(Clone, Debug)]
pub struct Side {
    pub mode: Mode,
    pub cycle: Cycle,
    pub counters: Counters,
    pub levels: [u8; 5],
    pub events: Vec<Event>,
    pub first_fault: Option<FirstFault>,
    pub memory: [Vec<u8>; 2],
}

impl Side {
    pub fn of(pair: &mut Pair<'_, Servo>, channel: ChannelId) -> Self {
        let node = pair.node_mut(channel).unwrap();
        let blocks = 0..node.memory().blocks();
        let checkpoint: Vec<u8> = blocks.flat_map(|block| node.memory().block(block).unwrap().to_vec()).collect();
        Self {
            mode: node.mode(),
            cycle: node.cycle(),
            counters: *node.counters(),
            levels: node.buckets().levels(),
            first_fault: node.first_fault().copied(),
            memory: [node.state().as_bytes().to_vec(), checkpoint],
            events: std::iter::from_fn(|| node.read_event()).map(|entry| entry.event).collect(),
        }
    }

    pub fn diagnoses(&self) -> Vec<Diagnosis> {
        let diagnosis = |event: &Event| if let Event::Diagnosed(found) = event { Some(*found) } else { None };
        self.events.iter().filter_map(diagnosis).collect()
    }

    /// How often this channel mended something without a word of the peer.
    pub fn mended(&self) -> u32 {
        let counted = &self.counters;
        counted.repairs() + counted.sample_repairs + counted.control_repairs + counted.recommitted
    }
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Ending {
    /// There was something to flip.
    pub hit: bool,
    pub report: Report,
    pub sides: [Side; 2],
}

impl Ending {
    pub fn of(pair: &mut Pair<'_, Servo>, hit: bool) -> Self {
        let sides = CHANNELS.map(|channel| Side::of(pair, channel));
        Self { hit, report: pair.report(), sides }
    }

    pub fn side(&self, channel: ChannelId) -> &Side {
        &self.sides[channel.index()]
    }

    pub fn modes(&self) -> [Mode; 2] {
        self.sides.each_ref().map(|side| side.mode)
    }

    /// Returns what is not as it must be after a fault that is masked, if anything.
    pub fn unmasked(&self, case: &Case) -> Option<&'static str> {
        // The region digest itself may be what is damaged, until it is mended.
        let may_differ = case.site == Site::Digest;
        let [a, b] = &self.sides;
        let report = &self.report;
        let cycles = a.cycle.0.max(b.cycle.0);
        [
            (report.wrong > 0, "a wrong output was released"),
            (report.missing > 0, "a cycle is missing"),
            (report.released + 2 < cycles, "the outputs stopped"),
            (report.held > 0, "a cycle was held"),
            (report.safe > 0, "the safe output was released"),
            (report.damaged > 0, "an output was damaged"),
            (report.takeovers > 0, "a channel took over"),
            (report.self_exclusions > 0, "a channel left"),
            (report.unvoted_in_duplex > 0, "an output was released that not both had voted for"),
            (report.incongruent > 0 && !may_differ, "the states of two settled channels differ"),
            (self.modes() != [Mode::Duplex; 2], "the redundancy is gone"),
            (self.modes() == [Mode::Duplex; 2] && a.cycle == b.cycle && a.memory != b.memory, "memory differs"),
        ]
        .into_iter()
        .find_map(|(is_so, what)| is_so.then_some(what))
    }

    #[track_caller]
    pub fn assert_masked(&self, case: &Case) {
        if let Some(complaint) = self.unmasked(case) {
            panic!("{complaint}: {case:?}\n{:?}\n{:?}\n{:?}", self.report, self.sides[0].events, self.sides[1].events);
        }
    }
}
