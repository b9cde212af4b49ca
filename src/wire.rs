//! WIRE  the one frame format of every link. Version 4.
//!
//! All numbers little-endian. On byte streams a frame is COBS-encoded and followed by a
//! zero byte. A frame takes 12 bytes beside its payload and 655 in all at most, the
//! length up to which CRC-32C keeps Hamming distance 6.
//!
//! ```text
//! byte 0      bits 7..5 version (4) | bits 4..1 kind | bit 0 sender (0 = A, 1 = B)
//! byte 1..3   epoch, low 16 of its 32 bits; epoch = counter << 1 | owner (0 = A, 1 = B)
//! byte 3..7   phase of the content = 4 * cycle + {0 sample, 1 vote, 2 evidence, 3 settled}, mod 2^32
//! byte 7      ack, signed: the last phase that the sender has of the receiver without a
//!             gap, minus the phase above, clamped
//! byte 8..    payload
//! last 4      CRC-32C (reflected, 0x82F63B78, start and final xor 0xFFFFFFFF) over all
//!             bytes before it, then, unsent: pair identity (4), and from kind 3 on
//!             also epoch's high 16 bits (2), boot nonce of A (4), boot nonce of B (4)
//!
//! kind 1  Hello   postcard of (nonce, challenge, echoed nonce, echoed challenge, epoch,
//!                 committed cycle, program hash, layout hash, configuration hash: all u32;
//!                 flags: u8)
//!                 flags: 1 empty (the epoch is then the newest one heard of), 2 owns the
//!                 outputs, 4 outside of the cycle, 8 went on alone and was overtaken, 16 is of the
//!                 version after the receiver's, whose program and layout hash it then carries,
//!                 32 is about to restart, 64 can be upgraded while the other half serves
//!                 phase = 4 * committed cycle + 3
//! kind 2  Cut     postcard of (nonce of the sender, nonce of the receiver, challenge of
//!                 the receiver, epoch, last cycle before the first common one, region
//!                 digest, microseconds until the first common cycle, 0 if it has begun:
//!                 all u32);
//!                 phase = 4 * that cycle + 3
//! kind 3  Sample  value digest of the input (4), postcard of the input
//! kind 4  Vote    value digest of the agreed input (4), region digest of the state (4),
//!                 postcard of the output
//! kind 5  Block   postcard of (serial: u16, block: u16, bytes of the block);
//!                 phase = 4 * committed cycle + 3, as in the kinds below
//! kind 6  Ack     postcard of (challenge: u32, highest serial taken: u16, bit n: serial
//!                 highest - n was taken: u32)
//! kind 7  Want    postcard of (block: u16)
//! kind 8  Compare postcard of (first block: u16, exponent of their number: u8, sum of
//!                 their digests: u32)
//! kind 9  Same    postcard of (first block: u16, exponent: u8, same: bool); the phase is
//!                 that of the Compare it answers
//! kind 10 Evidence postcard of (findings: u8, health: u8, value digest of the first vote's
//!                 payload: u32, the same of the receiver's first vote as it arrived: u32,
//!                 levels of five buckets: u8 each, payload of the second vote: bytes)
//!                 findings: 1 the checkpoint holds, 2 saw the mismatch itself, 4 had the
//!                 receiver's first vote; health: see `Health`; buckets: see `buckets`;
//!                 ack: its own phase if the sender has the receiver's evidence, else the one before
//! kind 11 Settled the same, in answer to an Evidence of a cycle that the sender has settled
//!                 without one: the second vote is then the only one
//! kind 12 Upgrade postcard of (serial: u16, step: u8, part: u8, version: u32, candidate: u32,
//!                 order: u8, its number: u8, number of the receiver's order answered last: u8,
//!                 refusal: u8, more of that: u16, cycles tried, of these tolerated, not alike: u32 each,
//!                 why the state was not taken over: 0, or 1 and a number: u16);
//!                 part: 1 ready, 2 image confirmed, 4 the trial failed, 8 wants an answer, 16 owns; codes: see `upgrade`
//! kind 13 HandOver nothing; phase = 4 * the first cycle that the sender leaves to the receiver
//! kind 14 Parcel  what the users of both channels want of each other; phase = 4 * committed cycle + 3
//! ```
//!
//! Digests, all modulo 2^32, words little-endian, a short last word filled up with zeros:
//!
//! ```text
//! mix(h, w)      h = (h xor w) * 0x9E3779B1; h = h xor (h >> 15); h = h + (h << 2)
//! value digest   from 0x243F6A88, mix in each word of the bytes, then their number
//! block digest   from mix(0x243F6A88, index of the block), mix in each word of its 64 bytes
//!                (the last block may be shorter)
//! region digest  sum of the block digests
//! program hash   value digest of (version, value digest of the safe output), each a u32
//! layout hash    value digest of (bytes of the state, its alignment, 1 on big-endian
//!                targets else 0, then whatever the program names: offsets of its fields),
//!                each a u32
//! config hash    value digest of (period_us, vote_window_us, retransmit_us,
//!                patience << 8 | 1 if only the owner drives | 2 or 4 if an unattributed
//!                divergence is decided for A or for B, transient_limit,
//!                transient_leak_cycles), each a u32
//! ```
//!
//! Postcard: `u16` and `u32` as LEB128 (seven bits a byte, low ones first, the high bit set on all
//! but the last byte), `u8` and `bool` as a byte, bytes as their number in LEB128 and then themselves.
//!
//! Of kinds 5 to 9: serials begin anywhere, rise by one with each block, and wrap; a donor has at
//! most 32 unacknowledged. A joiner takes only rising ones and acknowledges each block it gets. A
//! Block with serial 0 in duplex answers a Want. The joiner puts the donor's epoch into its frames.
//! A donor's Block, Compare and Cut speak of its checkpoint after the cycle of their phase. How
//! channels behave beyond the format stands in `handshake`, `reintegrate` and `node`.
//!
//! Of kinds 10 and 11. Evidence is sent once the own first vote is out and the votes differ, or the
//! peer's Evidence of the cycle came: check the checkpoint, roll back, step once more; the second vote
//! replaces the first, and the payload does not change again. It is repeated every `retransmit_us` until
//! the peer's Evidence is there and acknowledges it, or its Settled came. One that does not acknowledge is
//! answered at once, also of the cycle before. Settled answers an Evidence of a cycle that the sender has
//! committed without one: findings 1 (and 4), health 0. A channel that leaves or goes on alone by the
//! evidence waits for its acknowledgement, until the deadline at most. Of each bucket the fuller one of
//! both sides counts, and each cycle of duplex whose number `transient_leak_cycles` divides takes one off.
//!
//! Of kinds 12 and 13. An Upgrade counts if its serial is above the last one's of this pair of boots; it is sent
//! when something has changed in it and every `hello_us` while there is something to tell. A HandOver is repeated
//! every `retransmit_us` until the first frame of the receiver's new epoch; meanwhile the sender answers for the cycle
//! before and says nothing else of the cycle.
//!
//! Anything that does not parse is dropped with a [`Reject`].

