//! What was recorded: the files' text, read as whatever a table needs of it.

use super::recording::{RECORDINGS, Recording};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// The text of every recording that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded(BTreeMap<&'static str, String>);

/// What every command writes beside its figures.
#[derive(Deserialize)]
struct Head {
    passed: bool,
    claims: Vec<Claim>,
    /// Only scenarios have a name, and say with which arguments they were run.
    scenario: Option<String>,
    #[serde(default)]
    arguments: Vec<String>,
}

/// A claim, and whether it held.
#[derive(Deserialize)]
pub(super) struct Claim {
    claim: String,
    held: bool,
}

impl Recorded {
    /// Reads all recordings below the root of a repository. One that is missing is no error.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut recorded = Self::default();
        for recording in RECORDINGS {
            match std::fs::read_to_string(root.join(recording.file())) {
                Ok(text) => recorded.insert(recording, text),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", recording.file())),
            }
        }
        Ok(recorded)
    }

    pub(super) fn insert(&mut self, recording: Recording, text: String) {
        self.0.insert(recording.name, text);
    }

    /// Returns the recordings that are not there.
    pub(super) fn missing(&self) -> Vec<Recording> {
        RECORDINGS.into_iter().filter(|recording| !self.0.contains_key(recording.name)).collect()
    }

    /// Returns a recording, if it is there. It must be of its command, and all claims must have held.
    pub(super) fn get<T: DeserializeOwned>(&self, recording: Recording) -> Result<Option<T>> {
        let Some(text) = self.0.get(recording.name) else { return Ok(None) };
        let read = parse(text, recording);
        read.map(Some).with_context(|| format!("{} is no recording of `{}`", recording.file(), recording.command()))
    }
}

fn parse<T: DeserializeOwned>(text: &str, recording: Recording) -> Result<T> {
    let head: Head = serde_json::from_str(text)?;
    let made_by = head.arguments.join(" ");
    ensure!(head.scenario.is_none() || head.arguments == recording.arguments, "`cargo rig {made_by}` has made it");
    if !head.passed && !recording.shows_failures {
        bail!("a claim failed: {}", failed(&head.claims).join("; "));
    }
    Ok(serde_json::from_str(text)?)
}

/// Returns the claims that failed.
pub(super) fn failed(claims: &[Claim]) -> Vec<&str> {
    claims.iter().filter(|claim| !claim.held).map(|claim| claim.claim.as_str()).collect()
}

/// Says that a recording is not there, in place of what would be shown.
pub(super) fn missing(recording: Recording) -> String {
    format!("**not recorded**: `{}` is missing", recording.file())
}

#[cfg(test)]
mod tests {
    use super::super::recording::{FAILOVER, RECORDINGS};
    use super::Recorded;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Takeovers {
        takeovers: u32,
    }

    fn read(text: &str) -> Result<Option<Takeovers>, String> {
        let mut recorded = Recorded::default();
        recorded.insert(FAILOVER, text.into());
        recorded.get(FAILOVER).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_figure_is_read() {
        let text =
            r#"{"scenario": "failover", "arguments": ["failover"], "passed": true, "claims": [], "takeovers": 3}"#;
        assert_eq!(read(text).unwrap().unwrap().takeovers, 3);
    }

    #[test]
    fn a_malformed_one_is_named_with_its_command() {
        let broken = [
            ("", "EOF"),
            (r#"{"passed": true, "claims": []}"#, "missing field `takeovers`"),
            (r#"{"passed": true, "claims": [], "takeovers": -1}"#, "-1"),
            (
                r#"{"passed": true, "claims": [], "scenario": "failover", "arguments": ["failover", "--sim"], "takeovers": 3}"#,
                "`cargo rig failover --sim` has made it",
            ),
            (r#"{"passed": false, "claims": [{"claim": "no luck", "held": false}]}"#, "a claim failed: no luck"),
        ];
        for (text, why) in broken {
            let error = read(text).unwrap_err();
            let named = "examples/rig/recorded/failover.json is no recording of `cargo rig failover`: ";
            assert!(error.starts_with(named) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_missing_one_is_no_error_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let recorded = Recorded::read(folder.path()).unwrap();
        assert_eq!(recorded.missing(), RECORDINGS);
        assert!(recorded.get::<Takeovers>(FAILOVER).unwrap().is_none());
    }
}
