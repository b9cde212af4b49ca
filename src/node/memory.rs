//! Memory in the node: the scrub of each cycle, and a block asked of the peer.

use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{Instant, Phase, Stage};
use crate::journal::Event;
use crate::mechanism::Mechanism;
use crate::mirror::BlockRefused;
use crate::mode::Mode;
use crate::program::Program;
use crate::wire::{BlockPayload, BufferTooSmall, Kind, Reject, WantPayload};

/// Blocks damaged beyond local repair, and blocks the peer asked for.
#[derive(Clone, Default, Hash)]
pub(super) struct Mending {
    /// The block asked for. No step is done until it is there.
    wanted: Option<u16>,
    ask_at: Instant,
    /// The block to be sent to the peer.
    asked: Option<u16>,
}

impl Mending {
    /// Nothing is wanted any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn waits(&self) -> bool {
        self.wanted.is_some()
    }

    /// A block is beyond repair here: it is asked for from now on.
    pub(super) fn want(&mut self, now: Instant, block: u16) {
        (self.wanted, self.ask_at) = (Some(block), now);
    }

    fn timeout(&self) -> Option<Instant> {
        self.wanted.map(|_| self.ask_at)
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Checks the next blocks of memory, between two steps.
    pub(super) fn scrub(&mut self, now: Instant) {
        if !self.mechanisms.on(Mechanism::Scrub) {
            return;
        }
        let found = self.mirror.scrub(self.control.config.scrub_blocks().into());
        self.note(&found);
        let Some(block) = found.beyond_repair else { return };
        if self.control.standing.mode().serves() {
            self.wants(now, block as u16);
        } else if matches!(self.control.standing.mode(), Mode::Starting | Mode::Standby) {
            self.fault(Faults::MEMORY_DAMAGED);
            self.start_over(now); // what it has is of no use; of a joiner's the cut will tell
        }
    }

    /// Takes the block asked for.
    pub(super) fn handle_repair(&mut self, now: Instant, block: &BlockPayload<'_>) -> Result<(), Reject> {
        if self.mending.wanted != Some(block.index) {
            return Err(Reject::Mode);
        }
        self.mirror.mend_block(block.index.into(), block.bytes).map_err(|refused| match refused {
            BlockRefused::Digest => Reject::Digest,
            BlockRefused::OutOfRange { .. } | BlockRefused::Length { .. } => Reject::Block,
        })?;
        self.record.count(|counters| &mut counters.peer_repairs);
        self.happened(Event::RepairedByPeer(block.index));
        self.record.bear(Faults::MEMORY_REPAIRED);
        // There may be others; the scrub would come to them too late for this cycle's step.
        let found = self.mirror.scrub_all();
        self.note(&found);
        self.mending.wanted = found.beyond_repair.map(|block| block as u16);
        self.mending.ask_at = now;
        Ok(())
    }

    /// Notes that the peer wants a block of the common checkpoint.
    pub(super) fn handle_want(&mut self, want: &WantPayload) -> Result<(), Reject> {
        if self.control.standing.mode() != Mode::Duplex {
            return Err(Reject::Mode);
        }
        self.mirror.block(want.index.into()).ok_or(Reject::Block)?;
        self.mending.asked = Some(want.index);
        Ok(())
    }

    /// Returns when a block is asked for again. Alone there is nobody to ask.
    pub(super) fn mending_timeout(&self) -> Option<Instant> {
        self.mending.timeout().filter(|_| self.control.standing.mode() == Mode::Duplex)
    }

    pub(super) fn transmit_mending(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        if !self.is_in_cycle() || self.control.standing.mode() == Mode::Trial {
            return Ok(None);
        }
        let phase = Phase::new(self.control.turn.committed(), Stage::Settled);
        if let Some(index) = self.mending.wanted.filter(|_| now >= self.mending.ask_at) {
            let length = self.transmit(Kind::Want, phase, buffer, &WantPayload { index })?;
            self.mending.ask_at = now.plus_us(self.control.config.retransmit_us());
            return Ok(Some(length));
        }
        let Some(index) = self.mending.asked else { return Ok(None) };
        let bytes = self.mirror.block(index.into()).unwrap_or_default();
        let length = self.transmit(Kind::Block, phase, buffer, &BlockPayload { serial: 0, index, bytes })?;
        self.mending.asked = None;
        Ok(Some(length))
    }
}
