//! The link faults that AUTOSAR's end-to-end protection knows, by their names, one at a time.
//!
//! They are named for a sender and its receivers; here there is one receiver a direction. What needs
//! several is mapped to what the one receiver, compared with the sender's own view or with the other
//! direction, can see of it:
//!
//! ```text
//! asymmetric information         the repetitions of a frame differ from each other: some frames of
//!                                one direction arrive damaged, each in another way, while the other
//!                                direction is sound
//! received by a subset           one direction carries nothing for a while, the other one does
//! ```

use crate::ids::{ChannelId, Epoch, PairId};
use crate::wire::{self, Header, Keys, MAX_FRAME_BYTES};
use fastrand::Rng;
use std::vec::Vec;

/// What happens to the next frame of a sender, or to its frames for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Repetition: the frame comes again.
    Repetition {
        /// How much later.
        late_us: u64,
    },
    /// Loss.
    Loss {
        /// Of how many frames, one after the other.
        frames: u32,
    },
    /// Delay.
    Delay {
        /// By how much.
        late_us: u64,
    },
    /// Insertion: bytes that nobody sent come before the frame.
    Insertion,
    /// Masquerade: a frame of another pair comes in place of this one, right in all but the pair's
    /// identity, with another payload.
    Masquerade,
    /// Incorrect addressing: the frame comes back to its sender and not to the peer.
    IncorrectAddressing,
    /// Incorrect sequence: the frame comes after the next one.
    IncorrectSequence,
    /// Corruption: this many bits of the frame are flipped, or its end is missing.
    Corruption {
        /// Bits; 0: the end is missing.
        bits: u32,
    },
    /// Asymmetric information: this many frames of this direction are each corrupted in another way.
    AsymmetricInformation {
        /// Frames.
        frames: u32,
    },
    /// Received by a subset: this direction carries nothing for a while.
    Subset {
        /// How long.
        for_us: u64,
    },
    /// Delay of all: this direction carries nothing for a while, and then all of it at once.
    Stalled {
        /// How long.
        for_us: u64,
    },
    /// Blocked channel: neither direction carries anything for a while.
    Blocked {
        /// How long.
        for_us: u64,
    },
}

/// The pair as the link knows it.
pub(super) struct Secrets {
    pub(super) pair: PairId,
    pub(super) epoch: Epoch,
    pub(super) nonces: [u32; 2],
}

/// Flips bits, or cuts the end off.
pub(super) fn corrupt(rng: &mut Rng, frame: &mut Vec<u8>, bits: u32) {
    if bits == 0 {
        frame.truncate(rng.usize(0..=frame.len().saturating_sub(1)));
    }
    for _ in 0..bits {
        let bit = rng.usize(0..(frame.len() * 8).max(1));
        if let Some(byte) = frame.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// Returns the frame with another payload, as a channel of another pair would send it.
pub(super) fn masquerade(rng: &mut Rng, frame: &[u8], secrets: &Secrets) -> Vec<u8> {
    let Secrets { pair, epoch, nonces } = *secrets;
    let Ok((header, payload)) = wire::parse(frame, &Keys { pair, epoch, nonces }) else { return frame.to_vec() };
    let mut payload = payload.to_vec();
    corrupt(rng, &mut payload, 1 + rng.clone().u32(0..4));
    let epoch = header.epoch;
    let foreign = Keys { pair: PairId(pair.0 ^ rng.u32(1..)), epoch, nonces };
    build(&header, &foreign, &payload).unwrap_or_default()
}

fn build(header: &Header, keys: &Keys, payload: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [0; MAX_FRAME_BYTES];
    let length = wire::build(&mut buffer, header, keys, payload.len(), |room| {
        room.copy_from_slice(payload);
        Some(payload.len())
    });
    Some(buffer.get(..length.ok()?)?.to_vec())
}

/// The last frames of each sender, to be replayed.
#[derive(Default)]
pub(super) struct Recorder {
    frames: [Vec<Vec<u8>>; 2],
    next: [usize; 2],
}

/// Frames kept of each sender.
const KEPT: usize = 256;

impl Recorder {
    pub(super) fn note(&mut self, sender: ChannelId, frame: &[u8]) {
        let (kept, next) = (&mut self.frames[sender.index()], &mut self.next[sender.index()]);
        if kept.len() < KEPT {
            kept.push(frame.to_vec());
        } else {
            let place = &mut kept[*next % KEPT];
            place.clear();
            place.extend_from_slice(frame);
        }
        *next = (*next + 1) % KEPT;
    }

    /// Returns how many frames of a sender are kept.
    pub(super) fn kept(&self, sender: ChannelId) -> usize {
        self.frames[sender.index()].len()
    }

    /// Returns the frame that was sent this many frames before the last one.
    pub(super) fn back(&self, sender: ChannelId, age: usize) -> Option<&[u8]> {
        let (kept, next) = (&self.frames[sender.index()], self.next[sender.index()]);
        let place = next + kept.len().checked_sub(1 + age)?;
        kept.get(place % kept.len()).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_goes_back_frame_by_frame() {
        let mut recorder = Recorder::default();
        assert_eq!(recorder.back(ChannelId::A, 0), None);
        for number in 0..KEPT + 10 {
            recorder.note(ChannelId::A, &number.to_le_bytes());
            assert_eq!(recorder.back(ChannelId::A, 0), Some(&number.to_le_bytes()[..]));
            let oldest = number.saturating_sub(KEPT - 1);
            assert_eq!(recorder.back(ChannelId::A, number - oldest), Some(&oldest.to_le_bytes()[..]));
        }
        assert_eq!(recorder.back(ChannelId::B, 0), None);
        assert_eq!((recorder.kept(ChannelId::A), recorder.back(ChannelId::A, KEPT)), (KEPT, None));
    }
}
