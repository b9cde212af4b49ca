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
use cortex_m_rt::{ExceptionFrame, exception};

/// Finds out where the core was in its program, and leaves that for good.
#[exception]
unsafe fn HardFault(fault: &ExceptionFrame) -> ! {
    let is_of_the_clock = fault.pc() == SysTick as *const () as u32 & !1; // without the mark of Thumb code
    // SAFETY: the fault was at the handler's first instruction, so right above its frame is that of the interrupt.
    let interrupted = if is_of_the_clock { unsafe { &*core::ptr::from_ref(fault).add(1) } } else { fault };
    leave_for_stopped(interrupted.pc())
}

unsafe extern "C" {
    fn SysTick();
}

/// Goes on in [`stopped`], in thread mode and with interrupts off: where a fault handler waits, none ends the `wfi`.
fn leave_for_stopped(at: u32) -> ! {
    // SAFETY: nothing of the program goes on after this, so its stack and registers are free. The system handlers'
    // active bits are cleared, and the frame made here is the one that the architecture takes apart on
    // the return from an exception: eight words, the first an argument, the last two the place to go on
    // at and the Thumb state.
    unsafe {
        asm!(
            "cpsid i",
            "movw r1, :lower16:_stack_start",
            "movt r1, :upper16:_stack_start",
            "sub r1, r1, #32",
            "msr msp, r1",
            "movw r2, #0xED24", // SHCSR
            "movt r2, #0xE000",
            "ldr r3, [r2]",
            "bic r3, r3, #0x0F80", // none of SVCall, the monitor, PendSV and SysTick is active
            "bic r3, r3, #0x001F", // nor any fault but this one
            "str r3, [r2]",
            "str r0, [r1]",
            "movw r2, :lower16:{stopped}",
            "movt r2, :upper16:{stopped}",
            "str r2, [r1, #24]",
            "mov r2, #0x01000000",
            "str r2, [r1, #28]",
            "mvn lr, #6", // to thread mode, on this stack
            "bx lr",
            stopped = sym stopped,
            in("r0") at,
            options(noreturn)
        )
    }
}

/// Waits until the core is to begin anew, and does so, as from reset.
extern "C" fn stopped(at: u32) -> ! {
    // SAFETY: the program that owned the clock is gone.
    let mut systick = unsafe { cortex_m::Peripherals::steal() }.SYST;
    wake_every_millisecond(&mut systick);
    if let Some(life) = SHARED.lives.get(chip::core_number()) {
        life.stopped_at.store(at, Ordering::Release);
        while life.restart.load(Ordering::Acquire) == 0 {
            cortex_m::asm::wfi();
            SCB::clear_pendst();
        }
        life.restart.store(0, Ordering::Relaxed);
        life.stopped_at.store(0, Ordering::Release);
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
