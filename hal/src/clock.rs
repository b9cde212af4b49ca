//! What the run loop asks of time.

use twinstep::Instant;

/// A monotonic clock that can wait.
pub trait Clock {
    /// Returns the time since any fixed origin, in microseconds of 64 bits. Never goes back, and never wraps: extend a timer of
    /// 32 bits, which would after 71 minutes.
    fn now(&mut self) -> Instant;

    /// Waits until `at` at the latest. May return at any time before, and should when
    /// bytes arrive: sleep until any interrupt (`wfi`) fits well.
    fn wait_until(&mut self, at: Instant);
}
