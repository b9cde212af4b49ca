//! Frames between the channels.

/// Carries frames to the peer and back. A frame may be lost or damaged, never split.
pub trait Link {
    /// What can go wrong. The run loop counts it and goes on: to the voter it is a lost frame.
    type Error: core::fmt::Debug;

    /// The longest frame it takes; 655 bytes are enough for all. A [`Lockstep`](crate::Lockstep) with longer ones does not compile.
    const FRAME_BYTES: usize;

    /// Sends one frame, within so many microseconds: the time until the vote is due, or until the next cycle begins; an eighth of a period if
    /// that is late already. A link
    /// that cannot end by then gives the frame up, for the cycle waits for it: the best is one that copies the frame for a DMA
    /// channel or into a queue and returns; up to eight frames come in a row, and what waits already counts. One that blocks for as long as
    /// it likes, as a `Write` may, stops the control loop with it.
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
    /// [`receive`](Self::receive) reported, and hands it back. For a receiver, say, that stays deaf after an overrun until its flag is
    /// cleared. Nothing is done by default.
    fn recover(&mut self, from: Self::Error) {
        let _ = from;
    }
}
