//! Frames between the channels.

use twinstep::wire::MAX_FRAME_BYTES;

/// Carries frames to the peer and back. A frame may be lost or damaged, never split.
pub trait Link {
    /// What can go wrong. The run loop counts it and goes on: to the voter it is a lost frame.
    type Error: core::fmt::Debug;

    /// The longest frame it takes. A [`Lockstep`](crate::Lockstep) with longer ones does not compile.
    const FRAME_BYTES: usize = MAX_FRAME_BYTES;

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
