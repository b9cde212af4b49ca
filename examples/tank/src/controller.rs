//! The controller: a PI loop with feed-forward and anti-windup, interlocks and a trend log.
//!
//! Integers throughout: floating point may round differently from one target to the next,
//! and the two channels must compute the same bits. Arithmetic saturates and nothing
//! indexes, so that no state whatever, not even one with flipped bits, makes a step panic.

use crate::filter::Filtered;
use crate::law::{self, FULL_PERMILLE, INTEGRAL_LIMIT_CENTI_C, INTEGRAL_TIME_CYCLES};
use crate::observation::{Before, Observation};
use crate::trend::{self, TREND_ENTRIES, TrendEntry};
use crate::{Alarms, Drive, Reading, Valve, sensors};
use core::mem::offset_of;
use twinstep::program::layout_hash;
use twinstep::{Agreement, Cycle, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const INTEGRAL_LIMIT_CENTI_C_CYCLES: i32 = INTEGRAL_LIMIT_CENTI_C * INTEGRAL_TIME_CYCLES;

/// The control program.
pub struct Tank;

/// The program's state.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Plant {
    /// Integral of the control deviation, in hundredths of a degree times cycles.
    pub integral_centi_c_cycles: i32,
    /// Filtered tank temperature, with 8 fractional bits.
    pub tank_centi_c_q8: i32,
    /// Filtered ambient temperature, with 8 fractional bits.
    pub ambient_centi_c_q8: i32,
    /// 0 until the filters have started from a first reading.
    pub filters_primed: u32,
    /// 0 if the valve is closed.
    pub valve_open: u32,
    /// Cycles in which the sensors disagreed, less those in which they did not.
    pub disagreement_cycles: u32,
    /// Where the next trend entry goes.
    pub trend_next: u32,
    /// Puts the trend on a multiple of its entries' size: an entry then lies in one block
    /// of mirrored memory, and a step dirties one block less.
    pub reserved: u32,
    /// The last cycles, as a ring.
    pub trend: [TrendEntry; TREND_ENTRIES],
}

const _: () = assert!(offset_of!(Plant, trend).is_multiple_of(size_of::<TrendEntry>()));

impl Plant {
    /// Returns the youngest trend entry; all zero before the first step.
    pub fn latest(&self) -> Option<&TrendEntry> {
        trend::latest(&self.trend, self.trend_next)
    }

    fn before(&self) -> Before {
        let filtered = Filtered { tank_centi_c_q8: self.tank_centi_c_q8, ambient_centi_c_q8: self.ambient_centi_c_q8 };
        Before {
            filtered: (self.filters_primed != 0).then_some(filtered),
            is_valve_open: self.valve_open != 0,
            disagreement_cycles: self.disagreement_cycles,
        }
    }
}

impl Program for Tank {
    type Input = Reading;
    type Output = Drive;
    type State = Plant;

    const SAFE: Drive = Drive { heater_permille: 0, valve: Valve::Closed, alarms: Alarms::empty() };
    const VERSION: u32 = 1;
    const LAYOUT: u32 = layout_hash::<Plant>(&[
        offset_of!(Plant, integral_centi_c_cycles),
        offset_of!(Plant, tank_centi_c_q8),
        offset_of!(Plant, ambient_centi_c_q8),
        offset_of!(Plant, filters_primed),
        offset_of!(Plant, valve_open),
        offset_of!(Plant, disagreement_cycles),
        offset_of!(Plant, trend_next),
        offset_of!(Plant, trend),
        size_of::<TrendEntry>(),
    ]);

    fn agree(a: &Reading, b: &Reading) -> Agreement<Reading> {
        sensors::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Plant>, input: &Reading) -> Drive {
        let seen = Observation::new(&state.before(), input);
        state.set(|s| &s.tank_centi_c_q8, seen.filtered.tank_centi_c_q8);
        state.set(|s| &s.ambient_centi_c_q8, seen.filtered.ambient_centi_c_q8);
        state.set(|s| &s.filters_primed, 1);
        state.set(|s| &s.valve_open, u32::from(seen.is_valve_open));
        state.set(|s| &s.disagreement_cycles, seen.disagreement_cycles);

        let heater_permille = if seen.is_heater_locked { 0 } else { regulate(state, &seen.filtered) };
        trend::log(state, |s| &s.trend, |s| &s.trend_next, seen.entry(cycle, heater_permille));
        seen.drive(heater_permille)
    }
}

