//! The journal of a running pair: each class of event comes of what it stands for, and what nobody
//! reads is bounded and counted.

use crate::case::{CHANNELS, Case, Ending, LINE, LINK_DELAY_US};
use crate::support::{Drive, Plant, Sample, Servo, sensor};
use std::collections::BTreeSet;
use twinstep::journal::JOURNAL_ENTRIES;
use twinstep::sim::{ArbiterKind, LinkFaults, Pair, Setup, Storage};
use twinstep::{Agreement, ChannelId, Cycle, Event, Mechanism, Program, Site, Tracked};

/// The name of an event without its figures.
fn class(event: Event) -> String {
    let shown = format!("{event:?}");
    shown.split([' ', '(']).next().unwrap().to_owned()
}

fn read<P: Program>(pair: &mut Pair<'_, P>, classes: &mut BTreeSet<String>) {
    for channel in CHANNELS {
        if let Some(node) = pair.node_mut(channel) {
            classes.extend(std::iter::from_fn(|| node.read_event()).map(|entry| class(entry.event)));
        }
    }
}

/// Runs a case for some cycles, reading along, and asserts that these were among the events.
#[track_caller]
fn assert_read(case: &Case, cycles: u32, also: impl FnOnce(&mut Pair<'_, Servo>), expected: &[&str]) {
    let mut classes = BTreeSet::new();
    case.with_pair(|pair, _| {
        also(pair);
        for _ in 0..cycles {
            pair.run(1);
            read(pair, &mut classes);
        }
    });
    for class in expected {
        assert!(classes.contains(*class), "{class} is not among {classes:?}: {case:?}");
    }
}

#[test]
fn each_class_of_event_is_there() {
    let rule = ArbiterKind::Preferred(ChannelId::A);
    let of = |site, at_us, bit| Case { arbiter: rule, at_us, bit, victim: ChannelId::B, ..Case::of_seed(4, site) };
    let nothing = |_: &mut Pair<'_, Servo>| {};
    let before_step = LINK_DELAY_US / 2;
    let before_commit = LINK_DELAY_US * 3 / 2;
    assert_read(&of(Site::Output, 0, 9), 2, nothing, &["ModeChanged", "Rejected", "Fault", "Diagnosed"]);
    assert_read(&of(Site::FailingOutput, 0, 9), 60, nothing, &["Excluded", "Barred", "TookOver"]);
    assert_read(&of(Site::Working, 9_000, 6_000), 6, nothing, &["Repaired"]);
    assert_read(&of(Site::Working, before_commit, 1), 2, nothing, &["Recommitted"]);
    let both_copies = |pair: &mut Pair<'_, Servo>| {
        pair.node_mut(ChannelId::B).unwrap().flip(Site::Checkpoint, 6_000);
    };
    assert_read(&of(Site::Working, 9_000, 6_000), 8, both_copies, &["BeyondRepair", "RepairedByPeer"]);
    assert_read(&of(Site::MySample, before_step, 0), 2, nothing, &["SampleRepaired"]);
    assert_read(&of(Site::Control, before_step, 3), 2, nothing, &["ControlRepaired"]);
    let readmit = |pair: &mut Pair<'_, Servo>| pair.node_mut(ChannelId::A).unwrap().readmit(ChannelId::B);
    assert_read(&of(Site::Output, 0, 9), 1, readmit, &["Readmitted"]);
    let prove = |pair: &mut Pair<'_, Servo>| pair.node_mut(ChannelId::A).unwrap().request_proof_test();
    assert_read(&of(Site::Output, 0, 9), 2, prove, &["ProofTested"]);
    // Nobody answers what the other one says is different.
    let unanswered = Case { off: Some(Mechanism::Settled), ..of(Site::Comparator, 0, 0) };
    assert_read(&unanswered, 4, nothing, &["Held"]);
}

static OUTSIDE: u32 = 0;

/// Writes outside of its state in cycle 5, and has sensors that are far apart in cycle 6.
struct Stray;

impl Program for Stray {
    type Input = Sample;
    type Output = Drive;
    type State = Plant;
    const SAFE: Drive = Servo::SAFE;
    const VERSION: u32 = 3;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        Servo::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Plant>, input: &Sample) -> Drive {
        if cycle.0 == 5 {
            state.try_update(|_| Some(&OUTSIDE), |old| old + 1);
        }
        Servo::step(cycle, state, input)
    }
}

#[test]
fn what_the_program_does_is_there_too() {
    let far_apart = |channel: ChannelId, cycle: Cycle| {
        let position = if cycle.0 == 6 { 1_000 * channel.index() as i16 } else { 0 };
        Sample { position, limit: None }
    };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Stray>::new(
        &Setup { config: crate::case::config(), line: LINE, ..Setup::default() },
        &mut memory,
        far_apart,
    );
    let pair = pair.as_mut().unwrap();
    let mut classes = BTreeSet::new();
    pair.run(20);
    read(pair, &mut classes);
    for channel in CHANNELS {
        let counters = pair.node(channel).unwrap().counters();
        assert_eq!((counters.stray_writes, counters.discrepancies), (1, 1));
    }
    assert!(classes.contains("Fault") && classes.contains("Discrepancy"), "{classes:?}");
}

/// A link on which much goes wrong, and nobody who reads.
#[test]
fn what_nobody_reads_is_bounded_and_counted() {
    let setup =
        Setup { seed: 8, config: crate::case::config(), line: LINE, link: LinkFaults::NOISY, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(8)).unwrap();
    pair.run(300);
    for channel in CHANNELS {
        let node = pair.node_mut(channel).unwrap();
        assert!(node.lost_events() > 20);
        let read = std::iter::from_fn(|| node.read_event()).count();
        assert_eq!(read, JOURNAL_ENTRIES);
        assert_eq!(node.read_event(), None);
    }
}

/// What went wrong first stays, with the votes, what both found, and what came of it.
#[test]
fn the_first_fault_stays_until_it_is_cleared() {
    for seed in 0..24 {
        let case = Case { bit: 3, ..Case::of_seed(seed, Site::Output) };
        case.with_pair(|pair, _| {
            pair.run(2);
            let first = Ending::of(pair, true).sides.map(|side| side.first_fault.unwrap());
            assert_eq!((first[0].votes, first[0].evidence), (first[1].votes, first[1].evidence), "{case:?}");
            assert!(first[0].votes.iter().all(Option::is_some) && first[0].diagnosis.is_some(), "{case:?}");
            pair.node_mut(case.victim.other()).unwrap().flip(Site::Output, 3);
            pair.run(2);
            assert_eq!(Ending::of(pair, true).sides.map(|side| side.first_fault.unwrap()), first, "{case:?}");
            pair.node_mut(case.victim).unwrap().clear_first_fault();
            pair.node_mut(case.victim.other()).unwrap().flip(Site::Output, 3);
            pair.run(2);
            let later = Ending::of(pair, true);
            assert!(later.side(case.victim).first_fault.unwrap().cycle.0 > first[0].cycle.0, "{case:?}");
            assert_eq!(later.side(case.victim.other()).first_fault, Some(first[0]), "{case:?}");
        });
    }
}
