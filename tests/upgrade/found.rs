//! What readings of the code found, each as the schedule that showed it.

use super::successor::{SOUND, WRONG};
use super::*;
use twinstep::sim::{Disturbance, Failure, Moment};
use twinstep::{Faults, Site};

/// A bit flipped in one of the two steps of a cycle: the third one settles it, and nobody leaves.
#[test]
fn a_transient_of_a_step_costs_nothing() {
    let mut masked = 0;
    for seed in 0..200_u64 {
        let mut memory = Memories::new();
        let mut pair = Pair::<SOUND>::new(&setup(seed), &mut memory, sensor(seed)).unwrap();
        bring_to(&mut pair, if seed % 2 == 0 { Step::OldDrives } else { Step::NewDrives });
        pair.run(3);
        let site = if seed % 3 == 0 { Site::AgreedInput } else { Site::Output };
        pair.flip_within_turn(if seed % 4 < 2 { A } else { B }, Moment::Begun, site, seed as usize * 7);
        pair.run(3);
        let report = pair.report();
        assert_eq!((report.self_exclusions, report.wrong), (0, 0), "seed {seed}: {}", describe(&pair));
        assert_eq!([A, B].map(|channel| pair.mode(channel)), [Some(Mode::Trial); 2], "seed {seed}");
        masked += report.masked;
    }
    assert!(masked > 100, "{masked}");
}

/// The same with any single step gone wrong, the second one of a cycle, too.
#[test]
fn whichever_step_goes_wrong_nobody_leaves() {
    for step in 1..12 {
        let mut memory = Memories::new();
        let mut pair = Pair::<SOUND>::new(&setup(8), &mut memory, sensor(8)).unwrap();
        bring_to(&mut pair, Step::OldDrives);
        super::successor::GLITCH_IN.set(step);
        pair.run(6);
        super::successor::GLITCH_IN.set(0);
        assert_eq!(pair.report().self_exclusions, 0, "step {step}: {}", describe(&pair));
        assert_eq!([A, B].map(|channel| pair.mode(channel)), [Some(Mode::Trial); 2], "step {step}");
    }
}

/// An order that was on its way as its addressee died is not carried out in a later upgrade.
#[test]
fn an_order_dies_with_the_owner_it_was_for() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(1), &mut memory, sensor(1)).unwrap();
    bring_to(&mut pair, Step::NewDrives);
    let new = pair.owner().unwrap();
    pair.order(new.other(), Order::Commit).unwrap();
    pair.kill(new, Some(5));
    run_until(&mut pair, 200, "duplex of the old version", |pair| in_duplex(pair, Version::Old));
    assert_eq!(pair.status(new.other()).unwrap().ordered, None);
    bring_to(&mut pair, Step::NewDrives);
    pair.run(40);
    assert_eq!(step(&pair, pair.owner().unwrap()), Some(Step::NewDrives), "nobody has ordered a commit");
    assert_flawless(&pair);
}

/// What the owner says as it hands over waits in the line until after it has taken the outputs back.
#[test]
fn a_late_word_that_the_outputs_are_left_takes_nothing() {
    for (offset_us, stall_us) in
        (0..20).step_by(2).flat_map(|ms| (12..34).map(move |stall| (ms * 1_000, stall * 1_000)))
    {
        for arbiter in [ArbiterKind::Relay { asks: 1 }, ArbiterKind::Relay { asks: 3 }] {
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&with_arbiter(2, arbiter), &mut memory, sensor(2)).unwrap();
            bring_to(&mut pair, Step::OldDrives);
            let old = pair.owner().unwrap();
            run_until(&mut pair, 100, "ready", |pair| pair.status(old).unwrap().is_ready);
            pair.run_us(offset_us);
            pair.order(old, Order::Switchover).unwrap();
            pair.disturb(old, Disturbance::Stalled { for_us: stall_us });
            pair.run(30);
            assert_flawless(&pair);
        }
    }
}

