//! TESTING  a flash for the unit tests. The one that loses power is in the tests folder.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use std::vec::Vec;

/// Flash of `BYTES` bytes, erased at first.
pub(crate) struct Plain<const WRITE: usize, const ERASE: usize, const BYTES: usize> {
    bytes: Vec<u8>,
}

impl<const WRITE: usize, const ERASE: usize, const BYTES: usize> Plain<WRITE, ERASE, BYTES> {
    pub(crate) fn new() -> Self {
        Self { bytes: std::vec![0xFF; BYTES] }
    }
}

impl<const WRITE: usize, const ERASE: usize, const BYTES: usize> ErrorType for Plain<WRITE, ERASE, BYTES> {
    type Error = NorFlashErrorKind;
}

impl<const WRITE: usize, const ERASE: usize, const BYTES: usize> ReadNorFlash for Plain<WRITE, ERASE, BYTES> {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }
    fn capacity(&self) -> usize {
        BYTES
    }
}

impl<const WRITE: usize, const ERASE: usize, const BYTES: usize> NorFlash for Plain<WRITE, ERASE, BYTES> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.bytes[from as usize..to as usize].fill(0xFF);
        Ok(())
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}
