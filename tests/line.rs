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