mod copy;
mod evidence;
mod upgrade;

pub(crate) use copy::longest_block_bytes;
pub use copy::{AckPayload, BlockPayload, ComparePayload, SamePayload, WantPayload};
pub(crate) use evidence::EVIDENCE_BYTES;
pub use evidence::{EvidencePayload, Finding};
pub use upgrade::{Part, UpgradePayload};

use crate::bytes::copy;
use crate::digest::{Crc32c, of_bytes};
use crate::ids::{ChannelId, Epoch, PairId, Phase};
use serde::{Deserialize, Serialize};

/// The version of the frame format.
pub const VERSION: u8 = 4;
/// Bytes of a frame beside its payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + CRC_BYTES;
/// The longest frame.
pub const MAX_FRAME_BYTES: usize = 655;
/// Bytes that a vote's payload takes beside the output.
pub const VOTE_DIGEST_BYTES: usize = 8;
/// Bytes that a sample's payload takes beside the input.
pub const SAMPLE_DIGEST_BYTES: usize = 4;

/// The longest `Hello`: nine numbers of up to five bytes and the flags.
pub(crate) const LONGEST_HELLO_BYTES: usize = OVERHEAD_BYTES + 9 * 5 + 1;

const HEADER_BYTES: usize = 8;
const CRC_BYTES: usize = 4;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// Who is there, in which state.
    Hello = 1,
    /// From the next cycle on, both are in the cycle.
    Cut = 2,
    /// One channel's sample.
    Sample = 3,
    /// One channel's vote.
    Vote = 4,
    /// A block of memory.
    Block = 5,
    /// Which blocks arrived.
    Ack = 6,
    /// Asks for a block.
    Want = 7,
    /// A digest of some blocks, to be compared.
    Compare = 8,
    /// What came of the comparison.
    Same = 9,
    /// What a channel found when the votes differed.
    Evidence = 10,
    /// The cycle is settled, and with what.
    Settled = 11,
    /// How an upgrade stands on the sender's side, and what is ordered there.
    Upgrade = 12,
    /// From this cycle on the outputs are the receiver's.
    HandOver = 13,
    /// What the user sends.
    Parcel = 14,
}

