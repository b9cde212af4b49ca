//! Frames between the channels.

use twinstep::wire::MAX_FRAME_BYTES;

/// Carries frames to the peer and back. A frame may be lost or damaged, never split.
pub trait Link {
    /// What can go wrong. The run loop counts it and goes on: to the voter it is a lost frame.
    type Error: core::fmt::Debug;

    /// The longest frame it takes. A [`Lockstep`](crate::Lockstep) with longer ones does not compile.
    const FRAME_BYTES: usize = MAX_FRAME_BYTES;

    /// Sends one frame, within so many microseconds: the time until the next cycle begins, or one period if that is late already. A link
    /// that cannot end by then gives the frame up, for the cycle waits for it: the best is one that hands the frame to a DMA
    /// channel or a queue and returns. One that blocks for as long as it likes, as a `Write` may, stops the control loop with it.
    ///
    /// # Errors
    /// The link's own; the frame counts as lost.
    fn send(&mut self, frame: &[u8], within_us: u32) -> Result<(), Self::Error>;

    /// Returns the next frame that has arrived, or `None` if there is none. Does not wait,
    /// and reads a bounded number of bytes.
    ///
    /// # Errors
    /// The link's own; what was received of a frame is dropped.
    fn receive(&mut self) -> Result<Option<&[u8]>, Self::Error>;

    /// Brings it back to work after an error: the run loop calls it after each one that [`send`](Self::send) or
    /// [`receive`](Self::receive) reported. For a receiver, say, that stays deaf after an overrun until its flag is cleared. Nothing is to
    /// be done by default.
    fn recover(&mut self) {}
}
