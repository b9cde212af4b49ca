//! WIRE  the one frame format of every link. Version 5.
//!
//! All numbers are little-endian and lie one behind the other, without padding. On byte streams a frame is COBS-encoded and
//! followed by a zero byte. A frame takes 12 bytes beside its payload and 655 in all at most, the length up to which CRC-32C keeps
//! Hamming distance 6. Ranges of bytes exclude their end.
//!
//! ```text
//! byte 0      bit 7: 0, else the frame is of another format | bits 6..1 kind | bit 0 sender (0 = A, 1 = B)
//! byte 1..3   epoch, low 16 of its 32 bits; epoch = counter << 1 | owner (0 = A, 1 = B)
//! byte 3..7   phase of the content = 4 * cycle + {0 sample, 1 vote, 2 evidence, 3 settled}, mod 2^32
//! byte 7      ack, signed: the last phase that the sender has of the receiver without a gap, minus the phase above,
//!             clamped to -128..=127
//! byte 8..    payload
//! last 4      CRC-32C (reflected, 0x82F63B78, start and final xor 0xFFFFFFFF) over, in this order: the byte 5, which is the version of
//!             the format (not in a Hello); the frame without its CRC; the pair's identity (4); and from kind 3 on the epoch's high
//!             16 bits (2), the boot nonce of A (4), the boot nonce of B (4). Of these only the frame is sent
//!
//! kind 1  Hello     format: u8 = 5, features: u8, flags: u16, nonce, challenge, echoed nonce, echoed challenge, epoch, committed
//!                   cycle, program hash, layout hash, build, configuration hash, predecessor: u32 each (48 bytes)
//! kind 2  Cut       nonce of the sender, nonce of the receiver, challenge of the receiver, epoch, last cycle before the first
//!                   common one, region digest, microseconds until the first common cycle: u32 each (28)
//! kind 3  Sample    value digest of the input: u32, postcard of the input
//! kind 4  Vote      arrival: i16, then the vote: value digest of the agreed input: u32, region digest of the state: u32,
//!                   postcard of the output
//! kind 5  Block     serial: u16, block: u16, mask of its words: u16, the words
//! kind 6  Ack       challenge: u32, highest serial taken: u16, bit n: serial highest - n was taken: u32 (10)
//! kind 7  Want      block: u16 (2)
//! kind 8  Compare   first block: u16, exponent of their number: u8, sum of their digests: u32 (7)
//! kind 9  Same      first block: u16, exponent: u8, 1 if the digest is the same, else 0: u8 (4)
//! kind 10 Evidence  findings: u8, health: u8, value digest of the first vote: u32, the same of the receiver's first vote as it
//!                   arrived: u32, levels of five buckets: u8 each, the second vote
//! kind 11 Settled   the same; the second vote is the only one
//! kind 12 Upgrade   serial: u16, step: u8, part: u8, version, candidate, cycles tried, of these tolerated, not alike: u32 each, why
//!                   the state was not taken over: u16 (26)
//! kind 13 HandOver  nothing
//! kind 14 Parcel    what the users of both channels want of each other
//! kind 15 Order     number of the sender's order: u16, the order: u8, refusal of the receiver's order: u8, number of that order,
//!                   0 for none: u16, more of the refusal: u16 (8)
//! kind 16 Rendezvous, kind 17 Key: reserved, and refused as unsupported. Other kinds are unknown.
//! ```
//!
//! # Digests
//!
//! All modulo 2^32, words little-endian, a short last word filled up with zeros:
//!
//! ```text
//! mix(h, w)      h = (h xor w) * 0x9E3779B1; h = h xor (h >> 15); h = h + (h << 2)
//! value digest   from 0x243F6A88, mix in each word of the bytes, then the number of bytes without the filling
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
//!                transient_leak_ms), each a u32
//! predecessor    value digest of (program hash, layout hash) of the version before, each a u32, but 1 for 0; 0 if there is none
//! ```
//!
//! A user's value is in postcard 1: `u8`, `i8` and `bool` are a byte. Wider unsigned numbers are LEB128: seven bits a byte, low ones
//! first, the high bit set on all but the last byte. Wider signed numbers are LEB128 of their zigzag, `(n << 1) xor (n >> 31)` for
//! 32 bits. `f32` and `f64` are their bits, little-endian. A struct, a tuple and an array are their fields one behind the other. An
//! option is a byte 0, or 1 and the value. An enum is the number of its variant in LEB128, then the fields of that. A slice or a string
//! is its length in LEB128, then the elements.
//!
//! # Epochs
//!
//! A receiver completes an epoch's low half with the high half that brings it nearest to the epoch in which it expects frames of the
//! sender. The header has the sender's own epoch, 0 after a boot; of a channel that does not serve, and has heard that the other one
//! does, it has that one's. So the header of a Hello may differ from the epoch in its payload.
//!
//! # Hello and Cut
//!
//! Features: 1 can be upgraded while the other half serves; 2 is reserved for frames that end in a tag of 8 bytes in place of the CRC. A
//! receiver refuses features that it does not know or does not share. Flags: 1 empty (the epoch is then the
//! newest one heard of, with the sender for its owner), 2 owns the outputs, 4 outside of the cycle, 8 went on alone and was overtaken,
//! 16 is about to restart. The phase is `4 * committed cycle + 3`; the committed cycle of an empty channel is 0, that of a joining one means
//! nothing. Build is the number of [`Build`](crate::Build). Channels of one version whose program, layout, build or configuration differ
//! do not pair.
//!
//! Who says what: Starting says 1 and 4, and 16 if it is about to restart; Standby says 4, and 8 if it applies, and 1 if it is empty; Simplex
//! says 4, and 2 if it owns, and so does Donor. Duplex and Trial say 2 if they own, without 4, and only in answer. Joining and Safe
//! send none by themselves. Starting, Simplex and Standby send one every `hello_us`; Donor does until the first Ack.
//!
//! A Hello is fresh if it echoes the receiver's nonce and newest challenge. The challenge changes with each fresh Hello that arrives and
//! with each change of mode. A stale Hello with flag 4 is answered with a Hello at once, at most one in `retransmit_us`; a channel that sends a first
//! Cut answers with the Cut, a joiner does not answer its donor, and one in Safe answers nobody. A Cut with another nonce or challenge than the receiver's is refused and answered with
//! a Hello, or by a joiner with an Ack. A fresh Hello with flag 4 is acted upon and not answered. A fresh one without flag 4 that
//! finds its receiver Starting is answered: its sender still believes that the receiver is in the cycle.
//!
//! Of two empty channels A leads. Its Cut names the epoch, one above all that either channel or its arbiter has heard of, and as
//! its owner the first owner of the arbiter. Is that A, then A has the lease before it sends the Cut; is it B, then B claims the
//! lease before it answers. The answer is the first Sample of cycle 1 in the new epoch. In this Cut the microseconds are 0: B starts
//! when it takes the Cut, or has the lease, and A when that Sample comes.
//!
//! A Cut is repeated every `retransmit_us` until the first Sample or Vote of its epoch comes, the one at boot for three periods at most: with the same
//! epoch, the receiver's newest challenge, and the microseconds that are left then, 0 if the cycle has begun. The receiver of a joining
//! Cut starts that many microseconds later less `link_delay_us`, two periods at most.
//!
//! # Starts
//!
//! Each start is a period after the scheduled start before it, whenever the channel came to begin, and is moved towards the other
//! channel's. The skew is half of the difference of two arrivals: that of the peer's Sample here, and that of the own Sample there, which
//! the peer's Vote tells; both as they are sent, in units and rounded. A start moves by half of the skew, rounded towards zero, and by
//! an eighth of a period at most: with the same two numbers both channels move by the same in opposite directions. It does not move
//! if one of both is not known, nor after a held cycle. Half of the sum is the delay: no frame of the cycle is sent again before nine
//! quarters of it have passed.
//!
//! # The cycle
//!
//! The ack of a Sample, a Vote and a HandOver is the phase of the last vote or sample that the sender has of the receiver without a gap: at
//! the start of cycle k `4 * (k - 1) + 1`, the vote of the cycle before, also if that is the cycle of a Cut, in which nobody voted; with the
//! sample of k `4 * k`; with the vote, too, `4 * k + 1`; with the sample of k + 1 besides, `4 * (k + 1)`. In other kinds but Evidence and
//! Settled it is the same number, and nobody reads it.
//!
//! Sample and Vote are each repeated every `retransmit_us` until an ack covers them; what was sent last is repeated even then, until the
//! cycle is settled. A Sample or a Vote that came before is a repetition: if its ack lacks the receiver's sample or vote, that is sent
//! at once, also of the cycle before. The arrival in a Vote tells how long after the sender's start of the cycle the receiver's sample
//! arrived, in units of `period_us / 32768 + 1` microseconds, rounded towards zero; -32768 if that is not known, as in a held cycle
//! or in a repetition for the cycle before.
//!
//! Evidence has findings 1 the checkpoint holds, 2 saw the mismatch itself, 4 had the receiver's first vote; health 1 the self-test
//! failed, 2 memory was mended, 4 the hardware reported an error, 8 a sample or control data was mended; the digests of first votes, which are
//! over input digest, state digest and output; and the levels of A, of B, of the path, of the comparators of A and of B, before the
//! suspicion of this cycle. It is sent once the own first vote is out and the votes differ, or the peer's Evidence of the cycle came: check the checkpoint, roll
//! back, step once more; the second vote replaces the first, and the payload does not change again. Its ack is its own phase if the sender has
//! the receiver's evidence, else the one before. It is repeated every `retransmit_us` until the peer's Evidence is there and acknowledges
//! it. One that does not acknowledge is answered at once, also of the cycle before.
//!
//! Settled answers each Evidence that does not acknowledge and is of a cycle that the sender has committed without one: findings 1 (and 4),
//! health 0; its phase is `4 * cycle + 3`, its ack field 0. It counts as the peer's evidence and acknowledges: its receiver sends its
//! Evidence once more, now with the ack, and no more.
//!
//! A channel that leaves or goes on alone by the evidence waits for its acknowledgement, until the deadline at most. Of each bucket the
//! fuller one of both sides counts. With n whole periods in `transient_leak_ms`, one at least, each cycle of duplex whose number is a multiple
//! of n takes one off each; with 0 ms none does.
//!
//! # The copy
//!
//! Block, Ack, Want, Compare, Same, Upgrade, Parcel and Order have the phase `4 * committed cycle + 3`, but a Same has the phase of the
//! Compare that it answers. A donor's Block, Compare and Cut speak of its checkpoint after the cycle of their phase. The joiner puts
//! the donor's epoch into its frames.
//!
//! A channel that serves alone becomes a donor on a fresh Hello with flag 4 and without 2 and 16. It answers with a Hello and Blocks. The other
//! one becomes a joiner at the first Block: it sends no Hello from then on, and its first frame is an Ack, whose challenge the Cut has to
//! carry. After ten periods without a Block it starts over as an empty channel.
//!
//! Serials begin anywhere, rise by one with each block, and wrap; a donor has at most 32 unacknowledged. A joiner takes only rising
//! ones and acknowledges each block it gets; one Ack may stand for several. Bit n of the mask stands for the bytes from `4 * n` on, and
//! all words have to be there: others are refused as unsupported.
//!
//! To a joiner that has a state the donor sends Compares between the Blocks, one at a time, of ever smaller ranges; each is answered with one
//! Same, and one that is not is repeated after `2 * link_delay_us + retransmit_us`. A range that is the same is not sent. A Compare that
//! reaches past the last block is of the blocks that there are. In duplex a channel whose copies of a block are both damaged sends a Want every
//! `retransmit_us` until a Block with serial 0 has come.
//!
//! # Upgrade, Order and HandOver
//!
//! Steps: 0 Idle, 1 Prepare, 2 Split, 3 OldDrives, 4 Switchover, 5 NewDrives, 6 Commit, 7 Merge, 8 Abort. Part: 1 ready, 2 image
//! confirmed, 4 the trial failed, 8 wants an answer, 16 owns, 32 the state was not taken over. An Upgrade counts if its serial is above
//! the last one's of this pair of boots, modulo 2^16. It is sent at once when the step, the candidate, a confirmation or the peer's version has changed, and else repeated every `hello_us`, or every
//! period if that is longer, while there is something to tell; in step Idle every sixteenth time. One that wants an answer gets one if its receiver would not send any by
//! itself.
//!
//! Orders: 1 Prepare, 2 Split, 3 Switchover, 4 Commit, 5 Abort. Refusals, and what is more of them: 0 none; 1 not ready (bits of
//! [`NotReady`](crate::upgrade::NotReady)), 2 no order of this step (the step), 3 the trial was too short (cycles still to go, 65535 for that many and
//! more), 4 the trial failed, 5 no way back, 8 an unknown order. An Order is sent at once and repeated every `hello_us`, or every
//! period if that is longer, until the receiver has answered its number. The owner carries out
//! a number above the one it answered last, modulo 2^16, and answers each Order that it gets; the answer to a number stays the same.
//!
//! A HandOver has the phase `4 * cycle` of the first cycle that the sender leaves to the receiver. It is repeated every `retransmit_us`
//! until the first frame of the receiver's new epoch; meanwhile the sender answers for the cycle before and says nothing
//! else of the cycle. The receiver claims the next counter with itself as the owner, and uses that epoch in each frame from the grant on.
//!
//! Anything that does not parse is dropped with a [`Reject`]. How channels behave beyond the format stands in `handshake`,
//! `reintegrate` and `node`.

