//! Messages between one board and the plant side.
//!
//! The plant side has the sensors, the actuators and the output relay. The relay is the
//! arbiter of the pair: it takes the newest epoch that is claimed and cuts the other
//! board off, so at most one board's drives get through.
//!
//! ```text
//! plant -> board   Boot once; Reading; Lease on every change, and as the answer to a claim;
//!                  Readmit, Forgive; of an upgrade: Image before Boot and on every change,
//!                  Order, Done, RestartFailed
//! board -> plant   Ready; Sampled, Settled and Drive for each cycle; Claim; Copying;
//!                  Repaired on every change; Happened for each entry of the journal; Failed;
//!                  of an upgrade: Upgrade on every change, Answered, Duty, Differed
//! ```
//!
//! The plant side has the images and the bootloader of each board, too: a board asks by Duty for what a bootloader is
//! to do, and is told by Image what it would read there.
//!
//! A message is the canonical encoding of its value. How messages are told apart in a
//! stream of bytes is the carrier's matter.

mod upgrade;

pub use upgrade::{DutyCode, OrderCode, RefusalCode, StepCode};

use crate::{Drive, Reading};
use serde::{Deserialize, Serialize};
use twinstep::journal::Entry;
use twinstep::{ChannelId, Epoch, Mode, Outcome, canonical};

/// The length of the longest message; anything longer is none.
pub const MAX_MESSAGE_BYTES: usize = 33;

/// What the plant side tells a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToBoard {
    /// Start as this channel. Boards run one image and learn here who they are.
    Boot {
        /// The channel to be.
        side: Side,
        /// A number that differs at every boot of this channel.
        nonce: u32,
        /// Identity of the pair.
        pair: u32,
        /// Held cycles that are borne before the relay is asked.
        patience: u8,
    },
    /// What this board's sensors read.
    Reading(Reading),
    /// The epoch whose owner the relay lets through from now on.
    Lease {
        /// That epoch.
        through: Epoch,
        /// The claim this answers, if it is an answer.
        answers: Option<Epoch>,
    },
    /// Forget what this channel was suspected of, and let it take part again.
    Readmit {
        /// The channel.
        side: Side,
    },
    /// What this board's bootloader knows.
    Image(Image),
    /// Go a step of an upgrade.
    Order(OrderCode),
    /// What was asked for has been done.
    Done(DutyCode),
    /// The board cannot be restarted as it asked.
    RestartFailed,
    /// Clear the record of the first fault: somebody has looked at it.
    Forgive,
}

/// What a bootloader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Whether the running image boots again after a reset.
    pub is_confirmed: bool,
    /// The oldest version that may be installed.
    pub floor: u32,
    /// What the board can be restarted into.
    pub candidate: Option<Candidate>,
}

/// An image that a board can be restarted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its version.
    pub version: u32,
    /// The version that it takes over from.
    pub takes_version: u32,
    /// The layout of that version's state.
    pub takes_layout: u32,
}

