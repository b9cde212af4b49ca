//! Frames as a test takes them apart, forges them and hands them over.

#![allow(dead_code, unreachable_pub)]

use super::bench::{Bench, CHANNELS};
use serde::Serialize;
use twinstep::ids::Phase;
use twinstep::reintegrate::CopyProgress;
use twinstep::wire::{self, Header, Hello, Keys, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES, Payload, Reject};
use twinstep::{Arbiter, ChannelId, Cycle, Epoch, FirstFault, Instant, Mode, Node, Program, canonical};
use zerocopy::IntoBytes;

impl<P: Program, const FRAME: usize, R: Arbiter> Bench<'_, P, FRAME, R> {
    /// Builds a frame that passes the CRC, whatever it says.
    pub fn forge(&self, kind: Kind, sender: ChannelId, epoch: Epoch, phase: Phase, payload: &[u8]) -> Vec<u8> {
        forge_under(&Keys { epoch, ..self.keys() }, kind, sender, phase, payload)
    }

    /// Hands a frame to a channel that must drop it for this cause, count that, and be as before.
    #[track_caller]
    pub fn refuse(&mut self, at: usize, frame: &[u8], cause: Reject) {
        let before = Snapshot::of(&mut self.nodes[at]);
        self.drop_for(at, frame, cause);
        assert_eq!(Snapshot::of(&mut self.nodes[at]), before, "to {}, {cause}: {frame:02x?}", CHANNELS[at]);
    }

    /// Hands a frame to a channel that must drop it for this cause and count that.
    #[track_caller]
    pub fn drop_for(&mut self, at: usize, frame: &[u8], cause: Reject) {
        let now = self.now();
        let node = &mut self.nodes[at];
        let counters = *node.counters();
        let handled = node.handle_frame(now, frame);
        let channel = CHANNELS[at];
        assert_eq!(handled, Err(cause), "to {channel} in {:?}: {frame:02x?}", node.mode());
        for other in Reject::ALL {
            let more = node.counters().rejected(other) - counters.rejected(other);
            assert_eq!(more, u32::from(other == cause), "to {channel}, {other} counted for {cause}: {frame:02x?}");
        }
        assert_eq!(node.counters().repeated, counters.repeated);
    }

    /// Hands a frame to a channel that must let it pass without an effect; returns how many
    /// repetitions it counted.
    #[track_caller]
    pub fn let_pass(&mut self, at: usize, frame: &[u8]) -> u32 {
        let before = Snapshot::of(&mut self.nodes[at]);
        let repeated = self.accept(at, frame);
        assert_eq!(Snapshot::of(&mut self.nodes[at]), before, "to {}: {frame:02x?}", CHANNELS[at]);
        repeated
    }

    /// Hands a frame to a channel that must take it; returns how many repetitions it counted.
    #[track_caller]
    pub fn accept(&mut self, at: usize, frame: &[u8]) -> u32 {
        let now = self.now();
        let node = &mut self.nodes[at];
        let counters = *node.counters();
        let handled = node.handle_frame(now, frame);
        assert_eq!(handled, Ok(()), "to {} in {:?}: {frame:02x?}", CHANNELS[at], node.mode());
        assert_eq!(node.counters().rejected_total(), counters.rejected_total());
        node.counters().repeated - counters.repeated
    }

    #[track_caller]
    pub fn meet(&mut self, at: usize, frame: &[u8], reaction: Reaction) {
        match reaction {
            Reaction::Refused(cause) => self.refuse(at, frame, cause),
            Reaction::Repeated => assert_eq!(self.let_pass(at, frame), 1),
            Reaction::Ineffective => assert_eq!(self.let_pass(at, frame), 0),
        }
    }
}

/// Builds a frame of the epoch of `keys`.
pub fn forge_under(keys: &Keys, kind: Kind, sender: ChannelId, phase: Phase, payload: &[u8]) -> Vec<u8> {
    forge_acknowledging(keys, kind, sender, [phase; 2], payload)
}

/// Seals a payload into a frame of a phase that acknowledges another one.
pub fn forge_acknowledging(
    keys: &Keys,
    kind: Kind,
    sender: ChannelId,
    [phase, ack]: [Phase; 2],
    payload: &[u8],
) -> Vec<u8> {
    let header = Header { kind, sender, epoch: keys.epoch, phase, ack };
    let mut buffer = [0; MAX_FRAME_BYTES];
    let length = wire::build(&mut buffer, &header, keys, payload.len(), |room| {
        room.copy_from_slice(payload);
        Some(payload.len())
    });
    buffer[..length.unwrap()].to_vec()
}

