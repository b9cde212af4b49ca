//! Counts what became of all injections. Counts add up in any order, so that threads and shards make no difference.

use super::classify::Outcome;
use super::episode::Done;
use super::fault::{Class, Promise};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The counts of one class of faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) injected: u64,
    /// Injections that found nothing at their place.
    pub(crate) missed: u64,
    /// Injections after which votes differed.
    pub(crate) diverged: u64,
    pub(crate) outcomes: BTreeMap<Outcome, u64>,
    /// How many were noticed after so many cycles.
    pub(crate) latency_cycles: BTreeMap<u32, u64>,
}

/// The counts of a campaign or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Cycles that pairs were simulated for.
    pub(crate) cycles: u64,
    pub(crate) episodes: u64,
    /// By the name of the class.
    pub(crate) classes: BTreeMap<String, Row>,
    /// The first injections that broke a promise.
    pub(crate) broken: BTreeSet<u64>,
    /// How many did.
    pub(crate) broken_total: u64,
}

/// Broken promises that are kept.
const KEPT: usize = 20;

impl Tally {
    /// Counts an injection.
    pub(crate) fn count(&mut self, done: &Done) {
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
        if !keeps(class.promise, outcome, done.diverged) {
            self.broken_total += 1;
            self.broken.insert(done.index);
            self.forget();
        }
    }

    /// Adds what another part counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.cycles += other.cycles;
        self.episodes += other.episodes;
        for (name, theirs) in &other.classes {
            self.classes.entry(name.clone()).or_default().add(theirs);
        }
        self.broken.extend(&other.broken);
        self.broken_total += other.broken_total;
        self.forget();
    }

    fn forget(&mut self) {
        while self.broken.len() > KEPT {
            self.broken.pop_last();
        }
    }

    /// Returns the counts of a class; of one that was never injected, none.
    pub(crate) fn row(&self, class: &Class) -> Row {
        self.classes.get(class.name).cloned().unwrap_or_default()
    }

    /// Returns how many injections of the classes had one of these outcomes.
    pub(crate) fn sum(&self, of: impl Fn(Promise) -> bool, outcomes: &[Outcome]) -> u64 {
        let rows = Class::ALL.iter().filter(|class| of(class.promise)).map(|class| self.row(class));
        rows.map(|row| outcomes.iter().map(|outcome| row.count(*outcome)).sum::<u64>()).sum()
    }

    pub(crate) fn injected(&self) -> u64 {
        self.classes.values().map(|row| row.injected).sum()
    }
}

impl Row {
    /// Adds what was counted of other injections.
    pub(crate) fn add(&mut self, other: &Self) {
        self.injected += other.injected;
        self.missed += other.missed;
        self.diverged += other.diverged;
        add(&mut self.outcomes, &other.outcomes);
        add(&mut self.latency_cycles, &other.latency_cycles);
    }

    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// Returns the latency that this share of the noticed injections does not exceed.
    pub(crate) fn latency(&self, percent: u64) -> Option<u32> {
        let noticed: u64 = self.latency_cycles.values().sum();
        let mut seen = 0;
        self.latency_cycles.iter().find_map(|(cycles, count)| {
            seen += count;
            (seen * 100 >= noticed * percent).then_some(*cycles)
        })
    }
}

fn add<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *sums.entry(*key).or_default() += count;
    }
}

/// Whether the outcome is what was promised.
pub(crate) fn keeps(promise: Promise, outcome: Outcome, diverged: bool) -> bool {
    let serves = outcome.is_in_time() || matches!(outcome, Outcome::Held | Outcome::Excluded);
    match promise {
        Promise::Masked => outcome.is_in_time(),
        Promise::Serves => serves,
        Promise::InTime => outcome.is_in_time() && !diverged,
        Promise::ServesUndiverged => serves && !diverged,
        Promise::Safe => serves || matches!(outcome, Outcome::Safe | Outcome::Stopped),
        // Not even then.
        Promise::Nothing => !matches!(outcome, Outcome::Panic | Outcome::TwoOwners),
    }
}

/// Returns the upper bound of the probability, with 95 % confidence, of what was never seen in so many trials: the one
/// at which it would have been seen in 95 of 100 such campaigns. About 3 / n.
pub(crate) fn never_seen_bound(trials: u64) -> f64 {
    if trials == 0 { 1.0 } else { -(0.05_f64.ln() / trials as f64).exp_m1() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::classify::Observed;

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

    #[test]
    fn each_promise_is_kept_by_what_it_names() {
        let kept = |promise, diverged| {
            Outcome::ALL
                .map(|outcome| if keeps(promise, outcome, diverged) { 'y' } else { '.' })
                .iter()
                .collect::<String>()
        };
        // no effect, masked, recovered, held, excluded, safe, stopped; latent, missing, not back, two owners, wrong, panic
        assert_eq!(kept(Promise::Masked, true), "yyy..........");
        assert_eq!(kept(Promise::Serves, true), "yyyyy........");
        assert_eq!(kept(Promise::InTime, false), "yyy..........");
        assert_eq!(kept(Promise::InTime, true), ".............");
        assert_eq!(kept(Promise::ServesUndiverged, false), "yyyyy........");
        assert_eq!(kept(Promise::ServesUndiverged, true), ".............");
        assert_eq!(kept(Promise::Safe, true), "yyyyyyy......");
        assert_eq!(kept(Promise::Nothing, true), "yyyyyyyyyy.y.");
    }
}
