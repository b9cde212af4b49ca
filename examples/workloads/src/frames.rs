//! A frame of 32 bytes built and parsed, and a vote of 1 KiB compared; and what each is held against.

use core::hint::black_box;
use crc::{CRC_32_ISCSI, Crc, Table};
use twinstep::ids::{Phase, Stage};
use twinstep::vote::same_bytes;
use twinstep::wire::{self, Header, Keys, Kind};
use twinstep::{ChannelId, Cycle, Epoch, PairId};

const PAYLOAD_BYTES: usize = 32;
const VOTE_BYTES: usize = 1024;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// A payload, room for a frame of it, and two votes that are the same.
pub(crate) struct Bytes {
    payload: [u8; PAYLOAD_BYTES],
    frame: [u8; 64],
    votes: [[u8; VOTE_BYTES]; 2],
}

impl Bytes {
    pub(crate) const fn new() -> Self {
        Self { payload: [0x5A; PAYLOAD_BYTES], frame: [0; 64], votes: [[0xA5; VOTE_BYTES]; 2] }
    }

    fn frame(&mut self) -> Option<u8> {
        let epoch = Epoch::new(1, ChannelId::A);
        let phase = Phase::new(Cycle(7), Stage::Sample);
        let header = Header { kind: Kind::Sample, sender: ChannelId::A, epoch, phase, ack: phase };
        let keys = Keys { pair: PairId(1), epoch, nonces: [1, 2] };
        let payload = &self.payload;
        let write = |room: &mut [u8]| {
            room.copy_from_slice(payload);
            Some(payload.len())
        };
        let length = wire::build(&mut self.frame, &header, &keys, PAYLOAD_BYTES, write).ok()?;
        let (_, payload) = wire::parse(black_box(self.frame.get(..length)?), &keys).ok()?;
        payload.first().copied()
    }

    /// The same by postcard with a CRC by table: a header of the same fields, and the bytes.
    fn by_postcard(&mut self) -> Option<u8> {
        type Frame = (u8, u32, u32, u32, [u8; PAYLOAD_BYTES]);
        let frame: Frame = (3, 2, 28, 28, self.payload);
        let digest = || CRC.digest();
        let length = postcard::to_slice_crc32(&frame, &mut self.frame, digest()).ok()?.len();
        let bytes = black_box(self.frame.get(..length)?);
        let (.., payload): Frame = postcard::from_bytes_crc32(bytes, digest()).ok()?;
        payload.first().copied()
    }
}

#[inline(never)]
pub(crate) fn nothing(bytes: &mut Bytes, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(&mut *bytes);
    }
}

#[inline(never)]
pub(crate) fn frame(bytes: &mut Bytes, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *bytes).frame());
    }
}

#[inline(never)]
pub(crate) fn frame_by_postcard(bytes: &mut Bytes, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *bytes).by_postcard());
    }
}

#[inline(never)]
pub(crate) fn vote(bytes: &mut Bytes, repetitions: u32) {
    for _ in 0..repetitions {
        let [a, b] = &black_box(&mut *bytes).votes;
        black_box(same_bytes(black_box(a), black_box(b)));
    }
}

#[inline(never)]
pub(crate) fn vote_by_slices(bytes: &mut Bytes, repetitions: u32) {
    for _ in 0..repetitions {
        let [a, b] = &black_box(&mut *bytes).votes;
        black_box(black_box(a.as_slice()) == black_box(b.as_slice()));
    }
}
