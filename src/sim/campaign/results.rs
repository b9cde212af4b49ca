//! The results of a campaign or of shards of it; shards add up to the whole.

use super::claims::{Claim, claims};
use super::plan::{Plan, Shard};
use super::shape::Shape;
use super::tally::Tally;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::path::PathBuf;
use std::prelude::v1::*;

/// The results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The program's type.
    #[serde(default)]
    pub program: String,
    /// The command that makes them, if there is one.
    #[serde(default)]
    pub(super) command: Option<String>,
    /// A digest of the program's build, the configuration, the line and the arbiter. What `vary` does is not in it.
    #[serde(default)]
    pub made_of: u32,
    /// All chance came from it.
    pub seed: u64,
    /// Cycles asked for, over all shards.
    pub cycles: u64,
    /// The mechanism that was off.
    pub off: Option<String>,
    /// The classes that were left out.
    #[serde(default)]
    pub without: BTreeSet<String>,
    /// Classes that do not apply to this program: faults in upgrades, without another version; faults of memory that is never
    /// written, without any such memory; and what cannot be done to its targets.
    #[serde(default)]
    pub absent: BTreeSet<String>,
    /// Which shards of how many these are.
    pub(super) shards: BTreeSet<u32>,
    pub(super) of: u32,
    /// The counts.
    pub tally: Tally,
    /// Figures of the program.
    #[serde(default)]
    pub shape: Shape,
    /// What [`Shape::copy_cycles`] comes to in the configuration.
    #[serde(default)]
    pub copy_cycles: Option<u32>,
    /// What [`Shape::scrub_cycles`] comes to.
    #[serde(default)]
    pub scrub_cycles: u32,
    /// Of each mechanism that was switched off as a control, the claims that failed then.
    #[serde(default)]
    pub controls: BTreeMap<String, Vec<String>>,
    /// Why nothing was simulated.
    #[serde(default)]
    pub unfit: Option<String>,
}

/// The table, the claims, and how to replay what broke one.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::table::text(self))
    }
}

/// Why results cannot be added up, read or written.
#[derive(Debug)]
pub enum ResultsError {
    /// Shards of different campaigns, by what is different.
    Different(String),
    /// A shard comes twice.
    Twice(BTreeSet<u32>),
    /// There is nothing to add up.
    Nothing,
    /// Nothing was simulated, for this reason.
    Unfit(String),
    /// A file cannot be read or written, or has no results in it.
    File(PathBuf, String),
}

impl fmt::Display for ResultsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different(what) => write!(f, "these are shards of different campaigns: {what}"),
            Self::Twice(shards) => write!(f, "a shard comes twice, of {shards:?}"),
            Self::Nothing => f.write_str("no files to merge"),
            Self::Unfit(why) => write!(f, "there is no result: {why}"),
            Self::File(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl core::error::Error for ResultsError {}

impl Results {
    pub(super) fn new(plan: &Plan, program: &str, tally: Tally) -> Self {
        let Shard { number, of } = plan.shard;
        Self {
            program: program.to_owned(),
            command: None,
            made_of: 0,
            seed: plan.seed,
            cycles: plan.cycles,
            off: plan.off.map(super::mechanisms::name),
            without: plan.without.names(),
            absent: BTreeSet::new(),
            shards: [number].into(),
            of,
            tally,
            shape: Shape::default(),
            copy_cycles: None,
            scrub_cycles: 0,
            controls: BTreeMap::new(),
            unfit: None,
        }
    }

    /// Adds other shards of the same campaign. All of them together are the whole one.
    ///
    /// # Errors
    /// [`ResultsError`], if they are of another campaign, or one comes twice.
    pub fn merge(mut self, other: &Self) -> Result<Self, ResultsError> {
        let (mine, theirs) = (self.identity(), other.identity());
        if mine != theirs {
            return Err(ResultsError::Different(format!("{mine} and {theirs}")));
        }
        if !self.shards.is_disjoint(&other.shards) {
            return Err(ResultsError::Twice(&self.shards | &other.shards));
        }
        self.shards.extend(&other.shards);
        // The smaller text, so that the order of adding makes no difference.
        self.unfit = [self.unfit.take(), other.unfit.clone()].into_iter().flatten().min();
        self.tally.add(&other.tally);
        for (mechanism, failed) in &other.controls {
            let all: &mut Vec<String> = self.controls.entry(mechanism.clone()).or_default();
            all.extend(failed.iter().cloned());
            all.sort();
            all.dedup();
        }
        if self.shards.len() == self.of as usize {
            (self.shards, self.of) = ([1].into(), 1);
        }
        Ok(self)
    }

    /// What all shards of a campaign have in common.
    fn identity(&self) -> String {
        let Self { program, made_of, seed, cycles, off, without, absent, of, .. } = self;
        format!(
            "{program} ({made_of:08x}) seed {seed} cycles {cycles} off {off:?} without {without:?} and {absent:?} of {of}"
        )
    }

    /// Whether no shard is missing.
    pub fn is_whole(&self) -> bool {
        self.of == 1
    }

    /// Returns what was run: a command, if there is one.
    pub fn title(&self) -> String {
        let shards =
            if self.is_whole() { String::new() } else { format!(", {} of {} shards", self.shards.len(), self.of) };
        let of = if self.command.is_some() || self.program.is_empty() {
            String::new()
        } else {
            format!(" of {}", self.program)
        };
        format!("campaign{of} --cycles {} --seed {}{}{shards}", self.cycles, self.seed, self.changes())
    }

    /// Returns how an injection is replayed.
    pub fn replay(&self, index: u64) -> String {
        match &self.command {
            Some(command) => format!("{command} --seed {}{} --replay {index}", self.seed, self.changes()),
            None => format!("campaign.replay({index}), with seed {}{}", self.seed, self.changes()),
        }
    }

    /// Returns the options by which this is not the usual campaign.
    fn changes(&self) -> String {
        let off = self.off.iter().map(|off| format!(" --off {off}"));
        off.chain(self.without.iter().map(|class| format!(" --without \"{class}\""))).collect()
    }

    /// Returns what is claimed of the campaign, and whether it held.
    pub fn claims(&self) -> Vec<Claim> {
        claims(self)
    }

    /// Returns the claims that failed.
    pub fn failed(&self) -> Vec<String> {
        self.claims().into_iter().filter(|claim| !claim.held).map(|claim| claim.claim).collect()
    }

    /// Whether every claim held.
    pub fn passed(&self) -> bool {
        self.failed().is_empty()
    }

    /// Fails a test unless every claim held. Call it on merged results where there are shards. Claimed are:
    /// - every class of faults was injected; of a single shard only, that some were;
    /// - of single faults: no wrong output or state, no missing cycle, no damage left in memory, no pair that did not come back;
    /// - of all faults: no panic of the library, never two owners;
    /// - transients of values were right in the same cycle, and faults of single frames cost a repetition at most;
    /// - single faults of other kinds did not stop the service;
    /// - link, clock and crash faults were not taken for faults of a value;
    /// - with [`controls`](super::Campaign::controls), each mechanism is missed that is switched off.
    ///
    /// A program that panics in one channel because of a damaged value is `crashed`, which breaks no claim. To refuse that, too:
    /// `assert!(results.tally.panics.is_empty())`.
    ///
    /// # Panics
    /// If a claim failed: with the table, the claims, and how to replay what broke one.
    #[allow(clippy::panic)] // it is for tests
    pub fn assert_claims(&self) {
        if !self.passed() {
            core::panic!("{self}");
        }
    }
}
