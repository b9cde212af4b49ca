//! The heated tank on one board. Both boards run this image; which channel a board is, it
//! learns from the plant side at boot.
//!
//! UART0 is the cross link to the other board, UART1 the field bus to sensors, actuators
//! and the output relay. Logs are defmt over semihosting.
#![no_std]
#![no_main]

mod clock;
mod field;
mod uart;

use clock::SysTickClock;
use cortex_m_rt::entry;
#[cfg(feature = "log")]
use defmt_semihosting as _;
use field::{FieldBus, Relay};
use tank::field_bus::{ToBoard, ToPlant};
use tank::{Plant, Reading, Tank};
use twinstep::journal::{Counters, JOURNAL_ENTRIES};
use twinstep::reintegrate::CopyProgress;
use twinstep::{ChannelId, Config, Memory, Outcome, PairId, blocks};
use twinstep_hal::{Clock, Lockstep, SerialLink};
use uart::{CROSS_LINK, FIELD_BUS};

/// The longest frame of this program fits with room to spare.
const FRAME_BYTES: usize = 96;

/// Timing for a board whose time is that of a busy host, which may stop it for tens of
/// milliseconds; on a real UART one millisecond would do.
const TIMING: Config = Config {
    period_us: 120_000,
    vote_window_us: 85_000,
    retransmit_us: 12_000,
    hello_us: 40_000,
    link_delay_us: 2_000,
    copy_blocks: 8,
    ..Config::DEFAULT
};

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<Plant, { blocks::<Plant>() }> = Memory::new();

    let bus = FieldBus::new(FIELD_BUS.enabled());
    let Some(core) = cortex_m::Peripherals::take() else { give_up(&bus, 1) };
    let mut clock = SysTickClock::start(core.SYST);
    let (side, config) = boot(&bus, &mut clock);

    let link = SerialLink::<_, FRAME_BYTES>::new(CROSS_LINK.enabled());
    let pair = Lockstep::<Tank, _, _, FRAME_BYTES>::new(side, MEMORY, link, Relay(&bus), config);
    let Ok(mut pair) = pair else { give_up(&bus, 2) };

    let mut reading = Reading::default();
    let mut reported = None;
    let mut repairs = 0;
    loop {
        let mut sampled = reading;
        let Ok(verdict) = pair.cycle(&mut clock, || {
            sampled = bus.reading();
            sampled
        }) else {
            give_up(&bus, 3);
        };
        #[cfg(feature = "one-panic")]
        assert!(sampled.tank_centi_c != 12_345, "a control for the check that there is no panic");
        // A held cycle keeps its first sample; out of service none is used.
        let cycle = verdict.cycle().0;
        if verdict.outcome() != Outcome::Waiting && reported.replace(cycle) != Some(cycle) {
            reading = sampled;
            bus.send(&ToPlant::Sampled { cycle, reading });
        }
        let (outcome, mode, epoch) = (verdict.outcome(), verdict.mode(), verdict.epoch());
        let faults = verdict.fault().unwrap_or_default().bits();
        for voted in verdict.release() {
            let cycle = voted.cycle().0;
            // What does not open is not driven: the relay holds the last output.
            if let Ok(output) = voted.open() {
                bus.send(&ToPlant::Drive { cycle, epoch, outcome: outcome.into(), output });
            }
        }
        let node = pair.node();
        let input = node.agreed_input().copied();
        bus.send(&ToPlant::Settled { cycle, outcome: outcome.into(), mode: mode.into(), epoch, input, faults });
        if let Some(progress) = node.copy_progress() {
            bus.send(&copying(cycle, &progress));
        }
        if core::mem::replace(&mut repairs, node.counters().repairs()) != repairs {
            bus.send(&repaired(cycle, node.counters()));
        }
        let lost = short(node.lost_events());
        for _ in 0..JOURNAL_ENTRIES {
            let Some(entry) = pair.read_event() else { break };
            bus.send(&ToPlant::Happened { lost, entry });
        }
        if let Some(side) = bus.readmitted() {
            pair.readmit(side.into());
        }
    }
}

fn copying(cycle: u32, progress: &CopyProgress) -> ToPlant {
    ToPlant::Copying {
        cycle,
        done_blocks: short(progress.done_blocks),
        total_blocks: short(progress.total_blocks),
        cycles_left: progress.cycles_left.map(short),
    }
}

fn repaired(cycle: u32, counters: &Counters) -> ToPlant {
    ToPlant::Repaired {
        cycle,
        working: short(counters.working_repairs),
        checkpoint: short(counters.checkpoint_repairs),
        digests: short(counters.digest_repairs),
        from_peer: short(counters.peer_repairs),
    }
}

fn short(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Says that the board is ready until it is told who it is.
fn boot(bus: &FieldBus, clock: &mut SysTickClock) -> (ChannelId, Config) {
    const ASK_AGAIN_US: u32 = 50_000;
    loop {
        bus.send(&ToPlant::Ready);
        let again = clock.now().plus_us(ASK_AGAIN_US);
        while clock.now() < again {
            if let Some(ToBoard::Boot { side, nonce, pair, patience }) = bus.boot() {
                return (side.into(), Config { nonce, pair: PairId(pair), patience, ..TIMING });
            }
            clock.wait_until(again);
        }
    }
}

/// Reports why the board stops, and stops.
fn give_up(bus: &FieldBus, code: u8) -> ! {
    bus.send(&ToPlant::Failed { code });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Not reachable without the feature `log`, which `cargo rig panic-free` checks; the language asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::udf();
    }
}
