//! Payloads by which two channels meet: `Hello` and `Cut`.

use super::payload::fixed_layout;
use crate::ids::Epoch;

bitflags::bitflags! {
    /// What a channel says of itself in a [`Hello`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Standing: u16 {
        /// It has committed no cycle.
        const EMPTY = 1;
        /// It holds the output lease.
        const OWNS = 2;
        /// It is outside of the cycle and wants an answer.
        const OUTSIDE = 4;
        /// It went on alone, and so did its peer from an older state: a person must decide.
        const FORKED = 8;
        /// It is about to restart, and takes no part in anything before.
        const LEAVES = 16;
    }
}

bitflags::bitflags! {
    /// What the sender of a [`Hello`] was built with. Both channels have the same.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u8 {
        /// It can be upgraded while the other half serves.
        const UPGRADES = 1;
        /// Reserved: its frames end in a tag of 8 bytes in place of the CRC.
        const AUTHENTICATED = 2;
    }
}

/// The payload of a `Hello`. It acts only on a receiver whose nonce and newest challenge it echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version of the frame format: [`VERSION`](super::VERSION).
    pub format: u8,
    /// Bits of [`Features`].
    pub feature_bits: u8,
    /// Bits of [`Standing`].
    pub standing_bits: u16,
    /// The sender's boot nonce.
    pub nonce: u32,
    /// A number the receiver is to echo.
    pub challenge: u32,
    /// The receiver's nonce, as far as the sender has heard; else 0.
    pub echo_nonce: u32,
    /// The receiver's challenge, as far as the sender has heard; else 0.
    pub echo_challenge: u32,
    /// The lineage of the sender's state; of an empty sender the newest number it has heard of.
    pub epoch: Epoch,
    /// The last cycle the sender has committed.
    pub committed: u32,
    /// Hash of the program.
    pub program_hash: u32,
    /// Hash of the state's layout.
    pub layout_hash: u32,
    /// Identity of the program's source and types.
    pub build: u32,
    /// Hash of the configuration.
    pub config_hash: u32,
    /// Hash of the version that the sender can take over from; 0: of none.
    pub predecessor: u32,
}

fixed_layout!(Hello {
    format: u8,
    feature_bits: u8,
    standing_bits: u16,
    nonce: u32,
    challenge: u32,
    echo_nonce: u32,
    echo_challenge: u32,
    epoch: Epoch,
    committed: u32,
    program_hash: u32,
    layout_hash: u32,
    build: u32,
    config_hash: u32,
    predecessor: u32,
});

impl Hello {
    /// Returns this `Hello` saying `standing`.
    #[must_use]
    pub const fn saying(self, standing: Standing) -> Self {
        Self { standing_bits: standing.bits(), ..self }
    }

    /// Returns what the sender says of itself; `None` if it has unknown bits.
    pub const fn standing(&self) -> Option<Standing> {
        Standing::from_bits(self.standing_bits)
    }

    /// Returns what the sender was built with; `None` if it has unknown bits.
    pub const fn features(&self) -> Option<Features> {
        Features::from_bits(self.feature_bits)
    }

    /// A `Hello` that says nothing yet.
    pub const BLANK: Self = Self {
        format: super::VERSION,
        feature_bits: 0,
        standing_bits: 0,
        nonce: 0,
        challenge: 0,
        echo_nonce: 0,
        echo_challenge: 0,
        epoch: Epoch::NONE,
        committed: 0,
        program_hash: 0,
        layout_hash: 0,
        build: 0,
        config_hash: 0,
        predecessor: 0,
    };
}

/// The payload of a `Cut`: after cycle `base`, both channels are in the cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The sender's boot nonce.
    pub nonce: u32,
    /// The receiver's boot nonce.
    pub joiner_nonce: u32,
    /// The receiver's newest challenge.
    pub joiner_challenge: u32,
    /// The epoch from the next cycle on.
    pub epoch: Epoch,
    /// The last cycle that the state below contains.
    pub base: u32,
    /// Digest of the state that both start from.
    pub region_digest: u32,
    /// Microseconds from the sending of this frame to the sender's start of the next cycle.
    pub starts_in_us: u32,
}

fixed_layout!(Cut {
    nonce: u32,
    joiner_nonce: u32,
    joiner_challenge: u32,
    epoch: Epoch,
    base: u32,
    region_digest: u32,
    starts_in_us: u32,
});
