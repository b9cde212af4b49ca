//! Keeps what the pair does.

use super::{CHANNELS, UpgradePair};
use crate::ids::ChannelId;
use crate::program::Program;
use crate::sim::trace::{Traced, TracedEvent};
use crate::succession::Successor;
use std::vec::Vec;

impl<O, N, J> UpgradePair<'_, O, N, J>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
    J: Successor<Input = O::Input, Output = O::Output, OldState = O::State, State = N::State>,
{
    /// Keeps what happens from now on; it takes the journals' entries.
    pub fn trace(&mut self) {
        self.trace = Some(Vec::new());
        let _ = self.take_trace(); // what happened before
    }

    /// Hands out what was kept since the last time.
    pub fn take_trace(&mut self) -> Vec<Traced> {
        CHANNELS.into_iter().for_each(|channel| self.trace_journal(channel));
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn trace_journal(&mut self, channel: ChannelId) {
        let (Some(trace), Some(half)) = (&mut self.trace, &mut self.halves[channel.index()]) else { return };
        while let Some(entry) = half.read_event() {
            trace.push(Traced { at_us: self.now, channel, what: TracedEvent::Noted(entry) });
        }
    }

    pub(super) fn trace_it(&mut self, channel: ChannelId, what: impl FnOnce() -> TracedEvent) {
        self.trace_journal(channel);
        if let Some(trace) = &mut self.trace {
            trace.push(Traced { at_us: self.now, channel, what: what() });
        }
    }
}
