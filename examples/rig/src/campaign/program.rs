//! The program that the campaign runs: small for speed, but with inputs and outputs of several fields and with memory of
//! every sort: written in each cycle, seldom, and never.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::memory::State;
use twinstep::{Agreement, CannotMigrate, ChannelId, Cycle, Program, Successor, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) struct Mill;

/// What a channel samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub(crate) struct Sample {
    pub(crate) position: i16,
    pub(crate) speed: i32,
    pub(crate) limit: Option<bool>,
    pub(crate) buttons: u8,
}

/// What is driven.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub(crate) struct Drive {
    pub(crate) torque: i32,
    pub(crate) feed: u16,
    pub(crate) brake: bool,
    pub(crate) lamp: Option<u8>,
}

/// Words of a block of 64 bytes.
const BLOCK: usize = 16;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Memory {
    /// Written in each cycle.
    regulator: [i32; BLOCK],
    /// Another word of it in each cycle.
    log: [u32; 3 * BLOCK],
    /// Written once in a while, read a little more often.
    learned: [i32; 4 * BLOCK],
    /// Never written; a word of it is read in each cycle.
    curve: [i32; 8 * BLOCK],
}

/// A word is learned each so many cycles, and one is read.
const LEARNS_EACH: u32 = 8;

impl Program for Mill {
    type Input = Sample;
    type Output = Drive;
    type State = Memory;
    const SAFE: Drive = Drive { torque: 0, feed: 0, brake: true, lamp: None };
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::build_of!("program.rs");

    fn init(state: &mut Memory) {
        for (index, word) in (0..).zip(&mut state.curve) {
            *word = index * index % 97 - 48;
        }
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        let position = i16::midpoint(a.position, b.position);
        let speed = i32::midpoint(a.speed, b.speed);
        let agreed = Sample { position, speed, limit: a.limit.or(b.limit), buttons: a.buttons & b.buttons };
        Agreement::with_discrepancy(agreed, a.position.abs_diff(b.position) > 100)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Memory>, input: &Sample) -> Drive {
        step(cycle, state, |state| state, input)
    }
}

/// The second version: another layout, and a torque that is a little better.
pub(crate) struct MillV2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct MemoryV2 {
    /// Cycles since the migration.
    served: [u32; BLOCK],
    memory: Memory,
}

impl Program for MillV2 {
    type Input = Sample;
    type Output = Drive;
    type State = MemoryV2;
    const SAFE: Drive = Mill::SAFE;
    const VERSION: u32 = 2;
    const BUILD: twinstep::Build = twinstep::build_of!("program.rs");

    fn init(state: &mut MemoryV2) {
        Mill::init(&mut state.memory);
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        Mill::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<MemoryV2>, input: &Sample) -> Drive {
        let drive = step(cycle, state, |state| &state.memory, input);
        state.try_update(|s| s.served.first(), |served| served.wrapping_add(1));
        Drive { torque: drive.torque ^ 1, ..drive }
    }
}

impl Successor for MillV2 {
    type OldState = Memory;
    const OLD_VERSION: u32 = Mill::VERSION;
    const OLD_LAYOUT: u32 = Mill::LAYOUT;

    fn migrate(old: &Memory, new: &mut MemoryV2) -> Result<(), CannotMigrate> {
        new.memory.as_mut_bytes().copy_from_slice(old.as_bytes());
        Ok(())
    }

    fn tolerates(old: &Drive, new: &Drive) -> bool {
        Drive { torque: new.torque, ..*old } == *new && old.torque ^ 1 == new.torque
    }
}

/// The step of both versions, on the part of the state that they have in common.
fn step<S: State>(cycle: Cycle, state: &mut Tracked<S>, of: impl Fn(&S) -> &Memory, input: &Sample) -> Drive {
    let at = |length: usize| (cycle.0 as usize).wrapping_mul(7).wrapping_add(input.position as usize) % length;
    let curve = of(state).curve.get(at(8 * BLOCK)).copied().unwrap_or_default();
    let [sum, filtered, last, ..] = of(state).regulator;
    let error = i32::from(input.position).wrapping_sub(filtered >> 3).wrapping_add(curve);
    let (sum, filtered) = (sum.wrapping_add(error), filtered.wrapping_add(i32::from(input.position) - (filtered >> 3)));
    let fresh = [sum, filtered, input.speed, last ^ error];
    for (index, value) in fresh.into_iter().enumerate() {
        state.try_update(|s| of(s).regulator.get(index), |_| value);
    }
    state.try_update(|s| of(s).log.get(cycle.0 as usize % (3 * BLOCK)), |old| old.rotate_left(5) ^ error as u32);
    let mut torque = error.wrapping_mul(3).wrapping_add(sum >> 4);
    if cycle.0.is_multiple_of(LEARNS_EACH) {
        let (from, to) = (at(4 * BLOCK), at(37));
        let learned = of(state).learned.get(from).copied().unwrap_or_default();
        torque = torque.wrapping_add(learned);
        state.try_update(|s| of(s).learned.get(to), |old| old.wrapping_add(sum));
    }
    let feed = (input.speed.wrapping_sub(last) >> 2) as u16;
    let lamp = (input.buttons & 1 == 1).then_some(cycle.0 as u8);
    Drive { torque, feed, brake: input.limit == Some(true), lamp }
}

/// What the two sensors read: close to each other, never quite the same, and never the same twice.
pub(crate) fn sensor(seed: u64) -> impl FnMut(ChannelId, Cycle) -> Sample {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5EED);
    move |_, cycle| {
        let position = (cycle.0 as i16).wrapping_mul(7) % 900 + rng.i16(-20..20);
        let limit = [None, Some(false), Some(true)][rng.usize(0..3)];
        Sample { position, speed: rng.i32(-9000..9000), limit, buttons: rng.u8(..) }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn the_memory_is_of_sixteen_blocks() {
        assert_eq!(twinstep::blocks::<Memory>(), 16);
    }
}
