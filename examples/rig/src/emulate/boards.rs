//! The two boards that are plugged in.

use crate::board::Board;
use crate::engine::{Given, Machines};
use crate::qtest::Qtest;
use crate::strike::{Fired, Shot};
use crate::tether::Done;
use crate::trace::{Program, Stretch};
use anyhow::Result;
use std::rc::Rc;
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

    /// Returns the port to a board's memory, once the board sleeps.
    ///
    /// # Errors
    /// If the board is gone.
    pub(super) fn memory(&mut self, at: ChannelId) -> Result<Option<&mut Qtest>> {
        self.0[at.index()].as_mut().map_or(Ok(None), Board::memory)
    }

    /// Lets a fault hit a board as it executes an instruction.
    ///
    /// # Errors
    /// If the board has no port to its registers.
    pub(super) fn arm(&mut self, at: ChannelId, shot: Shot, program: &Rc<Program>) -> Result<()> {
        self.0[at.index()].as_mut().map_or(Ok(()), |board| board.arm(shot, program))
    }

    /// Takes back a fault that did not hit.
    ///
    /// # Errors
    /// If the board is gone.
    pub(super) fn disarm(&mut self, at: ChannelId) -> Result<()> {
        self.0[at.index()].as_mut().map_or(Ok(()), Board::disarm)
    }

    /// Follows a board from the next vote of its peer to its output.
    pub(super) fn trace(&mut self, at: ChannelId, program: &Rc<Program>) {
        if let Some(board) = &mut self.0[at.index()] {
            board.trace(program);
        }
    }

    /// Returns what a board executed from a vote to its output, once.
    pub(super) fn traced(&mut self) -> Option<Stretch> {
        self.0.iter_mut().flatten().find_map(Board::traced)
    }

    /// Returns a fault that has hit, once, and whom.
    pub(super) fn fired(&mut self) -> Option<(ChannelId, Fired)> {
        let boards = [ChannelId::A, ChannelId::B].into_iter().zip(&mut self.0);
        boards.filter_map(|(at, board)| Some((at, board.as_mut()?.fired()?))).next()
    }
}

impl Machines for Boards {
    fn turn(&mut self, board: ChannelId, given: &Given) -> Result<Option<Done>> {
        self.0[board.index()].as_mut().map_or(Ok(None), |board| board.turn(given))
    }
}
