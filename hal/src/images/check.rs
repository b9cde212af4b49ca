//! CHECK  digest and signature of an image, a piece at a time.

use super::verifier::SIGNATURE_BYTES_AT_MOST;
use super::{HEADER_BYTES, ImageHeader, Layout, Refusal, Slot, Verifier};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use sha2::{Digest, Sha256};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256;

/// Reads from any address, in units that the flash can.
pub(super) fn read<F: ReadNorFlash>(flash: &mut F, address: u32, into: &mut [u8]) -> Result<(), Refusal> {
    const UNIT: usize = 32; // every READ_SIZE that a layout allows divides it
    let (mut address, mut rest) = (address, into);
    while !rest.is_empty() {
        let skipped = address as usize % UNIT;
        let length = if skipped == 0 && rest.len() >= UNIT {
            let whole = rest.len() - rest.len() % UNIT;
            flash.read(address, rest.get_mut(..whole).unwrap_or_default()).map_err(Refusal::flash)?;
            whole
        } else {
            let mut unit = [0; UNIT];
            flash.read(address.saturating_sub(skipped as u32), &mut unit).map_err(Refusal::flash)?;
            let bytes = unit.get(skipped..).unwrap_or_default();
            for (to, from) in rest.iter_mut().zip(bytes) {
                *to = *from;
            }
            bytes.len().min(rest.len())
        };
        address = address.saturating_add(length as u32);
        rest = rest.get_mut(length..).unwrap_or_default();
    }
    Ok(())
}

/// Reads the header in a slot.
pub(super) fn header<F: ReadNorFlash>(flash: &mut F, layout: &Layout, slot: Slot) -> Result<ImageHeader, Refusal> {
    let mut bytes = [0; HEADER_BYTES];
    read(flash, layout.slot(slot), &mut bytes)?;
    Ok(ImageHeader::parse(&bytes)?)
}

/// Whether an image with this header may be in a slot.
pub(super) fn fits(header: &ImageHeader, layout: &Layout, floor: u32) -> Result<(), Refusal> {
    let (length, signature) = (header.length, u32::from(header.signature_length));
    let need_bytes = length.saturating_add(signature);
    if length == 0 {
        return Err(Refusal::Empty);
    }
    if need_bytes > layout.image_bytes_at_most() {
        return Err(Refusal::TooLong { need_bytes, have_bytes: layout.image_bytes_at_most() });
    }
    let have_bytes = SIGNATURE_BYTES_AT_MOST as u32;
    if signature > have_bytes {
        return Err(Refusal::SignatureTooLong { need_bytes: signature, have_bytes });
    }
    let version = header.program.version;
    if version < floor {
        return Err(Refusal::BelowFloor { version, floor });
    }
    Ok(())
}

/// An image that is being checked.
#[derive(Clone, Debug)]
pub(super) struct Check {
    header: ImageHeader,
    image: u32,
    hash: Sha256,
    hashed_bytes: u32,
}

impl Check {
    /// Begins to check the image in a slot: its header, and that it fits and is the one that was noted.
    pub(super) fn begin<F: ReadNorFlash>(
        flash: &mut F,
        layout: &Layout,
        slot: Slot,
        floor: u32,
        noted_id: Option<u32>,
    ) -> Result<Self, Refusal> {
        let header = header(flash, layout, slot)?;
        if noted_id.is_some_and(|id| id != header.id()) {
            return Err(Refusal::OtherImage);
        }
        fits(&header, layout, floor)?;
        Ok(Self { header, image: layout.image(slot), hash: Sha256::new(), hashed_bytes: 0 })
    }

    /// Returns what stands for the image in records.
    pub(super) fn id(&self) -> u32 {
        self.header.id()
    }

    /// Checks on, for at most so many bytes, rounded up to 256. Returns the header once all is found good.
    pub(super) fn go_on<F: ReadNorFlash, V: Verifier>(
        &mut self,
        flash: &mut F,
        verifier: &V,
        bytes_at_most: u32,
    ) -> Result<Option<ImageHeader>, Refusal> {
        let mut budget = bytes_at_most.max(1);
        while self.hashed_bytes < self.header.length {
            if budget == 0 {
                return Ok(None);
            }
            let length = (PIECE_BYTES as u32).min(self.header.length - self.hashed_bytes);
            let mut piece = [0; PIECE_BYTES];
            let piece = piece.get_mut(..length as usize).unwrap_or_default();
            read(flash, self.image.saturating_add(self.hashed_bytes), piece)?;
            self.hash.update(piece);
            self.hashed_bytes += length;
            budget = budget.saturating_sub(PIECE_BYTES as u32);
        }
        let digest: [u8; 32] = self.hash.clone().finalize().into();
        if digest != self.header.digest {
            return Err(Refusal::Digest);
        }
        let mut signature = [0; SIGNATURE_BYTES_AT_MOST];
        let signature = signature.get_mut(..usize::from(self.header.signature_length)).unwrap_or_default();
        read(flash, self.image.saturating_add(self.header.length), signature)?;
        match verifier.verify(&self.header.signed_digest(), signature) {
            true => Ok(Some(self.header)),
            false => Err(Refusal::Signature),
        }
    }

    /// Checks all of the image in a slot.
    pub(super) fn whole<F: NorFlash, V: Verifier>(
        flash: &mut F,
        layout: &Layout,
        verifier: &V,
        slot: Slot,
        floor: u32,
        noted_id: Option<u32>,
    ) -> Result<ImageHeader, Refusal> {
        let mut check = Self::begin(flash, layout, slot, floor, noted_id)?;
        loop {
            if let Some(header) = check.go_on(flash, verifier, u32::MAX)? {
                return Ok(header);
            }
        }
    }
}
