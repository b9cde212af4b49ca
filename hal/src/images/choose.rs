//! CHOOSE  the decision at reset: which slot to boot.

use super::check::Check;
use super::record::{Other, Record};
use super::records::Records;
use super::{BootState, ImageHeader, Layout, LayoutError, RecordsError, Refusal, Slot, Verifier};
use embedded_storage::nor_flash::NorFlash;

/// What to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Choice {
    /// The slot. The program is to know it: [`Slots::new`](super::Slots::new).
    pub slot: Slot,
    /// Where its image begins, as the flash's driver counts.
    pub image: u32,
    /// The header of the image.
    pub header: ImageHeader,
    /// It is booted on trial: the next reset ends that unless it is confirmed.
    pub is_on_trial: bool,
    /// Why it is not the image that was to be booted.
    pub passed_over: Option<Refusal>,
}

/// Why nothing can be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CannotChoose {
    /// The layout cannot work.
    Layout(LayoutError),
    /// There is no record to go by.
    Records(RecordsError),
    /// No image may be booted.
    NoImage {
        /// The slot of the confirmed image.
        home: Slot,
        /// What is wrong with that.
        reason: Refusal,
        /// What is wrong with the one in the other slot.
        other: Refusal,
    },
}

impl core::fmt::Display for CannotChoose {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Layout(error) => write!(f, "{error}"),
            Self::Records(error) => write!(f, "{error}"),
            Self::NoImage { home, reason, other } => {
                write!(f, "slot {home}: {reason}; slot {}: {other}", home.other())
            }
        }
    }
}

impl core::error::Error for CannotChoose {}

/// Says which slot to boot. Call it once at each reset, before anything else uses the flash, and boot what it says.
///
/// A candidate is booted only once that has been noted in flash. A trial that was not confirmed is over. An image is
/// booted only if its digest and signature are good. If the confirmed one's are not, the one confirmed before it is
/// booted, unless it is below the floor; the confirmed one itself is booted whatever the floor.
///
/// # Errors
/// [`CannotChoose`] if there is nothing that may be booted. Wait for a service tool then; the other half serves.
pub fn choose<F: NorFlash, V: Verifier>(flash: &mut F, layout: &Layout, verifier: &V) -> Result<Choice, CannotChoose> {
    layout.check(flash).map_err(CannotChoose::Layout)?;
    let records = Records::load(flash, layout).map_err(CannotChoose::Records)?;
    let record = records.newest;
    let stable = Record { state: BootState::Stable, ..record };
    let other = record.home.other();

    let passed_over = match (record.state, record.other) {
        (BootState::Stable, _) => None,
        (BootState::Marked, Other::Staged { id, .. }) => {
            // In this order: noted only if it is good, booted only if it is noted.
            let tried = Check::whole(flash, layout, verifier, other, record.floor, Some(id)).and_then(|header| {
                let _ = records.append(flash, layout, Record { state: BootState::OnTrial, ..record })?;
                Ok(Choice { slot: other, image: layout.image(other), header, is_on_trial: true, passed_over: None })
            });
            match tried {
                Ok(choice) => return Ok(choice),
                Err(reason) => Some(reason),
            }
        }
        (BootState::Returning, Other::Before { id }) => {
            let returned = Check::whole(flash, layout, verifier, other, record.floor, Some(id)).and_then(|header| {
                let before = id_in(flash, layout, record.home).map_or(Other::Nothing, |id| Other::Before { id });
                let _ = records.append(flash, layout, Record { home: other, other: before, ..stable })?;
                Ok(Choice { slot: other, image: layout.image(other), header, is_on_trial: false, passed_over: None })
            });
            match returned {
                Ok(choice) => return Ok(choice),
                Err(reason) => Some(reason),
            }
        }
        // The last two cannot be decoded from a record.
        (BootState::OnTrial | BootState::Rejected | BootState::Marked | BootState::Returning, _) => {
            Some(Refusal::Unconfirmed)
        }
    };

    let (slot, header, record, passed_over) = match Check::whole(flash, layout, verifier, record.home, 0, None) {
        Ok(header) => (record.home, header, stable, passed_over),
        Err(reason) => {
            let Other::Before { id } = record.other else {
                let other = passed_over.unwrap_or(Refusal::NoImageBefore);
                return Err(CannotChoose::NoImage { home: record.home, reason, other });
            };
            let header = Check::whole(flash, layout, verifier, other, record.floor, Some(id))
                .map_err(|other| CannotChoose::NoImage { home: record.home, reason, other })?;
            (other, header, Record { home: other, other: Other::Nothing, ..stable }, Some(reason))
        }
    };
    if record != records.newest {
        // Loaded once more: what failed may have left something behind the newest. If this fails as well, `Slots`
        // finds it out, and it is done at the next reset.
        if let Ok(records) = Records::load(flash, layout) {
            let _ = records.append(flash, layout, record);
        }
    }
    Ok(Choice { slot, image: layout.image(slot), header, is_on_trial: false, passed_over })
}

fn id_in<F: NorFlash>(flash: &mut F, layout: &Layout, slot: Slot) -> Option<u32> {
    super::check::header(flash, layout, slot).ok().map(|header| header.id())
}
