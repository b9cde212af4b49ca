//! Stops a core dead at some moment of a cycle, and starts it anew.

use super::Run;
use super::core::WAYPOINTS;
use crate::rounds::Act;
use anyhow::Result;
use std::time::{Duration, Instant};
use tank::field_bus::ModeCode;
use twinstep::ChannelId;

/// A stop may come anywhere in a cycle, which takes 120 ms.
const WITHIN_A_CYCLE_MS: std::ops::Range<u64> = 0..120;
/// Or while both wait for each other: so long after the core's sample.
const AFTER_SAMPLE_MS: std::ops::Range<u64> = 0..4;
/// Or at one of the waypoints, where a core comes by in this time; else its clock stops it.
const WAYPOINT_WITHIN: Duration = Duration::from_millis(600);

/// How far a stop is.
pub(super) enum Stop {
    /// None is due.
    None,
    /// Due when this core's sample of a cycle is in the mailbox, and so long after.
    OnSample { core: ChannelId, cycle: u32, after: Duration },
    /// Due at a moment.
    At { core: ChannelId, moment: Instant },
    /// The core is about to enter the function that stops it, or else to be stopped at a moment.
    AtWaypoint { core: ChannelId, or_at: Instant },
    /// The core is about to stop.
    Stopping(ChannelId),
    /// The core is about to start.
    Starting(ChannelId),
}

impl Stop {
    /// Whether the mailbox has to be looked at without a hint from the field buses.
    pub(super) fn awaits_sample(&self) -> bool {
        matches!(self, Self::OnSample { .. })
    }
}

impl Run<'_> {
    /// Does what is due.
    pub(super) fn go_on_with_rounds(&mut self) -> Result<()> {
        match self.stop {
            Stop::None => self.next_act(),
            Stop::OnSample { core, cycle, after } => {
                if self.judge.sampled_on_link(core).is_some_and(|sampled| sampled >= cycle) {
                    self.stop = Stop::At { core, moment: Instant::now() + after };
                }
                Ok(())
            }
            Stop::At { core, moment } => {
                if Instant::now() >= moment {
                    self.cores[core.index()].stop(&mut self.chip.memory)?;
                    self.stop = Stop::Stopping(core);
                }
                Ok(())
            }
            Stop::AtWaypoint { core, or_at } => {
                let at = self.cores[core.index()].stopped_at(&mut self.chip.memory)?;
                if at.is_none() && Instant::now() >= or_at {
                    self.stop = Stop::At { core, moment: or_at };
                }
                at.map_or(Ok(()), |at| self.stopped(core, at))
            }
            Stop::Stopping(core) => {
                let at = self.cores[core.index()].stopped_at(&mut self.chip.memory)?;
                at.map_or(Ok(()), |at| self.stopped(core, at))
            }
            Stop::Starting(core) => {
                // Until it begins it says nothing.
                if self.cores[core.index()].stopped_at(&mut self.chip.memory)?.is_none() {
                    self.stop = Stop::None;
                }
                Ok(())
            }
        }
    }

    fn next_act(&mut self) -> Result<()> {
        let (latest, in_duplex) = (self.judge.latest(), self.modes == [Some(ModeCode::Duplex); 2]);
        match self.rounds.next(latest, in_duplex) {
            Some(Act::Kill { in_cycle }) => {
                let core = self.driver;
                self.stop = match self.rng.u8(0..4) {
                    0 => {
                        let after = Duration::from_millis(self.rng.u64(AFTER_SAMPLE_MS));
                        Stop::OnSample { core, cycle: in_cycle, after }
                    }
                    1 => {
                        let after = Duration::from_millis(self.rng.u64(WITHIN_A_CYCLE_MS));
                        Stop::At { core, moment: Instant::now() + after }
                    }
                    _ => {
                        let waypoint = self.rng.choice(WAYPOINTS).unwrap_or_default();
                        let is_there = self.cores[core.index()].stop_at(waypoint, &mut self.chip.memory)?;
                        let wait = if is_there { WAYPOINT_WITHIN } else { Duration::ZERO };
                        Stop::AtWaypoint { core, or_at: Instant::now() + wait }
                    }
                };
            }
            Some(Act::Restart(core)) => {
                self.plant.injected(latest, Some(core), "restarted");
                self.nonces[core.index()] = self.rng.u32(1..);
                self.modes[core.index()] = Some(ModeCode::Starting);
                self.chip.begin_anew(core);
                self.cores[core.index()].start_anew(&mut self.chip.memory)?;
                self.stop = Stop::Starting(core);
            }
            None => {}
        }
        Ok(())
    }

    /// Notes a core's death, in the first cycle in which its vote is not in the mailbox.
    fn stopped(&mut self, core: ChannelId, at: u32) -> Result<()> {
        // Its last words; a frame may be the very last.
        self.listen()?;
        self.overhear()?;
        self.stop = Stop::None;
        let cycle = self.judge.votes().latest(core).map_or(0, |voted| voted.0 + 1);
        let function = self.cores[core.index()].function_at(at);
        self.plant.injected(cycle, Some(core), format!("stopped in {function}"));
        self.modes[core.index()] = None;
        self.judge.died(core);
        self.plant.mode(core, cycle, None);
        self.rounds.killed(core, cycle);
        Ok(())
    }
}
