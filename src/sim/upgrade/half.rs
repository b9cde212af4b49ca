//! One half: a node of either version.

use super::images::Bootloader;
use crate::config::{Config, ConfigError};
use crate::ids::{ChannelId, Cycle, Epoch, Instant, PairId};
use crate::memory::Cells;
use crate::mode::Mode;
use crate::node::{Begun, Node, Site, Upgrades};
use crate::program::Program;
use crate::sim::arbiter::SimArbiter;
use crate::sim::checks::Checks;
use crate::sim::pair::{Moment, flip_if_due};
use crate::sim::report::{Report, count};
use crate::sim::setup::Setup;
use crate::succession::{Succession, Successor};
use crate::upgrade::{Candidate, Duty, Order, Ordered, Refusal, Retry, RunningImage, Status};
use crate::verdict::{Outcome, Unbound, Verdict};
use crate::wire::MAX_FRAME_BYTES;
use std::boxed::Box;

/// Which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one before.
    Old,
    /// The one after.
    New,
}

type Upgradable<'m, P> = Node<'m, P, MAX_FRAME_BYTES, Upgrades<P>>;

/// A half that runs one of two versions.
pub enum Half<'m, O: Program, N: Program> {
    /// The old one.
    Old(Upgradable<'m, O>),
    /// The new one.
    New(Upgradable<'m, N>),
}

/// Does the same to a node of either version.
macro_rules! either {
    ($half:expr, $node:ident => $does:expr) => {
        match $half {
            Half::Old($node) => $does,
            Half::New($node) => $does,
        }
    };
}

impl<O, N> Half<'_, O, N>
where
    O: Program,
    N: Program<Input = O::Input, Output = O::Output>,
{
    /// Returns the version that runs.
    pub fn version(&self) -> Version {
        match self {
            Self::Old(_) => Version::Old,
            Self::New(_) => Version::New,
        }
    }

    /// Hands out what was not released since its sample is too old.
    pub(super) fn take_withheld(&mut self) -> Option<(Outcome, Cycle, O::Output)> {
        either!(self, node => node.take_withheld())
    }

    /// Returns the mode.
    pub fn mode(&self) -> Mode {
        either!(self, node => node.mode())
    }

    /// Returns the epoch.
    pub fn epoch(&self) -> Epoch {
        either!(self, node => node.epoch())
    }

    /// Returns the cycle in progress, or the last one.
    pub fn cycle(&self) -> Cycle {
        either!(self, node => node.cycle())
    }

    /// Whether the half has no agreed state.
    pub fn is_empty(&self) -> bool {
        either!(self, node => node.is_empty())
    }

    /// Whether the half serves and owns the outputs, as far as it knows.
    pub fn leads(&self) -> bool {
        either!(self, node => node.leads())
    }

    /// Returns how the upgrade stands.
    pub fn status(&self) -> Status {
        either!(self, node => node.upgrade())
    }

    /// Returns what speaks against beginning an upgrade.
    pub fn readiness(&self) -> crate::upgrade::NotReady {
        either!(self, node => node.readiness())
    }

    /// Clears the record of the first fault.
    pub fn clear_first_fault(&mut self) {
        either!(self, node => node.clear_first_fault());
    }

    /// Says what this half can be restarted into.
    pub fn offer_candidate(&mut self, candidate: Option<Candidate>) {
        either!(self, node => node.offer_candidate(candidate));
    }

    /// Hands out the oldest event that was not read yet.
    pub fn read_event(&mut self) -> Option<crate::journal::Entry> {
        either!(self, node => node.read_event())
    }

    /// Hands a frame to the half, as the link would.
    pub fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        let _ = either!(self, node => node.handle_frame(now, frame)); // counted by the node
    }

    pub(super) fn order(&mut self, now: Instant, order: Order) -> Result<Ordered, Refusal> {
        either!(self, node => node.order(now, order))
    }

    /// Whether no flipped bit of its control data waits to be mended.
    pub(super) fn has_sound_control(&self) -> bool {
        either!(self, node => node.has_sound_control())
    }

    pub(super) fn duty(&self) -> Option<Duty> {
        either!(self, node => node.duty())
    }

    pub(super) fn image_confirmed(&mut self) {
        either!(self, node => node.image_confirmed());
    }

    pub(super) fn floor_raised(&mut self) {
        either!(self, node => node.floor_raised());
    }

    pub(super) fn restart_failed(&mut self, now: Instant) {
        either!(self, node => node.restart_failed(now, Retry::Never));
    }

    pub(super) fn poll(&mut self, now: Instant, arbiter: &mut SimArbiter) -> Option<Unbound<O::Output>> {
        either!(self, node => node.poll_verdict(now, arbiter).map(Verdict::unbind))
    }

    pub(super) fn begin(&mut self, now: Instant, sample: O::Input) -> Begun {
        either!(self, node => node.begin(now, sample)).expect("samples fit a frame")
    }

    pub(super) fn next_start(&self) -> Instant {
        either!(self, node => node.next_start())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        either!(self, node => node.poll_timeout())
    }

    /// Returns the cycle that a sample taken now is for.
    pub(super) fn next_cycle(&self) -> Cycle {
        match self.mode() {
            Mode::Starting | Mode::Joining | Mode::Safe => self.cycle(),
            _ => self.cycle().next(),
        }
    }

    pub(super) fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        either!(self, node => node.poll_transmit(now, buffer)).expect("the buffer is the largest")
    }

    /// Whether nothing is left to be sent now.
    pub(super) fn transmit_is_done(&self, now: Instant) -> bool {
        self.poll_timeout().is_none_or(|at| at > now)
    }

    pub(super) fn flip_if_due(
        &mut self,
        due: &mut Option<(Moment, Site, usize)>,
        moment: Moment,
        checks: &mut Option<Box<Checks>>,
    ) {
        either!(self, node => flip_if_due(node, due, moment, checks));
    }

    /// Looks at the half after a call of it; after a poll that had a verdict at its memory, too, now and then.
    pub(super) fn check(&self, checks: &mut Option<Box<Checks>>, times: (u64, Instant), is_verdict: bool) {
        if let Some(checks) = checks {
            either!(self, node => checks.after_poll(times, node, is_verdict));
        }
    }

    pub(super) fn count(&self, report: &mut Report) {
        either!(self, node => count(report, node.counters()));
    }
}

