//! What the other rooms ask of an upgrade, answered by the functions of this one.

use super::Upgrades;
use crate::ids::{Epoch, Instant};
use crate::lease::Arbiter;
use crate::mode::Mode;
use crate::node::settings::Settings;
use crate::node::{MayUpgrade, Node};
use crate::program::Program;
use crate::succession::Succession;
use crate::upgrade::{Step, StepEvent, VersionRelation};
use crate::verdict::Unbound;
use crate::wire::{BufferTooSmall, Hello, OrderPayload, Reject, Standing, UpgradePayload};

type Upgraded<'m, P, const FRAME: usize> = Node<'m, P, FRAME, Upgrades<P>>;

#[allow(private_interfaces)]
impl<P: Program> MayUpgrade<P> for Upgrades<P> {
    const NONE: Self = Self::new();
    const IS_ON: bool = true;

    fn relation_of<const FRAME: usize>(node: &Upgraded<'_, P, FRAME>, hello: &Hello) -> Option<VersionRelation> {
        node.relation_of(hello)
    }

    fn expects_another_version<const FRAME: usize>(node: &Upgraded<'_, P, FRAME>) -> bool {
        node.expects_another_version()
    }

    fn met<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, hello: &Hello, relation: VersionRelation) {
        node.met(hello, relation);
    }

    fn forgets_partner<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>) {
        node.upgrade.words.forget_partner();
        node.upgrade.orders.forget_partner(node.control.undertaking.step());
    }

    fn predecessor_hash(&self) -> u32 {
        self.versions.succession().map_or(0, |before| before.hash)
    }

    fn handle_word<const FRAME: usize>(
        node: &mut Upgraded<'_, P, FRAME>,
        now: Instant,
        epoch: Epoch,
        told: &UpgradePayload,
    ) -> Result<(), Reject> {
        node.handle_upgrade(now, epoch, told)
    }

    fn handle_order<const FRAME: usize>(
        node: &mut Upgraded<'_, P, FRAME>,
        now: Instant,
        told: &OrderPayload,
    ) -> Result<(), Reject> {
        node.handle_order(now, told)
    }

    fn timeout<const FRAME: usize>(node: &Upgraded<'_, P, FRAME>) -> Option<Instant> {
        node.upgrade_timeout().into_iter().chain(node.order_timeout()).min()
    }

    fn transmit<const FRAME: usize>(
        node: &mut Upgraded<'_, P, FRAME>,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        let order = node.transmit_order(now, buffer)?;
        if order.is_some() { Ok(order) } else { node.transmit_upgrade(now, buffer) }
    }

    fn looks_for_duty<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, now: Instant) {
        node.look_for_duty(now);
    }

    fn slot_opens<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, now: Instant) {
        node.count_farewell();
        node.count_unmet_slots(now);
        if node.control.standing.mode() == Mode::Trial {
            node.claim_after_the_old_version();
        }
    }

    fn pairs<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>) -> bool {
        node.control.undertaking.pair();
        if node.has_to_tell() {
            node.upgrade.words.owe();
        }
        node.control.undertaking.version_relation() != VersionRelation::Same
    }

    fn steps_on<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, event: StepEvent) {
        node.step_on(event);
    }

    fn leaves_mode<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, to: Mode) {
        if node.control.standing.mode() == Mode::Trial {
            node.end_trial();
        }
        if node.control.standing.mode().is_paired() {
            node.upgrade.words.partner_left();
        }
        // The owner of one that joins stays the same, and will answer.
        let joins = matches!(to, Mode::Joining | Mode::Duplex | Mode::Trial);
        if node.control.standing.mode().serves() || !joins {
            node.upgrade.orders.drop_given(node.control.undertaking.step());
        }
    }

    fn starts_over<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>) {
        node.forget_upgrade();
    }

    fn bound(&mut self, now: Instant, config: &Settings) {
        self.words.bound(now, config);
        self.orders.bound(now, config);
        self.departure.bound(now);
    }

    fn may_donate<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, hello: &Hello, standing: Standing) -> bool {
        node.may_donate(hello, standing)
    }

    fn predecessor<const FRAME: usize>(node: &Upgraded<'_, P, FRAME>) -> Option<Succession<P>> {
        node.upgrade
            .versions
            .succession()
            .filter(|_| node.control.undertaking.version_relation() == VersionRelation::Older)
    }

    fn refuses_migration<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, now: Instant, number: u16) {
        node.refuse_migration(now, number);
    }

    fn poll_trial<const FRAME: usize, A: Arbiter>(
        node: &mut Upgraded<'_, P, FRAME>,
        now: Instant,
        arbiter: &mut A,
    ) -> Option<Unbound<P::Output>> {
        node.poll_trial(now, arbiter)
    }

    fn gives_up<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, now: Instant) -> Option<Unbound<P::Output>> {
        node.may_not_go_on_alone().then(|| node.give_up_failed(now))
    }

    fn wants_to_hand_over<const FRAME: usize>(node: &Upgraded<'_, P, FRAME>) -> bool {
        node.wants_to_hand_over()
    }

    fn takes_outputs<const FRAME: usize>(node: &Upgraded<'_, P, FRAME>) -> bool {
        !(node.control.undertaking.is_new() && node.has_failed())
    }

    fn handed_over<const FRAME: usize>(node: &mut Upgraded<'_, P, FRAME>, epoch: Epoch) {
        node.handed_over(epoch);
    }

    #[cfg(feature = "sim")]
    fn copied(&self) -> Self {
        self.copied()
    }

    #[cfg(feature = "sim")]
    fn fingerprint(&self, hasher: &mut impl core::hash::Hasher) {
        self.fingerprint(hasher);
    }
}

impl<P: Program, const FRAME: usize> Upgraded<'_, P, FRAME> {
    /// Whether the peer is one to copy the state to, as far as an upgrade goes.
    fn may_donate(&mut self, hello: &Hello, standing: Standing) -> bool {
        let relation = self.control.undertaking.version_relation();
        if relation != VersionRelation::Same && self.control.standing.mode() == Mode::Simplex {
            self.meet(hello.nonce); // it can be talked to
        }
        if standing.contains(Standing::LEAVES) {
            return false;
        }
        match relation {
            VersionRelation::Same => self.step_on(StepEvent::SameCameBack),
            VersionRelation::Older => self.step_on(StepEvent::OldCameBack(self.control.undertaking.is_confirmed())),
            VersionRelation::Newer => {}
        }
        relation == VersionRelation::Same
            || relation == VersionRelation::Newer && self.control.undertaking.step() == Step::Split
    }
}
