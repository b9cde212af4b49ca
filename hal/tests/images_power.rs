//! Power cuts at every operation of flash, and at every operation of the recovery from that.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod board;

use board::device::{Action, Device, Off, Stop};
use board::flash::EFFECTS;

/// A life of a board: each part, and the version that it is to have after a power cut in that part.
const LIFE: &[(&[Action], u32)] = {
    use Action::*;
    &[
        (&[Stage(101)], 101),
        (&[Mark, Reset], 101),
        (&[Confirm, Reset], 101),
        (&[RaiseFloor(101)], 102),
        // Not confirmed: back to 101, and then once more without a transfer.
        (&[Stage(102), Mark, Reset, Reset], 102),
        (&[Mark, Reset, Confirm], 102),
        // Back to the one before, and forth.
        (&[Revert, Reset, Reset], 103),
        (&[Revert, Reset], 104),
        (&[Revert, Reset], 102),
        // Rejected on trial; taken back before it.
        (&[Stage(103), Mark, Reset, Revert, Reset], 103),
        (&[Mark, Revert, Reset], 105),
        // Half an image, then another one.
        (&[Stage(104), Stage(105), Mark, Reset, Confirm, RaiseFloor(105), Reset], 106),
    ]
};

#[derive(Debug, Default)]
struct Count {
    single_cuts: usize,
    double_cuts: usize,
    resumed: usize,
    broken: usize,
    first: Option<String>,
}

impl Count {
    fn judge(&mut self, result: Result<(), Stop>, describe: impl Fn() -> String) {
        if let Err(stop) = result {
            self.broken += 1;
            self.first.get_or_insert_with(|| format!("{stop:?} after {}", describe()));
        }
    }
}

/// Lives through all of it with `prefill` records before.
fn live<const WRITE: usize>(prefill: u32, off: Off) -> Count {
    let mut count = Count::default();
    let mut device = Device::<WRITE>::new(100, off);
    for floor in 1..=prefill {
        count.judge(device.run(&[Action::RaiseFloor(floor)]), || "no cut".into());
    }
    for (part, (actions, goal)) in LIFE.iter().enumerate() {
        let mut whole = device.clone();
        whole.flash.operations = 0;
        let lived = whole.run(actions);
        let is_over = lived.is_err();
        count.judge(lived, || format!("no cut, part {part}"));
        let recovery = [Action::Reset, Action::Upgrade(*goal)];
        for cut in (0..whole.flash.operations).flat_map(|at| EFFECTS.map(|effect| (at, effect))) {
            let mut once = device.clone();
            once.flash.operations = 0;
            once.flash.cut = Some(cut);
            match once.run(actions) {
                Err(Stop::PowerCut) => {}
                broken => {
                    let broken = broken.and(Err(Stop::Broken("no power cut".into())));
                    count.judge(broken, || format!("{cut:?} of part {part}"));
                    continue;
                }
            }
            once.flash.power_on();
            let mut recovered = once.clone();
            count.judge(recovered.run(&recovery), || format!("{cut:?} of part {part}"));
            count.single_cuts += 1;
            count.resumed += recovered.resumed - device.resumed;
            for second in (0..recovered.flash.operations).flat_map(|at| EFFECTS.map(|effect| (at, effect))) {
                let mut twice = once.clone();
                twice.flash.cut = Some(second);
                let stopped = twice.run(&recovery);
                if stopped != Err(Stop::PowerCut) {
                    count.judge(stopped, || format!("{cut:?} of part {part}, {second:?}"));
                    continue;
                }
                twice.flash.power_on();
                count.judge(twice.run(&recovery), || format!("{cut:?} of part {part}, {second:?}"));
                count.double_cuts += 1;
            }
        }
        if is_over {
            break; // only with a mechanism off
        }
        device = whole;
    }
    count
}

fn all_is_well(counts: impl IntoIterator<Item = Count>) -> (usize, usize, usize) {
    let mut total = (0, 0, 0);
    for count in counts {
        assert_eq!(count.broken, 0, "{:?}", count.first);
        total = (total.0 + count.single_cuts, total.1 + count.double_cuts, total.2 + count.resumed);
    }
    total
}

