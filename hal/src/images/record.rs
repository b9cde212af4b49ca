//! RECORD  the 32 bytes that say what is booted at the next reset.
//!
//! ```text
//!  0  4  magic: 54 57 52 31, "TWR1"
//!  4  4  sequence: the highest one counts
//!  8  1  state: 3C stable, 5A marked, 96 on trial, A5 rejected, C3 returning
//!  9  1  home, the slot with the confirmed image: 55 A, AA B
//! 10  1  what the other slot holds: 0F nothing, 33 an image that is being staged or was, F0 the image before
//! 11  1  0
//! 12  4  floor
//! 16  4  check of the header in the other slot; 0 if it holds nothing
//! 20  4  bytes staged for certain; 0 unless an image is being staged or was
//! 24  4  0
//! 28  4  CRC-32C of bytes 0 to 27
//! ```
//!
//! Each record holds all there is to know, so only one has to be read. A record whose check fits but whose words are
//! not known is none of these states: nothing is booted by it. Later formats keep sequence and check where they are.

use super::Slot;
use serde::{Deserialize, Serialize};
use twinstep::digest::Crc32c;

/// Bytes of a record.
pub(super) const RECORD_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"TWR1";

/// What the next reset does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BootState {
    /// It boots the image that runs.
    Stable,
    /// It boots the candidate, on trial.
    Marked,
    /// The candidate runs on trial. It boots the image before.
    OnTrial,
    /// The candidate runs and was rejected. It boots the image before.
    Rejected,
    /// It boots the image before, which was confirmed once.
    Returning,
}

impl core::fmt::Display for BootState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::Marked => "a candidate is marked",
            Self::OnTrial => "a candidate is on trial",
            Self::Rejected => "a candidate was rejected",
            Self::Returning => "the image before is to be booted",
        })
    }
}

/// What the slot holds in which the confirmed image is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// Nothing of use.
    Nothing,
    /// An image that was not confirmed: so many bytes of it are there for certain.
    Staged {
        /// Its header's.
        id: u32,
        /// Of image and signature.
        bytes: u32,
    },
    /// The image that was confirmed before.
    Before {
        /// Its header's.
        id: u32,
    },
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) state: BootState,
    /// The slot with the confirmed image.
    pub(super) home: Slot,
    pub(super) other: Other,
    pub(super) floor: u32,
}

impl Record {
    /// Returns the slot that runs, if all went by the records.
    pub(super) const fn running(&self) -> Slot {
        match self.state {
            BootState::Stable | BootState::Marked | BootState::Returning => self.home,
            BootState::OnTrial | BootState::Rejected => self.home.other(),
        }
    }
}

/// What 32 bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Torn, or never written.
    None,
    /// A record.
    Known(u32, Record),
    /// A whole record, of which the sequence is all that is understood.
    Unknown(u32),
}

/// Reads a record.
pub(super) fn decode(bytes: &[u8; RECORD_BYTES]) -> Found {
    let Some((front, check)) = bytes.split_last_chunk::<4>() else { return Found::None };
    if Crc32c::new().with(front).finish().to_le_bytes() != *check {
        return Found::None;
    }
    let (words, _) = bytes.as_chunks::<4>();
    let [magic, sequence, codes, floor, id, staged, zero, _] = words else { return Found::None };
    let sequence = u32::from_le_bytes(*sequence);
    let record = known(codes, u32::from_le_bytes(*floor), u32::from_le_bytes(*id), u32::from_le_bytes(*staged));
    match record {
        Some(record) if *magic == MAGIC && *zero == [0; 4] => Found::Known(sequence, record),
        _ => Found::Unknown(sequence),
    }
}

fn known(codes: &[u8; 4], floor: u32, id: u32, bytes: u32) -> Option<Record> {
    let [state, home, other, 0] = *codes else { return None };
    let state = match state {
        0x3C => BootState::Stable,
        0x5A => BootState::Marked,
        0x96 => BootState::OnTrial,
        0xA5 => BootState::Rejected,
        0xC3 => BootState::Returning,
        _ => return None,
    };
    let home = match home {
        0x55 => Slot::A,
        0xAA => Slot::B,
        _ => return None,
    };
    let other = match (other, id, bytes) {
        (0x0F, 0, 0) => Other::Nothing,
        (0x33, id, bytes) => Other::Staged { id, bytes },
        (0xF0, id, 0) => Other::Before { id },
        _ => return None,
    };
    // Only what was staged is tried, and only what was confirmed is returned to.
    let fits = match state {
        BootState::Stable => true,
        BootState::Marked | BootState::OnTrial | BootState::Rejected => matches!(other, Other::Staged { .. }),
        BootState::Returning => matches!(other, Other::Before { .. }),
    };
    fits.then_some(Record { state, home, other, floor })
}

