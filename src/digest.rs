//! Digests: of a memory block, of a value's byte stream, and the CRC of a frame.
//!
//! Block and value digests share one step, a bijection of the running state for
//! a given word and of the word for a given state. A change confined to one word
//! therefore always changes the digest. The CRC is CRC-32C (Castagnoli) by nibble
//! table: 64 bytes of flash where a byte table takes 1 KiB, and Hamming distance 6
//! up to 655 bytes of frame (Koopman, "32-bit cyclic redundancy codes for internet
//! applications", 2002).

/// Bytes in a memory block.
pub const BLOCK_BYTES: usize = 64;

const SEED: u32 = 0x243F_6A88; // digits of pi: nothing up the sleeve
const MULTIPLIER: u32 = 0x9E37_79B1; // prime next to 2^32 / golden ratio; odd, so a bijection

/// Advances a digest by one word. Bijective in `state` and in `word`.
#[inline]
pub(crate) const fn mix(state: u32, word: u32) -> u32 {
    let product = (state ^ word).wrapping_mul(MULTIPLIER);
    let folded = product ^ (product >> 15);
    folded.wrapping_add(folded << 2)
}

/// Returns the state a block digest starts from; a block moved elsewhere shows by it.
#[inline]
pub(crate) const fn block_seed(index: u32) -> u32 {
    mix(SEED, index)
}

/// Returns the digest of one block of memory: at most 64 bytes, read as
/// little-endian words on every target, a short last word filled with zeros.
pub fn block_digest(index: u32, bytes: &[u8]) -> u32 {
    let (words, tail) = bytes.as_chunks::<4>();
    let mut state = block_seed(index);
    for word in words {
        state = mix(state, u32::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        state = mix(state, partial_word(tail));
    }
    state
}

/// Reads up to four bytes as a little-endian word filled up with zeros.
pub(crate) fn partial_word(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u32::from_le_bytes(word)
}

/// Digests a stream of bytes. The length is part of the digest.
#[derive(Clone, Debug)]
pub struct ValueDigest {
    state: u32,
    word: u32,
    length: u32,
}

impl ValueDigest {
    /// Starts an empty digest.
    pub const fn new() -> Self {
        Self { state: SEED, word: 0, length: 0 }
    }

    /// Adds one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.word = (self.word >> 8) | (u32::from(byte) << 24);
        self.length = self.length.wrapping_add(1);
        if self.length.is_multiple_of(4) {
            self.state = mix(self.state, self.word);
        }
    }

    /// Returns the digest with the bytes of a number added, after whole words only.
    pub(crate) const fn with(self, number: u32) -> Self {
        Self { state: mix(self.state, number), word: number, length: self.length.wrapping_add(4) }
    }

    /// Adds bytes in order.
    pub fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push(*byte);
        }
    }

    /// Returns the digest of all that was added.
    pub const fn finish(&self) -> u32 {
        let filled = self.length % 4;
        let state = match filled {
            0 => self.state,
            n => mix(self.state, self.word >> (32 - 8 * n)),
        };
        mix(state, self.length)
    }
}

impl Default for ValueDigest {
    fn default() -> Self {
        Self::new()
    }
}

const CRC_POLYNOMIAL: u32 = 0x82F6_3B78; // Castagnoli, reflected
const CRC_NIBBLES: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ CRC_POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        #[allow(clippy::indexing_slicing)] // evaluated by the compiler
        {
            table[nibble] = crc;
        }
        nibble += 1;
    }
    table
};

/// Computes CRC-32C over a stream of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// Starts an empty check.
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Returns the check with `bytes` added.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        for byte in bytes {
            crc ^= u32::from(*byte);
            crc = (crc >> 4) ^ nibble_entry(crc);
            crc = (crc >> 4) ^ nibble_entry(crc);
        }
        Self(crc)
    }

    /// Returns the check value.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
