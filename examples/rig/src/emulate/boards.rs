//! The two boards that are plugged in.

use crate::board::Board;
use crate::engine::{Given, Machines};
use crate::qtest::Qtest;
use crate::tether::Done;
use anyhow::Result;
use twinstep::ChannelId;

/// The boards, as far as they are plugged in.
#[derive(Default)]
pub(super) struct Boards([Option<Board>; 2]);

impl Boards {
    /// Plugs a board in.
    pub(super) fn plug(&mut self, at: ChannelId, board: Board) {
        self.0[at.index()] = Some(board);
    }

    /// Takes a board out; returns its log.
    pub(super) fn unplug(&mut self, at: ChannelId) -> Option<Vec<u8>> {
        self.0[at.index()].take().map(Board::into_log)
    }

    /// Whether a board is plugged in.
    pub(super) fn has(&self, at: ChannelId) -> bool {
        self.0[at.index()].is_some()
    }

    /// Returns the port to a board's memory.
    pub(super) fn memory(&mut self, at: ChannelId) -> Option<&mut Qtest> {
        self.0[at.index()].as_mut()?.memory.as_mut()
    }
}

impl Machines for Boards {
    fn turn(&mut self, board: ChannelId, given: &Given) -> Result<Option<Done>> {
        self.0[board.index()].as_mut().map_or(Ok(None), |board| board.turn(given))
    }
}
