//! Digests: of a memory block, of a value's byte stream, and the CRC of a frame.
//!
//! Block and value digests share one step, a bijection of the running state for
//! a given word and of the word for a given state; [`block_digest`] says what follows
//! from that. The CRC is CRC-32C (Castagnoli) by nibble
//! table in firmware: 64 bytes of flash where a byte table takes 1 KiB, and Hamming distance 6
//! up to 655 bytes of frame (Koopman, "32-bit cyclic redundancy codes for internet
//! applications", 2002).

use zerocopy::FromBytes;

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
///
/// # What it catches
///
/// The digest is a chain of steps over the index and then the words. Up to a given word the
/// chain does not know of that word; the step that takes it in is a bijection of the word,
/// and each later step is a bijection of the state. With everything else fixed, the digest
/// is therefore a bijection of any one word, and of the index. Among blocks of one length:
///
/// * A change confined to one word is always caught.
/// * If several words change, pick any one of them. Whatever the other words become, at most
///   one of the 2^32 - 1 changes of this word gives the old digest. So a change that is random
///   in at least one word, whatever else it does, is missed with probability at most
///   1 / (2^32 - 1). (Of a short last word of n bytes there are 256^n - 1 changes.)
/// * The index counts as a word before the first. The same bytes at another index are always
///   caught; for a block that moved and changed as well the bound is the same.
/// * A sum of the digests of several blocks, each at its own index, is a bijection of any one
///   of those digests. All of the above holds for the sum, too.
///
/// A bound over random changes says nothing about a given pattern. For some contents the
/// tests of this module go through all flips of two and of three bits and all flips of one
/// bit in any set of words, and miss none.
#[inline]
pub fn block_digest(index: u32, bytes: &[u8]) -> u32 {
    match BlockWords::ref_from_bytes(bytes) {
        Ok(words) => whole_digest(index, words),
        Err(_) => short_digest(index, bytes),
    }
}

/// A whole block, at a multiple of four bytes.
pub(crate) type BlockWords = [u32; BLOCK_BYTES / 4];

/// Copies a block, four words at a time and without a loop: the `memcpy` of a small processor takes more than twice as many
/// instructions.
#[inline]
pub(crate) fn copy_words(to: &mut BlockWords, from: &BlockWords) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = to;
    let [at_a, at_b, at_c, at_d, at_e, at_f, at_g, at_h, at_i, at_j, at_k, at_l, at_m, at_n, at_o, at_p] = from;
    (*a, *b, *c, *d) = (*at_a, *at_b, *at_c, *at_d);
    (*e, *f, *g, *h) = (*at_e, *at_f, *at_g, *at_h);
    (*i, *j, *k, *l) = (*at_i, *at_j, *at_k, *at_l);
    (*m, *n, *o, *p) = (*at_m, *at_n, *at_o, *at_p);
}

/// The digest of a whole block.
#[inline(never)]
pub(crate) fn whole_digest(index: u32, words: &BlockWords) -> u32 {
    let (fours, _) = words.as_chunks::<4>();
    // Four at a time: the loop over a block is short.
    fours.iter().fold(block_seed(index), |state, [a, b, c, d]| {
        let state = mix(mix(state, u32::from_le(*a)), u32::from_le(*b));
        mix(mix(state, u32::from_le(*c)), u32::from_le(*d))
    })
}

