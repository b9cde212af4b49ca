//! SLOTS  the two slots, as the firmware uses them.

mod staging;

use super::check::{self, Check};
use super::record::{Other, Record};
use super::records::Records;
use super::{BootState, ImageHeader, Images, Layout, LayoutError, RecordsError, Refusal, Slot, Status, Verifier};
use embedded_storage::nor_flash::NorFlash;
use staging::Staging;

/// Two slots and their records in one flash.
///
/// Takes some 600 bytes of memory, and 1.5 KiB of stack to verify. An erase stalls many chips for milliseconds: a
/// [`write`](Images::write) begins two of them at most for each page that its bytes reach, the page itself and one of
/// records, a [`begin`](Images::begin) two, and any other call one. So stage in pieces shorter than a page. Of the code,
/// SHA-256 is 7 KiB on a Cortex-M3; built with `--cfg sha2_backend_soft="compact"` it is a tenth of that, and slower.
///
/// ```
/// # use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
/// # struct Flash(Vec<u8>);
/// # impl ErrorType for Flash { type Error = NorFlashErrorKind; }
/// # impl ReadNorFlash for Flash {
/// #     const READ_SIZE: usize = 4;
/// #     fn read(&mut self, at: u32, to: &mut [u8]) -> Result<(), NorFlashErrorKind> {
/// #         to.copy_from_slice(&self.0[at as usize..][..to.len()]); Ok(())
/// #     }
/// #     fn capacity(&self) -> usize { self.0.len() }
/// # }
/// # impl NorFlash for Flash {
/// #     const WRITE_SIZE: usize = 4; const ERASE_SIZE: usize = 1024;
/// #     fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
/// #         self.0[from as usize..to as usize].fill(0xFF); Ok(())
/// #     }
/// #     fn write(&mut self, at: u32, from: &[u8]) -> Result<(), NorFlashErrorKind> {
/// #         self.0[at as usize..][..from.len()].copy_from_slice(from); Ok(())
/// #     }
/// # }
/// # use sha2::{Digest, Sha256};
/// # let image = |version: u32, byte: u8| {
/// #     let bytes = vec![byte; 3000];
/// #     let program = Edition { version, layout: 9 };
/// #     let digest = Sha256::digest(&bytes).into();
/// #     (ImageHeader { program, before: None, length: 3000, digest, signature_length: 0 }, bytes)
/// # };
/// use twinstep_hal::images::{choose, DigestOnly, Edition, ImageHeader, Images, Layout, Slot, Slots};
///
/// const LAYOUT: Layout =
///     Layout { slot_a: 0, slot_b: 16 * 1024, slot_bytes: 16 * 1024, image_offset: 512, records: 32 * 1024 };
/// # let mut flash = Flash(vec![0xFF; 34 * 1024]);
/// # let (first, bytes) = image(1, 0xA1);
/// # flash.write(0, &first.encode()).unwrap();
/// # flash.write(512, &bytes).unwrap();
/// # let (header, bytes) = image(2, 0xB2);
///
/// // In the factory, once the first image is in slot A:
/// Slots::new(&mut flash, LAYOUT, DigestOnly, Slot::A)?.provision()?;
///
/// // In the bootloader, at each reset:
/// let choice = choose(&mut flash, &LAYOUT, &DigestOnly)?;
/// assert_eq!((choice.slot, choice.is_on_trial), (Slot::A, false));
///
/// // In the firmware, as the new image comes in:
/// let mut images = Slots::new(&mut flash, LAYOUT, DigestOnly, Slot::A)?;
/// let mut at = images.begin(&header)?;
/// while at < header.payload_length() {
///     at = images.write(at, &bytes[at as usize..][..100])?;
/// }
/// while images.verify(1024)?.is_none() {}
/// images.boot()?;
///
/// // At the next reset, and then in the new program:
/// let choice = choose(&mut flash, &LAYOUT, &DigestOnly)?;
/// assert_eq!((choice.slot, choice.is_on_trial), (Slot::B, true));
/// let mut images = Slots::new(&mut flash, LAYOUT, DigestOnly, Slot::B)?;
/// images.confirm()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Slots<F, V> {
    flash: F,
    layout: Layout,
    verifier: V,
    running: Slot,
    /// As in flash, or `None` if that is to be looked up.
    records: Option<Records>,
    staging: Option<Staging>,
    check: Option<Check>,
    verified: Option<ImageHeader>,
    /// The header of an image that was found bad: it is staged anew from its first byte.
    is_bad: Option<u32>,
}

