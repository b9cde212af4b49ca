//! Versions 2 that are found out, from any state that version 1 comes to.

use crate::bench::{Bench, Version};
use crate::thermal::{Surroundings, Thermal};
use std::collections::HashSet;
use tank::{
    Flaw, OVERFLOWS_AFTER_CYCLES, Overflowing, OverflowingTank, RefusingTank, Reversed, ReversedTank, Sound, Tank,
    TankV2, Version2,
};
use twinstep::sim::Storage;
use twinstep::{Program, Successor};

/// The first cycle after the migration, from 1 on, in which the outputs are too far apart, for one state in every 7
/// cycles from a cold start on.
fn found_in<F: Flaw>(cycles: u32) -> Vec<Option<u32>> {
    let mut found = Vec::new();
    for alone_cycles in (0_u32..1_600).step_by(7) {
        let mut thermal = Thermal::new(u64::from(alone_cycles), 8.0, Surroundings::ROUGH);
        let (mut old_storage, mut new_storage) = (Storage::new(), Storage::new());
        let mut old = Bench::<Tank>::new(&mut old_storage);
        let mut serve = |old: &mut Bench<'_, Tank>, shadow: Option<&mut Bench<'_, Version2<F>>>| {
            let reading = thermal.reading();
            let drive = old.run(1, reading);
            thermal.step(&drive);
            shadow.is_none_or(|new| Version2::<F>::tolerates(&drive, &new.run(1, reading)))
        };
        for _ in 0..alone_cycles {
            serve(&mut old, None);
        }
        let mut new = Bench::<Version2<F>>::after(&old, &mut new_storage).unwrap();
        found.push((1..=cycles).find(|_| !serve(&mut old, Some(&mut new))));
    }
    found
}

#[test]
fn control_nothing_is_found_in_the_sound_one() {
    assert!(found_in::<Sound>(400).iter().all(Option::is_none));
}

#[test]
fn the_reversed_one_is_found_within_a_few_cycles() {
    let found = found_in::<Reversed>(400);
    let at_once = found.iter().filter(|cycle| **cycle == Some(1)).count();
    println!("{at_once} of {} in the first cycle, the last one in cycle {:?}", found.len(), found.iter().max());
    assert!(found.iter().all(|cycle| cycle.is_some_and(|cycle| cycle <= 8)), "{found:?}");
    assert!(at_once > found.len() * 9 / 10);
}

#[test]
fn the_overflowing_one_is_found_in_the_very_cycle() {
    let found = found_in::<Overflowing>(400);
    assert!(found.iter().all(|cycle| *cycle == Some(OVERFLOWS_AFTER_CYCLES + 1)), "{found:?}");
}

/// Whatever is right, what comes of it is farther off than both versions can be together.
#[test]
fn no_power_hides_the_overflow() {
    for right_permille in 0..=1_000 {
        assert_eq!(Overflowing::bend(right_permille, OVERFLOWS_AFTER_CYCLES), right_permille);
        let wrong_permille = Overflowing::bend(right_permille, OVERFLOWS_AFTER_CYCLES + 1);
        assert!(wrong_permille <= 1_000);
        assert!(wrong_permille.abs_diff(right_permille) > 2 * tank::TOLERANCE_PERMILLE, "{right_permille}");
    }
}

#[test]
fn no_two_programs_pair() {
    fn id<P: Version>() -> u32 {
        twinstep::program::program_hash::<P>()
    }
    let ids = [id::<Tank>(), id::<TankV2>(), id::<ReversedTank>(), id::<OverflowingTank>(), id::<RefusingTank>()];
    assert_eq!(HashSet::from(ids).len(), ids.len());
    assert_eq!(ReversedTank::LAYOUT, TankV2::LAYOUT);
}
