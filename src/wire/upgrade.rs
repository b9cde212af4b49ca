//! Payloads of the frames by which two channels upgrade.

use super::payload::fixed_layout;

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
        /// The state could not be taken over, for the reason below.
        const CANNOT_MIGRATE = 32;
    }
}

/// The payload of an `Upgrade`. Codes are those of [`upgrade`](crate::upgrade).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Cycles tried, by the new version's count.
    pub tried: u32,
    /// Of these, cycles whose outputs differed and were tolerated.
    pub tolerated: u32,
    /// Of these, cycles whose outputs were not alike.
    pub differing: u32,
    /// Why the state was not taken over, by the program's number; 0 without [`Part::CANNOT_MIGRATE`].
    pub cannot_migrate: u16,
}

fixed_layout!(UpgradePayload {
    serial: u16,
    step: u8,
    part: u8,
    version: u32,
    candidate: u32,
    tried: u32,
    tolerated: u32,
    differing: u32,
    cannot_migrate: u16,
});

/// The payload of an `Order`: what is ordered on the sender's side, for the other one to do, and what became of the
/// receiver's last order. Codes are those of [`upgrade`](crate::upgrade).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderPayload {
    /// Numbers the sender's orders, rising; 0: nothing is ordered.
    pub number: u16,
    /// What is ordered.
    pub order: u8,
    /// What the receiver's order was refused for; 0: it was not.
    pub refusal: u8,
    /// The number of the receiver's order that the sender answered last; 0: none.
    pub answered: u16,
    /// More of the refusal.
    pub detail: u16,
}

fixed_layout!(OrderPayload { number: u16, order: u8, refusal: u8, answered: u16, detail: u16 });

// No longer than a `Hello`, which every frame buffer takes.
const _: () = assert!(UpgradePayload::BYTES <= super::Hello::BYTES && OrderPayload::BYTES <= super::Hello::BYTES);