/// What a board tells the plant side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToPlant {
    /// The board runs and waits for its boot message.
    Ready,
    /// The board asks for the outputs.
    Claim {
        /// The epoch claimed; its owner is the claimant.
        to: Epoch,
    },
    /// The board has fixed its sample of a cycle.
    Sampled {
        /// The number of the cycle.
        cycle: u32,
        /// The sample, with which an oracle can follow.
        reading: Reading,
    },
    /// A cycle, or one deadline of it, has come to an end.
    Settled {
        /// The number of the cycle.
        cycle: u32,
        /// What it came to.
        outcome: OutcomeCode,
        /// The mode the board is in now.
        mode: ModeCode,
        /// The epoch the board is in now.
        epoch: Epoch,
        /// The agreed input the board stepped on, if it did.
        input: Option<Reading>,
        /// The bits of the faults seen since the last such message.
        faults: u32,
    },
    /// An output to be driven, if the relay lets it through.
    Drive {
        /// The number of the cycle it belongs to.
        cycle: u32,
        /// The epoch it was released in.
        epoch: Epoch,
        /// What the cycle came to that released it.
        outcome: OutcomeCode,
        /// The output.
        output: Drive,
    },
    /// The board gives up.
    Failed {
        /// Why, as the firmware numbers it.
        code: u8,
    },
    /// The board copies its state to the other one.
    Copying {
        /// The number of the cycle.
        cycle: u32,
        /// Blocks that the other board has.
        done_blocks: u16,
        /// Blocks in all.
        total_blocks: u16,
        /// Cycles still to go, if it converges.
        cycles_left: Option<u16>,
    },
    /// What the board has mended of its memory since its boot.
    Repaired {
        /// The number of the cycle.
        cycle: u32,
        /// Blocks of the working state.
        working: u16,
        /// Blocks of the checkpoint.
        checkpoint: u16,
        /// Digests.
        digests: u16,
        /// Blocks that came from the other board.
        from_peer: u16,
    },
    /// An entry of the board's journal.
    Happened {
        /// Entries that were lost before it since the boot.
        lost: u16,
        /// The entry.
        entry: Entry,
    },
    /// How an upgrade stands.
    Upgrade {
        /// The board's step.
        step: StepCode,
        /// The other board's.
        partner_step: StepCode,
        /// Cycles of the trial.
        cycles: u16,
        /// Of these, cycles whose outputs differed and were tolerated.
        tolerated: u16,
        /// Of these, cycles whose outputs were not alike.
        differing: u16,
        /// Whether the new version may drive.
        is_ready: bool,
        /// Whether the outputs were not alike too often.
        has_failed: bool,
        /// Why the state was not taken over.
        cannot_migrate: Option<u16>,
    },
    /// What became of an order that was given to this board.
    Answered {
        /// The order.
        order: OrderCode,
        /// Why it was refused; `None`: it was not.
        refusal: Option<RefusalCode>,
    },
    /// The board asks for this to be done.
    Duty(DutyCode),
    /// The first cycle of a trial whose outputs were not alike.
    Differed {
        /// The number of the cycle.
        cycle: u32,
        /// What both versions stepped on.
        input: Reading,
        /// The old version's output.
        old: Drive,
        /// The new version's.
        new: Drive,
    },
}

impl ToBoard {
    /// Encodes the message into the front of `buffer`; returns its length, or `None` if it does not fit.
    pub fn encode(&self, buffer: &mut [u8]) -> Option<usize> {
        canonical::encode(self, buffer)
    }

    /// Decodes a message that takes up all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

impl ToPlant {
    /// Encodes the message into the front of `buffer`; returns its length, or `None` if it does not fit.
    pub fn encode(&self, buffer: &mut [u8]) -> Option<usize> {
        canonical::encode(self, buffer)
    }

    /// Decodes a message that takes up all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

/// Numbers may be encoded with needless bytes, so the length has a check of its own.
fn decode<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<T> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    canonical::decode(bytes)
}

/// A channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Channel A.
    A,
    /// Channel B.
    B,
}

impl From<Side> for ChannelId {
    fn from(side: Side) -> Self {
        match side {
            Side::A => Self::A,
            Side::B => Self::B,
        }
    }
}

impl From<ChannelId> for Side {
    fn from(channel: ChannelId) -> Self {
        match channel {
            ChannelId::A => Self::A,
            ChannelId::B => Self::B,
        }
    }
}

/// A [`Mode`] as it is sent: its numbers stay, whatever becomes of the library's enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModeCode {
    /// Waits for the peer.
    Starting,
    /// Serves in lockstep with the peer.
    Duplex,
    /// Serves alone.
    Simplex,
    /// Healthy, but not allowed to own the outputs.
    Standby,
    /// Drives the safe output.
    Safe,
    /// Serves alone and copies its state to the peer.
    Donor,
    /// Takes over the state of the peer.
    Joining,
    /// Serves beside the peer, which runs another version.
    Trial,
}

impl From<Mode> for ModeCode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Starting => Self::Starting,
            Mode::Duplex => Self::Duplex,
            Mode::Simplex => Self::Simplex,
            Mode::Standby => Self::Standby,
            Mode::Safe => Self::Safe,
            Mode::Donor => Self::Donor,
            Mode::Joining => Self::Joining,
            Mode::Trial => Self::Trial,
        }
    }
}

