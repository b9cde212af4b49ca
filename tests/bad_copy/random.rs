//! Forged frames with random contents, at random moments of a reintegration.

use crate::bench::{A, B, CHANNELS, HOME, ServoBench, memory};
use crate::frames::{Copies, forge_under, payload_of};
use crate::support::{Servo, sensor};
use fastrand::Rng;
use std::collections::BTreeMap;
use twinstep::ids::Phase;
use twinstep::wire::{
    AckPayload, BlockPayload, ComparePayload, Cut, Keys, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES, Reject, SamePayload,
    WantPayload,
};
use twinstep::{Epoch, Mode};

const KINDS: [Kind; 6] = [Kind::Block, Kind::Ack, Kind::Want, Kind::Compare, Kind::Same, Kind::Cut];

/// Returns a payload that decodes, with numbers that are near the right ones or anywhere.
fn payload(rng: &mut Rng, bench: &ServoBench<'_>, to: usize, kind: Kind) -> Vec<u8> {
    let joiner = if kind == Kind::Ack { 1 - to } else { to };
    let serial = bench.next_serial(joiner).wrapping_add_signed(rng.i16(-40..3));
    let serial = if rng.u8(..) < 16 { rng.u16(..) } else { serial };
    let index = if rng.u8(..) < 32 { rng.u16(..) } else { rng.u16(0..16) };
    let (exponent, digest) = (if rng.bool() { rng.u8(0..6) } else { rng.u8(..) }, rng.u32(..));
    match kind {
        Kind::Block => {
            let length = if rng.u8(..) < 64 { rng.usize(0..200) } else { 64 };
            let noise: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            payload_of(&BlockPayload { serial, index, bytes: &noise })
        }
        Kind::Ack => payload_of(&AckPayload { challenge: rng.u32(0..30), highest: serial, taken: digest }),
        Kind::Want => payload_of(&WantPayload { index }),
        Kind::Compare => payload_of(&ComparePayload { first: index, exponent, digest }),
        Kind::Same => payload_of(&SamePayload { first: index, exponent, is_same: rng.bool() }),
        Kind::Cut => payload_of(&Cut {
            nonce: bench.setup.nonces[1 - to],
            joiner_nonce: bench.setup.nonces[to],
            joiner_challenge: rng.u32(0..12),
            epoch: Epoch::new(rng.u32(0..12), CHANNELS[rng.usize(0..2)]),
            base: bench.nodes[1 - to].cycle().0,
            region_digest: digest,
            starts_in_us: rng.u32(..),
        }),
        _ => panic!("{kind:?} carries no memory"),
    }
}

/// Returns a frame that passes the CRC, mostly.
fn forgery(rng: &mut Rng, bench: &ServoBench<'_>, to: usize) -> Vec<u8> {
    let kind = KINDS[rng.usize(0..KINDS.len())];
    let payload = if rng.u8(..) < 64 {
        (0..rng.usize(0..=MAX_FRAME_BYTES - OVERHEAD_BYTES)).map(|_| rng.u8(..)).collect()
    } else {
        payload(rng, bench, to, kind)
    };
    let mut keys = bench.keys();
    keys.nonces[rng.usize(0..2)] ^= u32::from(rng.u8(..) < 8);
    let expected = bench.expected_epoch(to);
    let epoch = match rng.u8(0..10) {
        0 => Epoch::new(rng.u32(0..=expected.counter()), CHANNELS[rng.usize(0..2)]),
        1 => Epoch::new(expected.counter(), expected.owner().other()),
        _ => expected,
    };
    let sender = CHANNELS[if rng.u8(..) < 8 { to } else { 1 - to }];
    let settled = bench.settled_phase(rng.usize(0..2));
    let phase = if rng.u8(..) < 32 { Phase(rng.u32(..)) } else { settled };
    forge_under(&Keys { epoch, ..keys }, kind, sender, phase, &payload)
}