/// A rule for an arbiter, and the line of whoever owns dead as it hands over: the outputs stop until the line is back, and
/// no longer.
#[test]
fn a_rule_finds_an_owner_again_whoever_it_was() {
    for first in [A, B] {
        for at in [Step::Switchover, Step::Abort] {
            for silent in [A, B] {
                for for_us in [30_000, 50_000, 90_000] {
                    let setup = with_arbiter(3, ArbiterKind::Preferred(first));
                    let mut memory = Memories::new();
                    let mut pair = Pair::<SOUND>::new(&setup, &mut memory, sensor(3)).unwrap();
                    bring_to(&mut pair, at);
                    pair.disturb(silent, Disturbance::Subset { for_us });
                    let before = pair.latest().0;
                    pair.run(60);
                    let context = format!("first {first}, {at}, {silent} silent for {for_us} us");
                    assert!(pair.latest().0 > before + 35, "{context}: {}", describe(&pair));
                    let report = pair.report();
                    assert_eq!((report.wrong, report.owners_max), (0, 1), "{context}: {}", describe(&pair));
                }
            }
        }
    }
}

/// A version that has failed its trial does not take over: not from a silent owner, and not from one that says it is empty.
#[test]
fn a_failed_version_goes_on_alone_on_no_grounds() {
    for back_after in [None, Some(0), Some(1), Some(2), Some(8)] {
        for patience in [0, 2] {
            let made = setup(4);
            let setup = Setup { config: Config { patience, ..made.config }, ..made };
            let mut memory = Memories::new();
            let mut pair = Pair::<WRONG>::new(&setup, &mut memory, sensor(4)).unwrap();
            bring_to(&mut pair, Step::OldDrives);
            pair.run(10);
            let old = pair.owner().unwrap();
            assert!(pair.status(old).unwrap().has_failed);
            pair.kill(old, back_after);
            pair.run(40);
            let by_new = pair.driven().iter().filter(|(_, _, version)| *version == Version::New).count();
            assert_eq!(by_new, 0, "back after {back_after:?}, patience {patience}: {}", describe(&pair));
            if back_after.is_some() {
                // Back on the old version, from the beginning: that state was in nobody's memory any more.
                run_until(&mut pair, 100, "the old version", |pair| in_duplex(pair, Version::Old));
            }
        }
    }
}

/// One that owns and has just failed drives what is safe if there is nobody to hand back to.
#[test]
fn a_failed_owner_without_a_shadow_is_safe() {
    let mut seen = 0;
    for (cycles, byte) in (16..22).flat_map(|cycles| (0..120).map(move |byte| (cycles, byte))) {
        let mut memory = Memories::new();
        let mut pair = Pair::<{ super::successor::WRONG_LATER }>::new(&setup(5), &mut memory, sensor(5)).unwrap();
        bring_to(&mut pair, Step::NewDrives);
        let new = pair.owner().unwrap();
        // Until it is wrong for the first time.
        for _ in 0..30 {
            if pair.status(new).is_none_or(|status| status.counts.cycles >= cycles || status.has_failed) {
                break;
            }
            pair.run(1);
        }
        pair.fail_at_byte(new.other(), byte, Failure::Dies);
        pair.run(40);
        let mut is_failed = false;
        while let Some(half) = pair.half_mut(new)
            && let Some(entry) = half.read_event()
        {
            is_failed |= matches!(entry.event, twinstep::Event::Fault(faults) if faults.contains(Faults::TRIAL_FAILED));
        }
        if pair.mode(new) == Some(Mode::Safe) {
            assert!(is_failed);
            seen += 1;
        }
    }
    assert!(seen > 0, "no death came between the failure and the way back");
}

