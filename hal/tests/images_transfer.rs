//! An image across a channel that loses, doubles, delays and reorders, between boards that restart.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod board;

use board::device::{Action, Device, Off};
use board::flash::EFFECTS;
use board::pictures::{Picture, picture};
use fastrand::Rng;
use twinstep_hal::images::transfer::{PAYLOAD_BYTES_AT_LEAST, Progress, Receiver, Sender};
use twinstep_hal::images::{BootState, Edition, ImageHeader, Images, Refusal, Slot};

const CHUNKS_PER_CYCLE: u16 = 3;

/// What happens on the way, in thousandths: of payloads, of cycles, of the receiver's starts.
#[derive(Clone, Copy)]
struct Weather {
    loss: u32,
    doubling: u32,
    longest_delay_cycles: usize,
    sender_restarts: u32,
    power_cuts: u32,
}

const CALM: Weather = Weather { loss: 0, doubling: 0, longest_delay_cycles: 0, sender_restarts: 0, power_cuts: 0 };
const STORM: Weather =
    Weather { loss: 250, doubling: 200, longest_delay_cycles: 4, sender_restarts: 20, power_cuts: 700 };

/// Payloads on their way, each with the cycle it arrives in.
#[derive(Default)]
struct Way(Vec<(usize, Vec<u8>)>);

impl Way {
    fn send(&mut self, cycle: usize, payload: &[u8], weather: &Weather, rng: &mut Rng) {
        let copies = u32::from(rng.u32(0..1000) >= weather.loss) * (1 + u32::from(rng.u32(0..1000) < weather.doubling));
        for _ in 0..copies {
            self.0.push((cycle + rng.usize(0..=weather.longest_delay_cycles), payload.to_vec()));
        }
    }

    fn arrived(&mut self, cycle: usize, rng: &mut Rng) -> Vec<Vec<u8>> {
        let (mut now, later): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(at, _)| *at <= cycle);
        self.0 = later;
        if rng.bool() && now.len() > 1 {
            let (a, b) = (rng.usize(0..now.len()), rng.usize(0..now.len()));
            now.swap(a, b);
        }
        now.into_iter().map(|(_, payload)| payload).collect()
    }
}

#[derive(Debug, Default)]
struct Report {
    cycles: usize,
    chunks: usize,
    power_cuts: usize,
    sender_restarts: usize,
    /// Bytes that were there as the receiver came back.
    kept_bytes: u32,
}

/// Sends `new` to the board until both sides say that it has arrived.
fn transfer<const PAYLOAD: usize>(device: &mut Device<4>, new: &Picture, weather: Weather, seed: u64) -> Report {
    let mut rng = Rng::with_seed(seed);
    let mut report = Report::default();
    let (mut there, mut back) = (Way::default(), Way::default());
    let mut session = 1;
    let mut sender = Sender::<PAYLOAD>::new(new.header, session, CHUNKS_PER_CYCLE);
    loop {
        // One life of the receiving half: up to a power cut.
        device.flash.power_on();
        device.run(&[Action::Reset]).unwrap();
        if rng.u32(0..1000) < weather.power_cuts {
            device.flash.cut = Some((device.flash.operations + rng.usize(1..12), EFFECTS[rng.usize(0..EFFECTS.len())]));
        }
        let mut slots = device.slots();
        let mut receiver = Receiver::<PAYLOAD>::new(CHUNKS_PER_CYCLE, 256);
        let mut is_first = true;
        loop {
            report.cycles += 1;
            assert!(report.cycles < 20_000, "{report:?}, {:?}", sender.progress());
            if rng.u32(0..1000) < weather.sender_restarts {
                session += 1;
                report.sender_restarts += 1;
                sender = Sender::new(new.header, session, CHUNKS_PER_CYCLE);
            }
            sender.begin_cycle();
            let mut chunks = 0;
            let read = |at: u32, bytes: &mut [u8]| {
                bytes.copy_from_slice(&new.payload[at as usize..][..bytes.len()]);
                Ok::<(), ()>(())
            };
            while let Some(payload) = sender.poll(read).unwrap() {
                assert!(payload.len() <= PAYLOAD);
                chunks += 1;
                there.send(report.cycles, payload, &weather, &mut rng);
            }
            assert!(chunks <= usize::from(CHUNKS_PER_CYCLE));
            report.chunks += chunks;

            receiver.begin_cycle(&mut slots);
            for payload in there.arrived(report.cycles, &mut rng) {
                receiver.handle(&payload, &mut slots).unwrap();
            }
            if matches!(slots.header(Slot::A), Err(Refusal::Flash(_))) {
                break; // no power
            }
            if let (true, Progress::Going { bytes, .. }) = (is_first, receiver.progress()) {
                is_first = false;
                report.kept_bytes += bytes;
            }
            if let Some(payload) = receiver.poll() {
                back.send(report.cycles, payload, &weather, &mut rng);
            }
            for payload in back.arrived(report.cycles, &mut rng) {
                sender.handle(&payload).unwrap();
            }
            match sender.progress() {
                Progress::Done => {
                    assert_eq!(receiver.progress(), Progress::Done);
                    return report;
                }
                progress => assert!(!matches!(progress, Progress::Refused(_)), "{progress:?}"),
            }
        }
        report.power_cuts += 1;
    }
}

