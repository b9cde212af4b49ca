//! Claim: what this channel asks of the arbiter, with the same figures until it is answered, and whether it has let go of the
//! outputs. There is one claim at a time. What comes of
//! a grant, and of a refusal, follows from the grounds: `boot` for the first owner, `copy` for a donor, `handover` for outputs
//! that were left to this channel, and `takeover` for all others.
//!
//! One that is not answered is withdrawn after a limit; `silence` says when the arbiter is asked again.

use crate::ids::Epoch;
use crate::lease::Grounds;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of the control data.
#[derive(Clone, Copy, Debug, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Claim {
    /// The epoch asked for.
    to: u32,
    /// The place of the grounds among all, from 1 on; 0: nothing is claimed.
    grounds: u8,
    is_sound: u8,
    has_let_go: u8,
    /// Slots that the claim has waited for its answer.
    waited: u8,
}

impl Claim {
    pub(super) const NONE: Self = Self { to: 0, grounds: 0, is_sound: 0, has_let_go: 0, waited: 0 };

    /// Begins one; not while another one is under way, which has to be seen through: the arbiter may have moved on already.
    pub(super) fn begin(&mut self, to: Epoch, grounds: Grounds) {
        if !self.is_under_way() {
            self.end();
            (self.to, self.grounds) = (to.bits(), grounds as u8 + 1);
        }
    }

    /// What it was for is over.
    pub(super) fn end(&mut self) {
        (self.to, self.grounds, self.is_sound, self.waited) = (0, 0, 0, 0);
    }

    /// Whatever was on its way is not any more.
    pub(super) fn forget(&mut self) {
        *self = Self::NONE;
    }

    /// This channel lets go of the outputs, and says so until the other one has taken them.
    pub(super) fn let_go(&mut self) {
        *self = Self { has_let_go: 1, ..Self::NONE };
    }

    /// Whether it has.
    pub(super) fn has_let_go(&self) -> bool {
        self.has_let_go != 0
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.grounds != 0
    }

    /// Returns the epoch asked for, and on what grounds.
    pub(super) fn figures(&self) -> Option<(Epoch, Grounds)> {
        let place = usize::from(self.grounds).checked_sub(1)?;
        Grounds::ALL.get(place).map(|grounds| (Epoch::from_bits(self.to), *grounds))
    }

    /// Returns the epoch asked for, if it is on these grounds.
    pub(super) fn on(&self, grounds: Grounds) -> Option<Epoch> {
        self.figures().filter(|(_, of)| *of == grounds).map(|(to, _)| to)
    }

    /// Whether the checkpoint was found sound before the arbiter is asked: a channel that cannot
    /// serve takes nothing away from one that can.
    pub(super) fn is_backed(&self) -> bool {
        self.is_sound != 0
    }

    /// The checkpoint is sound.
    pub(super) fn back(&mut self) {
        self.is_sound = 1;
    }

    /// Another slot begins: a claim that is under way waits.
    pub(super) fn slot_opens(&mut self) {
        if self.is_under_way() {
            self.waited = self.waited.saturating_add(1);
        }
    }

    /// Whether the claim has waited for more slots than this; for as many as can be counted is enough.
    pub(super) fn is_overdue(&self, limit: u8) -> bool {
        self.waited > limit || self.waited == u8::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChannelId;

    #[test]
    fn a_claim_waits_for_its_limit() {
        let mut claim = Claim::NONE;
        for _ in 0..2 {
            claim.begin(Epoch::new(3, ChannelId::B), Grounds::Silence);
            for slot in 1..=3 {
                claim.slot_opens();
                assert_eq!(claim.is_overdue(2), slot == 3);
            }
            claim.end();
            claim.slot_opens();
            assert!(!claim.is_under_way() && !claim.is_overdue(0));
        }
    }
}
