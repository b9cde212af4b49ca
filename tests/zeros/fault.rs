//! Each thing that can be done to a simulated pair, once, to a pair in duplex; and what is done afterwards.

use crate::support::{Drive, Servo};
use fastrand::Rng;
use twinstep::sim::{Disturbance, Failure, LinkFaults, Moment, Pair, Setup, Silence};
use twinstep::wire::Kind;
use twinstep::{ChannelId, Mode, Site};

/// Longer than any fault but those that last.
const AFTERWARDS: u32 = 24;

/// A pair in duplex at a drawn moment of a cycle.
pub struct Scene<'p, 'm> {
    pub pair: &'p mut Pair<'m, Servo>,
    pub rng: Rng,
    pub victim: ChannelId,
    pub setup: Setup,
    /// There was something at the place of the fault.
    pub is_hit: bool,
}

/// A fault, with its chance.
pub type Fault = fn(&mut Scene<'_, '_>);

impl Scene<'_, '_> {
    pub fn period_us(&self) -> u64 {
        self.setup.config.period_us.into()
    }

    /// Goes to a moment: anywhere in the cycle, or half of the time within the exchange.
    pub fn approach(&mut self) {
        let start_us = self.pair.until_start_us(self.victim).unwrap();
        let exchange_us = u64::from(self.setup.config.link_delay_us) * 3;
        let anywhere = self.rng.u64(0..self.period_us());
        let within = start_us + self.rng.u64(0..exchange_us);
        self.pair.run_us(if self.rng.bool() { within } else { anywhere });
    }

    pub fn end(&mut self) {
        self.pair.run(AFTERWARDS);
    }

    /// Up to three periods, half of the time less than a quarter of one.
    fn time_us(&mut self) -> u64 {
        let longest = [self.period_us() / 4, 3 * self.period_us()][self.rng.usize(0..2)];
        self.rng.u64(0..longest)
    }

    fn disturb(&mut self, disturbance: Disturbance) {
        self.pair.disturb(self.victim, disturbance);
    }

    /// Restarts the victim after some periods, however it stopped.
    fn restart(&mut self) {
        let periods = self.rng.u32(2..6);
        self.pair.run(periods);
        self.pair.kill(self.victim);
        self.pair.restart(self.victim);
    }

    /// A byte of a cycle's frames.
    fn byte(&mut self) -> u64 {
        self.rng.u64(0..150)
    }

    /// Flips a bit of one of these places within a turn in the next two cycles.
    fn flip(&mut self, sites: &[Site]) {
        let site = sites[self.rng.usize(0..sites.len())];
        let moments: &[Moment] = match site {
            // What has come is used at once.
            Site::PeerSample | Site::PeerVote | Site::NextSample => &[Moment::Received],
            Site::MySample | Site::SpareSample => &[Moment::Begun, Moment::Received],
            _ => &Moment::ALL,
        };
        if site == Site::NextSample {
            // Only a peer that is early sends it so soon.
            let (early, ahead_us) = (self.victim.other(), i64::from(self.setup.config.link_delay_us) * 5 / 2);
            self.pair.set_clock(early, self.setup.drift_ppm[early.index()], ahead_us);
        }
        let (moment, bit) = (moments[self.rng.usize(0..moments.len())], self.rng.usize(..));
        self.pair.flip_within_turn(self.victim, moment, site, bit);
        self.pair.run(2);
        self.is_hit = !self.pair.is_flip_due(self.victim);
        self.pair.calm();
    }
}

pub fn nothing(_: &mut Scene<'_, '_>) {}

pub fn kill(scene: &mut Scene<'_, '_>) {
    scene.pair.kill(scene.victim);
    scene.restart();
}

pub fn kill_at_frame(scene: &mut Scene<'_, '_>) {
    let frame = scene.pair.frames_sent() + scene.rng.u64(0..6);
    scene.pair.kill_at_frame(scene.victim, frame);
    scene.restart();
}

pub fn dies_at_byte(scene: &mut Scene<'_, '_>) {
    let byte = scene.byte();
    scene.pair.fail_at_byte(scene.victim, byte, Failure::Dies);
    scene.restart();
}

fn hang(scene: &mut Scene<'_, '_>) -> Failure {
    let longest = [scene.period_us(), 6 * scene.period_us()][scene.rng.usize(0..2)];
    Failure::Hangs { for_us: Some(scene.rng.u64(0..longest)), hears: scene.rng.bool() }
}

pub fn hangs_at_byte(scene: &mut Scene<'_, '_>) {
    let (byte, failure) = (scene.byte(), hang(scene));
    scene.pair.fail_at_byte(scene.victim, byte, failure);
}

pub fn hangs_for_good_at_byte(scene: &mut Scene<'_, '_>) {
    let (byte, hears) = (scene.byte(), scene.rng.bool());
    scene.pair.fail_at_byte(scene.victim, byte, Failure::Hangs { for_us: None, hears });
    scene.restart();
}

