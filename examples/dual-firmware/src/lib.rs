#![no_std]
//! The heated tank in duplex on the two cores of one chip, QEMU's `mps2-an521`: an image for each core.
//!
//! ```text
//! chip      registers of the chip: which core this is, and the start of core 1
//! uart      the UART of each core, its end of the tether
//! stop      what a core that is stopped does, until it goes on or begins anew
//! tank      the loop, with the mailbox for a cross link and one shared word for an arbiter
//! ```
//!
//! No critical section is needed, and none would do: masking interrupts keeps out one core of two.

pub mod chip;
pub mod stop;
pub mod tank;
pub mod uart;

use ::tank::two_cores::Shared;

#[allow(improper_ctypes)] // of one compiler on both sides
unsafe extern "C" {
    /// What both cores see: at the same address in both images, by `shared.x`, and in the `.bss` of neither.
    ///
    /// Memory of this chip that is zero at power-up, and holds nothing else.
    #[link_name = "SHARED_BY_BOTH_CORES"]
    pub safe static SHARED: Shared;
}
