//! One frame of each kind, and frames that are refused.

use super::reader::{Reader, in_hex, sealed};
use super::world::{NONCES, PAIR};
use std::fmt::Write as _;
use twinstep::ids::{Phase, Stage};
use twinstep::wire::{
    self, AckPayload, BlockPayload, ComparePayload, Cut, EvidencePayload, Features, Header, Hello, Keys, Kind,
    MAX_FRAME_BYTES, OrderPayload, Payload, Reject, SamePayload, Standing, UpgradePayload, VoteFrame, WantPayload,
};
use twinstep::{ChannelId, Cycle, Epoch};

/// Of a pair whose epoch needs its high half.
const KEYS: Keys = Keys { pair: PAIR, epoch: Epoch::new(0x0001_2345, ChannelId::A), nonces: NONCES };
const VOTE: [u8; 10] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 30, 1];

fn built(kind: Kind, sender: ChannelId, phase: Phase, ack: i32, payload: &[u8]) -> Vec<u8> {
    let header = Header { kind, sender, epoch: KEYS.epoch, phase, ack: Phase(phase.0.wrapping_add_signed(ack)) };
    let mut buffer = [0; MAX_FRAME_BYTES];
    let length = wire::build(&mut buffer, &header, &KEYS, payload.len(), |room| {
        room.copy_from_slice(payload);
        Some(payload.len())
    });
    buffer[..length.unwrap()].to_vec()
}

fn of<'b>(kind: Kind, sender: ChannelId, stage: Stage, ack: i32, payload: &impl Payload<'b>) -> Vec<u8> {
    let mut bytes = vec![0; payload.payload_bytes()];
    payload.write(&mut bytes).unwrap();
    built(kind, sender, Phase::new(Cycle(0x0102_0304), stage), ack, &bytes)
}

fn hello() -> Hello {
    Hello {
        nonce: NONCES[0],
        challenge: 5,
        echo_nonce: NONCES[1],
        echo_challenge: 6,
        epoch: KEYS.epoch,
        committed: 0x0102_0304,
        program_hash: 0x1111_1111,
        layout_hash: 0x2222_2222,
        build: 0x3333_3333,
        config_hash: 0x4444_4444,
        predecessor: 0x5555_5555,
        feature_bits: Features::UPGRADES.bits(),
        ..Hello::BLANK
    }
    .saying(Standing::OWNS | Standing::OUTSIDE)
}

/// The second vote of a cycle.
const EVIDENCE: EvidencePayload<'_> = EvidencePayload {
    findings: 7,
    health: 2,
    first: 0xAAAA_0001,
    peer_first: 0xBBBB_0002,
    levels: [1, 2, 3, 4, 5],
    vote: &VOTE,
};

/// One frame of each kind that is in use.
pub fn good() -> Vec<(Keys, Vec<u8>)> {
    const A: ChannelId = ChannelId::A;
    const B: ChannelId = ChannelId::B;
    let cut = Cut {
        nonce: NONCES[0],
        joiner_nonce: NONCES[1],
        joiner_challenge: 7,
        epoch: KEYS.epoch,
        base: 0x0102_0304,
        region_digest: 0x6666_6666,
        starts_in_us: 40_000,
    };
    let upgrade = UpgradePayload {
        serial: 9,
        step: 3,
        part: 0x3A,
        version: 2,
        candidate: 3,
        tried: 1_000,
        tolerated: 20,
        differing: 1,
        cannot_migrate: 515,
    };
    let order = OrderPayload { number: 258, order: 2, refusal: 3, answered: 772, detail: 1_286 };
    let words: [u8; 64] = std::array::from_fn(|at| at as u8);
    let phase = Phase::new(Cycle(0x0102_0304), Stage::Sample);
    vec![
        of(Kind::Hello, A, Stage::Settled, 0, &hello()),
        of(Kind::Cut, A, Stage::Settled, -2, &cut),
        built(Kind::Sample, B, phase, -3, &[0xA1, 0xA2, 0xA3, 0xA4, 0xD3, 0x04, 1, 1]),
        of(Kind::Vote, A, Stage::Vote, -1, &VoteFrame { arrival: -300, vote: &VOTE }),
        of(Kind::Block, A, Stage::Settled, 0, &BlockPayload { serial: 259, index: 517, bytes: &words }),
        of(Kind::Block, A, Stage::Settled, 0, &BlockPayload { serial: 0, index: 2, bytes: &words[..6] }),
        of(Kind::Ack, B, Stage::Settled, 0, &AckPayload { challenge: 8, highest: 259, taken: 0x8000_0005 }),
        of(Kind::Want, B, Stage::Settled, 0, &WantPayload { index: 258 }),
        of(Kind::Compare, A, Stage::Settled, 0, &ComparePayload { first: 256, exponent: 4, digest: 0x7777_7777 }),
        of(Kind::Same, B, Stage::Settled, 0, &SamePayload { first: 256, exponent: 4, is_same: true }),
        of(Kind::Evidence, A, Stage::Evidence, -1, &EVIDENCE),
        of(Kind::Settled, B, Stage::Settled, 0, &EvidencePayload { findings: 5, health: 0, ..EVIDENCE }),
        of(Kind::Upgrade, A, Stage::Settled, 0, &upgrade),
        built(Kind::HandOver, A, phase, -3, &[]),
        built(Kind::Parcel, B, Phase(phase.0 - 1), 0, b"anything"),
        of(Kind::Order, B, Stage::Settled, 0, &order),
    ]
    .into_iter()
    .map(|frame| (KEYS, frame))
    .collect()
}