impl Kind {
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::Hello),
            2 => Some(Self::Cut),
            3 => Some(Self::Sample),
            4 => Some(Self::Vote),
            5 => Some(Self::Block),
            6 => Some(Self::Ack),
            7 => Some(Self::Want),
            8 => Some(Self::Compare),
            9 => Some(Self::Same),
            10 => Some(Self::Evidence),
            11 => Some(Self::Settled),
            12 => Some(Self::Upgrade),
            13 => Some(Self::HandOver),
            14 => Some(Self::Parcel),
            _ => None,
        }
    }

    /// Whether the frame belongs to one pair of boots in one epoch.
    const fn is_between_two_boots(self) -> bool {
        !matches!(self, Self::Hello | Self::Cut)
    }
}

/// Why a frame was dropped. Each cause is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reject {
    /// Shorter than header and CRC.
    TooShort,
    /// Longer than the longest frame or than this node's frame buffer.
    TooLong,
    /// Another version of the format.
    Version,
    /// An unknown kind.
    Kind,
    /// Damaged, of another pair, or from another boot of one of the channels.
    Crc,
    /// Sent by this channel itself: a reflected or misaddressed frame.
    Sender,
    /// From another epoch than this channel's.
    Epoch,
    /// Neither of the current cycle nor of its neighbours.
    Phase,
    /// The payload does not decode, or not to its last byte.
    Payload,
    /// The sample does not match its own digest.
    SampleDigest,
    /// A `Hello` or `Cut` that does not echo this channel's nonce and newest challenge.
    Stale,
    /// The peer runs another program, state layout or configuration.
    PeerDiffers,
    /// One of both channels was built to be upgraded while the other one serves, and the other one was not.
    Upgrades,
    /// Not expected in this mode.
    Mode,
    /// A block out of range or of a wrong length.
    Block,
    /// A block, or the whole copied state, does not match its digest.
    Digest,
}

impl Reject {
    /// All causes, in the order in which they are counted.
    pub const ALL: [Self; 16] = [
        Self::TooShort,
        Self::TooLong,
        Self::Version,
        Self::Kind,
        Self::Crc,
        Self::Sender,
        Self::Epoch,
        Self::Phase,
        Self::Payload,
        Self::SampleDigest,
        Self::Stale,
        Self::PeerDiffers,
        Self::Upgrades,
        Self::Mode,
        Self::Block,
        Self::Digest,
    ];
}

impl core::fmt::Display for Reject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::Version => "unknown version",
            Self::Kind => "unknown kind",
            Self::Crc => "CRC, pair or boot differs",
            Self::Sender => "sent by this channel",
            Self::Epoch => "another epoch",
            Self::Phase => "another phase",
            Self::Payload => "payload does not decode",
            Self::SampleDigest => "sample differs from its digest",
            Self::Stale => "stale echo",
            Self::PeerDiffers => "peer differs in program or configuration",
            Self::Upgrades => "one channel can be upgraded, the other one cannot",
            Self::Mode => "not expected in this mode",
            Self::Block => "block out of range or of a wrong length",
            Self::Digest => "memory differs from its digest",
        })
    }
}

/// What enters the CRC without being sent.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Identity of the pair.
    pub pair: PairId,
    /// The receiver's epoch, from which the high half of the sender's is inferred.
    pub epoch: Epoch,
    /// Boot nonces of A and B.
    pub nonces: [u32; 2],
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub kind: Kind,
    /// Who sent it.
    pub sender: ChannelId,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The phase of the content.
    pub phase: Phase,
    /// The last phase that the sender has of the receiver without a gap.
    pub ack: Phase,
}

/// Takes a frame apart.
///
/// # Errors
/// [`Reject`] says why the bytes are not a frame for the holder of `keys`.
pub fn parse<'b>(bytes: &'b [u8], keys: &Keys) -> Result<(Header, &'b [u8]), Reject> {
    parse_checked(bytes, keys, true)
}

/// Whether a frame looks like a parcel.
pub(crate) fn is_parcel(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first >> 5 == VERSION && (first >> 1) & 0xF == Kind::Parcel as u8)
}

