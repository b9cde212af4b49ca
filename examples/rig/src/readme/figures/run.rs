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
