//! What a user sees of a channel, and tells it.

use super::{MayUpgrade, Node};
use crate::buckets::Buckets;
use crate::fault::Health;
use crate::ids::{ChannelId, Cycle, Epoch};
use crate::journal::{Counters, Entry, Event, FirstFault};
#[cfg(feature = "sim")]
use crate::mechanism::Mechanisms;
use crate::memory::Cells;
#[cfg(feature = "sim")]
use crate::mirror::Mirror;
use crate::mode::Mode;
use crate::program::Program;
use crate::timing::Timing;

impl<'m, P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'m, P, FRAME, U> {
    /// Returns which channel this is.
    pub fn channel(&self) -> ChannelId {
        self.control.config.me()
    }

    /// Returns what the channel is doing.
    pub fn mode(&self) -> Mode {
        self.control.standing.mode()
    }

    /// Returns the lineage of the channel's state.
    pub fn epoch(&self) -> Epoch {
        self.control.standing.epoch()
    }

    /// Returns the cycle in progress, or the last one.
    pub fn cycle(&self) -> Cycle {
        self.control.turn.cycle()
    }

    /// Returns the last cycle if it is settled: nothing is in progress.
    pub fn settled_cycle(&self) -> Option<Cycle> {
        (self.control.turn.is_settled()).then_some(self.control.turn.cycle())
    }

    /// Returns whether the channel has no agreed state: it has committed no cycle since its
    /// boot, or is taking over the peer's state.
    pub fn is_empty(&self) -> bool {
        self.control.standing.is_empty()
    }

    /// Ends the channel and gives its memory back.
    pub fn into_memory(self) -> Cells<'m, P::State> {
        self.mirror.into_cells()
    }

    /// Returns the input that the last step used.
    pub fn agreed_input(&self) -> Option<&P::Input> {
        self.stepped.agreed()
    }

    /// Returns the state, as the last step left it.
    pub fn state(&self) -> &P::State {
        self.mirror.state()
    }

    /// Returns the digest of the last committed state.
    pub fn state_digest(&self) -> u32 {
        self.mirror.committed_digest()
    }

    /// Returns what this channel has measured of time: how long frames take, by how much the other channel is late, and the period.
    pub fn timing(&self) -> Timing {
        self.schedule.timing()
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        self.record.counters()
    }

    /// Returns the record of what went wrong first.
    pub fn first_fault(&self) -> Option<&FirstFault> {
        self.record.first_fault()
    }

    /// Clears the record of the first fault, on purpose, so that the next one is kept.
    pub fn clear_first_fault(&mut self) {
        self.record.clear_first_fault();
    }

    /// Hands out the oldest event that was not read yet, and forgets it. The newest
    /// [`JOURNAL_ENTRIES`](crate::journal::JOURNAL_ENTRIES) are kept.
    pub fn read_event(&mut self) -> Option<Entry> {
        self.record.read_event()
    }

    /// Returns how many events were lost since nobody had read them.
    pub fn lost_events(&self) -> u32 {
        self.record.lost_events()
    }

    /// Returns how often whom was suspected of a transient fault lately.
    pub fn buckets(&self) -> Buckets {
        self.control.suspicion.buckets()
    }

    /// Notes what the hardware or the user's own checks say against this channel in the cycle in
    /// progress, or in the next one if none is: evidence, should the votes differ.
    pub fn raise_health(&mut self, health: Health) {
        self.within(|node| node.control.suspicion.note_health(health));
    }

    /// Whether a channel was found faulty too often, and may not join until [`readmit`](Self::readmit).
    pub fn is_barred(&self, channel: ChannelId) -> bool {
        self.control.suspicion.is_barred(channel)
    }

    /// Lets a channel take part again that was found faulty too often, and forgets what it was
    /// suspected of: it was repaired or replaced. To be called on the channel that serves, and on the
    /// other one if that has not been booted since.
    pub fn readmit(&mut self, channel: ChannelId) {
        self.within(|node| {
            node.control.suspicion.readmit(channel);
            node.happened(Event::Readmitted(channel));
        });
    }

    /// Hands out what was not released since its sample is too old, with what its cycle came to, for an observer that follows the state.
    #[cfg(feature = "sim")]
    pub fn take_withheld(&mut self) -> Option<(crate::Outcome, Cycle, P::Output)> {
        let (outcome, sealed) = self.stepped.take_withheld()?;
        Some((outcome, sealed.cycle(), sealed.into_value()))
    }

    /// Switches one safety mechanism off, to show that a test notices.
    #[cfg(feature = "sim")]
    pub fn switch_off(&mut self, mechanism: crate::Mechanism) {
        self.mechanisms = Mechanisms::without(mechanism);
    }

    /// Returns the memory, to flip bits behind the mirror's back.
    #[cfg(feature = "sim")]
    pub fn memory(&mut self) -> &mut Mirror<'m, P::State> {
        &mut self.mirror
    }
}
