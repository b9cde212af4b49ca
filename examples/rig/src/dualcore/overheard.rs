//! Listens to the mailbox of the two cores: reads the frames in shared memory, by the layout that `mailbox.rs` states.
//!
//! A core that drives has put its vote and its sample there before, so whoever hears the drive and then looks here
//! finds both, whatever the host does meanwhile.

use crate::qtest::Qtest;
use anyhow::{Context, Result};
use std::mem::offset_of;
use tank::two_cores::{MAILBOX_SLOTS, MAILBOX_WORDS, Shared};
use twinstep::ChannelId;

const LINE_BYTES: u32 = 64;
/// In a core's control line: how many frames it has written.
const WRITTEN: u32 = 4;
const SLOTS: u32 = MAILBOX_SLOTS as u32;
/// A header and the words of a frame, in whole lines.
const SLOT_BYTES: u32 = (4 + 4 * MAILBOX_WORDS as u32).next_multiple_of(LINE_BYTES);

/// How far both directions were heard.
pub(super) struct Overheard {
    mailbox_at: u32,
    heard: [u32; 2],
    /// Frames that were written over before they were heard.
    missed: u32,
}

impl Overheard {
    /// Listens from power-up on.
    pub(super) fn new(shared_at: u32) -> Self {
        Self { mailbox_at: shared_at + offset_of!(Shared, mailbox) as u32, heard: [0; 2], missed: 0 }
    }

    /// Returns the frames that were written since the last call, with their senders.
    pub(super) fn frames(&mut self, memory: &mut Qtest) -> Result<Vec<(ChannelId, Vec<u8>)>> {
        let mut frames = Vec::new();
        for sender in [ChannelId::A, ChannelId::B] {
            let line = LINE_BYTES * sender.index() as u32;
            let written = memory.read_word(self.mailbox_at + line + WRITTEN)?;
            let heard = &mut self.heard[sender.index()];
            let fresh = written.wrapping_sub(*heard);
            if fresh > SLOTS {
                self.missed += fresh - SLOTS;
                *heard = written.wrapping_sub(SLOTS);
            }
            while *heard != written {
                let slot = SLOTS * sender.index() as u32 + *heard % SLOTS;
                let at = self.mailbox_at + 2 * LINE_BYTES + slot * SLOT_BYTES;
                match frame_in(&memory.read(at..at + SLOT_BYTES)?, *heard)? {
                    Some(frame) => frames.push((sender, frame)),
                    None => self.missed += 1,
                }
                *heard = heard.wrapping_add(1);
            }
        }
        Ok(frames)
    }

    /// Returns how many frames were missed.
    pub(super) fn missed(&self) -> u32 {
        self.missed
    }
}

/// Returns the frame of a number from its slot, unless a later one is there.
fn frame_in(slot: &[u8], number: u32) -> Result<Option<Vec<u8>>> {
    let (header, bytes) = slot.split_first_chunk::<4>().context("a slot has no header")?;
    let header = u32::from_le_bytes(*header);
    let frame = bytes.get(..(header & 0xFFFF) as usize);
    let is_it = header >> 16 == number.wrapping_add(1) & 0xFFFF;
    Ok(frame.filter(|_| is_it).map(<[u8]>::to_vec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_the_frame_of_its_number_only() {
        let slot = [3, 0, 8, 0, 1, 2, 3, 0, 0];
        assert_eq!(frame_in(&slot, 7).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(frame_in(&slot, 7 + (1 << 16)).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(frame_in(&slot, 8).unwrap(), None);
        assert_eq!(frame_in(&[9, 0, 8, 0, 1], 7).unwrap(), None, "cut short");
    }
}
