//! Faults that stay: with evidence the faulty channel leaves and the other goes on; without any, the
//! policy decides.

use crate::case::{CHANNELS, Case, Ending, to_next_start, to_quiet};
use twinstep::diagnose::{Reason, Suspects};
use twinstep::sim::ArbiterKind;
use twinstep::wire::Kind;
use twinstep::{ChannelId, Diagnosis, Event, Faults, Mode, Site, Unattributed};

const SEEDS: u64 = 240;

fn cases(site: Site, policy: impl Fn(&Case) -> Unattributed) -> impl Iterator<Item = Case> {
    (0..SEEDS).map(move |seed| {
        let case = Case::of_seed(seed, site);
        Case { unattributed: policy(&case), ..case }
    })
}

fn run(case: &Case, cycles: u32) -> Ending {
    case.with_pair(|pair, hit| {
        let mut events = [Vec::new(), Vec::new()];
        for _ in 0..cycles {
            pair.run(1);
            for (channel, events) in CHANNELS.into_iter().zip(&mut events) {
                let node = pair.node_mut(channel).unwrap();
                events.extend(std::iter::from_fn(|| node.read_event()).map(|entry| entry.event));
            }
        }
        to_quiet(pair);
        let mut ending = Ending::of(pair, hit);
        for (side, events) in ending.sides.iter_mut().zip(events) {
            side.events.splice(..0, events);
        }
        ending
    })
}

/// The victim owns, and only the owner may go on alone: it must let go first.
fn must_let_go(case: &Case) -> bool {
    case.arbiter == ArbiterKind::Preferred(case.victim)
}

/// Both channels come to this diagnosis, each time, and to no other.
#[track_caller]
fn assert_found(case: &Case, ending: &Ending, found: Diagnosis) {
    let [a, b] = ending.sides.each_ref().map(|side| side.diagnoses());
    assert!(!a.is_empty() && a.iter().all(|of_side| *of_side == found), "{case:?}: {a:?}");
    assert_eq!(a, b, "{case:?}");
}

#[test]
fn two_results_and_no_evidence_are_the_safe_state() {
    for case in cases(Site::StuckOutput, |_| Unattributed::Safe) {
        let ending = run(&case, 8);
        let report = ending.report;
        assert_eq!((report.wrong, report.missing, report.held, report.takeovers), (0, 0, 0, 0), "{case:?}");
        assert_eq!(ending.modes(), [Mode::Safe; 2], "{case:?}");
        assert!(report.safe > 0, "{case:?}");
        for side in &ending.sides {
            assert_eq!(side.diagnoses(), [Diagnosis::Unattributed], "{case:?}");
            assert_eq!((side.counters.diverged, side.counters.unattributed), (1, 1), "{case:?}");
            assert_eq!(side.levels, [0; 5], "nobody is suspected: {case:?}");
            let first = side.first_fault.unwrap();
            assert_eq!(first.diagnosis, Some(Diagnosis::Unattributed), "{case:?}");
            let evidence = first.evidence.map(Option::unwrap);
            assert!(evidence.iter().all(|evidence| evidence.checkpoint_holds && !evidence.is_unstable()), "{case:?}");
            assert_ne!(evidence[0].second, evidence[1].second, "{case:?}");
        }
        assert_eq!(ending.sides[0].first_fault.unwrap().evidence, ending.sides[1].first_fault.unwrap().evidence);
    }
}

#[test]
fn the_preferred_channel_goes_on_and_the_other_one_leaves() {
    for case in cases(Site::StuckOutput, |case| Unattributed::Prefer(case.victim.other())) {
        let ending = run(&case, 1);
        assert_found(&case, &ending, Diagnosis::Faulty(case.victim, Reason::Policy));
        let ending = run(&case, 40);
        let report = ending.report;
        assert_eq!((report.wrong, report.missing, report.safe, report.owners_max), (0, 0, 0, 1), "{case:?}");
        assert!(report.held <= u32::from(must_let_go(&case)), "{case:?}");
        assert!(report.takeovers > 1 && report.joined > 1, "it comes back, and diverges again: {case:?}");
        let survivor = ending.side(case.victim.other());
        assert!(survivor.mode.serves() && survivor.counters.self_exclusions == 0, "{case:?}");
    }
}

/// The price of that policy, and why it is not the default.
#[test]
fn a_preferred_channel_may_be_the_wrong_one() {
    let mut wrong = 0;
    for case in cases(Site::StuckOutput, |case| Unattributed::Prefer(case.victim)) {
        let ending = run(&case, 1);
        assert_found(&case, &ending, Diagnosis::Faulty(case.victim.other(), Reason::Policy));
        // Alone, an output that is none at all shows.
        let preferred = ending.side(case.victim).mode;
        assert!(preferred.serves() || preferred == Mode::Safe, "{preferred:?}: {case:?}");
        assert_eq!(ending.report.owners_max, 1, "{case:?}");
        wrong += u32::from(ending.report.wrong > 0);
    }
    assert!(wrong * 2 > SEEDS as u32, "the oracle sees it: {wrong}");
}

