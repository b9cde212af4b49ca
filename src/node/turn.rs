//! Turn: the cycle in progress, and how far this channel is in it.

use crate::ids::Cycle;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How far this channel is in its current cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Progress {
    /// The sample is fixed.
    Sampled,
    /// The step is done and the vote is out.
    Voted,
    /// The votes differed; the step was done once more and the evidence is out.
    Examined,
    /// The cycle is done; the next one begins with `begin`.
    Settled,
}

impl Progress {
    const ALL: [Self; 4] = [Self::Sampled, Self::Voted, Self::Examined, Self::Settled];
}

/// A part of the control data.
#[derive(Clone, Copy, Debug, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Turn {
    cycle: u32,
    progress: u16,
    held: u16,
}

impl Turn {
    /// No cycle has begun.
    pub(super) const NONE: Self = Self { cycle: 0, progress: Progress::Settled as u16, held: 0 };

    /// Returns the cycle in progress, or the last one.
    pub(super) fn cycle(&self) -> Cycle {
        Cycle(self.cycle)
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn progress(&self) -> Progress {
        // A number that names none is no progress in a cycle.
        Progress::ALL.get(usize::from(self.progress)).copied().unwrap_or(Progress::Settled)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.progress() == Progress::Settled
    }

    /// Returns the last cycle that this channel's checkpoint contains.
    pub(super) fn committed(&self) -> Cycle {
        if self.is_settled() { self.cycle() } else { self.cycle().previous() }
    }

    /// Returns how many deadlines of the cycle passed without a result.
    pub(super) fn held(&self) -> u16 {
        self.held
    }

    /// Begins the next cycle.
    pub(super) fn begin(&mut self) {
        *self = Self { cycle: self.cycle().next().0, progress: Progress::Sampled as u16, ..Self::NONE };
    }

    pub(super) fn reach(&mut self, progress: Progress) {
        self.progress = progress as u16;
    }

    /// The deadline passed without a result.
    pub(super) fn hold(&mut self) {
        self.held = self.held.saturating_add(1);
    }

    /// Takes over a state that has committed a cycle.
    pub(super) fn go_on_from(&mut self, cycle: Cycle) {
        self.cycle = cycle.0;
    }

    /// What was done of the cycle is void: the next one begins from the checkpoint.
    pub(super) fn forget(&mut self) {
        *self = Self { cycle: self.cycle, ..Self::NONE };
    }
}
