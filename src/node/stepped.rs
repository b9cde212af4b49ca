//! Stepped: the values of the program that a step used and brought forth.

use crate::ids::Instant;
#[cfg(feature = "sim")]
use crate::verdict::Outcome;
use crate::vote::Sealed;

#[derive(Clone)]
#[cfg_attr(feature = "sim", derive(Hash))]
pub(super) struct Stepped<I, O> {
    /// What the last step used.
    agreed: Option<I>,
    /// The last voted output, in case its owner died before driving it.
    last: Option<Sealed<O>>,
    /// When the sample of its cycle was fixed.
    last_sampled_at: Instant,
    /// What was too old to be released, for an observer.
    #[cfg(feature = "sim")]
    withheld: [Option<(Outcome, Sealed<O>)>; 2],
}

impl<I, O> Stepped<I, O> {
    pub(super) const NONE: Self = Self {
        agreed: None,
        last: None,
        last_sampled_at: Instant::from_micros(0),
        #[cfg(feature = "sim")]
        withheld: [None, None],
    };

    /// A cycle begins: nothing is agreed yet.
    pub(super) fn begin(&mut self) {
        self.agreed = None;
    }

    /// Agrees on an input; returns it where it stays.
    pub(super) fn agree(&mut self, input: I) -> &mut I {
        self.agreed.insert(input)
    }

    pub(super) fn agreed(&self) -> Option<&I> {
        self.agreed.as_ref()
    }

    /// Keeps the output of a cycle that is settled.
    pub(super) fn keep(&mut self, last: Option<Sealed<O>>, sampled_at: Instant) {
        (self.last, self.last_sampled_at) = (last, sampled_at);
    }

    /// Returns when the sample was fixed of the last cycle whose output was kept.
    pub(super) fn last_sampled_at(&self) -> Instant {
        self.last_sampled_at
    }

    /// Hands out the last output, and forgets it.
    pub(super) fn take_last(&mut self) -> Option<Sealed<O>> {
        self.last.take()
    }

    /// The last output was driven, or is not to be.
    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }

    pub(super) fn forget(&mut self) {
        *self = Self::NONE;
    }

    /// Keeps what was too old to be released until it is looked at.
    #[cfg(feature = "sim")]
    pub(super) fn withhold(&mut self, outcome: Outcome, stale: Option<Sealed<O>>) {
        if let (Some(place), Some(stale)) = (self.withheld.iter_mut().find(|place| place.is_none()), stale) {
            *place = Some((outcome, stale));
        }
    }

    /// Hands it out.
    #[cfg(feature = "sim")]
    pub(super) fn take_withheld(&mut self) -> Option<(Outcome, Sealed<O>)> {
        let [first, second] = &mut self.withheld;
        first.take().or_else(|| second.take())
    }

    /// The last output, for fault injection.
    #[cfg(feature = "sim")]
    pub(super) fn last(&mut self) -> Option<&mut O> {
        self.last.as_mut().map(Sealed::value)
    }
}
