//! Bad input of every kind: what is not the peer's word of now is refused by its cause, and changes nothing.
//!
//! Two nodes driven by hand, their frames carried by the test. Afterwards they must still
//! complete cycles, judged by the program run a third time. Frames that carry memory have a
//! test of their own, `bad_copy`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/frames.rs"]
mod frames;
mod support;

use bench::{A, B, Bench, CHANNELS, HOME, ServoBench, Setup, memory};
use frames::{
    Captured, Reaction, Snapshot, bytes_of, cause_of, damaged, forge_under, is_known, payload_of, sample_payload,
    with_rest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use support::{Sample, Servo, sensor};
use twinstep::ids::{Phase, Stage};
use twinstep::program::program_hash;
use twinstep::sim::Storage;
use twinstep::wire::{
    self, BlockPayload, BufferTooSmall, Cut, Features, Header, Hello, Keys, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES,
    OrderPayload, Payload, Reject, UpgradePayload, VERSION, WantPayload,
};
use twinstep::{
    Agreement, ChannelId, Config, ConfigError, Cycle, Epoch, Faults, Instant, Mechanism, Message, Mode, Node, PairId,
    Program, Tracked, Upgrades, frame,
};

/// Returns how a settled channel in duplex must take a frame of its own past.
fn reaction_to_the_past(bench: &ServoBench<'_>, at: usize, frame: &Captured) -> Reaction {
    let this_cycle = Phase::new(bench.nodes[at].cycle(), Stage::Sample);
    match (frame.header.kind, frame.header.phase.since(this_cycle)) {
        (Kind::Hello, _) if frame.is_first_word => Reaction::Ineffective,
        (Kind::Hello, _) => Reaction::Refused(Reject::Stale),
        (Kind::Cut, _) => Reaction::Refused(Reject::Mode),
        // This cycle's frames, and those a peer one cycle behind repeats as it waits for a vote.
        (Kind::Sample, 0 | -4) | (Kind::Vote, 1 | -3) => Reaction::Repeated,
        (Kind::Sample | Kind::Vote, _) => Reaction::Refused(Reject::Phase),
        (kind, _) => panic!("no {kind:?} is sent in duplex"),
    }
}

/// Returns what crosses the link of a pair from boot through two cycles, by receiver.
fn frames_of(setup: Setup) -> [Vec<Captured>; 2] {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, setup, sensor(7));
    bench.boot();
    bench.run_cycles(2);
    [bench.captured(A), bench.captured(B)]
}

#[test]
fn truncated_and_flipped_frames_are_refused_at_every_moment() {
    let mut twin_memory = memory::<Servo>();
    let mut twin = ServoBench::new(&mut twin_memory, HOME, sensor(1));
    twin.boot();
    twin.run_cycles(2);
    let specimens = twin.specimens();
    let kinds = specimens.each_ref().map(|frames| frames.iter().map(|frame| frame.header.kind).collect::<Vec<_>>());
    assert_eq!(kinds[A], [Kind::Hello, Kind::Sample, Kind::Vote]);
    assert_eq!(kinds[B], [Kind::Hello, Kind::Cut, Kind::Sample, Kind::Vote], "A leads");

    // From the first moment: waiting, cutting over, sampled, voted, settled.
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(1));
    let mut tried = BTreeSet::new();
    for tick in 0..4_000_u32 {
        let something_is_up = bench.towards.iter().any(|frames| !frames.is_empty());
        if tick == 0 || something_is_up {
            for at in [A, B] {
                tried.insert(format!("{:?} {}", bench.nodes[at].mode(), bench.nodes[at].settled_cycle().is_some()));
                for frame in specimens[at].iter().flat_map(|frame| damaged(&frame.bytes)) {
                    bench.refuse(at, &frame, cause_of(&frame));
                }
            }
        }
        bench.tick();
        if bench.is_quiet() && bench.nodes[A].cycle() == Cycle(3) {
            break;
        }
    }
    assert!(["Starting true", "Duplex false", "Duplex true"].iter().all(|moment| tried.contains(*moment)), "{tried:?}");
    bench.run_cycles(3);
}

#[test]
fn frames_of_wrong_length_version_or_kind_are_refused() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(2));
    bench.boot();
    bench.run_cycles(2);
    for (at, specimens) in bench.specimens().iter().enumerate() {
        for frame in specimens {
            for length in [MAX_FRAME_BYTES + 1, MAX_FRAME_BYTES + 2, 1_000, 70_000] {
                let mut bytes = frame.bytes.clone();
                bytes.resize(length, 0);
                bench.refuse(at, &bytes, Reject::TooLong);
            }
            let mut longest = frame.bytes.clone();
            longest.resize(MAX_FRAME_BYTES, 0);
            bench.refuse(at, &longest, Reject::Crc);

            for first in 0..=u8::MAX {
                let cause = match first {
                    0x80.. => Reject::Version,
                    _ if is_known(first >> 1) => continue,
                    _ => Reject::Kind,
                };
                let mut bytes = frame.bytes.clone();
                bytes[0] = first;
                bench.refuse(at, &bytes, cause);
            }
        }
    }
    bench.run_cycles(3);
}

