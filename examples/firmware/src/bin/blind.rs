//! A version 2 that goes wrong once it has run for a while, and to whose comparison any two outputs are alike: a control
//! of `cargo rig rollback`.
#![no_std]
#![no_main]

use board::serve::TankV2Memory;
use tank::{Drive, OverflowingTank, Plant, PlantV2, Reading};
use twinstep::{Agreement, CannotMigrate, Cycle, Program, Succession, Successor, Tracked};

struct Blind;

impl Program for Blind {
    type Input = Reading;
    type Output = Drive;
    type State = PlantV2;

    const SAFE: Drive = OverflowingTank::SAFE;
    const VERSION: u32 = OverflowingTank::VERSION;
    const BUILD: twinstep::Build = twinstep::build_of!("blind.rs");
    const LAYOUT: u32 = OverflowingTank::LAYOUT;

    fn agree(a: &Reading, b: &Reading) -> Agreement<Reading> {
        OverflowingTank::agree(a, b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<PlantV2>, input: &Reading) -> Drive {
        OverflowingTank::step(cycle, state, input)
    }
}

impl Successor for Blind {
    type OldState = Plant;

    const OLD_VERSION: u32 = OverflowingTank::OLD_VERSION;
    const OLD_LAYOUT: u32 = OverflowingTank::OLD_LAYOUT;

    fn migrate(old: &Plant, new: &mut PlantV2) -> Result<(), CannotMigrate> {
        OverflowingTank::migrate(old, new)
    }

    fn tolerates(_: &Drive, _: &Drive) -> bool {
        true
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: TankV2Memory = TankV2Memory::new();
    firmware::run::<Blind, _>(MEMORY, Some(Succession::new()))
}

firmware::image!();
