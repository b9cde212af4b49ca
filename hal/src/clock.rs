//! What the run loop asks of time.

use twinstep::Instant;

/// A monotonic clock that can wait.
pub trait Clock {
    /// Returns the time since any fixed origin. Never goes back.
    fn now(&mut self) -> Instant;

    /// Waits until `at` at the latest. May return at any time before, and should when
    /// bytes arrive: sleep until any interrupt (`wfi`) fits well.
    fn wait_until(&mut self, at: Instant);
}