/// As [`parse`], with the CRC comparison switchable for negative controls.
pub(crate) fn parse_checked<'b>(bytes: &'b [u8], keys: &Keys, check_crc: bool) -> Result<(Header, &'b [u8]), Reject> {
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(Reject::TooLong);
    }
    let (covered, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Reject::TooShort)?;
    let (header, payload) = covered.split_first_chunk::<HEADER_BYTES>().ok_or(Reject::TooShort)?;
    let [first, e0, e1, p0, p1, p2, p3, ack] = *header;
    if first >> 5 != VERSION {
        return Err(Reject::Version);
    }
    let kind = Kind::from_bits((first >> 1) & 0xF).ok_or(Reject::Kind)?;
    let epoch = keys.epoch.nearest(u16::from_le_bytes([e0, e1]));
    if check_crc && frame_crc(covered, kind, epoch, keys) != u32::from_le_bytes(*crc) {
        return Err(Reject::Crc);
    }
    let phase = Phase(u32::from_le_bytes([p0, p1, p2, p3]));
    let header = Header {
        kind,
        sender: if first & 1 == 0 { ChannelId::A } else { ChannelId::B },
        epoch,
        phase,
        ack: Phase(phase.0.wrapping_add_signed(i32::from(ack.cast_signed()))),
    };
    Ok((header, payload))
}

/// The buffer handed over is shorter than the frame; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BufferTooSmall {
    /// Bytes the frame takes.
    pub need_bytes: usize,
    /// Bytes the buffer has.
    pub have_bytes: usize,
}

impl core::fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "a frame takes {} bytes, the buffer has {}", self.need_bytes, self.have_bytes)
    }
}

impl core::error::Error for BufferTooSmall {}

/// Puts a frame together in the front of `buffer`; returns its length.
///
/// `write` fills the payload, which takes `payload_bytes`, and says how many it wrote.
///
/// # Errors
/// [`BufferTooSmall`] with the figures.
pub fn build(
    buffer: &mut [u8],
    header: &Header,
    keys: &Keys,
    payload_bytes: usize,
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Result<usize, BufferTooSmall> {
    let have_bytes = buffer.len();
    let too_small = BufferTooSmall { need_bytes: OVERHEAD_BYTES + payload_bytes, have_bytes };
    let (head, rest) = buffer.split_first_chunk_mut::<HEADER_BYTES>().ok_or(too_small)?;
    let [e0, e1] = header.epoch.low().to_le_bytes();
    let [p0, p1, p2, p3] = header.phase.0.to_le_bytes();
    let ack = header.ack.since(header.phase).clamp(i8::MIN.into(), i8::MAX.into()) as i8;
    let first = VERSION << 5 | (header.kind as u8) << 1 | header.sender.index() as u8;
    *head = [first, e0, e1, p0, p1, p2, p3, ack.cast_unsigned()];
    let room = rest.get_mut(..payload_bytes).ok_or(too_small)?;
    let end = HEADER_BYTES + write(room).ok_or(too_small)?;
    let (covered, tail) = buffer.split_at_mut_checked(end).ok_or(too_small)?;
    let crc = frame_crc(covered, header.kind, header.epoch, keys);
    *tail.first_chunk_mut::<CRC_BYTES>().ok_or(too_small)? = crc.to_le_bytes();
    Ok(end + CRC_BYTES)
}

/// As [`build`], of a payload that is there already.
pub(crate) fn build_of_bytes(
    buffer: &mut [u8],
    header: &Header,
    keys: &Keys,
    payload: &[u8],
) -> Result<usize, BufferTooSmall> {
    build(buffer, header, keys, payload.len(), |room| {
        copy(room, payload);
        Some(payload.len())
    })
}

fn frame_crc(covered: &[u8], kind: Kind, epoch: Epoch, keys: &Keys) -> u32 {
    let mut crc = Crc32c::new().with(covered).with(&keys.pair.0.to_le_bytes());
    if kind.is_between_two_boots() {
        let [a, b] = keys.nonces;
        crc = crc.with(&epoch.high().to_le_bytes()).with(&a.to_le_bytes()).with(&b.to_le_bytes());
    }
    crc.finish()
}

bitflags::bitflags! {
    /// What a channel says of itself in a [`Hello`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Standing: u8 {
        /// It has committed no cycle.
        const EMPTY = 1;
        /// It holds the output lease.
        const OWNS = 2;
        /// It is outside of the cycle and wants an answer.
        const OUTSIDE = 4;
        /// It went on alone, and so did its peer from an older state: a person must decide.
        const FORKED = 8;
        /// It is of the version after the receiver's.
        const SUCCEEDS = 16;
        /// It is about to restart, and takes no part in anything before.
        const LEAVES = 32;
        /// It can be upgraded while the other half serves.
        const UPGRADES = 64;
    }
}

