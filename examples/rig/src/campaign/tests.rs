//! Small campaigns: the same figures however they are shared out, all claims held, and with a mechanism off one fails.

use super::{Class, Outcome, Results, mill};
use twinstep::sim::Campaign;
use twinstep::sim::campaign::{After, Done, Observed, ResultsError, chart};

use super::program::Mill;

const CYCLES: u64 = 60_000;
/// An episode has fewer injections than that.
const MOST_INJECTIONS: u64 = 128;
const PERIOD_US: u64 = 20_000;

fn run(campaign: Campaign<Mill>, threads: usize) -> Results {
    campaign.threads(threads).run()
}

#[test]
fn every_claim_holds_and_the_sums_do_not_depend_on_threads_or_shards() {
    let whole = run(mill(1).cycles(CYCLES), 1);
    whole.assert_claims();
    assert!(whole.tally.cycles >= CYCLES && whole.tally.injected() > CYCLES / 20, "{whole}");
    assert_eq!(run(mill(1).cycles(CYCLES), 3), whole, "threads make a difference");

    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = [3, 1, 2]
        .map(|number| {
            let path = folder.path().join(format!("{number}.json"));
            run(mill(1).cycles(CYCLES).shard(number, 3), 2).write(&path).unwrap();
            path
        })
        .into();
    let merged = Results::read(&files).unwrap();
    assert_eq!(merged.json(), whole.json());
    assert!(merged.is_whole() && !Results::read(&files[..2]).unwrap().is_whole());
    let why = |paths: &[&std::path::PathBuf]| Results::read(paths).unwrap_err().to_string();
    assert!(why(&[&files[0], &files[0]]).contains("a shard comes twice"));

    let other = folder.path().join("other.json");
    run(mill(2).cycles(500), 1).write(&other).unwrap();
    assert!(why(&[&files[0], &other]).contains("different campaigns"));
    let torn = folder.path().join("torn.json");
    let text = std::fs::read_to_string(&other).unwrap();
    std::fs::write(&torn, &text[..text.len() / 2]).unwrap();
    assert!(why(&[&torn]).contains("torn.json"));
    assert!(matches!(Results::read(&[] as &[&str]), Err(ResultsError::Nothing)));

    let svg = folder.path().join("campaign.svg");
    chart::write(&whole, &svg).unwrap();
    let svg = std::fs::read_to_string(svg).unwrap();
    for class in &Class::ALL {
        assert!(svg.contains(class.name.replace('\'', "&apos;").as_str()), "{}", class.name);
    }
}

#[test]
fn an_injection_is_replayed_by_its_index() {
    let (mut first, mut wanted) = (Vec::<Done>::new(), 0);
    mill(1)
        .episode(2, |done, _| {
            first.push(*done);
            true
        })
        .unwrap();
    for done in first.iter().rev().step_by(7) {
        wanted = done.index;
        let replay = mill(1).replay(wanted);
        assert_eq!(replay.done.as_ref(), Some(done));
        assert!(replay.text.lines().count() > first.iter().filter(|before| before.index <= wanted).count());
    }
    let text = mill(1).replay(wanted).text;
    assert!(text.contains("torque: ") && text.contains("position: "), "decoded inputs and outputs: {text}");
    assert_eq!(mill(1).replay(2 * MOST_INJECTIONS + MOST_INJECTIONS - 1).kept, None, "no episode is so long");
}

/// Does one injection, after those before it in its episode.
fn replayed(seed: u64, index: u64) -> (Done, After) {
    let mut last = None;
    mill(seed)
        .episode(index / MOST_INJECTIONS, |done, after| {
            let is_last = done.index == index;
            last = is_last.then_some((*done, after));
            !is_last
        })
        .unwrap();
    last.unwrap()
}

/// Injections that drawn seeds came to and that once failed a claim: the half that alone had the state hung, since the
/// other one had left service to restart as it was asked to. The silence that came of it counted as one that the product was to blame for.
const THE_ONLY_HALF_HANGS: [(u64, u64); 5] =
    [(1, 104_113), (9003, 83_594), (9005, 27_265), (2_174_461_453, 45_977), (2_174_461_453, 67_743)];

