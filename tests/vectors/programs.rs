//! Two versions of a small program.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::{Agreement, CannotMigrate, Cycle, Program, Successor, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Serialize, Deserialize, MaxSize)]
pub struct Level {
    pub mm: i16,
    pub is_full: Option<bool>,
}

#[derive(Clone, Serialize, Deserialize, MaxSize)]
pub struct Opening {
    pub percent: u8,
    pub alarm: bool,
}

/// 132 bytes: two blocks and a word.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Tank {
    cycles: u32,
    levels: [i16; 64],
}

pub struct Valve;

impl Program for Valve {
    type Input = Level;
    type Output = Opening;
    type State = Tank;
    const SAFE: Opening = Opening { percent: 0, alarm: true };
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &Level, b: &Level) -> Agreement<Level> {
        Agreement::on(Level { mm: a.mm.min(b.mm), is_full: a.is_full.or(b.is_full) })
    }

    fn step(cycle: Cycle, state: &mut Tracked<Tank>, input: &Level) -> Opening {
        state.update(|s| &s.cycles, |cycles| cycles.wrapping_add(1));
        state.try_update(|s| s.levels.get(cycle.0 as usize % 64), |_| input.mm);
        Opening { percent: (input.mm / 10).clamp(0, 100) as u8, alarm: input.is_full == Some(true) }
    }
}

/// The next version counts twice.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TankV2 {
    cycles: [u32; 2],
    levels: [i16; 64],
}

pub struct ValveV2;

impl Program for ValveV2 {
    type Input = Level;
    type Output = Opening;
    type State = TankV2;
    const SAFE: Opening = Valve::SAFE;
    const VERSION: u32 = 2;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &Level, b: &Level) -> Agreement<Level> {
        Valve::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<TankV2>, input: &Level) -> Opening {
        state.update(|s| &s.cycles, |cycles| cycles.map(|cycles| cycles.wrapping_add(1)));
        state.try_update(|s| s.levels.get(cycle.0 as usize % 64), |_| input.mm);
        Opening { percent: (input.mm / 10).clamp(0, 100) as u8, alarm: input.is_full == Some(true) }
    }
}

impl Successor for ValveV2 {
    type OldState = Tank;
    const OLD_VERSION: u32 = Valve::VERSION;
    const OLD_LAYOUT: u32 = Valve::LAYOUT;

    fn migrate(old: &Tank, new: &mut TankV2) -> Result<(), CannotMigrate> {
        (new.cycles, new.levels) = ([old.cycles; 2], old.levels);
        Ok(())
    }
}
