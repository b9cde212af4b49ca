//! Lineage: which epoch comes next, and what the arbiter says to it.

use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{Epoch, Instant};
use crate::lease::{Arbiter, Claim, Confirmation, Grounds};
use crate::mechanism::Mechanism;
use crate::program::Program;

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    Refused,
    Pending,
    /// None came, and the claim was withdrawn.
    Unanswered,
}

/// So many numbers has a trial: for its beginning and its hand-overs.
const BLOCK: u32 = 4;

/// Returns the epoch that an arbiter lets through, as far as it makes sense: the last number of all
/// is what a dead bus reads, and following it would leave none to claim.
pub(super) fn newest_of(arbiter: &impl Arbiter) -> Epoch {
    let newest = arbiter.remembered().unwrap_or(Epoch::NONE);
    let is_last = newest.successor(newest.owner()).counter() == newest.counter();
    if is_last { Epoch::NONE } else { newest }
}

/// Whether the outputs can have been handed over from one epoch to the other.
pub(super) fn is_in_block(from: Epoch, to: Epoch) -> bool {
    to.counter() > from.counter() && to.counter() / BLOCK == from.counter() / BLOCK
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Returns the first epoch after everything seen or issued, owned by this channel.
    pub(super) fn next_epoch(&self) -> Epoch {
        let newest = if self.mechanisms.on(Mechanism::Numbers) {
            self.control.standing.newest()
        } else {
            self.control.standing.epoch().counter()
        };
        Epoch::new(newest, self.control.config.me()).successor(self.control.config.me())
    }

    /// Returns the epoch in which a trial begins, or in which a channel goes on without the other one.
    pub(super) fn next_block(&self) -> Epoch {
        let before = self.next_epoch().counter().saturating_sub(1);
        let last = before | (BLOCK - 1);
        Epoch::new(last, self.control.config.me()).successor(self.control.config.me())
    }

    /// Asks the arbiter. A claim that it has not answered within the limit is withdrawn, and the fault told.
    pub(super) fn ask<A: Arbiter>(&mut self, now: Instant, arbiter: &mut A, to: Epoch, grounds: Grounds) -> Answer {
        let (epoch, me) = (self.control.standing.epoch(), self.control.config.me());
        if self.asked != Epoch::NONE && self.asked != to && self.asked != epoch {
            arbiter.release(self.asked, me); // another claim has taken its place
        }
        let claim = arbiter.claim(now, epoch, to, grounds);
        self.asked = if claim == Claim::Refused { Epoch::NONE } else { to };
        let limit = self.control.config.claim_limit();
        // For a joiner a channel that serves asks an arbiter that was silent for a slot only: its own cycles are held meanwhile.
        let waits_long = grounds != Grounds::PeerJoins || !self.silence.is_unanswered();
        let slots = if waits_long { limit } else { 1 };
        match claim {
            _ if !self.mechanisms.on(Mechanism::Lease) => Answer::Granted,
            Claim::Pending if !self.control.claim.is_overdue(slots) || !self.mechanisms.on(Mechanism::ClaimLimit) => {
                Answer::Pending
            }
            Claim::Pending => {
                self.control.claim.end();
                self.silence.goes_on(limit);
                self.fault(Faults::LEASE_UNANSWERED);
                Answer::Unanswered
            }
            Claim::Granted | Claim::Refused => {
                self.silence.ends();
                if claim == Claim::Granted { Answer::Granted } else { Answer::Refused }
            }
        }
    }

    /// Whether this channel serves and owns the outputs, as far as it knows; then it holds the step of an upgrade, too.
    pub fn leads(&self) -> bool {
        self.control.standing.mode().serves() && self.control.owns() && !self.has_let_go()
    }

    /// Tells the arbiter, once, that this channel has lost the lease that it held, or does not use what it asked for.
    pub(super) fn release_lease<A: Arbiter>(&mut self, arbiter: &mut A) {
        let (epoch, me) = (self.control.standing.epoch(), self.control.config.me());
        let is_asking = |node: &Self| node.control.claim.figures().is_some_and(|(to, _)| to == node.asked);
        if self.asked != Epoch::NONE && !is_asking(self) {
            if self.asked == epoch {
                self.leased = epoch; // It was granted and adopted. If this channel has left service since, the lease is released below.
            } else {
                arbiter.release(self.asked, me);
            }
            self.asked = Epoch::NONE;
        }
        if self.leads() || self.meeting.is_cutting_first() && self.control.owns() {
            self.leased = epoch;
        } else if self.leased != Epoch::NONE {
            arbiter.release(self.leased, me);
            self.leased = Epoch::NONE;
        }
    }

    /// Returns what the arbiter says to the epoch of this channel.
    pub(super) fn confirmation<A: Arbiter>(&self, arbiter: &A) -> Confirmation {
        let (epoch, me) = (self.control.standing.epoch(), self.control.config.me());
        if self.mechanisms.on(Mechanism::Lease) { arbiter.confirms(epoch, me) } else { Confirmation::Yes }
    }

    /// Whether a claim is on its way with which this channel would go on without the peer.
    pub(super) fn is_taking_over(&self) -> bool {
        self.takeover_claim().is_some()
    }

    pub(super) fn takeover_claim(&self) -> Option<(Epoch, Grounds)> {
        let is_for_both = |grounds| matches!(grounds, Grounds::First | Grounds::PeerJoins | Grounds::HandedOver);
        self.control.claim.figures().filter(|(_, grounds)| !is_for_both(*grounds))
    }

    /// Whether this channel has let go of the outputs, and the other one has not taken them yet.
    pub(super) fn has_let_go(&self) -> bool {
        U::IS_ON && self.control.claim.has_let_go() && self.mechanisms.on(Mechanism::LetGo)
    }

    /// Whether this channel is about to take outputs that were left to it.
    pub(super) fn is_taking_outputs(&self) -> bool {
        self.left_outputs().is_some()
    }

    pub(super) fn left_outputs(&self) -> Option<Epoch> {
        if U::IS_ON { self.control.claim.on(Grounds::HandedOver) } else { None }
    }
}