pub fn hangs(scene: &mut Scene<'_, '_>) {
    let failure = hang(scene);
    scene.pair.fail(scene.victim, failure);
}

pub fn repetition(scene: &mut Scene<'_, '_>) {
    let late_us = scene.time_us();
    scene.disturb(Disturbance::Repetition { late_us });
}

pub fn loss(scene: &mut Scene<'_, '_>) {
    let frames = scene.rng.u32(1..=4);
    scene.disturb(Disturbance::Loss { frames });
}

pub fn delay(scene: &mut Scene<'_, '_>) {
    let late_us = scene.time_us();
    scene.disturb(Disturbance::Delay { late_us });
}

pub fn insertion(scene: &mut Scene<'_, '_>) {
    scene.disturb(Disturbance::Insertion);
}

pub fn masquerade(scene: &mut Scene<'_, '_>) {
    scene.disturb(Disturbance::Masquerade);
}

pub fn incorrect_addressing(scene: &mut Scene<'_, '_>) {
    scene.disturb(Disturbance::IncorrectAddressing);
}

pub fn incorrect_sequence(scene: &mut Scene<'_, '_>) {
    scene.disturb(Disturbance::IncorrectSequence);
}

pub fn corruption(scene: &mut Scene<'_, '_>) {
    let bits = scene.rng.u32(0..8);
    scene.disturb(Disturbance::Corruption { bits });
}

pub fn asymmetric_information(scene: &mut Scene<'_, '_>) {
    let frames = scene.rng.u32(2..=8);
    scene.disturb(Disturbance::AsymmetricInformation { frames });
}

pub fn subset(scene: &mut Scene<'_, '_>) {
    let for_us = scene.time_us();
    scene.disturb(Disturbance::Subset { for_us });
}

pub fn stalled(scene: &mut Scene<'_, '_>) {
    let for_us = scene.time_us();
    scene.disturb(Disturbance::Stalled { for_us });
}

pub fn blocked(scene: &mut Scene<'_, '_>) {
    let for_us = scene.time_us();
    scene.disturb(Disturbance::Blocked { for_us });
}

pub fn slow(scene: &mut Scene<'_, '_>) {
    let (by_us, for_us) = (scene.rng.u64(0..scene.period_us() / 4), scene.time_us());
    scene.disturb(Disturbance::Slow { by_us, for_us });
}

/// The row of each disturbance. A new one does not compile until it has a row.
pub fn disturbance_row(disturbance: Disturbance) -> &'static str {
    match disturbance {
        Disturbance::Repetition { .. } => "`disturb`: `Repetition`",
        Disturbance::Loss { .. } => "`disturb`: `Loss`",
        Disturbance::Delay { .. } => "`disturb`: `Delay`",
        Disturbance::Insertion => "`disturb`: `Insertion`",
        Disturbance::Masquerade => "`disturb`: `Masquerade`",
        Disturbance::IncorrectAddressing => "`disturb`: `IncorrectAddressing`",
        Disturbance::IncorrectSequence => "`disturb`: `IncorrectSequence`",
        Disturbance::Corruption { .. } => "`disturb`: `Corruption`",
        Disturbance::AsymmetricInformation { .. } => "`disturb`: `AsymmetricInformation`",
        Disturbance::Subset { .. } => "`disturb`: `Subset`",
        Disturbance::Stalled { .. } => "`disturb`: `Stalled`",
        Disturbance::Slow { .. } => "`disturb`: `Slow`",
        Disturbance::Blocked { .. } => "`disturb`: `Blocked`",
    }
}

pub fn replay(scene: &mut Scene<'_, '_>) {
    let kept = scene.pair.frames_kept(scene.victim);
    for _ in 0..scene.rng.u32(1..=6) {
        let age = scene.rng.usize(0..kept);
        assert!(scene.pair.replay(scene.victim, age));
    }
}

pub fn cut(scene: &mut Scene<'_, '_>) {
    scene.pair.cut(true);
    let for_us = scene.time_us();
    scene.pair.run_us(for_us);
    scene.pair.cut(false);
}

pub fn noisy_link(scene: &mut Scene<'_, '_>) {
    scene.pair.set_link(LinkFaults::NOISY);
    scene.pair.run(5);
    scene.pair.set_link(LinkFaults::NONE);
}

pub fn lose_next(scene: &mut Scene<'_, '_>) {
    let kinds = [Kind::Sample, Kind::Vote];
    scene.pair.lose_next(kinds[scene.rng.usize(0..2)]);
}

pub fn flip_value(scene: &mut Scene<'_, '_>) {
    scene.flip(&sites_of(Place::Value));
}

pub fn flip_state(scene: &mut Scene<'_, '_>) {
    scene.flip(&sites_of(Place::State));
}

pub fn flip_control_data(scene: &mut Scene<'_, '_>) {
    scene.flip(&sites_of(Place::ControlData));
}

pub fn flip_times(scene: &mut Scene<'_, '_>) {
    scene.flip(&sites_of(Place::Times));
}

