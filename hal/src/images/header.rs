//! HEADER  the 64 bytes before an image.
//!
//! All numbers are little-endian. A build script writes this, the image [`image_offset`](super::Layout::image_offset)
//! bytes from the start of the header, and the signature right behind the image:
//!
//! ```text
//!  0   4  magic: 54 57 53 49, "TWSI"
//!  4   2  format: 1
//!  6   2  bytes of the signature; 0 if there is none
//!  8   4  version of the program: Program::VERSION
//! 12   4  layout of its state: Program::LAYOUT
//! 16   4  version whose state it takes over: Successor::OLD_VERSION; 0 if none
//! 20   4  layout of that state: Successor::OLD_LAYOUT; 0 if none
//! 24   4  bytes of the image
//! 28  32  SHA-256 of the image
//! 60   4  CRC-32C (Castagnoli) of bytes 0 to 59
//! ```
//!
//! What is signed is the SHA-256 of these 64 bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use twinstep::digest::Crc32c;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"TWSI";
const FORMAT: u16 = 1;

/// A program's version, and the layout of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Edition {
    /// [`Program::VERSION`](twinstep::Program::VERSION).
    pub version: u32,
    /// [`Program::LAYOUT`](twinstep::Program::LAYOUT).
    pub layout: u32,
}

/// What is known of an image before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ImageHeader {
    /// The program in it.
    pub program: Edition,
    /// The program whose state it takes over, if it does.
    pub before: Option<Edition>,
    /// Bytes of the image.
    pub length: u32,
    /// SHA-256 of the image.
    pub digest: [u8; 32],
    /// Bytes of the signature behind the image.
    pub signature_length: u16,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeaderError {
    /// There are too few.
    Truncated {
        /// Bytes there are.
        have_bytes: u32,
    },
    /// They do not begin as a header does.
    Magic([u8; 4]),
    /// The header is of a format not known here. Its maker is newer than this program.
    Format(u16),
    /// The check does not fit: it is damaged.
    Check {
        /// The check in the header.
        given: u32,
        /// The one of its bytes.
        computed: u32,
    },
}

impl core::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated { have_bytes } => write!(f, "a header of {have_bytes} bytes, not {HEADER_BYTES}"),
            Self::Magic(magic) => write!(f, "no header: it begins with {magic:02x?}"),
            Self::Format(format) => write!(f, "a header of format {format}, known is {FORMAT}"),
            Self::Check { given, computed } => write!(f, "header check {given:08x}, computed {computed:08x}"),
        }
    }
}

impl core::error::Error for HeaderError {}

impl ImageHeader {
    /// Reads a header from the front of `bytes`.
    ///
    /// # Errors
    /// [`HeaderError`] with the first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut fields = Fields { rest: bytes, have_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
        let magic = fields.take()?;
        if magic != MAGIC {
            return Err(HeaderError::Magic(magic));
        }
        let format = u16::from_le_bytes(fields.take()?);
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        let signature_length = u16::from_le_bytes(fields.take()?);
        let program = fields.edition()?;
        let before = fields.edition()?;
        let length = fields.number()?;
        let digest = fields.take()?;
        let given = fields.number()?;
        let before = (before != Edition { version: 0, layout: 0 }).then_some(before);
        let header = Self { program, before, length, digest, signature_length };
        let computed = header.id();
        if given != computed {
            return Err(HeaderError::Check { given, computed });
        }
        Ok(header)
    }

    /// Returns the bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let Edition { version, layout } = self.before.unwrap_or(Edition { version: 0, layout: 0 });
        let mut bytes = [0; HEADER_BYTES];
        let fields: [&[u8]; 9] = [
            &MAGIC,
            &FORMAT.to_le_bytes(),
            &self.signature_length.to_le_bytes(),
            &self.program.version.to_le_bytes(),
            &self.program.layout.to_le_bytes(),
            &version.to_le_bytes(),
            &layout.to_le_bytes(),
            &self.length.to_le_bytes(),
            &self.digest,
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        if let Some((front, check)) = bytes.split_last_chunk_mut::<4>() {
            *check = Crc32c::new().with(front).finish().to_le_bytes();
        }
        bytes
    }

    /// Returns the number that stands for the header in records: its check.
    pub fn id(&self) -> u32 {
        self.encode().last_chunk().map_or(0, |check| u32::from_le_bytes(*check))
    }

    /// Returns the bytes of image and signature.
    pub const fn payload_length(&self) -> u32 {
        self.length.saturating_add(self.signature_length as u32)
    }

    /// Returns what is signed: the SHA-256 of the header.
    pub fn signed_digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }
}

/// The bytes of a header from front to back.
struct Fields<'b> {
    rest: &'b [u8],
    have_bytes: u32,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let Some((field, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(HeaderError::Truncated { have_bytes: self.have_bytes });
        };
        self.rest = rest;
        Ok(*field)
    }

    fn number(&mut self) -> Result<u32, HeaderError> {
        self.take().map(u32::from_le_bytes)
    }

    fn edition(&mut self) -> Result<Edition, HeaderError> {
        Ok(Edition { version: self.number()?, layout: self.number()? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn header() -> ImageHeader {
        ImageHeader {
            program: Edition { version: 2, layout: 0x1122_3344 },
            before: Some(Edition { version: 1, layout: 0x5566_7788 }),
            length: 0x0001_0203,
            digest: core::array::from_fn(|i| i as u8),
            signature_length: 64,
        }
    }

    /// As another program made it from the description above.
    #[test]
    fn golden_header() {
        let mut golden = [0; 64];
        golden[..28].copy_from_slice(&[
            0x54, 0x57, 0x53, 0x49, 1, 0, 64, 0, 2, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 1, 0, 0, 0, 0x88, 0x77, 0x66,
            0x55, 3, 2, 1, 0,
        ]);
        golden[28..60].copy_from_slice(&core::array::from_fn::<u8, 32, _>(|i| i as u8));
        golden[60..].copy_from_slice(&GOLDEN_CHECK.to_le_bytes());
        assert_eq!(header().encode(), golden);
        assert_eq!(ImageHeader::parse(&golden), Ok(header()));
    }

    const GOLDEN_CHECK: u32 = 0x79D6_19D2;

    #[test]
    fn no_version_before_is_two_zeros() {
        let alone = ImageHeader { before: None, ..header() };
        assert_eq!(alone.encode()[16..24], [0; 8]);
        assert_eq!(ImageHeader::parse(&alone.encode()), Ok(alone));
    }

    #[test]
    fn every_changed_bit_and_every_missing_byte_is_refused() {
        let bytes = header().encode();
        for bit in 0..8 * HEADER_BYTES {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = ImageHeader::parse(&damaged).unwrap_err();
            match bit / 8 {
                0..4 => assert_eq!(error, HeaderError::Magic(damaged[..4].try_into().unwrap())),
                4..6 => assert!(matches!(error, HeaderError::Format(format) if format != 1)),
                _ => assert!(matches!(error, HeaderError::Check { given, computed } if given != computed)),
            }
        }
        for length in 0..HEADER_BYTES {
            let have_bytes = length as u32;
            assert_eq!(ImageHeader::parse(&bytes[..length]), Err(HeaderError::Truncated { have_bytes }));
        }
    }

    #[test]
    fn what_is_signed_covers_the_version() {
        let renumbered = ImageHeader { program: Edition { version: 3, ..header().program }, ..header() };
        assert_ne!(renumbered.signed_digest(), header().signed_digest());
    }
}
