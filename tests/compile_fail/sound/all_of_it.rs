//! What the cases beside this folder misuse, used as it is meant to be: this compiles.

use twinstep::{Agreement, Cycle, Memory, Program, Release, Tracked, Voted, blocks};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Plant {
    flag: u32,
    count: u32,
}

struct Counter;

impl Program for Counter {
    type Input = u8;
    type Output = u32;
    type State = Plant;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u8, _: &u8) -> Agreement<u8> {
        Agreement::on(*a)
    }

    fn step(_: Cycle, state: &mut Tracked<Plant>, _: &u8) -> u32 {
        let before = state.count;
        state.set(|plant| &plant.count, before + 1);
        state.count + state.flag
    }
}

static MEMORY: Memory<Plant, { blocks::<Plant>() }> = Memory::new();

fn once(voted: Voted<'_, u8>) {
    let _ = voted.open();
}

fn pass(release: Release<'_, u8>) -> Release<'_, u8> {
    release
}

fn main() {
    let _ = (Counter::SAFE, &MEMORY, once, pass);
}
