//! A step of an upgrade in which a half is killed, and what becomes of the pair.

use super::books::name;
use super::flavour::OLD_VERSION;
use super::step_name;
use super::task::{Goal, Half};
use crate::judge::Figures;
use crate::scenario::LONGEST_GAP_US;
use fastrand::Rng;
use serde::Serialize;
use tank::TIMING;
use twinstep::ChannelId;
use twinstep::upgrade::Step;

/// Who is killed, in which step, with which byte that it sends, and where the upgrade is to end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Cell {
    #[serde(serialize_with = "step_name")]
    pub(crate) step: Step,
    pub(crate) half: Half,
    pub(crate) goal: Goal,
    pub(crate) byte: u32,
}

/// The steps in which a half is killed.
const STEPS: [Step; 8] = [
    Step::Prepare,
    Step::Split,
    Step::OldDrives,
    Step::Switchover,
    Step::NewDrives,
    Step::Commit,
    Step::Merge,
    Step::Abort,
];

/// Bytes that a board sends in a cycle or two, and that a donor sends in as many.
const BYTES_OF_A_CYCLE: u32 = 104;
/// Bytes of a word on an upgrade, less than all of them.
const BYTES_OF_A_WORD: u32 = 20;
const BYTES_OF_A_DONOR: u32 = 900;

impl Cell {
    /// How many there are.
    pub(crate) const COUNT: usize = 2 * STEPS.len();

    /// Draws every step and each half from a seed.
    pub(crate) fn all(seed: u64) -> Vec<Self> {
        let mut rng = Rng::with_seed(seed ^ 0xCE11);
        let mut cells = Vec::new();
        for step in STEPS {
            for half in [Half::Owner, Half::Other] {
                let drawn = if rng.bool() { Goal::On } else { Goal::Back };
                let goal = match step {
                    Step::Prepare | Step::Commit | Step::Merge => Goal::On,
                    Step::Abort => Goal::Back,
                    _ => drawn,
                };
                let mut cell = Self { step, half, goal, byte: 0 };
                let most = match (step, half) {
                    // Once the old half has heard of a commit it leaves: from then on it is a merge.
                    (Step::Commit, Half::Owner) => BYTES_OF_A_WORD,
                    // It is over within the cycle.
                    (Step::Switchover, _) => BYTES_OF_A_WORD,
                    _ if cell.is_redundant() => BYTES_OF_A_CYCLE,
                    _ => BYTES_OF_A_DONOR,
                };
                cell.byte = rng.u32(1..=most);
                cells.push(cell);
            }
        }
        cells
    }

    /// Whether both halves may have the state. While one of them restarts and joins only the other one has: nothing can
    /// save the state of that one.
    pub(crate) fn is_redundant(self) -> bool {
        self.half == Half::Other || !matches!(self.step, Step::Split | Step::Merge | Step::Abort)
    }
}

/// What became of a pair whose half was killed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CellFigures {
    #[serde(flatten)]
    pub(crate) cell: Cell,
    /// Whether both halves may have had the state.
    pub(crate) is_redundant: bool,
    /// Where the upgrade stood as the half died.
    pub(crate) killed_in: Option<String>,
    #[serde(serialize_with = "maybe_name")]
    pub(crate) killed: Option<ChannelId>,
    /// Who drove next, and in which version.
    #[serde(serialize_with = "maybe_name")]
    pub(crate) served_on: Option<ChannelId>,
    pub(crate) served_on_version: Option<u32>,
    /// Cycles without an output: missing ones and held deadlines.
    pub(crate) blackout_cycles: u32,
    /// The longest time between two outputs.
    pub(crate) silence_periods: f64,
    /// How often the pair began anew.
    pub(crate) states_lost: u32,
    pub(crate) wrong: u32,
    pub(crate) owners_max: usize,
    /// Periods from the death until both were in duplex again.
    pub(crate) duplex_after_periods: Option<f64>,
    /// Periods from the death until nothing was left to do, after whatever orders that took.
    pub(crate) ended_after_periods: Option<f64>,
    /// The version that both run then.
    pub(crate) version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<String>,
}

#[allow(clippy::ref_option)] // as serde calls it
fn maybe_name<S: serde::Serializer>(board: &Option<ChannelId>, serializer: S) -> Result<S::Ok, S::Error> {
    match board {
        Some(board) => name(board, serializer),
        None => serializer.serialize_none(),
    }
}

