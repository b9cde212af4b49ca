//! A program names its source.

use twinstep::{Agreement, Cycle, Program, Tracked};

struct Counter;

impl Program for Counter {
    type Input = u8;
    type Output = u32;
    type State = u32;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;

    fn agree(a: &u8, _: &u8) -> Agreement<u8> {
        Agreement::on(*a)
    }

    fn step(_: Cycle, state: &mut Tracked<u32>, _: &u8) -> u32 {
        **state
    }
}

fn main() {
    let _ = Counter::SAFE;
}
