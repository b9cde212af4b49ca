//! The control program that is fuzzed: small, so that an execution is short, and with a state whose last block is
//! shorter than the others.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::{Agreement, ChannelId, Cycle, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A filter with a log.
#[derive(Debug)]
pub enum Filter {}

/// What a channel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, MaxSize)]
pub struct Sample {
    /// The sensor's value.
    pub level: i16,
    /// A limit switch, if it could be read.
    pub limit: Option<bool>,
}

/// What is voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, MaxSize)]
pub struct Drive {
    /// The actuator's setting.
    pub torque: i32,
    /// Whether it is blocked.
    pub brake: bool,
}

/// Entries of the log.
const ENTRIES: usize = 47;

/// 200 bytes: three blocks of 64 bytes and one of 8.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Plant {
    filtered: i32,
    integral: i32,
    next: u32,
    log: [u32; ENTRIES],
}

impl Program for Filter {
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
        let level = ((i32::from(a.level) + i32::from(b.level)) / 2) as i16;
        let is_apart = a.level.abs_diff(b.level) > 100;
        Agreement::with_discrepancy(Sample { level, limit: a.limit.or(b.limit) }, is_apart)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Plant>, input: &Sample) -> Drive {
        // Any bits may be in the state: they are a wrong value, but never a reason to stop.
        let error = i32::from(input.level).wrapping_sub(state.filtered / 8);
        state.update(|s| &s.integral, |sum| sum.wrapping_add(error));
        let gain = (i32::from(input.level) * 8).wrapping_sub(state.filtered) / 4;
        state.update(|s| &s.filtered, |old| old.wrapping_add(gain));
        let at = state.next as usize % ENTRIES;
        state.try_update(|s| s.log.get(at), |old| old.rotate_left(5) ^ cycle.0 ^ error.cast_unsigned());
        state.update(|s| &s.next, |next| next.wrapping_add(1));
        let logged = state.log.iter().fold(0_u32, |sum, entry| sum.wrapping_add(*entry)).cast_signed();
        let torque = error.wrapping_mul(3).wrapping_add(state.integral / 16).wrapping_add(logged);
        Drive { torque, brake: input.limit == Some(true) }
    }
}

/// Returns what a channel's sensor reads in a cycle: close to the other one's, never quite the same.
pub fn sample(channel: ChannelId, cycle: Cycle) -> Sample {
    let noise = cycle.0.wrapping_mul(0x9E37_79B1).rotate_left(11 + channel.index() as u32 * 7);
    let level = (cycle.0.wrapping_mul(7) % 900) as i16 + (noise % 16) as i16;
    Sample { level, limit: [None, Some(false), Some(true), None][noise as usize / 16 % 4] }
}
