//! The simulated line takes its time: a cycle carries no more than its baud rate, and who sends waits for the UART.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Servo, sensor};
use twinstep::sim::{LineModel, Pair, Report, Setup, Storage, TracedEvent, bytes_on_line};
use twinstep::{Agreement, ChannelId, Config, Cycle, Mode, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const A: ChannelId = ChannelId::A;
const B: ChannelId = ChannelId::B;

/// 64 KiB of which a word is written each cycle.
struct Store;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Words([u32; 16 * 1024]);

const BLOCKS: u32 = 1024;

impl Program for Store {
    type Input = u32;
    type Output = u32;
    type State = Words;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Agreement::on(*a.max(b))
    }

    fn step(cycle: Cycle, state: &mut Tracked<Words>, input: &u32) -> u32 {
        state.try_update(|s| s.0.get(cycle.0 as usize % 16), |old| old.wrapping_add(*input));
        state.0[0]
    }
}

/// The most bytes that a channel gave to its UART in a period, and the run, of a donor that may send all its memory in
/// one cycle.
fn busiest(line: LineModel) -> (u64, Report) {
    let config = Config { copy_blocks: BLOCKS as u16, ..Config::DEFAULT };
    let setup = Setup { config, line, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Store>::new(&setup, &mut memory, |_: ChannelId, cycle: Cycle| cycle.0).unwrap();
    pair.run(20);
    pair.kill(B);
    pair.run(3);
    pair.restart(B);
    let mut most = 0;
    for _ in 0..200 {
        let before = [A, B].map(|channel| pair.sent_bytes(channel));
        pair.run(1);
        most =
            [A, B].map(|channel| pair.sent_bytes(channel) - before[channel.index()]).into_iter().fold(most, u64::max);
    }
    let report = pair.report();
    assert_eq!([A, B].map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2], "{report:?}");
    assert_eq!((report.wrong, report.missing, report.held, report.takeovers), (0, 0, 0, 1), "{report:?}");
    assert_eq!((report.joined, report.copies_failed), (1, 0), "{report:?}");
    (most, report)
}

#[test]
fn at_115200_baud_no_more_crosses_in_a_cycle_than_the_line_carries() {
    let line = LineModel::UART_115200;
    let carries = u64::from(Config::DEFAULT.period_us) * 1_000 / line.byte_ns();
    assert_eq!(carries, 1_152);
    // A block's frame: 17 bytes beside 64 of memory, at least.
    let blocks = carries / bytes_on_line(64 + 17);
    let (most, report) = busiest(line);
    println!("115200 baud: {} blocks in a cycle, {most} bytes in a period", report.blocks_in_a_cycle_max);
    // What the UART holds at first, and the last frame as it is given, may come on top.
    let longest = bytes_on_line(256);
    assert!(most <= carries + u64::from(line.fifo_bytes) + 1 + longest, "{most}");
    assert!(u64::from(report.blocks_in_a_cycle_max) <= blocks, "{} of {blocks}", report.blocks_in_a_cycle_max);
    // But the line is used.
    assert!(report.blocks_in_a_cycle_max >= 8, "{}", report.blocks_in_a_cycle_max);
}

/// The control: what holds the donor back above is the line.
#[test]
fn on_a_line_without_a_baud_rate_far_more_crosses() {
    let line = LineModel { latency_us: Config::DEFAULT.link_delay_us, ..LineModel::INSTANT };
    let (most, report) = busiest(line);
    println!("no baud rate: {} blocks in a cycle, {most} bytes in a period", report.blocks_in_a_cycle_max);
    assert!(report.blocks_in_a_cycle_max > 400, "{}", report.blocks_in_a_cycle_max);
    assert!(most > 30 * 1_152, "{most}");
}

/// A `Hello` often is on its way when a cycle is to begin.
const OFTEN: Config = Config { hello_us: 7_001, ..Config::DEFAULT };

/// How long after its start a channel that serves alone drives at most, if it often says hello.
fn latest_drive_us(fifo_bytes: u32) -> u64 {
    let line = LineModel { fifo_bytes, ..LineModel::UART_115200 };
    let setup = Setup { config: OFTEN, line, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(1)).unwrap();
    pair.run(20);
    pair.kill(B);
    pair.run(3);
    pair.run_us(pair.until_start_us(A).unwrap() + OFTEN.period_us as u64 / 2);
    pair.trace();
    let mut latest = 0;
    for _ in 0..200 {
        let start = pair.elapsed_us() + pair.until_start_us(A).unwrap();
        pair.run(1);
        let drives = pair.take_trace().into_iter().filter(|traced| matches!(traced.what, TracedEvent::Drove(_)));
        latest = drives.map(|traced| traced.at_us.saturating_sub(start)).fold(latest, u64::max);
    }
    assert_eq!((pair.report().wrong, pair.report().missing), (0, 0));
    latest
}

/// The last frame before a start keeps the channel waiting, which then begins and drives late.
#[test]
fn a_sender_goes_on_when_the_uart_has_taken_its_frames() {
    let [none, ample] = [0, 4_096].map(latest_drive_us);
    println!("driven {none} us after the start without a FIFO, {ample} us with 4096 bytes");
    assert!(none > 2_000 && ample <= 1, "{none} and {ample}");
}

