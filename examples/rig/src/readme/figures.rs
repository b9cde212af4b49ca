//! The table of figures: each from the recording of its command.

mod measured;
mod run;

use super::markdown::{Column, number, table};
use super::recorded::{Recorded, missing};
use super::recording::{CONGRUENCE, DUALCORE, FAILOVER, MEASURE, REJOIN, ROT, Recording, SEU, UPGRADE, UPGRADE_FAULTS};
use anyhow::{Context, Result};
use measured::Measured;
use run::Run;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Congruence {
    cycles: u32,
}

pub(super) fn render(recorded: &Recorded) -> Result<String> {
    let rows = [
        row(recorded, FAILOVER, "link bytes beyond input and output, a duplex cycle and direction", Run::link)?,
        row(recorded, REJOIN, "cycles without outputs while boards are killed and brought back", Run::blackout)?,
        row(recorded, REJOIN, "cycles from the restart of a board to duplex", Run::return_time)?,
        row(
            recorded,
            DUALCORE,
            "cycles without outputs while cores of one chip are stopped and brought back, and one hangs",
            Run::blackout,
        )?,
        row(recorded, DUALCORE, "cycles from the restart of a core to duplex", Run::return_time)?,
        row(recorded, ROT, "bits flipped in the mirrored memory of running boards", Run::rot)?,
        row(recorded, SEU, "bits flipped anywhere in the memory of running boards", Run::upsets)?,
        row(recorded, UPGRADE, "cycles without outputs while both boards are upgraded", Run::upgrade)?,
        row(recorded, UPGRADE_FAULTS, "boards killed in the steps of an upgrade", Run::killed_in_upgrade)?,
        row(recorded, MEASURE, "instructions of a tracked write of a word, 1 to 64 KiB of state", Measured::write)?,
        row(
            recorded,
            MEASURE,
            "digest and commit at 5 % dirty of 16 KiB against a CRC of all of it by table",
            Measured::commit,
        )?,
        row(
            recorded,
            CONGRUENCE,
            "cycles of two programs with the same digests on the host, Cortex-M3, Cortex-M33 and RISC-V",
            |congruence: &Congruence| Ok(number(congruence.cycles)),
        )?,
    ];
    Ok(table(&["what", "figure", "command"].map(|heading| Column::Text(heading.into())), &rows))
}

/// Returns a row: the figure as it is recorded, or that it is not.
fn row<T: DeserializeOwned>(
    recorded: &Recorded,
    recording: Recording,
    what: &str,
    figure: impl FnOnce(&T) -> Result<String>,
) -> Result<Vec<String>> {
    let figure = match recorded.get(recording)? {
        Some(value) => figure(&value)
            .with_context(|| format!("{} is no recording of `{}`", recording.file(), recording.command()))?,
        None => missing(recording),
    };
    Ok(vec![what.into(), figure, format!("`{}`", recording.command())])
}
