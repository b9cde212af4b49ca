//! The loop: boot as the channel that the plant side names, then cycle after cycle, each one reported.

use crate::field::FieldBus;
use crate::upgrade::Upgrading;
use core::sync::atomic::{AtomicBool, Ordering};
use embedded_io::{Read, ReadReady, Write};
use tank::field_bus::{ToBoard, ToPlant};
use tank::{Drive, Plant, PlantV2, Reading, Tank};
use twinstep::journal::{Counters, JOURNAL_ENTRIES};
use twinstep::memory::Cells;
use twinstep::reintegrate::CopyProgress;
use twinstep::{
    Arbiter, ChannelId, Config, ConfigError, Epoch, Instant, Memory, Outcome, PairId, Program, Succession, Voted,
    blocks,
};
use twinstep_hal::{Clock, Link, Lockstep};

/// The longest frame of this program fits with room to spare.
pub const FRAME_BYTES: usize = 96;

/// The memory of one channel.
pub type TankMemory = Memory<Plant, { blocks::<Plant>() }>;
/// The same of version 2.
pub type TankV2Memory = Memory<PlantV2, { blocks::<PlantV2>() }>;

/// Says that the board is ready until it is told who it is.
pub fn boot<U: Read + ReadReady + Write>(
    bus: &FieldBus<U>,
    clock: &mut impl Clock,
    timing: Config,
) -> (ChannelId, Config) {
    const ASK_AGAIN_US: u32 = 50_000;
    loop {
        bus.send(&ToPlant::Ready);
        let again = clock.now().plus_us(ASK_AGAIN_US);
        while clock.now() < again {
            if let Some(ToBoard::Boot { side, nonce, pair, patience }) = bus.boot() {
                return (side.into(), Config { nonce, pair: PairId(pair), patience, ..timing });
            }
            clock.wait_until(again);
        }
    }
}

/// Serves as channel `side` for good, in version 1.
pub fn serve<U: Read + ReadReady + Write>(
    identity: (ChannelId, Config),
    memory: &'static mut TankMemory,
    bus: &FieldBus<U>,
    clock: impl Clock,
    link: impl Link,
    arbiter: impl Arbiter,
) -> ! {
    serve_version::<_, Tank, _>(identity, memory, None, bus, clock, link, arbiter)
}

/// Serves as channel `side` for good, in any version; `succession` is what it says of the one before.
pub fn serve_version<U, P, M>(
    (side, config): (ChannelId, Config),
    memory: M,
    succession: Option<Succession<P>>,
    bus: &FieldBus<U>,
    mut clock: impl Clock,
    link: impl Link,
    arbiter: impl Arbiter,
) -> !
where
    U: Read + ReadReady + Write,
    P: Program<Input = Reading, Output = Drive>,
    P::State: 'static,
    M: TryInto<Cells<'static, P::State>>,
    ConfigError: From<M::Error>,
{
    let pair = Lockstep::<P, _, _, FRAME_BYTES, _>::with_upgrades(side, memory, link, arbiter, config);
    let Ok(mut pair) = pair else { give_up(bus, &mut clock, 2) };
    if let Some(succession) = succession {
        pair.succeed(succession);
    }
    if let Some(image) = bus.image() {
        Upgrading::take_image(&mut pair, image);
    }

    let mut upgrading = Upgrading::default();
    let mut reading = Reading::default();
    let mut reported = None;
    let mut repairs = 0;
    loop {
        let mut sampled = reading;
        let Ok(verdict) = pair.cycle(&mut clock, || {
            sampled = bus.reading();
            sampled
        }) else {
            give_up(bus, &mut clock, 3);
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
            actuate(bus, voted, epoch, outcome);
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
        upgrading.obey(&mut pair, bus, &mut clock);
        let lost = short(pair.node().lost_events());
        for _ in 0..JOURNAL_ENTRIES {
            let Some(entry) = pair.read_event() else { break };
            bus.send(&ToPlant::Happened { lost, entry });
        }
        upgrading.report(&pair, bus);
        if let Some(side) = bus.readmitted() {
            pair.readmit(side.into());
        }
    }
}

/// An opened output is on its way to the actuator: a mark for the rig. A fault of the processor that hits in this time comes
/// after the check of the seal, which cannot cover it.
#[used]
static IS_DRIVING: AtomicBool = AtomicBool::new(false);

/// Opens an output and drives it. What does not open is not driven: the last output stays.
///
/// A function of its own, as is the next one: the rig tells by them where a fault hit.
#[inline(never)]
fn actuate<U: Read + ReadReady + Write>(bus: &FieldBus<U>, voted: Voted<'_, Drive>, epoch: Epoch, outcome: Outcome) {
    let cycle = voted.cycle().0;
    if let Some(output) = opened(voted) {
        IS_DRIVING.store(true, Ordering::Relaxed);
        bus.send(&ToPlant::Drive { cycle, epoch, outcome: outcome.into(), output });
        IS_DRIVING.store(false, Ordering::Relaxed);
    }
}

/// Checks the seal of an output.
#[inline(never)]
fn opened(voted: Voted<'_, Drive>) -> Option<Drive> {
    voted.open().ok()
}

/// Reports why the board stops, and stops.
fn give_up<U: Read + ReadReady + Write>(bus: &FieldBus<U>, clock: &mut impl Clock, code: u8) -> ! {
    bus.send(&ToPlant::Failed { code });
    loop {
        clock.wait_until(Instant::from_micros(u64::MAX));
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

pub(crate) fn short(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
