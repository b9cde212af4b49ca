//! The canonical bytes of a value: its postcard encoding.
//!
//! Inputs and outputs are compared and digested in these bytes. `PartialEq` would be
//! wrong: NaN differs from itself and -0.0 equals 0.0, though an actuator sees bits.

use crate::digest::ValueDigest;
use postcard::ser_flavors::{Flavor, Size};
use serde::{Deserialize, Serialize};

/// Encodes `value` into the front of `buffer`; returns the length, or `None` if it does not fit.
pub fn encode<T: Serialize>(value: &T, buffer: &mut [u8]) -> Option<usize> {
    postcard::to_slice(value, buffer).ok().map(|bytes| bytes.len())
}

/// Returns how many bytes `value` encodes to, or `None` if it cannot be encoded.
pub fn encoded_len<T: Serialize>(value: &T) -> Option<usize> {
    postcard::serialize_with_flavor(value, Size::default()).ok()
}

/// Decodes a value that takes up all of `bytes`; a rest is an error.
pub fn decode<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// Digests a value as a stream of its canonical bytes, without a buffer.
/// A value that cannot be encoded has no digest.
pub fn digest<T: Serialize>(value: &T) -> Option<u32> {
    postcard::serialize_with_flavor(value, DigestFlavor(ValueDigest::new())).ok()
}

struct DigestFlavor(ValueDigest);

impl Flavor for DigestFlavor {
    type Output = u32;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<u32> {
        Ok(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_encoded_bytes() {
        let value = (7_u8, -3_i32, Some(2.5_f32), [1_u16, 300, 9]);
        let mut buffer = [0; 32];
        let length = encode(&value, &mut buffer).unwrap();
        assert_eq!(Some(length), encoded_len(&value));
        let mut expected = ValueDigest::new();
        expected.extend(buffer.get(..length).unwrap());
        assert_eq!(digest(&value), Some(expected.finish()));
    }

    #[test]
    fn bits_count_not_numeric_equality() {
        assert_ne!(digest(&0.0_f32), digest(&-0.0_f32));
        assert_eq!(digest(&f32::NAN), digest(&f32::NAN));
    }

    #[test]
    fn a_rest_or_a_short_buffer_is_an_error() {
        assert_eq!(decode::<u8>(&[1, 2]), None);
        assert_eq!(decode::<u8>(&[]), None);
        assert_eq!(encode(&[1_u8, 2, 3], &mut [0; 2]), None);
    }
}