/// An [`Outcome`] as it is sent: its numbers stay, whatever becomes of the library's enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeCode {
    /// Both channels voted equally.
    Agreed,
    /// The channel serves alone.
    Alone,
    /// The channel took over in this cycle.
    TookOver,
    /// No result by the deadline.
    Held,
    /// Not in service.
    Waiting,
    /// In the safe state.
    Safe,
    /// Both versions stepped.
    Tried,
}

impl From<Outcome> for OutcomeCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Agreed => Self::Agreed,
            Outcome::Alone => Self::Alone,
            Outcome::TookOver => Self::TookOver,
            Outcome::Held => Self::Held,
            Outcome::Waiting => Self::Waiting,
            Outcome::Safe => Self::Safe,
            Outcome::Tried => Self::Tried,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Alarms, Valve};
    use twinstep::Cycle;
    use twinstep::journal::Event;

    /// Each number as large as it gets.
    const READING: Reading =
        Reading { tank_centi_c: i16::MIN, ambient_centi_c: i16::MAX, door_open: true, disagree: false };
    const EPOCH: Epoch = Epoch::new(u32::MAX >> 1, ChannelId::B);
    const DRIVE: Drive = Drive { heater_permille: u16::MAX, valve: Valve::Open, alarms: Alarms::all() };

    const TO_BOARD: [ToBoard; 9] = [
        ToBoard::Boot { side: Side::B, nonce: u32::MAX, pair: u32::MAX, patience: u8::MAX },
        ToBoard::Reading(READING),
        ToBoard::Lease { through: EPOCH, answers: Some(EPOCH) },
        ToBoard::Readmit { side: Side::B },
        ToBoard::Image(Image {
            is_confirmed: true,
            floor: u32::MAX,
            candidate: Some(Candidate { version: u32::MAX, takes_version: u32::MAX, takes_layout: u32::MAX }),
        }),
        ToBoard::Order(OrderCode::Abort),
        ToBoard::Done(DutyCode::RaiseFloor),
        ToBoard::RestartFailed,
        ToBoard::Forgive,
    ];

    /// The longest entry there is.
    const ENTRY: Entry = Entry {
        cycle: Cycle(u32::MAX),
        epoch: EPOCH,
        times: u16::MAX,
        event: Event::Tried { cycles: u32::MAX, tolerated: u32::MAX, differing: u32::MAX },
    };

    const TO_PLANT: [ToPlant; 13] = [
        ToPlant::Ready,
        ToPlant::Claim { to: EPOCH },
        ToPlant::Sampled { cycle: u32::MAX, reading: READING },
        ToPlant::Settled {
            cycle: u32::MAX,
            outcome: OutcomeCode::Safe,
            mode: ModeCode::Safe,
            epoch: EPOCH,
            input: Some(READING),
            faults: u32::MAX,
        },
        ToPlant::Drive { cycle: u32::MAX, epoch: EPOCH, outcome: OutcomeCode::TookOver, output: DRIVE },
        ToPlant::Failed { code: u8::MAX },
        ToPlant::Copying {
            cycle: u32::MAX,
            done_blocks: u16::MAX,
            total_blocks: u16::MAX,
            cycles_left: Some(u16::MAX),
        },
        ToPlant::Repaired {
            cycle: u32::MAX,
            working: u16::MAX,
            checkpoint: u16::MAX,
            digests: u16::MAX,
            from_peer: u16::MAX,
        },
        ToPlant::Happened { lost: u16::MAX, entry: ENTRY },
        ToPlant::Upgrade {
            step: StepCode::Abort,
            partner_step: StepCode::Abort,
            cycles: u16::MAX,
            tolerated: u16::MAX,
            differing: u16::MAX,
            is_ready: true,
            has_failed: true,
            cannot_migrate: Some(u16::MAX),
        },
        ToPlant::Answered { order: OrderCode::Prepare, refusal: Some(RefusalCode::NotReady { reasons: u16::MAX }) },
        ToPlant::Duty(DutyCode::Confirm),
        ToPlant::Differed { cycle: u32::MAX, input: READING, old: DRIVE, new: DRIVE },
    ];

    #[test]
    fn messages_come_back_as_they_were_sent() {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        for message in TO_BOARD {
            let length = message.encode(&mut buffer).unwrap();
            assert_eq!(ToBoard::decode(buffer.get(..length).unwrap()), Some(message));
        }
        for message in TO_PLANT {
            let length = message.encode(&mut buffer).unwrap();
            assert_eq!(ToPlant::decode(buffer.get(..length).unwrap()), Some(message));
        }
    }

    #[test]
    fn the_longest_message_is_as_long_as_stated() {
        let to_board = TO_BOARD.iter().filter_map(canonical::encoded_len).max();
        let to_plant = TO_PLANT.iter().filter_map(canonical::encoded_len).max();
        assert_eq!(to_board.max(to_plant), Some(MAX_MESSAGE_BYTES));
    }

    #[test]
    fn cut_and_lengthened_messages_are_refused() {
        let mut buffer = [0; MAX_MESSAGE_BYTES + 1];
        for message in TO_PLANT {
            let length = message.encode(&mut buffer).unwrap();
            for cut in 0..length {
                assert_eq!(ToPlant::decode(buffer.get(..cut).unwrap()), None, "{message:?} cut to {cut}");
            }
            assert_eq!(ToPlant::decode(buffer.get(..=length).unwrap()), None, "{message:?} and a byte");
        }
    }

    #[test]
    fn unknown_kinds_and_values_are_refused() {
        assert_eq!(ToBoard::decode(&[9]), None);
        assert_eq!(ToPlant::decode(&[13]), None);
        // An order and a duty that there are not.
        assert_eq!(ToBoard::decode(&[5, 5]), None);
        assert_eq!(ToPlant::decode(&[11, 4]), None);
        // A door that is neither open nor closed, and a mode that there is not.
        assert_eq!(ToBoard::decode(&[1, 0, 0, 2, 0]), None);
        assert_eq!(ToPlant::decode(&[3, 0, 0, 8, 0, 0, 0]), None);
        assert!(ToPlant::decode(&[3, 0, 0, 7, 0, 0, 0]).is_some());
    }

    #[test]
    fn needless_bytes_do_not_make_a_message_overlong() {
        // Legal postcard: each number of this lease takes five bytes where one would do.
        assert!(ToBoard::decode(&[0x82, 0x80, 0x80, 0x80, 0x00, 0x85, 0x80, 0x80, 0x80, 0x00, 0]).is_some());
        // A settled cycle written like that is legal too, but longer than any message.
        let kind: [u8; 5] = [0x83, 0x80, 0x80, 0x80, 0x00];
        let zero: [u8; 5] = [0x80, 0x80, 0x80, 0x80, 0x00];
        let short: [u8; 3] = [0x80, 0x80, 0x00];
        // Kind, cycle, outcome, mode, epoch, an input of two temperatures and two flags, faults.
        let parts: [&[u8]; 10] = [&kind, &zero, &zero, &zero, &zero, &[1], &short, &short, &[0, 0], &zero];
        let mut bytes = [0_u8; 39];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        assert!(canonical::decode::<ToPlant>(&bytes).is_some());
        assert_eq!(ToPlant::decode(&bytes), None);
    }

    #[test]
    fn garbage_is_refused_or_read_as_some_message() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut garbage = [0_u8; 40];
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        for _ in 0..100_000 {
            rng.fill(&mut garbage);
            let bytes = garbage.get(..rng.usize(0..=garbage.len())).unwrap();
            if let Some(message) = ToPlant::decode(bytes) {
                let length = message.encode(&mut buffer).unwrap();
                assert!(length <= bytes.len());
            }
            if let Some(message) = ToBoard::decode(bytes) {
                let length = message.encode(&mut buffer).unwrap();
                assert!(length <= bytes.len());
            }
        }
    }

    #[test]
    fn names_convert_both_ways() {
        for channel in [ChannelId::A, ChannelId::B] {
            assert_eq!(ChannelId::from(Side::from(channel)), channel);
        }
        assert_eq!(Mode::ALL.map(ModeCode::from).map(|code| code as u8), [0, 1, 2, 5, 6, 3, 4, 7]);
    }
}
