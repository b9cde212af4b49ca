//! The proof test: on request the comparator is shown differences, and the cycle goes on as ever.

use crate::case::{CHANNELS, Case, Ending, to_quiet};
use twinstep::{ChannelId, Event, Faults, Mechanism, Mode, Site};

const ASKED: [&[ChannelId]; 3] = [&[ChannelId::A], &[ChannelId::B], &CHANNELS];

/// Another bit each time.
#[test]
fn a_sound_comparator_passes_and_the_cycle_completes() {
    for (asked, seed) in ASKED.into_iter().flat_map(|asked| (0..12).map(move |seed| (asked, seed))) {
        let case = Case::of_seed(seed, Site::Output);
        case.with_clean_pair(|pair| {
            for channel in CHANNELS {
                assert_eq!(pair.node(channel).unwrap().proof_test_age(), None, "nobody asked");
            }
            let mut passed = [0; 2];
            for _ in 0..10 {
                asked.iter().for_each(|channel| pair.node_mut(*channel).unwrap().request_proof_test());
                pair.run(1);
                for channel in CHANNELS {
                    let node = pair.node_mut(channel).unwrap();
                    let events: Vec<_> = std::iter::from_fn(|| node.read_event()).map(|entry| entry.event).collect();
                    passed[channel.index()] +=
                        events.iter().filter(|event| **event == Event::ProofTested { passed: true }).count();
                    assert!(!events.contains(&Event::ProofTested { passed: false }));
                }
            }
            to_quiet(pair);
            for channel in CHANNELS {
                let is_asked = asked.contains(&channel);
                let node = pair.node(channel).unwrap();
                let done = node.counters().proof_tests;
                assert_eq!(done as usize, passed[channel.index()]);
                assert_eq!(done >= 9, is_asked, "{done} tests");
                assert_eq!(node.proof_test_age().is_some(), is_asked);
                let age = node.proof_test_age();
                pair.run(5);
                let later = pair.node(channel).unwrap().proof_test_age();
                assert_eq!(later, age.map(|age| age + 5), "it ages by one a cycle");
            }
            to_quiet(pair);
            let ending = Ending::of(pair, true);
            ending.assert_masked(&case);
            assert_eq!(ending.report.diverged, 0);
        });
    }
}

/// Negative control: a comparator that always says "equal".
#[test]
fn a_comparator_that_sees_nothing_fails_and_its_channel_leaves() {
    for seed in 0..24 {
        let case = Case { off: Some(Mechanism::Vote), ..Case::of_seed(seed, Site::Output) };
        case.with_clean_pair(|pair| {
            pair.node_mut(case.victim).unwrap().request_proof_test();
            pair.run_us(12_000);
            let ending = Ending::of(pair, true);
            let side = ending.side(case.victim);
            assert_eq!(side.mode, Mode::Starting, "{case:?}");
            assert_eq!((side.counters.self_exclusions, side.counters.proof_tests), (1, 0), "{case:?}");
            assert!(side.events.contains(&Event::ProofTested { passed: false }), "{case:?}");
            assert_eq!(side.first_fault.map(|first| first.faults), Some(Faults::PROOF_TEST_FAILED), "{case:?}");
            pair.run(20);
            let report = pair.report();
            assert_eq!((report.wrong, report.missing), (0, 0), "the other one goes on: {case:?}");
        });
    }
}