/// The PI controller; returns the heater power in thousandths.
fn regulate(state: &mut Tracked<Plant>, filtered: &Filtered) -> u16 {
    let limit = INTEGRAL_LIMIT_CENTI_C_CYCLES;
    let deviation_centi_c = law::deviation_centi_c(filtered.tank_centi_c());
    let integral = state.integral_centi_c_cycles.clamp(-limit, limit);

    let demand_permille = law::demand_permille(deviation_centi_c, integral / INTEGRAL_TIME_CYCLES, filtered);
    let is_summed_up = law::is_summed_up(deviation_centi_c, demand_permille);
    let sum = if is_summed_up { integral.saturating_add(deviation_centi_c) } else { integral };
    state.set(|s| &s.integral_centi_c_cycles, sum.clamp(-limit, limit));

    demand_permille.clamp(0, FULL_PERMILLE) as u16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::observation::DISAGREEMENT_LIMIT_CYCLES;
    use core::cell::Cell;
    use twinstep::mirror::Mirror;
    use twinstep::sim::{LinkFaults, Pair, Setup, Storage};
    use twinstep::{ChannelId, Config};

    /// One controller without a peer.
    struct Bench<'m> {
        mirror: Mirror<'m, Plant>,
        cycle: Cycle,
    }

    impl<'m> Bench<'m> {
        fn new(storage: &'m mut Storage<Plant>) -> Self {
            Self { mirror: Mirror::new(storage.cells(), Tank::init), cycle: Cycle(0) }
        }

        fn run(&mut self, cycles: u32, reading: Reading) -> Drive {
            let mut drive = Tank::SAFE;
            for _ in 0..cycles {
                self.cycle = self.cycle.next();
                drive = Tank::step(self.cycle, &mut self.mirror.tracked(), &reading);
            }
            drive
        }

        fn integral(&self) -> i32 {
            self.mirror.state().integral_centi_c_cycles
        }
    }

    fn tank_at(tank_centi_c: i16) -> Reading {
        Reading { tank_centi_c, ambient_centi_c: 500, door_open: false, disagree: false }
    }

    #[test]
    fn the_state_is_a_few_kibibytes() {
        assert!((2 * 1024..=8 * 1024).contains(&size_of::<Plant>()), "{} bytes", size_of::<Plant>());
    }

    #[test]
    fn a_pair_reaches_the_set_point_and_holds_it_through_a_death() {
        const AMBIENT_C: f64 = 8.0;
        const HEATER_W: f64 = 6_000.0;
        const LOSS_W_PER_K: f64 = 15.0;
        const CAPACITY_J_PER_K: f64 = 83_720.0; // 20 kg of water
        const CYCLE_S: f64 = 10.0;

        let tank_c = Cell::new(AMBIENT_C);
        let mut rng = fastrand::Rng::with_seed(42);
        let sensor = |_: ChannelId, _: Cycle| Reading {
            tank_centi_c: (tank_c.get() * 100.0) as i16 + rng.i16(-20..=20),
            ambient_centi_c: (AMBIENT_C * 100.0) as i16 + rng.i16(-20..=20),
            door_open: false,
            disagree: false,
        };
        let config = Config { retransmit_us: 6_000, ..Config::DEFAULT };
        let setup = Setup { seed: 7, config, link: LinkFaults::NOISY, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Tank>::new(&setup, &mut memory, sensor).unwrap();

        let mut heater_permille = 0;
        for period in 0..500 {
            if period == 150 {
                let owner = pair.owner().unwrap_or(ChannelId::A);
                pair.kill(owner);
            }
            pair.run(1);
            // Nobody drives: the actuator holds its level.
            if let Some(owner) = pair.owner() {
                let latest = pair.node(owner).and_then(|node| node.state().latest().copied());
                heater_permille = latest.map_or(heater_permille, |entry| entry.heater_permille);
            }
            let heater_w = HEATER_W * f64::from(heater_permille) / 1_000.0;
            let loss_w = LOSS_W_PER_K * (tank_c.get() - AMBIENT_C);
            tank_c.set(tank_c.get() + (heater_w - loss_w) * CYCLE_S / CAPACITY_J_PER_K);
            assert!(period < 300 || (59.0..=61.0).contains(&tank_c.get()), "{} °C", tank_c.get());
        }
        let report = pair.report();
        assert_eq!((report.wrong, report.incongruent, report.owners_max, report.takeovers), (0, 0, 1, 1));
    }

    #[test]
    fn an_unreachable_set_point_does_not_wind_the_integral_up() {
        let mut storage = Storage::new();
        let mut bench = Bench::new(&mut storage);
        let drive = bench.run(10_000, tank_at(550));
        assert_eq!((i32::from(drive.heater_permille), bench.integral()), (FULL_PERMILLE, 0));
        assert_eq!(bench.run(20, tank_at(6_300)).heater_permille, 0);
    }

    #[test]
    fn the_integral_is_bounded() {
        for (tank_centi_c, limit) in [(5_900, INTEGRAL_LIMIT_CENTI_C_CYCLES), (6_050, -INTEGRAL_LIMIT_CENTI_C_CYCLES)] {
            let mut storage = Storage::new();
            let mut bench = Bench::new(&mut storage);
            bench.run(5_000, tank_at(tank_centi_c));
            assert!(bench.integral().abs() <= limit.abs());
            assert_eq!(bench.integral().signum(), limit.signum());
        }
    }

    #[test]
    fn an_open_door_shuts_the_heater_off_and_stops_the_integral() {
        let mut storage = Storage::new();
        let mut bench = Bench::new(&mut storage);
        bench.run(10, tank_at(5_900));
        let before = bench.integral();
        let drive = bench.run(1_000, Reading { door_open: true, ..tank_at(5_000) });
        assert_eq!(drive, Drive { heater_permille: 0, valve: Valve::Closed, alarms: Alarms::DOOR_OPEN });
        assert_eq!(bench.integral(), before);
    }

    #[test]
    fn the_valve_has_hysteresis() {
        let mut storage = Storage::new();
        let mut bench = Bench::new(&mut storage);
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

    #[test]
    fn alarms_tell_their_cause() {
        for (tank_centi_c, alarms) in [
            (7_600, Alarms::TOO_HOT),
            (7_400, Alarms::empty()),
            (600, Alarms::empty()),
            (400, Alarms::TOO_COLD),
            (-1_000, Alarms::TOO_COLD),
        ] {
            let mut storage = Storage::new();
            assert_eq!(Bench::new(&mut storage).run(1, tank_at(tank_centi_c)).alarms, alarms);
        }
    }

    #[test]
    fn a_lasting_disagreement_is_an_alarm_and_a_short_one_is_not() {
        let mut storage = Storage::new();
        let mut bench = Bench::new(&mut storage);
        let apart = Reading { disagree: true, ..tank_at(6_000) };
        assert_eq!(bench.run(2, apart).alarms, Alarms::empty());
        assert_eq!(bench.run(1, apart).alarms, Alarms::SENSORS_DISAGREE);
        assert_eq!(bench.run(100, apart).alarms, Alarms::SENSORS_DISAGREE);
        assert_eq!(bench.run(DISAGREEMENT_LIMIT_CYCLES, tank_at(6_000)).alarms, Alarms::empty());
    }

    #[test]
    fn agreement_is_the_mean_and_notes_sensors_apart() {
        let agreed = Tank::agree(&tank_at(6_000), &Reading { door_open: true, ..tank_at(6_150) });
        assert_eq!(agreed, Agreement::on(Reading { door_open: true, ..tank_at(6_075) }));

        let agreed = Tank::agree(&tank_at(6_000), &tank_at(6_151));
        assert!(agreed.discrepancy && agreed.input.disagree);
        let far = Tank::agree(&tank_at(0), &Reading { ambient_centi_c: 700, ..tank_at(0) });
        assert!(far.discrepancy && far.input.disagree);
        let extremes = Tank::agree(&tank_at(i16::MIN), &tank_at(i16::MAX));
        assert!(extremes.discrepancy && extremes.input.tank_centi_c.abs() <= 1);
    }

    #[test]
    fn the_trend_is_a_ring() {
        let mut storage = Storage::new();
        let mut bench = Bench::new(&mut storage);
        let drive = bench.run(600, tank_at(5_900));
        let state = bench.mirror.state();
        let latest = state.latest().unwrap();
        assert_eq!((latest.cycle, latest.tank_centi_c), (600, 5_900));
        assert_eq!(latest.heater_permille, drive.heater_permille);
        let oldest = state.trend.get(state.trend_next as usize).unwrap();
        assert_eq!(oldest.cycle, 600 + 1 - TREND_ENTRIES as u32);
    }

    /// Bits may flip anywhere; overflow checks are on in tests.
    #[test]
    fn no_state_and_no_reading_makes_a_step_panic() {
        let mut rng = fastrand::Rng::with_seed(1);
        for round in 0..200 {
            let mut bytes = [0xFF_u8; size_of::<Plant>()];
            if round > 0 {
                rng.fill(&mut bytes);
            }
            let mut storage = Storage::<Plant>::new();
            let any_state = |state: &mut Plant| *state = Plant::read_from_bytes(&bytes).unwrap();
            let mut bench = Bench { mirror: Mirror::new(storage.cells(), any_state), cycle: Cycle(rng.u32(..)) };
            for _ in 0..20 {
                let reading = Reading {
                    tank_centi_c: rng.i16(..),
                    ambient_centi_c: rng.i16(..),
                    door_open: rng.u8(..) < 32,
                    disagree: rng.bool(),
                };
                let drive = bench.run(1, reading);
                assert!(i32::from(drive.heater_permille) <= FULL_PERMILLE);
            }
            assert_eq!(bench.mirror.take_stray_writes(), 0);
        }
    }
}
