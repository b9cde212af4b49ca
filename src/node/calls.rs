//! Calls: each public call of a node that may change something begins with a check of the control data and ends with new copies
//! of it. A run loop puts the calls of one turn between one beginning and one end.

use super::{MayUpgrade, Node};
use crate::ids::Instant;
use crate::lease::Arbiter;
use crate::mode::Mode;
use crate::program::Program;
use crate::verdict::Verdict;
use crate::wire::{BufferTooSmall, Reject};

/// Several calls of a node, one right after the other, as they are made by [`Node::calls`]. To be dropped before anything
/// that takes time, such as a frame on its way out: meanwhile the control data is kept three times. What the calls
/// changed counts from the drop on; one that is forgotten is a fault of the control data.
#[must_use = "dropped at once, it does nothing"]
pub struct Calls<'n, 'm, P: Program, const FRAME: usize, U: MayUpgrade<P>> {
    node: &'n mut Node<'m, P, FRAME, U>,
    /// What the clock showed last, and the channel's own time then: most of these calls are at one time.
    shown: Instant,
    now: Instant,
}

impl<'m, P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'m, P, FRAME, U> {
    /// Begins several calls, with one check of the control data for all of them.
    pub fn calls(&mut self, now: Instant) -> Calls<'_, 'm, P, FRAME, U> {
        let shown = now;
        let now = self.enter(shown);
        Calls { node: self, shown, now }
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Calls<'_, '_, P, FRAME, U> {
    #[inline]
    fn at(&mut self, shown: Instant) -> Instant {
        if shown != self.shown {
            (self.shown, self.now) = (shown, self.node.read_time(shown));
        }
        self.now
    }

    /// As [`Node::handle_frame`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_frame(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Reject> {
        let now = self.at(now);
        self.node.take_frame(now, bytes)
    }

    /// As [`Node::open_parcel`].
    ///
    /// # Errors
    /// As there.
    pub fn open_parcel<'b>(&mut self, now: Instant, frame: &'b [u8]) -> Option<Result<&'b [u8], Reject>> {
        let now = self.at(now);
        self.node.take_parcel(now, frame)
    }

    /// As [`Node::poll_verdict`].
    pub fn poll_verdict<'a, A: Arbiter>(&mut self, now: Instant, arbiter: &'a mut A) -> Option<Verdict<'a, P::Output>> {
        let now = self.at(now);
        self.node.poll(now, arbiter).map(|verdict| verdict.bind(arbiter))
    }

    /// As [`Node::poll_transmit`].
    ///
    /// # Errors
    /// As there.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let now = self.at(now);
        self.node.transmit_next(now, buffer)
    }

    /// As [`Node::broken_invariant`]. The control data was found sound as the calls began; what they changed is in no copy yet.
    #[cfg(feature = "sim")]
    pub(crate) fn broken_invariant(&self) -> Option<crate::node::Invariant> {
        self.node.broken_rule()
    }

    /// As [`Node::footing`].
    #[cfg(feature = "sim")]
    pub(crate) fn footing(&self) -> crate::node::Footing {
        self.node.footing()
    }

    /// As [`Node::next_start`].
    pub fn next_start(&self) -> Instant {
        self.node.next_start()
    }

    /// As [`Node::mode`].
    pub fn mode(&self) -> Mode {
        self.node.mode()
    }

    /// As [`Node::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.node.next_poll_on_clock()
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Drop for Calls<'_, '_, P, FRAME, U> {
    fn drop(&mut self) {
        self.node.remember();
    }
}