/// The memory of a half that is off.
pub(super) struct Spare<'m, O: Program, N: Program> {
    old: Option<Cells<'m, O::State>>,
    new: Option<Cells<'m, N::State>>,
    /// What ran last.
    pub(super) ran: Option<Version>,
}

impl<'m, O: Program, N: Successor<OldState = O::State>> Spare<'m, O, N> {
    pub(super) fn new(old: Cells<'m, O::State>, new: Cells<'m, N::State>) -> Self {
        Self { old: Some(old), new: Some(new), ran: None }
    }

    pub(super) fn take_back(&mut self, half: Half<'m, O, N>) {
        match half {
            Half::Old(node) => (self.old, self.ran) = (Some(node.into_memory()), Some(Version::Old)),
            Half::New(node) => (self.new, self.ran) = (Some(node.into_memory()), Some(Version::New)),
        }
    }

    pub(super) fn scramble(&mut self, mut noise: impl FnMut() -> u8) {
        if let Some(cells) = &mut self.old {
            cells.scramble(&mut noise);
        }
        if let Some(cells) = &mut self.new {
            cells.scramble(&mut noise);
        }
    }

    pub(super) fn boot(
        &mut self,
        me: ChannelId,
        version: Version,
        setup: &Setup,
        pair: PairId,
        nonce: u32,
        loader: &Bootloader,
    ) -> Result<Half<'m, O, N>, ConfigError> {
        let config = Config { pair, nonce, ..setup.config };
        let image = if loader.is_confirmed() { RunningImage::Confirmed } else { RunningImage::OnTrial };
        Ok(match version {
            Version::Old => {
                let mut node = Node::with_upgrades(me, self.old.take().expect("the half is off"), config)?;
                if let Some(mechanism) = setup.off {
                    node.switch_off(mechanism);
                }
                node.running_image(image, loader.floor());
                node.offer_candidate(Some(Candidate {
                    version: N::VERSION,
                    takes_version: N::OLD_VERSION,
                    takes_layout: N::OLD_LAYOUT,
                    floor: loader.floor(),
                }));
                Half::Old(node)
            }
            Version::New => {
                let mut node = Node::with_upgrades(me, self.new.take().expect("the half is off"), config)?;
                if let Some(mechanism) = setup.off {
                    node.switch_off(mechanism);
                }
                node.succeed(Succession::new());
                node.running_image(image, loader.floor());
                Half::New(node)
            }
        })
    }
}
