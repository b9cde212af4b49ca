//! The table as data.

use crate::fault::{self, Fault};
use twinstep::sim::Report;

/// What is said of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// It is zero.
    Zero,
    /// It may be other than zero, and is in some of the runs.
    Any,
    /// Nothing promises that it is zero, though it was never seen other than zero.
    Unseen,
}

impl Cell {
    /// Returns it as it stands in the documentation.
    pub fn text(self) -> &'static str {
        match self {
            Self::Zero => "0",
            Self::Any => "+",
            Self::Unseen => "(0)",
        }
    }
}

/// A fault, and what is said of each counter after it.
pub struct Row {
    pub name: &'static str,
    pub fault: Fault,
    pub cells: [Cell; COLUMNS.len()],
}

type Count = fn(&Report) -> u32;

/// The counters.
pub const COLUMNS: [(&str, Count); 9] = [
    ("wrong", |report| report.wrong),
    ("missing", |report| report.missing),
    ("unvoted_in_duplex", |report| report.unvoted_in_duplex),
    ("owners_max above 1", |report| report.owners_max.saturating_sub(1)),
    ("incongruent", |report| report.incongruent),
    ("held", |report| report.held),
    ("takeovers", |report| report.takeovers),
    ("diverged", |report| report.diverged),
    ("safe", |report| report.safe),
];

use Cell::{Any, Unseen, Zero};

const fn row(name: &'static str, fault: Fault, cells: [Cell; COLUMNS.len()]) -> Row {
    Row { name, fault, cells }
}

/// The rows.
pub const ROWS: &[Row] = &[
    row("nothing", fault::nothing, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`kill`, then `restart`", fault::kill, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`kill_at_frame`, then `restart`", fault::kill_at_frame, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row(
        "`fail_at_byte`: `Dies`, then `restart`",
        fault::dies_at_byte,
        [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero],
    ),
    row(
        "`fail_at_byte`: `Hangs` for a while",
        fault::hangs_at_byte,
        [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero],
    ),
    row(
        "`fail_at_byte`: `Hangs`, then `kill` and `restart`",
        fault::hangs_for_good_at_byte,
        [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero],
    ),
    row("`fail`: `Hangs` for a while", fault::hangs, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`disturb`: `Repetition`", fault::repetition, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`disturb`: `Loss`", fault::loss, [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Zero, Zero]),
    row("`disturb`: `Delay`", fault::delay, [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Zero, Zero]),
    row("`disturb`: `Insertion`", fault::insertion, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`disturb`: `Masquerade`", fault::masquerade, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row(
        "`disturb`: `IncorrectAddressing`",
        fault::incorrect_addressing,
        [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero],
    ),
    row(
        "`disturb`: `IncorrectSequence`",
        fault::incorrect_sequence,
        [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero],
    ),
    row("`disturb`: `Corruption`", fault::corruption, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row(
        "`disturb`: `AsymmetricInformation`",
        fault::asymmetric_information,
        [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero],
    ),
    row("`disturb`: `Subset`", fault::subset, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`disturb`: `Stalled`", fault::stalled, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`disturb`: `Slow`", fault::slow, [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Zero, Zero]),
    row("`disturb`: `Blocked`", fault::blocked, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`replay`", fault::replay, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`cut`, then healed", fault::cut, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`set_link`: `NOISY` for a while", fault::noisy_link, [Zero, Zero, Zero, Zero, Zero, Unseen, Any, Zero, Zero]),
    row("`lose_next`", fault::lose_next, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`flip_within_turn`: a value", fault::flip_value, [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Any, Zero]),
    row("`flip_within_turn`: state", fault::flip_state, [Zero, Zero, Zero, Zero, Any, Zero, Zero, Any, Zero]),
    row(
        "`flip_within_turn`: control data",
        fault::flip_control_data,
        [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Unseen, Zero],
    ),
    row("`flip_within_turn`: times", fault::flip_times, [Zero, Zero, Zero, Zero, Zero, Any, Any, Unseen, Zero]),
    row("`flip_within_turn`: books", fault::flip_books, [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Unseen, Zero]),
    row(
        "`flip_within_turn`: `Comparator`",
        fault::flip_comparator,
        [Zero, Zero, Zero, Zero, Zero, Zero, Zero, Any, Zero],
    ),
    row(
        "`flip_within_turn`: `StuckOutput`",
        fault::stuck_output,
        [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Any, Any],
    ),
    row(
        "`flip_within_turn`: `FailingOutput`",
        fault::failing_output,
        [Zero, Zero, Zero, Zero, Zero, Unseen, Any, Any, Zero],
    ),
    row(
        "`Node::flip`: `Copying`, in a copy",
        fault::flip_copy_books,
        [Unseen, Unseen, Unseen, Zero, Unseen, Any, Any, Unseen, Unseen],
    ),
    row("`spoil_next_output`", fault::spoil_next_output, [Zero, Any, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`damage_next_release`", fault::damage_next_release, [Zero, Any, Zero, Zero, Zero, Zero, Zero, Zero, Zero]),
    row("`set_clock`: drift", fault::clock_drifts, [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Zero, Zero]),
    row("`set_clock`: jump", fault::clock_jumps, [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Zero]),
    row("`arbiter`, `misread`", fault::misread, [Zero, Zero, Zero, Zero, Zero, Unseen, Unseen, Unseen, Zero]),
    row("`arbiter`, `cannot_tell`", fault::cannot_tell, [Zero, Zero, Zero, Zero, Zero, Unseen, Any, Unseen, Zero]),
    row(
        "`arbiter`, `fall_silent`, and `kill`, then `restart`",
        fault::falls_silent,
        [Zero, Zero, Zero, Zero, Zero, Any, Any, Zero, Any],
    ),
];
