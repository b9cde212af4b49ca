//! Undertaking: how far an upgrade is, and what this channel is in it.

use crate::upgrade::{Duty, Step, VersionRelation};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of the control data.
#[derive(Clone, Copy, Debug, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Undertaking {
    step: u8,
    relation: u8,
    restart: u8,
    is_new: u8,
    leaves: u8,
    is_confirmed: u8,
    has_failed: u8,
    unused: u8,
}

const INTO_NEW: u8 = 1;
const INTO_OLD: u8 = 2;

impl Undertaking {
    /// No upgrade is under way, and nobody keeps account of images.
    pub(super) const NONE: Self = Self {
        step: Step::Idle.code(),
        relation: VersionRelation::Same as u8,
        restart: 0,
        is_new: 0,
        leaves: 0,
        is_confirmed: 1,
        has_failed: 0,
        unused: 0,
    };

    #[inline(never)]
    pub(super) fn step(&self) -> Step {
        // A number that names none is no step of an upgrade.
        Step::of_code(self.step).unwrap_or(Step::Idle)
    }

    /// Returns what the peer's version is to this one's.
    #[inline(never)]
    pub(super) fn version_relation(&self) -> VersionRelation {
        VersionRelation::ALL.get(usize::from(self.relation)).copied().unwrap_or(VersionRelation::Same)
    }

    /// Returns into what this channel is to restart.
    pub(super) fn restart(&self) -> Option<Duty> {
        match self.restart {
            INTO_NEW => Some(Duty::RestartIntoNew),
            INTO_OLD => Some(Duty::RestartIntoOld),
            _ => None,
        }
    }

    /// Whether this channel began the trial as the new version.
    pub(super) fn is_new(&self) -> bool {
        self.is_new != 0
    }

    /// Whether this channel is about to restart: it takes part in nothing.
    pub(super) fn leaves(&self) -> bool {
        self.leaves != 0
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed != 0
    }

    /// Whether the trial has failed, whatever is counted now.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed != 0
    }

    pub(super) fn take_step(&mut self, step: Step) {
        self.step = step.code();
    }

    pub(super) fn meet(&mut self, relation: VersionRelation) {
        self.relation = relation as u8;
    }

    /// Both channels go on together, this one as the new version if the peer's is the one before.
    pub(super) fn pair(&mut self) {
        (self.is_new, self.has_failed) = ((self.version_relation() == VersionRelation::Older).into(), 0);
    }

    pub(super) fn fail(&mut self) {
        self.has_failed = 1;
    }

    /// Leaves service, to be restarted.
    pub(super) fn leave_to(&mut self, duty: Duty) {
        self.restart = match duty {
            Duty::RestartIntoNew => INTO_NEW,
            Duty::RestartIntoOld => INTO_OLD,
            Duty::Confirm | Duty::RaiseFloor => 0,
        };
        self.leaves = 1;
    }

    /// Stays after all.
    pub(super) fn stay(&mut self) {
        (self.restart, self.leaves) = (0, 0);
    }

    pub(super) fn confirm(&mut self, is_confirmed: bool) {
        self.is_confirmed = is_confirmed.into();
    }

    /// Knows of no trial; what this channel is about to do stays.
    pub(super) fn forget_trial(&mut self) {
        (self.is_new, self.has_failed) = (0, 0);
    }
}
