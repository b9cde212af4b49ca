//! The output relay: takes the newest epoch and cuts the other board off.

use twinstep::{ChannelId, Epoch};

/// The arbiter of the pair, between the boards and the actuators.
pub(crate) struct Relay {
    through: Epoch,
    /// The board whose claim was granted.
    board: Option<ChannelId>,
    /// The relay lets everybody through: a negative control.
    is_broken: bool,
}

impl Relay {
    pub(crate) fn new(is_broken: bool) -> Self {
        Self { through: Epoch::NONE, board: None, is_broken }
    }

    /// Returns the board that is let through.
    pub(crate) fn board(&self) -> Option<ChannelId> {
        self.board
    }

    /// Returns the epoch that is let through.
    pub(crate) fn through(&self) -> Epoch {
        self.through
    }

    /// Takes a claim; returns the epoch that is let through from now on.
    pub(crate) fn claim(&mut self, board: ChannelId, to: Epoch) -> Epoch {
        if to.owner() == board && to.counter() > self.through.counter() {
            self.through = to;
            self.board = Some(board);
        }
        if self.is_broken { to } else { self.through }
    }

    /// Returns whether what `board` drives in `epoch` gets through.
    pub(crate) fn passes(&self, board: ChannelId, epoch: Epoch) -> bool {
        self.is_broken || (self.board == Some(board) && self.through == epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    #[test]
    fn the_newest_epoch_passes_and_the_other_board_is_cut_off() {
        let mut relay = Relay::new(false);
        let (first, second) = (Epoch::new(1, A), Epoch::new(2, B));
        assert!(!relay.passes(A, Epoch::NONE));
        assert_eq!(relay.claim(A, first), first);
        assert!(relay.passes(A, first) && !relay.passes(B, first));
        assert_eq!(relay.claim(B, second), second);
        assert!(relay.passes(B, second) && !relay.passes(A, first));
        // Too late, or not one's own: refused.
        assert_eq!(relay.claim(A, Epoch::new(2, A)), second);
        assert_eq!(relay.claim(A, Epoch::new(3, B)), second);
    }
}
