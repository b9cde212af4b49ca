//! JOURNAL  nothing is lost silently: events, counters, and the record of the first fault.
//!
//! What happens is an [`Event`], kept with its cycle in a ring until it is read: the black box.
//! When the ring is full the oldest entry goes, and is counted;
//! a dropped frame makes nothing else go. Entries encode with postcard, to be written where they outlive
//! the boot. They hold no channel, boot or time: store these with them. `cargo rig journal` shows a file
//! of them; its format stands in `examples/rig/src/journal.rs`.
//!
//! ```text
//! transient       Fault(.._DIVERGENCE), Diagnosed(Transient(who is suspected)); counters diverged, masked
//! found faulty    also Diagnosed(Faulty(channel, reason)), Excluded, ModeChanged; faults FAULTY, PEER_FAULTY
//! too often       also Barred
//! an upgrade      UpgradeStep for each step, ModeChanged to Trial; in it NotAlike, LetGo, HandedOver, and in the end Tried
//! unattributed    Fault(.._DIVERGENCE), Diagnosed(Unattributed), ModeChanged to Safe
//! ```

mod counters;
mod first_fault;

pub use counters::Counters;
pub(crate) use counters::bump;
pub use first_fault::FirstFault;

use crate::canonical;
use crate::diagnose::Diagnosis;
use crate::fault::Faults;
use crate::ids::{ChannelId, Cycle, Epoch};
use crate::mode::{Mode, ModeEvent};
use crate::upgrade::Step;
use crate::wire::Reject;
use heapless::Deque;
use serde::{Deserialize, Serialize};

/// Bytes of the ring that holds entries until they are read. An entry takes its postcard bytes and one more for their number:
/// 7 to 14, up to 30 for one of an upgrade. So the ring holds about 16 entries, and [`FEWEST_ENTRIES`] at least.
const RING_BYTES: usize = 192;
/// The longest entry: three numbers of at most 5, 5 and 3 bytes, the event's number, and three more of 5 bytes.
const LONGEST_ENTRY_BYTES: usize = 29;
/// Entries that are kept at least until they are read, however long they are: the newest one, and those in the ring.
pub const FEWEST_ENTRIES: usize = RING_BYTES / (1 + LONGEST_ENTRY_BYTES) + 1;

/// Something that happened in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// The channel does something else now.
    ModeChanged {
        /// What it did.
        from: Mode,
        /// What it does.
        to: Mode,
        /// What changed it.
        because: ModeEvent,
    },
    /// A frame was dropped.
    Rejected(Reject),
    /// A deadline passed without a result.
    Held,
    /// A claim to the outputs was granted: the channel serves alone in the entry's epoch.
    TookOver,
    /// Flipped bits in memory were found, and mended: blocks or digests.
    Repaired {
        /// Blocks of the working copy.
        working: u16,
        /// Blocks of the checkpoint.
        checkpoint: u16,
        /// Digests.
        digests: u16,
    },
    /// A block is damaged beyond what this channel can mend by itself.
    BeyondRepair(u16),
    /// A block was mended from the peer's copy.
    RepairedByPeer(u16),
    /// A copy of a sample was damaged, and mended.
    SampleRepaired,
    /// Control data was damaged, and mended.
    ControlRepaired,
    /// The state was damaged between vote and commit; the cycle was stepped again.
    Recommitted,
    /// What came of the evidence.
    Diagnosed(Diagnosis),
    /// A channel was taken out of service.
    Excluded(ChannelId),
    /// A channel was found faulty too often: it may not join.
    Barred(ChannelId),
    /// A channel may join again, on purpose.
    Readmitted(ChannelId),
    /// The samples were further apart than the program expects.
    Discrepancy,
    /// The comparator was shown a difference on purpose.
    ProofTested {
        /// Whether it reported it.
        passed: bool,
    },
    /// A fault that has no event of its own, such as what the votes differed in.
    Fault(Faults),
    /// The upgrade is in another step.
    UpgradeStep {
        /// Where it was.
        from: Step,
        /// Where it is.
        to: Step,
    },
    /// For the first time in a trial the outputs of both versions were not alike. In full it is in
    /// [`first_difference`](crate::Node::first_difference).
    NotAlike {
        /// Digest of the input.
        input: u32,
        /// Digest of the old version's output.
        old: u32,
        /// Digest of the new version's.
        new: u32,
    },
    /// A trial has ended, or the other version drives from here on.
    Tried {
        /// Cycles that both versions stepped on.
        cycles: u32,
        /// Of these, cycles whose outputs differed and were tolerated.
        tolerated: u32,
        /// Of these, cycles whose outputs were not alike.
        differing: u32,
    },
    /// This channel has let go of the outputs.
    LetGo,
    /// The outputs were handed over to this channel, between two cycles.
    HandedOver(ChannelId),
}

