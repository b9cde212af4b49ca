//! A reader of frames made from the documentation alone: its own layouts, its own CRC.

use crc::{CRC_32_ISCSI, Crc};
use std::fmt::Write as _;
use twinstep::wire::Keys;

/// Number, name, fields; a field of no type is the rest.
const LAYOUTS: [(u8, &str, &str); 17] = [
    (
        1,
        "Hello",
        "format:u8 features:u8 flags:u16 nonce:x32 challenge:u32 echoed-nonce:x32 echoed-challenge:u32 epoch:e32 \
         committed:u32 program:x32 layout:x32 build:x32 configuration:x32 predecessor:x32",
    ),
    (2, "Cut", "nonce:x32 receiver:x32 challenge:u32 epoch:e32 base:u32 region:x32 starts-in-us:u32"),
    (3, "Sample", "digest:x32 input"),
    (4, "Vote", "arrival:i16 input-digest:x32 state-digest:x32 output"),
    (5, "Block", "serial:u16 block:u16 mask:x16 words"),
    (6, "Ack", "challenge:u32 highest:u16 taken:x32"),
    (7, "Want", "block:u16"),
    (8, "Compare", "first:u16 exponent:u8 digest:x32"),
    (9, "Same", "first:u16 exponent:u8 same:u8"),
    (10, "Evidence", "findings:u8 health:u8 first:x32 peer-first:x32 a:u8 b:u8 path:u8 of-a:u8 of-b:u8 vote"),
    (11, "Settled", "findings:u8 health:u8 first:x32 peer-first:x32 a:u8 b:u8 path:u8 of-a:u8 of-b:u8 vote"),
    (
        12,
        "Upgrade",
        "serial:u16 step:u8 part:u8 version:u32 candidate:u32 tried:u32 tolerated:u32 differing:u32 cannot-migrate:u16",
    ),
    (13, "HandOver", ""),
    (14, "Parcel", "content"),
    (15, "Order", "number:u16 order:u8 refusal:u8 answered:u16 detail:u16"),
    (16, "Rendezvous", "content"),
    (17, "Key", "content"),
];

pub fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn crc_of(bytes: &[u8], keys: &Keys) -> u32 {
    let kind = bytes[0] >> 1;
    let mut covered = if kind == 1 { Vec::new() } else { vec![5] };
    covered.extend(bytes);
    covered.extend(keys.pair.0.to_le_bytes());
    if kind >= 3 {
        covered.extend(((keys.epoch.counter() >> 15) as u16).to_le_bytes());
        covered.extend(keys.nonces.iter().flat_map(|nonce| nonce.to_le_bytes()));
    }
    Crc::<u32>::new(&CRC_32_ISCSI).checksum(&covered)
}

/// Returns a frame with the CRC that belongs to its other bytes.
pub fn sealed(frame: &[u8], keys: &Keys) -> Vec<u8> {
    let covered = &frame[..frame.len() - 4];
    [covered, &crc_of(covered, keys).to_le_bytes()].concat()
}

/// Knows what is not sent.
pub struct Reader {
    boots: Vec<Keys>,
}

impl Reader {
    pub fn of(keys: &Keys) -> Self {
        Self { boots: vec![*keys] }
    }

    /// Reads frames of a further pair of boots.
    pub fn reads(&mut self, keys: &Keys) {
        self.boots.push(*keys);
    }

    /// Tells what a frame means.
    pub fn tell(&self, frame: &[u8]) -> String {
        let (covered, crc) = frame.split_at(frame.len() - 4);
        let crc = u32::from_le_bytes(crc.try_into().unwrap());
        assert!(self.boots.iter().any(|keys| crc_of(covered, keys) == crc), "CRC of {}", in_hex(frame));
        assert!(covered[0] < 0x80, "a frame of another format");
        let (_, name, fields) = LAYOUTS.iter().find(|(number, ..)| *number == covered[0] >> 1).unwrap();
        let epoch = u16::from_le_bytes([covered[1], covered[2]]);
        let phase = u32::from_le_bytes(covered[3..7].try_into().unwrap());
        let ack = phase.wrapping_add_signed(i32::from(covered[7] as i8));
        let mut told = format!("{name} from {}", ["A", "B"][usize::from(covered[0] & 1)]);
        write!(told, " epoch-low={epoch:04x} phase={} ack={}", phase_of(phase), phase_of(ack)).unwrap();
        let mut rest = &covered[8..];
        for field in fields.split_whitespace() {
            let Some((name, form)) = field.split_once(':') else {
                write!(told, " {field}={}", in_hex(rest)).unwrap();
                rest = &[];
                break;
            };
            let bytes = form[1..].parse::<usize>().unwrap() / 8;
            let (number, after) = rest.split_at(bytes);
            rest = after;
            let number = number.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            let number = match &form[..1] {
                "x" => format!("{number:0digits$x}", digits = 2 * bytes),
                "i" => (number as i16).to_string(),
                "e" => epoch_of(number),
                _ => number.to_string(),
            };
            write!(told, " {name}={number}").unwrap();
        }
        assert!(rest.is_empty(), "{} bytes too many in {}", rest.len(), in_hex(frame));
        told
    }
}

fn epoch_of(epoch: u32) -> String {
    format!("{}{}", epoch >> 1, ["A", "B"][epoch as usize & 1])
}

fn phase_of(phase: u32) -> String {
    let stage = ["sample", "vote", "evidence", "settled"][phase as usize & 3];
    format!("{}.{stage}", phase >> 2)
}
