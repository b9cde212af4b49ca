//! TIMING  what a channel measures of time.

/// What a channel measures in duplex, by its own clock. Nothing of it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timing {
    /// What a frame takes from one channel to the other, in microseconds, if it is not lost: of a sample, from when it was handed to the link to
    /// when the other channel took it. `None` before the first cycle in duplex. The time that this channel takes to read its sensors
    /// is left out, and the other one is taken to need as long. Of a link that is slower one way it is the mean of both ways.
    pub delay_us: Option<u32>,
    /// By how much the other channel started its last cycle later than this one, in microseconds; negative if earlier. The delay is not
    /// part of it, as far as it is the same both ways.
    pub skew_us: i32,
    /// Time from one start to the next, in microseconds, as a mean of the last cycles.
    pub period_us: u32,
}
