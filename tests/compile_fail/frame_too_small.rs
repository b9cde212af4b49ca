//! A frame has room for the longest value of an output, whatever it is today: 16 numbers of up to five bytes.

use twinstep::sim::Storage;
use twinstep::{Agreement, Build, ChannelId, Config, Cycle, Node, Program, Tracked};

struct Wide;

impl Program for Wide {
    type Input = u8;
    type Output = [u32; 16];
    type State = u32;
    const SAFE: [u32; 16] = [0; 16];
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn agree(a: &u8, _: &u8) -> Agreement<u8> {
        Agreement::on(*a)
    }

    fn step(cycle: Cycle, _: &mut Tracked<u32>, _: &u8) -> [u32; 16] {
        [cycle.0; 16]
    }
}

fn main() {
    let mut storage = Storage::<u32>::new();
    let _ = Node::<Wide, 100>::new(ChannelId::A, storage.cells(), Config::DEFAULT);
}