/// Returns the bytes of a record.
pub(super) fn encode(sequence: u32, record: &Record) -> [u8; RECORD_BYTES] {
    let state = match record.state {
        BootState::Stable => 0x3C,
        BootState::Marked => 0x5A,
        BootState::OnTrial => 0x96,
        BootState::Rejected => 0xA5,
        BootState::Returning => 0xC3,
    };
    let home = match record.home {
        Slot::A => 0x55,
        Slot::B => 0xAA,
    };
    let (other, id, staged) = match record.other {
        Other::Nothing => (0x0F, 0, 0),
        Other::Staged { id, bytes } => (0x33, id, bytes),
        Other::Before { id } => (0xF0, id, 0),
    };
    let words = [
        MAGIC,
        sequence.to_le_bytes(),
        [state, home, other, 0],
        record.floor.to_le_bytes(),
        u32::to_le_bytes(id),
        u32::to_le_bytes(staged),
        [0; 4],
    ];
    let mut bytes = [0; RECORD_BYTES];
    let check = Crc32c::new().with(words.as_flattened()).finish().to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(words.iter().chain([&check]).flatten()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const OTHERS: [Other; 3] = [Other::Nothing, Other::Staged { id: 7, bytes: 512 }, Other::Before { id: 0 }];
    const STATES: [BootState; 5] =
        [BootState::Stable, BootState::Marked, BootState::OnTrial, BootState::Rejected, BootState::Returning];

    fn checked(mut bytes: [u8; RECORD_BYTES]) -> [u8; RECORD_BYTES] {
        let check = Crc32c::new().with(&bytes[..28]).finish();
        bytes[28..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    #[test]
    fn every_record_comes_back_and_what_makes_no_sense_does_not() {
        let mut known: Vec<(BootState, usize)> = Vec::new();
        for home in [Slot::A, Slot::B] {
            for state in STATES {
                for (at, other) in OTHERS.into_iter().enumerate() {
                    let record = Record { state, home, other, floor: 0x0102_0304 };
                    let found = decode(&encode(99, &record));
                    assert!(found == Found::Known(99, record) || found == Found::Unknown(99), "{found:?}");
                    if let (Found::Known(..), Slot::A) = (found, home) {
                        known.push((state, at));
                    }
                }
            }
        }
        use BootState::*;
        let expected =
            [(Stable, 0), (Stable, 1), (Stable, 2), (Marked, 1), (OnTrial, 1), (Rejected, 1), (Returning, 2)];
        assert_eq!(known, expected);
    }

    #[test]
    fn any_flipped_bit_makes_it_none() {
        let bytes = encode(5, &Record { state: BootState::Marked, home: Slot::A, other: OTHERS[1], floor: 1 });
        for bit in 0..8 * RECORD_BYTES {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged), Found::None);
        }
        assert_eq!(decode(&[0; RECORD_BYTES]), Found::None);
        assert_eq!(decode(&[0xFF; RECORD_BYTES]), Found::None);
    }

    #[test]
    fn no_unknown_word_under_a_good_check_means_anything() {
        let bytes = encode(5, &Record { state: BootState::Marked, home: Slot::A, other: OTHERS[1], floor: 1 });
        // All values of each byte that is not a free number.
        for at in (0..4).chain(8..12).chain(24..28) {
            for value in 0..=255 {
                let mut changed = bytes;
                changed[at] = value;
                let found = decode(&checked(changed));
                let named = match at {
                    8 => [0x3C, 0x5A, 0x96, 0xA5].contains(&value),
                    9 => [0x55, 0xAA].contains(&value),
                    _ => value == bytes[at],
                };
                assert_eq!(matches!(found, Found::Known(5, _)), named, "byte {at} = {value:02x}: {found:?}");
                assert!(named || found == Found::Unknown(5));
            }
        }
    }
}
