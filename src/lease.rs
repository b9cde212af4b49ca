//! LEASE  at most one channel owns the outputs, and an arbiter says which.

use crate::ids::{ChannelId, Epoch, Instant};

/// On what grounds a channel claims the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Grounds {
    /// The pair starts from nothing, and the claimant is its first owner.
    First,
    /// The peer has been silent past its deadline and the patience.
    Silence,
    /// A fresh `Hello` says that the peer has lost its state: it booted anew.
    PeerEmpty,
    /// A fresh `Hello` says that the peer stands by and owns nothing.
    PeerStandsBy,
    /// The peer was found faulty by the evidence of both. Should it own and the arbiter cannot cut
    /// it off, it has to let go first: the claim is made again at each deadline until then.
    PeerFaulty,
    /// The claimant owns already, and is about to go on with a peer that joins. Granted like any
    /// other claim, though no contact need move. It is asked between two cycles, in the first
    /// half of what is left of a period. Nothing is released until the answer is there. An answer
    /// within the other half costs no output. A refusal means that somebody else owns: the
    /// claimant stands by.
    PeerJoins,
    /// The owner has let go of the outputs in favour of the claimant, and said so. An arbiter of pins grants it once it
    /// sees the other channel's released; while it is pending the cycle is held.
    HandedOver,
    /// The claimant had let go of them, and nobody has answered. To be refused by an arbiter that cannot
    /// tell whether the other channel has them, or may still take them. Refused, the claimant stands by: if the other
    /// channel is dead then, the outputs stop until it is back.
    TakesBack,
}

impl Grounds {
    /// All grounds, in their order.
    pub(crate) const ALL: [Self; 8] = [
        Self::First,
        Self::Silence,
        Self::PeerEmpty,
        Self::PeerStandsBy,
        Self::PeerFaulty,
        Self::PeerJoins,
        Self::HandedOver,
        Self::TakesBack,
    ];
}

/// What an arbiter answers to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Claim {
    /// The outputs are the claimant's from now on, and nobody else's.
    Granted,
    /// They are not. The claimant stands by, and while the peer stays silent it does not ask again: an arbiter that may yet grant, such as
    /// one that waits for the other channel's pin to drop, answers [`Pending`](Self::Pending) meanwhile.
    Refused,
    /// The answer is on its way: the node asks again, and holds the cycle until it comes.
    Pending,
}

/// Whether an epoch owns the outputs, as an arbiter sees it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Confirmation {
    /// It does.
    Yes,
    /// It does not. The channel stands by at once if [`remembered`](Arbiter::remembered) says that a newer epoch owns; else the answer may
    /// be a misread, and it stands by, with [`Faults::LEASE_LOST`](crate::Faults::LEASE_LOST), if that lasts for
    /// [`Config::claim_limit`](crate::Config::claim_limit) periods; for one if the arbiter has no memory.
    No,
    /// There is no answer, as from a bus that was not read: no output opens, and the channel stays in service and claims nothing.
    ///
    /// After [`Config::claim_limit`](crate::Config::claim_limit) periods of this an owner stands by, with
    /// [`Faults::LEASE_UNKNOWN`](crate::Faults::LEASE_UNKNOWN), and asks again after pauses that double.
    CannotTell,
}

impl From<bool> for Confirmation {
    fn from(owns: bool) -> Self {
        if owns { Self::Yes } else { Self::No }
    }
}

