//! All cells of `upgrade-faults`, one after the other, each on a pair of its own.

use super::cell::{Cell, CellFigures};
use super::claims::claims;
use crate::judge::Figures;
use crate::record::{Record, Source};
use crate::run::{Outcome, Progress};
use crate::scenario::{Ending, Plan};
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs every cell; `run` runs one.
pub(crate) fn run_cells(
    plan: Plan,
    progress: &Progress,
    run: impl Fn(Plan) -> Result<Outcome> + Sync,
) -> Result<Outcome> {
    let (name, source) = (plan.kind.name().to_owned(), Source::Run { seed: plan.seed });
    let mut record = Record { name, source, rows: Vec::new(), injections: Vec::new() };
    let mut all = Outcome {
        record: record.clone(),
        figures: Figures::default(),
        claims: Vec::new(),
        journal: Vec::new(),
        logs: Default::default(),
    };
    let cells: Vec<(usize, Cell)> = Cell::all(plan.seed).into_iter().enumerate().collect();
    let is_wanted = |number: usize| plan.only.is_none_or(|only| only == number + 1);
    let cells: Vec<_> = cells.into_iter().filter(|(number, _)| is_wanted(*number)).collect();
    let outcomes = in_parallel(&cells, |(number, cell)| {
        progress.cell(number + 1, Cell::COUNT);
        let plan = Plan { cell: Some(*cell), seed: plan.seed.wrapping_add(*number as u64 * 1_000_003), ..plan };
        run(plan).with_context(|| format!("{} killed in {}", half_name(cell), cell.step))
    });
    for ((_, cell), outcome) in cells.iter().zip(outcomes) {
        let outcome = outcome?;
        all.figures.cells.push(CellFigures::new(*cell, &outcome.figures));
        add(&mut all.figures, &outcome.figures);
        append(&mut record, outcome.record);
        all.journal.extend(outcome.journal);
        for (all, logs) in all.logs.iter_mut().zip(outcome.logs) {
            all.extend(logs);
        }
    }
    all.record = record;
    let ending = Ending { modes: [None; 2], link_changes: 0, one_stood_by: false, checks_link_overhead: false };
    all.claims = claims(&plan, &all.figures, &ending);
    Ok(all)
}

/// Cells that run at the same time: a pair of boards takes a quarter of a core.
const AT_ONCE: usize = 2;

/// Does something with each item, some of them at the same time; returns what came of it, in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn half_name(cell: &Cell) -> &'static str {
    match cell.half {
        super::task::Half::Owner => "the owner",
        super::task::Half::Other => "the other half",
    }
}

/// Adds up what counts.
pub(crate) fn add(all: &mut Figures, one: &Figures) {
    all.cycles += one.cycles;
    all.missing += one.missing;
    all.wrong += one.wrong;
    all.unvoted_in_duplex += one.unvoted_in_duplex;
    all.safe += one.safe;
    all.owners_max = all.owners_max.max(one.owners_max);
    all.takeovers += one.takeovers;
    all.held += one.held;
    all.cut_off += one.cut_off;
    all.went_back += one.went_back;
    all.longest_gap_us = all.longest_gap_us.max(one.longest_gap_us);
    all.blackout_cycles += one.blackout_cycles;
    all.states_lost += one.states_lost;
    all.repeated_frames += one.repeated_frames;
    all.link_overhead_bytes_max = all.link_overhead_bytes_max.max(one.link_overhead_bytes_max);
    all.blocks_copied += one.blocks_copied;
    all.blocks_in_a_cycle_max = all.blocks_in_a_cycle_max.max(one.blocks_in_a_cycle_max);
    all.copy_budget_blocks = one.copy_budget_blocks;
}

/// Puts a record behind another one.
fn append(all: &mut Record, one: Record) {
    let base = all.rows.last().map_or(0, |row| row.cycle);
    all.rows.extend(one.rows.into_iter().map(|mut row| {
        row.cycle += base;
        row
    }));
    all.injections.extend(one.injections.into_iter().map(|mut injection| {
        injection.cycle += base;
        injection
    }));
}