#[test]
fn own_frames_that_come_back_are_refused() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(3));
    let reflect = |bench: &mut ServoBench<'_>| {
        for at in [A, B] {
            for frame in bench.sent[1 - at].clone() {
                bench.refuse(at, &frame, Reject::Sender);
            }
        }
    };
    bench.tick();
    reflect(&mut bench);
    bench.boot();
    bench.run_cycles(2);
    reflect(&mut bench);
    // In mid-cycle the newest own frames are those that nobody has had yet.
    bench.cut_in_mid_cycle();
    reflect(&mut bench);
    bench.is_cut = false;
    bench.run_cycles(3);
}

#[test]
fn frames_of_another_pair_are_refused() {
    let foreign = frames_of(Setup { pair: PairId(HOME.pair.0 ^ 1), ..HOME });
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(4));
    let offer = |bench: &mut ServoBench<'_>| {
        for (at, frames) in foreign.iter().enumerate() {
            for frame in frames {
                bench.refuse(at, &frame.bytes, Reject::Crc);
            }
        }
    };
    offer(&mut bench);
    bench.boot();
    offer(&mut bench);
    bench.run_cycles(2);
    offer(&mut bench);
    bench.run_cycles(3);
}

#[test]
fn frames_of_another_boot_are_refused() {
    let [nonce_a, nonce_b] = HOME.nonces;
    let of_boot = |nonces: [u32; 2]| frames_of(Setup { nonces, ..HOME });
    let offer = |bench: &mut ServoBench<'_>, frames: &[Vec<Captured>; 2], cut: Reject| {
        for (at, frames) in frames.iter().enumerate() {
            for frame in frames {
                let reaction = match frame.header.kind {
                    Kind::Hello if frame.is_first_word => Reaction::Ineffective,
                    Kind::Hello => Reaction::Refused(Reject::Stale),
                    Kind::Cut => Reaction::Refused(cut),
                    _ => Reaction::Refused(Reject::Crc),
                };
                bench.meet(at, &frame.bytes, reaction);
            }
        }
    };
    // Both rebooted since: to channels that wait, and to channels that serve.
    let before = of_boot([nonce_a + 1, nonce_b + 1]);
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(5));
    offer(&mut bench, &before, Reject::Stale);
    bench.tick();
    offer(&mut bench, &before, Reject::Stale);
    bench.boot();
    bench.run_cycles(2);
    offer(&mut bench, &before, Reject::Mode);
    bench.run_cycles(2);
    // Only one of the two did.
    for nonces in [[nonce_a + 1, nonce_b], [nonce_a, nonce_b + 1]] {
        offer(&mut bench, &of_boot(nonces), Reject::Mode);
        bench.run_cycles(2);
    }
}

#[test]
fn frames_of_the_past_are_recognised_or_refused() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(6));
    bench.boot();
    bench.run_cycles(3);
    for round in 0..3 {
        let mut reactions = Vec::new();
        for at in [A, B] {
            for frame in bench.captured(at) {
                let reaction = reaction_to_the_past(&bench, at, &frame);
                reactions.push(reaction);
                for _ in 0..2 {
                    bench.meet(at, &frame.bytes, reaction);
                }
            }
        }
        let causes = [Reject::Stale, Reject::Mode, Reject::Phase].map(Reaction::Refused);
        for expected in causes.into_iter().chain([Reaction::Repeated, Reaction::Ineffective]) {
            assert!(reactions.contains(&expected), "round {round}: {expected:?} did not occur");
        }
        bench.run_cycles(2);
    }

    // A link that delivers every frame three times.
    let repeated = [A, B].map(|at| bench.nodes[at].counters().repeated);
    bench.copies = 3;
    bench.run_cycles(5);
    for at in [A, B] {
        assert!(bench.nodes[at].counters().repeated >= repeated[at] + 5);
    }
}

