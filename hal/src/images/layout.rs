//! LAYOUT  where in flash the slots and the records are.

use super::HEADER_BYTES;
use super::record::RECORD_BYTES;
use embedded_storage::nor_flash::NorFlash;

/// One of the two places for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Returns the other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl core::fmt::Display for Slot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Where in flash the slots and the records are. All offsets and lengths are in bytes and, but for
/// `image_offset`, multiples of the flash's `ERASE_SIZE`; offsets are as the flash's driver counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layout {
    /// Start of slot A.
    pub slot_a: u32,
    /// Start of slot B.
    pub slot_b: u32,
    /// Length of each slot.
    pub slot_bytes: u32,
    /// From the start of a slot to the image, past the header. Large enough for the alignment that the vector table
    /// needs, and a multiple of the flash's `WRITE_SIZE`.
    pub image_offset: u32,
    /// Start of the records: two pages of `ERASE_SIZE`.
    pub records: u32,
}

/// A part of flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// Slot A.
    SlotA,
    /// Slot B.
    SlotB,
    /// The records.
    Records,
    /// The image in a slot.
    Image,
}

/// Why a layout cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayoutError {
    /// The flash cannot be read in pieces of 32 bytes, written in pieces of 256 bytes, and erased in whole numbers
    /// of what is written.
    Flash {
        /// Its `READ_SIZE`; it should divide 32.
        read_bytes: usize,
        /// Its `WRITE_SIZE`; it should divide 256.
        write_bytes: usize,
        /// Its `ERASE_SIZE`; it should be a multiple of the others and of 32.
        erase_bytes: usize,
    },
    /// A part begins or ends between two units.
    Misaligned {
        /// The part.
        part: Part,
        /// Where it begins or how long it is.
        bytes: u32,
        /// The unit.
        unit_bytes: u32,
    },
    /// A part goes past the end of the flash.
    PastEnd {
        /// The part.
        part: Part,
        /// Where it would end.
        end: u64,
        /// Bytes of flash.
        capacity: usize,
    },
    /// Two parts have bytes in common.
    Overlap {
        /// The one.
        one: Part,
        /// The other.
        other: Part,
    },
    /// The image would lie over the header, or past the end of its slot.
    ImageOffset {
        /// The offset.
        offset: u32,
        /// The lowest there is room for.
        at_least: u32,
        /// The end of the slot.
        below: u32,
    },
}

impl core::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash { read_bytes, write_bytes, erase_bytes } => {
                write!(f, "flash read by {read_bytes}, written by {write_bytes}, erased by {erase_bytes} bytes")
            }
            Self::Misaligned { part, bytes, unit_bytes } => {
                write!(f, "{part:?}: {bytes} is no multiple of {unit_bytes}")
            }
            Self::PastEnd { part, end, capacity } => write!(f, "{part:?} ends at {end} of {capacity} bytes"),
            Self::Overlap { one, other } => write!(f, "{one:?} and {other:?} overlap"),
            Self::ImageOffset { offset, at_least, below } => {
                write!(f, "image at {offset} of its slot, possible is from {at_least} to below {below}")
            }
        }
    }
}

impl core::error::Error for LayoutError {}

impl Layout {
    /// Checks the layout for a flash.
    ///
    /// # Errors
    /// [`LayoutError`] with the figures of the first thing that cannot work.
    pub fn check<F: NorFlash>(&self, flash: &F) -> Result<(), LayoutError> {
        let sizes = (unit(F::READ_SIZE), unit(F::WRITE_SIZE), unit(F::ERASE_SIZE));
        let (Some(read), Some(write), Some(erase)) = sizes else {
            return Err(Self::flash_error::<F>());
        };
        let divides = |unit: u32, whole: u32| whole.is_multiple_of(unit);
        if !divides(read, RECORD_BYTES as u32)
            || !divides(write, WRITE_BYTES_AT_MOST as u32)
            || !divides(read, write.max(RECORD_BYTES as u32))
            || !divides(write.max(RECORD_BYTES as u32), erase)
        {
            return Err(Self::flash_error::<F>());
        }
        let whole = |part, bytes: u32, unit_bytes: u32| match divides(unit_bytes, bytes) {
            true => Ok(()),
            false => Err(LayoutError::Misaligned { part, bytes, unit_bytes }),
        };
        let parts = [
            (Part::SlotA, self.slot_a, self.slot_bytes),
            (Part::SlotB, self.slot_b, self.slot_bytes),
            (Part::Records, self.records, erase.saturating_mul(2)),
        ];
        for (part, start, bytes) in parts {
            whole(part, start, erase)?;
            whole(part, bytes, erase)?;
            let end = u64::from(start) + u64::from(bytes);
            if end > flash.capacity() as u64 || end > u64::from(u32::MAX) {
                return Err(LayoutError::PastEnd { part, end, capacity: flash.capacity() });
            }
        }
        let [a, b, records] = parts;
        for ((one, start, bytes), (other, other_start, other_bytes)) in [(a, b), (a, records), (b, records)] {
            // Their ends were found to be in flash.
            if start < other_start.saturating_add(other_bytes) && other_start < start.saturating_add(bytes) {
                return Err(LayoutError::Overlap { one, other });
            }
        }
        whole(Part::Image, self.image_offset, write.max(read))?;
        let at_least = (HEADER_BYTES as u32).next_multiple_of(write);
        if self.image_offset < at_least || self.image_offset >= self.slot_bytes {
            return Err(LayoutError::ImageOffset { offset: self.image_offset, at_least, below: self.slot_bytes });
        }
        Ok(())
    }