/// How a channel must take a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    Refused(Reject),
    /// Recognised as a repetition and counted as one.
    Repeated,
    /// Let pass, and nothing changes: a first word that echoes nothing is answered, and so are
    /// questions.
    Ineffective,
}

/// A frame that crossed the link, taken apart.
#[derive(Clone)]
pub struct Captured {
    pub bytes: Vec<u8>,
    pub header: Header,
    pub payload: Vec<u8>,
    /// A `Hello` that echoes nothing yet.
    pub is_first_word: bool,
}

impl Captured {
    /// Takes a frame apart; `None` if it is not of these boots.
    pub fn new(bytes: &[u8], keys: &Keys) -> Option<Self> {
        let (header, payload) = wire::parse(bytes, keys).ok()?;
        let hello = (header.kind == Kind::Hello).then(|| Hello::parse(payload).unwrap());
        let is_first_word = hello.is_some_and(|hello| hello.echo_nonce == 0);
        Some(Self { bytes: bytes.to_vec(), header, payload: payload.to_vec(), is_first_word })
    }
}

/// What no bad frame may change.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    mode: Mode,
    epoch: Epoch,
    cycle: Cycle,
    settled: Option<Cycle>,
    is_empty: bool,
    next_start: Instant,
    first_fault: Option<FirstFault>,
    memory: Copies,
    progress: Option<CopyProgress>,
    /// Joined, copies begun and failed, blocks sent, blocks mended by the peer, mode changes.
    counts: [u32; 6],
}

/// The memory of a channel: both copies and the digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Copies {
    pub working: Vec<u8>,
    pub checkpoint: Vec<u8>,
    pub digest: u32,
}

impl Copies {
    pub fn of<P: Program, const FRAME: usize>(node: &mut Node<'_, P, FRAME>) -> Self {
        let (digest, working) = (node.state_digest(), node.state().as_bytes().to_vec());
        let blocks = 0..node.memory().blocks();
        let checkpoint = blocks.flat_map(|block| node.memory().block(block).unwrap().to_vec()).collect();
        Self { working, checkpoint, digest }
    }
}

impl Snapshot {
    pub fn of<P: Program, const FRAME: usize>(node: &mut Node<'_, P, FRAME>) -> Self {
        let counted = node.counters();
        let counts = [
            counted.joined,
            counted.copies_begun,
            counted.copies_failed,
            counted.blocks_sent,
            counted.peer_repairs,
            counted.mode_changes,
        ];
        Self {
            mode: node.mode(),
            epoch: node.epoch(),
            cycle: node.cycle(),
            settled: node.settled_cycle(),
            is_empty: node.is_empty(),
            next_start: node.next_start(),
            first_fault: node.first_fault().copied(),
            memory: Copies::of(node),
            progress: node.copy_progress(),
            counts,
        }
    }
}

pub fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0; canonical::encoded_len(value).unwrap()];
    canonical::encode(value, &mut bytes).unwrap();
    bytes
}

/// Returns a payload of the library's own as it is on the wire.
pub fn payload_of<'b>(payload: &impl Payload<'b>) -> Vec<u8> {
    let mut bytes = vec![0; payload.payload_bytes()];
    payload.write(&mut bytes).unwrap();
    bytes
}

/// Returns the payload of a sample as it is on the wire.
pub fn sample_payload<T: Serialize>(input: &T) -> Vec<u8> {
    let digest = canonical::digest(input).unwrap();
    [digest.to_le_bytes().to_vec(), bytes_of(input)].concat()
}

/// Whether there is a kind of frame of this number.
pub fn is_known(kind: u8) -> bool {
    Kind::of_number(kind).is_some()
}

/// Returns why these bytes must be dropped, given that their CRC does not hold.
pub fn cause_of(bytes: &[u8]) -> Reject {
    match bytes {
        _ if bytes.len() > MAX_FRAME_BYTES => Reject::TooLong,
        _ if bytes.len() < OVERHEAD_BYTES => Reject::TooShort,
        [first, ..] if first & 0x80 != 0 => Reject::Version,
        [first, ..] if !is_known(first >> 1) => Reject::Kind,
        _ => Reject::Crc,
    }
}

/// Returns a frame cut off at every length, and with every bit flipped.
pub fn damaged(frame: &[u8]) -> Vec<Vec<u8>> {
    let truncated = (0..frame.len()).map(|length| frame[..length].to_vec());
    let flipped = (0..frame.len() * 8).map(|bit| {
        let mut bytes = frame.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    truncated.chain(flipped).collect()
}

/// Returns a payload with a byte too many.
pub fn with_rest(payload: &[u8]) -> Vec<u8> {
    [payload, &[0]].concat()
}
