//! Memory has as many blocks as the state takes: four for these 256 bytes.

use twinstep::Memory;

static MEMORY: Memory<[u32; 64], 3> = Memory::new();

fn main() {
    let _ = &MEMORY;
}
