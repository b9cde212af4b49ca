//! Whether a channel waits (feature `sim`): a simulation has many channels that do, and looks at none of them in vain.

use super::{MayUpgrade, Node};
use crate::mode::Mode;
use crate::program::Program;

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Whether a channel that was polled, and had nothing more to send, only waits: until a frame comes, its
    /// [`poll_timeout`](Self::poll_timeout) or its [`next_start`](Self::next_start), each call of it is in vain. In doubt it
    /// does not.
    pub(crate) fn is_calm(&self) -> bool {
        let asks_arbiter = self.control.claim.is_under_way() || self.control.claim.has_let_go();
        let examines = self.case.of(self.control.turn.cycle()).is_some();
        let is_asked_again = self.schedule.poll_again().is_some();
        self.control.standing.mode() == Mode::Duplex && !asks_arbiter && !examines && !is_asked_again
    }
}
