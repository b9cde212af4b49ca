//! An output that fits no frame at all.

use twinstep::{Agreement, Build, Cycle, Program, Tracked, frame};

struct Widest;

impl Program for Widest {
    type Input = u8;
    type Output = [[u8; 32]; 20];
    type State = u32;
    const SAFE: [[u8; 32]; 20] = [[0; 32]; 20];
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn agree(a: &u8, _: &u8) -> Agreement<u8> {
        Agreement::on(*a)
    }

    fn step(cycle: Cycle, _: &mut Tracked<u32>, _: &u8) -> [[u8; 32]; 20] {
        [[cycle.0 as u8; 32]; 20]
    }
}

const FRAME: usize = frame::<Widest>();

fn main() {
    let _ = FRAME;
}
