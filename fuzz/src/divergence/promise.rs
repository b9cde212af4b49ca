//! What the pair promises of an execution: no wrong output after one value fault at a time.
//!
//! A value fault is detected, and may be masked, because another channel computes the same. So the promise is void,
//! and wrong outputs are no longer judged, from the moment when
//!
//! - a bit is flipped while the pair is not whole: both channels in duplex, the link healed, no channel doomed, and
//!   all that for [`QUIET_PERIODS`], so that no takeover is on its way and no state is being copied;
//! - or another fault comes before that one is done with: another flip, a death, a cut, a lost frame, or a link with
//!   faults that leads to a held cycle or a takeover. It is done with once the pair was whole again for
//!   [`QUIET_PERIODS`], in which the vote has met a flipped output and the scrub a flipped bit of memory.
//!
//! What leads out of duplex after a single flip on a calm link was that flip's own doing, whether both channels go to
//! the safe state or one is excluded: that is judged. All else that a pair promises holds in any case.

use crate::program::Filter;
use twinstep::sim::{Pair, Report};
use twinstep::{ChannelId, Mode};

/// Two rounds of the scrub over all blocks, and a few cycles more.
pub(super) const QUIET_PERIODS: u32 = 8;

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// Follows an execution.
#[derive(Debug)]
pub(super) struct Promise {
    /// Wrong outputs that were promised not to be.
    pub(super) wrong: u32,
    pub(super) had_value_fault: bool,
    pub(super) is_cut: bool,
    pub(super) is_calm: bool,
    /// The frame with which a channel dies.
    pub(super) doomed_until: u64,
    /// Whole periods since the pair was last not whole.
    quiet_periods: u32,
    /// A value fault is not done with.
    is_open: bool,
    is_void: bool,
    last: Report,
}

impl Default for Promise {
    fn default() -> Self {
        Self {
            wrong: 0,
            had_value_fault: false,
            is_cut: false,
            is_calm: true,
            doomed_until: 0,
            quiet_periods: 0,
            is_open: false,
            is_void: false,
            last: Report::default(),
        }
    }
}

impl Promise {
    /// A bit was flipped.
    pub(super) fn value_fault(&mut self) {
        self.had_value_fault = true;
        self.is_void |= self.quiet_periods < QUIET_PERIODS;
        self.is_open = true;
        self.quiet_periods = 0;
    }

    /// Another fault is about to come.
    pub(super) fn second_fault(&mut self, pair: &Pair<'_, Filter>) {
        // Where no channel serves, nothing is released: after a divergence both are restarted.
        let serves = CHANNELS.iter().any(|channel| pair.mode(*channel).is_some_and(Mode::serves));
        self.is_void |= self.is_open && serves;
        self.quiet_periods = 0;
    }

    /// Looks at the pair after some time, which was a whole period or less.
    pub(super) fn observe(&mut self, pair: &Pair<'_, Filter>, is_period: bool) {
        let report = pair.report();
        let is_duplex = CHANNELS.iter().all(|channel| pair.mode(*channel) == Some(Mode::Duplex));
        let is_steady = (report.held, report.takeovers) == (self.last.held, self.last.takeovers);
        let is_whole = is_duplex && is_steady && !self.is_cut && pair.frames_sent() >= self.doomed_until;
        if !is_whole {
            self.quiet_periods = 0;
            // Was it the link, or the flip? Together they are two faults.
            self.is_void |= self.is_open && !self.is_calm;
        } else if is_period {
            self.quiet_periods += 1;
        }
        self.is_open &= self.quiet_periods < QUIET_PERIODS;
        if !self.is_void {
            self.wrong += report.wrong - self.last.wrong;
        }
        self.last = report;
    }
}