/// What came of all the forgeries.
#[derive(Default)]
struct Tally {
    taken: BTreeMap<String, u32>,
    refused: BTreeMap<String, u32>,
    copies_failed: u32,
}

/// Hands over a forgery. Whoever serves keeps its mode and its memory; whoever joins never serves
/// alone.
fn inject(rng: &mut Rng, bench: &mut ServoBench<'_>, to: usize, tally: &mut Tally) {
    let frame = forgery(rng, bench, to);
    let (mode, before) = (bench.mode(to), Copies::of(&mut bench.nodes[to]));
    let rejected = bench.nodes[to].counters().rejected_total();
    let handled = bench.nodes[to].handle_frame(bench.now(), &frame);
    let more = bench.nodes[to].counters().rejected_total() - rejected;
    assert_eq!(more, u32::from(handled.is_err()));
    let after = bench.mode(to);
    let is_legal = match mode {
        Mode::Joining => matches!(after, Mode::Joining | Mode::Starting),
        Mode::Starting | Mode::Standby => matches!(after, Mode::Joining | Mode::Starting) || after == mode,
        Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Safe => after == mode,
    };
    assert!(is_legal, "{mode:?} to {after:?}: {handled:?}, {frame:02x?}");
    let is_written = Copies::of(&mut bench.nodes[to]) != before;
    // A block, or the `Cut` that finds a forged one.
    let may_write = !mode.serves() && matches!(handled, Ok(()) | Err(Reject::Digest));
    assert!(!is_written || may_write, "{mode:?}: {handled:?}, {frame:02x?}");
    match handled {
        Ok(()) => *tally.taken.entry(format!("{mode:?}")).or_default() += 1,
        Err(cause) => *tally.refused.entry(cause.to_string()).or_default() += 1,
    }
}

fn reintegrate(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed);
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(seed));
    bench.boot();
    bench.run_cycles(rng.u32(1..120));
    let joiner = if rng.bool() {
        let joiner = rng.usize(0..2);
        bench.reboot(joiner);
        joiner
    } else {
        bench.is_cut = true;
        bench.run_until("one alone", 500, |bench| bench.modes() == [Mode::Simplex, Mode::Standby]);
        for _ in 0..rng.u32(1..4_000) {
            bench.tick();
        }
        bench.is_cut = false;
        B
    };
    // From rare ones, with which a copy may well succeed, to a flood.
    let one_in = [400, 100, 20, 3][seed as usize % 4];
    for _ in 0..rng.u32(100..3_000) {
        let before = bench.mode(joiner);
        bench.tick();
        let after = bench.mode(joiner);
        assert!(before != Mode::Joining || !matches!(after, Mode::Simplex | Mode::Donor), "{before:?} to {after:?}");
        for to in [A, B] {
            if rng.u32(0..one_in) == 0 {
                inject(&mut rng, &mut bench, to, tally);
            }
        }
    }
    bench.boot();
    bench.run_cycles(3);
    for node in &bench.nodes {
        tally.copies_failed += node.counters().copies_failed;
        assert_eq!(node.counters().diverged, 0);
    }
}

#[test]
fn forged_frames_lead_to_nothing_wrong_and_no_dead_end() {
    let mut tally = Tally::default();
    for seed in 0..400 {
        reintegrate(seed, &mut tally);
    }
    let Tally { taken, refused, copies_failed } = tally;
    println!("taken {taken:?}; refused {refused:?}; {copies_failed} copies failed");
    assert!(copies_failed > 30, "{copies_failed}");
    for mode in ["Joining", "Donor", "Duplex"] {
        assert!(taken.get(mode).is_some_and(|count| *count > 20), "{mode}: {taken:?}");
    }
    use Reject::{Block, Crc, Epoch, Mode, Payload, Phase, Sender, Stale};
    for cause in [Block, Crc, Epoch, Mode, Payload, Phase, Sender, Stale] {
        assert!(refused.get(&cause.to_string()).is_some_and(|count| *count > 20), "{cause}: {refused:?}");
    }
}
