//! Bytes, copied by a function that cannot panic and stands in an image once.

/// Copies as many bytes as there are on both sides.
#[inline(never)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
}
