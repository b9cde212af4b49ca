//! The way through, and the ways back.

use super::successor::{REFUSED_WITH, REFUSES, SOUND, WRONG, WRONG_LATER};
use super::*;

#[test]
fn from_one_version_to_the_next_without_a_missing_cycle() {
    for arbiter in [
        ArbiterKind::Relay { asks: 1 },
        ArbiterKind::Relay { asks: 3 },
        ArbiterKind::Preferred(A),
        ArbiterKind::Preferred(B),
    ] {
        for seed in 0..10 {
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&with_arbiter(seed, arbiter), &mut memory, sensor(seed)).unwrap();
            bring_to(&mut pair, Step::Merge);
            run_until(&mut pair, 200, "duplex of the new version", |pair| in_duplex(pair, Version::New));
            pair.run(20);
            assert_flawless(&pair);
            assert!(in_duplex(&pair, Version::New), "{arbiter:?}, seed {seed}: {}", describe(&pair));
            for channel in [A, B] {
                assert!(pair.loader(channel).is_confirmed());
                assert_eq!(pair.loader(channel).floor(), 2);
            }
        }
    }
}

#[test]
fn a_wrong_version_is_found_in_the_trial_and_never_drives() {
    let mut memory = Memories::new();
    let mut pair = Pair::<WRONG>::new(&setup(1), &mut memory, sensor(1)).unwrap();
    bring_to(&mut pair, Step::OldDrives);
    pair.run(30);
    let owner = pair.owner().unwrap();
    let status = pair.status(owner).unwrap();
    assert!(status.has_failed && !status.is_ready && status.counts.differing > 0, "{status:?}");
    assert_eq!(pair.order(owner, Order::Switchover), Err(twinstep::upgrade::Refusal::TrialFailed));
    pair.order(owner, Order::Abort).unwrap();
    run_until(&mut pair, 200, "duplex of the old version", |pair| in_duplex(pair, Version::Old));
    pair.run(10);
    assert_flawless(&pair);
    assert!(pair.driven().iter().all(|(_, _, version)| *version == Version::Old));
}

#[test]
fn a_version_that_goes_wrong_as_it_drives_is_not_driven_and_goes_back_by_itself() {
    let mut memory = Memories::new();
    let mut pair = Pair::<WRONG_LATER>::new(&setup(2), &mut memory, sensor(2)).unwrap();
    bring_to(&mut pair, Step::NewDrives);
    run_until(&mut pair, 200, "duplex of the old version", |pair| in_duplex(pair, Version::Old));
    pair.run(10);
    assert_flawless(&pair);
    assert!(pair.driven().iter().any(|(_, _, version)| *version == Version::New));
}

#[test]
fn abort_goes_back_from_every_step_before_the_commit() {
    for at in [Step::Prepare, Step::Split, Step::OldDrives, Step::Switchover, Step::NewDrives] {
        for periods in [0, 1, 7] {
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&setup(3), &mut memory, sensor(3)).unwrap();
            bring_to(&mut pair, at);
            if at != Step::Switchover {
                pair.run(periods);
            }
            let owner = pair.owner().unwrap();
            pair.order(owner, Order::Abort).unwrap();
            run_until(&mut pair, 300, "duplex of the old version", |pair| in_duplex(pair, Version::Old));
            pair.run(10);
            assert_flawless(&pair);
        }
    }
}

#[test]
fn a_state_that_cannot_be_taken_over_leaves_the_serving_half_alone() {
    let mut memory = Memories::new();
    let mut pair = Pair::<REFUSES>::new(&setup(4), &mut memory, sensor(4)).unwrap();
    bring_to(&mut pair, Step::Split);
    let owner = pair.owner().unwrap();
    let mut seen = None;
    for _ in 0..200 {
        pair.run(1);
        let status = pair.status(owner).unwrap();
        seen = seen.or(status.cannot_migrate);
    }
    assert_eq!(seen, Some(REFUSED_WITH));
    assert!(in_duplex(&pair, Version::Old), "{}", describe(&pair));
    assert_flawless(&pair);
}

#[test]
fn orders_on_the_other_half_are_passed_on() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(5), &mut memory, sensor(5)).unwrap();
    run_until(&mut pair, 100, "duplex", |pair| in_duplex(pair, Version::Old));
    pair.run(10);
    for channel in [A, B] {
        pair.half_mut(channel).unwrap().clear_first_fault();
    }
    let other = pair.owner().unwrap().other();
    for (order, reached) in
        [(Order::Prepare, Step::Prepare), (Order::Split, Step::OldDrives), (Order::Switchover, Step::NewDrives)]
    {
        if order == Order::Switchover {
            run_until(&mut pair, 200, "ready", |pair| pair.status(other).unwrap().is_ready);
        }
        pair.order(other, order).unwrap();
        run_until(&mut pair, 200, "the step", |pair| step(pair, other) == Some(reached));
    }
    // The outputs have changed sides: so has the owner's word.
    let old = pair.owner().unwrap().other();
    pair.order(old, Order::Commit).unwrap();
    run_until(&mut pair, 300, "duplex of the new version", |pair| in_duplex(pair, Version::New));
    assert_flawless(&pair);
}