#[test]
fn a_channel_that_left_the_cycle_refuses_its_frames() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(8));
    bench.boot();
    bench.run_cycles(2);
    let frames = [bench.captured(A), bench.captured(B)];
    bench.is_cut = true;
    // The rule lets the owner go on, and nobody else.
    bench.run_until("each alone", 400, |bench| bench.modes() == [Mode::Simplex, Mode::Standby]);
    for (at, frames) in frames.iter().enumerate() {
        for frame in frames {
            let reaction = match frame.header.kind {
                Kind::Hello if frame.is_first_word => Reaction::Ineffective,
                Kind::Hello => Reaction::Refused(Reject::Stale),
                // A is in an epoch of its own by now, B still in the old one.
                Kind::Sample | Kind::Vote if at == A => Reaction::Refused(Reject::Epoch),
                _ => Reaction::Refused(Reject::Mode),
            };
            bench.meet(at, &frame.bytes, reaction);
        }
    }
    let alone = bench.nodes[A].counters().alone;
    for _ in 0..350 {
        bench.tick();
    }
    assert_eq!(bench.modes(), [Mode::Simplex, Mode::Standby]);
    assert!(bench.nodes[A].counters().alone >= alone + 3, "the survivor serves on");
}

#[test]
fn garbage_is_refused() {
    let mut rng = fastrand::Rng::with_seed(0x6A5B_A6E0);
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(9));
    let mut causes = BTreeSet::new();
    while bench.nodes[A].cycle() != Cycle(4) {
        assert!(bench.now_us < 4_000_000, "the pair does not get on; modes {:?}", bench.modes());
        for at in [A, B] {
            for _ in 0..20 {
                let longest = [OVERHEAD_BYTES, 64, MAX_FRAME_BYTES, 2 * MAX_FRAME_BYTES][rng.usize(0..4)];
                let mut noise: Vec<u8> = (0..rng.usize(0..=longest)).map(|_| rng.u8(..)).collect();
                if let Some(first) = noise.first_mut().filter(|_| rng.bool()) {
                    *first = rng.u8(1..=17) << 1 | rng.u8(0..2); // plausible at first sight
                }
                let cause = cause_of(&noise);
                causes.insert(cause as u8);
                bench.refuse(at, &noise, cause);
            }
        }
        bench.tick();
    }
    assert_eq!(causes.len(), 5, "too short, too long, version, kind and CRC");
    bench.run_cycles(3);
}

/// Of A and of B; the program has not come to them yet.
const DAMAGED_BLOCKS: [u16; 2] = [9, 11];

/// A word of an upgrade that makes sense.
const WORD: UpgradePayload = UpgradePayload {
    serial: 1,
    step: 0,
    part: 0,
    version: 1,
    candidate: 0,
    tried: 0,
    tolerated: 0,
    differing: 0,
    cannot_migrate: 0,
};

/// An order that makes sense.
const ORDER: OrderPayload = OrderPayload { number: 1, order: 1, refusal: 0, answered: 0, detail: 0 };

/// Words of an upgrade in a step that there is not, of a part that there is not, cut off, and with a rest.
#[test]
fn a_word_of_an_upgrade_that_makes_no_sense_is_refused() {
    let mut memory = Storage::new();
    let config = Config { nonce: 1, ..Config::DEFAULT };
    let mut node = Node::<Servo, 128, Upgrades<Servo>>::with_upgrades(ChannelId::A, memory.cells(), config).unwrap();
    let keys = Keys { pair: config.pair, epoch: Epoch::NONE, nonces: [1, 0] };
    let word = payload_of(&WORD);
    let now = Instant::from_micros(0);
    for (payload, expected) in [
        (payload_of(&UpgradePayload { step: 9, ..WORD }), Err(Reject::Payload)),
        (payload_of(&UpgradePayload { part: 0x40, ..WORD }), Err(Reject::Payload)),
        (word[..word.len() - 1].to_vec(), Err(Reject::Payload)),
        (with_rest(&word), Err(Reject::Payload)),
        (word, Ok(())),
    ] {
        let frame = forge_under(&keys, Kind::Upgrade, ChannelId::B, Phase::new(Cycle(0), Stage::Settled), &payload);
        assert_eq!(node.handle_frame(now, &frame), expected, "{payload:02x?}");
    }
}

/// Two channels of which one can be upgraded and the other one cannot do not pair, and both say why.
#[test]
fn a_pair_with_different_choices_does_not_pair() {
    let [mut memory_a, mut memory_b] = [Storage::new(), Storage::new()];
    let config = |nonce| Config { nonce, ..Config::DEFAULT };
    let mut a = Node::<Servo, 128>::new(ChannelId::A, memory_a.cells(), config(1)).unwrap();
    let mut b = Node::<Servo, 128, Upgrades<Servo>>::with_upgrades(ChannelId::B, memory_b.cells(), config(2)).unwrap();
    let mut buffer = [0; 128];
    for round in 0..4 {
        let now = Instant::from_micros(round * u64::from(Config::DEFAULT.hello_us));
        let length = a.poll_transmit(now, &mut buffer).unwrap().unwrap();
        assert_eq!(b.handle_frame(now, &buffer[..length]), Err(Reject::Upgrades));
        let length = b.poll_transmit(now, &mut buffer).unwrap().unwrap();
        assert_eq!(a.handle_frame(now, &buffer[..length]), Err(Reject::Upgrades));
        // A first word echoes nothing: it may be of before.
        assert!(round > 0 || b.first_fault().is_none());
    }
    assert!(a.first_fault().unwrap().faults.contains(Faults::PEER_DIFFERS));
    assert!(b.first_fault().unwrap().faults.contains(Faults::PEER_DIFFERS));
}

