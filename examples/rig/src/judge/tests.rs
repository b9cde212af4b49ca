//! What the judge counts.

use super::{FRESH_FOR_CYCLES, Figures, Judge};
use tank::field_bus::OutcomeCode;
use tank::{Drive, Reading};
use twinstep::ChannelId::{self, A};
use twinstep::sim::Version;

const OUTPUT: Drive = Drive { heater_permille: 1, ..<tank::Tank as twinstep::Program>::SAFE };

fn drive(judge: &mut Judge, board: ChannelId, cycle: u32, at_us: u64) {
    if judge.drives(board, 1, OutcomeCode::Alone, cycle, &OUTPUT) {
        judge.drove_at(at_us);
    }
}

fn figures(what: impl FnOnce(&mut Judge)) -> Figures {
    let mut judge = Judge::new();
    what(&mut judge);
    judge.into_figures()
}

#[test]
fn the_longest_time_between_two_outputs_is_known() {
    let came = figures(|judge| {
        for (cycle, at_us) in [(1, 1_000), (2, 3_000), (3, 8_000), (3, 90_000), (4, 9_000)] {
            drive(judge, A, cycle, at_us);
        }
    });
    assert_eq!(came.longest_gap_us, Some(5_000), "an output that is driven again ends no gap");
}

#[test]
fn an_output_after_one_of_a_later_cycle_counts() {
    let went_back =
        |cycles: &[u32]| figures(|judge| cycles.iter().for_each(|cycle| drive(judge, A, *cycle, 0))).went_back;
    assert_eq!(went_back(&[1, 2, 2, 3]), 0);
    assert_eq!(went_back(&[1, 2, 1, 3]), 1);
}

#[test]
fn a_board_samples_what_it_was_given_lately() {
    let reading = |tank_centi_c: i16| Reading { tank_centi_c, ..Reading::default() };
    // Of nine cycles, each with its reading, and then a sample.
    let damaged = |given: i16, sampled: Reading| {
        let mut judge = Judge::of_upset_boards();
        for number in 1..=given {
            judge.gave(A, reading(number));
            drive(&mut judge, A, number as u32, 0);
        }
        judge.sampled(A, given as u32 + 1, sampled);
        judge.into_figures().damaged_readings
    };
    assert_eq!(damaged(0, Reading::default()), Some(0), "no sensor was read yet");
    assert_eq!(damaged(9, Reading::default()), Some(1));
    assert_eq!(damaged(9, reading(9)), Some(0));
    assert_eq!(damaged(9, reading(10)), Some(1));
    let oldest = 11 - FRESH_FOR_CYCLES as i16; // the first one was given before the first output
    assert_eq!((damaged(9, reading(oldest)), damaged(9, reading(oldest - 1))), (Some(0), Some(1)));
}

#[test]
fn a_pair_that_begins_anew_may_use_the_last_readings_for_a_while() {
    let reading = |tank_centi_c: i16| Reading { tank_centi_c, ..Reading::default() };
    let wrong = |samples: &[(u32, i16)]| {
        let mut judge = Judge::of_mortal_boards();
        for number in 1..=9 {
            judge.gave(A, reading(number));
            drive(&mut judge, A, number as u32, 0);
        }
        let before = judge.wrong();
        samples.iter().for_each(|(cycle, number)| judge.sampled(A, *cycle, reading(*number)));
        (judge.took_anew(), judge.wrong() - before)
    };
    assert_eq!(wrong(&[(1, 9), (FRESH_FOR_CYCLES, 9)]), (true, 0));
    assert_eq!(wrong(&[(1, 9), (FRESH_FOR_CYCLES + 1, 9)]), (true, 1));
}

#[test]
fn a_board_that_boots_knows_no_reading() {
    let came = figures(|judge| {
        (1..9).for_each(|number| judge.gave(A, Reading { tank_centi_c: number, ..Reading::default() }));
        judge.booted(A, Version::Old);
        judge.sampled(A, 1, Reading { tank_centi_c: 8, ..Reading::default() });
        judge.sampled(A, 1, Reading::default());
    });
    assert_eq!(came.wrong, 1);
}
