//! The payload of the frames by which two channels upgrade.

use serde::{Deserialize, Serialize};

bitflags::bitflags! {
    /// What a channel says of its part in an upgrade.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Part: u8 {
        /// The new version has been tried for long enough, and the outputs were alike.
        const READY = 1;
        /// The image that runs is the one that boots next time, too.
        const CONFIRMED = 2;
        /// The new version's outputs were not alike too often.
        const FAILED = 4;
        /// The sender wants an answer.
        const ASKS = 8;
        /// The sender serves and owns: its step is the pair's.
        const LEADS = 16;
    }
}

/// The payload of an `Upgrade`. Codes are those of [`upgrade`](crate::upgrade).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradePayload {
    /// Rises with every one sent.
    pub serial: u16,
    /// The sender's step.
    pub step: u8,
    /// Bits of [`Part`].
    pub part: u8,
    /// The version that runs on the sender.
    pub version: u32,
    /// The version that it can be restarted into; 0: none.
    pub candidate: u32,
    /// What is ordered on the sender's side, for the other one to do; 0: nothing.
    pub order: u8,
    /// Numbers the orders.
    pub order_number: u8,
    /// The order of the receiver that the sender answered last.
    pub answered: u8,
    /// What it was refused for; 0: it was not.
    pub refusal: u8,
    /// More of that.
    pub detail: u16,
    /// Cycles tried, by the new version's count.
    pub tried: u32,
    /// Of these, cycles whose outputs differed and were tolerated.
    pub tolerated: u32,
    /// Of these, cycles whose outputs were not alike.
    pub differing: u32,
    /// Why the state was not taken over, by the program's number.
    pub cannot_migrate: Option<u16>,
}

// No longer than a `Hello`, which every frame buffer takes.
const _: () = assert!(super::OVERHEAD_BYTES + 3 + 1 + 1 + 5 + 5 + 4 + 3 + 3 * 5 + 4 <= super::LONGEST_HELLO_BYTES);
