//! Both versions on the same readings, as in an upgrade: whichever of them drives, they stay together.

use crate::bench::Bench;
use crate::thermal::{Surroundings, Thermal};
use tank::{Drive, Reading, TOLERANCE_PERMILLE, Tank, TankV2, Valve};
use twinstep::Successor;
use twinstep::sim::Storage;

/// Who drives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Driver {
    Old,
    New,
    /// One after the other, as in switchovers forth and back.
    Both,
}

/// What a trial went through.
#[derive(Debug, Default)]
struct Seen {
    cycles: u32,
    largest_permille: u16,
    first_cycle_permille: u16,
    door_open: u32,
    valve_open: u32,
    full_power: u32,
    alarms: u32,
}

impl Seen {
    fn note(&mut self, is_first: bool, reading: &Reading, old: &Drive, new: &Drive) {
        let apart_permille = old.heater_permille.abs_diff(new.heater_permille);
        self.cycles += 1;
        self.largest_permille = self.largest_permille.max(apart_permille);
        if is_first {
            self.first_cycle_permille = self.first_cycle_permille.max(apart_permille);
        }
        self.door_open += u32::from(reading.door_open);
        self.valve_open += u32::from(old.valve == Valve::Open);
        self.full_power += u32::from(old.heater_permille == 1_000);
        self.alarms += u32::from(!old.alarms.is_empty());
    }
}

/// Has version 1 serve alone for some cycles, then both together.
fn trial(seed: u64, start_c: f64, alone_cycles: u32, cycles: u32, driver: Driver, seen: &mut Seen) {
    let mut thermal = Thermal::new(seed, start_c, Surroundings::ROUGH);
    let (mut old_storage, mut new_storage) = (Storage::new(), Storage::new());
    let mut old = Bench::<Tank>::new(&mut old_storage);
    for _ in 0..alone_cycles {
        let reading = thermal.reading();
        thermal.step(&old.run(1, reading));
    }
    let mut new = Bench::<TankV2>::after(&old, &mut new_storage).unwrap();
    for cycle in 0..cycles {
        let reading = thermal.reading();
        let (by_old, by_new) = (old.run(1, reading), new.run(1, reading));
        seen.note(cycle == 0, &reading, &by_old, &by_new);
        assert!(TankV2::tolerates(&by_old, &by_new), "{driver:?}, cycle {cycle}: {by_old:?}, {by_new:?}");
        assert_eq!(old.integral_centi_c_cycles(), new.integral_centi_c_cycles(), "{driver:?}, cycle {cycle}");
        let is_new = driver == Driver::New || (driver == Driver::Both && cycle / 300 % 2 == 1);
        thermal.step(if is_new { &by_new } else { &by_old });
        match cycle % 1_000 {
            350 => thermal.tank_c += 15.0, // somebody pours hot water in
            800 => thermal.tank_c -= 30.0, // and cold
            _ => {}
        }
    }
}

#[test]
fn both_stay_together_for_thousands_of_cycles_whoever_drives() {
    for driver in [Driver::Old, Driver::New, Driver::Both] {
        let mut seen = Seen::default();
        let mut seed = 0;
        for start_c in [-15.0, 8.0, 45.0, 60.0, 80.0] {
            for alone_cycles in [0, 1, 3, 10, 30, 90, 110, 130, 400, 1_000, 2_000] {
                seed += 1;
                trial(seed, start_c, alone_cycles, 5_000, driver, &mut seen);
            }
        }
        println!("{driver:?} drives: {seen:?}");
        // All of it was met, and a tolerance of three quarters would not do.
        let rarest = [seen.door_open, seen.valve_open, seen.full_power, seen.alarms].into_iter().min();
        assert!(rarest > Some(1_000), "{seen:?}");
        assert!(seen.largest_permille > TOLERANCE_PERMILLE * 3 / 4, "{seen:?}");
    }
}

#[test]
fn the_first_output_after_a_migration_hardly_differs() {
    let mut seen = Seen::default();
    for alone_cycles in 0..2_000 {
        trial(u64::from(alone_cycles), 8.0, alone_cycles, 1, Driver::New, &mut seen);
    }
    println!("{seen:?}");
    assert!(seen.first_cycle_permille < TOLERANCE_PERMILLE / 2, "{seen:?}");
}

/// The tolerance is the sum of all bounds, so no sensor can take both apart, not even a broken one.
#[test]
fn no_reading_whatever_takes_them_apart() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut largest_permille = 0;
    for _ in 0..100 {
        let (mut old_storage, mut new_storage) = (Storage::new(), Storage::new());
        let mut old = Bench::<Tank>::new(&mut old_storage);
        let mut new = Bench::<TankV2>::after(&old, &mut new_storage).unwrap();
        let span_centi_c = 1 << rng.u32(3..15);
        for cycle in 0..2_000 {
            let reading = Reading {
                tank_centi_c: (6_000 + rng.i32(-span_centi_c..=span_centi_c)) as i16,
                ambient_centi_c: rng.i16(..),
                door_open: rng.u8(..) < 8,
                disagree: rng.bool(),
            };
            let (by_old, by_new) = (old.run(1, reading), new.run(1, reading));
            assert!(TankV2::tolerates(&by_old, &by_new), "cycle {cycle}: {by_old:?}, {by_new:?}");
            largest_permille = largest_permille.max(by_old.heater_permille.abs_diff(by_new.heater_permille));
        }
    }
    assert!(largest_permille > TOLERANCE_PERMILLE / 2, "{largest_permille}");
}
