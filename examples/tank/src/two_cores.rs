//! What two cores on one chip share.

use core::sync::atomic::AtomicU32;

/// Shared memory of both cores, all zero at power-up. No core's start-up code may touch it.
#[repr(C)]
pub struct Shared {
    /// Whether each core runs.
    pub lives: [Life; 2],
    /// Not 0 once core 0 has started core 1.
    pub core_1_started: AtomicU32,
}

/// What is known of one core beside its work.
#[repr(C, align(64))]
pub struct Life {
    /// Not 0 while the core stands still.
    pub stopped: AtomicU32,
    /// Not 0: begin anew. The core takes it back as it does.
    pub restart: AtomicU32,
}

impl Shared {
    /// Makes the memory as it is at power-up.
    pub const fn new() -> Self {
        Self {
            lives: [const { Life { stopped: AtomicU32::new(0), restart: AtomicU32::new(0) } }; 2],
            core_1_started: AtomicU32::new(0),
        }
    }
}
