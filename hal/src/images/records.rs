//! RECORDS  records in two pages of flash, one after the other: the newest whole one counts.
//!
//! A page is filled from front to back, then the other one is erased and filled. The newest record is never in the page
//! that is erased, and nothing is written twice to one place: a record that a power cut tore is passed over.

use super::layout::WRITE_BYTES_AT_MOST;
use super::record::{Found, RECORD_BYTES, Record, decode, encode};
use super::{FlashFault, Layout, Refusal};
use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

/// Why there is no record to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecordsError {
    /// Both pages are erased: a new board, to be set up by [`Slots::provision`](super::Slots::provision).
    Blank,
    /// Something was written, but no record is whole. A power cut does that only to a
    /// [`Slots::provision`](super::Slots::provision): repeat it, once it is known why.
    Damaged,
    /// The newest record is whole, but means nothing to this program. What wrote it is newer.
    Unknown {
        /// Its number.
        sequence: u32,
    },
}

impl core::fmt::Display for RecordsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Blank => f.write_str("the records are blank"),
            Self::Damaged => f.write_str("no record is whole"),
            Self::Unknown { sequence } => write!(f, "record {sequence} is of an unknown kind"),
        }
    }
}

impl core::error::Error for RecordsError {}

/// The newest record and where the next one goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records {
    pub(super) newest: Record,
    sequence: u32,
    /// The page it is in, 0 or 1.
    page: u32,
    /// The first place behind all that was written to that page.
    next: u32,
}

/// Bytes from a record to the next.
fn stride<F: NorFlash>() -> usize {
    RECORD_BYTES.max(F::WRITE_SIZE)
}

/// Bytes of a page.
fn page_bytes<F: NorFlash>() -> u32 {
    u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX)
}

/// What is at one place.
struct Place {
    found: Found,
    is_blank: bool,
}

/// Looks at one place. What cannot be read is no record, and not blank: flash with error correction reports torn words so.
fn look<F: NorFlash>(flash: &mut F, at: u32) -> Place {
    let mut place = Place { found: Found::None, is_blank: true };
    for offset in (0..stride::<F>()).step_by(RECORD_BYTES) {
        let mut bytes = [0; RECORD_BYTES];
        let is_read = flash.read(at.saturating_add(offset as u32), &mut bytes).is_ok();
        if is_read && offset == 0 {
            place.found = decode(&bytes);
        }
        place.is_blank &= is_read && bytes == [0xFF; RECORD_BYTES];
    }
    place
}

impl Records {
    /// Finds the newest record.
    pub(super) fn load<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<Self, RecordsError> {
        let mut newest: Option<(u32, Option<Record>, u32)> = None;
        let mut ends = [0_u32; 2];
        for (page, end) in (0..).zip(&mut ends) {
            let start = layout.records.saturating_add(page_bytes::<F>().saturating_mul(page));
            for at in (0..page_bytes::<F>()).step_by(stride::<F>()) {
                let place = look(flash, start.saturating_add(at));
                if !place.is_blank {
                    *end = at.saturating_add(stride::<F>() as u32);
                }
                let (sequence, record) = match place.found {
                    Found::None => continue,
                    Found::Known(sequence, record) => (sequence, Some(record)),
                    Found::Unknown(sequence) => (sequence, None),
                };
                if newest.is_none_or(|(highest, ..)| sequence >= highest) {
                    newest = Some((sequence, record, page));
                }
            }
        }
        let [first, second] = ends;
        match newest {
            Some((sequence, Some(newest), page)) => {
                let next = if page == 0 { first } else { second };
                Ok(Self { newest, sequence, page, next })
            }
            Some((sequence, None, _)) => Err(RecordsError::Unknown { sequence }),
            None if ends == [0; 2] => Err(RecordsError::Blank),
            None => Err(RecordsError::Damaged),
        }
    }

    /// Writes the first record of all. Whatever is in the two pages is erased.
    pub(super) fn first<F: NorFlash>(flash: &mut F, layout: &Layout, record: &Record) -> Result<(), Refusal> {
        let end = layout.records.saturating_add(page_bytes::<F>().saturating_mul(2));
        flash.erase(layout.records, end).map_err(Refusal::flash)?;
        write(flash, layout.records, 1, record)
    }

    /// Writes a record. On an error, load again.
    pub(super) fn append<F: NorFlash>(
        mut self,
        flash: &mut F,
        layout: &Layout,
        record: Record,
    ) -> Result<Self, Refusal> {
        if self.next.saturating_add(stride::<F>() as u32) > page_bytes::<F>() {
            (self.page, self.next) = (1 - self.page, 0);
            let start = layout.records.saturating_add(page_bytes::<F>().saturating_mul(self.page));
            flash.erase(start, start.saturating_add(page_bytes::<F>())).map_err(Refusal::flash)?;
        }
        let start = layout.records.saturating_add(page_bytes::<F>().saturating_mul(self.page));
        // Flash wears out long before.
        self.sequence = self.sequence.saturating_add(1);
        write(flash, start.saturating_add(self.next), self.sequence, &record)?;
        self.next = self.next.saturating_add(stride::<F>() as u32);
        self.newest = record;
        Ok(self)
    }
}

/// Writes a record and reads it back.
fn write<F: NorFlash>(flash: &mut F, at: u32, sequence: u32, record: &Record) -> Result<(), Refusal> {
    let mut bytes = [0xFF; WRITE_BYTES_AT_MOST];
    if let Some(front) = bytes.first_chunk_mut() {
        *front = encode(sequence, record);
    }
    let bytes = bytes.get(..stride::<F>()).unwrap_or_default();
    flash.write(at, bytes).map_err(Refusal::flash)?;
    match look(flash, at).found {
        Found::Known(found, read) if (found, read) == (sequence, *record) => Ok(()),
        _ => Err(Refusal::Flash(FlashFault::ReadBack)),
    }
}
