//! The heated tank as physics would have it: an enclosure with a door, a heater, a cooling valve, and two sets of
//! sensors, one for each channel.
//!
//! One control cycle is 10 s of the plant's time, however fast the boards run: heating up takes a quarter of an hour,
//! and nobody wants to wait for it. All chance comes from one seed.

use fastrand::Rng;
use tank::{Drive, Reading, Valve};

/// What one control cycle is to the plant.
const CYCLE_S: f64 = 10.0;

/// 20 kg of water.
const HEAT_CAPACITY_J_PER_K: f64 = 20.0 * 4_186.0;
const HEATER_FULL_W: f64 = 6_000.0;
const FULL_PERMILLE: u16 = 1_000;
/// With the door closed the tank alone comes to 37 % of its distance to the ambient in 93 minutes.
const LOSS_CLOSED_W_PER_K: f64 = 15.0;
const LOSS_OPEN_W_PER_K: f64 = 75.0;
/// A jacket through which cooling water flows while the valve is open.
const JACKET_W_PER_K: f64 = 120.0;
const COOLING_WATER_C: f64 = 12.0;

/// The largest error of a sensor, in either direction.
const SENSOR_NOISE_C: f64 = 0.2;

/// How long the door stays as it is: at least and at most.
const DOOR_CLOSED_CYCLES: (u32, u32) = (200, 600);
const DOOR_OPEN_CYCLES: (u32, u32) = (3, 20);

/// The plant: the tank, its enclosure and its sensors.
pub(crate) struct PlantModel {
    tank_c: f64,
    ambient_c: f64,
    door_open: bool,
    /// Until the door is opened or closed.
    door_left_cycles: u32,
    door_rng: Rng,
    /// Each side has chance of its own, so that what one side reads does not depend on how often the other one does.
    sensor_rngs: [Rng; 2],
}

impl PlantModel {
    /// Makes a plant with the door closed and the tank as warm as its surroundings.
    pub(crate) fn new(seed: u64, ambient_c: f64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let sensor_rngs = [rng.fork(), rng.fork()];
        let door_left_cycles = pick(&mut rng, DOOR_CLOSED_CYCLES);
        PlantModel { tank_c: ambient_c, ambient_c, door_open: false, door_left_cycles, door_rng: rng, sensor_rngs }
    }

    /// Goes on by one control cycle with the actuators as given.
    pub(crate) fn step(&mut self, drive: &Drive, ambient_c: f64) {
        self.ambient_c = ambient_c;
        self.move_door();
        let power_w = self.power_w(drive);
        // Far shorter than any time constant here, so that one step a cycle is exact enough.
        self.tank_c += power_w * CYCLE_S / HEAT_CAPACITY_J_PER_K;
    }

    /// The heat that flows into the tank; negative when it cools.
    fn power_w(&self, drive: &Drive) -> f64 {
        let share = f64::from(drive.heater_permille.min(FULL_PERMILLE)) / f64::from(FULL_PERMILLE);
        let loss_w_per_k = if self.door_open { LOSS_OPEN_W_PER_K } else { LOSS_CLOSED_W_PER_K };
        let loss_w = loss_w_per_k * (self.tank_c - self.ambient_c);
        let cooling_w = match drive.valve {
            Valve::Closed => 0.0,
            Valve::Open => JACKET_W_PER_K * (self.tank_c - COOLING_WATER_C),
        };
        HEATER_FULL_W * share - loss_w - cooling_w
    }

    fn move_door(&mut self) {
        self.door_left_cycles = self.door_left_cycles.saturating_sub(1);
        if self.door_left_cycles == 0 {
            self.door_open = !self.door_open;
            let stay_cycles = if self.door_open { DOOR_OPEN_CYCLES } else { DOOR_CLOSED_CYCLES };
            self.door_left_cycles = pick(&mut self.door_rng, stay_cycles);
        }
    }

    /// What the sensors of one side read, 0 = A and 1 = B.
    pub(crate) fn reading(&mut self, side: usize) -> Reading {
        let [a, b] = &mut self.sensor_rngs;
        let rng = if side == 0 { a } else { b };
        Reading {
            tank_centi_c: sensed_centi_c(rng, self.tank_c),
            ambient_centi_c: sensed_centi_c(rng, self.ambient_c),
            door_open: self.door_open,
            disagree: false,
        }
    }

    /// The true temperature of the tank.
    pub(crate) fn tank_c(&self) -> f64 {
        self.tank_c
    }
}

fn pick(rng: &mut Rng, (at_least, at_most): (u32, u32)) -> u32 {
    rng.u32(at_least..=at_most)
}

fn sensed_centi_c(rng: &mut Rng, true_c: f64) -> i16 {
    let error_c = (rng.f64() * 2.0 - 1.0) * SENSOR_NOISE_C;
    // The cast clips what is beyond the sensor's range.
    ((true_c + error_c) * 100.0).round() as i16
}

