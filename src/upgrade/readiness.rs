//! What speaks against beginning an upgrade.

use crate::fault::flags_are_named;

bitflags::bitflags! {
    /// Reasons why an upgrade cannot begin: all there are, at once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct NotReady: u16 {
        /// The pair is not in duplex.
        const NOT_IN_DUPLEX = 1;
        /// A first fault is latched: look at it, and clear it.
        const FAULT_LATCHED = 2;
        /// A channel has joined too short a time ago.
        const ON_PROBATION = 4;
        /// A channel was found faulty too often.
        const BARRED = 8;
        /// There is no image here to restart into.
        const NO_CANDIDATE = 16;
        /// The partner has no image to restart into, or one of another version, or has not said yet.
        const PARTNER_HAS_NO_CANDIDATE = 32;
        /// The candidate does not take over from the version that runs.
        const NO_SUCCESSOR = 64;
        /// It takes a state of another layout.
        const LAYOUT_DIFFERS = 128;
        /// It is older than what may be installed.
        const BELOW_FLOOR = 256;
        /// The running image is on trial: confirm it first, on both halves.
        const NOT_CONFIRMED = 512;
        /// A cycle is held, or a claim is on its way: try again.
        const UNSETTLED = 1024;
        /// Both channels drive, and hardware combines their outputs: [`Drive::Both`](crate::Drive::Both). Two versions' are
        /// not the same.
        const BOTH_DRIVE = 2048;
        /// The half that leaves could not join again: see [`copy_forecast`](crate::Node::copy_forecast).
        const COPY_FORECAST = 4096;
    }
}

impl NotReady {
    /// Those that do not pass by themselves: another image, another configuration or a person's decision takes them away.
    pub const LASTING: Self = Self::FAULT_LATCHED
        .union(Self::BARRED)
        .union(Self::NO_SUCCESSOR)
        .union(Self::LAYOUT_DIFFERS)
        .union(Self::BELOW_FLOOR)
        .union(Self::BOTH_DRIVE)
        .union(Self::COPY_FORECAST);
}

flags_are_named!(NotReady, u16);