/// Controls: what happens without the mechanism that the tests above rely on.
mod without {
    use super::*;
    use twinstep::Mechanism;
    use twinstep::sim::Failure;

    fn off(mechanism: Mechanism, seed: u64) -> Setup {
        Setup { off: Some(mechanism), ..setup(seed) }
    }

    #[test]
    fn the_comparison_a_wrong_output_is_driven() {
        let mut memory = Memories::new();
        let mut pair = Pair::<WRONG_LATER>::new(&off(Mechanism::Trial, 2), &mut memory, sensor(2)).unwrap();
        bring_to(&mut pair, Step::NewDrives);
        let before = pair.driven().len();
        pair.run(60);
        // Nothing is wrong by the program's own word: that is just what it computes. The old one's is another.
        let by_new = pair.driven()[before..].iter().filter(|(_, _, version)| *version == Version::New).count();
        assert!(by_new > 50 && step(&pair, pair.owner().unwrap()) == Some(Step::NewDrives), "{}", describe(&pair));
    }

    #[test]
    fn letting_go_both_own() {
        let mut owners = 0;
        for seed in 0..10 {
            let setup = Setup { arbiter: ArbiterKind::Preferred(A), ..off(Mechanism::LetGo, seed) };
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&setup, &mut memory, sensor(seed)).unwrap();
            bring_to(&mut pair, Step::Switchover);
            pair.run(10);
            owners = owners.max(pair.report().owners_max);
        }
        assert_eq!(owners, 2);
    }

    /// Cuts the link at any time of a trial in which the old version drives, once a seed; returns how often the new version went on.
    fn cut_in_a_trial(off: Option<Mechanism>, seeds: core::ops::Range<u64>) -> u32 {
        let mut new_went_on = 0;
        for seed in seeds {
            let mut memory = Memories::new();
            let fast = if seed % 2 == 0 { 200 } else { -200 };
            let setup = Setup { off, drift_ppm: [fast, -fast], ..setup(seed) };
            let mut pair = Pair::<SOUND>::new(&setup, &mut memory, sensor(seed)).unwrap();
            bring_to(&mut pair, Step::OldDrives);
            pair.run_us(seed * 1_700 % 40_000);
            pair.cut(true);
            pair.run(5);
            let owner = pair.owner().and_then(|owner| pair.version(owner));
            new_went_on += u32::from(owner == Some(Version::New));
        }
        new_went_on
    }

    #[test]
    fn waiting_a_cut_link_lets_the_new_version_drive() {
        let cases = [None, Some(Mechanism::OldFirst)];
        let [waiting, at_once] = cases.map(|off| cut_in_a_trial(off, 0..40));
        assert_eq!(waiting, 0);
        assert!(at_once > 0);
        let [waiting, at_once] = cases.map(|off| cut_in_a_trial(off, 0..400));
        println!("the new version went on in {waiting} of 400 cuts, and in {at_once} if it does not wait");
        // A cut that lets only the new version's vote through settles the cycle for the old one, whose next deadline is
        // a period later than the one at which the new version claims.
        assert!(waiting * 10 <= at_once, "{waiting} and {at_once}");
    }

    /// Lets the half that is to take the outputs die at each byte that it sends then; returns the longest silence.
    fn silence_if_it_dies_as_it_takes_them(off: Option<Mechanism>) -> u64 {
        let mut longest_us = 0;
        for byte in 0..120 {
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&Setup { off, ..setup(1) }, &mut memory, sensor(1)).unwrap();
            bring_to(&mut pair, Step::Switchover);
            let new = pair.owner().unwrap().other();
            pair.fail_at_byte(new, byte, Failure::Dies);
            pair.run(30);
            longest_us = longest_us.max(pair.report().longest_silence_us);
        }
        longest_us
    }

    #[test]
    fn numbers_of_a_trial_a_death_in_the_handover_stops_the_outputs() {
        let period_us = u64::from(setup(1).config.period_us);
        assert!(silence_if_it_dies_as_it_takes_them(None) < 2 * period_us);
        assert!(silence_if_it_dies_as_it_takes_them(Some(Mechanism::TrialNumbers)) > 4 * period_us);
    }
}
