//! What is claimed of a campaign.

use super::classify::Outcome;
use super::fault::{Class, Promise};
use super::results::Results;
use serde::Serialize;
use std::format;
use std::prelude::v1::*;

/// A claim, and whether it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What is claimed, with the figure.
    pub claim: String,
    /// Whether it held.
    pub held: bool,
}

impl Claim {
    /// Makes one.
    pub fn new(claim: impl Into<String>, held: bool) -> Self {
        Self { claim: claim.into(), held }
    }
}

/// Returns what is claimed, and whether it held. One shard may miss a class by chance. So that every class was injected is
/// claimed of the whole campaign only.
pub(super) fn claims(results: &Results) -> Vec<Claim> {
    if let Some(why) = &results.unfit {
        return std::vec![Claim::new(format!("the pair can be simulated: {why}"), false)];
    }
    let mut claims = std::vec![injected(results)];
    claims.extend(harmless(results));
    claims.extend(missed(results));
    claims
}

/// Returns what is claimed of the outcomes.
pub(super) fn harmless(results: &Results) -> Vec<Claim> {
    let tally = &results.tally;
    let single = |promise| promise != Promise::Nothing;
    let all = |_| true;
    let of = |wanted: Promise| move |promise| promise == wanted;
    let serving = |promise| !matches!(promise, Promise::Safe | Promise::Nothing);
    let late = [Outcome::Held, Outcome::Excluded, Outcome::Safe, Outcome::Stopped];
    let undiverged = |class: &&Class| matches!(class.promise, Promise::InTime | Promise::ServesUndiverged);
    let diverged = Class::ALL.iter().filter(undiverged);
    let none = |count: u64, text: &str| Claim::new(format!("{text}: {count}"), count == 0);
    std::vec![
        none(tally.sum(single, &[Outcome::Wrong]), "wrong actuations or states, single faults"),
        none(tally.sum(all, &[Outcome::Panic]), "panics of the library"),
        none(tally.sum(all, &[Outcome::TwoOwners]), "two owners"),
        none(tally.sum(all, &[Outcome::Broken]), "invariants broken"),
        none(tally.sum(single, &[Outcome::Missing]), "missing cycles, single faults"),
        none(tally.sum(single, &[Outcome::Latent]), "damage left in memory, single faults"),
        none(tally.sum(single, &[Outcome::NotBack]), "pairs that did not come back, single faults"),
        none(tally.sum(of(Promise::Masked), &late), "transients of values not masked in the same cycle"),
        none(tally.sum(of(Promise::InTime), &late), "faults of single frames that cost more than a repetition"),
        none(tally.sum(serving, &late[2..]), "single faults of other kinds that stopped the service"),
        none(
            diverged.map(|class| tally.row(class).diverged).sum(),
            "link, clock and crash faults taken for value faults",
        ),
        none(tally.broken_total, "injections after which less held than is promised of their class"),
    ]
}

/// Returns what is claimed of the controls, of all of them together.
fn missed(results: &Results) -> Option<Claim> {
    let unmissed = results.controls.iter().filter(|(_, failed)| failed.is_empty());
    let unmissed: Vec<&str> = unmissed.map(|(name, _)| name.as_str()).collect();
    let text = "each mechanism is missed that is switched off";
    let claim = match unmissed[..] {
        [] => Claim::new(text, true),
        _ => Claim::new(format!("{text}; not: {}", unmissed.join(", ")), false),
    };
    (!results.controls.is_empty() && results.is_whole()).then_some(claim)
}

fn injected(results: &Results) -> Claim {
    let (tally, left_out) =
        (&results.tally, |class: &Class| results.without.contains(class.name) || results.absent.contains(class.name));
    let wanted = Class::ALL.iter().filter(|class| !left_out(class));
    let never = wanted.filter(|class| tally.row(class).injected == 0).map(|class| class.name);
    let never: Vec<&str> = never.collect();
    match never[..] {
        _ if !results.is_whole() || tally.injected() == 0 && never.is_empty() => {
            Claim::new(format!("faults were injected: {}", tally.injected()), tally.injected() > 0)
        }
        [] if !results.without.is_empty() => {
            Claim::new("every class of faults was injected that is not left out", true)
        }
        [] => Claim::new("every class of faults was injected", true),
        _ => Claim::new(format!("every class of faults was injected; not: {}", never.join(", ")), false),
    }
}
