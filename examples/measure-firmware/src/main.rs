//! Counts the instructions of the workloads by SysTick, under QEMU's `-icount shift=0`: an
//! instruction is a nanosecond of the board's time there, and a tick at 25 MHz forty of them.
#![no_std]
#![no_main]

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::entry;
use semihosting::{println, process};
use workloads::{Memories, Meter, OPT_LEVEL, Workload};

const INSTRUCTIONS_PER_TICK: u32 = 40;
/// SysTick counts down in 24 bits: a count may wrap it once, so it is good for 670 million instructions.
const SYSTICK_MASK: u32 = 0x00FF_FFFF;

/// SysTick as a meter.
struct SysTick {
    /// The last two counts, in ticks.
    counts: [u32; 2],
}

impl SysTick {
    fn start(mut systick: SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(SYSTICK_MASK);
        systick.clear_current();
        systick.enable_counter();
        Self { counts: [0; 2] }
    }
}

impl Meter for SysTick {
    fn count(&mut self, work: &mut dyn FnMut()) {
        let before = SYST::get_current();
        work();
        let after = SYST::get_current();
        self.counts = [self.counts[1], before.wrapping_sub(after) & SYSTICK_MASK];
    }

    fn note(&mut self, workload: Workload, repetitions: u32) {
        let [with, without] = self.counts.map(|ticks| u64::from(ticks) * u64::from(INSTRUCTIONS_PER_TICK));
        println!("{workload}\t{repetitions}\t{with}\t{without}");
    }
}

#[entry]
fn main() -> ! {
    static mut MEMORIES: Memories = Memories::new();

    let Some(core) = cortex_m::Peripherals::take() else { process::exit(1) };
    let Ok(digest) = workloads::run(MEMORIES, &mut SysTick::start(core.SYST)) else { process::exit(2) };
    println!("opt-level\t{OPT_LEVEL}");
    println!("digest\t{digest}");
    process::exit(0)
}
