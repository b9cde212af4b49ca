//! Stops a core dead at some moment of a cycle, and starts it anew.

use super::{PERIOD_NS, Run};
use crate::rounds::Act;
use anyhow::Result;
use tank::field_bus::ModeCode;
use twinstep::ChannelId;
use twinstep::sim::Version;

/// Or while both wait for each other: so long after the core's sample.
const AFTER_SAMPLE_NS: std::ops::Range<u64> = 0..4_000_000;
/// A core comes by an instruction in this time, or does not in every cycle; by a waypoint it does.
const INSTRUCTION_WITHIN_NS: u64 = 2 * PERIOD_NS;

/// How far a stop is.
#[derive(Clone, Copy)]
pub(super) enum Stop {
    /// None is due.
    None,
    /// Due when this core's sample of a cycle is in the mailbox, and so long after.
    OnSample { core: ChannelId, cycle: u32, after_ns: u64 },
    /// Due at a moment, between two turns.
    At { core: ChannelId, moment_ns: u64 },
    /// The core is about to execute the instruction that stops it, or else is stopped at a waypoint from then on.
    AtInstruction { core: ChannelId, or_at_ns: u64 },
    /// The core is about to enter the function that stops it.
    AtWaypoint { core: ChannelId },
}

impl Run<'_> {
    /// Does what is due.
    pub(super) fn go_on_with_rounds(&mut self) -> Result<()> {
        let now_ns = self.engine.now_ns();
        match self.stop {
            Stop::None => self.next_act()?,
            Stop::OnSample { core, cycle, after_ns } => {
                if self.judge.sampled_on_link(core).is_some_and(|sampled| sampled >= cycle) {
                    self.stop_at_moment(core, now_ns + after_ns);
                }
            }
            Stop::At { core, moment_ns } if now_ns >= moment_ns => {
                self.engine.stop(core);
                self.stopped(core, "its sleep");
            }
            Stop::AtInstruction { core, or_at_ns } if now_ns >= or_at_ns => {
                self.cores[core.index()].stop_at_waypoint(&mut self.rng, &mut self.chip.memory)?;
                self.stop = Stop::AtWaypoint { core };
            }
            Stop::At { .. } | Stop::AtInstruction { .. } | Stop::AtWaypoint { .. } => {}
        }
        Ok(())
    }

    /// Takes that a core's program has stopped; returns whether that was a stop that was due.
    pub(super) fn stops_as_due(&mut self, core: ChannelId, at: u32) -> bool {
        let is_due =
            matches!(self.stop, Stop::AtInstruction { core: due, .. } | Stop::AtWaypoint { core: due } if due == core);
        if is_due {
            let function = self.cores[core.index()].function_at(at);
            self.stopped(core, &function);
        }
        is_due
    }

    fn stop_at_moment(&mut self, core: ChannelId, moment_ns: u64) {
        self.stop = Stop::At { core, moment_ns };
        self.engine.alarm(moment_ns);
    }

    fn next_act(&mut self) -> Result<()> {
        let (latest, in_duplex) = (self.judge.latest(), self.modes == [Some(ModeCode::Duplex); 2]);
        match self.rounds.next(latest, in_duplex) {
            Some(Act::Kill { in_cycle }) => {
                let (core, now_ns) = (self.driver, self.engine.now_ns());
                match self.rng.u8(0..4) {
                    0 => {
                        let after_ns = self.rng.u64(AFTER_SAMPLE_NS);
                        self.stop = Stop::OnSample { core, cycle: in_cycle, after_ns };
                    }
                    1 => {
                        let moment_ns = now_ns + self.rng.u64(0..PERIOD_NS);
                        self.stop_at_moment(core, moment_ns);
                    }
                    _ => {
                        self.cores[core.index()].stop_somewhere(&mut self.rng, &mut self.chip.memory)?;
                        self.stop = Stop::AtInstruction { core, or_at_ns: now_ns + INSTRUCTION_WITHIN_NS };
                    }
                }
            }
            Some(Act::Restart(core)) => {
                self.plant.injected(latest, Some(core), "restarted");
                self.nonces[core.index()] = self.rng.u32(1..);
                self.modes[core.index()] = Some(ModeCode::Starting);
                self.cores[core.index()].heal(&mut self.chip.memory)?;
                self.chip.begin_anew(core)?;
                self.engine.boot(core);
                self.judge.booted(core, Version::Old);
                self.is_stopped[core.index()] = false;
            }
            None => {}
        }
        Ok(())
    }

    /// Notes a core's death, in the first cycle in which its vote is not in the mailbox.
    fn stopped(&mut self, core: ChannelId, function: &str) {
        self.stop = Stop::None;
        let cycle = self.judge.votes().latest(core).map_or(0, |voted| voted.0 + 1);
        self.plant.injected(cycle, Some(core), format!("stopped in {function}"));
        self.is_stopped[core.index()] = true;
        self.modes[core.index()] = None;
        self.judge.died(core);
        self.plant.mode(core, cycle, None);
        self.rounds.killed(core, cycle);
    }
}
