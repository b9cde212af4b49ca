//! The README's tables, from the recordings of their commands.
//!
//! ```text
//! recording    which command makes which recording
//! recorder     makes them
//! recorded     reads them
//! figures      the table of figures
//! campaign     the table of the fault campaign; rows: which classes are in which row of it
//! processor    the table of faults of a processor
//! markdown     draws a table
//! markers      where a table is in the README
//! ```

mod campaign;
mod figures;
mod markdown;
mod markers;
mod processor;
mod recorded;
mod recorder;
mod recording;
mod rows;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use clap::Args;
use recorded::Recorded;
use recording::Recording;

/// What is to be done with the README.
#[derive(Args)]
pub(crate) struct Options {
    /// Run the commands first and keep what they write: those with these names, or all of them
    #[arg(long, value_name = "NAME", num_args = 0.., value_parser = recording::named)]
    record: Option<Vec<Recording>>,
    /// Change nothing; fail if a table is not that of the recordings
    #[arg(long, conflicts_with = "record")]
    check: bool,
}

/// Rewrites or checks the README's tables; returns whether they are those of the recordings, and no recording is missing.
pub(crate) fn run(options: &Options, say: &mut dyn FnMut(&str)) -> Result<bool> {
    let root = recording::root();
    if let Some(wanted) = &options.record {
        recorder::record(wanted, &root, say)?;
    }
    let path = root.join("README.md");
    let readme = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let recorded = Recorded::read(&root)?;
    let rewritten = rewrite(&readme, &recorded)?;
    let difference = first_difference(&readme, &rewritten);
    if !options.check && difference.is_some() {
        std::fs::write(&path, &rewritten).with_context(|| format!("cannot write {}", path.display()))?;
        say("the README's tables were rewritten");
    }
    if let (true, Some(difference)) = (options.check, &difference) {
        say(&format!("README.md is not as `cargo rig readme` writes it, from {difference}"));
    }
    for Recording { name, .. } in recorded.missing() {
        say(&format!("a recording is missing: `cargo rig readme --record {name}` makes it"));
    }
    Ok((difference.is_none() || !options.check) && recorded.missing().is_empty())
}

/// Returns a README with its tables as they were recorded.
fn rewrite(readme: &str, recorded: &Recorded) -> Result<String> {
    let tables = [
        ("figures", figures::render(recorded)?),
        ("campaign", campaign::render(recorded)?),
        ("processor", processor::render(recorded)?),
    ];
    tables
        .iter()
        .try_fold(readme.to_owned(), |text, (name, table)| markers::replace(&text, name, table).context("README.md"))
}

/// Returns the first line in which two texts differ, in words.
fn first_difference(is: &str, should_be: &str) -> Option<String> {
    let end = "(its end)";
    let lines = || is.lines().chain([end]).zip(should_be.lines().chain([end]));
    let differing = lines().enumerate().find(|(_, (is, should_be))| is != should_be);
    let differing = differing
        .map(|(at, (is, should_be))| format!("line {} on:\n  it is      {is}\n  recorded   {should_be}", at + 1));
    // Only the ends of lines.
    differing.or_else(|| (is != should_be).then(|| "the end of a line on".into()))
}