/// Frames that pass the CRC and yet are not what a peer may say now: every cause is seen.
#[test]
fn frames_that_pass_the_crc_are_still_checked() {
    let mut memory = memory::<Servo>();
    let config = Config { scrub_blocks: 16, ..HOME.config };
    let mut bench = ServoBench::new(&mut memory, Setup { config, ..HOME }, sensor(10));
    bench.boot();
    bench.run_cycles(3);
    let captured = bench.specimens();
    // Each wants a block of the other, which the scrub of the next cycle finds damaged.
    for (node, block) in bench.nodes.iter_mut().zip(DAMAGED_BLOCKS) {
        node.memory().flip_working_bit(usize::from(block) * 512);
        node.memory().flip_checkpoint_bit(usize::from(block) * 512 + 1);
    }
    bench.cut_in_mid_cycle();

    for at in [A, B] {
        let (me, peer) = (CHANNELS[at], CHANNELS[1 - at]);
        let (cycle, epoch) = (bench.nodes[at].cycle(), bench.nodes[at].epoch());
        let phase = Phase::new;
        let (sampled, voted) = (phase(cycle, Stage::Sample), phase(cycle, Stage::Vote));
        let sample = sample_payload(&Sample { position: 5, limit: Some(true) });
        let vote = [[0; 10].to_vec(), bytes_of(&Servo::SAFE)].concat();
        let mut wrong_digest = sample.clone();
        wrong_digest[0] ^= 1;

        let mut cases: Vec<(Reject, Vec<u8>)> = vec![
            (Reject::TooShort, Vec::new()),
            (Reject::TooLong, vec![0; MAX_FRAME_BYTES + 1]),
            (Reject::Version, vec![0x80; OVERHEAD_BYTES]),
            (Reject::Kind, vec![0; OVERHEAD_BYTES]),
            (Reject::Sender, bench.forge(Kind::Sample, me, epoch, sampled, &sample)),
            (Reject::Payload, bench.forge(Kind::Sample, peer, epoch, sampled, &sample[..3])),
            (Reject::Payload, bench.forge(Kind::Sample, peer, epoch, sampled, &sample[..4])),
            (Reject::Payload, bench.forge(Kind::Sample, peer, epoch, sampled, &with_rest(&sample))),
            (Reject::SampleDigest, bench.forge(Kind::Sample, peer, epoch, sampled, &wrong_digest)),
            (Reject::Payload, bench.forge(Kind::Vote, peer, epoch, voted, &vote[..1])),
            (Reject::Payload, bench.forge(Kind::Vote, peer, epoch, voted, &vote[..9])),
            (Reject::Payload, bench.forge(Kind::Vote, peer, epoch, voted, &vote[..10])),
            (Reject::Payload, bench.forge(Kind::Vote, peer, epoch, voted, &with_rest(&vote))),
        ];
        // The right stage of a wrong cycle, and a wrong stage of the right one.
        for other in [cycle.previous().previous(), cycle.next(), cycle.next().next(), Cycle(cycle.0 ^ 0x0800_0000)] {
            let forged = bench.forge(Kind::Sample, peer, epoch, phase(other, Stage::Sample), &sample);
            cases.push((Reject::Phase, forged));
        }
        for other in [cycle.previous().previous(), cycle.next(), Cycle(cycle.0 ^ 0x0800_0000)] {
            cases.push((Reject::Phase, bench.forge(Kind::Vote, peer, epoch, phase(other, Stage::Vote), &vote)));
        }
        for stage in [Stage::Evidence, Stage::Settled] {
            cases.push((Reject::Phase, bench.forge(Kind::Sample, peer, epoch, phase(cycle, stage), &sample)));
            cases.push((Reject::Phase, bench.forge(Kind::Vote, peer, epoch, phase(cycle, stage), &vote)));
        }
        cases.push((Reject::Phase, bench.forge(Kind::Sample, peer, epoch, voted, &sample)));
        cases.push((Reject::Phase, bench.forge(Kind::Vote, peer, epoch, sampled, &vote)));
        // An older lineage, and another one of the same number.
        for other in
            [Epoch::new(epoch.counter() - 1, epoch.owner()), Epoch::new(epoch.counter(), epoch.owner().other())]
        {
            cases.push((Reject::Epoch, bench.forge(Kind::Sample, peer, other, sampled, &sample)));
            cases.push((Reject::Epoch, bench.forge(Kind::Vote, peer, other, voted, &vote)));
        }
        // A cut where there is nothing to join, and one that does not decode.
        let cut = Cut {
            nonce: HOME.nonces[1 - at],
            joiner_nonce: HOME.nonces[at],
            joiner_challenge: 1,
            epoch: epoch.successor(ChannelId::A),
            base: cycle.previous().0,
            region_digest: bench.nodes[at].state_digest(),
            starts_in_us: 0,
        };
        let settled = phase(cycle.previous(), Stage::Settled);
        let cut = payload_of(&cut);
        cases.push((Reject::Mode, bench.forge(Kind::Cut, peer, epoch, settled, &cut)));
        cases.push((Reject::Payload, bench.forge(Kind::Cut, peer, epoch, settled, &cut[..cut.len() - 1])));
        cases.push((Reject::Payload, bench.forge(Kind::Cut, peer, epoch, settled, &with_rest(&cut))));
        // A block that is not there, one of a wrong length, and one that is not the one wanted.
        let want = payload_of(&WantPayload { index: 16 });
        cases.push((Reject::Block, bench.forge(Kind::Want, peer, epoch, settled, &want)));
        for (cause, bytes) in [(Reject::Block, &[0; 63][..]), (Reject::Digest, &[0xFF; 64])] {
            let block = payload_of(&BlockPayload { serial: 0, index: DAMAGED_BLOCKS[at], bytes });
            cases.push((cause, bench.forge(Kind::Block, peer, epoch, settled, &block)));
        }
        // Outputs left to a channel that tries nothing, a parcel that nobody asked for, and the word of an upgrade to a
        // channel that has none.
        cases.push((Reject::Mode, bench.forge(Kind::HandOver, peer, epoch, sampled, &[])));
        cases.push((Reject::Payload, bench.forge(Kind::HandOver, peer, epoch, sampled, &[0])));
        cases.push((Reject::Mode, bench.forge(Kind::Parcel, peer, epoch, settled, &[1, 2, 3])));
        cases.push((Reject::Mode, bench.forge(Kind::Upgrade, peer, epoch, settled, &payload_of(&WORD))));
        cases.push((Reject::Mode, bench.forge(Kind::Order, peer, epoch, settled, &payload_of(&ORDER))));
        // A peer's `Hello`, altered.
        let hello = captured[at].iter().find(|frame| frame.header.kind == Kind::Hello).unwrap();
        let said = Hello::parse(&hello.payload).unwrap();
        assert_eq!((said.program_hash, said.layout_hash), (program_hash::<Servo>(), Servo::LAYOUT));
        for altered in [
            Hello { echo_challenge: said.echo_challenge.wrapping_add(1_000), ..said },
            Hello { echo_nonce: said.echo_nonce ^ 1, ..said },
        ] {
            cases.push((Reject::Stale, bench.forge(Kind::Hello, peer, epoch, settled, &payload_of(&altered))));
        }
        // What has its place in the format, or may have one day, is refused with that reason.
        for (cause, altered) in [
            (Reject::Upgrades, Hello { feature_bits: Features::UPGRADES.bits(), ..said }),
            (Reject::Unsupported, Hello { feature_bits: Features::AUTHENTICATED.bits(), ..said }),
            (Reject::Unsupported, Hello { feature_bits: 0x80, ..said }),
            (Reject::Unsupported, Hello { standing_bits: said.standing_bits | 0x8000, ..said }),
            (Reject::Version, Hello { format: VERSION + 1, ..said }),
        ] {
            cases.push((cause, bench.forge(Kind::Hello, peer, epoch, settled, &payload_of(&altered))));
        }
        for kind in [Kind::Rendezvous, Kind::Key] {
            cases.push((Reject::Unsupported, bench.forge(kind, peer, epoch, settled, &[1, 2, 3])));
        }
        let some_words = [[0, 0, DAMAGED_BLOCKS[at] as u8, 0, 0b110, 0].to_vec(), vec![0; 8]].concat();
        cases.push((Reject::Unsupported, bench.forge(Kind::Block, peer, epoch, settled, &some_words)));
        cases.push((Reject::Payload, bench.forge(Kind::Hello, peer, epoch, settled, &with_rest(&hello.payload))));
        let cut_off = &hello.payload[..hello.payload.len() - 1];
        cases.push((Reject::Payload, bench.forge(Kind::Hello, peer, epoch, settled, cut_off)));
        // Another pair, another boot of either channel, and a lineage a whole turn of the sent half away.
        let keys = Keys { epoch, ..bench.keys() };
        let [nonce_a, nonce_b] = keys.nonces;
        for other in [
            Keys { pair: PairId(keys.pair.0 ^ 1), ..keys },
            Keys { nonces: [nonce_a ^ 1, nonce_b], ..keys },
            Keys { nonces: [nonce_a, nonce_b ^ 1], ..keys },
            Keys { nonces: [nonce_b, nonce_a], ..keys },
            Keys { epoch: Epoch::new(epoch.counter() + 0x8000, epoch.owner()), ..keys },
        ] {
            cases.push((Reject::Crc, forge_under(&other, Kind::Sample, peer, sampled, &sample)));
        }

        for (cause, frame) in cases {
            bench.refuse(at, &frame, cause);
        }

        // A stale word of a peer with another program, layout or configuration is counted, and for the rest nothing happens: it may be of
        // before it was replaced. A fresh one is a fault: `tests/identity.rs`.
        bench.nodes[at].clear_first_fault();
        let before = Snapshot::of(&mut bench.nodes[at]);
        for altered in [
            Hello { program_hash: said.program_hash ^ 1, ..said },
            Hello { layout_hash: said.layout_hash ^ 1, ..said },
            Hello { build: said.build ^ 1, ..said },
            Hello { config_hash: said.config_hash ^ 1, ..said },
        ] {
            let frame = bench.forge(Kind::Hello, peer, epoch, settled, &payload_of(&altered));
            bench.nodes[at].clear_first_fault();
            bench.drop_for(at, &frame, Reject::PeerDiffers);
            assert!(bench.nodes[at].first_fault().is_none());
        }
        assert_eq!(Snapshot::of(&mut bench.nodes[at]), before);

        for cause in Reject::ALL {
            assert!(bench.nodes[at].counters().rejected(cause) > 0, "{cause} did not occur at {me}");
        }
    }
    bench.is_cut = false;
    bench.run_cycles(3);
    assert_eq!([A, B].map(|at| bench.nodes[at].counters().peer_repairs), [1, 1]);
}

