//! The state of version 1 taken over.

use crate::bench::{Bench, tank_at};
use tank::{
    Alarms, Drive, Plant, PlantV2, Refusal, RefusingTank, TOLERANCE_PERMILLE, TREND_ENTRIES, Tank, TankV2, Valve,
};
use twinstep::sim::Storage;
use twinstep::{CannotMigrate, Program, Succession, Successor};
use zerocopy::FromZeros;

/// Has version 1 come to a state, changes it, and has version 2 take it over.
fn migrate<P>(change: impl FnOnce(&mut Plant)) -> Result<PlantV2, CannotMigrate>
where
    P: Successor<OldState = Plant, State = PlantV2>,
{
    let mut storage = Storage::new();
    let mut old = Bench::<Tank>::new(&mut storage);
    old.run(300, tank_at(5_950));
    old.mirror.tracked().modify(change);
    let mut new = PlantV2::new_zeroed();
    P::migrate(old.state(), &mut new).map(|()| new)
}

#[test]
fn everything_version_1_knows_is_taken_over() {
    let mut storage = Storage::new();
    let mut old = Bench::<Tank>::new(&mut storage);
    old.run(300, tank_at(5_950));
    let old = old.state();
    let new = migrate::<TankV2>(|_| {}).unwrap();
    assert_eq!((new.tank_centi_c_q8, new.ambient_centi_c_q8), (old.tank_centi_c_q8, old.ambient_centi_c_q8));
    assert_ne!(old.integral_centi_c_cycles, 0);
    assert_eq!(new.integral_centi_c_q8, old.integral_centi_c_cycles * 2);
    assert_eq!((new.trend_next, new.filters_primed, new.cycles_run), (old.trend_next, 1, 0));
    assert_eq!(new.trend, old.trend);

    let new = migrate::<TankV2>(|old| (old.valve_open, old.disagreement_cycles) = (1, 8)).unwrap();
    assert_eq!((new.valve_open, new.disagreement_cycles), (1, 8));
}

#[test]
fn a_state_before_the_first_step_is_taken_over_as_one() {
    let old = Plant::new_zeroed();
    let mut new = PlantV2::new_zeroed();
    assert_eq!(TankV2::migrate(&old, &mut new), Ok(()));
    assert!(zerocopy::IntoBytes::as_bytes(&new).iter().all(|byte| *byte == 0));
}

/// The code refused with; `None` if the state was taken over.
fn code(change: impl FnOnce(&mut Plant)) -> Option<u16> {
    migrate::<TankV2>(change).err().map(|CannotMigrate(code)| code)
}

#[test]
fn a_state_that_makes_no_sense_is_refused_with_its_code() {
    const INTEGRAL_LIMIT: i32 = 500 * 128;
    // What is just right, what is just wrong.
    for integral in [-INTEGRAL_LIMIT, 0, INTEGRAL_LIMIT] {
        assert_eq!(code(|old| old.integral_centi_c_cycles = integral), None);
    }
    for integral in [i32::MIN, -INTEGRAL_LIMIT - 1, INTEGRAL_LIMIT + 1, i32::MAX] {
        assert_eq!(code(|old| old.integral_centi_c_cycles = integral), Some(Refusal::Integral as u16));
    }
    let (coldest_q8, hottest_q8) = (i32::from(i16::MIN) * 256, i32::from(i16::MAX) * 256 + 255);
    for temperature_q8 in [coldest_q8, 0, hottest_q8] {
        assert_eq!(code(|old| old.tank_centi_c_q8 = temperature_q8), None);
        assert_eq!(code(|old| old.ambient_centi_c_q8 = temperature_q8), None);
    }
    for temperature_q8 in [i32::MIN, coldest_q8 - 1, hottest_q8 + 1, i32::MAX] {
        assert_eq!(code(|old| old.tank_centi_c_q8 = temperature_q8), Some(Refusal::Filters as u16));
        assert_eq!(code(|old| old.ambient_centi_c_q8 = temperature_q8), Some(Refusal::Filters as u16));
    }
    for flag in [2, u32::MAX] {
        assert_eq!(code(|old| old.filters_primed = flag), Some(Refusal::Filters as u16));
        assert_eq!(code(|old| old.valve_open = flag), Some(Refusal::Valve as u16));
    }
    assert_eq!(code(|old| old.disagreement_cycles = 9), Some(Refusal::Disagreement as u16));
    assert_eq!(code(|old| old.trend_next = TREND_ENTRIES as u32 - 1), None);
    assert_eq!(code(|old| old.trend_next = TREND_ENTRIES as u32), Some(Refusal::Trend as u16));
    assert_eq!(code(|old| old.reserved = 1), Some(Refusal::Reserve as u16));
}

#[test]
fn codes_stay_what_they_are() {
    let codes = [
        Refusal::Filters,
        Refusal::Integral,
        Refusal::Valve,
        Refusal::Disagreement,
        Refusal::Trend,
        Refusal::Reserve,
        Refusal::Unwilling,
    ];
    for (code, refusal) in (1..).zip(codes) {
        assert_eq!(CannotMigrate::from(refusal), CannotMigrate(code));
    }
}

#[test]
fn the_refusing_one_takes_nothing_over() {
    let refused = migrate::<RefusingTank>(|_| {}).err();
    assert_eq!(refused, Some(Refusal::Unwilling.into()));
}

#[test]
fn any_bits_are_taken_over_or_refused() {
    let mut rng = fastrand::Rng::with_seed(9);
    let mut new = PlantV2::new_zeroed();
    let mut taken_over = 0;
    for _ in 0..2_000 {
        let mut old = Plant::new_zeroed();
        // All sensible but for some bits of the first fields, or the trend.
        let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut old);
        for _ in 0..rng.u32(0..4) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        taken_over += u32::from(TankV2::migrate(&old, &mut new).is_ok());
    }
    assert!(taken_over > 1_000);
    let mut old = Plant::new_zeroed();
    for _ in 0..200 {
        rng.fill(zerocopy::IntoBytes::as_mut_bytes(&mut old));
        assert!(TankV2::migrate(&old, &mut new).is_err(), "noise is no state");
    }
}

#[test]
fn the_layouts_and_versions_differ_and_fit() {
    assert_ne!(TankV2::LAYOUT, Tank::LAYOUT);
    assert_eq!((TankV2::OLD_LAYOUT, TankV2::OLD_VERSION), (Tank::LAYOUT, Tank::VERSION));
    assert_eq!((Tank::VERSION, TankV2::VERSION), (1, 2));
    assert_eq!((TankV2::SAFE, TankV2::OLD_SAFE), (Tank::SAFE, Tank::SAFE));
    let _ = Succession::<TankV2>::new(); // does not compile if the old state takes more blocks
}

#[test]
fn only_the_heater_has_a_tolerance() {
    let drive = Drive { heater_permille: 400, valve: Valve::Closed, alarms: Alarms::empty() };
    for (heater_permille, is_tolerated) in [
        (400, true),
        (400 + TOLERANCE_PERMILLE, true),
        (400 - TOLERANCE_PERMILLE, true),
        (401 + TOLERANCE_PERMILLE, false),
        (399 - TOLERANCE_PERMILLE, false),
        (u16::MAX, false),
    ] {
        assert_eq!(TankV2::tolerates(&drive, &Drive { heater_permille, ..drive }), is_tolerated, "{heater_permille}");
    }
    assert!(!TankV2::tolerates(&drive, &Drive { valve: Valve::Open, ..drive }));
    assert!(!TankV2::tolerates(&drive, &Drive { alarms: Alarms::DOOR_OPEN, ..drive }));
}