mod copy;
mod evidence;
mod hello;
mod kind;
mod payload;
mod reject;
mod upgrade;
mod vote;

pub(crate) use copy::longest_block_bytes;
pub use copy::{AckPayload, BlockPayload, ComparePayload, SamePayload, WantPayload};
pub(crate) use evidence::EVIDENCE_BYTES;
pub use evidence::{EvidencePayload, Finding};
pub use hello::{Cut, Features, Hello, Standing};
pub use kind::Kind;
pub use payload::Payload;
pub use reject::Reject;
pub use upgrade::{OrderPayload, Part, UpgradePayload};
pub use vote::{
    ARRIVAL_UNKNOWN, SAMPLE_DIGEST_BYTES, VOTE_DIGEST_BYTES, VoteFrame, VotePayload, arrival_unit_us, split_sample,
};
pub(crate) use vote::{arrival, arrival_us, sound_sample};

use crate::bytes::copy;
use crate::digest::Crc32c;
use crate::ids::{ChannelId, Epoch, PairId, Phase};

/// The version of the frame format.
pub const VERSION: u8 = 5;
/// Bytes of a frame beside its payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + CRC_BYTES;
/// The longest frame.
pub const MAX_FRAME_BYTES: usize = 655;

/// The frame of a `Hello`.
pub(crate) const HELLO_FRAME_BYTES: usize = OVERHEAD_BYTES + Hello::BYTES;

