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
use std::vec;
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
    /// A slower line: all of this direction takes so much longer, for a while.
    Slow {
        /// How much longer.
        by_us: u64,
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
#[derive(Clone, Copy, Debug)]
pub struct Secrets {
    /// Identity of the pair.
    pub pair: PairId,
    /// The epoch of its frames.
    pub epoch: Epoch,
    /// The nonces of A and B.
    pub nonces: [u32; 2],
}

/// A frame that arrives somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The bytes.
    pub frame: Vec<u8>,
    /// How much later than it would have.
    pub late_us: u64,
    /// It comes back to its sender.
    pub is_back: bool,
}

/// What a disturbance makes of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disturbed {
    /// What arrives, in this order.
    pub arrivals: Vec<Arrival>,
    /// The frame is to come after the next one.
    pub is_held_back: bool,
    /// What is done to the next frame.
    pub next: Option<Disturbance>,
}

impl Disturbance {
    /// Does it to one frame. Those that stop a direction for a while do nothing to a single frame.
    pub fn apply(self, rng: &mut Rng, frame: &[u8], secrets: &Secrets) -> Disturbed {
        let arrival = |frame: Vec<u8>| Arrival { frame, late_us: 0, is_back: false };
        let whole = || arrival(frame.to_vec());
        let of = |arrivals: Vec<Arrival>| Disturbed { arrivals, ..Disturbed::default() };
        let again = |frames: u32| (frames > 1).then_some(frames - 1);
        match self {
            Self::Repetition { late_us } => of(vec![whole(), Arrival { late_us, ..whole() }]),
            Self::Loss { frames } => {
                Disturbed { next: again(frames).map(|frames| Self::Loss { frames }), ..Disturbed::default() }
            }
            Self::Delay { late_us } => of(vec![Arrival { late_us, ..whole() }]),
            Self::Insertion => {
                let mut noise: Vec<u8> = (0..rng.usize(1..80)).map(|_| rng.u8(..)).collect();
                // Half of it looks like a frame at first.
                if rng.bool() {
                    let header = noise.len().min(8).min(frame.len());
                    noise[..header].copy_from_slice(&frame[..header]);
                }
                of(vec![arrival(noise), whole()])
            }
            Self::Masquerade => of(vec![arrival(masquerade(rng, frame, secrets))]),
            Self::IncorrectAddressing => of(vec![Arrival { is_back: true, ..whole() }]),
            Self::IncorrectSequence => Disturbed { is_held_back: true, ..Disturbed::default() },
            Self::Corruption { bits } => of(vec![arrival(corrupted(rng, frame, bits))]),
            Self::AsymmetricInformation { frames } => {
                let bits = rng.u32(0..6);
                let next = again(frames).map(|frames| Self::AsymmetricInformation { frames });
                Disturbed { next, ..of(vec![arrival(corrupted(rng, frame, bits))]) }
            }
            Self::Subset { .. } | Self::Stalled { .. } | Self::Slow { .. } | Self::Blocked { .. } => {
                Disturbed::default()
            }
        }
    }
}

fn corrupted(rng: &mut Rng, frame: &[u8], bits: u32) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    corrupt(rng, &mut bytes, bits);
    bytes
}

/// Flips bits, or cuts the end off.
fn corrupt(rng: &mut Rng, frame: &mut Vec<u8>, bits: u32) {
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
fn masquerade(rng: &mut Rng, frame: &[u8], secrets: &Secrets) -> Vec<u8> {
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
