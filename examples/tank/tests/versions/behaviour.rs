//! What is the same in both versions, whatever state and reading.

use crate::bench::{Bench, Version, tank_at};
use tank::{Alarms, Drive, OverflowingTank, Plant, PlantV2, Reading, ReversedTank, TREND_ENTRIES, Tank, TankV2, Valve};
use twinstep::mirror::Mirror;
use twinstep::sim::Storage;
use twinstep::{Agreement, Cycle, blocks};
use zerocopy::FromBytes;

const FULL_PERMILLE: u16 = 1_000;
/// Half of the heater's power.
const INTEGRAL_LIMIT_CENTI_C_CYCLES: f64 = 500.0 * 128.0;
/// Agreeing cycles after which the alarm of disagreeing sensors is sure to be gone.
const DISAGREEMENT_LIMIT_CYCLES: u32 = 8;

#[test]
fn the_state_is_a_few_kibibytes() {
    for bytes in [size_of::<Plant>(), size_of::<PlantV2>()] {
        assert!((2 * 1024..=8 * 1024).contains(&bytes), "{bytes} bytes");
    }
    assert!(blocks::<PlantV2>() >= blocks::<Plant>(), "the old state is received in the place of the new one");
}

#[test]
fn an_unreachable_set_point_does_not_wind_the_integral_up() {
    fn check<P: Version>(shuts_off_within_cycles: u32) {
        let mut storage = Storage::new();
        let mut bench = Bench::<P>::new(&mut storage);
        let drive = bench.run(10_000, tank_at(550));
        assert_eq!((drive.heater_permille, bench.integral_centi_c_cycles()), (FULL_PERMILLE, 0.0));
        assert_eq!(bench.run(shuts_off_within_cycles, tank_at(6_300)).heater_permille, 0);
    }
    check::<Tank>(20);
    check::<TankV2>(40); // the smoothed power dies away
}