/// Runs until a channel that serves alone gives its UART the next frame; returns how many were sent before.
fn give_a_frame(pair: &mut Pair<'_, Servo>) -> u64 {
    pair.run(20);
    pair.kill(B);
    pair.run(3);
    let (given, sent) = (pair.sent_bytes(A), pair.frames_sent());
    while pair.sent_bytes(A) == given {
        pair.run_us(1);
    }
    sent
}

/// Each byte that the FIFO takes is one to wait for less.
#[test]
fn a_fifo_shortens_the_wait_by_its_bytes() {
    let waits_us = [0, 8, 16].map(|fifo_bytes| {
        let line = LineModel { fifo_bytes, ..LineModel::UART_115200 };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&Setup { line, ..Setup::default() }, &mut memory, sensor(1)).unwrap();
        let sent = give_a_frame(&mut pair);
        let given_at = pair.elapsed_us();
        while pair.frames_sent() == sent {
            pair.run_us(1);
        }
        pair.elapsed_us() - given_at
    });
    println!("waits of {waits_us:?} us");
    let eight_bytes_us = 8 * LineModel::UART_115200.byte_ns() / 1_000;
    for two in waits_us.windows(2) {
        assert!((two[0] - two[1]).abs_diff(eight_bytes_us) <= 2, "{waits_us:?}");
    }
}

/// A channel that stops while the UART takes a frame has not sent it.
#[test]
fn a_frame_that_the_uart_has_not_taken_is_lost_with_its_sender() {
    for (fifo_bytes, is_lost) in [(0, true), (4_096, false)] {
        let line = LineModel { fifo_bytes, ..LineModel::UART_115200 };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&Setup { line, ..Setup::default() }, &mut memory, sensor(1)).unwrap();
        let sent = give_a_frame(&mut pair);
        pair.kill(A);
        pair.run(1);
        assert_eq!(pair.frames_sent() == sent, is_lost, "a FIFO of {fifo_bytes} bytes");
    }
}

/// Bytes of a sample's frame.
const SAMPLE_BYTES: u64 = 22;

/// Runs a pair that believes in `link_delay_us`, on a line of this latency. Returns the run, the modes, and the mean period.
fn believing(link_delay_us: u32, latency_us: u32) -> (Report, [Option<Mode>; 2], u64) {
    const CYCLES: u32 = 200;
    let line = LineModel { latency_us, ..LineModel::UART_115200 };
    let config = Config { link_delay_us, ..Config::DEFAULT };
    let setup = Setup { config, line, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(1)).unwrap();
    pair.run(20);
    let before = pair.latest();
    pair.run(CYCLES);
    let cycles = pair.latest().since(before).max(1).unsigned_abs();
    let mean_us = u64::from(CYCLES * config.period_us / cycles);
    (pair.report(), [A, B].map(|channel| pair.mode(channel)), mean_us)
}

/// The line itself is apart from what the channels believe of it. A wrong belief costs no cycle, whether the line is slower or
/// faster, as long as a sample and a vote cross within the vote window. It may cost some of the rate.
#[test]
fn a_line_that_is_slower_or_faster_than_the_channels_believe_costs_no_cycle() {
    let period_us = u64::from(Config::DEFAULT.period_us);
    for link_delay_us in [500, 3_000, 9_000] {
        for latency_us in [0, 900, 3_000, 6_000, 12_000, 20_000, 25_000] {
            let line = LineModel { latency_us, ..LineModel::UART_115200 };
            let real_us = line.transfer_us(SAMPLE_BYTES);
            assert!(2 * real_us < u64::from(Config::DEFAULT.vote_window_us));
            let (report, modes, mean_us) = believing(link_delay_us, latency_us);
            println!("believed {link_delay_us} us, real {real_us} us: a period of {mean_us} us");
            assert_eq!(modes, [Some(Mode::Duplex); 2], "{report:?}");
            let Report { wrong, missing, held, takeovers, diverged, incongruent, owners_max, .. } = report;
            assert_eq!((wrong, missing, held, takeovers, diverged, incongruent, owners_max), (0, 0, 0, 0, 0, 0, 1));
            // Each start follows half of what the belief is wrong by, at most.
            let is_off_by_us = real_us.abs_diff(u64::from(link_delay_us));
            assert!(mean_us.abs_diff(period_us) <= is_off_by_us / 2 + period_us / 100, "{mean_us} us");
        }
    }
}

/// Then the pair cannot vote: one channel serves, or none does.
#[test]
fn on_a_line_too_slow_for_the_vote_window_nothing_is_wrong_or_missing() {
    for latency_us in [30_000, 40_000, 60_000] {
        let (report, modes, _) = believing(Config::DEFAULT.link_delay_us, latency_us);
        println!("{latency_us} us of latency: {modes:?}, {} cycles released", report.released);
        let Report { wrong, missing, diverged, incongruent, owners_max, .. } = report;
        assert_eq!((wrong, missing, diverged, incongruent), (0, 0, 0, 0), "{report:?}");
        assert!(owners_max <= 1, "{report:?}");
    }
}
