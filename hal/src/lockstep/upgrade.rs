//! An upgrade, as the firmware sees it through its run loop.

use super::Lockstep;
use crate::clock::Clock;
use crate::link::Link;
use twinstep::memory::Cells;
use twinstep::upgrade::{Candidate, Duty, Order, Ordered, Refusal, Retry, RunningImage};
use twinstep::{Arbiter, ChannelId, Config, ConfigError, Node, Program, Succession, Upgrades};

impl<'m, P, L, A, const FRAME: usize> Lockstep<'m, P, L, A, FRAME, Upgrades<P>>
where
    P: Program,
    L: Link,
    A: Arbiter,
{
    /// Makes channel `me` on `memory`, of a pair whose halves can be upgraded while the other one serves.
    ///
    /// # Errors
    /// As for [`new`](Lockstep::new).
    pub fn with_upgrades<M>(me: ChannelId, memory: M, link: L, arbiter: A, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        Self::around(Node::with_upgrades(me, memory, config)?, link, arbiter, &config)
    }

    /// Lets this version take over from the one before it, should that serve: `succeed(Succession::new())`. To be said
    /// before the first cycle.
    pub fn succeed(&mut self, succession: Succession<P>) {
        self.node.succeed(succession);
    }

    /// Says what this half can be restarted into: a verified image, or none any more.
    pub fn offer_candidate(&mut self, candidate: Option<Candidate>) {
        self.node.offer_candidate(candidate);
    }

    /// Says what is known of the running image, and the oldest version that may be installed.
    pub fn running_image(&mut self, image: RunningImage, floor: u32) {
        self.node.running_image(image, floor);
    }

    /// Gives an order of an upgrade. The channel that owns carries it out at once; the other one passes it on, and
    /// `node().upgrade()` tells what the owner said.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed. It says whether another try is worth it: [`Refusal::retry`].
    pub fn order<C: Clock>(&mut self, clock: &mut C, order: Order) -> Result<Ordered, Refusal> {
        self.node.order(clock.now(), order)
    }

    /// Returns what the firmware is to do, if anything. Look after each cycle. When a restart is asked for, the peer has been
    /// told: reset at once, after driving this cycle's verdict.
    pub fn duty(&self) -> Option<Duty> {
        self.node.duty()
    }

    /// Says that the running image was confirmed, as [`Duty::Confirm`] asks.
    pub fn image_confirmed(&mut self) {
        self.node.image_confirmed();
    }

    /// Says that older versions are refused from now on, as [`Duty::RaiseFloor`] asks.
    pub fn floor_raised(&mut self) {
        self.node.floor_raised();
    }

    /// Says that this half could not be restarted as asked: it joins again as it is. It is asked again after ten seconds, or not
    /// in this boot.
    pub fn restart_failed<C: Clock>(&mut self, clock: &mut C, retry: Retry) {
        self.node.restart_failed(clock.now(), retry);
    }
}
