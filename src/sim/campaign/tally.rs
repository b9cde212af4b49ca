//! Counts what became of all injections. Counts add up in any order, so that threads and shards make no difference.

use super::classify::Outcome;
use super::done::Done;
use super::fault::{Class, Promise};
use crate::node::Invariant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::prelude::v1::*;

/// The counts of one class of faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Injections that found something at their place.
    pub injected: u64,
    /// Injections that found nothing at their place.
    pub missed: u64,
    /// Injections after which votes differed.
    pub diverged: u64,
    /// How many had which outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// How many were noticed after so many cycles.
    pub latency_cycles: BTreeMap<u32, u64>,
}

/// The counts of a campaign or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Cycles that pairs were simulated for.
    pub cycles: u64,
    /// Episodes that were run: each is a configuration, with one pair after the other.
    pub episodes: u64,
    /// By the name of the class.
    pub classes: BTreeMap<String, Row>,
    /// The first injections that broke a promise.
    pub broken: BTreeSet<u64>,
    /// How many did.
    pub broken_total: u64,
    /// What the program said as it panicked, and how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub panics: BTreeMap<String, u64>,
    /// What did not hold of a channel that must, by the first of each injection, and how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken_invariants: BTreeMap<String, u64>,
}

/// Broken promises that are kept.
const KEPT: usize = 20;

impl Tally {
    /// Counts an injection.
    pub(super) fn count(&mut self, done: &Done) {
        let Some(class) = Class::ALL.get(done.class) else { return };
        let row = self.classes.entry(class.name.to_owned()).or_default();
        let Some(outcome) = done.outcome else {
            row.missed += 1;
            return;
        };
        row.injected += 1;
        row.diverged += u64::from(done.diverged);
        *row.outcomes.entry(outcome).or_default() += 1;
        if let Some(latency) = done.latency {
            *row.latency_cycles.entry(latency).or_default() += 1;
        }
        if !class.promise.is_kept_by(outcome, done.diverged) {
            self.broken_total += 1;
            self.broken.insert(done.index);
            self.forget();
        }
    }

    /// Adds what another part counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.cycles += other.cycles;
        self.episodes += other.episodes;
        for (name, theirs) in &other.classes {
            self.classes.entry(name.clone()).or_default().add(theirs);
        }
        self.broken.extend(&other.broken);
        self.broken_total += other.broken_total;
        add_some(&mut self.panics, &other.panics);
        add_some(&mut self.broken_invariants, &other.broken_invariants);
        self.forget();
    }

    fn forget(&mut self) {
        while self.broken.len() > KEPT {
            self.broken.pop_last();
        }
    }

    /// Counts a panic of the program, or of the library.
    pub(super) fn panicked(&mut self, what: &str) {
        add_some(&mut self.panics, &[(what.to_owned(), 1)].into());
    }

    /// Counts a channel that was found with an invariant broken.
    pub(super) fn found_broken(&mut self, invariant: Invariant) {
        add_some(&mut self.broken_invariants, &[(invariant.to_string(), 1)].into());
    }

    /// Returns the counts of a class; of one that was never injected, none.
    pub fn row(&self, class: &Class) -> Row {
        self.classes.get(class.name).cloned().unwrap_or_default()
    }

    /// Returns how many injections of the classes had one of these outcomes.
    pub(super) fn sum(&self, of: impl Fn(Promise) -> bool, outcomes: &[Outcome]) -> u64 {
        let rows = Class::ALL.iter().filter(|class| of(class.promise)).map(|class| self.row(class));
        rows.map(|row| outcomes.iter().map(|outcome| row.count(*outcome)).sum::<u64>()).sum()
    }

    /// Returns how many injections there were.
    pub fn injected(&self) -> u64 {
        self.classes.values().map(|row| row.injected).sum()
    }
}

impl Row {
    /// Adds what was counted of other injections.
    pub fn add(&mut self, other: &Self) {
        self.injected += other.injected;
        self.missed += other.missed;
        self.diverged += other.diverged;
        add(&mut self.outcomes, &other.outcomes);
        add(&mut self.latency_cycles, &other.latency_cycles);
    }

    /// Returns how many had this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// Returns the latency that this share of the noticed injections does not exceed.
    pub fn latency(&self, percent: u64) -> Option<u32> {
        let noticed: u64 = self.latency_cycles.values().sum();
        let mut seen = 0;
        self.latency_cycles.iter().find_map(|(cycles, count)| {
            seen += count;
            (seen * 100 >= noticed * percent).then_some(*cycles)
        })
    }
}

/// Adds what another part heard; of many texts the first ones are kept, in their order, so that the order of adding makes no
/// difference.
fn add_some(sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (text, count) in more {
        *sums.entry(text.clone()).or_default() += count;
    }
    while sums.len() > KEPT {
        sums.pop_last();
    }
}

fn add<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *sums.entry(*key).or_default() += count;
    }
}

/// Returns the upper bound of the probability, with 95 % confidence, of what was never seen in so many trials: the one
/// at which it would have been seen in 95 of 100 such campaigns. About 3 / n.
pub fn never_seen_bound(trials: u64) -> f64 {
    if trials == 0 { 1.0 } else { -(0.05_f64.ln() / trials as f64).exp_m1() }
}

#[cfg(test)]
mod tests {
    use super::super::classify::Observed;
    use super::*;

    fn done(index: u64, class: usize, outcome: Outcome) -> Done {
        let outcome = Some(outcome);
        Done { index, class, outcome, latency: Some(index as u32 % 3), diverged: false, seen: Observed::default() }
    }

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let all: Vec<Done> = (0..200)
            .map(|n| done(n, n as usize % Class::ALL.len(), Outcome::ALL[n as usize % Outcome::ALL.len()]))
            .collect();
        let mut whole = Tally::default();
        all.iter().for_each(|done| whole.count(done));
        let mut parts = [Tally::default(), Tally::default(), Tally::default()];
        for done in all.iter().rev() {
            parts[done.index as usize % 3].count(done);
        }
        let mut sum = Tally::default();
        parts.iter().rev().for_each(|part| sum.add(part));
        assert_eq!(sum, whole);
        assert_eq!(sum.broken.len(), KEPT);
        assert_eq!(sum.injected(), 200);
    }

    #[test]
    fn what_was_never_seen_is_bounded_by_about_three_in_n() {
        assert!((never_seen_bound(1) - 0.95).abs() < 1e-12);
        assert!((never_seen_bound(2) - (1.0 - 0.05_f64.sqrt())).abs() < 1e-12);
        let many = never_seen_bound(10_000_000) * 1e7;
        assert!((2.99..3.0).contains(&many), "{many}");
        assert_eq!(never_seen_bound(0), 1.0);
    }

    #[test]
    fn the_latency_of_a_share() {
        let row = Row { latency_cycles: BTreeMap::from([(0, 98), (1, 1), (7, 1)]), ..Row::default() };
        assert_eq!([row.latency(50), row.latency(99), row.latency(100)], [Some(0), Some(1), Some(7)]);
        assert_eq!(Row::default().latency(50), None);
    }
}
