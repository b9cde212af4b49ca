//! STAGING  an image comes in, piece by piece, into the slot that is not running.
//!
//! ```text
//! begin     record: header h, 0 bytes -> erase the front of the slot -> write the header
//! a page    record: header h, all bytes before this page -> erase the page -> write it
//! the end   record: header h, all bytes
//! ```
//!
//! So what a record says is there, is there. After a power cut the page that was being written is
//! erased once more, and nothing is written twice to one place.

use super::super::check::{fits, header};
use super::super::layout::WRITE_BYTES_AT_MOST;
use super::super::record::{Other, Record};
use super::super::{BootState, ImageHeader, Refusal, Verifier};
use super::Slots;
use embedded_storage::nor_flash::NorFlash;

/// An image that comes in.
#[derive(Clone, Debug)]
pub(super) struct Staging {
    id: u32,
    /// Of image and signature.
    length: u32,
    /// Taken, from the start of the image. The last few may still be in `waiting`.
    taken_bytes: u32,
    /// Bytes that are no whole unit of flash yet.
    waiting: [u8; WRITE_BYTES_AT_MOST],
    waiting_bytes: usize,
}

/// How many bytes go into flash at once.
enum Piece {
    /// So many, and then more.
    Whole(usize),
    /// All that are left, filled up to so many.
    Last(usize),
}

impl<F: NorFlash, V: Verifier> Slots<F, V> {
    pub(super) fn begin_staging(&mut self, header: &ImageHeader) -> Result<u32, Refusal> {
        let record = self.record()?;
        fits(header, &self.layout, record.floor)?;
        if record.state != BootState::Stable {
            return Err(Refusal::Busy(record.state));
        }
        let (id, length) = (header.id(), header.payload_length());
        let is_bad = self.is_bad == Some(id);
        if let (Some(staging), false) = (&self.staging, is_bad)
            && staging.id == id
        {
            return Ok(staging.taken_bytes); // the link was lost
        }
        let taken_bytes = self.staged_before(record.other, header).filter(|_| !is_bad).unwrap_or(0);
        if taken_bytes < length {
            self.forget();
        }
        if taken_bytes == 0 {
            self.note(Record { other: Other::Staged { id, bytes: 0 }, ..record })?;
            let start = self.layout.slot(self.running.other());
            let front = self.layout.image_offset.next_multiple_of(Self::page_bytes());
            self.flash.erase(start, start.saturating_add(front)).map_err(Refusal::flash)?;
            self.write_padded(start, &header.encode())?;
            self.is_bad = None;
        }
        let waiting = [0xFF; WRITE_BYTES_AT_MOST];
        self.staging = Some(Staging { id, length, taken_bytes, waiting, waiting_bytes: 0 });
        Ok(taken_bytes)
    }

    /// Returns how much of an image is there since before a power cut.
    fn staged_before(&mut self, other: Other, wanted: &ImageHeader) -> Option<u32> {
        let Other::Staged { id, bytes } = other else { return None };
        let found = header(&mut self.flash, &self.layout, self.running.other()).ok()?;
        let is_page = self.layout.image_offset.saturating_add(bytes).is_multiple_of(Self::page_bytes());
        let goes_on = is_page || bytes == wanted.payload_length();
        (id == wanted.id() && found == *wanted && bytes <= wanted.payload_length() && goes_on).then_some(bytes)
    }

    pub(super) fn stage(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Refusal> {
        let record = self.record()?;
        let Some(staging) = &self.staging else { return Err(Refusal::NotBegun) };
        if record.state != BootState::Stable {
            return Err(Refusal::Busy(record.state));
        }
        if offset != staging.taken_bytes {
            return Err(Refusal::Offset { expected: staging.taken_bytes, given: offset });
        }
        let end = u32::try_from(bytes.len()).ok().and_then(|length| offset.checked_add(length)).unwrap_or(u32::MAX);
        if end > staging.length {
            return Err(Refusal::PastEnd { end, length: staging.length });
        }
        // Out of `self` until all is in flash: after an error, the next thing is to begin again.
        let Some(mut staging) = self.staging.take() else { return Err(Refusal::NotBegun) };
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = staging.take(rest, self.room(&staging));
            rest = rest.get(taken..).unwrap_or_default();
            if let Some(piece) = self.piece(&staging) {
                self.store(&mut staging, record, piece)?;
            }
        }
        let taken_bytes = staging.taken_bytes;
        self.staging = Some(staging);
        Ok(taken_bytes)
    }

    /// Returns how many bytes there may be in `waiting`: up to the end of a page.
    fn room(&self, staging: &Staging) -> usize {
        let page = Self::page_bytes();
        let to_page_end = page - self.layout.image_offset.saturating_add(staging.stored_bytes()) % page;
        WRITE_BYTES_AT_MOST.min(to_page_end as usize)
    }

    /// Returns what of `waiting` goes into flash now, if anything.
    fn piece(&self, staging: &Staging) -> Option<Piece> {
        if staging.taken_bytes == staging.length {
            return Some(Piece::Last(staging.waiting_bytes.next_multiple_of(F::WRITE_SIZE)));
        }
        (staging.waiting_bytes == self.room(staging)).then_some(Piece::Whole(staging.waiting_bytes))
    }

    fn store(&mut self, staging: &mut Staging, record: Record, piece: Piece) -> Result<(), Refusal> {
        let (id, stored) = (staging.id, staging.stored_bytes());
        let at = self.layout.image(self.running.other()).saturating_add(stored);
        let page = Self::page_bytes();
        // A page that the image shares with the header was erased as it began.
        if at.is_multiple_of(page) {
            self.note(Record { other: Other::Staged { id, bytes: stored }, ..record })?;
            self.flash.erase(at, at.saturating_add(page)).map_err(Refusal::flash)?;
        }
        let (Piece::Whole(length) | Piece::Last(length)) = piece;
        self.flash.write(at, staging.waiting.get(..length).unwrap_or_default()).map_err(Refusal::flash)?;
        (staging.waiting, staging.waiting_bytes) = ([0xFF; WRITE_BYTES_AT_MOST], 0);
        match piece {
            Piece::Whole(_) => Ok(()),
            Piece::Last(_) => self.note(Record { other: Other::Staged { id, bytes: staging.length }, ..record }),
        }
    }

    /// Writes a header, filled up to whole units of flash.
    fn write_padded(&mut self, at: u32, header: &[u8]) -> Result<(), Refusal> {
        let mut bytes = [0xFF; WRITE_BYTES_AT_MOST];
        for (to, from) in bytes.iter_mut().zip(header) {
            *to = *from;
        }
        let length = header.len().next_multiple_of(F::WRITE_SIZE);
        self.flash.write(at, bytes.get(..length).unwrap_or_default()).map_err(Refusal::flash)
    }

    fn page_bytes() -> u32 {
        u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX)
    }
}

impl Staging {
    /// Bytes in flash.
    fn stored_bytes(&self) -> u32 {
        self.taken_bytes.saturating_sub(self.waiting_bytes as u32)
    }

    /// Takes bytes until so many are waiting. Returns how many were taken.
    fn take(&mut self, bytes: &[u8], room: usize) -> usize {
        let free = self.waiting.get_mut(self.waiting_bytes..room).unwrap_or_default();
        let taken = free.len().min(bytes.len());
        for (to, from) in free.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.waiting_bytes += taken;
        self.taken_bytes = self.taken_bytes.saturating_add(taken as u32);
        taken
    }
}
