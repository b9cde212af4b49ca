//! The line: a frame of this channel to its peer, as all rooms send it.

use super::{MayUpgrade, Node};
use crate::ids::{Epoch, Phase, Stage};
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::program::Program;
use crate::wire::{self, BufferTooSmall, Cut, Header, Keys, Kind, Payload};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Builds a frame.
    pub(super) fn transmit<'b>(
        &self,
        kind: Kind,
        phase: Phase,
        buffer: &mut [u8],
        payload: &impl Payload<'b>,
    ) -> Result<usize, BufferTooSmall> {
        wire::build_of(buffer, &self.header(kind, phase), &self.keys(), payload)
    }

    pub(super) fn header(&self, kind: Kind, phase: Phase) -> Header {
        let is_evidence = matches!(kind, Kind::Evidence | Kind::Settled);
        let ack = if is_evidence { self.case.ack(phase) } else { self.ack() };
        Header { kind, sender: self.control.config.me(), epoch: self.link_epoch(), phase, ack }
    }

    /// Returns the last phase that this channel has of the peer without a gap.
    pub(super) fn ack(&self) -> Phase {
        let cycle = self.control.turn.cycle();
        let sampled = self.samples.has_theirs();
        // A vote may overtake its sample on the link: without the sample it is a gap.
        let voted = self.control.turn.is_settled() || sampled && self.peer_vote.of(cycle).is_some();
        if voted && self.samples.has_ahead() {
            Phase::new(cycle.next(), Stage::Sample)
        } else if voted {
            Phase::new(cycle, Stage::Vote)
        } else if sampled {
            Phase::new(cycle, Stage::Sample)
        } else {
            Phase::new(cycle.previous(), Stage::Vote)
        }
    }

    pub(super) fn keys(&self) -> Keys {
        let nonces = self.control.config.me().in_order(self.control.config.nonce(), self.control.standing.peer_nonce());
        Keys { pair: self.control.config.pair(), epoch: self.link_epoch(), nonces }
    }

    /// Whether a `Cut` is meant for this boot of this channel, and answers its last word.
    pub(super) fn is_for_this_boot(&self, cut: &Cut) -> bool {
        let (nonce, challenge) = (self.control.config.nonce(), self.meeting.challenge());
        let is_meant = cut.joiner_nonce == nonce && cut.joiner_challenge == challenge;
        is_meant || !self.mechanisms.on(Mechanism::CutNonce)
    }

    /// Whether the line is free of the cycle: its verdict was taken, and the next one has not begun.
    pub(super) fn is_between_cycles(&self) -> bool {
        !self.schedule.is_open() && self.control.turn.is_settled()
    }

    /// Whether frames of the cycle go out. In the safe state a peer that lacks this channel's vote still gets it: it must
    /// see the divergence, not a silent peer.
    pub(super) fn is_in_cycle(&self) -> bool {
        self.control.standing.mode().is_paired() || self.control.standing.mode() == Mode::Safe
    }

    /// Returns the epoch that the frames of the peer are expected in.
    pub(super) fn link_epoch(&self) -> Epoch {
        if self.control.standing.mode().serves() {
            self.control.standing.epoch()
        } else {
            self.meeting.serving().unwrap_or(self.control.standing.epoch())
        }
    }
}