fn board() -> Device<4> {
    Device::new(100, Off::Nothing)
}

/// Asserts that version 101 is there and boots.
fn boots(mut device: Device<4>) {
    assert_eq!(device.flash.violation, None);
    device.flash.power_on();
    assert_eq!(device.run(&[Action::Reset, Action::Mark, Action::Reset, Action::Confirm]), Ok(()));
    assert_eq!(device.running_version(), 101);
}

#[test]
fn on_a_calm_channel_each_byte_is_sent_once() {
    let mut device = board();
    let report = transfer::<114>(&mut device, &picture(101), CALM, 0);
    let (length, chunk) = (picture(101).payload.len(), 100);
    // The offer, the chunks, three pieces to verify, and the answers.
    let cycles = length.div_ceil(chunk * usize::from(CHUNKS_PER_CYCLE));
    println!("{length} bytes: {report:?}");
    assert_eq!(report.chunks, 1 + length.div_ceil(chunk));
    assert!(report.cycles <= cycles + 6, "{} cycles", report.cycles);
    boots(device);
}

#[test]
fn through_loss_doubling_delay_reordering_and_restarts_it_only_costs_time() {
    let mut total = Report::default();
    for seed in 0..1_000 {
        let mut device = board();
        let report = transfer::<PAYLOAD_BYTES_AT_LEAST>(&mut device, &picture(101), STORM, seed);
        boots(device);
        total.cycles += report.cycles;
        total.chunks += report.chunks;
        total.power_cuts += report.power_cuts;
        total.sender_restarts += report.sender_restarts;
        total.kept_bytes += report.kept_bytes;
    }
    println!("1000 transfers: {total:?}");
    assert!(total.power_cuts > 500 && total.sender_restarts > 500, "{total:?}");
    assert!(total.kept_bytes > 50_000, "a transfer goes on where it stopped: {total:?}");
}

/// Passes payloads to and fro until one side has ended.
fn talk(sender: &mut Sender<100>, receiver: &mut Receiver<100>, slots: &mut impl Images, payload: &[u8]) -> Progress {
    for _ in 0..100 {
        sender.begin_cycle();
        receiver.begin_cycle(slots);
        let read = |at: u32, bytes: &mut [u8]| {
            bytes.copy_from_slice(&payload[at as usize..][..bytes.len()]);
            Ok::<(), ()>(())
        };
        while let Some(payload) = sender.poll(read).unwrap() {
            receiver.handle(payload, slots).unwrap();
        }
        if let Some(payload) = receiver.poll() {
            sender.handle(payload).unwrap();
        }
        if matches!(sender.progress(), Progress::Done | Progress::Refused(_)) {
            return sender.progress();
        }
    }
    sender.progress()
}