/// An event, when it happened, and how often in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry {
    /// The cycle in progress, or the last one.
    pub cycle: Cycle,
    /// The epoch of the channel.
    pub epoch: Epoch,
    /// How often it happened, with nothing else between, in this cycle.
    pub times: u16,
    /// What happened.
    pub event: Event,
}

/// The black box.
#[derive(Clone)]
pub(crate) struct Journal {
    /// The newest entry, which may happen again.
    newest: Option<Entry>,
    /// Those before it, the oldest one first: each the number of its bytes, and its bytes.
    ring: Deque<u8, RING_BYTES>,
    lost: u32,
}

impl Journal {
    pub(crate) const fn new() -> Self {
        Self { newest: None, ring: Deque::new(), lost: 0 }
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, cycle: Cycle, epoch: Epoch, event: Event) {
        let entry = Entry { cycle, epoch, times: 1, event };
        if let Some(newest) = &mut self.newest {
            if (Entry { times: 1, ..*newest }) == entry {
                newest.times = newest.times.saturating_add(1);
                return;
            }
            let mut buffer = [0; LONGEST_ENTRY_BYTES];
            let length = canonical::encode(newest, &mut buffer).unwrap_or_default();
            // A dropped frame is counted by its cause in any case: no reason to lose another entry.
            if matches!(event, Event::Rejected(_)) && !self.has_room_for(length) {
                bump(&mut self.lost);
                return;
            }
            self.keep(buffer.get(..length).unwrap_or_default());
        }
        self.newest = Some(entry);
    }

    /// Puts an entry's bytes into the ring, for which the oldest ones go.
    fn keep(&mut self, bytes: &[u8]) {
        while !self.has_room_for(bytes.len()) && self.take_oldest().is_some() {
            bump(&mut self.lost);
        }
        for byte in core::iter::once(bytes.len() as u8).chain(bytes.iter().copied()) {
            let _ = self.ring.push_back(byte); // there is room now
        }
    }

    fn has_room_for(&self, length: usize) -> bool {
        self.ring.len() + 1 + length <= RING_BYTES
    }

    /// Takes the oldest entry out of the ring; returns its bytes and their number.
    fn take_oldest(&mut self) -> Option<([u8; LONGEST_ENTRY_BYTES], usize)> {
        let length = usize::from(self.ring.pop_front()?);
        let mut bytes = [0; LONGEST_ENTRY_BYTES];
        for at in 0..length {
            let byte = self.ring.pop_front()?;
            *bytes.get_mut(at)? = byte;
        }
        Some((bytes, length))
    }

    /// Hands out the oldest entry that was not read yet.
    pub(crate) fn read(&mut self) -> Option<Entry> {
        // One whose bytes were damaged is lost; each turn makes the ring shorter.
        while let Some((bytes, length)) = self.take_oldest() {
            match bytes.get(..length).and_then(canonical::decode) {
                Some(entry) => return Some(entry),
                None => bump(&mut self.lost),
            }
        }
        self.newest.take()
    }

