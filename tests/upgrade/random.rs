//! One fault after the other, at random moments of upgrade after upgrade: the link's, a flipped bit, a death, a hang.

use super::faults::go_on;
use super::successor::SOUND;
use super::*;
use fastrand::Rng;
use twinstep::sim::{Disturbance, Failure, Moment};
use twinstep::{Mechanism, Site};

const STEPS: [Step; 8] = [
    Step::Prepare,
    Step::Split,
    Step::OldDrives,
    Step::Switchover,
    Step::NewDrives,
    Step::Commit,
    Step::Merge,
    Step::Abort,
];

fn disturbance(rng: &mut Rng) -> Disturbance {
    match rng.u8(0..13) {
        0 => Disturbance::Repetition { late_us: rng.u64(0..60_000) },
        1 => Disturbance::Loss { frames: rng.u32(1..8) },
        2 => Disturbance::Delay { late_us: rng.u64(0..60_000) },
        3 => Disturbance::Insertion,
        4 => Disturbance::Masquerade,
        5 => Disturbance::IncorrectAddressing,
        6 => Disturbance::IncorrectSequence,
        7 => Disturbance::Corruption { bits: rng.u32(0..6) },
        8 => Disturbance::AsymmetricInformation { frames: rng.u32(1..8) },
        9 | 10 => Disturbance::Stalled { for_us: rng.u64(0..60_000) },
        11 => Disturbance::Subset { for_us: rng.u64(0..100_000) },
        _ => Disturbance::Blocked { for_us: rng.u64(0..100_000) },
    }
}

fn drawn(rng: &mut Rng, seed: u64) -> Setup {
    let arbiter = if rng.u8(0..4) == 0 { ArbiterKind::Relay { asks: 3 } } else { ArbiterKind::Relay { asks: 1 } };
    let made = with_arbiter(seed, arbiter);
    let config = Config { patience: rng.u8(0..3), ..made.config };
    Setup { config, drift_ppm: [rng.i32(-200..=200), rng.i32(-200..=200)], ..made }
}

/// How many upgrades each test goes through: `EPISODES=100000 cargo test --release --test upgrade random`.
fn episodes() -> u64 {
    super::knob::knob("EPISODES", 200).into()
}

/// Lets something happen in a drawn step of an upgrade, and goes on to its end.
fn episode(seed: u64, happens: impl Fn(&mut Rng, &mut Pair<'_, SOUND>)) {
    episode_with(seed, None, MOST_SILENT, happens);
}

/// Periods without an output at most: the patience, and a cycle that is late.
const MOST_SILENT: u64 = 5;
/// Without hardware a link fault in the hand-over itself stops the outputs until the link is back.
const MOST_SILENT_WITHOUT_HARDWARE: u64 = 14;

fn episode_with(
    seed: u64,
    arbiter: Option<ArbiterKind>,
    most_silent: u64,
    happens: impl Fn(&mut Rng, &mut Pair<'_, SOUND>),
) {
    let mut rng = Rng::with_seed(seed);
    let mut setup = drawn(&mut rng, seed);
    setup.arbiter = arbiter.unwrap_or(setup.arbiter);
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup, &mut memory, sensor(seed)).unwrap();
    let at = STEPS[rng.usize(0..STEPS.len())];
    bring_to(&mut pair, at);
    pair.run(rng.u32(0..10));
    pair.run_us(rng.u64(0..20_000));
    let context = format!("seed {seed}, {at}");
    happens(&mut rng, &mut pair);
    pair.run(20);
    pair.calm();
    go_on(&mut pair, &context);
    pair.run(5);
    let report = pair.report();
    let bad = (report.wrong, report.safe, report.restless);
    assert!(bad == (0, 0, 0) && report.owners_max == 1, "{context}: {}", describe(&pair));
    if !pair.killed_the_only() {
        let periods = report.longest_idle_us / u64::from(setup.config.period_us);
        assert!(periods <= most_silent, "{context}: silent for {periods} periods: {}", describe(&pair));
        assert_eq!((report.missing, report.states_lost), (0, 0), "{context}: {}", describe(&pair));
    }
}

#[test]
fn link_faults_in_an_upgrade() {
    for seed in 0..episodes() {
        episode(seed, |rng, pair| {
            let sender = if rng.bool() { A } else { B };
            pair.disturb(sender, disturbance(rng));
        });
    }
}

/// An arbiter without hardware: what the link does cannot make two owners, nor lose the state.
#[test]
fn link_faults_in_an_upgrade_without_hardware() {
    for seed in 0..episodes() {
        let arbiter = ArbiterKind::Preferred(if seed % 2 == 0 { A } else { B });
        episode_with(seed, Some(arbiter), MOST_SILENT_WITHOUT_HARDWARE, |rng, pair| {
            let sender = if rng.bool() { A } else { B };
            pair.disturb(sender, disturbance(rng));
        });
    }
}

#[test]
fn deaths_and_hangs_in_an_upgrade() {
    for seed in 0..episodes() {
        episode(seed, |rng, pair| {
            let channel = if rng.bool() { A } else { B };
            let for_us = Some(rng.u64(1_000..400_000));
            let failure = if rng.bool() { Failure::Dies } else { Failure::Hangs { for_us, hears: true } };
            pair.fail_at_byte(channel, rng.u64(0..300), failure);
        });
    }
}

/// In a trial each channel vouches for itself, by stepping twice.
fn flips_in_a_trial(seeds: std::ops::Range<u64>, off: Option<Mechanism>) -> u32 {
    let mut wrong = 0;
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let setup = Setup { off, ..drawn(&mut rng, seed) };
        let mut memory = Memories::new();
        let mut pair = Pair::<SOUND>::new(&setup, &mut memory, sensor(seed)).unwrap();
        bring_to(&mut pair, if rng.bool() { Step::OldDrives } else { Step::NewDrives });
        pair.run(rng.u32(0..10));
        let channel = if rng.bool() { A } else { B };
        let sites = [Site::Output, Site::Working, Site::AgreedInput, Site::MySample, Site::Checkpoint, Site::Digest];
        let (site, moment) = (sites[rng.usize(0..sites.len())], Moment::ALL[rng.usize(0..4)]);
        pair.flip_within_turn(channel, moment, site, rng.usize(..));
        pair.run(20);
        pair.calm();
        go_on(&mut pair, &format!("seed {seed}, {site:?}"));
        let report = pair.report();
        if off.is_none() {
            assert_eq!(
                (report.wrong, report.missing, report.states_lost),
                (0, 0, 0),
                "{seed} {site:?}{}",
                describe(&pair)
            );
        }
        wrong += report.wrong;
    }
    wrong
}

#[test]
fn a_flipped_bit_in_a_trial_is_found_by_the_second_step() {
    flips_in_a_trial(0..episodes() / 2, None);
}

#[test]
fn and_is_not_without_it() {
    assert!(flips_in_a_trial(0..200, Some(Mechanism::StepTwice)) > 0);
}