/// Upgrade after upgrade with the same halves: nothing of the first one is left.
#[test]
fn an_upgrade_that_was_aborted_can_be_begun_again() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(6), &mut memory, sensor(6)).unwrap();
    for _ in 0..3 {
        bring_to(&mut pair, Step::Abort);
        run_until(&mut pair, 200, "duplex of the old version", |pair| in_duplex(pair, Version::Old));
    }
    bring_to(&mut pair, Step::Merge);
    run_until(&mut pair, 200, "duplex of the new version", |pair| in_duplex(pair, Version::New));
    assert_flawless(&pair);
}

/// A half whose candidate does not start cannot follow after the commit: it tries a few times, and then it is left to a person.
#[test]
fn a_half_that_cannot_follow_does_not_restart_for_ever() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(7), &mut memory, sensor(7)).unwrap();
    bring_to(&mut pair, Step::NewDrives);
    let new = pair.owner().unwrap();
    pair.spoil_candidate(new.other());
    pair.order(new, Order::Commit).unwrap();
    run_until(&mut pair, 400, "given up", |pair| step(pair, new) == Some(Step::NewDrives));
    let (mut boots, mut was_off) = (0, false);
    for _ in 0..200 {
        pair.run(1);
        let is_off = pair.mode(new.other()).is_none();
        boots += u32::from(was_off && !is_off);
        was_off = is_off;
    }
    assert_eq!(boots, 0, "{}", describe(&pair));
    assert_eq!((pair.mode(new), pair.version(new)), (Some(Mode::Simplex), Some(Version::New)));
    assert_flawless(&pair);
}

/// What the partner said in a trial does not outlive the trial: neither what it is ready for nor what it has counted.
#[test]
fn what_the_partner_said_ends_with_its_silence() {
    for is_killed in [false, true] {
        let mut memory = Memories::new();
        let mut pair = Pair::<SOUND>::new(&setup(3), &mut memory, sensor(3)).unwrap();
        bring_to(&mut pair, Step::OldDrives);
        let old = pair.owner().unwrap();
        run_until(&mut pair, 200, "a trial that is over", |pair| pair.status(old).unwrap().is_ready);
        assert!(pair.status(old).unwrap().counts.cycles > 0);
        if is_killed {
            pair.kill(old.other(), None);
        } else {
            pair.cut(true);
        }
        run_until(&mut pair, 20, "one alone", |pair| pair.mode(old) == Some(Mode::Simplex));
        let status = pair.status(old).unwrap();
        assert!(!status.is_ready && !status.has_failed, "{status:?}");
        assert_eq!(
            (status.counts.cycles, status.partner_version, status.partner_step),
            (0, 0, Step::Idle),
            "{status:?}"
        );
    }
}

/// A misread in the poll that lets go of the outputs, after which this half looks at the arbiter no more; then the other half dies, before or
/// after it has taken them.
#[test]
fn a_misread_at_a_handover_does_not_end_service() {
    let mut misreads = 0;
    for at_us in (0..60_000).step_by(500) {
        for died_after_us in [0, 5_000, 300_000] {
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&setup(3), &mut memory, sensor(3)).unwrap();
            bring_to(&mut pair, Step::OldDrives);
            let old = pair.owner().unwrap();
            run_until(&mut pair, 200, "a trial that is over", |pair| pair.status(old).unwrap().is_ready);
            pair.run_us(at_us / 3);
            pair.order(old, Order::Switchover).unwrap();
            pair.run_us(at_us);
            pair.arbiter(old).misread(1);
            pair.run_us(died_after_us);
            misreads += u32::from(pair.owner() == Some(old));
            pair.kill(old.other(), None);
            pair.run(20);
            let context = format!("{at_us} {died_after_us}: {}", describe(&pair));
            let before = pair.driven().len();
            pair.run(20);
            assert!(pair.driven().len() >= before + 19, "{context}");
            assert_eq!((pair.report().wrong, pair.report().owners_max), (0, 1), "{context}");
        }
    }
    assert!(misreads > 0);
}
