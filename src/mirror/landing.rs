//! Landing: the state of another version, received in that version's layout where the checkpoint will be,
//! and converted from there.

use super::Mirror;
use crate::bytes::copy;
use crate::digest::{BLOCK_BYTES, ValueDigest, block_digest};
use crate::memory::State;
use zerocopy::IntoBytes;

/// Whether a state of so many bytes has this block, and of that length.
pub(crate) const fn is_block_of(state_bytes: usize, index: u32, have_bytes: usize) -> bool {
    let start = (index as usize).saturating_mul(BLOCK_BYTES);
    let rest = state_bytes.saturating_sub(start);
    have_bytes > 0 && have_bytes == if rest < BLOCK_BYTES { rest } else { BLOCK_BYTES }
}

impl<T: State> Mirror<'_, T> {
    /// Writes a donated block of the other state.
    pub(crate) fn land_block(&mut self, index: u32, bytes: &[u8]) {
        let place = index as usize;
        if let (Some(kept), Some(digest)) = (self.checkpoint.get_mut(place), self.digests.get_mut(place)) {
            copy(&mut kept.0, bytes);
            *digest = block_digest(index, bytes);
        }
    }

    /// Whether every landed block holds its digest, and they add up.
    pub(crate) fn holds_landed(&self, state_bytes: usize, region_digest: u32) -> bool {
        let (mut sum, mut sound, mut rest) = (0_u32, true, state_bytes);
        for ((index, digest), block) in (0..).zip(self.digests.iter()).zip(self.checkpoint.iter()) {
            let length = rest.min(BLOCK_BYTES);
            if length == 0 {
                break;
            }
            let bytes = block.0.get(..length).unwrap_or_default();
            sound &= block_digest(index, bytes) == *digest;
            sum = sum.wrapping_add(*digest);
            rest -= length;
        }
        sound && rest == 0 && sum == region_digest
    }

    /// Converts what has landed into the working copy, and makes that the checkpoint. Done twice, since nobody else
    /// checks what comes of it; false if that was not the same.
    pub(crate) fn migrate<E>(&mut self, convert: impl Fn(&[u8], &mut T) -> Result<(), E>) -> Result<bool, E> {
        let first = self.converted(&convert)?;
        let is_same = self.converted(&convert)? == first;
        self.as_blocks().take_working();
        Ok(is_same)
    }

    /// Converts; returns the digest of the result.
    fn converted<E>(&mut self, convert: impl Fn(&[u8], &mut T) -> Result<(), E>) -> Result<u32, E> {
        for byte in self.working.as_mut_bytes() {
            *byte = 0;
        }
        convert(self.checkpoint.as_bytes(), self.working)?;
        let mut digest = ValueDigest::new();
        digest.extend(self.working.as_bytes());
        Ok(digest.finish())
    }
}
