//! What a core does that is stopped in the middle of its program: nothing, until it goes on or begins anew.
//!
//! The rig stops a core by writing an undefined instruction over one of its program, before it gives the core a turn. The
//! core takes a UsageFault there, says where it stands, and sleeps in the handler. To let it go on the rig puts the
//! instruction back; to let it begin anew it says so: this emulator has no reset for one core of two.

use crate::chip;
use crate::uart::Uart;
use board::virtual_time::ticks_so_far;
use core::arch::{asm, global_asm};
use cortex_m::peripheral::scb::{Exception, SystemHandler};
use cortex_m::peripheral::{NVIC, SCB};
use tether::{GO_ON, RESET, Tag};

/// A fault handler in which interrupts still end a `wfi`.
const BELOW_INTERRUPTS: u8 = 0x80;
/// Where in an exception's frame the address is to which it returns.
const RETURN_ADDRESS: usize = 6;

/// Lets an undefined instruction be a UsageFault, and not a HardFault, in which nothing ends a `wfi`.
pub fn may_stop(scb: &mut SCB) {
    // SAFETY: no critical section relies on the priority of this handler.
    unsafe { scb.set_priority(SystemHandler::UsageFault, BELOW_INTERRUPTS) };
    scb.enable(Exception::UsageFault);
}

// The handler's argument is the frame that the exception has put on the stack.
global_asm!(
    ".thumb_func",
    ".global UsageFault",
    "UsageFault:",
    "mov r0, sp",
    "b {stopped}",
    stopped = sym stopped,
);

/// Says where the program stopped, and waits for what is to become of it.
extern "C" fn stopped(frame: &[u32; 8]) {
    let uart = Uart::of_this_core();
    let at = frame[RETURN_ADDRESS];
    // SAFETY: the program that has the counter stands still.
    let mut systick = unsafe { cortex_m::Peripherals::steal() }.SYST;
    systick.disable_counter();
    let ticks = ticks_so_far();
    for byte in [Tag::Stopped as u8].into_iter().chain(ticks.to_le_bytes()).chain(at.to_le_bytes()) {
        uart.transmit(byte);
    }
    loop {
        match u16::from_le_bytes([uart.receive(), uart.receive()]) {
            GO_ON => return systick.enable_counter(),
            RESET => leave_for_reset(),
            _ => {}
        }
    }
}

/// Goes on in [`begin_anew`], in thread mode and with interrupts off.
fn leave_for_reset() -> ! {
    // SAFETY: nothing of the program goes on after this, so its stack and registers are free. The frame made here is the
    // one that the architecture takes apart on the return from an exception: eight words, the last two the place to go
    // on at and the Thumb state. The program has no other handler that could be active.
    unsafe {
        asm!(
            "cpsid i",
            "movw r1, :lower16:_stack_start",
            "movt r1, :upper16:_stack_start",
            "sub r1, r1, #32",
            "msr msp, r1",
            "movw r2, :lower16:{begin_anew}",
            "movt r2, :upper16:{begin_anew}",
            "str r2, [r1, #24]",
            "mov r2, #0x01000000",
            "str r2, [r1, #28]",
            "mvn lr, #6", // to thread mode, on this stack
            "bx lr",
            begin_anew = sym begin_anew,
            options(noreturn)
        )
    }
}

/// Boots this core's image again.
pub extern "C" fn begin_anew() -> ! {
    // SAFETY: as from reset: no interrupt is enabled or pending, and the vector table is this image's.
    unsafe {
        let nvic = &*NVIC::PTR;
        for (enabled, pending) in nvic.icer.iter().zip(&nvic.icpr) {
            enabled.write(u32::MAX);
            pending.write(u32::MAX);
        }
        cortex_m::interrupt::enable();
        cortex_m::asm::bootload((*SCB::PTR).vtor.read() as *const u32)
    }
}

impl Uart {
    fn of_this_core() -> Self {
        Self::of_core(chip::core_number())
    }
}
