//! A program that cannot bear a damaged value: it panics.

use twinstep::{Agreement, Cycle, Program, Tracked};

/// Adds up its input in one of sixteen places.
pub(crate) struct Brittle;

impl Program for Brittle {
    type Input = u8;
    type Output = u32;
    /// Where the next sum is, and sixteen sums.
    type State = [u32; 17];
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::build_of!("brittle.rs");

    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(*a.max(b))
    }

    fn step(_: Cycle, state: &mut Tracked<[u32; 17]>, input: &u8) -> u32 {
        let place = state[0] as usize;
        assert!(place < 16, "place {place} is none of sixteen");
        state.update(|s| &s[place + 1], |sum| sum.wrapping_add(u32::from(*input)));
        state.set(|s| &s[0], (place as u32 + 1) % 16);
        state[place + 1]
    }
}