/// One record more before, and each operation meets another state of the two pages.
#[test]
fn a_power_cut_at_any_operation_leaves_a_good_image_and_a_way_on() {
    let total = all_is_well((0..8).map(|prefill| live::<4>(prefill, Off::Nothing)));
    println!("words of 4 bytes: {} single cuts, {} double cuts, {} stages resumed", total.0, total.1, total.2);
    assert!(total.0 > 4_000 && total.1 > 250_000 && total.2 > 500);
}

#[test]
fn also_with_other_words_and_with_the_header_in_a_page_of_its_own() {
    let eight = all_is_well([live::<8>(0, Off::Nothing), live::<8>(5, Off::Nothing)]);
    println!("words of 8 bytes: {} single cuts, {} double cuts, {} stages resumed", eight.0, eight.1, eight.2);
    let large = all_is_well([live::<64>(0, Off::Nothing), live::<64>(1, Off::Nothing)]);
    println!("words of 64 bytes: {} single cuts, {} double cuts, {} stages resumed", large.0, large.1, large.2);
    assert!(eight.1 > 50_000 && large.1 > 50_000);
}

/// Up to four cuts in each of five upgrades, at any operation of whatever is done then.
#[test]
fn many_power_cuts_in_a_row_only_cost_time() {
    let mut cuts = 0;
    for seed in 0..2_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut device = Device::<4>::new(100, Off::Nothing);
        for version in 101..106 {
            for _ in 0..4 {
                device.flash.power_on();
                let (at, effect) = (rng.usize(0..20), EFFECTS[rng.usize(0..EFFECTS.len())]);
                device.flash.cut = Some((at, effect));
                match device.run(&[Action::Reset, Action::Upgrade(version), Action::RaiseFloor(version)]) {
                    Err(Stop::PowerCut) => cuts += 1,
                    lived => assert_eq!(lived, Ok(()), "seed {seed}"),
                }
            }
            device.flash.power_on();
            assert_eq!(device.run(&[Action::Reset, Action::Upgrade(version)]), Ok(()), "seed {seed}");
            assert_eq!(device.running_version(), version);
        }
    }
    println!("{cuts} cuts in a row");
    assert!(cuts > 10_000);
}

/// The negative controls: without its mechanism, each invariant is seen to break.
#[test]
fn without_a_mechanism_the_oracle_finds_what_it_is_for() {
    let unchecked = live::<4>(0, Off::RecordCheck);
    println!(
        "without the check of records: {} of {} broken",
        unchecked.broken,
        unchecked.single_cuts + unchecked.double_cuts
    );
    println!("  the first: {}", unchecked.first.clone().unwrap_or_default());
    assert!(unchecked.broken > 100);
    assert_eq!(lives_uncut(Off::RecordCheck), Ok(()), "it is power cuts that the check is for");

    let found = |off, actions: &[Action], what: &str| {
        let lived = Device::<4>::new(100, off).run(actions);
        println!("without {off:?}: {lived:?}");
        assert!(matches!(&lived, Err(Stop::Broken(found)) if found.contains(what)));
        assert_eq!(Device::<4>::new(100, Off::Nothing).run(actions), Ok(()));
    };
    use Action::*;
    found(Off::TrialNote, &[Stage(101), Mark, Reset, Reset], "on trial without a mark, or twice");
    found(
        Off::ConfirmNote,
        &[Stage(101), Mark, Reset, Confirm, Reset],
        "version 100 is booted, confirmed is one of [101]",
    );
    found(Off::FloorNote, &[RaiseFloor(7), Reset], "floor 0, raised to 7");
}

fn lives_uncut(off: Off) -> Result<(), Stop> {
    let mut device = Device::<4>::new(100, off);
    LIFE.iter().try_for_each(|(actions, _)| device.run(actions))?;
    device.run(&[Action::Reset])
}