#[test]
fn a_failing_channel_is_excluded_each_time_and_then_barred() {
    for case in cases(Site::FailingOutput, |_| Unattributed::Safe) {
        let innocent = case.victim.other();
        let (once, ending) = (run(&case, 1), run(&case, 100));
        for ending in [&once, &ending] {
            let report = ending.report;
            assert_eq!((report.wrong, report.missing, report.safe, report.owners_max), (0, 0, 0, 1), "{case:?}");
            assert!(report.held <= u32::from(must_let_go(&case)), "{case:?}");
            assert_eq!((report.cut_off, report.damaged, report.unvoted_in_duplex), (0, 0, 0), "{case:?}");
            assert_eq!(ending.side(innocent).counters.self_exclusions, 0, "{case:?}");
        }
        let [victim, survivor] = [case.victim, innocent].map(|channel| ending.side(channel));
        // The limit is 3: the fourth time it is out for good, and knows it.
        assert_eq!((victim.counters.self_exclusions, survivor.counters.peer_exclusions), (4, 4), "{case:?}");
        assert_eq!((victim.mode, survivor.mode), (Mode::Starting, Mode::Simplex), "{case:?}");
        for side in [victim, survivor] {
            let levels = CHANNELS.map(|channel| if channel == case.victim { 4 } else { 0 });
            assert_eq!(side.levels, [levels[0], levels[1], 0, 0, 0], "{case:?}");
            assert!(side.events.contains(&Event::Barred(case.victim)), "{case:?}");
        }
        assert_found(&case, &ending, Diagnosis::Faulty(case.victim, Reason::Unstable));
    }
}

#[test]
fn a_barred_channel_is_let_in_again_on_purpose_only() {
    for case in cases(Site::FailingOutput, |_| Unattributed::Safe).step_by(5) {
        let innocent = case.victim.other();
        case.with_pair(|pair, _| {
            pair.run(100);
            for channel in CHANNELS {
                assert!(pair.node(channel).unwrap().is_barred(case.victim), "{case:?}");
                assert!(!pair.node(channel).unwrap().is_barred(innocent), "{case:?}");
            }
            // Another board, but nobody has said so.
            pair.kill(case.victim);
            pair.restart(case.victim);
            pair.run(40);
            assert_eq!(pair.mode(innocent), Some(Mode::Simplex), "{case:?}");
            pair.node_mut(innocent).unwrap().readmit(case.victim);
            pair.run(40);
            to_quiet(pair);
            let ending = Ending::of(pair, true);
            assert_eq!(ending.modes(), [Mode::Duplex; 2], "{case:?}");
            assert_eq!((ending.report.wrong, ending.report.missing), (0, 0), "{case:?}");
            let survivor = ending.side(innocent);
            assert_eq!(survivor.levels, [0; 5], "what it was suspected of is forgotten: {case:?}");
            assert!(survivor.events.contains(&Event::Readmitted(case.victim)), "{case:?}");
        });
    }
}

/// Negative control: without a limit it is let in again and again.
#[test]
fn without_a_limit_nobody_is_barred() {
    for case in cases(Site::FailingOutput, |_| Unattributed::Safe).step_by(5) {
        let ending = run(&Case { transient_limit: u8::MAX, ..case }, 100);
        let survivor = ending.side(case.victim.other());
        assert!(survivor.counters.peer_exclusions > 5, "{case:?}: {:?}", survivor.counters);
        assert!(!survivor.events.iter().any(|event| matches!(event, Event::Barred(_))), "{case:?}");
    }
}

/// Transient faults that keep coming are none: the channel is excluded though its result agreed in
/// the end.
#[test]
fn a_channel_that_errs_too_often_is_barred_and_a_path_is_reported() {
    for victim in CHANNELS {
        for (site, suspect) in [
            (Site::Output, Suspects::channel(victim)),
            (Site::Comparator, Suspects::comparator(victim)),
            (Site::PeerVote, Suspects::PATH),
        ] {
            let arbiter = ArbiterKind::Preferred(ChannelId::A);
            let case = Case { victim, arbiter, ..Case::of_seed(7, site) };
            case.with_clean_pair(|pair| {
                for times in 1..=4 {
                    to_next_start(pair, victim);
                    let before = pair.report().diverged;
                    if site == Site::PeerVote {
                        // What was sent again has led the steering astray: until it is back.
                        pair.run(12);
                        to_next_start(pair, victim);
                        pair.run_us(28_000);
                        // One of the two waits for the other's sample, with its vote in hand.
                        pair.lose_next(Kind::Sample);
                        pair.run_us(5_500);
                        pair.node_mut(victim.other()).unwrap().flip(site, 5);
                    }
                    pair.node_mut(victim).unwrap().flip(site, 5);
                    pair.run_us(12_000);
                    assert_eq!(pair.report().diverged, before + 2, "{case:?}");
                    let level = pair.node(victim).unwrap().buckets().level(suspect);
                    assert_eq!(level, times, "{case:?}");
                }
                let ending = Ending::of(pair, true);
                assert_eq!((ending.report.wrong, ending.report.missing), (0, 0), "{case:?}");
                if suspect == Suspects::PATH {
                    assert_eq!(ending.modes(), [Mode::Duplex; 2], "nobody is excluded for it: {case:?}");
                    let reported = Event::Fault(Faults::PATH_FAULTY);
                    assert!(ending.sides.iter().all(|side| side.events.contains(&reported)), "{case:?}");
                } else {
                    let found = Diagnosis::Faulty(victim, Reason::TooOften);
                    assert!(ending.sides.iter().all(|side| side.diagnoses().last() == Some(&found)), "{case:?}");
                    assert!(ending.sides.iter().all(|side| side.events.contains(&Event::Barred(victim))), "{case:?}");
                }
            });
        }
    }
}
