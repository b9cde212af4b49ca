//! The smallest program that tells its histories apart: the output is the state, and each step
//! mixes cycle and input into it, so two histories that differ in one input differ for good.

use twinstep::{Agreement, Cycle, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub struct Tiny;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Sum {
    pub value: u16,
    /// Never written: a flip here stays until it is mended.
    pub idle: u16,
}

impl Program for Tiny {
    type Input = u8;
    type Output = u16;
    type State = Sum;
    const SAFE: u16 = 0xFFFF;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn init(state: &mut Sum) {
        state.value = FIRST;
    }

    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(agreed(*a, *b))
    }

    fn step(cycle: Cycle, state: &mut Tracked<Sum>, input: &u8) -> u16 {
        state.update(|s| &s.value, |value| next(value, cycle.0, *input));
        state.value
    }
}

/// The state before the first cycle.
pub const FIRST: u16 = 1;

/// What both agree on; of one sample alone `agreed(own, own)`.
pub fn agreed(a: u8, b: u8) -> u8 {
    a.wrapping_mul(37).wrapping_add(b)
}

/// The state after a cycle, which is its output too.
pub fn next(value: u16, cycle: u32, input: u8) -> u16 {
    let mixed = (u32::from(value) << 8 ^ u32::from(input) ^ cycle << 3).wrapping_mul(0x9E37_79B1);
    (mixed >> 16) as u16 & 0x7FFF // never the safe output
}

/// What a channel reads at its nth attempt to begin a cycle: each time something else.
pub fn sample(channel: usize, cycle: u32, attempt: u8) -> u8 {
    (cycle as u8).wrapping_mul(29) ^ (channel as u8) << 4 ^ attempt.wrapping_mul(67)
}
