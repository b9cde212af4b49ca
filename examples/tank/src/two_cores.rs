//! Two cores on one chip: the memory that both see, as their firmware and the rig know it.

use core::sync::atomic::AtomicU32;
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
    /// Whether each core runs.
    pub lives: [Life; 2],
}

/// What is known of one core beside its work.
#[repr(C, align(64))]
pub struct Life {
    /// While the core stands still: where it was in its program. 0 while it runs.
    pub stopped_at: AtomicU32,
    /// Not 0: begin anew. The core takes it back as it does.
    pub restart: AtomicU32,
}
