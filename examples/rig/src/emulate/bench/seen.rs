//! What two boards say of themselves, in the words of a simulated pair.

use tank::field_bus::{ModeCode, OutcomeCode, ToPlant};
use twinstep::journal::Event;
use twinstep::sim::{Report, Traced, TracedEvent};
use twinstep::{ChannelId, Diagnosis, Mode};

/// What was heard of both boards.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) report: Report,
    /// The cycle that each board settled last.
    pub(super) settled: [Option<u32>; 2],
    modes: [Option<Mode>; 2],
    pub(super) trace: Vec<Traced>,
}

/// Journal entries kept of an injection.
const MOST_TRACED: usize = 4_096;

/// Whether a board counts this against a channel.
pub(super) fn is_held_against_one(event: &Event) -> bool {
    matches!(event, Event::Diagnosed(_) | Event::Barred(_))
}

impl Seen {
    /// Returns the mode of a board; until it says one it starts.
    pub(super) fn mode(&self, board: ChannelId, is_on: bool) -> Option<Mode> {
        is_on.then(|| self.modes[board.index()].unwrap_or(Mode::Starting))
    }

    pub(super) fn died(&mut self, board: ChannelId) {
        (self.modes[board.index()], self.settled[board.index()]) = (None, None);
    }

    pub(super) fn said(&mut self, now_ns: u64, board: ChannelId, message: &ToPlant) {
        let report = &mut self.report;
        match message {
            ToPlant::Settled { cycle, mode, outcome, .. } => {
                self.modes[board.index()] = Some(mode_of(*mode));
                let is_settled = !matches!(outcome, OutcomeCode::Held | OutcomeCode::Waiting);
                if is_settled {
                    self.settled[board.index()] = Some(*cycle);
                }
            }
            ToPlant::Happened { entry, .. } => {
                count(report, &entry.event);
                if self.trace.len() < MOST_TRACED {
                    let what = TracedEvent::Noted(*entry);
                    self.trace.push(Traced { at_us: now_ns / 1_000, channel: board, what });
                }
            }
            _ => {}
        }
    }
}

fn mode_of(mode: ModeCode) -> Mode {
    match mode {
        ModeCode::Starting => Mode::Starting,
        ModeCode::Duplex => Mode::Duplex,
        ModeCode::Simplex => Mode::Simplex,
        ModeCode::Joining => Mode::Joining,
        ModeCode::Donor => Mode::Donor,
        ModeCode::Standby => Mode::Standby,
        ModeCode::Trial => Mode::Trial,
        ModeCode::Safe => Mode::Safe,
    }
}

/// Counts an entry of a journal as a channel's counters would.
fn count(report: &mut Report, event: &Event) {
    match event {
        Event::ModeChanged { .. } => report.mode_changes += 1,
        Event::Rejected(_) => report.rejected += 1,
        Event::Held => report.held += 1,
        Event::TookOver => report.takeovers += 1,
        Event::Repaired { working, checkpoint, digests } => {
            report.repairs += u32::from(*working) + u32::from(*checkpoint) + u32::from(*digests);
        }
        Event::RepairedByPeer(_) => report.repairs += 1,
        Event::SampleRepaired | Event::ControlRepaired => report.control_repairs += 1,
        Event::Recommitted => report.recommitted += 1,
        Event::Diagnosed(diagnosis) => {
            report.diverged += 1;
            report.masked += u32::from(matches!(diagnosis, Diagnosis::Transient(_)));
        }
        Event::Excluded(_) => report.self_exclusions += 1,
        _ => {}
    }
}