pub fn flip_books(scene: &mut Scene<'_, '_>) {
    scene.flip(&sites_of(Place::Books));
}

pub fn flip_comparator(scene: &mut Scene<'_, '_>) {
    scene.flip(&sites_of(Place::Comparator));
}

pub fn stuck_output(scene: &mut Scene<'_, '_>) {
    scene.flip(&[Site::StuckOutput]);
}

pub fn failing_output(scene: &mut Scene<'_, '_>) {
    scene.flip(&[Site::FailingOutput]);
}

/// What kind of a place a bit is flipped in.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Value,
    State,
    ControlData,
    Times,
    Books,
    Comparator,
    /// Stays: a row of its own.
    Permanent,
    /// There only in a copy, so as a second fault.
    Copy,
}

/// A new site does not compile until it has a place.
fn place(site: Site) -> Place {
    match site {
        Site::Output
        | Site::AgreedInput
        | Site::MySample
        | Site::SpareSample
        | Site::PeerSample
        | Site::NextSample
        | Site::MyVote
        | Site::PeerVote
        | Site::LastOutput => Place::Value,
        Site::Working | Site::Checkpoint | Site::Digest => Place::State,
        Site::Control | Site::ControlInStep => Place::ControlData,
        Site::Times => Place::Times,
        Site::Marks | Site::Scrub => Place::Books,
        Site::Comparator => Place::Comparator,
        Site::StuckOutput | Site::FailingOutput => Place::Permanent,
        Site::Copying => Place::Copy,
    }
}

fn sites_of(kind: Place) -> Vec<Site> {
    Site::ALL.into_iter().filter(|site| place(*site) == kind).collect()
}

/// In the books of a donor or a joiner, after a death and a restart.
pub fn flip_copy_books(scene: &mut Scene<'_, '_>) {
    scene.pair.kill(scene.victim);
    scene.restart();
    for _ in 0..200 {
        if scene.pair.mode(scene.victim) == Some(Mode::Joining) {
            break;
        }
        scene.pair.run_us(scene.period_us() / 8);
    }
    let either = [scene.victim, scene.victim.other()][scene.rng.usize(0..2)];
    let bit = scene.rng.usize(..);
    scene.is_hit = (0..40).any(|_| {
        let is_hit = scene.pair.node_mut(either).is_some_and(|node| node.flip(Site::Copying, bit));
        if !is_hit {
            scene.pair.run_us(scene.period_us() / 20);
        }
        is_hit
    });
}

pub fn spoil_next_output(scene: &mut Scene<'_, '_>) {
    let bit = scene.rng.usize(..);
    for channel in [ChannelId::A, ChannelId::B] {
        scene.pair.spoil_next_output(channel, bit);
    }
    scene.pair.run(2);
    scene.pair.calm();
}

pub fn damage_next_release(scene: &mut Scene<'_, '_>) {
    for channel in [ChannelId::A, ChannelId::B] {
        scene.pair.damage_next_release(channel, |drive: &mut Drive| drive.torque = !drive.torque);
    }
    scene.pair.run(2);
    scene.pair.calm();
}

pub fn clock_drifts(scene: &mut Scene<'_, '_>) {
    let drift_ppm = scene.rng.i32(1_000..=30_000) * [1, -1][scene.rng.usize(0..2)];
    scene.pair.set_clock(scene.victim, drift_ppm, 0);
    scene.pair.run(6);
    scene.pair.set_clock(scene.victim, scene.setup.drift_ppm[scene.victim.index()], 0);
}

pub fn clock_jumps(scene: &mut Scene<'_, '_>) {
    let period_us = scene.period_us().cast_signed();
    let longest = [period_us / 4, 3 * period_us, 1 << 36][scene.rng.usize(0..3)];
    let jump_us = scene.rng.i64(-longest..=longest);
    scene.pair.set_clock(scene.victim, scene.setup.drift_ppm[scene.victim.index()], jump_us);
}

pub fn misread(scene: &mut Scene<'_, '_>) {
    let (owner, times) = (scene.pair.owner().unwrap(), scene.rng.u32(1..=3));
    assert!(scene.pair.arbiter(owner).misread(times));
}

pub fn cannot_tell(scene: &mut Scene<'_, '_>) {
    let (owner, times) = (scene.pair.owner().unwrap(), scene.rng.u32(1..=200));
    assert!(scene.pair.arbiter(owner).cannot_tell(times));
}

pub fn falls_silent(scene: &mut Scene<'_, '_>) {
    let how = [Silence::OfAnswers, Silence::OfAll][scene.rng.usize(0..2)];
    assert!(scene.pair.arbiter(scene.victim).fall_silent(how));
    scene.pair.kill(scene.victim);
    scene.pair.run(scene.rng.u32(1..=30));
    scene.pair.arbiter(scene.victim).fall_silent(Silence::None);
    scene.pair.restart(scene.victim);
    scene.pair.run(40);
}
