//! Bad input: orders out of their turn, two that give them, candidates that do not fit. Refused with the reason, and the
//! half that serves is not disturbed.

use super::faults::go_on;
use super::successor::SOUND;
use super::*;
use twinstep::upgrade::{Candidate, NotReady, Ordered, Refusal};
use twinstep::{Program, Successor};

type New = ServoV2<SOUND>;

const CANDIDATE: Candidate =
    Candidate { version: New::VERSION, takes_version: New::OLD_VERSION, takes_layout: New::OLD_LAYOUT, floor: 0 };

fn with_pair(test: impl FnOnce(&mut Pair<'_, SOUND>)) {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(1), &mut memory, sensor(1)).unwrap();
    run_until(&mut pair, 100, "duplex", |pair| in_duplex(pair, Version::Old));
    pair.run(10);
    for channel in [A, B] {
        pair.half_mut(channel).unwrap().clear_first_fault();
    }
    test(&mut pair);
    assert_flawless(&pair);
}

#[test]
fn what_is_not_ready_says_all_its_reasons_and_nothing_changes() {
    let other_version = Candidate { version: 9, ..CANDIDATE };
    let none = NotReady::NO_CANDIDATE | NotReady::PARTNER_HAS_NO_CANDIDATE;
    for (candidates, reasons) in [
        ([None, None], none),
        ([None, Some(CANDIDATE)], NotReady::NO_CANDIDATE),
        ([Some(CANDIDATE), None], NotReady::PARTNER_HAS_NO_CANDIDATE),
        ([Some(CANDIDATE), Some(other_version)], NotReady::PARTNER_HAS_NO_CANDIDATE),
        ([Some(Candidate { takes_version: 7, ..CANDIDATE }); 2], NotReady::NO_SUCCESSOR),
        ([Some(Candidate { takes_layout: 7, ..CANDIDATE }); 2], NotReady::LAYOUT_DIFFERS),
        ([Some(Candidate { floor: 3, ..CANDIDATE }); 2], NotReady::BELOW_FLOOR),
        (
            [Some(Candidate { version: 2, takes_version: 7, takes_layout: 7, floor: 3 }); 2],
            NotReady::NO_SUCCESSOR | NotReady::LAYOUT_DIFFERS | NotReady::BELOW_FLOOR,
        ),
        ([Some(CANDIDATE); 2], NotReady::empty()),
    ] {
        with_pair(|pair| {
            let owner = pair.owner().unwrap();
            let [mine, theirs] = candidates;
            pair.half_mut(owner).unwrap().offer_candidate(mine);
            pair.half_mut(owner.other()).unwrap().offer_candidate(theirs);
            pair.run(5);
            assert_eq!(pair.half(owner).unwrap().readiness(), reasons, "{candidates:?}");
            let ordered = pair.order(owner, Order::Prepare);
            let refused = Err(Refusal::NotReady(reasons));
            assert_eq!(ordered, if reasons.is_empty() { Ok(Ordered::Done) } else { refused }, "{candidates:?}");
            pair.run(20);
            let expected = if reasons.is_empty() { Step::Prepare } else { Step::Idle };
            assert_eq!([A, B].map(|channel| step(pair, channel)), [Some(expected); 2]);
            assert_eq!([A, B].map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2]);
        });
    }
}

#[test]
fn a_latched_fault_and_a_lost_duplex_are_reasons() {
    with_pair(|pair| {
        let owner = pair.owner().unwrap();
        pair.kill(owner.other(), Some(3));
        pair.run(2);
        let reasons = pair.half(owner).unwrap().readiness();
        assert!(reasons.contains(NotReady::NOT_IN_DUPLEX | NotReady::FAULT_LATCHED), "{reasons}");
        run_until(pair, 200, "duplex again", |pair| in_duplex(pair, Version::Old));
        pair.run(5);
        assert_eq!(pair.half(owner).unwrap().readiness(), NotReady::FAULT_LATCHED);
    });
}

