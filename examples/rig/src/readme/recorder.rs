//! Makes recordings: runs each command as a user would, and keeps the file that it wrote.

use super::recording::{RECORDINGS, Recording};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

/// Runs the commands one after the other; without names, all of them. A recording is replaced only by that of a command
/// whose claims held, unless its table shows those that failed. A command that fails does not keep the others from running.
pub(super) fn record(wanted: &[Recording], root: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
    let rig = std::env::current_exe().context("the rig does not find its own executable")?;
    let wanted = if wanted.is_empty() { &RECORDINGS } else { wanted };
    record_with(&|| Command::new(&rig), wanted, root, say)
}

fn record_with(rig: &dyn Fn() -> Command, wanted: &[Recording], root: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
    let mut failed = Vec::new();
    for recording in wanted {
        say(&format!("`{}` for {}", recording.command(), recording.file()));
        if let Err(error) = replace(rig, *recording, root) {
            say(&format!("`{}` made no recording: {error:#}", recording.command()));
            failed.push(format!("{} of `{}`", recording.file(), recording.command()));
        }
    }
    ensure!(failed.is_empty(), "not recorded anew: {}", failed.join(", "));
    Ok(())
}

fn replace(rig: &dyn Fn() -> Command, recording: Recording, root: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder for the recording")?;
    let (written, kept) = (folder.path().join("recording.json"), root.join(recording.file()));
    let status = rig().args(recording.arguments).arg("--json").arg(&written).status()?;
    // 1: it ran, and a claim failed.
    let is_shown = recording.shows_failures && status.code() == Some(1);
    if !status.success() && !is_shown {
        bail!("it ended with {status}");
    }
    let text = std::fs::read_to_string(&written).context("it wrote no file")?;
    if let Some(folder) = kept.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&kept, text).with_context(|| format!("cannot write {}", kept.display()))
}

#[cfg(test)]
mod tests {
    use super::super::recording::{FAILOVER, REJOIN, Recording, SEU_REGISTERS};
    use super::record_with;
    use std::path::Path;
    use std::process::Command;

    /// Records with a script in place of the rig; returns what was said.
    fn with(script: &str, wanted: &[Recording], root: &Path) -> Result<String, String> {
        let rig = || {
            let mut rig = Command::new("sh");
            rig.args(["-c", script, "rig"]);
            rig
        };
        let mut said = String::new();
        let recorded = record_with(&rig, wanted, root, &mut |line| said += &format!("{line}\n"));
        recorded.map(|()| said.clone()).map_err(|error| format!("{said}{error:#}"))
    }

    #[test]
    fn what_the_command_wrote_is_kept_unless_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |recording: Recording| std::fs::read_to_string(folder.path().join(recording.file())).unwrap();
        let said = with("echo \"$1 $2\" > \"$3\"", &[FAILOVER], folder.path()).unwrap();
        assert_eq!(said, "`cargo rig failover` for examples/rig/recorded/failover.json\n");
        assert_eq!(kept(FAILOVER), "failover --json\n");
        assert!(with("echo failed > \"$5\"; exit 1", &[SEU_REGISTERS], folder.path()).is_ok());
        assert_eq!(kept(SEU_REGISTERS), "failed\n");
        for (script, why) in [("echo other > \"$3\"; exit 1", "it ended with"), ("exit 0", "it wrote no file")] {
            assert!(with(script, &[FAILOVER], folder.path()).unwrap_err().contains(why));
        }
        assert_eq!(kept(FAILOVER), "failover --json\n");
    }

    #[test]
    fn one_that_fails_does_not_keep_the_next_one_from_running() {
        let folder = tempfile::tempdir().unwrap();
        let script = "test \"$1\" = rejoin && echo \"$1\" > \"$3\"";
        let error = with(script, &[FAILOVER, REJOIN], folder.path()).unwrap_err();
        let named = "not recorded anew: examples/rig/recorded/failover.json of `cargo rig failover`";
        assert!(error.ends_with(named), "{error}");
        assert!(folder.path().join(REJOIN.file()).is_file() && !folder.path().join(FAILOVER.file()).exists());
    }
}
