//! A fast 64-bit hasher that takes times relative to a channel's own clock.

use std::hash::Hasher;

/// Half a billion states would have to be seen for two to be taken for one by chance.
pub struct Fingerprint {
    hash: u64,
    /// Times are fed relative to it.
    pub now: u64,
}

/// Further back no time is told from another: longer than any span a channel measures.
const LONGEST_AGO: i64 = 12 * super::world::PERIOD_US as i64;

impl Fingerprint {
    pub fn new() -> Self {
        Self { hash: 0x243F_6A88_85A3_08D3, now: 0 }
    }

    fn mix(&mut self, word: u64) {
        let product = u128::from(self.hash ^ word) * 0x9E37_79B9_7F4A_7C15;
        let folded = (product >> 64) as u64 ^ product as u64;
        self.hash = folded.rotate_left(23).wrapping_add(word);
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number as u64);
    }

    /// An instant: nothing else in a node is so wide.
    fn write_u64(&mut self, time: u64) {
        let ago = time.cast_signed() - self.now.cast_signed();
        self.mix(ago.max(-LONGEST_AGO).cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.hash ^ self.hash >> 29
    }
}
