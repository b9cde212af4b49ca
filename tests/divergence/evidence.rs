//! Evidence against one channel: its memory, its self-test, its own word.

use crate::case::{CHANNELS, Case, Ending, LINE, LINK_DELAY_US, PERIOD_US, config, to_quiet};
use crate::support::{Drive, Plant, Sample, Servo, sensor};
use std::cell::Cell;
use twinstep::diagnose::Reason;
use twinstep::sim::{ArbiterKind, Pair, Setup, Storage};
use twinstep::{Agreement, ChannelId, Cycle, Diagnosis, Health, Mechanism, Mode, Program, Site, Tracked};

const RULES: [ArbiterKind; 2] = [ArbiterKind::Preferred(ChannelId::A), ArbiterKind::Preferred(ChannelId::B)];

fn cases(site: Site) -> impl Iterator<Item = Case> {
    (0..48).map(move |seed| Case { arbiter: RULES[seed as usize / 2 % 2], at_us: 200, ..Case::of_seed(seed, site) })
}

#[test]
fn the_channel_in_doubt_of_itself_leaves() {
    for case in cases(Site::StuckOutput) {
        for doubted in CHANNELS {
            case.with_pair(|pair, _| {
                pair.node_mut(doubted).unwrap().raise_health(Health::HARDWARE);
                pair.run_us(PERIOD_US.into());
                let ending = Ending::of(pair, true);
                for side in &ending.sides {
                    assert_eq!(side.diagnoses().first(), Some(&Diagnosis::Faulty(doubted, Reason::Health)), "{case:?}");
                }
                assert_eq!(ending.side(doubted).counters.self_exclusions, 1, "{case:?}");
                // If it is the right one.
                assert!(doubted != case.victim || ending.report.wrong == 0, "{case:?}");
                assert_eq!((ending.report.missing, ending.report.owners_max), (0, 1), "{case:?}");
            });
        }
        case.with_pair(|pair, _| {
            for channel in CHANNELS {
                pair.node_mut(channel).unwrap().raise_health(Health::HARDWARE);
            }
            pair.run_us(PERIOD_US.into());
            assert_eq!(Ending::of(pair, true).modes(), [Mode::Safe; 2], "doubt of both decides nothing: {case:?}");
        });
    }
}

/// What was in doubt in the cycle before is no evidence in this one.
#[test]
fn doubt_lasts_for_a_cycle() {
    for case in cases(Site::StuckOutput).take(12) {
        case.with_clean_pair(|pair| {
            pair.run_us(200);
            pair.node_mut(case.victim).unwrap().raise_health(Health::HARDWARE);
            pair.run(1);
            pair.node_mut(case.victim).unwrap().flip(Site::StuckOutput, case.bit);
            pair.run(1);
            assert_eq!(Ending::of(pair, true).modes(), [Mode::Safe; 2], "{case:?}");
        });
    }
}

/// Both copies of a block that every step writes are damaged alike, just before the step.
fn damaged_for_good(case: &Case, bit: usize) -> Ending {
    let at_us = LINK_DELAY_US / 2;
    let case = Case { bit, at_us, site: Site::Working, ..*case };
    case.with_pair(|pair, _| {
        pair.node_mut(case.victim).unwrap().flip(Site::Checkpoint, bit);
        pair.run(20);
        to_quiet(pair);
        Ending::of(pair, true)
    })
}

#[test]
fn the_channel_whose_checkpoint_is_damaged_leaves_and_joins_again() {
    for (case, bit) in cases(Site::Working).zip((0..32).cycle()) {
        let ending = damaged_for_good(&case, bit);
        let report = ending.report;
        assert_eq!((report.wrong, report.missing, report.safe, report.owners_max), (0, 0, 0, 1), "{case:?}");
        assert_eq!(ending.modes(), [Mode::Duplex; 2], "{case:?}");
        assert_eq!((report.self_exclusions, report.takeovers, report.joined), (1, 1, 1), "{case:?}");
        for side in &ending.sides {
            let found = Diagnosis::Faulty(case.victim, Reason::Checkpoint);
            assert_eq!(side.first_fault.unwrap().diagnosis, Some(found), "{case:?}");
            let [a, b] = side.first_fault.unwrap().evidence.map(|evidence| evidence.unwrap().checkpoint_holds);
            assert_eq!([a, b], CHANNELS.map(|channel| channel != case.victim), "{case:?}");
        }
    }
}

