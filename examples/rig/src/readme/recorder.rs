//! Makes recordings: runs each command as a user would, and keeps the file that it wrote.

use super::recording::{RECORDINGS, Recording};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Runs the commands one after the other; without names, all of them. A recording is replaced only by that of a command
/// whose claims held.
pub(super) fn record(wanted: &[Recording], root: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
    let rig = std::env::current_exe().context("the rig does not find its own executable")?;
    let wanted = if wanted.is_empty() { &RECORDINGS } else { wanted };
    for recording in wanted {
        say(&format!("`{}` for {}", recording.command(), recording.file()));
        replace(&rig, *recording, root).with_context(|| {
            format!("`{}` made no recording; {} is as it was", recording.command(), recording.file())
        })?;
    }
    Ok(())
}

fn replace(rig: &Path, recording: Recording, root: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder for the recording")?;
    let (written, kept) = (folder.path().join("recording.json"), root.join(recording.file()));
    let status = Command::new(rig).args(recording.arguments).arg("--json").arg(&written).status()?;
    if !status.success() {
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
    use super::super::recording::FAILOVER;
    use super::replace;
    use std::path::Path;

    /// Records with a program in place of the rig.
    fn with(program: &str, root: &Path) -> Result<String, String> {
        let rig = root.join("rig");
        std::fs::write(&rig, format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(&rig, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        replace(&rig, FAILOVER, root).map_err(|error| format!("{error:#}"))?;
        Ok(std::fs::read_to_string(root.join(FAILOVER.file())).unwrap())
    }

    #[test]
    fn what_the_command_wrote_is_kept_unless_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = || std::fs::read_to_string(folder.path().join(FAILOVER.file())).unwrap();
        assert_eq!(with("echo \"$1 $2\" > \"$3\"", folder.path()).unwrap(), "failover --json\n");
        assert!(with("echo other > \"$3\"; exit 1", folder.path()).unwrap_err().contains("it ended with"));
        assert!(with("exit 0", folder.path()).unwrap_err().contains("it wrote no file"));
        assert_eq!(kept(), "failover --json\n");
    }
}