#[test]
fn the_only_half_hangs_as_it_would_die() {
    for (seed, index) in THE_ONLY_HALF_HANGS {
        let (done, after) = replayed(seed, index);
        let class = &Class::ALL[done.class];
        assert_eq!(class.name, "upgrade: hang", "seed {seed}, injection {index}");
        let outcome = done.outcome.unwrap();
        assert!(class.promise.is_kept_by(outcome, done.diverged), "seed {seed}, injection {index}: {outcome:?}");
        // All but the time that it hung counts.
        let silent_periods = (after.report.longest_silence_us / PERIOD_US) as u32;
        let unexcused = Observed { silent_periods, ..done.seen }.outcome();
        assert!(!class.promise.is_kept_by(unexcused, done.diverged), "seed {seed}, injection {index}: {unexcused:?}");
        let worse = Observed { missing: 1, ..done.seen };
        assert!(!class.promise.is_kept_by(worse.outcome(), done.diverged), "seed {seed}, injection {index}");
    }
}

/// The same, found when the simulated link had no bandwidth: on a line with one the silence is shorter.
#[test]
#[ignore = "its index names another injection since there are more classes; a search has to find one again"]
fn the_only_half_hangs_and_holds_an_output() {
    for (seed, index) in [(9005, 7_441), (846_009_657, 95_788)] {
        let (done, _) = replayed(seed, index);
        let class = &Class::ALL[done.class];
        assert_eq!(
            (class.name, done.outcome),
            ("upgrade: hang", Some(Outcome::Held)),
            "seed {seed}, injection {index}"
        );
        assert!(class.promise.is_kept_by(Outcome::Held, done.diverged));
    }
}

/// A bit of the epoch flips while its channel waits for the UART. The judge read it before the channel could mend it, and saw two owners.
#[test]
#[ignore = "its index names another injection since there are more classes; a search has to find one again"]
fn a_flipped_epoch_that_is_not_mended_yet_owns_nothing() {
    let (done, _) = replayed(1, 3_779_713);
    assert_eq!((Class::ALL[done.class].name, done.outcome), ("control data", Some(Outcome::Masked)));
}

#[test]
fn what_fits_the_time_can_be_run_again() {
    let timed = run(mill(5).seconds(0), 2);
    assert_eq!(timed.tally.episodes, 120, "whatever the time, so many that every class comes");
    timed.assert_claims();
    assert_eq!(run(mill(5).cycles(timed.cycles), 1), timed);
    assert_eq!(timed.title(), "campaign --cycles 60000 --seed 5");
}

#[test]
fn classes_are_left_out_and_the_others_drawn_as_before() {
    let names = ["control data", "times"];
    let left_out = || names.iter().fold(mill(1), |campaign, class| campaign.without(class).unwrap());
    let mut count = 0;
    for number in 0..10 {
        left_out()
            .episode(number, |done, _| {
                let class = Class::ALL[done.class];
                assert!(!names.contains(&class.name) && Some(&class) == mill(1).class(done.index));
                count += 1;
                true
            })
            .unwrap();
    }
    assert!(count > 100, "{count} injections");

    let results = run(left_out().cycles(20_000), 2);
    assert_eq!(results.without.iter().collect::<Vec<_>>(), names);
    assert!(names.iter().all(|class| !results.tally.classes.contains_key(*class)));
    results.assert_claims();
    assert!(results.title().ends_with(r#" --without "control data" --without "times""#), "{}", results.title());
    // To a whole campaign they are missed.
    let mut whole = results;
    whole.without.clear();
    assert_eq!(whole.failed(), ["every class of faults was injected; not: control data, times"]);

    let none = Class::ALL.iter().fold(mill(1), |campaign, class| campaign.without(class.name).unwrap());
    let none = run(none.cycles(1_000), 1);
    assert!(!none.passed(), "nothing was injected");
    assert!(whole.merge(&none).is_err_and(|error| error.to_string().contains("different campaigns")));
}

#[test]
fn a_campaign_that_injects_nothing_fails() {
    let mut nothing = run(mill(1).cycles(500), 1);
    nothing.tally = twinstep::sim::campaign::Tally::default();
    let failed = nothing.failed();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].starts_with("every class of faults was injected; not: output, "), "{failed:?}");
    let mut of_a_shard = run(mill(1).cycles(500).shard(1, 2), 1);
    of_a_shard.tally = twinstep::sim::campaign::Tally::default();
    assert_eq!(of_a_shard.failed(), ["faults were injected: 0"]);
}

/// With a mechanism off a claim fails; that with all of them on none does is a test above.
#[test]
fn every_mechanism_is_missed() {
    let results = run(mill(1).cycles(CYCLES).controls(), 2);
    results.controls.iter().for_each(|(off, failed)| println!("{off} off: {failed:?}"));
    assert_eq!(results.controls.len(), 21);
    results.assert_claims();
}
