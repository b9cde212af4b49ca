//! REFUSAL  why something was not done with an image.

use super::{BootState, HeaderError, RecordsError, Slot};
use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};
use serde::{Deserialize, Serialize};

/// Why something was not done. Nothing was written, except with [`Flash`](Self::Flash).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The header is none. Make the image anew.
    Header(HeaderError),
    /// The image has no bytes.
    Empty,
    /// The image does not fit. Link it for less, or make the slots longer.
    TooLong {
        /// Bytes of image and signature.
        need_bytes: u32,
        /// Bytes of a slot for them.
        have_bytes: u32,
    },
    /// The signature is longer than any that is looked at.
    SignatureTooLong {
        /// Bytes of the signature.
        need_bytes: u32,
        /// Bytes it may have.
        have_bytes: u32,
    },
    /// The version may not run any more.
    BelowFloor {
        /// The image's version.
        version: u32,
        /// The lowest that may run.
        floor: u32,
    },
    /// A boot is not settled: reset, confirm or revert first.
    Busy(BootState),
    /// Nothing was begun since the reset. Begin, and go on where that says.
    NotBegun,
    /// The bytes are not the next ones. Go on at `expected`.
    Offset {
        /// The offset to go on at.
        expected: u32,
        /// The one given.
        given: u32,
    },
    /// The bytes go past the end.
    PastEnd {
        /// Where they end.
        end: u32,
        /// Bytes of image and signature.
        length: u32,
    },
    /// There is no image in the other slot.
    NoImage,
    /// The image in the slot is not the one that was staged or confirmed there.
    OtherImage,
    /// Not all of the image is there. Begin, and go on where that says.
    Truncated {
        /// Bytes that are there for certain.
        have_bytes: u32,
        /// Bytes of image and signature.
        need_bytes: u32,
    },
    /// The image is not the one its header speaks of. Stage it again.
    Digest,
    /// The verifier does not accept the signature. The image is not for this device.
    Signature,
    /// Verify first.
    NotVerified,
    /// Its trial ended without a confirm.
    Unconfirmed,
    /// There is no confirmed image to go back to.
    NoImageBefore,
    /// The floor only goes up.
    FloorIsHigher {
        /// The floor as it is.
        floor: u32,
        /// The one asked for.
        given: u32,
    },
    /// The program runs from another slot than was noted at the reset. Reset; if it stays so, the bootloader does not
    /// follow [`choose`](super::choose).
    Elsewhere {
        /// Where the program says it runs.
        running: Slot,
        /// What the records say.
        noted: Slot,
    },
    /// The records cannot be used.
    Records(RecordsError),
    /// The flash failed. What was being written is not complete.
    Flash(FlashFault),
    /// A reason of another implementation, numbered by its author.
    Other(u16),
}

/// What the flash reported, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashFault {
    /// The driver takes other alignments than it says.
    NotAligned,
    /// The driver has less flash than it says.
    OutOfBounds,
    /// It reads otherwise than was written.
    ReadBack,
    /// Any other.
    Other,
}

impl Refusal {
    /// Returns the reason for an error of the flash.
    pub(super) fn flash<E: NorFlashError>(error: E) -> Self {
        Self::Flash(match error.kind() {
            NorFlashErrorKind::NotAligned => FlashFault::NotAligned,
            NorFlashErrorKind::OutOfBounds => FlashFault::OutOfBounds,
            _ => FlashFault::Other,
        })
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Header(error) => write!(f, "{error}"),
            Self::Empty => f.write_str("the image has no bytes"),
            Self::TooLong { need_bytes, have_bytes } => write!(f, "{need_bytes} bytes in a slot for {have_bytes}"),
            Self::SignatureTooLong { need_bytes, have_bytes } => {
                write!(f, "a signature of {need_bytes} bytes, more than {have_bytes}")
            }
            Self::BelowFloor { version, floor } => write!(f, "version {version} is below the floor {floor}"),
            Self::Busy(state) => write!(f, "a boot is not settled: {state}"),
            Self::NotBegun => f.write_str("nothing was begun since the reset"),
            Self::Offset { expected, given } => write!(f, "bytes for offset {given}, expected for {expected}"),
            Self::PastEnd { end, length } => write!(f, "bytes up to {end} of an image of {length}"),
            Self::NoImage => f.write_str("there is no image in the other slot"),
            Self::OtherImage => f.write_str("another image is in the slot than was noted"),
            Self::Truncated { have_bytes, need_bytes } => write!(f, "{have_bytes} of {need_bytes} bytes are there"),
            Self::Digest => f.write_str("the image does not have its header's digest"),
            Self::Signature => f.write_str("the signature is not accepted"),
            Self::NotVerified => f.write_str("the image is not verified"),
            Self::Unconfirmed => f.write_str("the trial ended without a confirm"),
            Self::NoImageBefore => f.write_str("there is no confirmed image to go back to"),
            Self::FloorIsHigher { floor, given } => write!(f, "floor {given} is below the floor {floor}"),
            Self::Elsewhere { running, noted } => write!(f, "running in slot {running}, noted was slot {noted}"),
            Self::Records(error) => write!(f, "{error}"),
            Self::Flash(fault) => write!(f, "the flash failed: {fault:?}"),
            Self::Other(number) => write!(f, "refused with reason {number}"),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl From<RecordsError> for Refusal {
    fn from(error: RecordsError) -> Self {
        Self::Records(error)
    }
}
