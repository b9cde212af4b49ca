//! Why a frame was dropped.

use serde::{Deserialize, Serialize};

/// Why a frame was dropped. Each cause is counted. Its number is its place in [`ALL`](Self::ALL), and does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reject {
    /// Shorter than header and CRC.
    TooShort,
    /// Longer than the longest frame or than this node's frame buffer.
    TooLong,
    /// Another version of the format.
    Version,
    /// An unknown kind.
    Kind,
    /// Damaged, of another pair, or from another boot of one of the channels.
    Crc,
    /// Sent by this channel itself: a reflected or misaddressed frame.
    Sender,
    /// From another epoch than this channel's.
    Epoch,
    /// Neither of the current cycle nor of its neighbours.
    Phase,
    /// The payload does not decode, or not to its last byte.
    Payload,
    /// The sample does not match its own digest.
    SampleDigest,
    /// A `Hello` or `Cut` that does not echo this channel's nonce and newest challenge.
    Stale,
    /// The peer runs another program, state layout or configuration.
    PeerDiffers,
    /// One of both channels was built to be upgraded while the other one serves, and the other one was not.
    Upgrades,
    /// Not expected in this mode.
    Mode,
    /// A block out of range or of a wrong length.
    Block,
    /// A block, or the whole copied state, does not match its digest.
    Digest,
    /// It has its place in the format, and this version of the library does not do it: a reserved kind, a feature that the
    /// sender needs, a block of which only some words came.
    Unsupported,
}

impl Reject {
    /// All causes, in the order in which they are counted.
    pub const ALL: [Self; 17] = [
        Self::TooShort,
        Self::TooLong,
        Self::Version,
        Self::Kind,
        Self::Crc,
        Self::Sender,
        Self::Epoch,
        Self::Phase,
        Self::Payload,
        Self::SampleDigest,
        Self::Stale,
        Self::PeerDiffers,
        Self::Upgrades,
        Self::Mode,
        Self::Block,
        Self::Digest,
        Self::Unsupported,
    ];
}

impl core::fmt::Display for Reject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::Version => "another version of the frame format",
            Self::Kind => "unknown kind",
            Self::Crc => "CRC, pair or boot differs",
            Self::Sender => "sent by this channel",
            Self::Epoch => "another epoch",
            Self::Phase => "another phase",
            Self::Payload => "payload does not decode",
            Self::SampleDigest => "sample differs from its digest",
            Self::Stale => "stale echo",
            Self::PeerDiffers => "peer differs in program or configuration",
            Self::Upgrades => "one channel can be upgraded, the other one cannot",
            Self::Mode => "not expected in this mode",
            Self::Block => "block out of range or of a wrong length",
            Self::Digest => "memory differs from its digest",
            Self::Unsupported => "in the format, but not done by this version of the library",
        })
    }
}