#[test]
fn the_sender_learns_why_an_image_is_refused() {
    let Picture { header, mut payload } = picture(101);
    let mut receiver = Receiver::<100>::new(3, 256);
    let mut device = board();
    device.run(&[Action::RaiseFloor(5)]).unwrap();
    let mut slots = device.slots();
    let mut offered = |header, session, payload: &[u8]| {
        talk(&mut Sender::<100>::new(header, session, 3), &mut receiver, &mut slots, payload)
    };
    let old = ImageHeader { program: Edition { version: 4, layout: 0 }, ..header };
    assert_eq!(offered(old, 1, &payload), Progress::Refused(Refusal::BelowFloor { version: 4, floor: 5 }));
    payload[300] ^= 1;
    assert_eq!(offered(header, 2, &payload), Progress::Refused(Refusal::Digest));
    payload[300] ^= 1;
    assert_eq!(offered(header, 2, &payload), Progress::Refused(Refusal::Digest), "the same transfer");
    assert_eq!(offered(header, 3, &payload), Progress::Done, "another one");
    assert_eq!(offered(header, 4, &payload), Progress::Done, "it is there already");
}

#[test]
fn while_a_trial_goes_on_an_offer_is_refused() {
    let Picture { header, payload } = picture(102);
    let mut device = board();
    device.run(&[Action::Stage(101), Action::Mark, Action::Reset]).unwrap();
    let mut slots = device.slots();
    let (mut sender, mut receiver) = (Sender::<100>::new(header, 1, 3), Receiver::<100>::new(3, 256));
    let busy = Progress::Refused(Refusal::Busy(BootState::OnTrial));
    assert_eq!(talk(&mut sender, &mut receiver, &mut slots, &payload), busy);
    assert_eq!(device.flash.violation, None);
}

/// Chunks that were held up come all at once: the receiver stages no more of them than it may.
#[test]
fn a_burst_does_not_take_more_flash_time_than_one_cycle_has() {
    let Picture { header, payload } = picture(101);
    let mut device = board();
    let mut slots = device.slots();
    let (mut sender, mut receiver) = (Sender::<100>::new(header, 1, 100), Receiver::<100>::new(2, 256));
    let mut burst = Vec::new();
    for _ in 0..2 {
        sender.begin_cycle();
        receiver.begin_cycle(&mut slots);
        let read = |at: u32, bytes: &mut [u8]| {
            bytes.copy_from_slice(&payload[at as usize..][..bytes.len()]);
            Ok::<(), ()>(())
        };
        while let Some(payload) = sender.poll(read).unwrap() {
            burst.push(payload.to_vec());
        }
        if burst.len() == 1 {
            receiver.handle(&burst[0], &mut slots).unwrap();
            sender.handle(receiver.poll().unwrap()).unwrap();
        }
    }
    assert!(burst.len() > 7);
    for payload in &burst {
        receiver.handle(payload, &mut slots).unwrap();
    }
    let length = header.payload_length();
    assert_eq!(receiver.progress(), Progress::Going { bytes: 2 * 86, length });
    assert_eq!(talk(&mut sender, &mut receiver, &mut slots, &payload), Progress::Done);
}

#[test]
fn what_is_no_payload_changes_nothing() {
    let mut rng = Rng::with_seed(5);
    let mut device = board();
    let operations = device.flash.operations;
    let mut slots = device.slots();
    let (mut sender, mut receiver) = (Sender::<100>::new(picture(101).header, 1, 3), Receiver::<100>::new(3, 256));
    for _ in 0..20_000 {
        let garbage: Vec<u8> = (0..rng.usize(0..100)).map(|_| rng.u8(..)).collect();
        let _ = receiver.handle(&garbage, &mut slots);
        let _ = sender.handle(&garbage);
    }
    assert_eq!((sender.progress(), receiver.progress()), (Progress::Waiting, Progress::Waiting));
    assert_eq!(device.flash.operations, operations);
}
