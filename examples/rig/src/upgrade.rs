//! Upgrades of the tank's controller from version 1 to a version 2: what a person orders, and what is claimed of it.
//!
//! ```text
//! flavour   the versions 2 there are, sound and flawed
//! view      what is seen of the boards
//! task      what the operator does and waits for
//! operator  goes through the tasks, whatever the boards are made of
//! books     keeps what became of it: orders, steps, trials, who drove
//! script    the tasks of the scenarios
//! cell      a step in which a half is killed
//! faults    all cells, one after the other
//! claims    what is claimed
//! ```

mod books;
mod cell;
mod claims;
mod faults;
mod flavour;
mod operator;
mod script;
mod table;
mod task;
mod view;

pub(crate) use books::UpgradeFigures;
pub(crate) use cell::{Cell, CellFigures};
pub(crate) use claims::claims;
pub(crate) use faults::{add, run_cells};
pub(crate) use flavour::Flavour;
pub(crate) use operator::{Act, Operator};
pub(crate) use script::{Round, rounds};
pub(crate) use table::lines;
pub(crate) use view::{Seen, View};

use twinstep::upgrade::{Order, Step};

/// Periods after which a half that was killed boots again.
pub(crate) const BACK_AFTER_PERIODS: u32 = 12;
/// Cycles of a trial: of the firmware as of the simulated pair.
pub(crate) const TRIAL_CYCLES: u32 = 20;

/// The word for an order.
pub(crate) fn order_name(order: Order) -> &'static str {
    match order {
        Order::Prepare => "prepare",
        Order::Split => "split",
        Order::Switchover => "switchover",
        Order::Commit => "commit",
        Order::Abort => "abort",
    }
}

/// Writes a step as its name.
#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
pub(crate) fn step_name<S: serde::Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(step)
}