/// Negative control: nobody looks, so both stand by their results.
#[test]
fn without_a_look_at_the_checkpoint_nobody_knows() {
    for (case, bit) in cases(Site::Working).zip((0..32).cycle()) {
        let ending = damaged_for_good(&Case { off: Some(Mechanism::Checkpoint), ..case }, bit);
        assert_eq!(ending.modes(), [Mode::Safe; 2], "{case:?}");
    }
}

thread_local! {
    /// Self-tests done, and which one of them fails.
    static SELF_TESTS: Cell<(u32, Option<u32>)> = const { Cell::new((0, None)) };
}

/// The program of the other tests, with a self-test.
struct Tested;

impl Program for Tested {
    type Input = Sample;
    type Output = Drive;
    type State = Plant;
    const SAFE: Drive = Servo::SAFE;
    const VERSION: u32 = 2;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn init(state: &mut Plant) {
        Servo::init(state);
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        Servo::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Plant>, input: &Sample) -> Drive {
        Servo::step(cycle, state, input)
    }

    fn self_test() -> bool {
        let (count, failing) = SELF_TESTS.get();
        SELF_TESTS.set((count + 1, failing));
        failing != Some(count)
    }
}

/// Either of the two self-tests of a divergence fails: whoever did that test is the faulty one.
#[test]
fn the_channel_whose_self_test_fails_leaves() {
    let mut faulty = [0; 2];
    for (seed, failing) in (0..40).flat_map(|seed| [None, Some(0), Some(1)].map(|failing| (seed, failing))) {
        let setup = Setup { seed, config: config(), line: LINE, arbiter: RULES[seed as usize % 2], ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Tested>::new(&setup, &mut memory, sensor(seed)).unwrap();
        pair.run(10);
        SELF_TESTS.set((0, failing));
        let stuck = CHANNELS[seed as usize / 2 % 2];
        pair.node_mut(stuck).unwrap().flip(Site::StuckOutput, seed as usize);
        pair.run_us(u64::from(PERIOD_US) * 3 / 2);
        let first = CHANNELS.map(|channel| *pair.node(channel).unwrap().first_fault().unwrap());
        for first in first {
            let health = first.evidence.map(|evidence| evidence.unwrap().health);
            let of_failing = |health: Health| health.contains(Health::SELF_TEST_FAILED);
            let expected = match health.map(of_failing) {
                [true, false] => Diagnosis::Faulty(ChannelId::A, Reason::Health),
                [false, true] => Diagnosis::Faulty(ChannelId::B, Reason::Health),
                _ => Diagnosis::Unattributed,
            };
            assert_eq!(first.diagnosis, Some(expected), "seed {seed}");
            assert_eq!(expected == Diagnosis::Unattributed, failing.is_none(), "seed {seed}");
            if let Diagnosis::Faulty(channel, _) = expected {
                faulty[channel.index()] += 1;
                pair.run_us(u64::from(PERIOD_US) * 3 / 2); // an owner lets go first
                let counters = CHANNELS.map(|channel| pair.node(channel).unwrap().counters().self_exclusions);
                assert_eq!(counters, CHANNELS.map(|other| u32::from(other == channel)), "seed {seed}");
                // Alone, an output that is none at all shows.
                let survivor = pair.mode(channel.other()).unwrap();
                assert!(survivor.serves() || channel != stuck && survivor == Mode::Safe, "seed {seed}");
            }
        }
    }
    assert!(faulty[0] > 10 && faulty[1] > 10, "{faulty:?}");
}
