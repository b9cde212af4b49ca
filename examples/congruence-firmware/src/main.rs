//! Prints the digests of the programs of `congruence`, and exits.
#![no_std]
#![no_main]

use congruence::{Memories, run};
use semihosting::{println, process};

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    let mut memories = Memories::new();
    let ran = run(&mut memories, |part| println!("{}\t{}\t{:08x}", part.program, part.cycle, part.digest));
    process::exit(if ran.is_ok() { 0 } else { 2 })
}