const HEADER_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
/// Set in the first byte of a frame of another format, as all before version 5 are.
const OTHER_FORMAT: u8 = 0x80;

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

/// As [`parse`], with the CRC comparison switchable for negative controls.
pub(crate) fn parse_checked<'b>(bytes: &'b [u8], keys: &Keys, check_crc: bool) -> Result<(Header, &'b [u8]), Reject> {
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(Reject::TooLong);
    }
    let (covered, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Reject::TooShort)?;
    let (header, payload) = covered.split_first_chunk::<HEADER_BYTES>().ok_or(Reject::TooShort)?;
    let [first, e0, e1, p0, p1, p2, p3, ack] = *header;
    if first & OTHER_FORMAT != 0 {
        return Err(Reject::Version);
    }
    let kind = Kind::of_number(first >> 1).ok_or(Reject::Kind)?;
    let epoch = keys.epoch.nearest(u16::from_le_bytes([e0, e1]));
    if check_crc && frame_crc(covered, kind, epoch, keys) != u32::from_le_bytes(*crc) {
        return Err(Reject::Crc);
    }
    if kind.is_reserved() {
        return Err(Reject::Unsupported);
    }
    // Whatever else it has: its first byte stays where it is.
    if kind == Kind::Hello && payload.first().is_some_and(|format| *format != VERSION) {
        return Err(Reject::Version);
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
    let first = (header.kind as u8) << 1 | header.sender.index() as u8;
    *head = [first, e0, e1, p0, p1, p2, p3, ack.cast_unsigned()];
    let room = rest.get_mut(..payload_bytes).ok_or(too_small)?;
    let end = HEADER_BYTES + write(room).ok_or(too_small)?;
    let (covered, tail) = buffer.split_at_mut_checked(end).ok_or(too_small)?;
    let crc = frame_crc(covered, header.kind, header.epoch, keys);
    *tail.first_chunk_mut::<CRC_BYTES>().ok_or(too_small)? = crc.to_le_bytes();
    Ok(end + CRC_BYTES)
}

