//! Frames between the channels.

/// Carries frames to the peer and back. A frame may be lost or damaged, never split.
pub trait Link {
    /// What can go wrong. The run loop counts it and goes on: to the voter it is a lost frame.
    type Error: core::fmt::Debug;

    /// Sends one frame.
    ///
    /// # Errors
    /// The link's own; the frame counts as lost.
    fn send(&mut self, frame: &[u8]) -> Result<(), Self::Error>;

    /// Returns the next frame that has arrived, or `None` if there is none. Does not wait,
    /// and reads a bounded number of bytes.
    ///
    /// # Errors
    /// The link's own; what was received of a frame is dropped.
    fn receive(&mut self) -> Result<Option<&[u8]>, Self::Error>;
}
