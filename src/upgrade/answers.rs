//! What a user is told of an order, and tells of a duty.

/// What became of an order that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ordered {
    /// It was carried out.
    Done,
    /// This channel does not own: the order is on its way to the one that does. It was carried out once
    /// [`Status::ordered`](super::Status::ordered) is empty and [`Status::refused`](super::Status::refused), too.
    PassedOn,
}

/// Whether the same is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Retry {
    /// What is in the way may pass: try again.
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
