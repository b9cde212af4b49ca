//! Each half dies in each step, at every place of what it sends: the other one serves on, and afterwards both are in
//! duplex on one version again.

use super::successor::SOUND;
use super::*;
use twinstep::sim::Failure;

/// Goes on as a person would: whatever the step, forward if there is a way, until both are in duplex on one version.
pub(super) fn go_on(pair: &mut Pair<'_, SOUND>, context: &str) -> Version {
    for _ in 0..1200 {
        for version in [Version::Old, Version::New] {
            if in_duplex(pair, version) {
                return version;
            }
        }
        if let Some(owner) = pair.owner()
            && let Some(status) = pair.status(owner)
        {
            match status.step {
                Step::Prepare => assert!(pair.order(owner, Order::Abort).is_ok()),
                Step::OldDrives if status.has_failed => assert!(pair.order(owner, Order::Abort).is_ok()),
                Step::OldDrives if status.is_ready => assert!(pair.order(owner, Order::Switchover).is_ok()),
                Step::NewDrives if pair.mode(owner) != Some(Mode::Trial) || status.counts.cycles > 5 => {
                    pair.order(owner, Order::Commit).unwrap();
                }
                _ => {}
            }
        }
        pair.run(1);
    }
    panic!("{context}: no duplex again: {}", describe(pair));
}

/// Whether one half alone has the state in this step, or in a part of it.
fn has_no_redundancy(step: Step) -> bool {
    // In the commit the old half leaves as soon as it hears of it: whoever dies then is the only one.
    matches!(step, Step::Split | Step::Commit | Step::Merge | Step::Abort)
}

/// The steps in which somebody may die, with how long after the step began.
const MOMENTS: [(Step, u32); 17] = [
    (Step::Prepare, 0),
    (Step::Prepare, 2),
    (Step::Split, 0),
    (Step::Split, 1),
    (Step::Split, 6),
    (Step::OldDrives, 0),
    (Step::OldDrives, 5),
    (Step::OldDrives, 30),
    (Step::Switchover, 0),
    (Step::NewDrives, 0),
    (Step::NewDrives, 5),
    (Step::Commit, 0),
    (Step::Commit, 1),
    (Step::Merge, 1),
    (Step::Merge, 6),
    (Step::Abort, 0),
    (Step::Abort, 3),
];

fn die(step: Step, after: u32, kills_owner: bool, byte: u64, seed: u64, arbiter: ArbiterKind) {
    let context = format!("{step} + {after}, owner dies: {kills_owner}, byte {byte}, seed {seed}");
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&with_arbiter(seed, arbiter), &mut memory, sensor(seed)).unwrap();
    bring_to(&mut pair, step);
    pair.run(after);
    let Some(owner) = pair.owner() else { panic!("{context}: nobody owns: {}", describe(&pair)) };
    let dead = if kills_owner { owner } else { owner.other() };
    pair.fail_at_byte(dead, byte, Failure::Dies);
    pair.run(20);
    let version = go_on(&mut pair, &context);
    pair.run(5);
    let report = pair.report();
    assert_eq!((report.wrong, report.safe, report.restless), (0, 0, 0), "{context}: {}", describe(&pair));
    assert_eq!(report.owners_max, 1, "{context}: {}", describe(&pair));
    assert!(in_duplex(&pair, version), "{context}: {}", describe(&pair));
    // A state whose last block and `Cut` are on the link when its only half dies is not lost.
    if report.states_lost > 0 {
        let is_allowed = pair.killed_the_only() && has_no_redundancy(step);
        assert!(is_allowed, "{context}: both halves had the state: {}", describe(&pair));
        assert_eq!(report.states_lost, 1, "{context}: {}", describe(&pair));
    } else {
        assert_eq!((report.missing, report.went_back), (0, 0), "{context}: {}", describe(&pair));
        let period_us = u64::from(setup(seed).config.period_us);
        let is_prompt = report.longest_silence_us <= 3 * period_us;
        assert!(is_prompt, "{context}: silent for {} us: {}", report.longest_silence_us, describe(&pair));
    }
}

#[test]
fn each_half_dies_in_each_step() {
    for (step, after) in MOMENTS {
        for kills_owner in [true, false] {
            for byte in (0..150).step_by(7) {
                die(step, after, kills_owner, byte, 1, ArbiterKind::Relay { asks: 1 });
            }
        }
    }
}

#[test]
fn each_half_dies_in_each_step_with_a_slow_arbiter() {
    for (step, after) in MOMENTS {
        for kills_owner in [true, false] {
            for byte in (0..150).step_by(31) {
                die(step, after, kills_owner, byte, 2, ArbiterKind::Relay { asks: 3 });
            }
        }
    }
}

/// A half that hangs is as good as dead, and then goes on where it was.
#[test]
fn each_half_hangs_in_each_step() {
    for (step, after) in MOMENTS {
        for kills_owner in [true, false] {
            for (byte, for_us) in [(0, 15_000), (20, 25_000), (60, 45_000), (90, 200_000)] {
                let context = format!("{step} + {after}, owner hangs: {kills_owner}, byte {byte}, for {for_us} us");
                let mut memory = Memories::new();
                let mut pair = Pair::<SOUND>::new(&setup(3), &mut memory, sensor(3)).unwrap();
                bring_to(&mut pair, step);
                pair.run(after);
                let owner = pair.owner().unwrap();
                let hung = if kills_owner { owner } else { owner.other() };
                pair.fail_at_byte(hung, byte, Failure::Hangs { for_us: Some(for_us), hears: true });
                pair.run(20);
                go_on(&mut pair, &context);
                pair.run(5);
                let report = pair.report();
                let bad = (report.wrong, report.safe, report.missing, report.states_lost);
                assert_eq!(bad, (0, 0, 0, 0), "{context}: {}", describe(&pair));
                assert_eq!(report.owners_max, 1, "{context}: {}", describe(&pair));
                assert!(!pair.hung_the_only() || has_no_redundancy(step), "{context}: {}", describe(&pair));
                let period_us = u64::from(setup(3).config.period_us);
                let is_prompt = report.longest_idle_us <= 3 * period_us;
                assert!(is_prompt, "{context}: idle for {} us: {}", report.longest_idle_us, describe(&pair));
            }
        }
    }
}

/// The link is cut for a while in each step: one owner at most, and nothing wrong.
#[test]
fn the_link_is_cut_in_each_step() {
    for (step, after) in MOMENTS {
        for periods in [1, 2, 30] {
            let context = format!("{step} + {after}, cut for {periods}");
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&setup(4), &mut memory, sensor(4)).unwrap();
            bring_to(&mut pair, step);
            pair.run(after);
            pair.cut(true);
            pair.run(periods);
            pair.cut(false);
            pair.run(20);
            go_on(&mut pair, &context);
            pair.run(5);
            let report = pair.report();
            let bad = (report.wrong, report.safe, report.missing, report.states_lost);
            assert_eq!(bad, (0, 0, 0, 0), "{context}: {}", describe(&pair));
            assert_eq!(report.owners_max, 1, "{context}: {}", describe(&pair));
        }
    }
}
