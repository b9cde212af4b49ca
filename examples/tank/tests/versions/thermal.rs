//! The tank as physics would have it: the figures are those of the rig.

use fastrand::Rng;
use tank::{Drive, Reading, Tank, Valve};
use twinstep::Program;

const CYCLE_S: f64 = 10.0;
/// 20 kg of water.
const HEAT_CAPACITY_J_PER_K: f64 = 83_720.0;
const HEATER_W_PER_PERMILLE: f64 = 6.0;
const LOSS_CLOSED_W_PER_K: f64 = 15.0;
const LOSS_OPEN_W_PER_K: f64 = 75.0;
const JACKET_W_PER_K: f64 = 120.0;
const COOLING_WATER_C: f64 = 12.0;
const SENSOR_NOISE_C: f64 = 0.2;
/// How far off a sensor is that has come loose.
const LOOSE_SENSOR_C: f64 = 3.0;

/// What happens around the tank.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings {
    pub(crate) ambient_c: f64,
    /// The door is opened now and then.
    pub(crate) has_visitors: bool,
    /// The ambient temperature jumps now and then, and a sensor comes loose.
    pub(crate) is_rough: bool,
}

impl Surroundings {
    pub(crate) const QUIET: Self = Self { ambient_c: 8.0, has_visitors: false, is_rough: false };
    pub(crate) const VISITED: Self = Self { has_visitors: true, ..Self::QUIET };
    pub(crate) const ROUGH: Self = Self { has_visitors: true, is_rough: true, ..Self::QUIET };
}

/// The tank, its enclosure and its sensors. All chance comes from one seed.
pub(crate) struct Thermal {
    pub(crate) tank_c: f64,
    surroundings: Surroundings,
    ambient_c: f64,
    door_open: bool,
    /// Until the door is opened or closed.
    door_left_cycles: u32,
    /// Until the weather changes.
    weather_left_cycles: u32,
    /// For as long a sensor is loose.
    loose_left_cycles: u32,
    rng: Rng,
}

impl Thermal {
    pub(crate) fn new(seed: u64, tank_c: f64, surroundings: Surroundings) -> Self {
        let mut rng = Rng::with_seed(seed);
        Self {
            tank_c,
            surroundings,
            ambient_c: surroundings.ambient_c,
            door_open: false,
            door_left_cycles: rng.u32(200..=600),
            weather_left_cycles: 500,
            loose_left_cycles: 0,
            rng,
        }
    }

    /// What both channels settle on.
    pub(crate) fn reading(&mut self) -> Reading {
        let loose_c = if self.loose_left_cycles > 0 { LOOSE_SENSOR_C } else { 0.0 };
        let [a, b] = [self.sample(0.0), self.sample(loose_c)];
        Tank::agree(&a, &b).input
    }

    /// What one channel samples.
    pub(crate) fn sample(&mut self, off_c: f64) -> Reading {
        let mut sensed_centi_c = |true_c: f64| {
            let error_c = (self.rng.f64() * 2.0 - 1.0) * SENSOR_NOISE_C;
            ((true_c + error_c) * 100.0).round() as i16
        };
        Reading {
            tank_centi_c: sensed_centi_c(self.tank_c + off_c),
            ambient_centi_c: sensed_centi_c(self.ambient_c),
            door_open: self.door_open,
            disagree: false,
        }
    }

    /// Goes on by one cycle with the actuators as given.
    pub(crate) fn step(&mut self, drive: &Drive) {
        self.change_surroundings();
        let loss_w_per_k = if self.door_open { LOSS_OPEN_W_PER_K } else { LOSS_CLOSED_W_PER_K };
        let loss_w = loss_w_per_k * (self.tank_c - self.ambient_c);
        let cooling_w = match drive.valve {
            Valve::Closed => 0.0,
            Valve::Open => JACKET_W_PER_K * (self.tank_c - COOLING_WATER_C),
        };
        let heater_w = HEATER_W_PER_PERMILLE * f64::from(drive.heater_permille);
        self.tank_c += (heater_w - loss_w - cooling_w) * CYCLE_S / HEAT_CAPACITY_J_PER_K;
    }

    fn change_surroundings(&mut self) {
        self.door_left_cycles = self.door_left_cycles.saturating_sub(1);
        if self.door_left_cycles == 0 {
            self.door_open = self.surroundings.has_visitors && !self.door_open;
            self.door_left_cycles = if self.door_open { self.rng.u32(3..=20) } else { self.rng.u32(200..=600) };
        }
        self.loose_left_cycles = self.loose_left_cycles.saturating_sub(1);
        self.weather_left_cycles = self.weather_left_cycles.saturating_sub(1);
        if self.weather_left_cycles == 0 && self.surroundings.is_rough {
            self.ambient_c = f64::from(self.rng.i32(-15..=25));
            self.weather_left_cycles = self.rng.u32(300..=700);
            self.loose_left_cycles = self.rng.u32(1..=12);
        }
    }
}
