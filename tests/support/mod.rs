//! A small control program for the tests: an integrator with a log.

#![allow(dead_code, unreachable_pub)]

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::{Agreement, ChannelId, Cycle, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub struct Servo;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub struct Sample {
    pub position: i16,
    pub limit: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub struct Drive {
    pub torque: i32,
    pub brake: bool,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Plant {
    pub integral: i32,
    pub filtered: i32,
    pub next: u32,
    pub log: [u32; 253],
}

impl Program for Servo {
    type Input = Sample;
    type Output = Drive;
    type State = Plant;
    const SAFE: Drive = Drive { torque: 0, brake: true };
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn init(state: &mut Plant) {
        state.filtered = 1000;
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        let position = ((i32::from(a.position) + i32::from(b.position)) / 2) as i16;
        let apart = a.position.abs_diff(b.position);
        Agreement::with_discrepancy(Sample { position, limit: a.limit.or(b.limit) }, apart > 100)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Plant>, input: &Sample) -> Drive {
        let error = i32::from(input.position) - state.filtered / 8;
        state.update(|s| &s.integral, |sum| sum.wrapping_add(error));
        state.update(|s| &s.filtered, |old| old + (i32::from(input.position) * 8 - old) / 4);
        let at = state.next as usize % 253;
        state.try_update(|s| s.log.get(at), |_| cycle.0 ^ error as u32);
        state.update(|s| &s.next, |next| next.wrapping_add(1));
        let torque = error.wrapping_mul(3).wrapping_add(state.integral / 16);
        Drive { torque, brake: input.limit == Some(true) }
    }
}

/// What the two sensors read: close to each other, never quite the same.
pub fn sensor(seed: u64) -> impl FnMut(ChannelId, Cycle) -> Sample {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5EED);
    move |_, cycle| {
        let position = (cycle.0 as i16).wrapping_mul(7) % 900 + rng.i16(-20..20);
        let limit = [None, Some(false), Some(true)][rng.usize(0..3)];
        Sample { position, limit }
    }
}