impl<F: NorFlash, V: Verifier> Slots<F, V> {
    /// Makes the two slots of a flash, or of a `&mut` to one. `running` is the slot that the program runs from: its
    /// linker script or its vector table tells.
    ///
    /// # Errors
    /// [`LayoutError`] if the layout cannot work.
    pub fn new(flash: F, layout: Layout, verifier: V, running: Slot) -> Result<Self, LayoutError> {
        layout.check(&flash)?;
        let (records, staging, check, verified, is_bad) = (None, None, None, None, None);
        Ok(Self { flash, layout, verifier, running, records, staging, check, verified, is_bad })
    }

    /// Gives the flash back.
    pub fn into_inner(self) -> F {
        self.flash
    }

    /// Makes the image in the running slot the confirmed one of a new board, with floor 0. For the factory, or for a
    /// bootloader that finds the records [blank](RecordsError::Blank).
    ///
    /// # Errors
    /// [`Refusal`]: there is a record already, which is [`Busy`](Refusal::Busy) with its state; the newest record is
    /// not known; or the image is not good.
    pub fn provision(&mut self) -> Result<ImageHeader, Refusal> {
        match Records::load(&mut self.flash, &self.layout) {
            Ok(records) => return Err(Refusal::Busy(records.newest.state)),
            Err(error @ RecordsError::Unknown { .. }) => return Err(error.into()),
            Err(RecordsError::Blank | RecordsError::Damaged) => {}
        }
        let header = Check::whole(&mut self.flash, &self.layout, &self.verifier, self.running, 0, None)?;
        let (state, home, other) = (BootState::Stable, self.running, Other::Nothing);
        Records::first(&mut self.flash, &self.layout, &Record { state, home, other, floor: 0 })?;
        Ok(header)
    }

    /// Returns the header in a slot. The image in it need not be whole.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    pub fn header(&mut self, slot: Slot) -> Result<ImageHeader, Refusal> {
        check::header(&mut self.flash, &self.layout, slot)
    }

    /// Reads from the image in a slot and the signature behind it, to send them to the other half.
    ///
    /// # Errors
    /// [`Refusal::PastEnd`], or the flash's error.
    pub fn read(&mut self, slot: Slot, offset: u32, into: &mut [u8]) -> Result<(), Refusal> {
        let end = u32::try_from(into.len()).ok().and_then(|length| offset.checked_add(length)).unwrap_or(u32::MAX);
        let length = self.layout.image_bytes_at_most();
        if end > length {
            return Err(Refusal::PastEnd { end, length });
        }
        check::read(&mut self.flash, self.layout.image(slot).saturating_add(offset), into)
    }

    fn records(&mut self) -> Result<Records, Refusal> {
        let records = match self.records {
            Some(records) => records,
            None => Records::load(&mut self.flash, &self.layout)?,
        };
        self.records = Some(records);
        let noted = records.newest.running();
        match noted == self.running {
            true => Ok(records),
            false => Err(Refusal::Elsewhere { running: self.running, noted }),
        }
    }

    fn record(&mut self) -> Result<Record, Refusal> {
        self.records().map(|records| records.newest)
    }

    /// Writes a record, unless it is there.
    fn note(&mut self, record: Record) -> Result<(), Refusal> {
        let records = self.records()?;
        if records.newest == record {
            return Ok(());
        }
        self.records = None; // until it is there for certain
        self.records = Some(records.append(&mut self.flash, &self.layout, record)?);
        Ok(())
    }

    /// Forgets what it knows of the image in the other slot.
    fn forget(&mut self) {
        (self.staging, self.check, self.verified) = (None, None, None);
    }

    /// Whether the image in the other slot may be booted.
    fn bootable(&mut self, noted_id: u32, floor: u32) -> Result<(), Refusal> {
        let header = match self.verified {
            Some(header) => header,
            None => self.header(self.running.other())?,
        };
        if header.id() != noted_id {
            return Err(Refusal::OtherImage);
        }
        check::fits(&header, &self.layout, floor)?;
        self.verified.map(|_| ()).ok_or(Refusal::NotVerified)
    }

    fn begin_check(&mut self) -> Result<Check, Refusal> {
        let record = self.record()?;
        let id = match (record.state, record.other) {
            (BootState::OnTrial | BootState::Rejected, _) => return Err(Refusal::Busy(record.state)),
            (_, Other::Nothing) => return Err(Refusal::NoImage),
            (_, Other::Staged { id, bytes }) => {
                let need_bytes = self.header(self.running.other())?.payload_length();
                if bytes < need_bytes {
                    return Err(Refusal::Truncated { have_bytes: bytes, need_bytes });
                }
                id
            }
            (_, Other::Before { id }) => id,
        };
        Check::begin(&mut self.flash, &self.layout, self.running.other(), record.floor, Some(id))
    }
}

