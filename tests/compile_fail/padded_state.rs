//! A state has no padding: its bytes are mirrored and compared.

use twinstep::{Agreement, Cycle, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Padded {
    flag: u8,
    count: u32,
}

struct Counter;

impl Program for Counter {
    type Input = u8;
    type Output = u32;
    type State = Padded;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u8, _: &u8) -> Agreement<u8> {
        Agreement::on(*a)
    }

    fn step(_: Cycle, state: &mut Tracked<Padded>, _: &u8) -> u32 {
        state.count + u32::from(state.flag)
    }
}

fn main() {
    let _ = Counter::SAFE;
}
