//! The recordings: which command writes which file. This list is the only one.

use anyhow::Result;
use std::path::{Path, PathBuf};

/// A command whose `--json` is kept as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    /// The file's name without its ending.
    pub(crate) name: &'static str,
    /// The arguments of the rig, without `--json`.
    pub(crate) arguments: &'static [&'static str],
    /// The table shows which claims failed; of the others a recording with a failed claim is an error.
    pub(crate) shows_failures: bool,
}

const fn recording(name: &'static str, arguments: &'static [&'static str]) -> Recording {
    Recording { name, arguments, shows_failures: false }
}

/// A recording of what is known not to hold yet.
const fn with_failures(name: &'static str, arguments: &'static [&'static str]) -> Recording {
    Recording { name, arguments, shows_failures: true }
}

pub(super) const FAILOVER: Recording = recording("failover", &["failover"]);
pub(super) const REJOIN: Recording = recording("rejoin", &["rejoin"]);
pub(super) const DUALCORE: Recording = recording("dualcore", &["dualcore"]);
pub(super) const ROT: Recording = recording("rot", &["rot"]);
pub(super) const SEU: Recording = recording("seu", &["seu"]);
pub(super) const SEU_REGISTERS: Recording = with_failures("seu-registers", &["seu", "--registers", "2000"]);
pub(super) const SEU_EVERY_INSTRUCTION: Recording =
    with_failures("seu-every-instruction", &["seu", "--every-instruction", "--shard", "1/8"]);
pub(super) const UPGRADE: Recording = recording("upgrade", &["upgrade"]);
pub(super) const UPGRADE_FAULTS: Recording = recording("upgrade-faults", &["upgrade-faults"]);
pub(super) const MEASURE: Recording = recording("measure", &["measure"]);
pub(super) const CONGRUENCE: Recording = recording("congruence", &["congruence"]);
pub(super) const CAMPAIGN: Recording = recording("campaign", &["campaign", "--cycles", "20000000", "--seed", "1"]);

/// All recordings, in the order in which they are made.
pub(super) const RECORDINGS: [Recording; 12] = [
    FAILOVER,
    REJOIN,
    DUALCORE,
    ROT,
    SEU,
    SEU_REGISTERS,
    SEU_EVERY_INSTRUCTION,
    UPGRADE,
    UPGRADE_FAULTS,
    MEASURE,
    CONGRUENCE,
    CAMPAIGN,
];

/// The folder of the recordings, from the root of the repository.
const FOLDER: &str = "examples/rig/recorded";

impl Recording {
    /// Returns the file, from the root of the repository.
    pub(super) fn file(&self) -> String {
        format!("{FOLDER}/{}.json", self.name)
    }

    /// Returns the command as a user types it.
    pub(super) fn command(&self) -> String {
        format!("cargo rig {}", self.arguments.join(" "))
    }
}

/// Returns the root of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Finds a recording by its name.
pub(super) fn named(name: &str) -> Result<Recording, String> {
    let found = RECORDINGS.into_iter().find(|recording| recording.name == name);
    found.ok_or_else(|| {
        let names = RECORDINGS.map(|recording| recording.name);
        format!("no recording is named {name:?}; the names are: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::{CAMPAIGN, FOLDER, RECORDINGS, named, root};
    use std::collections::BTreeSet;

    #[test]
    fn each_is_found_by_its_name() {
        for recording in RECORDINGS {
            assert_eq!(named(recording.name), Ok(recording));
        }
        assert!(named("luck").unwrap_err().contains("failover, rejoin"));
        assert_eq!(CAMPAIGN.file(), "examples/rig/recorded/campaign.json");
        assert_eq!(CAMPAIGN.command(), "cargo rig campaign --cycles 20000000 --seed 1");
    }

    #[test]
    fn the_folder_has_no_other_files() {
        let files = std::fs::read_dir(root().join(FOLDER)).unwrap();
        let found: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let listed: BTreeSet<String> = RECORDINGS.iter().map(|recording| format!("{}.json", recording.name)).collect();
        assert_eq!(found.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