    /// Returns how many entries were lost unread.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_repeats_within_a_cycle_is_one_entry() {
        let mut journal = Journal::new();
        let cut = Event::Rejected(Reject::Crc);
        for (cycle, event) in [(1, cut), (1, cut), (2, cut), (2, Event::Held), (2, cut)] {
            journal.note(Cycle(cycle), Epoch::NONE, event);
        }
        let read: Vec<_> =
            core::iter::from_fn(|| journal.read()).map(|entry| (entry.cycle.0, entry.times, entry.event)).collect();
        assert_eq!(read, [(1, 2, cut), (2, 1, cut), (2, 1, Event::Held), (2, 1, cut)]);
    }

    #[test]
    fn the_newest_entries_stay_and_the_lost_ones_are_counted() {
        let mut journal = Journal::new();
        for cycle in 0..100 {
            journal.note(Cycle(cycle), Epoch::NONE, Event::Held);
        }
        let lost = journal.lost();
        let rest: Vec<_> = core::iter::from_fn(|| journal.read()).map(|entry| entry.cycle.0).collect();
        assert_eq!(rest, (lost..100).collect::<Vec<_>>());
        assert!(rest.len() >= FEWEST_ENTRIES && rest.len() < 100, "{}", rest.len());
        assert_eq!((journal.lost(), journal.read()), (lost, None));
    }

    /// The longest entries there are, and frames that are dropped when there is no more room.
    #[test]
    fn the_fewest_entries_are_kept_whatever_they_are() {
        let mut journal = Journal::new();
        let longest = |cycle: u32| Entry {
            cycle: Cycle(u32::MAX - cycle),
            epoch: Epoch::new(u32::MAX >> 1, ChannelId::B),
            times: u16::MAX,
            event: Event::Tried { cycles: u32::MAX, tolerated: u32::MAX, differing: u32::MAX },
        };
        let mut buffer = [0; 64];
        assert_eq!(canonical::encode(&longest(0), &mut buffer), Some(LONGEST_ENTRY_BYTES));
        for at in 0..20 {
            let Entry { cycle, epoch, event, .. } = longest(at);
            for _ in 0..u16::MAX {
                journal.note(cycle, epoch, event);
            }
        }
        let lost = journal.lost();
        journal.note(Cycle(0), Epoch::NONE, Event::Rejected(Reject::Crc));
        assert_eq!(journal.lost(), lost + 1);
        let kept: Vec<_> = core::iter::from_fn(|| journal.read()).collect();
        assert_eq!(kept, (20 - FEWEST_ENTRIES as u32..20).map(longest).collect::<Vec<_>>());
        assert_eq!(lost as usize, 20 - FEWEST_ENTRIES);
    }

    #[test]
    fn an_entry_whose_bytes_are_damaged_is_lost_and_counted() {
        let mut journal = Journal::new();
        (0..4).for_each(|cycle| journal.note(Cycle(cycle), Epoch::NONE, Event::Held));
        // The event's number of the first one.
        if let Some(byte) = journal.ring.iter_mut().nth(4) {
            *byte = 0x7F;
        }
        let rest: Vec<_> = core::iter::from_fn(|| journal.read()).map(|entry| entry.cycle.0).collect();
        assert_eq!((rest, journal.lost()), ([1, 2, 3].to_vec(), 1));
    }

    /// Entries keep their bytes: what was written by one release is read by the next.
    #[test]
    fn golden_bytes() {
        let event = Event::Repaired { working: 1, checkpoint: 300, digests: 0 };
        let entry = Entry { cycle: Cycle(200), epoch: Epoch::new(3, ChannelId::B), times: 2, event };
        let mut buffer = [0; 32];
        let bytes = postcard::to_slice(&entry, &mut buffer).unwrap();
        assert_eq!(bytes, [200, 1, 7, 2, 4, 1, 172, 2, 0]);
        assert_eq!(postcard::from_bytes::<Entry>(bytes), Ok(entry));
    }
}
