//! What a user is told of an order, and tells of a duty.

/// What became of an order that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ordered {
    /// The pair has taken the step: [`Status::step`](super::Status::step) says when the next one has come.
    Done,
    /// This channel does not own: the order is on its way to the one that does. [`Status::ordered`](super::Status::ordered) empties once that has answered, and
    /// [`Status::refused`](super::Status::refused) has its refusal: [`Refusal::Lost`](super::Refusal::Lost) if the mode changed, the outputs changed sides or the owner booted anew before it was
    /// answered, and the pair is not past its step.
    PassedOn,
}

/// Whether the same is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Retry {
    /// What is in the way may pass, if only once an image is verified or the peer has been heard: try again, and give up after a time of
    /// your own.
    Later,
    /// It stays as it is until something else is done first: another order, another image, another configuration.
    Never,
}

/// What is known of the image that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RunningImage {
    /// It boots once: unless it is confirmed, the next boot is of the version before.
    OnTrial,
    /// It is the one that boots.
    Confirmed,
}