/// The payload of a `Hello`. It acts only on a receiver whose nonce and newest challenge it echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's boot nonce.
    pub nonce: u32,
    /// A number the receiver is to echo.
    pub challenge: u32,
    /// The receiver's nonce, as far as the sender has heard; else 0.
    pub echo_nonce: u32,
    /// The receiver's challenge, as far as the sender has heard.
    pub echo_challenge: u32,
    /// The lineage of the sender's state; of an empty sender the newest number it has heard of.
    pub epoch: Epoch,
    /// The last cycle the sender has committed.
    pub committed: u32,
    /// Hash of the program.
    pub program_hash: u32,
    /// Hash of the state's layout.
    pub layout_hash: u32,
    /// Hash of the configuration.
    pub config_hash: u32,
    /// Bits of [`Standing`].
    pub standing_bits: u8,
}

impl Hello {
    /// Returns this `Hello` saying `standing`.
    #[must_use]
    pub const fn saying(self, standing: Standing) -> Self {
        Self { standing_bits: standing.bits(), ..self }
    }

    /// Returns what the sender says of itself; `None` if it has unknown bits.
    pub const fn standing(&self) -> Option<Standing> {
        Standing::from_bits(self.standing_bits)
    }

    /// A `Hello` that says nothing yet.
    pub const BLANK: Self = Self {
        nonce: 0,
        challenge: 0,
        echo_nonce: 0,
        echo_challenge: 0,
        epoch: Epoch::NONE,
        committed: 0,
        program_hash: 0,
        layout_hash: 0,
        config_hash: 0,
        standing_bits: 0,
    };
}

/// The payload of a `Cut`: after cycle `base`, both channels are in the cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The sender's boot nonce.
    pub nonce: u32,
    /// The receiver's boot nonce.
    pub joiner_nonce: u32,
    /// The receiver's newest challenge.
    pub joiner_challenge: u32,
    /// The epoch from the next cycle on.
    pub epoch: Epoch,
    /// The last cycle that the state below contains.
    pub base: u32,
    /// Digest of the state that both start from.
    pub region_digest: u32,
    /// Microseconds from the sending of this frame to the sender's start of the next cycle.
    pub starts_in_us: u32,
}

/// The payload of a `Vote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VotePayload<'b> {
    /// Digest of the agreed input.
    pub input_digest: u32,
    /// Digest of the state after the step.
    pub state_digest: u32,
    /// Canonical bytes of the output.
    pub output: &'b [u8],
}

impl<'b> VotePayload<'b> {
    /// Takes a vote's payload apart; `None` if it is too short.
    pub fn parse(payload: &'b [u8]) -> Option<Self> {
        let (input, rest) = payload.split_first_chunk()?;
        let (state, output) = rest.split_first_chunk()?;
        Some(Self { input_digest: u32::from_le_bytes(*input), state_digest: u32::from_le_bytes(*state), output })
    }
}

/// Takes a sample's payload apart into digest and canonical bytes; `None` if it is too short.
pub fn split_sample(payload: &[u8]) -> Option<(u32, &[u8])> {
    let (digest, input) = payload.split_first_chunk()?;
    Some((u32::from_le_bytes(*digest), input))
}

