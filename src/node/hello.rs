//! `Hello`: what a channel says of itself while it is not in the cycle, and in answer to a stale one.

use super::{MayUpgrade, Node};
use crate::ids::{Epoch, Instant, Phase, Stage};
use crate::mode::Mode;
use crate::program::{Program, program_hash};
use crate::wire::{BufferTooSmall, Features, Hello, Kind, Standing};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    pub(super) fn transmit_hello(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        if !self.meeting.owes_answer() && self.hello_timeout().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let mut standing = Standing::empty();
        standing.set(Standing::EMPTY, self.control.standing.is_empty());
        standing.set(Standing::OUTSIDE, !self.control.standing.mode().is_paired());
        standing.set(Standing::OWNS, self.leads());
        standing.set(Standing::LEAVES, self.leaves());
        standing
            .set(Standing::FORKED, self.control.standing.is_fork() && self.control.standing.mode() == Mode::Standby);
        let hello = Hello {
            // Without a state there is no lineage, but numbers that must not be issued again.
            epoch: if self.control.standing.is_empty() {
                Epoch::new(self.control.standing.newest(), self.control.config.me())
            } else {
                self.control.standing.epoch()
            },
            committed: self.control.turn.committed().0,
            feature_bits: if U::IS_ON { Features::UPGRADES.bits() } else { 0 },
            program_hash: program_hash::<P>(),
            layout_hash: P::LAYOUT,
            build: P::BUILD.number(),
            config_hash: self.control.config.hash(),
            predecessor: self.upgrade.predecessor_hash(),
            ..Hello::BLANK
        };
        let hello = self.meeting.sign(hello.saying(standing), self.control.config.nonce());
        let phase = Phase::new(self.control.turn.committed(), Stage::Settled);
        let length = self.transmit(Kind::Hello, phase, buffer, &hello)?;
        self.meeting.answered();
        self.outgoing.say_hello_at(now.plus_us(self.control.config.hello_us()));
        Ok(Some(length))
    }

    /// Returns when the next `Hello` is due.
    pub(super) fn hello_timeout(&self) -> Option<Instant> {
        self.sends_hellos().then_some(self.outgoing.hello_at())
    }

    fn sends_hellos(&self) -> bool {
        match self.control.standing.mode() {
            Mode::Starting => !self.meeting.is_cutting_first(),
            Mode::Simplex | Mode::Standby => true,
            // A joiner that takes blocks hears nothing new, and the line is for the copy; one that no longer does says so.
            Mode::Donor => !self.copying.is_answered() || self.mirror.blocks() == 0,
            Mode::Duplex | Mode::Trial | Mode::Joining | Mode::Safe => false,
        }
    }
}