#[test]
fn the_integral_is_bounded() {
    fn check<P: Version>() {
        for (tank_centi_c, sign) in [(5_900, 1.0), (6_050, -1.0)] {
            let mut storage = Storage::new();
            let mut bench = Bench::<P>::new(&mut storage);
            bench.run(5_000, tank_at(tank_centi_c));
            let integral = bench.integral_centi_c_cycles();
            assert!(integral.abs() <= INTEGRAL_LIMIT_CENTI_C_CYCLES && integral * sign > 0.0, "{integral}");
        }
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn an_open_door_shuts_the_heater_off_and_stops_the_integral() {
    fn check<P: Version>() {
        let mut storage = Storage::new();
        let mut bench = Bench::<P>::new(&mut storage);
        assert_ne!(bench.run(10, tank_at(5_900)).heater_permille, 0);
        let before = bench.integral_centi_c_cycles();
        let off = Drive { heater_permille: 0, valve: Valve::Closed, alarms: Alarms::DOOR_OPEN };
        for _ in 0..1_000 {
            assert_eq!(bench.run(1, Reading { door_open: true, ..tank_at(5_000) }), off, "from the first cycle on");
        }
        assert_eq!(bench.integral_centi_c_cycles(), before);
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn the_valve_has_hysteresis() {
    fn check<P: Version>() {
        let mut storage = Storage::new();
        let mut bench = Bench::<P>::new(&mut storage);
        for (tank_centi_c, valve) in [
            (6_900, Valve::Closed),
            (7_100, Valve::Open),
            (6_700, Valve::Open),
            (6_500, Valve::Closed),
            (6_900, Valve::Closed),
        ] {
            let drive = bench.run(100, tank_at(tank_centi_c));
            assert_eq!((drive.valve, drive.heater_permille), (valve, 0), "at {tank_centi_c}");
        }
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn alarms_tell_their_cause() {
    fn check<P: Version>() {
        for (tank_centi_c, alarms) in [
            (7_600, Alarms::TOO_HOT),
            (7_400, Alarms::empty()),
            (600, Alarms::empty()),
            (400, Alarms::TOO_COLD),
            (-1_000, Alarms::TOO_COLD),
        ] {
            let mut storage = Storage::new();
            assert_eq!(Bench::<P>::new(&mut storage).run(1, tank_at(tank_centi_c)).alarms, alarms);
        }
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn a_lasting_disagreement_is_an_alarm_and_a_short_one_is_not() {
    fn check<P: Version>() {
        let mut storage = Storage::new();
        let mut bench = Bench::<P>::new(&mut storage);
        let apart = Reading { disagree: true, ..tank_at(6_000) };
        assert_eq!(bench.run(2, apart).alarms, Alarms::empty());
        assert_eq!(bench.run(1, apart).alarms, Alarms::SENSORS_DISAGREE);
        assert_eq!(bench.run(100, apart).alarms, Alarms::SENSORS_DISAGREE);
        assert_eq!(bench.run(DISAGREEMENT_LIMIT_CYCLES, tank_at(6_000)).alarms, Alarms::empty());
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn agreement_is_the_mean_and_notes_sensors_apart() {
    fn check<P: Version>() {
        let agreed = P::agree(&tank_at(6_000), &Reading { door_open: true, ..tank_at(6_150) });
        assert_eq!(agreed, Agreement::on(Reading { door_open: true, ..tank_at(6_075) }));

        let agreed = P::agree(&tank_at(6_000), &tank_at(6_151));
        assert!(agreed.discrepancy && agreed.input.disagree);
        let far = P::agree(&tank_at(0), &Reading { ambient_centi_c: 700, ..tank_at(0) });
        assert!(far.discrepancy && far.input.disagree);
        let extremes = P::agree(&tank_at(i16::MIN), &tank_at(i16::MAX));
        assert!(extremes.discrepancy && extremes.input.tank_centi_c.abs() <= 1);
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn the_trend_is_a_ring() {
    fn check<P: Version>() {
        let mut storage = Storage::new();
        let mut bench = Bench::<P>::new(&mut storage);
        let drive = bench.run(600, tank_at(5_900));
        let latest = P::latest(bench.state()).unwrap();
        assert_eq!((latest.cycle, latest.tank_centi_c), (600, 5_900));
        assert_eq!(latest.heater_permille, drive.heater_permille);
        let (trend, next) = P::trend(bench.state());
        assert_eq!(trend.get(next as usize).unwrap().cycle, 600 + 1 - TREND_ENTRIES as u32);
    }
    check::<Tank>();
    check::<TankV2>();
}

#[test]
fn a_step_writes_two_blocks_at_most() {
    fn check<P: Version>() {
        let mut storage = Storage::new();
        let mut bench = Bench::<P>::new(&mut storage);
        for _ in 0..1_000 {
            bench.run(1, tank_at(5_900));
            assert!(bench.mirror.written_blocks() <= 2);
            let digest = bench.mirror.pending_digest();
            bench.mirror.commit(digest).unwrap();
        }
    }
    check::<Tank>();
    check::<TankV2>();
}

/// Bits may flip anywhere; overflow checks are on in tests.
#[test]
fn no_state_and_no_reading_makes_a_step_panic() {
    fn check<P: Version>() {
        let mut rng = fastrand::Rng::with_seed(1);
        for round in 0..200 {
            let mut bytes = vec![0xFF_u8; size_of::<P::State>()];
            if round > 0 {
                rng.fill(&mut bytes);
            }
            let mut storage = Storage::<P::State>::new();
            let any_state = |state: &mut P::State| *state = P::State::read_from_bytes(&bytes).unwrap();
            let mirror = Mirror::new(storage.cells(), any_state);
            let mut bench = Bench::<P> { mirror, cycle: Cycle(rng.u32(..)) };
            for _ in 0..20 {
                let reading = Reading {
                    tank_centi_c: rng.i16(..),
                    ambient_centi_c: rng.i16(..),
                    door_open: rng.u8(..) < 32,
                    disagree: rng.bool(),
                };
                let drive = bench.run(1, reading);
                assert!(drive.heater_permille <= FULL_PERMILLE);
            }
            assert_eq!(bench.mirror.take_stray_writes(), 0);
        }
    }
    check::<Tank>();
    check::<TankV2>();
    check::<ReversedTank>();
    check::<OverflowingTank>();
}
