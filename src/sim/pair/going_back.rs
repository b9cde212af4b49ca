//! A channel with an older state that goes on from it, the newer one being lost.

use super::Pair;
use crate::ids::{ChannelId, Cycle};
use crate::mode::Mode;
use crate::node::Node;
use crate::program::Program;
use crate::verdict::Outcome;

impl<P: Program> Pair<'_, P> {
    /// Whether a channel takes over that stood by and is behind, the other one being dead or empty.
    pub(super) fn goes_back(&self, channel: ChannelId, outcome: Outcome, cycle: Cycle) -> bool {
        let stood_by = self.modes[channel.index()] == Some(Mode::Standby) && outcome == Outcome::TookOver;
        let is_own_cycle = self.nodes[channel.index()].as_ref().is_some_and(|node| node.cycle() == cycle);
        let is_behind = is_own_cycle && cycle.since(self.oracle.latest()) <= 0;
        let other = &self.nodes[channel.other().index()];
        stood_by && is_behind && other.as_ref().is_none_or(Node::is_empty)
    }

    /// Whether a channel that goes back to its older state first drives, once more, what was voted
    /// last before it stood by: the oracle need not remember so far back.
    pub(super) fn is_old_vote(&self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &[u8]) -> bool {
        let stood_by = self.modes[channel.index()] == Some(Mode::Standby) && outcome == Outcome::TookOver;
        let is_before = self.nodes[channel.index()].as_ref().is_some_and(|node| node.cycle() == cycle.next());
        stood_by && is_before && cycle.since(self.oracle.latest()) < 0 && self.votes.both_voted_bytes(cycle, output)
    }
}
