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

use crate::diagnose::Diagnosis;
use crate::fault::Faults;
use crate::ids::{ChannelId, Cycle, Epoch};
use crate::mode::{Mode, ModeEvent};
use crate::upgrade::Step;
use crate::wire::Reject;
use heapless::Deque;
use serde::{Deserialize, Serialize};

/// Entries that are kept until they are read.
pub const JOURNAL_ENTRIES: usize = 16;

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
    /// An output was not released: its cycle's sample is older than `patience + 1` periods.
    Withheld,
    /// This channel was not polled at a deadline, or began its cycle late. It has blamed itself, and given the other channel another vote
    /// window, or the rest of one.
    Stalled,
    /// The clock went back, or, for the first time in a cycle, on by more than the longest gap: (`patience` + 2)
    /// periods or two `hello_us`, whichever is longer.
    Gap,
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
    ring: Deque<Entry, JOURNAL_ENTRIES>,
    lost: u32,
}

impl Journal {
    pub(crate) const fn new() -> Self {
        Self { ring: Deque::new(), lost: 0 }
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, cycle: Cycle, epoch: Epoch, event: Event) {
        let entry = Entry { cycle, epoch, times: 1, event };
        if let Some(last) = self.ring.back_mut()
            && (Entry { times: 1, ..*last }) == entry
        {
            last.times = last.times.saturating_add(1);
            return;
        }
        if self.ring.is_full() {
            bump(&mut self.lost);
            if matches!(event, Event::Rejected(_)) {
                return; // counted by its cause in any case: no reason to lose another event
            }
            self.ring.pop_front();
        }
        let _ = self.ring.push_back(entry); // there is room now
    }

    /// Hands out the oldest entry that was not read yet.
    pub(crate) fn read(&mut self) -> Option<Entry> {
        self.ring.pop_front()
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
        for cycle in 0..JOURNAL_ENTRIES as u32 + 5 {
            journal.note(Cycle(cycle), Epoch::NONE, Event::Held);
        }
        assert_eq!((journal.lost(), journal.read().map(|entry| entry.cycle)), (5, Some(Cycle(5))));
        let rest: Vec<_> = core::iter::from_fn(|| journal.read()).collect();
        assert_eq!(rest.len(), JOURNAL_ENTRIES - 1);
        assert_eq!(rest.last().map(|entry| entry.cycle.0), Some(JOURNAL_ENTRIES as u32 + 4));
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
