//! Figures of a scenario.

use super::number;
use crate::seu::Effect;
use anyhow::{Context, Result};
use serde::Deserialize;
use tank::Plant;

/// What the table needs of a scenario's recording.
#[derive(Deserialize)]
pub(super) struct Run {
    cycles: u32,
    blackout_cycles: u32,
    wrong: u32,
    owners_max: u32,
    link_overhead_bytes_max: u32,
    copy_budget_blocks: u32,
    #[serde(default)]
    rounds: Vec<Round>,
    rot: Option<Rot>,
    seu: Option<Upsets>,
    #[serde(default)]
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Round {
    restarted_after: Option<u32>,
    duplex_in: Option<u32>,
}

#[derive(Deserialize)]
struct Rot {
    working: Found,
    checkpoint: Found,
    digests: Found,
    found_within_cycles_max: u32,
    bound_cycles: u32,
}

#[derive(Clone, Copy, Deserialize)]
struct Found {
    flipped: u32,
    found: u32,
    masked: u32,
    written_over: u32,
}

#[derive(Deserialize)]
struct Upsets {
    flips: Vec<Upset>,
}

#[derive(Deserialize)]
struct Upset {
    effect: Effect,
}

#[derive(Deserialize)]
struct Cell {
    /// Whether both halves had the state.
    is_redundant: bool,
    blackout_cycles: u32,
    wrong: u32,
}

impl Run {
    pub(super) fn link(&self) -> Result<String> {
        Ok(format!("at most {}", number(self.link_overhead_bytes_max)))
    }

    pub(super) fn blackout(&self) -> Result<String> {
        let rounds = self.rounds.len();
        anyhow::ensure!(rounds > 0, "it has no rounds");
        Ok(format!("{} in {rounds} rounds", number(self.blackout_cycles)))
    }

    pub(super) fn return_time(&self) -> Result<String> {
        let times: Option<Vec<u32>> =
            self.rounds.iter().map(|round| round.duplex_in?.checked_sub(round.restarted_after?)).collect();
        let times = times.context("in a round a channel did not come back")?;
        let (least, most) = times.iter().min().zip(times.iter().max()).context("it has no rounds")?;
        let times = if least == most { most.to_string() } else { format!("{least} to {most}") };
        let (state, blocks) = (size_of::<Plant>() / 1024, self.copy_budget_blocks);
        Ok(format!("{times}, with {state} KiB of state and {blocks} blocks a cycle"))
    }

    pub(super) fn rot(&self) -> Result<String> {
        let rot = self.rot.as_ref().context("it has no `rot`")?;
        let parts = [rot.working, rot.checkpoint, rot.digests];
        let sum = |of: fn(&Found) -> u32| parts.iter().map(of).sum::<u32>();
        let (flipped, found) = (sum(|part| part.flipped), sum(|part| part.found));
        let (masked, written_over) = (sum(|part| part.masked), sum(|part| part.written_over));
        let (slowest, bound) = (rot.found_within_cycles_max, rot.bound_cycles);
        Ok(format!(
            "{flipped}: {found} found and mended, {masked} masked, {written_over} written over; the slowest found after \
             {slowest} cycles, bound {bound}"
        ))
    }

    pub(super) fn upsets(&self) -> Result<String> {
        let flips = &self.seu.as_ref().context("it has no `seu`")?.flips;
        let with = |effect| flips.iter().filter(|flip| flip.effect == effect).count();
        let seen = Effect::ALL.into_iter().filter(|effect| with(*effect) > 0);
        let seen: Vec<String> =
            seen.map(|effect| format!("{} {}", with(effect), effect.name().to_lowercase())).collect();
        let (wrong, owners) = (self.wrong, self.owners_max);
        Ok(format!("{}: {}; wrong outputs {wrong}, owners at most {owners}", flips.len(), seen.join(", ")))
    }

    pub(super) fn upgrade(&self) -> Result<String> {
        Ok(format!("{} of {}", number(self.blackout_cycles), number(self.cycles)))
    }

    pub(super) fn killed_in_upgrade(&self) -> Result<String> {
        anyhow::ensure!(!self.cells.is_empty(), "it has no `cells`");
        let redundant = self.cells.iter().filter(|cell| cell.is_redundant);
        let (count, blackout) = redundant.fold((0, 0), |(count, sum), cell| (count + 1, sum + cell.blackout_cycles));
        let (all, wrong) = (self.cells.len(), self.cells.iter().map(|cell| cell.wrong).sum::<u32>());
        Ok(format!(
            "{all}: wrong outputs {wrong}; in the {count} in which both boards had the state, cycles without outputs \
             {blackout}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Run;
    use serde_json::{Value, json};

    fn run(more: &Value) -> Run {
        let mut text = json!({
            "cycles": 420, "blackout_cycles": 2, "wrong": 0, "owners_max": 1, "link_overhead_bytes_max": 38,
            "copy_budget_blocks": 8,
        });
        text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn rounds_are_summed_up() {
        let round = |duplex: Option<u32>| json!({ "restarted_after": 10, "duplex_in": duplex });
        let two = run(&json!({ "rounds": [round(Some(18)), round(Some(21))] }));
        assert_eq!(two.blackout().unwrap(), "2 in 2 rounds");
        assert_eq!(two.return_time().unwrap(), "8 to 11, with 4 KiB of state and 8 blocks a cycle");
        let never = run(&json!({ "rounds": [round(Some(18)), round(None)] }));
        assert!(never.return_time().unwrap_err().to_string().contains("did not come back"));
        assert!(run(&json!({})).blackout().is_err() && run(&json!({})).return_time().is_err());
    }

    #[test]
    fn flipped_bits_are_summed_up() {
        let part = json!({ "flipped": 4, "found": 2, "masked": 1, "written_over": 1 });
        let rot = json!({ "working": part, "checkpoint": part, "digests": part, "found_within_cycles_max": 9,
            "bound_cycles": 17 });
        let text = run(&json!({ "rot": rot })).rot().unwrap();
        let sums = "12: 6 found and mended, 3 masked, 3 written over; the slowest found after 9 cycles, bound 17";
        assert_eq!(text, sums);
        let flips = json!([{ "effect": "none" }, { "effect": "repaired" }, { "effect": "none" }]);
        let text = run(&json!({ "seu": { "flips": flips } })).upsets().unwrap();
        assert_eq!(text, "3: 2 no effect, 1 mended; wrong outputs 0, owners at most 1");
        assert!(run(&json!({})).rot().is_err() && run(&json!({})).upsets().is_err());
    }

    #[test]
    fn outputs_are_missed_only_where_both_had_the_state() {
        let cell = |is_redundant: bool, blackout: u32| json!({ "is_redundant": is_redundant, "blackout_cycles": blackout, "wrong": 0 });
        let text =
            run(&json!({ "cells": [cell(true, 1), cell(false, 9), cell(true, 2)] })).killed_in_upgrade().unwrap();
        assert!(text.starts_with("3: wrong outputs 0; in the 2 in which"), "{text}");
        assert!(text.ends_with("cycles without outputs 3"), "{text}");
    }
}