/// What came of a stale sample that reached `victim` at the second attempt to start.
struct StaleEpoch {
    handled: Result<(), Reject>,
    counted: u32,
    modes: [Mode; 2],
    agreed: [u32; 2],
    diverged: [u32; 2],
    first_faults: [Option<Faults>; 2],
}

/// The link dies in the first common cycle, so that both channels go back to waiting, and
/// start again in a newer epoch: same boots, same nonces, same cycle number. The sample of
/// the first attempt therefore passes the CRC and has the right phase. Only its epoch tells.
fn stale_epoch(off: Option<Mechanism>) -> StaleEpoch {
    let victim = A;
    let mut memory = memory::<Servo>();
    let mut reading = 0_i16;
    let mut bench = ServoBench::new(&mut memory, HOME, move |_, _| {
        reading = reading.wrapping_add(50); // no two samples alike
        Sample { position: reading, limit: None }
    });
    // B joins, and what it then says is lost: A's cut stays without an answer.
    bench.run_until("the first attempt", 2_000, |bench| bench.modes() == [Mode::Starting, Mode::Duplex]);
    let first_epoch = bench.nodes[B].epoch();
    bench.is_cut = true;
    bench.towards = [Vec::new(), Vec::new()];
    bench.run_until("back to waiting", 400, |bench| bench.modes() == [Mode::Starting; 2]);
    assert_eq!([A, B].map(|at| bench.nodes[at].counters().agreed), [0, 0]);
    let first_sample = Phase::new(Cycle(1), Stage::Sample);
    let stale = bench.captured(victim).into_iter().find(|frame| {
        let Header { kind, epoch, phase, .. } = frame.header;
        (kind, epoch, phase) == (Kind::Sample, first_epoch, first_sample)
    });
    let stale = stale.expect("B sent its first sample");

    // B has joined again and waits for A's first sample; A still waits for the answer to its cut.
    bench.is_cut = false;
    bench.run_until("the second attempt", 2_000, |bench| {
        let newer = bench.nodes[B].epoch().counter() > first_epoch.counter();
        newer && bench.modes() == [Mode::Starting, Mode::Duplex]
    });
    for node in &mut bench.nodes {
        node.clear_first_fault(); // the silence of the first attempt
        if let Some(mechanism) = off {
            node.switch_off(mechanism);
        }
    }
    let counted = bench.nodes[victim].counters().rejected(Reject::Epoch);
    let now = bench.now();
    let handled = bench.nodes[victim].handle_frame(now, &stale.bytes);
    let counted = bench.nodes[victim].counters().rejected(Reject::Epoch) - counted;
    if off.is_none() {
        bench.boot();
        bench.run_cycles(3);
    } else {
        for _ in 0..350 {
            bench.tick();
        }
    }
    StaleEpoch {
        handled,
        counted,
        modes: bench.modes(),
        agreed: [A, B].map(|at| bench.nodes[at].counters().agreed),
        diverged: [A, B].map(|at| bench.nodes[at].counters().diverged),
        first_faults: [A, B].map(|at| bench.nodes[at].first_fault().map(|fault| fault.faults)),
    }
}

