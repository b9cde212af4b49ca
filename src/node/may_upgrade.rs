//! Whether a node can be upgraded while the other half serves: a choice of type. Who does not make it has neither the code of an
//! upgrade nor its memory.
//!
//! [`MayUpgrade`] is all that the other rooms ask of an upgrade. Its default answers are those of a node without one.

use super::Node;
use super::settings::Settings;
use super::upgrade::Upgrades;
use crate::ids::{Epoch, Instant};
use crate::lease::Arbiter;
use crate::mode::Mode;
use crate::program::{Program, program_hash};
use crate::succession::Succession;
use crate::upgrade::{StepEvent, VersionRelation};
use crate::verdict::Unbound;
use crate::wire::{BufferTooSmall, Hello, OrderPayload, Reject, Standing, UpgradePayload};

/// A node whose program changes only while its half is off.
pub struct NoUpgrades;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::NoUpgrades {}
    impl<P: crate::program::Program> Sealed for super::Upgrades<P> {}
}

/// [`NoUpgrades`] or [`Upgrades`]. Both channels make the same choice, else they do not pair:
/// [`Reject::Upgrades`](crate::wire::Reject::Upgrades).
///
/// Its items are what the other rooms of a node ask of an upgrade.
#[allow(private_interfaces)] // there are these two, and nobody else calls it
pub trait MayUpgrade<P: Program>: Sized + sealed::Sealed {
    /// Nothing is known of an upgrade.
    #[doc(hidden)]
    const NONE: Self;
    /// Whether this is more than nothing.
    #[doc(hidden)]
    const IS_ON: bool = false;

    // Whom a channel can pair with.

    /// Returns what the sender's version is to this one's; `None`: they cannot pair, nor succeed one another.
    #[doc(hidden)]
    fn relation_of<const FRAME: usize>(node: &Node<'_, P, FRAME, Self>, hello: &Hello) -> Option<VersionRelation> {
        node.is_of_this_version(hello).then_some(VersionRelation::Same)
    }

    /// Whether a peer that cannot pair is no surprise.
    #[doc(hidden)]
    fn expects_another_version<const FRAME: usize>(_: &Node<'_, P, FRAME, Self>) -> bool {
        false
    }

    /// Notes who the partner is, by its fresh word.
    #[doc(hidden)]
    fn met<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: &Hello, _: VersionRelation) {}

    /// The partner has booted anew, or is another one.
    #[doc(hidden)]
    fn forgets_partner<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>) {}

    /// Returns the hash of the version that this one can take over from; 0: of none.
    #[doc(hidden)]
    fn predecessor_hash(&self) -> u32 {
        0
    }

    // The conversation of the two halves.

    /// Takes the partner's word.
    #[doc(hidden)]
    fn handle_word<const FRAME: usize>(
        _: &mut Node<'_, P, FRAME, Self>,
        _: Instant,
        _: Epoch,
        _: &UpgradePayload,
    ) -> Result<(), Reject> {
        Err(Reject::Mode)
    }

    /// Takes the partner's order, or its answer to one of this channel's.
    #[doc(hidden)]
    fn handle_order<const FRAME: usize>(
        _: &mut Node<'_, P, FRAME, Self>,
        _: Instant,
        _: &OrderPayload,
    ) -> Result<(), Reject> {
        Err(Reject::Mode)
    }

    /// Returns when a word or an order is due.
    #[doc(hidden)]
    fn timeout<const FRAME: usize>(_: &Node<'_, P, FRAME, Self>) -> Option<Instant> {
        None
    }

    /// Sends a word or an order that is due.
    #[doc(hidden)]
    fn transmit<const FRAME: usize>(
        _: &mut Node<'_, P, FRAME, Self>,
        _: Instant,
        _: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        Ok(None)
    }

    /// Leaves service if this channel has to restart.
    #[doc(hidden)]
    fn looks_for_duty<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: Instant) {}

    // The course of events.

    /// A slot opens.
    #[doc(hidden)]
    fn slot_opens<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: Instant) {}

    /// Both channels go on together; true if they are of two versions.
    #[doc(hidden)]
    fn pairs<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>) -> bool {
        false
    }

    /// Something happened that may end a step of an upgrade.
    #[doc(hidden)]
    fn steps_on<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: StepEvent) {}

    /// The mode is about to change to this one.
    #[doc(hidden)]
    fn leaves_mode<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: Mode) {}

    /// The channel starts over.
    #[doc(hidden)]
    fn starts_over<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>) {}

    /// Takes back times that are further ahead than any can be.
    #[doc(hidden)]
    fn bound(&mut self, _: Instant, _: &Settings) {}

    // Reintegration.

    /// Whether a peer is one to copy the state to.
    #[doc(hidden)]
    fn may_donate<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: &Hello, standing: Standing) -> bool {
        !standing.contains(Standing::LEAVES)
    }

    /// Returns what is known of the version of the donor, if that is the one before this.
    #[doc(hidden)]
    fn predecessor<const FRAME: usize>(_: &Node<'_, P, FRAME, Self>) -> Option<Succession<P>> {
        None
    }

    /// The state could not be taken over.
    #[doc(hidden)]
    fn refuses_migration<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: Instant, _: u16) {}

    // The cycle of two versions.

    /// Looks at a cycle of the trial.
    #[doc(hidden)]
    fn poll_trial<const FRAME: usize, A: Arbiter>(
        node: &mut Node<'_, P, FRAME, Self>,
        _: Instant,
        _: &mut A,
    ) -> Option<Unbound<P::Output>> {
        node.schedule.is_open().then(|| node.safe_verdict()) // no mode of such a channel
    }

    /// Gives the outputs up rather than go on alone, if this channel has not passed its trial.
    #[doc(hidden)]
    fn gives_up<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: Instant) -> Option<Unbound<P::Output>> {
        None
    }

    /// Whether the outputs are to go to the other channel.
    #[doc(hidden)]
    fn wants_to_hand_over<const FRAME: usize>(_: &Node<'_, P, FRAME, Self>) -> bool {
        false
    }

    /// Whether this channel takes outputs that are left to it.
    #[doc(hidden)]
    fn takes_outputs<const FRAME: usize>(_: &Node<'_, P, FRAME, Self>) -> bool {
        false
    }

    /// The outputs have changed sides.
    #[doc(hidden)]
    fn handed_over<const FRAME: usize>(_: &mut Node<'_, P, FRAME, Self>, _: Epoch) {}

    /// Copies it for a model.
    #[doc(hidden)]
    #[cfg(feature = "sim")]
    fn copied(&self) -> Self {
        Self::NONE
    }

    /// Feeds what bears on what the channel does.
    #[doc(hidden)]
    #[cfg(feature = "sim")]
    fn fingerprint(&self, _: &mut impl core::hash::Hasher) {}
}

impl<P: Program> MayUpgrade<P> for NoUpgrades {
    const NONE: Self = Self;
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Whether a `Hello` is of a channel that runs the same program with the same configuration.
    pub(super) fn is_of_this_version(&self, hello: &Hello) -> bool {
        let told = [hello.program_hash, hello.layout_hash, hello.build, hello.config_hash];
        told == [program_hash::<P>(), P::LAYOUT, P::BUILD.number(), self.control.config.hash()]
    }

    /// Returns what the peer's version is to this one's.
    pub(super) fn version_relation(&self) -> VersionRelation {
        if U::IS_ON { self.control.undertaking.version_relation() } else { VersionRelation::Same }
    }

    /// Whether this channel is about to restart: it takes part in nothing.
    pub(super) fn leaves(&self) -> bool {
        U::IS_ON && self.control.undertaking.leaves()
    }
}
