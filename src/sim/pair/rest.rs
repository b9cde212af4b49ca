//! Channels that wait: when they wake, and that nobody looks at them before.

use super::Pair;
use crate::ids::{ChannelId, Instant};
use crate::node::Node;
use crate::program::Program;
use crate::sim::sending::LOOK_AGAIN_US;

/// What is known of a channel from the end of its turn until something touches it.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// When it is to be polled, and when it begins its next cycle, by its clock.
    poll_at: Option<Instant>,
    start_at: Instant,
    /// The same in true time, about.
    true_poll_at: Option<u64>,
    true_start_at: u64,
    /// Whether the arbiter lets its epoch through, if until then, or until a frame comes or that changes, a turn of it is in
    /// vain: it was polled, it has sent all that it had to say, and it waits for nothing else.
    is_calm: Option<bool>,
}

impl Rest {
    /// Whether the channel, that has nothing to send, is to be polled again at once.
    pub(super) fn wants_more(&self, now: Instant) -> bool {
        self.poll_at.is_some_and(|at| at <= now)
    }
}

impl<P: Program> Pair<'_, P> {
    /// A channel has come to the end of its turn.
    pub(super) fn comes_to_rest(&mut self, channel: ChannelId) -> Option<Rest> {
        let is_calm = self.nodes[channel.index()].as_ref().is_some_and(Node::is_calm);
        let rest =
            self.rest_of(channel).map(|rest| Rest { is_calm: is_calm.then(|| self.is_let_through(channel)), ..rest });
        self.rests[channel.index()] = rest;
        rest
    }

    /// Returns how a channel waits as it is now.
    fn rest_of(&self, channel: ChannelId) -> Option<Rest> {
        let node = self.nodes[channel.index()].as_ref()?;
        let (poll_at, start_at) = (node.poll_timeout(), node.next_start());
        let true_time = |at| self.clocks[channel.index()].true_time(at);
        let (true_poll_at, true_start_at) = (poll_at.map(true_time), true_time(start_at));
        Some(Rest { poll_at, start_at, true_poll_at, true_start_at, is_calm: None })
    }

    /// Whether a turn of the channel would be in vain.
    pub(super) fn rests(&self, channel: ChannelId) -> bool {
        let at = channel.index();
        if self.hook.is_some() {
            return false;
        }
        let Some(Rest { poll_at, start_at, is_calm: Some(was_let_through), .. }) = self.rests[at] else { return false };
        if self.flipping[at].is_some() || self.line.towards[at].next_at().is_some_and(|at| at <= self.now) {
            return false;
        }
        let local = self.local_time(channel);
        let is_early = local < start_at && poll_at.is_none_or(|at| local < at);
        is_early && !self.arbiters[at].is_misread() && self.is_let_through(channel) == was_let_through
    }

    fn is_let_through(&self, channel: ChannelId) -> bool {
        let at = channel.index();
        self.nodes[at].as_ref().is_some_and(|node| self.arbiters[at].lets_through(node.epoch(), channel))
    }

    /// Returns when a channel wakes that waits for nothing but time and frames.
    pub(super) fn wakes_at(&mut self, channel: ChannelId) -> Option<u64> {
        let at = channel.index();
        if self.rests[at].is_none() {
            self.rests[at] = self.rest_of(channel);
        }
        let Rest { true_poll_at, true_start_at, is_calm, .. } = self.rests[at]?;
        let is_late = is_calm.is_none() && self.is_late(channel);
        let soonest = self.now + if is_late { LOOK_AGAIN_US } else { 1 };
        let start = true_start_at.max(self.now + 1);
        let wake = true_poll_at.map_or(start, |at| at.max(soonest).min(start));
        Some(self.line.towards[at].next_at().map_or(wake, |at| at.min(wake)))
    }
}
