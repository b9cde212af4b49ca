//! The second version of the small control program: another layout, another controller, and flaws to order.

#![allow(dead_code, unreachable_pub)]

use super::support::{Drive, Plant, Sample, Servo};
use twinstep::{Agreement, CannotMigrate, Cycle, Program, Successor, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// No flaw; wrong from the first step on; wrong from the 40th step after the migration on.
pub const SOUND: u8 = 0;
pub const WRONG: u8 = 1;
pub const WRONG_LATER: u8 = 2;
/// Refuses every state.
pub const REFUSES: u8 = 3;
/// Crashes as soon as it serves: asks for what is never there.
pub const LATER_STEPS: u32 = 40;
pub const REFUSED_WITH: u16 = 7;

std::thread_local! {
    /// The step of this number from now on gives another result, once; 0: none does.
    pub static GLITCH_IN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

pub struct ServoV2<const FLAW: u8 = SOUND>;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PlantV2 {
    /// Sixteenths.
    pub integral: i64,
    pub filtered: i32,
    pub steps: u32,
    pub log: [u32; 253],
    pub next: u32,
    pub last_torque: i32,
    pub reserve: [u32; 15],
}

impl<const FLAW: u8> Program for ServoV2<FLAW> {
    type Input = Sample;
    type Output = Drive;
    type State = PlantV2;
    const SAFE: Drive = Servo::SAFE;
    const VERSION: u32 = 2;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn init(state: &mut PlantV2) {
        state.filtered = 1000;
    }

    fn agree(a: &Sample, b: &Sample) -> Agreement<Sample> {
        Servo::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<PlantV2>, input: &Sample) -> Drive {
        let error = i32::from(input.position) - state.filtered / 8;
        state.update(|s| &s.integral, |sum| sum.wrapping_add(i64::from(error)));
        state.update(|s| &s.filtered, |old| old + (i32::from(input.position) * 8 - old) / 4);
        state.update(|s| &s.steps, |steps| steps.wrapping_add(1));
        let at = state.next as usize % 253;
        state.try_update(|s| s.log.get(at), |_| cycle.0 ^ error as u32);
        state.update(|s| &s.next, |next| next.wrapping_add(1));
        let integral = state.integral as i32 / 16;
        let torque = error.wrapping_mul(3).wrapping_add(integral) ^ 1; // a little better
        state.set(|s| &s.last_torque, torque);
        let glitch_in = GLITCH_IN.get();
        GLITCH_IN.set(glitch_in.saturating_sub(1));
        let torque = if glitch_in == 1 { torque ^ 0x40 } else { torque };
        let is_wrong = FLAW == WRONG || FLAW == WRONG_LATER && state.steps > LATER_STEPS;
        let torque = if is_wrong { torque.wrapping_add(1000) } else { torque };
        Drive { torque, brake: input.limit == Some(true) }
    }
}

impl<const FLAW: u8> Successor for ServoV2<FLAW> {
    type OldState = Plant;
    const OLD_VERSION: u32 = Servo::VERSION;
    const OLD_LAYOUT: u32 = Servo::LAYOUT;

    fn migrate(old: &Plant, new: &mut PlantV2) -> Result<(), CannotMigrate> {
        if FLAW == REFUSES {
            return Err(CannotMigrate(REFUSED_WITH));
        }
        new.integral = old.integral.into();
        (new.filtered, new.next, new.log) = (old.filtered, old.next, old.log);
        Ok(())
    }

    fn tolerates(old: &Drive, new: &Drive) -> bool {
        old.brake == new.brake && old.torque.abs_diff(new.torque) <= 1
    }
}