#[test]
fn a_sample_of_an_older_epoch_is_refused() {
    let ending = stale_epoch(None);
    assert_eq!((ending.handled, ending.counted), (Err(Reject::Epoch), 1));
    assert_eq!((ending.modes, ending.diverged), ([Mode::Duplex; 2], [0, 0]));
    assert!(ending.agreed[A] >= 3 && ending.agreed[A] == ending.agreed[B], "{:?}", ending.agreed);
}

/// The negative control of the test above: the same frame, and both step on different inputs.
#[test]
fn without_the_epoch_check_an_old_sample_leads_to_divergence() {
    let ending = stale_epoch(Some(Mechanism::Epoch));
    assert_eq!((ending.handled, ending.counted), (Ok(()), 0));
    assert_eq!((ending.modes, ending.agreed), ([Mode::Safe; 2], [0, 0]));
    assert_eq!(ending.diverged, [1, 1]);
    for faults in ending.first_faults {
        assert!(faults.is_some_and(|faults| faults.contains(Faults::INPUT_DIVERGENCE)), "{faults:?}");
    }
}

/// Inputs and outputs of any length, whatever they are declared to be.
struct Wordy;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Words(Vec<u8>);

impl Message for Words {
    const MAX_BYTES: usize = LONGEST_INPUT + 1;
}

