//! What became of an upgrade: orders, steps, trials, and who drove.

use super::flavour::OLD_VERSION;
use super::operator::Killed;
use super::view::View;
use super::{order_name, step_name};
use serde::{Serialize, Serializer};
use twinstep::ChannelId;
use twinstep::upgrade::{Counts, Order, Refusal, Step};

/// What became of all upgrades of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct UpgradeFigures {
    /// Orders, in the order in which they were given.
    pub(crate) orders: Vec<Ordered>,
    /// Steps, as the boards' journals tell them.
    pub(crate) steps: Vec<Stepped>,
    /// The upgrades of the run, one after the other.
    pub(crate) rounds: Vec<RoundFigures>,
    /// A board's bootloader refused older versions while the other one could still boot one.
    pub(crate) floor_too_early: bool,
    /// The versions that run at the end.
    pub(crate) versions: [Option<u32>; 2],
    /// Whether the bootloaders boot them again.
    pub(crate) confirmed: [bool; 2],
    /// The oldest versions that they let be installed.
    pub(crate) floors: [u32; 2],
    /// The half that was killed.
    #[serde(skip)]
    pub(crate) killed: Option<Killed>,
    /// The longest time between two outputs.
    pub(crate) silence_periods: f64,
    /// What the operator could not do, if there was anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<String>,
}

/// An order.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ordered {
    pub(crate) cycle: u32,
    #[serde(serialize_with = "name_of_order")]
    pub(crate) order: Order,
    #[serde(serialize_with = "name")]
    pub(crate) board: ChannelId,
    /// Whether it was given to the board that owned the outputs.
    pub(crate) to_owner: bool,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    /// It was to be refused for this reason, and was.
    pub(crate) refused_as_due: bool,
}

/// A board's step.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Stepped {
    pub(crate) cycle: u32,
    #[serde(serialize_with = "name")]
    pub(crate) board: ChannelId,
    #[serde(serialize_with = "step_name")]
    pub(crate) to: Step,
}

/// One upgrade.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RoundFigures {
    pub(crate) name: &'static str,
    /// Cycles in which the new version stepped beside the old one that drove; of these, tolerated and not alike.
    pub(crate) old_drives: Tried,
    /// The same while the new one drove.
    pub(crate) new_drives: Tried,
    /// Outputs of boards that run the new version.
    pub(crate) driven_by_new: u32,
    /// Why the state was not taken over, by the program's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cannot_migrate: Option<u16>,
    /// The first cycle whose outputs were not alike, with what both stepped on and came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_difference: Option<String>,
    /// Orders to go back that were given.
    pub(crate) aborts: u32,
    /// The version on which both boards were in duplex in the end.
    pub(crate) ended_on: Option<u32>,
}

/// What a trial came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tried {
    pub(crate) cycles: u32,
    pub(crate) tolerated: u32,
    pub(crate) differing: u32,
}

impl From<Counts> for Tried {
    fn from(counts: Counts) -> Self {
        let Counts { cycles, tolerated, differing } = counts;
        Self { cycles, tolerated, differing }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
pub(super) fn name<S: Serializer>(board: &ChannelId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(board)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn name_of_order<S: Serializer>(order: &Order, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(order_name(*order))
}

impl UpgradeFigures {
    /// Begins the next upgrade.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.rounds.push(RoundFigures { name, ..RoundFigures::default() });
    }

    /// Puts the figures of a later run behind these.
    pub(crate) fn append(&mut self, later: Self) {
        let Self { mut orders, mut steps, mut rounds, floor_too_early, .. } = std::mem::take(self);
        orders.extend(later.orders);
        steps.extend(later.steps);
        rounds.extend(later.rounds);
        let floor_too_early = floor_too_early || later.floor_too_early;
        let Self { versions, confirmed, floors, killed, silence_periods, stuck, .. } = later;
        *self = Self {
            orders,
            steps,
            rounds,
            floor_too_early,
            versions,
            confirmed,
            floors,
            killed,
            silence_periods,
            stuck,
        };
    }

    fn round(&mut self) -> Option<&mut RoundFigures> {
        self.rounds.last_mut()
    }

    /// Notes an order and its answer.
    pub(super) fn ordered(
        &mut self,
        (cycle, order): (u32, Order),
        (board, to_owner): (ChannelId, bool),
        refusal: Option<Refusal>,
        refused_as_due: bool,
    ) {
        let refused = refusal.map(|refusal| refusal.to_string());
        if let Some(round) = self.round() {
            round.aborts += u32::from(order == Order::Abort && refused.is_none());
        }
        self.orders.push(Ordered { cycle, order, board, to_owner, refused, refused_as_due });
    }

    /// Notes a board's step.
    pub(super) fn stepped(&mut self, cycle: u32, board: ChannelId, to: Step) {
        self.steps.push(Stepped { cycle, board, to });
    }

    /// Notes that a board of this version drove.
    pub(super) fn drove(&mut self, version: u32) {
        if let Some(round) = self.round() {
            round.driven_by_new += u32::from(version != OLD_VERSION);
        }
    }

    /// Notes the first cycle whose outputs were not alike.
    pub(super) fn differed(&mut self, what: String) {
        if let Some(round) = self.round() {
            round.first_difference.get_or_insert(what);
        }
    }

    /// Looks at the pair.
    pub(super) fn look(&mut self, view: &View) {
        for (at, seen) in view.boards.iter().enumerate() {
            self.versions[at] = seen.map(|seen| seen.version);
            if let Some(seen) = seen {
                (self.confirmed[at], self.floors[at]) = (seen.is_confirmed, seen.floor);
            }
        }
        for seen in view.boards.iter().flatten() {
            let may_boot_older = view.boards.iter().flatten().any(|other| other.version < seen.floor);
            self.floor_too_early |= may_boot_older || (seen.floor > OLD_VERSION && self.confirmed != [true; 2]);
            let Some(round) = self.rounds.last_mut() else { continue };
            round.cannot_migrate = round.cannot_migrate.or(seen.cannot_migrate);
            // The new version counts; once the old one has heard, it says the same.
            let counts = Tried::from(seen.counts);
            let trial = match seen.step {
                Step::OldDrives | Step::Switchover => &mut round.old_drives,
                Step::NewDrives | Step::Commit => &mut round.new_drives,
                // Which one that was differing, the abort tells: the one that drove.
                Step::Abort if round.new_drives.cycles > 0 && counts.differing > 0 => &mut round.new_drives,
                _ => continue,
            };
            let is_later = counts.cycles > trial.cycles || counts.differing > trial.differing;
            if seen.version != OLD_VERSION && is_later {
                *trial = counts;
            }
        }
        let ended_on = view.duplex();
        if let Some(round) = self.round() {
            round.ended_on = ended_on;
        }
    }
}