#[allow(clippy::indexing_slicing)] // four bits index sixteen entries: the check is optimised away
fn nibble_entry(crc: u32) -> u32 {
    CRC_NIBBLES[(crc & 0xF) as usize]
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn crc_equals_the_reference_crate() {
        let reference = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
        let mut bytes = std::vec::Vec::new();
        for n in 0..700_u32 {
            assert_eq!(Crc32c::new().with(&bytes).finish(), reference.checksum(&bytes));
            bytes.push((n * 37 + n / 5) as u8);
        }
        // Split anywhere, the stream is the same.
        let split = Crc32c::new().with(&bytes[..100]).with(&bytes[100..]);
        assert_eq!(split.finish(), reference.checksum(&bytes));
    }

    /// Computed by another program from the description in `wire.rs`, as a peer in another
    /// language would.
    #[test]
    fn golden_digests() {
        let mut digest = ValueDigest::new();
        assert_eq!(digest.finish(), 0x4E18_6C51);
        digest.extend(&[1, 2, 3, 4, 5]);
        assert_eq!(digest.finish(), 0x3E35_5934);
        let block: [u8; BLOCK_BYTES] = core::array::from_fn(|i| i as u8);
        assert_eq!(block_digest(3, &block), 0xD97A_4D5C);
        assert_eq!(block_digest(0, &[1, 2, 3, 4, 5, 6]), 0x6B90_8321);
    }

    #[test]
    fn any_change_within_one_word_changes_a_block_digest() {
        let block: [u8; BLOCK_BYTES] = core::array::from_fn(|i| (i * 7) as u8);
        let clean = block_digest(3, &block);
        for word in 0..16 {
            for pattern in (0..32).map(|bit| 1_u32 << bit).chain([u32::MAX, 0x8000_0001, 0x00FF_FF00]) {
                let mut changed = block;
                for (byte, flip) in changed[4 * word..].iter_mut().zip(pattern.to_le_bytes()) {
                    *byte ^= flip;
                }
                assert_ne!(block_digest(3, &changed), clean);
            }
        }
        assert_ne!(block_digest(4, &block), clean, "a moved block must show");
    }

    #[test]
    fn double_bit_flips_change_a_block_digest() {
        // All pairs: 512 * 511 / 2. A linear sum of words misses every pair of bit 31.
        let clean = block_digest(0, &[0; BLOCK_BYTES]);
        let flip = |bits: [usize; 2]| {
            let mut block = [0_u8; BLOCK_BYTES];
            for bit in bits {
                block[bit / 8] ^= 1 << (bit % 8);
            }
            block
        };
        let linear = |block: &[u8]| {
            let words = block.as_chunks::<4>().0.iter();
            words.zip(1..).fold(0_u32, |sum, (word, i)| {
                sum.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER.wrapping_mul(2 * i + 1)))
            })
        };
        let mut missed_by_linear_sum = 0;
        for first in 0..512 {
            for second in 0..first {
                let block = flip([first, second]);
                assert_ne!(block_digest(0, &block), clean, "bits {first} and {second}");
                missed_by_linear_sum += u32::from(linear(&block) == linear(&[0; BLOCK_BYTES]));
            }
        }
        assert!(missed_by_linear_sum > 0, "the negative control must miss some");
    }

    #[test]
    fn a_value_digest_covers_length_and_splits() {
        let digest = |bytes: &[u8]| {
            let mut digest = ValueDigest::new();
            digest.extend(bytes);
            digest.finish()
        };
        let mut seen = std::collections::HashSet::new();
        for length in 0..64 {
            assert!(seen.insert(digest(&std::vec![0; length])), "zeros of length {length}");
        }
        let mut split = ValueDigest::new();
        split.extend(&[1, 2, 3]);
        split.extend(&[4, 5]);
        assert_eq!(split.finish(), digest(&[1, 2, 3, 4, 5]));
        assert_ne!(digest(&[1, 2, 3]), digest(&[1, 2, 3, 0]));
    }
}
