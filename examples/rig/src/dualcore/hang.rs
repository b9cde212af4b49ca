//! Lets the core that drives hang between its vote and its output, until the other one has taken over; then it goes on.
//!
//! It still holds an output that both cores voted, of an epoch that is over. Only the shared word keeps it from driving
//! it: each output is opened under a look at who owns.

use super::Run;
use anyhow::Result;
use serde::Serialize;
use tank::TIMING;
use tank::field_bus::{ModeCode, ToPlant};
use twinstep::ChannelId;

/// With a verdict, a core reports its sample first, by this function. Then it opens the output.
const BEFORE_OPENING: &str = "board::field::send";
/// Cycles of the other core until the one that hangs goes on.
const HANGS_FOR_CYCLES: u32 = 3;
/// Cycles in duplex before, beside those of the probation: by then the other core may own.
const CALM_CYCLES: u32 = 2;

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Hung {
    /// The first cycle that the core did not vote in.
    pub(crate) hung_in: u32,
    /// The last cycle before it went on.
    pub(crate) went_on_after: Option<u32>,
    /// As it went on it reported the sample of the cycle before: so it had settled that, and had not opened its output.
    pub(crate) held_output: bool,
    /// The cycle in which both were in duplex again.
    pub(crate) duplex_in: Option<u32>,
}

/// How far it is.
#[derive(Clone, Copy)]
pub(super) enum Hang {
    NotYet,
    /// Due after this cycle.
    After(u32),
    /// This core hangs as it drives next, or does so.
    Hanging(ChannelId),
    /// It was overtaken.
    Overtaken(ChannelId, Hung),
    Over(Hung),
}

impl Hang {
    /// Returns what came of it, once both are in duplex again.
    pub(super) fn outcome(self) -> Option<Hung> {
        match self {
            Self::Over(hung) => Some(hung),
            _ => None,
        }
    }
}

impl Run<'_> {
    /// Looks at what a core says first as it goes on.
    pub(super) fn first_word(&mut self, from: ChannelId, message: &ToPlant) {
        if let Hang::Overtaken(core, hung) = &mut self.hang
            && *core == from
            && std::mem::take(&mut self.is_first_word_due)
        {
            hung.held_output = matches!(message, ToPlant::Sampled { cycle, .. } if cycle + 1 == hung.hung_in);
        }
    }

    /// Does what is due, once the rounds are over.
    pub(super) fn go_on_with_hang(&mut self) -> Result<()> {
        let (latest, memory) = (self.judge.latest(), &mut self.chip.memory);
        match self.hang {
            Hang::NotYet if self.rounds.is_done() => {
                self.hang = Hang::After(latest + u32::from(TIMING.probation_cycles) + CALM_CYCLES);
            }
            // After all that it says of a cycle, so that the next thing is the next sample.
            Hang::After(cycle) if latest >= cycle && self.settled[self.driver.index()] == latest => {
                self.cores[self.driver.index()].stop_at(BEFORE_OPENING, memory)?;
                self.hang = Hang::Hanging(self.driver);
            }
            Hang::Hanging(core) if self.driver != core => {
                let hung_in = self.judge.votes().latest(core).map_or(0, |voted| voted.0 + 1);
                self.plant.injected(hung_in, Some(core), "hangs");
                self.hang =
                    Hang::Overtaken(core, Hung { hung_in, went_on_after: None, held_output: false, duplex_in: None });
            }
            Hang::Overtaken(core, hung @ Hung { hung_in, went_on_after: None, .. })
                if latest >= hung_in + HANGS_FOR_CYCLES =>
            {
                self.cores[core.index()].heal(memory)?;
                self.engine.go_on(core);
                self.plant.injected(latest, Some(core), "goes on");
                self.modes[core.index()] = None; // until it says what it makes of it
                self.is_first_word_due = true;
                self.hang = Hang::Overtaken(core, Hung { went_on_after: Some(latest), ..hung });
            }
            Hang::Overtaken(_, hung @ Hung { went_on_after: Some(since), .. })
                if latest > since + 1 && self.modes == [Some(ModeCode::Duplex); 2] =>
            {
                self.hang = Hang::Over(Hung { duplex_in: Some(latest), ..hung });
            }
            _ => {}
        }
        Ok(())
    }
}