/// Frames that are refused, what is wrong with them, and as what.
fn bad() -> Vec<(&'static str, Vec<u8>, Reject)> {
    let frames: Vec<Vec<u8>> = good().into_iter().map(|(_, frame)| frame).collect();
    let (hello, vote, block) = (&frames[0], &frames[3], &frames[4]);
    let changed = |frame: &[u8], at: usize, byte: u8| {
        let mut frame = frame.to_vec();
        frame[at] = byte;
        sealed(&frame, &KEYS)
    };
    let mut flipped = vote.clone();
    flipped[12] ^= 0x10;
    let foreign = |keys: Keys| sealed(vote, &keys);
    let [a, b] = NONCES;
    let mut no_truth = frames[9].clone();
    let at_truth = no_truth.len() - 5;
    no_truth[at_truth] = 2;
    vec![
        ("eleven bytes", vote[..11].to_vec(), Reject::TooShort),
        ("longer than the longest frame", vec![0; MAX_FRAME_BYTES + 1], Reject::TooLong),
        ("the first byte of version 4", [&[0x89], &vote[1..]].concat(), Reject::Version),
        ("a Hello of the next version", changed(hello, 8, 6), Reject::Version),
        ("kind 0", changed(vote, 0, 0), Reject::Kind),
        ("kind 18", changed(vote, 0, 36), Reject::Kind),
        ("kind 16, reserved", changed(vote, 0, 32), Reject::Unsupported),
        ("kind 17, reserved", changed(vote, 0, 34), Reject::Unsupported),
        ("a flipped bit", flipped, Reject::Crc),
        ("of another pair", foreign(Keys { pair: twinstep::PairId(PAIR.0 + 1), ..KEYS }), Reject::Crc),
        ("of an earlier boot of A", foreign(Keys { nonces: [a - 1, b], ..KEYS }), Reject::Crc),
        ("of an earlier boot of B", foreign(Keys { nonces: [a, b - 1], ..KEYS }), Reject::Crc),
        (
            "of an epoch 32768 changes before",
            foreign(Keys { epoch: Epoch::new(0x2345, ChannelId::A), ..KEYS }),
            Reject::Crc,
        ),
        ("a Hello cut off", sealed(&hello[..hello.len() - 1], &KEYS), Reject::Payload),
        ("a Hello with a byte too many", sealed(&[&hello[..], &[0]].concat(), &KEYS), Reject::Payload),
        ("neither the same nor not", sealed(&no_truth, &KEYS), Reject::Payload),
        ("a block with fewer words than its mask says", sealed(&block[..block.len() - 4], &KEYS), Reject::Payload),
        ("some words of a block", changed(&sealed(&block[..block.len() - 4], &KEYS), 12, 0xFE), Reject::Unsupported),
    ]
}

/// Parses a payload and writes it again; returns why it is refused, if it is.
fn again<'b, T: Payload<'b>>(payload: &'b [u8]) -> Option<Reject> {
    let parsed = match T::parse(payload) {
        Ok(parsed) => parsed,
        Err(cause) => return Some(cause),
    };
    let mut bytes = vec![0; parsed.payload_bytes()];
    parsed.write(&mut bytes).unwrap();
    assert_eq!(bytes, payload, "what was parsed is what is written");
    None
}

/// Returns what the library makes of a frame.
fn refusal(frame: &[u8]) -> Option<Reject> {
    let (header, payload) = match wire::parse(frame, &KEYS) {
        Ok(parsed) => parsed,
        Err(cause) => return Some(cause),
    };
    match header.kind {
        Kind::Hello => again::<Hello>(payload),
        Kind::Cut => again::<Cut>(payload),
        Kind::Vote => again::<VoteFrame<'_>>(payload),
        Kind::Block => again::<BlockPayload<'_>>(payload),
        Kind::Ack => again::<AckPayload>(payload),
        Kind::Want => again::<WantPayload>(payload),
        Kind::Compare => again::<ComparePayload>(payload),
        Kind::Same => again::<SamePayload>(payload),
        Kind::Evidence | Kind::Settled => again::<EvidencePayload<'_>>(payload),
        Kind::Upgrade => again::<UpgradePayload>(payload),
        Kind::Order => again::<OrderPayload>(payload),
        Kind::Sample | Kind::HandOver | Kind::Parcel | Kind::Rendezvous | Kind::Key => None,
    }
}

pub fn write(text: &mut String) {
    let reader = Reader::of(&KEYS);
    writeln!(text, "\n== frames\nNonces 0a0a0001 and 0b0b0002, epoch 74565A, whose high half is 2.\n").unwrap();
    for (_, frame) in good() {
        assert_eq!(refusal(&frame), None);
        writeln!(text, "{} | {}", in_hex(&frame), reader.tell(&frame)).unwrap();
    }
    writeln!(text, "\n== frames that are refused\nThe receiver is as above.\n").unwrap();
    for (what, frame, cause) in bad() {
        assert_eq!(refusal(&frame), Some(cause), "{what}");
        let bytes = if frame.len() > MAX_FRAME_BYTES { format!("{} times 00", frame.len()) } else { in_hex(&frame) };
        writeln!(text, "{what} | {bytes} | refused: {cause:?}").unwrap();
    }
    // Kinds that are reserved have their place.
    for kind in [Kind::Rendezvous, Kind::Key] {
        let frame = built(kind, ChannelId::A, Phase(3), 0, b"?");
        writeln!(text, "reserved | {} | {}", in_hex(&frame), reader.tell(&frame)).unwrap();
    }
}