#[cfg(test)]
mod tests {
    use tank::{Alarms, Drive, Reading, Valve};

    use super::{HEATER_FULL_W, PlantModel, SENSOR_NOISE_C};

    fn drive(heater_permille: u16, valve: Valve) -> Drive {
        Drive { heater_permille, valve, alarms: Alarms::empty() }
    }

    fn warm(seed: u64, tank_c: f64, ambient_c: f64) -> PlantModel {
        let mut plant = PlantModel::new(seed, ambient_c);
        plant.tank_c = tank_c;
        plant
    }

    #[test]
    fn without_heat_the_tank_takes_on_the_ambient_temperature() {
        for start_c in [-20.0, 10.0, 80.0] {
            let mut plant = warm(1, start_c, 10.0);
            for _ in 0..8_000 {
                plant.step(&drive(0, Valve::Closed), 10.0);
            }
            let left_c = plant.tank_c() - 10.0;
            assert!(left_c.abs() < 0.01, "{left_c} from {start_c}");
        }
    }

    #[test]
    fn heat_flows_the_right_way() {
        let off = drive(0, Valve::Closed);
        let full = drive(1_000, Valve::Closed);
        let cooling = drive(0, Valve::Open);

        // In balance with its surroundings, the tank gets what the heater gives.
        let plant = warm(1, 10.0, 10.0);
        assert!(plant.power_w(&off).abs() < 1e-9);
        assert!((plant.power_w(&full) - HEATER_FULL_W).abs() < 1e-9);
        // More than full power there is not.
        let beyond = plant.power_w(&drive(u16::MAX, Valve::Closed));
        assert!((beyond - HEATER_FULL_W).abs() < 1e-9);

        // Hot, it loses heat: more with the door open, more yet to the cooling water.
        let mut plant = warm(1, 70.0, 10.0);
        let closed_w = plant.power_w(&off);
        let cooling_w = plant.power_w(&cooling);
        plant.door_open = true;
        let open_w = plant.power_w(&off);
        assert!(0.0 > closed_w && closed_w > open_w && open_w > cooling_w);

        // The heater is strong enough for a freezing day.
        let plant = warm(1, 60.0, -10.0);
        assert!(plant.power_w(&full) > 0.0);
    }

    #[test]
    fn the_sensors_of_both_sides_are_near_the_truth_and_differ() {
        let mut plant = warm(7, 60.0, -5.0);
        // Half a digit for rounding.
        let bound_centi_c = SENSOR_NOISE_C * 100.0 + 0.5;
        let mut differing = 0;
        for _ in 0..1_000 {
            let readings = [plant.reading(0), plant.reading(1)];
            for reading in readings {
                assert!((f64::from(reading.tank_centi_c) - 6_000.0).abs() <= bound_centi_c);
                assert!((f64::from(reading.ambient_centi_c) + 500.0).abs() <= bound_centi_c);
                assert!(!reading.disagree);
            }
            let [a, b] = readings;
            differing += u32::from(a.tank_centi_c != b.tank_centi_c);
        }
        assert!(differing > 500, "{differing}");
    }

    #[test]
    fn a_reading_beyond_the_sensor_is_clipped() {
        let mut plant = warm(1, 1e9, -1e9);
        let reading = plant.reading(0);
        assert_eq!((reading.tank_centi_c, reading.ambient_centi_c), (i16::MAX, i16::MIN));
    }

    /// The door and the readings of a run.
    fn run(seed: u64, reads_of_b: u32) -> Vec<Reading> {
        let mut plant = PlantModel::new(seed, 15.0);
        let mut readings = Vec::new();
        for _ in 0..3_000 {
            plant.step(&drive(300, Valve::Closed), 15.0);
            readings.push(plant.reading(0));
            for _ in 0..reads_of_b {
                plant.reading(1);
            }
        }
        readings
    }

    #[test]
    fn a_seed_fixes_the_run_however_often_the_other_side_reads() {
        assert_eq!(run(5, 1), run(5, 3));
        assert_ne!(run(5, 1), run(6, 1));
    }

    #[test]
    fn the_door_opens_now_and_then_and_never_for_long() {
        for seed in 0..20 {
            let readings = run(seed, 0);
            let open = readings.iter().filter(|reading| reading.door_open).count();
            assert!(open > 0, "seed {seed}");
            let longest = readings
                .chunk_by(|one, next| one.door_open == next.door_open)
                .filter(|run| run.iter().any(|reading| reading.door_open))
                .map(<[Reading]>::len)
                .max();
            assert!(longest.is_some_and(|cycles| cycles <= 20), "seed {seed}");
        }
    }
}
