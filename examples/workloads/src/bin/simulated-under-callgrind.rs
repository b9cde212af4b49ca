//! Runs a simulated pair in duplex without a fault, for callgrind: what a cycle of a campaign takes by itself.

#[path = "../callgrind.rs"]
mod callgrind;

use callgrind::Callgrind;
use twinstep::sim::{LineModel, Pair, Setup, Storage};
use twinstep::{ChannelId, Config, Cycle};
use workloads::reference::{Reference, Signals};
use workloads::{Meter, OPT_LEVEL, Workload};

/// Cycles until the pair is in duplex for certain.
const BOOT_CYCLES: u32 = 50;
/// Periods that the figure is the mean of.
const PERIODS: u32 = 2_000;

/// The timing of the fault campaign, `cargo rig campaign`.
const CONFIG: Config = Config {
    period_us: 20_000,
    vote_window_us: 14_000,
    retransmit_us: 2_500,
    hello_us: 10_000,
    link_delay_us: 1_000,
    scrub_blocks: 8,
    copy_blocks: 8,
    copy_limit_ms: 4_000,
    probation_cycles: 3,
    transient_leak_ms: 60,
    ..Config::DEFAULT
};
const LINE: LineModel = LineModel { baud: 921_600, latency_us: 750, ..LineModel::UART_115200 };

fn main() -> Result<(), String> {
    let setup = Setup { seed: 1, config: CONFIG, line: LINE, drift_ppm: [100, -100], ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let sensor = |channel: ChannelId, cycle: Cycle| Signals::numbered((cycle.0 as u8).wrapping_add(channel as u8));
    let mut pair = Pair::<Reference>::new(&setup, &mut memory, sensor).map_err(|error| error.to_string())?;
    pair.run(BOOT_CYCLES);
    let before = pair.report();
    Callgrind.count(&mut || pair.run(PERIODS));
    Callgrind.count(&mut || {});
    let after = pair.report();
    let cycles = after.released - before.released;
    let is_calm = after.mode_changes == before.mode_changes && after.held == before.held;
    if cycles < PERIODS - PERIODS / 50 || after.missing != before.missing || after.wrong != 0 || !is_calm {
        return Err(format!("the pair was not in duplex throughout: {after:?}"));
    }
    Callgrind.note(Workload::SimulatedCycle, cycles);
    println!("opt-level\t{OPT_LEVEL}");
    Ok(())
}