/// The digest of bytes that are no whole block, or lie anywhere.
#[inline(never)]
pub(crate) fn short_digest(index: u32, bytes: &[u8]) -> u32 {
    let (words, tail) = bytes.as_chunks::<4>();
    let state = words.iter().fold(block_seed(index), |state, word| mix(state, u32::from_le_bytes(*word)));
    if tail.is_empty() { state } else { mix(state, partial_word(tail)) }
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

/// Returns the digest of a value whose canonical bytes these are: that of the stream of them, a word at a time.
#[inline(never)]
pub fn of_bytes(bytes: &[u8]) -> u32 {
    let (words, tail) = bytes.as_chunks::<4>();
    let mut state = words.iter().fold(SEED, |state, word| mix(state, u32::from_le_bytes(*word)));
    if !tail.is_empty() {
        state = mix(state, partial_word(tail));
    }
    mix(state, bytes.len() as u32)
}

impl Default for ValueDigest {
    fn default() -> Self {
        Self::new()
    }
}

const CRC_POLYNOMIAL: u32 = 0x82F6_3B78; // Castagnoli, reflected

/// Returns the CRC's table of a power of two of entries.
const fn crc_table<const ENTRIES: usize>() -> [u32; ENTRIES] {
    let mut table = [0; ENTRIES];
    let mut entry = 0;
    while entry < ENTRIES {
        let mut crc = entry as u32;
        let mut bit = 0;
        while bit < ENTRIES.ilog2() {
            crc = if crc & 1 == 1 { (crc >> 1) ^ CRC_POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        #[allow(clippy::indexing_slicing)] // evaluated by the compiler
        {
            table[entry] = crc;
        }
        entry += 1;
    }
    table
}

/// Computes CRC-32C over a stream of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// Starts an empty check.
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Starts a check of one byte.
    pub(crate) const fn of_byte(byte: u8) -> Self {
        Self(with_byte(u32::MAX, byte))
    }

    /// Returns the check with `bytes` added.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        for byte in bytes {
            crc = with_byte(crc, *byte);
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
const fn with_byte(crc: u32, byte: u8) -> u32 {
    #[cfg(target_os = "none")]
    return by_nibbles(crc, byte);
    #[cfg(not(target_os = "none"))]
    return by_bytes(crc, byte);
}

/// For firmware: the table takes 64 bytes.
#[cfg(any(target_os = "none", test))]
#[inline]
#[allow(clippy::indexing_slicing)] // four bits index sixteen entries: the check is optimised away
const fn by_nibbles(crc: u32, byte: u8) -> u32 {
    const TABLE: [u32; 16] = crc_table();
    let crc = crc ^ byte as u32;
    let crc = (crc >> 4) ^ TABLE[(crc & 0xF) as usize];
    (crc >> 4) ^ TABLE[(crc & 0xF) as usize]
}

/// For hosts, which simulate many pairs and have the memory: half the instructions.
#[cfg(not(target_os = "none"))]
#[inline]
#[allow(clippy::indexing_slicing)] // eight bits index 256 entries: the check is optimised away
const fn by_bytes(crc: u32, byte: u8) -> u32 {
    const TABLE: [u32; 256] = crc_table();
    (crc >> 8) ^ TABLE[((crc ^ byte as u32) & 0xFF) as usize]
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::println;
    use std::vec::Vec;
    use zerocopy::IntoBytes;

    /// Bytes are digested alike wherever they lie.
    #[test]
    fn a_block_at_an_odd_address_has_the_same_digest() {
        let room: [u32; 20] = core::array::from_fn(|at| (at as u32).wrapping_mul(0x0123_4567));
        let block = &room.as_bytes()[..BLOCK_BYTES];
        for off in 0..8 {
            let mut moved = [0_u32; 20];
            moved.as_mut_bytes()[off..off + BLOCK_BYTES].copy_from_slice(block);
            let digest = block_digest(7, &moved.as_bytes()[off..off + BLOCK_BYTES]);
            assert_eq!(digest, whole_digest(7, room.first_chunk().unwrap()), "{off}");
            assert_eq!(digest, short_digest(7, block), "{off}");
        }
    }

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

    #[test]
    fn the_crc_of_firmware_is_that_of_hosts() {
        for crc in (0..32).map(|bit| 1 << bit).chain([0, u32::MAX]) {
            assert!((0..=u8::MAX).all(|byte| by_nibbles(crc, byte) == by_bytes(crc, byte)), "{crc:#x}");
        }
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

    /// The words of a full block and what a digest of them looks like on the way: `step` is
    /// given the state, the number of the word and the word.
    struct Chain<S> {
        words: [u32; WORDS],
        /// The undamaged state before each word, and at the end.
        clean: [u32; WORDS + 1],
        step: S,
    }

    const WORDS: usize = BLOCK_BYTES / 4;

    /// How many patterns of damage there were, and how many left the digest as it was.
    #[derive(Debug, Default, PartialEq)]
    struct Count {
        tested: u32,
        missed: u32,
    }

    impl<S: Fn(u32, usize, u32) -> u32> Chain<S> {
        fn new(seed: u32, words: [u32; WORDS], step: S) -> Self {
            let mut clean = [seed; WORDS + 1];
            for (at, word) in words.iter().enumerate() {
                clean[at + 1] = step(clean[at], at, *word);
            }
            Self { words, clean, step }
        }

        fn digest(&self) -> u32 {
            self.clean[WORDS]
        }

        /// Counts all ways to flip `flips` bits in the words from `at` on. The state before
        /// them is taken over from the words before, which is what makes this fast.
        fn flips(&self, state: u32, at: usize, flips: usize, patterns: &[Vec<u32>], count: &mut Count) {
            if flips == 0 {
                // What follows is undamaged, and a bijection of the state.
                count.tested += 1;
                count.missed += u32::from(state == self.clean[at]);
            } else if at < WORDS {
                for here in 0..=flips {
                    for pattern in &patterns[here] {
                        let state = (self.step)(state, at, self.words[at] ^ pattern);
                        self.flips(state, at + 1, flips - here, patterns, count);
                    }
                }
            }
        }

        /// Counts all ways to flip one bit of some of the words from `at` on.
        fn columns(&self, state: u32, at: usize, bit: u32, flipped: bool, count: &mut Count) {
            if at < WORDS {
                for flip in [0, bit] {
                    let state = (self.step)(state, at, self.words[at] ^ flip);
                    self.columns(state, at + 1, bit, flipped || flip != 0, count);
                }
            } else if flipped {
                count.tested += 1;
                count.missed += u32::from(state == self.digest());
            }
        }

        fn all_flips(&self, flips: usize) -> Count {
            let one = (0..32).map(|bit| 1_u32 << bit);
            let two = (0..32).flat_map(|a| (0..a).map(move |b| 1 << a | 1 << b));
            let three = (0..32).flat_map(|a| (0..a).flat_map(move |b| (0..b).map(move |c| 1 << a | 1 << b | 1 << c)));
            let patterns = [std::vec![0], one.collect(), two.collect(), three.collect()];
            let mut count = Count::default();
            self.flips(self.clean[0], 0, flips, &patterns, &mut count);
            count
        }

        fn all_columns(&self) -> Count {
            let mut count = Count::default();
            for bit in 0..32 {
                self.columns(self.clean[0], 0, 1 << bit, false, &mut count);
            }
            count
        }
    }

    const DOUBLES: u32 = 512 * 511 / 2;
    const TRIPLES: u32 = 512 * 511 / 2 * 510 / 3;
    const COLUMNS: u32 = 32 * 0xFFFF;

    /// A linear sum with odd multipliers, which the block digest must not be.
    fn linear_sum(state: u32, at: usize, word: u32) -> u32 {
        state.wrapping_add(word.wrapping_mul(MULTIPLIER.wrapping_mul(2 * at as u32 + 1)))
    }

    fn contents() -> [(&'static str, u32, [u32; WORDS]); 5] {
        let counting = core::array::from_fn(|i| 0x0302_0100 + 0x0404_0404 * i as u32);
        let mut state = SEED;
        let random = core::array::from_fn(|i| {
            state = mix(state, i as u32);
            state
        });
        [
            ("zeros", 0, [0; WORDS]),
            ("ones", 1, [u32::MAX; WORDS]),
            ("small numbers", 1023, core::array::from_fn(|i| i as u32)),
            ("counting bytes", 3, counting),
            ("random words", 0x00FF_FFFF, random),
        ]
    }

    #[test]
    fn no_flip_of_two_or_three_bits_and_no_column_passes_a_block_digest() {
        for (name, index, words) in contents() {
            let chain = Chain::new(block_seed(index), words, |state, _, word| mix(state, word));
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(chain.digest(), block_digest(index, &bytes), "the chain is that of the digest");

            let (doubles, triples, columns) = (chain.all_flips(2), chain.all_flips(3), chain.all_columns());
            println!("block {index} of {name}: {doubles:?} doubles, {triples:?} triples, {columns:?} columns");
            assert_eq!(chain.all_flips(1), Count { tested: 512, missed: 0 }, "{name}");
            assert_eq!(doubles, Count { tested: DOUBLES, missed: 0 }, "{name}");
            assert_eq!(triples, Count { tested: TRIPLES, missed: 0 }, "{name}");
            assert_eq!(columns, Count { tested: COLUMNS, missed: 0 }, "{name}");
        }
    }

    /// The negative control. Odd multipliers leave bit 31 where it is, so that every even
    /// number of flips of it cancels; of the bits below, part of the flips do.
    #[test]
    fn a_linear_sum_misses_doubles_and_columns() {
        for (name, index, words) in contents() {
            let chain = Chain::new(block_seed(index), words, linear_sum);
            let (doubles, columns) = (chain.all_flips(2), chain.all_columns());
            println!("linear sum over {name}: {doubles:?} doubles, {columns:?} columns");
            assert_eq!((doubles.tested, columns.tested), (DOUBLES, COLUMNS), "{name}");
            let mut bit_31 = Count::default();
            chain.columns(chain.clean[0], 0, 1 << 31, false, &mut bit_31);
            assert_eq!(bit_31, Count { tested: 0xFFFF, missed: 0x7FFF }, "{name}: all even columns");
            assert!(doubles.missed >= 16 * 15 / 2, "{name}: all pairs of bit 31");
            assert!(columns.missed > bit_31.missed, "{name}: columns of other bits, too");
        }
    }

    /// The counting must see what is missed: a chain that forgets what came before misses all
    /// columns without the last word, and one that is blind for bit 0 of each word misses what
    /// touches no other bit.
    #[test]
    fn the_count_sees_what_a_broken_chain_misses() {
        let words = contents()[4].2;
        let forgetful = Chain::new(1, words, |_, _, word| mix(0, word));
        assert_eq!(forgetful.all_columns(), Count { tested: COLUMNS, missed: 32 * 0x7FFF });
        let blind = Chain::new(1, words, |state, _, word| mix(state, word & !1));
        assert_eq!(blind.all_flips(1), Count { tested: 512, missed: 16 });
        assert_eq!(blind.all_flips(2), Count { tested: DOUBLES, missed: 16 * 15 / 2 });
        assert_eq!(blind.all_flips(3), Count { tested: TRIPLES, missed: 16 * 15 * 14 / 6 });
        assert_eq!(blind.all_columns(), Count { tested: COLUMNS, missed: 0xFFFF });
    }

    /// A change of one word is always caught, and so is a move, since each step can be undone:
    /// from the state after it and either the state before or the word, the other one follows.
    #[test]
    fn a_step_can_be_undone() {
        // Newton's iteration doubles the bits of an inverse that hold: from three to 48.
        let inverse = |odd: u32| (0..4).fold(odd, |x, _| x.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(x))));
        let (fifth, divisor) = (inverse(5), inverse(MULTIPLIER));
        assert_eq!((fifth.wrapping_mul(5), divisor.wrapping_mul(MULTIPLIER)), (1, 1));
        let either_operand = |mixed: u32| {
            let folded = mixed.wrapping_mul(fifth);
            let product = folded ^ (folded >> 15) ^ (folded >> 30);
            product.wrapping_mul(divisor)
        };
        let mut state = SEED;
        for word in (0..32).map(|bit| 1 << bit).chain(0..100_000) {
            let mixed = mix(state, word);
            assert_eq!(either_operand(mixed), state ^ word);
            state = mixed;
        }
    }

    /// The bound for changes in several words: whatever the other words became, exactly one
    /// value of a given word gives the old digest, and it can be computed.
    #[test]
    fn one_value_of_a_word_hides_what_happened_to_the_others() {
        let (_, index, words) = contents()[4];
        let chain = Chain::new(block_seed(index), words, |state, _, word| mix(state, word));
        let mut damaged = words;
        let mut state = block_seed(index);
        for word in &mut damaged[..15] {
            *word ^= 0x0001_0400;
            state = mix(state, *word);
        }
        // The last step must be given the same `state ^ word` as without damage.
        let hiding = state ^ chain.clean[15] ^ words[15];
        assert_ne!(hiding, words[15], "the other words alone do not hide");
        let digest_with = |last: u32| mix(state, last);
        assert_eq!(digest_with(hiding), chain.digest());
        for bit in 0..32 {
            assert_ne!(digest_with(hiding ^ (1 << bit)), chain.digest());
        }
        let others = (0..1_000_000).filter(|last| *last != hiding);
        assert_eq!(others.filter(|last| digest_with(*last) == chain.digest()).count(), 0);
    }

    #[test]
    fn a_moved_block_changes_its_digest() {
        for (name, _, words) in contents() {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut seen = std::collections::HashSet::new();
            for index in 0..100_000 {
                assert!(seen.insert(block_digest(index, &bytes)), "{name} at {index} and before");
            }
        }
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
