//! Boards that are booted and killed.

use super::Run;
use crate::board::Board;
use crate::frames::Deframer;
use crate::log::LogDecoder;
use crate::upgrade::Flavour;
use anyhow::Result;
use tank::field_bus::ModeCode;
use twinstep::ChannelId;
use twinstep::sim::Version;

impl Run<'_> {
    /// Boots a board, for the first time or again.
    pub(super) fn boot(&mut self, board: ChannelId) -> Result<()> {
        self.boots += 1;
        let at = board.index();
        let (version, flavour) = self.upgrade.as_mut().map_or((Version::Old, None), |upgrade| upgrade.boot(board));
        self.socket.image = match flavour {
            None => self.images.old(),
            Some(Flavour::Overflowing) if self.plan.broken_trial => self.images.blind(),
            Some(flavour) => self.images.of(flavour),
        };
        self.judge.booted(board, version);
        self.unplug(board);
        self.forget_shot(board);
        self.boards.plug(board, Board::boot(&self.socket, at, self.boots)?);
        self.lives[at] = self.engine.boot(board);
        if let Some(upsets) = &mut self.upsets {
            upsets.booted(board, self.engine.now_ns());
        }
        self.nonces[at] = self.rng.u32(1..);
        self.modes[at] = Some(ModeCode::Starting);
        self.from_board[at] = Deframer::default();
        self.link.booted(board);
        self.logs[at].push(LogDecoder::new(&std::fs::read(&self.socket.image)?)?);
        Ok(())
    }

    /// A board is gone, with all that it had not sent yet.
    pub(super) fn unplug(&mut self, board: ChannelId) {
        self.engine.kill(board);
        let bytes = self.boards.unplug(board);
        if let (Some(log), Some(bytes)) = (self.logs[board.index()].last_mut(), bytes) {
            log.push(&bytes);
        }
    }

    pub(super) fn kill(&mut self, board: ChannelId, byte: u32) {
        self.unplug(board);
        self.modes[board.index()] = None;
        self.judge.died(board);
        let cycle = self.link.kill_cycle().unwrap_or_default();
        self.plant.injected(cycle, Some(board), format!("killed at byte {byte}"));
        self.plant.mode(board, cycle, None);
        if let Some(rounds) = &mut self.rounds {
            rounds.killed(board, cycle);
        }
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.killed(board, self.relay.board(), self.engine.now_ns());
        }
    }
}
