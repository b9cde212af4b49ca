//! The fault campaign on the command line: `twinstep`'s campaign over a program of ours.

mod program;
#[cfg(test)]
mod tests;

pub(crate) use twinstep::sim::campaign::{Class, Outcome, Results, Row, columns, never_seen_bound};

use program::{Mill, MillV2, sensor};
use twinstep::Config;
use twinstep::sim::campaign::cli;
use twinstep::sim::{Campaign, LineModel};

/// Runs a campaign; returns whether every claim held.
pub(crate) fn run(options: &cli::Options) -> anyhow::Result<bool> {
    Ok(options.run(mill(1))?)
}

/// The campaign of the mill, whose configurations are drawn.
fn mill(seed: u64) -> Campaign<Mill> {
    let config = Config {
        period_us: 20_000,
        vote_window_us: 14_000,
        retransmit_us: 2_500,
        hello_us: 10_000,
        link_delay_us: 1_000,
        scrub_blocks: 8,
        copy_blocks: 8,
        copy_limit_ms: 4_000, // 200 cycles
        probation_cycles: 3,
        ..Config::DEFAULT
    };
    // At 921600 baud a sample's frame takes a quarter of a millisecond; the rest passes until it is seen. Slower lines
    // do as well, but at the boots the channels then wait for their UART, and no frame of an older epoch comes.
    let line = LineModel { baud: 921_600, latency_us: config.link_delay_us * 3 / 4, ..LineModel::UART_115200 };
    Campaign::<Mill>::new(config, sensor)
        .line(line)
        .vary(|rng, setup| setup.config.patience = rng.u8(0..3))
        .successor::<MillV2>()
        .seed(seed)
        .command("cargo rig campaign")
}
