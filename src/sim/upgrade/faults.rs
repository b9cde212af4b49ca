//! What can be done to the pair.

use super::UpgradePair;
use crate::ids::ChannelId;
use crate::node::Site;
use crate::program::Program;
use crate::sim::arbiter::SimArbiter;
use crate::sim::disturbance::Disturbance;
use crate::sim::failure::Failure;
use crate::sim::pair::Moment;
use crate::sim::trace::TracedEvent;
use crate::succession::Successor;

impl<O, N, J> UpgradePair<'_, O, N, J>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
    J: Successor<Input = O::Input, Output = O::Output, OldState = O::State, State = N::State>,
{
    /// Stops a half dead. A frame that its UART has not taken all of is lost. The half boots again after so many periods, if it does at all.
    pub fn kill(&mut self, channel: ChannelId, back_after: Option<u32>) {
        self.note_death(channel);
        self.switch_off(channel);
        let period_us = u64::from(self.setup.config.period_us);
        self.boots_at[channel.index()] = back_after.map(|periods| self.now + u64::from(periods) * period_us);
    }

    /// Switches a half off: it has died, or restarts.
    pub(super) fn switch_off(&mut self, channel: ChannelId) {
        let at = channel.index();
        if let Some(half) = self.halves[at].take() {
            half.count(&mut self.report);
            self.memory[at].take_back(half);
            self.line.stop(channel);
            self.trace_it(channel, || TracedEvent::Became("off".into()));
        }
        self.sending[at] = None;
        (self.failing[at], self.hung_until[at], self.flipping[at], self.boots_at[at]) = (None, None, None, None);
    }

    /// Returns how often a half died as [`fail_at_byte`](Self::fail_at_byte) asked for.
    pub fn deaths(&self, channel: ChannelId) -> u32 {
        self.deaths[channel.index()]
    }

    /// Lets a channel stop once it has sent so many bytes more, also if it restarts before.
    pub fn fail_at_byte(&mut self, channel: ChannelId, byte: u64, failure: Failure) {
        self.failing[channel.index()] = Some((byte, failure));
    }

    /// Does this to the next frame of `sender`, or to its frames for a while.
    pub fn disturb(&mut self, sender: ChannelId, disturbance: Disturbance) {
        self.line.disturb(self.now, sender, disturbance);
    }

    /// Ends every disturbance, and failures that have not happened yet.
    pub fn calm(&mut self) {
        self.line.calm();
        (self.failing, self.flipping) = ([None; 2], [None; 2]);
    }

    /// Flips a bit at this moment of the channel's next turn in which there is something at this place.
    pub fn flip_within_turn(&mut self, channel: ChannelId, moment: Moment, site: Site, bit: usize) {
        self.flipping[channel.index()] = Some((moment, site, bit));
    }

    /// Returns one half's end of the arbiter.
    pub fn arbiter(&mut self, channel: ChannelId) -> &mut SimArbiter {
        &mut self.arbiters[channel.index()]
    }

    /// Cuts or heals the link; what is in flight is lost.
    pub fn cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
        for direction in &mut self.line.towards {
            direction.clear();
        }
    }

    /// Lets a half take no part in anything for so long, or for as long as one that died is off.
    pub(super) fn hang(&mut self, channel: ChannelId, for_us: Option<u64>) {
        let for_us = for_us.unwrap_or(u64::from(BACK_AFTER) * u64::from(self.setup.config.period_us));
        self.hung_until[channel.index()] = Some(self.now + for_us);
        self.note_hang(channel);
        self.trace_it(channel, || TracedEvent::Became(std::format!("hung for {for_us} us")));
    }

    /// Whether a half hangs now. One whose time is over goes on.
    pub(super) fn still_hangs(&mut self, channel: ChannelId) -> bool {
        let hung_until = &mut self.hung_until[channel.index()];
        if hung_until.take_if(|until| self.now >= *until).is_some() {
            self.trace_it(channel, || TracedEvent::Became("as before it hung".into()));
        }
        self.hung_until[channel.index()].is_some()
    }
}

/// Periods after which a half that died by itself boots again.
pub(super) const BACK_AFTER: u32 = 12;
