//! The only half that has the state: while it is dead or hangs, nobody can serve.
//!
//! A half that has the state is the only one while the other half is off or has none. Only a half that is the only one as it
//! fails counts: a half that gives its state away after the other one has failed is at fault itself.

use super::{CHANNELS, UpgradePair};
use crate::ids::ChannelId;
use crate::program::Program;
use crate::succession::Successor;

/// What became of the only half that had the state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnlyHalf {
    /// It was killed.
    killed: bool,
    /// It hung.
    hung: bool,
    /// Since when it hangs.
    hangs_since: Option<u64>,
    /// How long it hung before that, since the last output.
    hung_us: u64,
}

impl<O, N, J> UpgradePair<'_, O, N, J>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
    J: Successor<Input = O::Input, Output = O::Output, OldState = O::State, State = N::State>,
{
    /// Whether a half was killed that was the only one with the state: nobody can go on from there.
    pub fn killed_the_only(&self) -> bool {
        self.only.killed
    }

    /// Whether a half hung that was the only one with the state: nobody can serve meanwhile. The time that it hung is in
    /// [`longest_silence_us`](crate::sim::Report::longest_silence_us), and not in
    /// [`longest_idle_us`](crate::sim::Report::longest_idle_us).
    pub fn hung_the_only(&self) -> bool {
        self.only.hung
    }

    fn has_state(&self, channel: ChannelId) -> bool {
        self.halves[channel.index()].as_ref().is_some_and(|half| !half.is_empty())
    }

    /// Whether this half has the state, and the other one does not.
    fn is_the_only(&self, channel: ChannelId) -> bool {
        self.has_state(channel) && !self.has_state(channel.other())
    }

    /// A half is about to be killed.
    pub(super) fn note_death(&mut self, channel: ChannelId) {
        self.only.killed |= self.is_the_only(channel);
    }

    /// A half hangs from now on.
    pub(super) fn note_hang(&mut self, channel: ChannelId) {
        if self.is_the_only(channel) {
            (self.only.hung, self.only.hangs_since) = (true, Some(self.now));
        }
    }

    /// Notes when the only half goes on.
    pub(super) fn look_for_the_only(&mut self) {
        let hangs = CHANNELS.into_iter().any(|channel| self.hung_until[channel.index()].is_some());
        if let Some(since) = self.only.hangs_since.take_if(|_| !hangs) {
            self.only.hung_us += self.now - since;
        }
    }

    /// Counts how long nothing was driven until now.
    pub(super) fn count_silence(&mut self) {
        let silence_us = self.driven_at.replace(self.now).map_or(0, |at| self.now - at);
        let hangs_us = self.only.hangs_since.as_mut().map_or(0, |since| self.now - core::mem::replace(since, self.now));
        let idle_us = silence_us.saturating_sub(core::mem::take(&mut self.only.hung_us) + hangs_us);
        self.report.longest_silence_us = self.report.longest_silence_us.max(silence_us);
        self.report.longest_idle_us = self.report.longest_idle_us.max(idle_us);
    }
}
