//! A crane over a harbour.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::sim::World;
use twinstep::{Agreement, CannotMigrate, ChannelId, Cycle, Program, Successor, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) struct Crane;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub(crate) enum Wish {
    Stop,
    Hoist { speed: i16 },
    Travel(i16, i16),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub(crate) struct Sample {
    pub(crate) wish: Wish,
    /// Of two axes, each with a coarse and a fine encoder.
    pub(crate) axes: [[i16; 2]; 2],
    pub(crate) load_kg: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub(crate) enum Brake {
    Set,
    Released { after_ms: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, MaxSize)]
pub(crate) struct Drive {
    pub(crate) axes: [i16; 2],
    pub(crate) brake: Brake,
    pub(crate) warning: Option<[u8; 2]>,
}

const ROWS: usize = 600;
const TABLE: usize = 584;

/// 60,000 bytes.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Memory {
    /// Written in each cycle.
    regulators: [[i32; 8]; 2],
    /// A row of it in each cycle.
    log: [[u32; 24]; ROWS],
    /// Never written.
    table: [u32; TABLE],
}

impl Program for Crane {
    type Input = Sample;
    type Output = Drive;
    type State = Memory;
    const SAFE: Drive = Drive { axes: [0; 2], brake: Brake::Set, warning: Some([0xFF; 2]) };
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::build_of!("crane.rs");

    fn init(state: &mut Memory) {
        for (index, word) in (0..).zip(&mut state.table) {
            *word = index * index;
        }
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        let axis = |axis: usize| [0, 1].map(|encoder| i16::midpoint(a.axes[axis][encoder], b.axes[axis][encoder]));
        let load_kg = a.load_kg.max(b.load_kg);
        let wish = if a.wish == b.wish { a.wish } else { Wish::Stop };
        Agreement::with_discrepancy(Sample { wish, axes: [axis(0), axis(1)], load_kg }, a.wish != b.wish)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Memory>, input: &Sample) -> Drive {
        step(cycle, state, |state| state, input)
    }
}

/// The same, and counts what it lifts.
pub(crate) struct CraneV2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct MemoryV2 {
    memory: Memory,
    lifted: [u32; 16],
}

impl Program for CraneV2 {
    type Input = Sample;
    type Output = Drive;
    type State = MemoryV2;
    const SAFE: Drive = Crane::SAFE;
    const VERSION: u32 = 2;
    const BUILD: twinstep::Build = twinstep::build_of!("crane.rs");

    fn init(state: &mut MemoryV2) {
        Crane::init(&mut state.memory);
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        Crane::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<MemoryV2>, input: &Sample) -> Drive {
        state.try_update(|s| s.lifted.first(), |sum| sum.wrapping_add(input.load_kg.unwrap_or(0).into()));
        step(cycle, state, |state| &state.memory, input)
    }
}

impl Successor for CraneV2 {
    type OldState = Memory;
    const OLD_VERSION: u32 = Crane::VERSION;
    const OLD_LAYOUT: u32 = Crane::LAYOUT;

    fn migrate(old: &Memory, new: &mut MemoryV2) -> Result<(), CannotMigrate> {
        new.memory.as_mut_bytes().copy_from_slice(old.as_bytes());
        Ok(())
    }
}

fn step<S: twinstep::memory::State>(
    cycle: Cycle,
    state: &mut Tracked<S>,
    of: impl Fn(&S) -> &Memory,
    input: &Sample,
) -> Drive {
    let wanted = match input.wish {
        Wish::Stop => [0, 0],
        Wish::Hoist { speed } => [speed, 0],
        Wish::Travel(x, y) => [x, y],
    };
    let mut axes = [0; 2];
    for (axis, out) in axes.iter_mut().enumerate() {
        let [sum, last, ..] = of(state).regulators[axis];
        let [coarse, fine] = input.axes[axis].map(i32::from);
        let error = i32::from(wanted[axis]) - coarse + (fine - last) / 4;
        let factor = of(state).table[(coarse.unsigned_abs() as usize) % TABLE] as i32 % 7 + 1;
        state.try_update(|s| of(s).regulators[axis].first(), |_| sum.wrapping_add(error).clamp(-9_000, 9_000));
        state.try_update(|s| of(s).regulators[axis].get(1), |_| fine);
        *out = (error * factor / 8 + sum / 64).clamp(-1_000, 1_000) as i16;
    }
    let row = cycle.0 as usize % ROWS;
    for (column, value) in [cycle.0, axes[0] as u32, axes[1] as u32].into_iter().enumerate() {
        state.try_update(|s| of(s).log[row].get(column), |old| old.rotate_left(3) ^ value);
    }
    // What was logged a while ago is looked at again.
    let past = of(state).log[(cycle.0 as usize * 7 + 1) % ROWS][0];
    let brake = if wanted == [0, 0] { Brake::Set } else { Brake::Released { after_ms: past as u8 } };
    let warning = input.load_kg.filter(|load| *load > 900).map(u16::to_le_bytes);
    Drive { axes, brake, warning }
}

/// The crane's axes, which the outputs move.
pub(crate) struct Harbour {
    rng: fastrand::Rng,
    speed: [i32; 2],
    position: [i32; 2],
    moved: u32,
}

impl Harbour {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), speed: [0; 2], position: [0; 2], moved: 0 }
    }
}

impl World<Crane> for Harbour {
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> Sample {
        let wish = match cycle.0 / 40 % 3 {
            0 => Wish::Stop,
            1 => Wish::Hoist { speed: 300 },
            _ => Wish::Travel(-200, 150),
        };
        let noise = self.rng.i16(-5..5);
        let axes = [0, 1].map(|axis| [self.speed[axis] as i16 + noise, self.position[axis] as i16]);
        let load_kg = (channel == ChannelId::A).then(|| self.rng.u16(0..1_000));
        Sample { wish, axes, load_kg }
    }

    fn drive(&mut self, _: ChannelId, cycle: Cycle, output: &Drive) {
        if cycle.0 <= self.moved {
            return; // it drives already
        }
        self.moved = cycle.0;
        for axis in 0..2 {
            let push = if output.brake == Brake::Set { -self.speed[axis] / 2 } else { output.axes[axis].into() };
            self.speed[axis] = (self.speed[axis] + push / 8).clamp(-2_000, 2_000);
            self.position[axis] += self.speed[axis] / 16;
        }
    }
}
