//! The state damaged between vote and commit: stepped again, and the peer notices nothing.

use crate::case::{Case, Ending, LINK_DELAY_US, to_next_start};
use twinstep::diagnose::Suspects;
use twinstep::{Event, Faults, Mechanism, Site};

/// Of the words that each step writes.
const BITS: usize = 96;

fn damaged_before_commit(bit: usize, seed: u64, off: Option<Mechanism>) -> (Case, Ending) {
    // The vote is out; the peer's is on its way.
    let at_us = LINK_DELAY_US * 3 / 2;
    let case = Case { bit, at_us, off, ..Case::of_seed(seed, Site::Working) };
    (case, case.run())
}

#[test]
fn what_was_damaged_since_the_vote_is_stepped_again() {
    for (bit, seed) in (0..BITS).flat_map(|bit| (0..6).map(move |seed| (bit, seed))) {
        let (case, ending) = damaged_before_commit(bit, seed, None);
        ending.assert_masked(&case);
        let [victim, peer] = [case.victim, case.victim.other()].map(|channel| ending.side(channel));
        assert_eq!((victim.counters.recommitted, victim.counters.diverged), (1, 0), "{case:?}");
        assert!(victim.events.contains(&Event::Recommitted), "{case:?}");
        assert_eq!(victim.first_fault.map(|first| first.faults), Some(Faults::COMMIT_DAMAGED), "{case:?}");
        assert_eq!((peer.counters.diverged, peer.mended(), peer.first_fault), (0, 0, None), "{case:?}");
    }
}

#[test]
fn without_a_second_step_the_channel_leaves() {
    for seed in 0..24 {
        let (case, ending) = damaged_before_commit(3 * seed as usize, seed, Some(Mechanism::Reexecution));
        assert_eq!(ending.side(case.victim).counters.self_exclusions, 1, "{case:?}");
        assert_eq!(ending.report.wrong, 0, "{case:?}");
    }
}

/// What a channel suspects itself of travels with the next evidence: both come to the same level.
#[test]
fn the_peer_hears_of_it_with_the_next_evidence() {
    for seed in 0..12 {
        let case = Case { bit: 1, at_us: LINK_DELAY_US * 3 / 2, ..Case::of_seed(seed, Site::Working) };
        let peer = case.victim.other();
        let suspect = Suspects::channel(case.victim);
        case.with_pair(|pair, _| {
            pair.run(1);
            let level =
                |pair: &mut twinstep::sim::Pair<'_, _>, channel| pair.node(channel).unwrap().buckets().level(suspect);
            assert_eq!((level(pair, case.victim), level(pair, peer)), (1, 0), "{case:?}");
            // Another fault, of the comparator of the peer, and nobody's but its own.
            to_next_start(pair, peer);
            pair.node_mut(peer).unwrap().flip(Site::Comparator, 0);
            pair.run_us(6 * LINK_DELAY_US);
            assert_eq!((level(pair, case.victim), level(pair, peer)), (1, 1), "{case:?}");
            let levels = [case.victim, peer].map(|channel| pair.node(channel).unwrap().buckets().levels());
            assert_eq!(levels[0], levels[1], "{case:?}");
        });
    }
}
