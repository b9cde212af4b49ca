//! Registers of the chip: which core this is, and the start of core 1.

// Arm SSE-200 technical reference manual, by secure addresses.
const CPU_ID: usize = 0x5001_F000;
const INITIAL_VECTORS_OF_CORE_1: usize = 0x5002_1114;
const CPU_WAIT: usize = 0x5002_1118;

/// Where core 1's image begins, with its vector table: `core1/memory.x`.
const IMAGE_OF_CORE_1: u32 = 0x1010_0000;

/// Returns the number of the core that asks.
pub fn core_number() -> usize {
    // SAFETY: a register of this chip, a word that reads as the number and does nothing else.
    unsafe { (CPU_ID as *const u32).read_volatile() as usize }
}

/// Lets core 1, held since power-up, begin with its image. Has no effect on one that runs.
pub fn start_core_1() {
    // SAFETY: registers of this chip. Core 1 has memory of its own, beside what is shared and atomic, so that its
    // start changes no memory of this core.
    unsafe {
        (INITIAL_VECTORS_OF_CORE_1 as *mut u32).write_volatile(IMAGE_OF_CORE_1);
        (CPU_WAIT as *mut u32).write_volatile(0);
    }
}
