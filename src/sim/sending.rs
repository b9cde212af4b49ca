//! A channel that sends: as with a blocking driver, it waits until the UART has taken the frame.

use crate::verdict::Unbound;
use std::vec::Vec;

/// Frames that a channel sends before it looks at its cycle again, as `twinstep-hal`'s loop does.
pub(super) const FRAMES_AT_ONCE: u32 = 8;

/// A loop that has nothing to do but must not wait looks again that much later, which spares the simulation most looks.
pub(super) const LOOK_AGAIN_US: u64 = 100;

/// What is left of a channel's turn.
pub(super) struct Sending<O> {
    /// When the channel looked at its cycle.
    looked_at: u64,
    /// What is driven once all is sent.
    pub(super) verdicts: [Option<Unbound<O>>; 2],
    /// Frames that may still be sent in this turn.
    pub(super) frames_left: u32,
    /// The frame that the UART is taking.
    pub(super) leaving: Option<Leaving>,
}

impl<O> Sending<O> {
    /// A turn that has sent nothing yet.
    pub(super) fn new(now: u64, verdicts: [Option<Unbound<O>>; 2]) -> Self {
        Self { looked_at: now, verdicts, frames_left: FRAMES_AT_ONCE, leaving: None }
    }

    /// Until when the UART keeps the channel waiting.
    pub(super) fn busy_until(&self) -> Option<u64> {
        self.leaving.as_ref().map(|leaving| leaving.accepted_at)
    }

    /// Whether the channel has looked at its cycle just now: then it has no cause to look again at once.
    pub(super) fn has_just_looked(&self, now: u64) -> bool {
        self.looked_at == now
    }

    /// Whether the UART keeps the channel waiting.
    pub(super) fn is_busy(&self, now: u64) -> bool {
        self.busy_until().is_some_and(|until| until > now)
    }
}

/// A frame that the UART is taking. Times are true time in microseconds.
pub(super) struct Leaving {
    pub(super) frame: Vec<u8>,
    /// When the UART has taken all of it.
    pub(super) accepted_at: u64,
    arrives_at: u64,
}

impl Leaving {
    pub(super) fn new(frame: Vec<u8>, accepted_at: u64, arrives_at: u64) -> Self {
        Self { frame, accepted_at, arrives_at }
    }

    /// Returns when all of it has arrived. What a sender that hung in the middle had still to give comes later by as much.
    pub(super) fn arrives_at(&self, now: u64) -> u64 {
        self.arrives_at + now.saturating_sub(self.accepted_at)
    }
}