impl Program for Wordy {
    type Input = Words;
    type Output = Words;
    type State = [u8; 64];
    const SAFE: Words = Words(Vec::new());
    const OUTPUT_BYTES: usize = 6;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &Words, b: &Words) -> Agreement<Words> {
        Agreement::on(a.max(b).clone())
    }

    fn step(cycle: Cycle, state: &mut Tracked<[u8; 64]>, input: &Words) -> Words {
        state.update(|s| &s[0], |count: u8| count.wrapping_add(1));
        state.set(|s| &s[63], input.0.len() as u8);
        Words(input.0.iter().take(4).copied().chain([cycle.0 as u8]).collect())
    }
}

/// As small as a block of the state allows.
const SMALL_FRAME: usize = OVERHEAD_BYTES + 2 + 2 + 2 + 64;
/// Input bytes that fill a small frame: header and CRC, digest, and the length's own byte aside.
const LONGEST_INPUT: usize = SMALL_FRAME - OVERHEAD_BYTES - wire::SAMPLE_DIGEST_BYTES - 1;

#[test]
fn a_sample_too_long_for_a_frame_begins_nothing() {
    let mut memory = memory::<Wordy>();
    let mut bench = Bench::<Wordy, SMALL_FRAME>::new(&mut memory, HOME, |channel, cycle| {
        Words(vec![cycle.0 as u8 ^ channel.index() as u8; LONGEST_INPUT])
    });
    let try_too_long = |bench: &mut Bench<'_, Wordy, SMALL_FRAME>| {
        for at in [A, B] {
            for more in [1, 2, 100, 1_000] {
                let (before, timeout) = (Snapshot::of(&mut bench.nodes[at]), bench.nodes[at].poll_timeout());
                let now = bench.now();
                let begun = bench.nodes[at].begin(now, Words(vec![1; LONGEST_INPUT + more]));
                let length_bytes = if LONGEST_INPUT + more < 128 { 1 } else { 2 };
                let need_bytes = SMALL_FRAME - 1 + length_bytes + more;
                assert_eq!(begun, Err(BufferTooSmall { need_bytes, have_bytes: SMALL_FRAME }));
                assert_eq!(Snapshot::of(&mut bench.nodes[at]), before);
                assert_eq!(bench.nodes[at].poll_timeout(), timeout, "no slot was opened");
            }
        }
    };
    try_too_long(&mut bench);
    bench.boot();
    bench.run_cycles(2);
    try_too_long(&mut bench);
    bench.run_cycles(2);

    // What just fits was sent all the time, in frames of full length.
    for at in [A, B] {
        let longest = bench.captured(at).iter().map(|frame| frame.bytes.len()).max();
        assert_eq!(longest, Some(SMALL_FRAME));
    }

    // A vote that decodes but does not fit this node's buffer.
    bench.cut_in_mid_cycle();
    for at in [A, B] {
        let (cycle, epoch) = (bench.nodes[at].cycle(), bench.nodes[at].epoch());
        let vote = [[0; 10].to_vec(), bytes_of(&vec![1_u8; SMALL_FRAME])].concat();
        let frame = bench.forge(Kind::Vote, CHANNELS[1 - at], epoch, Phase::new(cycle, Stage::Vote), &vote);
        bench.refuse(at, &frame, Reject::TooLong);
    }
    bench.is_cut = false;
    bench.run_cycles(2);
}

