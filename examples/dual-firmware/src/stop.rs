//! What a core does that is stopped dead: nothing, until it is started anew.
//!
//! The rig stops a core by writing an undefined instruction over the first one of its SysTick handler: within a
//! millisecond the core faults, wherever it is in its program. Its HardFault handler forgets everything and waits
//! here, as a core that is held in reset would: this emulator has no reset for one core of two.
//! It touches nothing but its [`Life`](tank::two_cores::Life).

use crate::{SHARED, chip};
use core::arch::asm;
use core::sync::atomic::Ordering;
use cortex_m::peripheral::{NVIC, SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;

/// Leaves whatever the core was doing for [`stopped`], in thread mode and with interrupts off: where a fault handler
/// waits, no interrupt ends the `wfi`.
#[exception(trampoline = false)]
unsafe fn HardFault() -> ! {
    // SAFETY: nothing of the program goes on after this, so its stack and registers are free. The system handlers'
    // active bits are cleared, and the frame made here is the one that the architecture takes apart on
    // the return from an exception: eight words, the last two the place to go on at and the Thumb state.
    unsafe {
        asm!(
            "cpsid i",
            "ldr r0, =_stack_start",
            "msr msp, r0",
            "ldr r0, =0xE000ED24", // SHCSR
            "ldr r1, [r0]",
            "bic r1, r1, #0x0F80", // none of SVCall, the monitor, PendSV and SysTick is active
            "bic r1, r1, #0x001F", // nor any fault but this one
            "str r1, [r0]",
            "sub sp, sp, #32",
            "ldr r0, ={stopped}",
            "str r0, [sp, #24]",
            "mov r0, #0x01000000",
            "str r0, [sp, #28]",
            "mvn lr, #6", // to thread mode, on this stack
            "bx lr",
            stopped = sym stopped,
            options(noreturn)
        )
    }
}

/// Waits until the core is to begin anew, and does so, as from reset.
extern "C" fn stopped() -> ! {
    let core = chip::core_number();
    // SAFETY: the program that owned the clock is gone.
    let mut systick = unsafe { cortex_m::Peripherals::steal() }.SYST;
    wake_every_millisecond(&mut systick);
    if let Some(life) = SHARED.lives.get(core) {
        life.stopped.store(1, Ordering::Release);
        while life.restart.load(Ordering::Acquire) == 0 {
            cortex_m::asm::wfi();
            SCB::clear_pendst();
        }
        life.restart.store(0, Ordering::Relaxed);
        life.stopped.store(0, Ordering::Release);
    }
    begin_anew(&mut systick)
}

/// The clock's interrupt stays masked: it only ends a `wfi`.
fn wake_every_millisecond(systick: &mut SYST) {
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(chip::CORE_HZ / 1000 - 1);
    systick.clear_current();
    systick.enable_counter();
    systick.enable_interrupt();
}

fn begin_anew(systick: &mut SYST) -> ! {
    systick.disable_interrupt();
    systick.disable_counter();
    SCB::clear_pendst();
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