impl<F: NorFlash, V: Verifier> Images for Slots<F, V> {
    fn begin(&mut self, header: &ImageHeader) -> Result<u32, Refusal> {
        self.begin_staging(header)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Refusal> {
        self.stage(offset, bytes)
    }

    fn verify(&mut self, bytes_at_most: u32) -> Result<Option<ImageHeader>, Refusal> {
        if self.verified.is_some() {
            return Ok(self.verified);
        }
        let mut check = match self.check.take() {
            Some(check) => check,
            None => self.begin_check()?,
        };
        match check.go_on(&mut self.flash, &self.verifier, bytes_at_most) {
            Ok(verified) => {
                self.verified = verified;
                self.check = verified.is_none().then_some(check);
                Ok(verified)
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Digest | Refusal::Signature) {
                    self.is_bad = Some(check.id());
                }
                Err(refusal)
            }
        }
    }

    fn boot(&mut self) -> Result<(), Refusal> {
        let record = self.record()?;
        match (record.state, record.other) {
            (BootState::Marked, _) => Ok(()),
            (BootState::Stable, Other::Staged { id, .. }) => {
                self.bootable(id, record.floor)?;
                self.note(Record { state: BootState::Marked, ..record })
            }
            (BootState::Stable, _) => Err(Refusal::NoImage),
            (state, _) => Err(Refusal::Busy(state)),
        }
    }

    fn confirm(&mut self) -> Result<(), Refusal> {
        let record = self.record()?;
        match record.state {
            BootState::Stable => Ok(()),
            BootState::OnTrial => {
                let id = self.header(record.home).map(|header| header.id());
                let other = id.map_or(Other::Nothing, |id| Other::Before { id });
                self.forget();
                self.note(Record { state: BootState::Stable, home: self.running, other, ..record })
            }
            state => Err(Refusal::Busy(state)),
        }
    }

    fn revert(&mut self) -> Result<(), Refusal> {
        let record = self.record()?;
        let state = match (record.state, record.other) {
            (BootState::Stable, Other::Before { id }) => {
                self.bootable(id, record.floor)?;
                BootState::Returning
            }
            (BootState::Stable, _) => return Err(Refusal::NoImageBefore),
            (BootState::Marked, _) => BootState::Stable,
            (BootState::OnTrial, _) => BootState::Rejected,
            (settled @ (BootState::Rejected | BootState::Returning), _) => settled,
        };
        self.note(Record { state, ..record })
    }

    fn raise_floor(&mut self, version: u32) -> Result<(), Refusal> {
        let record = self.record()?;
        if record.state != BootState::Stable {
            return Err(Refusal::Busy(record.state));
        }
        if version < record.floor {
            return Err(Refusal::FloorIsHigher { floor: record.floor, given: version });
        }
        (self.check, self.verified) = (None, None); // by the old floor
        self.note(Record { floor: version, ..record })
    }

    fn status(&mut self) -> Result<Status, Refusal> {
        let record = self.record()?;
        let staged_bytes = match record.other {
            Other::Staged { bytes, .. } => bytes,
            Other::Nothing | Other::Before { .. } => 0,
        };
        let candidate = self.verified;
        Ok(Status { running: self.running, state: record.state, candidate, staged_bytes, floor: record.floor })
    }
}
