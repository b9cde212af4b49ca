//! Each of these claims fails when what it claims is violated.

use super::*;
use crate::seu::{Seu, SeuFigures};
use twinstep::ChannelId::A;

fn failed(plan: &Plan, figures: &Figures) -> Vec<String> {
    let modes = [Some(ModeCode::Duplex); 2];
    let ending = Ending { modes, link_changes: 0, one_stood_by: false, checks_link_overhead: false };
    plan.claims(figures, &ending).into_iter().filter(|claim| !claim.held).map(|claim| claim.claim).collect()
}

/// Of a failover.
fn sound() -> Figures {
    Figures {
        cycles: 100,
        owners_max: 1,
        takeovers: 1,
        kill_cycle: Some(50),
        takeover_cycle: Some(50),
        longest_gap_us: Some(LONGEST_GAP_US.into()),
        ..Figures::default()
    }
}

#[test]
fn a_gap_that_is_too_long_or_was_not_measured_fails() {
    let plan = Plan::new(Kind::Failover, 1, 100);
    assert_eq!(failed(&plan, &sound()), Vec::<String>::new());
    for longest_gap_us in [None, Some(u64::from(LONGEST_GAP_US) + 1)] {
        let figures = Figures { longest_gap_us, ..sound() };
        assert_eq!(failed(&plan, &figures), ["at most two periods, a vote window and a claim between two outputs"]);
    }
}

#[test]
fn an_older_output_and_a_drive_without_the_lease_fail() {
    let plan = Plan::new(Kind::Failover, 1, 100);
    let figures = Figures { went_back: 1, cut_off: 1, ..sound() };
    assert_eq!(failed(&plan, &figures), ["no output after one of a later cycle", "no board drove without the lease"]);
    let rot = Plan::new(Kind::Rot, 1, 100);
    let lease = "no board drove without the lease".to_owned();
    assert!(failed(&rot, &figures).contains(&lease) && !failed(&rot, &sound()).contains(&lease));
}

/// Of an instruction each, of which some were not come by.
fn skipped(hit: u32, missed: u32) -> SeuFigures {
    let mut seu = Seu::new(u32::MAX);
    seu.follows(9_000, 3_000, (hit + missed) as usize);
    (0..missed).for_each(|_| seu.not_reached());
    (0..hit).for_each(|cycle| seu.flipped(A, cycle, "instruction skipped", String::new(), 0));
    seu.into_figures()
}

#[test]
fn instructions_that_are_hardly_ever_hit_fail() {
    let aim = Aim::EveryInstruction { shard: 1, of: 1 };
    let plan = Plan { aim, flips: u32::MAX, ..Plan::new(Kind::Seu, 1, 100) };
    let failed = |hit, missed| failed(&plan, &Figures { seu: Some(skipped(hit, missed)), ..sound() });
    assert_eq!(failed(20, 1), Vec::<String>::new());
    assert_eq!(failed(19, 1), ["all but one in twenty of those that were aimed at"]);
    assert_eq!(failed(0, 0), ["instructions skipped from vote to actuator"]);
}
