//! The trial: how the outputs of two versions compare, cycle by cycle.

use crate::canonical;
use crate::ids::Cycle;
use crate::program::Program;
use crate::succession::Succession;
use crate::vote::same_bytes;

/// What a trial came to, since the version that drives began to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Cycles that both versions stepped on.
    pub cycles: u32,
    /// Of these, cycles whose outputs differed and were tolerated.
    pub tolerated: u32,
    /// Of these, cycles whose outputs were not alike.
    pub differing: u32,
}

impl Counts {
    /// Returns the cycles whose outputs were the same.
    pub fn agreeing(&self) -> u32 {
        self.cycles.saturating_sub(self.tolerated).saturating_sub(self.differing)
    }
}

/// The first cycle whose outputs were not alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FirstDifference<I, O> {
    /// The cycle.
    pub cycle: Cycle,
    /// What the new version stepped on.
    pub input: I,
    /// The old version's output.
    pub old: O,
    /// The new version's.
    pub new: O,
}

/// How two outputs compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    Same,
    Tolerated,
    Differing,
}

/// The new version's books of its trial.
pub(crate) struct Trial<P: Program> {
    counts: Counts,
    first: Option<FirstDifference<P::Input, P::Output>>,
}

impl<P: Program> Trial<P> {
    pub(crate) const NEW: Self = Self { counts: Counts { cycles: 0, tolerated: 0, differing: 0 }, first: None };

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the first cycle whose outputs were not alike.
    pub(crate) fn first(&self) -> Option<&FirstDifference<P::Input, P::Output>> {
        self.first.as_ref()
    }

    /// The other version drives from here on: it has a trial of its own.
    pub(crate) fn turn(&mut self) {
        self.counts = Counts::default();
    }

    /// Compares the outputs of one cycle, as canonical bytes, and counts it.
    pub(crate) fn compare(
        &mut self,
        succession: &Succession<P>,
        cycle: Cycle,
        input: Option<&P::Input>,
        [old, new]: [&[u8]; 2],
    ) -> Likeness {
        let likeness = if same_bytes(old, new) {
            Likeness::Same
        } else {
            match canonical::decode::<P::Output>(old).zip(canonical::decode::<P::Output>(new)) {
                Some((old, new)) if (succession.tolerates)(&old, &new) => Likeness::Tolerated,
                Some((old, new)) => {
                    if let (None, Some(input)) = (&self.first, input) {
                        self.first = Some(FirstDifference { cycle, input: input.clone(), old, new });
                    }
                    Likeness::Differing
                }
                None => Likeness::Differing,
            }
        };
        let Counts { cycles, tolerated, differing } = &mut self.counts;
        *cycles = cycles.saturating_add(1);
        *tolerated = tolerated.saturating_add(u32::from(likeness == Likeness::Tolerated));
        *differing = differing.saturating_add(u32::from(likeness == Likeness::Differing));
        likeness
    }
}

impl<P: Program> Clone for Trial<P> {
    fn clone(&self) -> Self {
        Self { counts: self.counts, first: self.first.clone() }
    }
}
