//! What every way of running a scenario has in common: the progress line and the outcome.

use crate::journal::Logged;
use crate::judge::Figures;
use crate::record::Record;
use crate::scenario::Claim;
use indicatif::{ProgressBar, ProgressStyle};

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) record: Record,
    pub(crate) figures: Figures,
    pub(crate) claims: Vec<Claim>,
    /// The events of both channels, as they came.
    pub(crate) journal: Vec<Logged>,
    /// The decoded logs of A and B.
    pub(crate) logs: [Vec<String>; 2],
}

impl Outcome {
    /// Returns whether every claim held.
    pub(crate) fn passed(&self) -> bool {
        self.claims.iter().all(|claim| claim.held)
    }
}

/// The progress line.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts a line for a run of so many cycles.
    pub(crate) fn new(name: &str, cycles: u32) -> Self {
        Self::with(name, cycles, "{prefix:>10} [{bar:40}] cycle {pos}/{len}, {elapsed}, {eta} to go")
    }

    /// A line that nobody sees.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    fn with(name: &str, length: u32, template: &str) -> Self {
        let bar = ProgressBar::new(length.into());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        Self(bar)
    }

    /// Begins another run of several.
    pub(crate) fn cell(&self, number: usize, count: usize) {
        self.0.set_prefix(format!("{number} of {count}"));
    }

    /// Moves on to this cycle or second.
    pub(crate) fn at(&self, cycle: u32) {
        self.0.set_position(cycle.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
