//! The results of a campaign or of shards of it, as a file; shards add up to the whole.

use super::claims::claims;
use super::fault::Class;
use super::plan::{Plan, Shard};
use super::tally::{Row, Tally, never_seen_bound};
use crate::scenario::Claim;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// The results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) seed: u64,
    /// Cycles asked for, over all shards.
    pub(crate) cycles: u64,
    /// The mechanism that was off.
    pub(crate) off: Option<String>,
    /// The classes that were left out.
    #[serde(default)]
    pub(crate) without: BTreeSet<String>,
    /// Which shards of how many these are.
    shards: BTreeSet<u32>,
    of: u32,
    pub(crate) tally: Tally,
}

impl Results {
    pub(crate) fn new(plan: &Plan, tally: Tally) -> Self {
        let Shard { number, of } = plan.shard;
        let off = plan.off.map(super::mechanisms::name);
        let without = plan.without.names();
        Self { seed: plan.seed, cycles: plan.cycles, off, without, shards: [number].into(), of, tally }
    }

    /// Adds other shards of the same campaign. All of them together are the whole one.
    pub(crate) fn merge(mut self, other: &Self) -> Result<Self> {
        let of = |all: &Self| (all.seed, all.cycles, all.off.clone(), all.without.clone(), all.of);
        let (mine, theirs) = (of(&self), of(other));
        ensure!(mine == theirs, "these are shards of different campaigns: {mine:?} and {theirs:?}");
        ensure!(
            self.shards.is_disjoint(&other.shards),
            "a shard comes twice: {:?} and {:?}",
            self.shards,
            other.shards
        );
        self.shards.extend(&other.shards);
        self.tally.add(&other.tally);
        if self.shards.len() == self.of as usize {
            (self.shards, self.of) = ([1].into(), 1);
        }
        Ok(self)
    }

    /// Reads shards and adds them up.
    pub(crate) fn read(paths: &[impl AsRef<Path>]) -> Result<Self> {
        let mut all: Option<Self> = None;
        for path in paths {
            let path = path.as_ref();
            let read = || -> Result<Self> { Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?) };
            let shard = read().with_context(|| format!("cannot read {}", path.display()))?;
            all = Some(match all {
                None => shard,
                Some(sum) => sum.merge(&shard).with_context(|| path.display().to_string())?,
            });
        }
        let Some(all) = all else { bail!("no files to merge") };
        Ok(all)
    }

    /// Whether no shard is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.of == 1
    }

    /// Returns what was run, as a command.
    pub(crate) fn title(&self) -> String {
        let shards =
            if self.is_whole() { String::new() } else { format!(", {} of {} shards", self.shards.len(), self.of) };
        format!("campaign --cycles {} --seed {}{}{shards}", self.cycles, self.seed, self.changes())
    }

    /// Returns the command that replays an injection.
    pub(crate) fn replay(&self, index: u64) -> String {
        format!("cargo rig campaign --seed {}{} --replay {index}", self.seed, self.changes())
    }

    /// Returns the options by which this is not the usual campaign.
    fn changes(&self) -> String {
        let off = self.off.iter().map(|off| format!(" --off {off}"));
        off.chain(self.without.iter().map(|class| format!(" --without \"{class}\""))).collect()
    }

    /// Returns what is claimed of the campaign, and whether it held.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        claims(&self.tally, self.is_whole(), &self.without)
    }

    /// Returns the results with all that follows from them.
    pub(crate) fn json(&self) -> Result<String> {
        let mut value = serde_json::to_value(self)?;
        let derived = |class: &Class| {
            let row: Row = self.tally.row(class);
            let [median, p99, max] = [50, 99, 100].map(|percent| row.latency(percent));
            let latency = json!({ "median": median, "p99": p99, "max": max });
            json!({ "class": class.name, "latency_cycles": latency, "never_seen_bound": never_seen_bound(row.injected) })
        };
        if let Some(value) = value.as_object_mut() {
            let claims = self.claims();
            value.insert("injected".into(), json!(self.tally.injected()));
            value.insert("never_seen_bound".into(), json!(never_seen_bound(self.tally.injected())));
            value.insert("derived".into(), Class::ALL.iter().map(derived).collect());
            value.insert("passed".into(), json!(claims.iter().all(|claim| claim.held)));
            value.insert("claims".into(), json!(claims));
        }
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }

    /// Writes the results to a file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.json()?).with_context(|| format!("cannot write {}", path.display()))
    }
}