    fn flash_error<F: NorFlash>() -> LayoutError {
        LayoutError::Flash { read_bytes: F::READ_SIZE, write_bytes: F::WRITE_SIZE, erase_bytes: F::ERASE_SIZE }
    }

    /// Returns where a slot begins.
    pub const fn slot(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => self.slot_a,
            Slot::B => self.slot_b,
        }
    }

    /// Returns where the image in a slot begins.
    pub const fn image(&self, slot: Slot) -> u32 {
        self.slot(slot).saturating_add(self.image_offset)
    }

    /// Returns the bytes that an image and its signature may have.
    pub const fn image_bytes_at_most(&self) -> u32 {
        self.slot_bytes.saturating_sub(self.image_offset)
    }
}

/// The largest `WRITE_SIZE` of a flash, and what is written at once at most.
pub(super) const WRITE_BYTES_AT_MOST: usize = 256;

fn unit(bytes: usize) -> Option<u32> {
    u32::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::testing::Plain;

    const GOOD: Layout = Layout { slot_a: 0, slot_b: 1024, slot_bytes: 1024, image_offset: 64, records: 2048 };

    fn check(layout: Layout) -> Result<(), LayoutError> {
        layout.check(&Plain::<4, 256, 2560>::new())
    }

    #[test]
    fn a_layout_that_fits_is_taken() {
        assert_eq!(check(GOOD), Ok(()));
        assert_eq!((GOOD.image(Slot::B), GOOD.image_bytes_at_most()), (1088, 960));
        assert_eq!(check(Layout { slot_a: 1536, slot_b: 512, records: 0, ..GOOD }), Ok(()), "in any order");
    }

    #[test]
    fn each_layout_that_cannot_work_is_refused_with_the_figures() {
        use LayoutError::*;
        let misaligned = |part, bytes, unit_bytes| Err(Misaligned { part, bytes, unit_bytes });
        assert_eq!(check(Layout { slot_a: 4, ..GOOD }), misaligned(Part::SlotA, 4, 256));
        assert_eq!(check(Layout { slot_b: 1028, ..GOOD }), misaligned(Part::SlotB, 1028, 256));
        assert_eq!(check(Layout { slot_bytes: 1000, ..GOOD }), misaligned(Part::SlotA, 1000, 256));
        assert_eq!(check(Layout { records: 2049, ..GOOD }), misaligned(Part::Records, 2049, 256));
        assert_eq!(check(Layout { image_offset: 66, ..GOOD }), misaligned(Part::Image, 66, 4));
        let past_end = |part, end| Err(PastEnd { part, end, capacity: 2560 });
        assert_eq!(check(Layout { records: 2304, ..GOOD }), past_end(Part::Records, 2816));
        assert_eq!(check(Layout { slot_a: 0xFFFF_FF00, ..GOOD }), past_end(Part::SlotA, 0x1_0000_0300));
        let overlap = |one, other| Err(Overlap { one, other });
        assert_eq!(check(Layout { slot_b: 768, ..GOOD }), overlap(Part::SlotA, Part::SlotB));
        assert_eq!(check(Layout { records: 768, ..GOOD }), overlap(Part::SlotA, Part::Records));
        assert_eq!(check(Layout { records: 1792, ..GOOD }), overlap(Part::SlotB, Part::Records));
        let image = |offset| Err(ImageOffset { offset, at_least: 64, below: 1024 });
        assert_eq!(check(Layout { image_offset: 60, ..GOOD }), image(60));
        assert_eq!(check(Layout { image_offset: 1024, ..GOOD }), image(1024));
    }

    #[test]
    fn a_flash_whose_units_do_not_fit_is_refused() {
        let flash = |write_bytes, erase_bytes| Err(LayoutError::Flash { read_bytes: 1, write_bytes, erase_bytes });
        assert_eq!(GOOD.check(&Plain::<512, 512, 2560>::new()), flash(512, 512));
        assert_eq!(GOOD.check(&Plain::<24, 240, 2560>::new()), flash(24, 240));
        assert_eq!(GOOD.check(&Plain::<4, 16, 2560>::new()), flash(4, 16));
        assert_eq!(GOOD.check(&Plain::<0, 256, 2560>::new()), flash(0, 256));
    }
}
