#![no_std]
//! A heated tank, controlled by two channels in lockstep: what the firmware and the rig share.
//!
//! ```text
//! controller    the program both channels run: PI control, interlocks, alarms, a trend log
//! law           … the control law in it
//! observation   … filters, the valve, the alarms
//! filter        … low-pass filters
//! trend         … the trend log
//! sensors       … one reading of two
//! controller_v2 version 2 of the program: another layout of the state, a calmer heater, less overshoot
//! migration     from version 1 to version 2 while the tank is being heated
//! flaw          versions 2 with a mistake, to be rolled back from
//! field_bus     messages between one board and the plant, with the output relay in it
//! ```
//!
//! One control cycle stands for 10 s of the plant's time, however fast the boards run.

mod controller;
mod controller_v2;
pub mod field_bus;
mod filter;
mod flaw;
mod law;
mod migration;
mod observation;
mod sensors;
mod trend;
pub mod two_cores;

pub use controller::{Plant, Tank};
pub use controller_v2::{PlantV2, TOLERANCE_PERMILLE, TankV2, Version2};
pub use flaw::{
    Flaw, OVERFLOWS_AFTER_CYCLES, Overflowing, OverflowingTank, Refusing, RefusingTank, Reversed, ReversedTank, Sound,
};
pub use migration::Refusal;
pub use trend::{TREND_ENTRIES, TrendEntry};

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::Config;

/// Timing and policy of the boards and of the rig that judges them. Pair and nonce are filled in at boot.
pub const TIMING: Config = Config {
    copy_blocks: 8,
    // To be shown, not to be trusted: a plant is tried on for a day.
    trial_cycles: 20,
    ..Config::DEFAULT
};

/// What a channel samples each cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, MaxSize)]
pub struct Reading {
    /// Temperature in the tank, hundredths of a degree Celsius.
    pub tank_centi_c: i16,
    /// Temperature around the tank, hundredths of a degree Celsius.
    pub ambient_centi_c: i16,
    /// Whether the door of the enclosure stands open.
    pub door_open: bool,
    /// Whether the two channels' sensors are further apart than they should be. A channel
    /// samples `false`; the agreement of the two samples sets it, since the step sees the
    /// agreed reading only.
    pub disagree: bool,
}

/// What is voted and driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, MaxSize)]
pub struct Drive {
    /// Heater power, thousandths of full power.
    pub heater_permille: u16,
    /// The cooling valve.
    pub valve: Valve,
    /// The alarms raised.
    pub alarms: Alarms,
}

/// The position of the cooling valve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, MaxSize)]
pub enum Valve {
    /// No cooling.
    Closed,
    /// Cooling water flows.
    Open,
}

bitflags::bitflags! {
    /// The alarms, as levels: each is raised for as long as its cause lasts.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(transparent)]
    pub struct Alarms: u8 {
        /// The tank is above 75 °C.
        const TOO_HOT = 1 << 0;
        /// The tank is below 5 °C: it may freeze.
        const TOO_COLD = 1 << 1;
        /// The door stands open, and the heater is off for that reason.
        const DOOR_OPEN = 1 << 2;
        /// The two channels' sensors have been apart for several cycles.
        const SENSORS_DISAGREE = 1 << 3;
    }
}

impl MaxSize for Alarms {
    const POSTCARD_MAX_SIZE: usize = 1;
}