/// Each order in each step, on the half that owns: the step's own are carried out, the others change nothing.
#[test]
fn orders_out_of_their_turn_are_refused() {
    for at in [Step::Idle, Step::Prepare, Step::Split, Step::OldDrives, Step::NewDrives, Step::Merge] {
        for order in Order::ALL {
            let mut memory = Memories::new();
            let mut pair = Pair::<SOUND>::new(&setup(2), &mut memory, sensor(2)).unwrap();
            if at == Step::Idle {
                run_until(&mut pair, 100, "duplex", |pair| in_duplex(pair, Version::Old));
                pair.run(10);
                for channel in [A, B] {
                    pair.half_mut(channel).unwrap().clear_first_fault();
                }
            } else {
                bring_to(&mut pair, at);
            }
            let owner = pair.owner().unwrap();
            let is_its_turn = matches!(
                (at, order),
                (Step::Idle | Step::Prepare, Order::Prepare)
                    | (Step::Prepare, Order::Split)
                    | (Step::NewDrives, Order::Commit)
                    | (Step::Prepare | Step::Split | Step::OldDrives | Step::NewDrives, Order::Abort)
            );
            let before = pair.status(owner).unwrap();
            match pair.order(owner, order) {
                Ok(_) => assert!(is_its_turn, "{order:?} in {at}"),
                Err(Refusal::TrialNotDone { cycles_left }) => {
                    assert_eq!((at, order), (Step::OldDrives, Order::Switchover));
                    assert!((1..=TRIAL_CYCLES as u16).contains(&cycles_left));
                }
                Err(refusal) => {
                    assert!(!is_its_turn, "{order:?} in {at}: {refusal}");
                    assert_eq!(refusal, Refusal::OutOfOrder(at));
                    assert_eq!(pair.status(owner), Some(before), "{order:?} in {at}");
                }
            }
            pair.run(10);
            go_on(&mut pair, &format!("{order:?} in {at}"));
            assert_flawless(&pair);
        }
    }
}

/// Both halves order at once: the owner's word counts, the other one is told why not.
#[test]
fn of_two_that_order_the_owner_decides() {
    with_pair(|pair| {
        let owner = pair.owner().unwrap();
        let other = owner.other();
        pair.order(owner, Order::Prepare).unwrap();
        pair.run(5);
        assert_eq!(pair.order(other, Order::Split), Ok(Ordered::PassedOn));
        assert_eq!(pair.order(other, Order::Abort), Err(Refusal::Busy));
        pair.order(owner, Order::Abort).unwrap();
        pair.run(5);
        assert_eq!(step(pair, owner), Some(Step::Idle));
        let status = pair.status(other).unwrap();
        assert_eq!((status.ordered, status.refused), (None, Some(Refusal::OutOfOrder(Step::Idle))));
        pair.run(50);
        assert!(in_duplex(pair, Version::Old), "{}", describe(pair));
    });
}

#[test]
fn an_order_without_an_owner_is_refused() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(3), &mut memory, sensor(3)).unwrap();
    assert_eq!(pair.order(A, Order::Prepare), Err(Refusal::NoOwner));
    assert_eq!(pair.order(B, Order::Prepare), Err(Refusal::NoOwner));
}

/// The trial has a budget: no switchover before it is spent.
#[test]
fn a_switchover_waits_for_the_trial() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(4), &mut memory, sensor(4)).unwrap();
    bring_to(&mut pair, Step::OldDrives);
    let owner = pair.owner().unwrap();
    let mut refused = 0;
    while let Err(refusal) = pair.order(owner, Order::Switchover) {
        assert!(matches!(refusal, Refusal::TrialNotDone { .. }), "{refusal}");
        refused += 1;
        pair.run(1);
    }
    assert!((TRIAL_CYCLES - 2..TRIAL_CYCLES + 4).contains(&refused), "{refused}");
}

/// A candidate that does not start leaves the half on the old version: the upgrade is over, and nothing is lost.
#[test]
fn a_candidate_that_does_not_start_ends_the_upgrade() {
    let mut memory = Memories::new();
    let mut pair = Pair::<SOUND>::new(&setup(5), &mut memory, sensor(5)).unwrap();
    for channel in [A, B] {
        pair.spoil_candidate(channel);
    }
    bring_to(&mut pair, Step::Split);
    run_until(&mut pair, 200, "duplex", |pair| in_duplex(pair, Version::Old));
    assert_flawless(&pair);
    assert!(pair.driven().iter().all(|(_, _, version)| *version == Version::Old));
}