/// Makes sure that at most one channel owns the outputs.
///
/// Both channels hold an arbiter of the same kind: a rule, a pin, or a relay with a memory.
///
/// One with a memory keeps one epoch, the one it lets through, at first [`Epoch::NONE`]. It
/// grants `to` if `to.counter()` is above that of the epoch kept, and keeps `to` from then on;
/// the same claim again is granted again; anything else is refused. It answers
/// [`Claim::Granted`] only once the other channel *is* cut off, or no output of its opens any more since
/// [`confirms`](Self::confirms) denies it, and [`Claim::Pending`] until
/// then, for instance while a contact moves: the cycle is held meanwhile. It may forget the
/// epoch only when both channels are off. The grounds are for arbiters without a memory; one
/// with a memory needs none. A reboot of the peer costs two claims at least, one for going on
/// alone and one for the peer that joins.
pub trait Arbiter {
    /// Asks for the outputs in epoch `to`, whose owner is the claimant; `from` is the
    /// epoch of the claimant's state. Asked again with the same figures while pending; `now` is for arbiters that have to
    /// wait, such as for a contact that settles.
    fn claim(&mut self, now: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim;

    /// Returns whether `epoch` still owns the outputs through `me`. Asked at every
    /// release and as each output is opened: answer from a cached word or a pin.
    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation;

    /// The channel that owned `epoch` owns it no more. It is told once on every way out of service: when it stands by, starts over
    /// or is in the safe state, one poll after the safe output was released; and when it lets go of the outputs in favour of the
    /// other channel, which claims them next: at the switchover of an upgrade, and at an abort once the new version drives.
    ///
    /// It is told, too, of the epoch of a claim that is given up while it is pending, or that was granted too late to be used.
    ///
    /// For arbiters that have to do something about it, such as a pin to be released: from then on they confirm `epoch` no longer. One
    /// with a memory waits for the next claim. An arbiter ignores an epoch that it does not let through.
    fn release(&mut self, epoch: Epoch, me: ChannelId);

    /// Returns the epoch that it lets through and remembers, [`Epoch::NONE`] before the first; `None` if it has no memory outside of
    /// both channels. By it channels that have both rebooted number their next claim above what was granted, and only with a
    /// memory a channel may start alone ([`solo_boot_after_us`](crate::Config::solo_boot_after_us)): without one, two channels that do not
    /// hear each other would both own.
    fn remembered(&self) -> Option<Epoch>;

    /// Names the channel that owns first when both start from nothing.
    fn first_owner(&self) -> ChannelId {
        ChannelId::A
    }
}

/// An arbiter without hardware: a rule that both channels know.
///
/// Names the first owner; afterwards only the epoch's owner may go alone, or the other one
/// once the owner itself says by a fresh `Hello` that it is empty. Two owners are
/// impossible, and so is survival of the owner's silent death: the other channel cannot
/// tell it from a cut link and stands by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Preferred(pub ChannelId);

impl Arbiter for Preferred {
    fn claim(&mut self, _: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
        let granted = match grounds {
            Grounds::First => to.owner() == self.0,
            Grounds::PeerEmpty | Grounds::HandedOver => true,
            Grounds::TakesBack => false, // the other one may have been granted them
            Grounds::Silence | Grounds::PeerStandsBy | Grounds::PeerFaulty | Grounds::PeerJoins => {
                to.owner() == from.owner()
            }
        };
        if granted { Claim::Granted } else { Claim::Refused }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        (epoch.owner() == me).into()
    }

    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        None
    }

    fn first_owner(&self) -> ChannelId {
        self.0
    }
}

/// The lease a released output was minted under.
#[derive(Clone, Copy)]
pub(crate) struct Lease<'l> {
    pub(crate) arbiter: &'l dyn Arbiter,
    pub(crate) epoch: Epoch,
    pub(crate) me: ChannelId,
}

impl Lease<'_> {
    pub(crate) fn holds(&self) -> Confirmation {
        self.arbiter.confirms(self.epoch, self.me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    #[test]
    fn preferred_grants_by_rule_only() {
        let mut arbiter = Preferred(B);
        let mut ask = |from, to, grounds| arbiter.claim(Instant::from_micros(0), from, to, grounds) == Claim::Granted;
        let (a1, b1) = (Epoch::new(1, A), Epoch::new(1, B));
        let (a2, b2) = (Epoch::new(2, A), Epoch::new(2, B));
        assert!(ask(Epoch::NONE, b1, Grounds::First));
        assert!(!ask(Epoch::NONE, a1, Grounds::First));
        for grounds in [Grounds::Silence, Grounds::PeerStandsBy, Grounds::PeerFaulty, Grounds::PeerJoins] {
            assert!(ask(b1, b2, grounds), "the owner goes on alone");
            assert!(!ask(b1, a2, grounds), "the other one does not");
        }
        assert!(ask(b1, a2, Grounds::PeerEmpty) && ask(b1, a2, Grounds::HandedOver));
        assert!(!ask(b1, b2, Grounds::TakesBack), "it may be the other one's by now");
        assert_eq!(arbiter.remembered(), None);
    }
}