/// Returns the canonical bytes of a sample's payload, if they match its digest.
pub(crate) fn sound_sample(payload: &[u8]) -> Option<&[u8]> {
    let (digest, input) = split_sample(payload)?;
    (of_bytes(input) == digest).then_some(input)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::ids::{Cycle, Stage};

    const KEYS: Keys = Keys { pair: PairId(7), epoch: Epoch::new(0x8001, ChannelId::A), nonces: [11, 22] };

    fn frame(kind: Kind, epoch: Epoch) -> ([u8; 64], usize) {
        let phase = Phase::new(Cycle(9), Stage::Vote);
        let header = Header { kind, sender: ChannelId::B, epoch, phase, ack: Phase(phase.0 - 1) };
        let mut buffer = [0; 64];
        let length = build(&mut buffer, &header, &Keys { epoch, ..KEYS }, 5, |room| {
            room.copy_from_slice(b"hello");
            Some(5)
        });
        (buffer, length.unwrap())
    }

    #[test]
    fn a_frame_comes_back_as_it_was_built() {
        let (buffer, length) = frame(Kind::Vote, KEYS.epoch);
        assert_eq!(length, OVERHEAD_BYTES + 5);
        let (header, payload) = parse(&buffer[..length], &KEYS).unwrap();
        assert_eq!(payload, b"hello");
        assert_eq!((header.kind, header.sender, header.epoch), (Kind::Vote, ChannelId::B, KEYS.epoch));
        assert_eq!(header.phase.since(header.ack), 1);
    }

    /// A peer in another language can check itself against these bytes.
    #[test]
    fn golden_bytes() {
        let (buffer, length) = frame(Kind::Vote, KEYS.epoch);
        assert_eq!(buffer[..8], [0x89, 0x02, 0x00, 37, 0, 0, 0, 0xFF]);
        let reference = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
        let mut covered = buffer[..length - 4].to_vec();
        covered.extend([7, 0, 0, 0, 1, 0, 11, 0, 0, 0, 22, 0, 0, 0]);
        assert_eq!(buffer[length - 4..length], reference.checksum(&covered).to_le_bytes());
    }

    #[test]
    fn each_cause_is_told_apart() {
        let (buffer, length) = frame(Kind::Vote, KEYS.epoch);
        let good = &buffer[..length];
        for short in 0..OVERHEAD_BYTES {
            assert_eq!(parse(&good[..short], &KEYS), Err(Reject::TooShort));
        }
        assert_eq!(parse(&[0; MAX_FRAME_BYTES + 1], &KEYS), Err(Reject::TooLong));
        let with_first = |first: u8| {
            let mut bytes = good.to_vec();
            bytes[0] = first;
            parse(&bytes, &KEYS).map(|_| ())
        };
        assert_eq!(with_first((VERSION + 1) << 5 | 4 << 1), Err(Reject::Version));
        for kind in [0, 15] {
            assert_eq!(with_first(VERSION << 5 | kind << 1), Err(Reject::Kind));
        }
        assert_eq!(parse(good, &Keys { pair: PairId(8), ..KEYS }), Err(Reject::Crc));
        for nonces in [[11, 23], [10, 22], [22, 11]] {
            assert_eq!(parse(good, &Keys { nonces, ..KEYS }), Err(Reject::Crc));
        }
        assert_eq!(parse_checked(good, &Keys { pair: PairId(8), ..KEYS }, false).map(|_| ()), Ok(()));
    }

    #[test]
    fn no_flip_of_up_to_three_bits_passes() {
        let (buffer, length) = frame(Kind::Sample, KEYS.epoch);
        let bits = length * 8;
        let rejected = |flips: &[usize]| {
            let mut bytes = buffer[..length].to_vec();
            for bit in flips {
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            parse(&bytes, &KEYS).is_err()
        };
        for a in 0..bits {
            assert!(rejected(&[a]));
            for b in 0..a {
                assert!(rejected(&[a, b]));
                assert!(rejected(&[a, b, b / 2]) || b / 2 == b);
            }
        }
    }

    #[test]
    fn the_unsent_half_of_the_epoch_is_checked() {
        let next = Epoch::new(0x8002, ChannelId::B);
        let (buffer, length) = frame(Kind::Vote, next);
        assert_eq!(parse(&buffer[..length], &KEYS).unwrap().0.epoch, next);
        // The same low half from a whole turn away must not pass.
        let far = Epoch::new(next.counter() + 0x8000, ChannelId::B);
        let (buffer, length) = frame(Kind::Vote, far);
        assert_eq!(parse(&buffer[..length], &KEYS), Err(Reject::Crc));
    }

    #[test]
    fn a_short_buffer_is_refused_with_figures() {
        let header =
            Header { kind: Kind::Vote, sender: ChannelId::A, epoch: KEYS.epoch, phase: Phase(0), ack: Phase(0) };
        for have_bytes in 0..OVERHEAD_BYTES + 5 {
            let mut buffer = vec![0; have_bytes];
            let built = build(&mut buffer, &header, &KEYS, 5, |_| Some(5));
            assert_eq!(built, Err(BufferTooSmall { need_bytes: OVERHEAD_BYTES + 5, have_bytes }));
        }
    }

    use std::vec;
}
