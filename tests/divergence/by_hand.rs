//! A pair driven by hand: each frame of the exchange lost, repeated or late; evidence that comes before
//! the vote, or to a channel that has gone on; samples damaged just before they are used.

use crate::bench::{A, B, CHANNELS, HOME, ServoBench, Setup, memory};
use crate::support::{Servo, sensor};
use twinstep::diagnose::Suspects;
use twinstep::wire::Kind;
use twinstep::{Config, Diagnosis, Event, Mechanism, Mode, Site};

pub fn is_kind(frame: &[u8], kind: Kind) -> bool {
    Kind::of_frame(frame) == Some(kind)
}

fn with_patience(patience: u8) -> Setup {
    Setup { config: Config { patience, ..HOME.config }, ..HOME }
}

/// A pair in duplex after some cycles.
pub fn with_bench<R>(setup: Setup, seed: u64, then: impl FnOnce(&mut ServoBench<'_>) -> R) -> R {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, setup, sensor(seed));
    bench.boot();
    bench.run_cycles(4);
    then(&mut bench)
}

fn diagnoses(bench: &mut ServoBench<'_>, at: usize) -> Vec<Diagnosis> {
    let events = std::iter::from_fn(|| bench.nodes[at].read_event());
    events.filter_map(|entry| if let Event::Diagnosed(found) = entry.event { Some(found) } else { None }).collect()
}

/// Both came to this once, and to nothing else; and both buckets are the same.
#[track_caller]
fn assert_both_found(bench: &mut ServoBench<'_>, found: Diagnosis, what: &str) {
    assert_eq!([A, B].map(|at| diagnoses(bench, at)), [[found], [found]], "{what}");
    let [a, b] = [A, B].map(|at| bench.nodes[at].buckets().levels());
    assert_eq!(a, b, "{what}");
    assert_eq!(a.iter().sum::<u8>(), 1, "{what}");
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Lost,
    Repeated,
    /// By so many ticks; a cycle has 100.
    Late(u32),
}

/// Runs into the next cycles while one frame, by number, meets its fate; from the vote on, a place in
/// one channel is hit.
fn run_with(bench: &mut ServoBench<'_>, site: Site, victim: usize, frame: usize, fate: Fate) -> Option<Kind> {
    let last = bench.nodes[A].cycle();
    let (mut count, mut late, mut is_hit, mut met) = (0, Vec::new(), false, None);
    for tick in 0..250_u32 {
        bench.tick();
        for at in [A, B] {
            let arriving = std::mem::take(&mut bench.towards[at]);
            for bytes in arriving {
                count += 1;
                if count - 1 != frame {
                    bench.towards[at].push(bytes);
                    continue;
                }
                met = [Kind::Sample, Kind::Vote, Kind::Evidence, Kind::Settled]
                    .into_iter()
                    .find(|kind| is_kind(&bytes, *kind));
                match fate {
                    Fate::Lost => {}
                    Fate::Repeated => bench.towards[at].extend([bytes.clone(), bytes]),
                    Fate::Late(ticks) => late.push((tick + ticks, at, bytes)),
                }
            }
        }
        late.retain(|(due, at, bytes)| {
            if *due == tick {
                bench.towards[*at].push(bytes.clone());
            }
            *due != tick
        });
        // Flips of votes wait for the vote to be out; the others for a step or a comparison.
        let votes = bench.towards[1 - victim].iter().any(|bytes| is_kind(bytes, Kind::Vote));
        let has_begun = bench.nodes[victim].cycle() != last;
        if !is_hit && has_begun && (votes || site != Site::MyVote) {
            is_hit = true;
            assert!(bench.nodes[victim].flip(site, 70));
        }
    }
    assert!(is_hit);
    met
}

const FATES: [Fate; 5] = [Fate::Lost, Fate::Repeated, Fate::Late(3), Fate::Late(30), Fate::Late(110)];

/// Of every frame of the exchange any one may be lost, come twice, or come late, even in the next
/// cycle: the diagnosis is the same, and no cycle is held.
#[test]
fn whichever_frame_fails_the_diagnosis_is_the_same() {
    let (mut met, mut diagnosed) = (std::collections::BTreeSet::new(), 0);
    for (site, suspect) in [
        (Site::Output, Suspects::channel as fn(_) -> _),
        (Site::MyVote, Suspects::channel),
        (Site::Comparator, Suspects::comparator),
    ] {
        for (victim, fate) in [A, B].into_iter().flat_map(|victim| FATES.map(|fate| (victim, fate))) {
            for frame in 0..12 {
                let what = format!("{site:?} of {}, frame {frame} {fate:?}", CHANNELS[victim]);
                with_bench(HOME, 40, |bench| {
                    let kind = run_with(bench, site, victim, frame, fate);
                    met.extend(kind.map(|kind| (format!("{site:?}"), kind as u8)));
                    assert_eq!(bench.modes(), [Mode::Duplex; 2], "{what}");
                    // A vote that was compared before it was damaged, and did not have to be sent again.
                    let is_too_late = site == Site::MyVote && bench.nodes[victim].counters().diverged == 0;
                    if !is_too_late {
                        assert_both_found(bench, Diagnosis::Transient(suspect(CHANNELS[victim])), &what);
                        diagnosed += 1;
                    }
                    bench.run_cycles_after_divergence(2);
                    for node in &bench.nodes {
                        let counted = (node.counters().held, node.counters().diverged);
                        assert_eq!(counted, (0, u32::from(!is_too_late)), "{what}");
                    }
                });
            }
        }
    }
    assert!(diagnosed >= 330, "{diagnosed} of 360 runs");
    let hit = |site: &str, kind: Kind| met.contains(&(site.to_owned(), kind as u8));
    assert!(hit("Output", Kind::Sample) && hit("Output", Kind::Vote) && hit("Output", Kind::Evidence), "{met:?}");
    assert!(hit("MyVote", Kind::Evidence) && hit("MyVote", Kind::Settled), "{met:?}");
    assert!(hit("Comparator", Kind::Evidence) && hit("Comparator", Kind::Settled), "{met:?}");
}

/// All evidence lost: nobody can say who is wrong, and nobody guesses.
#[test]
fn without_evidence_nothing_is_attributed() {
    for (site, victim) in [(Site::Output, A), (Site::Output, B), (Site::Comparator, A), (Site::Comparator, B)] {
        for lost in [vec![Kind::Evidence, Kind::Settled], vec![Kind::Settled]] {
            with_bench(HOME, 41, |bench| {
                bench.loses = lost.clone();
                bench.nodes[victim].flip(site, 70);
                // It has a deadline of its own: that of the cycle, and one more.
                for _ in 0..400 {
                    bench.tick();
                }
                let asks = |at: usize| site == Site::Output || at == victim;
                let is_one_sided = site == Site::Comparator;
                for at in [A, B] {
                    let found = diagnoses(bench, at);
                    let what = format!("{site:?} of {}, at {at}, {lost:?} lost: {found:?}", CHANNELS[victim]);
                    if lost.len() == 1 && !is_one_sided {
                        assert_eq!(found, [Diagnosis::Transient(Suspects::channel(CHANNELS[victim]))], "{what}");
                        assert_eq!(bench.mode(at), Mode::Duplex, "{what}");
                    } else if asks(at) {
                        assert_eq!(found, [Diagnosis::Unattributed], "{what}");
                        assert_eq!(bench.mode(at), Mode::Safe, "{what}");
                        assert_eq!(bench.nodes[at].counters().unattributed, 1, "{what}");
                    }
                }
            });
        }
    }
}

/// The evidence comes when the peer is in its next cycle: it answers with what it settled on, and the
/// one that lags behind arrives there too.
#[test]
fn a_channel_that_lags_behind_arrives_at_what_the_other_settled_on() {
    for (site, suspect) in [
        (Site::MyVote, Suspects::channel as fn(_) -> _),
        (Site::Comparator, Suspects::comparator),
        (Site::PeerVote, |_| Suspects::PATH),
    ] {
        for victim in [A, B] {
            with_bench(with_patience(2), 42, |bench| {
                let what = format!("{site:?} of {}", CHANNELS[victim]);
                let cycle = bench.nodes[A].cycle().next();
                let peer = 1 - victim;
                let mut is_hit = false;
                let mut ticks = 0;
                // Its evidence gets lost until the peer has begun the next cycle.
                while bench.nodes[peer].cycle() != cycle.next() {
                    bench.tick();
                    bench.towards[peer].retain(|bytes| !is_kind(bytes, Kind::Evidence));
                    let votes = bench.towards[peer].iter().any(|bytes| is_kind(bytes, Kind::Vote));
                    if !is_hit && votes {
                        if site == Site::PeerVote {
                            // In hand, and not yet looked at.
                            let (now, arrived) = (bench.now(), std::mem::take(&mut bench.towards[victim]));
                            for bytes in arrived {
                                bench.nodes[victim].handle_frame(now, &bytes).unwrap();
                            }
                        }
                        is_hit = bench.nodes[victim].flip(site, 70);
                    }
                    ticks += 1;
                    assert!(ticks < 300, "{what}: {:?}", bench.modes());
                }
                assert!(is_hit, "{what}");
                assert_eq!(bench.nodes[victim].settled_cycle(), None, "it is still in the cycle before");
                bench.run_cycles_after_divergence(3);
                assert_both_found(bench, Diagnosis::Transient(suspect(CHANNELS[victim])), &what);
                let [of_victim, of_peer] = [victim, peer].map(|at| *bench.nodes[at].counters());
                assert_eq!((of_victim.masked, of_peer.masked), (1, 0), "{what}");
                assert!(of_victim.held >= 1, "{what}");
            });
        }
    }
}

/// Negative control of the test above.
#[test]
fn a_channel_that_is_not_answered_does_not() {
    with_bench(with_patience(2), 42, |bench| {
        bench.nodes[B].switch_off(Mechanism::Settled);
        bench.nodes[A].flip(Site::Comparator, 0);
        for _ in 0..400 {
            bench.tick();
        }
        assert_eq!(bench.mode(A), Mode::Safe);
    });
}

/// The first vote is lost, so that the other channel hears of the cycle's difference by the evidence.
#[test]
fn evidence_may_come_before_the_vote() {
    for victim in [A, B] {
        with_bench(HOME, 43, |bench| {
            bench.nodes[victim].flip(Site::Output, 70);
            let mut has_come = false;
            for _ in 0..150 {
                bench.tick();
                let peer = 1 - victim;
                has_come |= bench.towards[peer].iter().any(|bytes| is_kind(bytes, Kind::Evidence));
                bench.towards[peer].retain(|bytes| !is_kind(bytes, Kind::Vote));
            }
            assert!(has_come);
            assert_both_found(bench, Diagnosis::Transient(Suspects::channel(CHANNELS[victim])), "the vote lost");
            let first = bench.nodes[1 - victim].first_fault();
            assert_eq!(first, None, "a difference that was only heard of, and masked, is no fault of its own");
            bench.run_cycles_after_divergence(2);
        });
    }
}

/// Brings a channel to where the peer's sample has arrived and is not used yet.
fn hold_peer_sample(bench: &mut ServoBench<'_>, at: usize) {
    let cycle = bench.nodes[at].cycle();
    loop {
        bench.tick();
        let sample = bench.towards[at].iter().position(|bytes| is_kind(bytes, Kind::Sample));
        if let Some(sample) = sample.filter(|_| bench.nodes[at].cycle() != cycle) {
            let (now, bytes) = (bench.now(), bench.towards[at].remove(sample));
            bench.nodes[at].handle_frame(now, &bytes).unwrap();
            return;
        }
        assert!(bench.now_us < 100_000_000);
    }
}

#[test]
fn a_sample_damaged_before_it_is_used_is_mended() {
    for at in [A, B] {
        for bit in 0..72 {
            for off in [None, Some(Mechanism::Samples)] {
                with_bench(HOME, 44, |bench| {
                    off.iter().for_each(|off| bench.nodes[at].switch_off(*off));
                    hold_peer_sample(bench, at);
                    let hit = bench.nodes[at].flip(Site::PeerSample, bit);
                    for _ in 0..150 {
                        bench.tick();
                    }
                    let node = &bench.nodes[at];
                    if off.is_none() {
                        assert_eq!(node.counters().sample_repairs, u32::from(hit), "bit {bit}");
                        bench.run_cycles(2);
                    } else if (32..39).contains(&bit) {
                        // The digest is in front of the sample, and the last bit of a byte says whether there is more of a number.
                        assert!(hit);
                        assert_eq!(node.counters().sample_repairs, 0);
                        assert_eq!(node.counters().diverged, 1, "bit {bit}: the control must notice");
                    }
                });
            }
        }
    }
}

#[test]
fn the_peers_next_sample_is_mended_as_well() {
    for at in [A, B] {
        for bit in [0, 1, 2] {
            with_bench(with_patience(2), 45, |bench| {
                let cycle = bench.nodes[A].cycle().next();
                let mut is_hit = false;
                for _ in 0..300 {
                    bench.tick();
                    if !is_hit {
                        bench.towards[at].retain(|bytes| !is_kind(bytes, Kind::Vote));
                        is_hit =
                            bench.nodes[1 - at].cycle() == cycle.next() && bench.nodes[at].flip(Site::NextSample, bit);
                    }
                }
                assert!(is_hit, "bit {bit}");
                assert_eq!(bench.nodes[at].counters().sample_repairs, 1, "bit {bit}");
                bench.run_cycles(2);
            });
        }
    }
}
