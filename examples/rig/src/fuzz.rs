//! The fuzz targets: each for a while, from its committed corpus, which stays as it is.

use crate::process::tool;
use crate::provision;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Output;

pub(crate) const TARGETS: [&str; 3] = ["frame", "divergence", "mirror"];

/// An execution takes less than a millisecond: one of so many seconds does not end.
const LIMIT_S: u32 = 10;

/// Runs one target or all; returns whether none found anything.
pub(crate) fn run(target: Option<&str>, seconds: u32, say: &mut dyn FnMut(&str)) -> Result<bool> {
    provision::cargo_fuzz(say)?;
    let mut passed = true;
    for target in TARGETS.into_iter().filter(|name| target.is_none_or(|target| target == *name)) {
        say(&format!("{target} for {seconds} s"));
        let output = output(target, seconds)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let held = output.status.success();
        if !held {
            eprintln!("{said}");
        }
        let executions = executions(&said).map_or_else(String::new, |number| format!(" in {number} executions"));
        println!("  {} {target} found nothing{executions}", if held { "ok    " } else { "FAILED" });
        passed &= held;
    }
    Ok(passed)
}

fn output(target: &str, seconds: u32) -> Result<Output> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // libFuzzer writes what it finds of interest into the first folder, and only reads the others.
    let scratch = tempfile::tempdir().context("no folder for what the fuzzer finds of interest")?;
    // Without sanitizers any toolchain will do; there is no unsafe code here for them to look at.
    tool("cargo")
        .args(["fuzz", "run", "--sanitizer", "none", target])
        .arg(scratch.path())
        .arg(Path::new("fuzz/corpus").join(target))
        .args(["--", "-verbosity=0", "-print_final_stats=1"])
        .args([format!("-max_total_time={seconds}"), format!("-timeout={LIMIT_S}")])
        .current_dir(root)
        .output()
        .context("cargo cannot be started")
}

/// How many executions libFuzzer says there were.
fn executions(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::TARGETS;
    use std::path::Path;

    #[test]
    fn each_target_is_run() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
        let targets = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
        let mut names: Vec<_> = targets.map(|file| file.unwrap().path().file_stem().unwrap().to_owned()).collect();
        names.sort();
        let mut expected = TARGETS;
        expected.sort();
        assert_eq!(names, expected);
        assert!(TARGETS.iter().all(|target| fuzz.join("corpus").join(target).is_dir()));
    }
}