impl CellFigures {
    /// Takes what a run came to.
    pub(crate) fn new(cell: Cell, figures: &Figures) -> Self {
        let upgrade = figures.upgrade.clone().unwrap_or_default();
        let killed = upgrade.killed;
        let served_on = killed.and_then(|killed| killed.served_on);
        let duplex_after = killed.and_then(|killed| Some(killed.duplex_at? - killed.at));
        let ended_after = killed.and_then(|killed| Some(killed.ended_at? - killed.at));
        let [a, b] = upgrade.versions;
        Self {
            cell,
            is_redundant: cell.is_redundant(),
            killed_in: killed.and_then(|killed| killed.step).map(|step| step.to_string()),
            killed: killed.map(|killed| killed.board),
            served_on: served_on.map(|(board, _)| board),
            served_on_version: served_on.map(|(_, version)| version),
            blackout_cycles: figures.blackout_cycles,
            silence_periods: rounded(upgrade.silence_periods),
            states_lost: figures.states_lost,
            wrong: figures.wrong + figures.unvoted_in_duplex + figures.safe,
            owners_max: figures.owners_max,
            duplex_after_periods: duplex_after.map(rounded),
            ended_after_periods: ended_after.map(rounded),
            version: a.filter(|_| a == b),
            stuck: upgrade.stuck,
        }
    }

    /// Whether what is claimed of the cell held.
    pub(crate) fn holds(&self) -> bool {
        let is_together = self.ended_after_periods.is_some() && self.version.is_some() && self.stuck.is_none();
        let is_right = self.wrong == 0 && self.owners_max == 1 && self.killed.is_some();
        let is_in_time = self.silence_periods <= f64::from(LONGEST_GAP_US) / f64::from(TIMING.period_us);
        let is_gapless = self.blackout_cycles == 0 && self.states_lost == 0 && is_in_time;
        is_together && is_right && (is_gapless || !self.is_redundant)
    }

    /// Whether the pair had to begin anew.
    pub(crate) fn began_anew(&self) -> bool {
        self.states_lost > 0
    }

    /// Returns the version in words.
    pub(crate) fn version_name(version: Option<u32>) -> &'static str {
        match version {
            None => "-",
            Some(OLD_VERSION) => "1",
            Some(_) => "2",
        }
    }
}

fn rounded(periods: f64) -> f64 {
    (periods * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_and_each_half_is_drawn_and_three_cells_have_no_redundancy() {
        let cells = Cell::all(1);
        assert_eq!(cells.len(), Cell::COUNT);
        assert_eq!(cells.iter().filter(|cell| !cell.is_redundant()).count(), 3);
        assert!(cells.iter().all(|cell| cell.byte > 0));
        assert_eq!(Cell::all(1), cells);
        assert_ne!(Cell::all(2), cells);
    }

    #[test]
    fn a_cell_that_lost_an_output_holds_only_without_redundancy() {
        let cell = |step| Cell { step, half: Half::Owner, goal: Goal::On, byte: 1 };
        let killed = super::super::operator::Killed {
            board: ChannelId::A,
            at: 10.0,
            step: None,
            served_on: None,
            duplex_at: Some(20.0),
            ended_at: Some(20.0),
        };
        let upgrade =
            super::super::UpgradeFigures { killed: Some(killed), versions: [Some(2); 2], ..Default::default() };
        let sound = Figures { owners_max: 1, upgrade: Some(upgrade), ..Figures::default() };
        assert!(CellFigures::new(cell(Step::Commit), &sound).holds());
        let missed = Figures { blackout_cycles: 1, ..sound.clone() };
        assert!(!CellFigures::new(cell(Step::Commit), &missed).holds());
        assert!(CellFigures::new(cell(Step::Merge), &missed).holds());
        let late = |silence_periods| {
            let cell = CellFigures::new(cell(Step::Commit), &sound);
            CellFigures { silence_periods, ..cell }.holds()
        };
        assert!(late(2.6) && !late(2.7));
        for bad in [
            Figures { wrong: 1, ..sound.clone() },
            Figures { owners_max: 2, ..sound.clone() },
            Figures { safe: 1, ..sound.clone() },
            Figures { upgrade: None, ..sound.clone() },
        ] {
            assert!(!CellFigures::new(cell(Step::Merge), &bad).holds());
        }
    }
}
