//! Two cores on one chip: the memory that both see, as their firmware and the rig know it.

use twinstep::ClaimWord;
use twinstep::mailbox::Mailbox;

/// Frames each way. A cycle takes two, a copy eight more; the rest is for whoever listens from outside.
pub const MAILBOX_SLOTS: usize = 64;
/// Words of a frame at most: 96 bytes.
pub const MAILBOX_WORDS: usize = 24;

/// Shared memory of both cores. All zero at power-up, and no core's start-up code may touch it: it outlives the
/// boot of either.
#[repr(C)]
pub struct Shared {
    /// The cross link.
    pub mailbox: Mailbox<MAILBOX_SLOTS, MAILBOX_WORDS>,
    /// Who owns the outputs.
    pub claim: ClaimWord,
}