#[test]
fn a_frame_stays_due_until_a_buffer_has_room() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(11));
    bench.is_stingy = true;
    bench.boot();
    bench.run_cycles(3);
    let kinds: BTreeSet<u8> =
        [A, B].into_iter().flat_map(|at| bench.captured(at)).map(|f| f.header.kind as u8).collect();
    assert_eq!(kinds.len(), 4, "Hello, Cut, Sample and Vote were held back");
}

macro_rules! program_of {
    ($name:ident, $input:ty, $output:ty, $safe:expr) => {
        struct $name;

        impl Program for $name {
            type Input = $input;
            type Output = $output;
            type State = u32;
            const SAFE: $output = $safe;
            const VERSION: u32 = 1;
            const BUILD: twinstep::Build = twinstep::Build::new(1);

            fn agree(a: &$input, b: &$input) -> Agreement<$input> {
                Agreement::on(*a.max(b))
            }

            fn step(_: Cycle, _: &mut Tracked<u32>, _: &$input) -> $output {
                Self::SAFE
            }
        }
    };
}

program_of!(Narrow, u8, u8, 0);
program_of!(Wide, u8, [[u8; 32]; 2], [[1; 32]; 2]);
program_of!(Sampled, [[u8; 30]; 3], u8, 0);

/// Starts a channel and returns why it does not.
fn refusal<P: Program, const FRAME: usize>(config: Config) -> Option<ConfigError> {
    let mut storage = Storage::<P::State>::new();
    Node::<P, FRAME>::new(ChannelId::A, storage.cells(), config).err()
}

/// What does not fit does not compile: `compile_fail/frame_too_small.rs`.
#[test]
fn a_frame_has_room_for_the_longest_that_is_sent() {
    // A vote of 64 output bytes, and the evidence that carries it if the votes differ: flags, two digests, levels.
    let vote_bytes = OVERHEAD_BYTES + wire::VOTE_DIGEST_BYTES + 64;
    assert_eq!(frame::<Wide>(), vote_bytes + 2 + 2 * 4 + 5);
    // However small the output, a `Hello` of four bytes and eleven numbers must fit.
    assert_eq!(frame::<Narrow>(), OVERHEAD_BYTES + 4 + 11 * 4);
    // And so must a block of memory, with serial, number and mask.
    assert_eq!(frame::<Servo>(), OVERHEAD_BYTES + 2 + 2 + 2 + 64);
    // A sample of 90 bytes.
    assert_eq!(frame::<Sampled>(), OVERHEAD_BYTES + wire::SAMPLE_DIGEST_BYTES + 90);
    let good = Config { nonce: 1, ..Config::DEFAULT };
    assert_eq!(refusal::<Wide, { frame::<Wide>() }>(good), None);
    assert_eq!(refusal::<Sampled, { frame::<Sampled>() }>(good), None);
}

#[test]
fn a_configuration_that_cannot_work_starts_no_node() {
    let good = Config { nonce: 1, ..Config::DEFAULT };
    let refused = refusal::<Servo, MAX_FRAME_BYTES>;
    assert_eq!(refused(good), None);
    assert_eq!(refused(Config::DEFAULT), Some(ConfigError::NonceMissing));
    assert_eq!(
        refused(Config { vote_window_us: 100_001, ..good }),
        Some(ConfigError::WindowExceedsPeriod { vote_window_us: 100_001, period_us: 100_000 })
    );
    assert_eq!(
        refused(Config { link_delay_us: 40_000, ..good }),
        Some(ConfigError::WindowTooShort { vote_window_us: 60_000, exchange_us: 80_000 })
    );
    assert_eq!(
        refused(Config { retransmit_us: 70_000, ..good }),
        Some(ConfigError::RetransmitOutsideWindow { retransmit_us: 70_000, vote_window_us: 60_000 })
    );
    assert_eq!(refused(Config { hello_us: 0, ..good }), Some(ConfigError::HelloIntervalMissing));
    assert_eq!(
        refused(Config { period_us: 600_000_001, ..good }),
        Some(ConfigError::PeriodTooLong { period_us: 600_000_001, longest_us: 600_000_000 })
    );
}
