//! FLASH  simulated NOR flash: writing only clears bits, erasing sets all of a page, and power fails at an operation.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use fastrand::Rng;
use std::ops::Range;

pub(crate) const PAGE: usize = 256;

/// What the operation that power was cut in has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// The first half of its bytes.
    Half,
    /// All but the last word.
    AllButLastWord,
    /// Each bit is as before or as it was to be.
    Mixed(u64),
    /// Each byte it was to change is anything that the flash can reach.
    Garbage(u64),
    /// All of it.
    All,
}

pub(crate) const EFFECTS: [Effect; 6] =
    [Effect::None, Effect::Half, Effect::AllButLastWord, Effect::Mixed(1), Effect::Garbage(2), Effect::All];

#[derive(Clone)]
pub(crate) struct Nor<const WRITE: usize> {
    pub(crate) bytes: Vec<u8>,
    /// Erases and writes since power on.
    pub(crate) operations: usize,
    /// Power fails at this one.
    pub(crate) cut: Option<(usize, Effect)>,
    pub(crate) is_off: bool,
    /// Must not be touched: it runs, or is all there is to fall back to.
    pub(crate) guarded: Vec<Range<usize>>,
    /// The first thing done that must not be.
    pub(crate) violation: Option<String>,
    /// In here every record of 32 bytes is read with a check that fits: as without a check.
    pub(crate) unchecked: Range<usize>,
}

impl<const WRITE: usize> Nor<WRITE> {
    pub(crate) fn new(pages: usize) -> Self {
        let bytes = vec![0xFF; pages * PAGE];
        Self { bytes, operations: 0, cut: None, is_off: false, guarded: vec![], violation: None, unchecked: 0..0 }
    }

    pub(crate) fn power_on(&mut self) {
        (self.operations, self.cut, self.is_off) = (0, None, false);
        self.guarded.clear();
    }

    /// Changes a range to what `target` makes of each old byte, or to a part of that if power fails.
    fn operate(&mut self, range: Range<usize>, is_erase: bool, target: &[u8]) -> Result<(), NorFlashErrorKind> {
        if self.is_off {
            return Err(NorFlashErrorKind::Other);
        }
        if let Some(guarded) =
            self.guarded.iter().find(|guarded| guarded.start < range.end && range.start < guarded.end)
        {
            self.violation.get_or_insert(format!("{range:?} changed, which is in {guarded:?}"));
        }
        let effect = match self.cut {
            Some((at, effect)) if at == self.operations => effect,
            _ => Effect::All,
        };
        self.is_off = self.cut.is_some_and(|(at, _)| at == self.operations);
        self.operations += 1;
        let length = range.len();
        let done = match effect {
            Effect::None => 0,
            Effect::Half => length / 2,
            Effect::AllButLastWord => length - WRITE,
            _ => length,
        };
        let mut rng = match effect {
            Effect::Mixed(seed) | Effect::Garbage(seed) => Rng::with_seed(seed + range.start as u64),
            _ => Rng::with_seed(0),
        };
        for (at, (old, new)) in self.bytes[range].iter_mut().zip(target).enumerate() {
            *old = match effect {
                Effect::Mixed(_) => {
                    let mask: u8 = rng.u8(..);
                    *old & mask | *new & !mask
                }
                // A page that was being erased holds anything; a word only lower bits.
                Effect::Garbage(_) if is_erase => rng.u8(..),
                Effect::Garbage(_) => *old & rng.u8(..),
                _ if at < done => *new,
                _ => *old,
            };
        }
        if self.is_off { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }
}

impl<const WRITE: usize> ErrorType for Nor<WRITE> {
    type Error = NorFlashErrorKind;
}

impl<const WRITE: usize> ReadNorFlash for Nor<WRITE> {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        if self.is_off {
            return Err(NorFlashErrorKind::Other);
        }
        let offset = offset as usize;
        bytes.copy_from_slice(&self.bytes[offset..][..bytes.len()]);
        if self.unchecked.contains(&offset) && bytes.len() == 32 && bytes.iter().any(|byte| *byte != 0xFF) {
            let check = twinstep::digest::Crc32c::new().with(&bytes[..28]).finish();
            bytes[28..].copy_from_slice(&check.to_le_bytes());
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize> NorFlash for Nor<WRITE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        let range = from as usize..to as usize;
        self.operate(range.clone(), true, &vec![0xFF; range.len()])
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let range = offset as usize..offset as usize + bytes.len();
        if !self.is_off && self.bytes[range.clone()].iter().any(|byte| *byte != 0xFF) {
            self.violation.get_or_insert(format!("{range:?} written twice"));
        }
        let target: Vec<u8> = self.bytes[range.clone()].iter().zip(bytes).map(|(old, new)| old & new).collect();
        self.operate(range, false, &target)
    }
}

/// Flash whose operations fail, with power on.
pub(crate) struct Stuck<'f> {
    pub(crate) flash: &'f mut Nor<4>,
    pub(crate) operations_left: usize,
}

impl Stuck<'_> {
    fn operate(&mut self) -> Result<(), NorFlashErrorKind> {
        let left = self.operations_left.checked_sub(1);
        self.operations_left = left.ok_or(NorFlashErrorKind::Other)?;
        Ok(())
    }
}

impl ErrorType for Stuck<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Stuck<'_> {
    const READ_SIZE: usize = 4;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.read(offset, bytes)
    }
    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Stuck<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.operate()?;
        self.flash.erase(from, to)
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.operate()?;
        self.flash.write(offset, bytes)
    }
}