/// As [`build`], of a payload of this library's own.
///
/// # Errors
/// As for [`build`].
pub fn build_of<'b>(
    buffer: &mut [u8],
    header: &Header,
    keys: &Keys,
    payload: &impl Payload<'b>,
) -> Result<usize, BufferTooSmall> {
    let payload_bytes = payload.payload_bytes();
    build(buffer, header, keys, payload_bytes, |room| payload.write(room).map(|()| payload_bytes))
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
    let start = if kind == Kind::Hello { Crc32c::new() } else { Crc32c::of_byte(VERSION) };
    let mut crc = start.with(covered).with(&keys.pair.0.to_le_bytes());
    if kind.is_between_two_boots() {
        let [a, b] = keys.nonces;
        crc = crc.with(&epoch.high().to_le_bytes()).with(&a.to_le_bytes()).with(&b.to_le_bytes());
    }
    crc.finish()
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
        assert_eq!(buffer[..8], [0x09, 0x02, 0x00, 37, 0, 0, 0, 0xFF]);
        let reference = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
        let mut covered = vec![VERSION];
        covered.extend(&buffer[..length - 4]);
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
        assert_eq!(with_first(0x80 | 4 << 1), Err(Reject::Version));
        for kind in [0, 18, 63] {
            assert_eq!(with_first(kind << 1), Err(Reject::Kind));
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
