//! Runs the workloads on the host, for callgrind.

#[path = "../callgrind.rs"]
mod callgrind;

use callgrind::Callgrind;
use workloads::{Memories, OPT_LEVEL};

fn main() -> Result<(), String> {
    let mut memories = Box::new(Memories::new());
    let digest = workloads::run(&mut memories, &mut Callgrind).map_err(|error| format!("{error:?}"))?;
    println!("opt-level\t{OPT_LEVEL}");
    println!("digest\t{digest}");
    Ok(())
}
