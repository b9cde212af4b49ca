//! What is claimed of a campaign.

use super::classify::Outcome;
use super::fault::{Class, Promise};
use super::tally::Tally;
use crate::scenario::{Claim, claim};
use std::collections::BTreeSet;

/// Returns what is claimed, and whether it held. A class may by chance be in other shards than these: that each one was
/// injected that is not left out is claimed of a whole campaign only.
pub(crate) fn claims(tally: &Tally, is_whole: bool, without: &BTreeSet<String>) -> Vec<Claim> {
    let single = |promise| promise != Promise::Nothing;
    let all = |_| true;
    let of = |wanted: Promise| move |promise| promise == wanted;
    let serving = |promise| !matches!(promise, Promise::Safe | Promise::Nothing);
    let late = [Outcome::Held, Outcome::Excluded, Outcome::Safe, Outcome::Stopped];
    let wanted = Class::ALL.iter().filter(|class| !without.contains(class.name));
    let never = wanted.filter(|class| tally.row(class).injected == 0).map(|class| class.name);
    let never: Vec<&str> = never.collect();
    let injected = match never[..] {
        _ if !is_whole || tally.injected() == 0 && never.is_empty() => {
            claim(format!("faults were injected: {}", tally.injected()), tally.injected() > 0)
        }
        [] if !without.is_empty() => claim("every class of faults was injected that is not left out".to_owned(), true),
        [] => claim("every class of faults was injected".to_owned(), true),
        _ => claim(format!("every class of faults was injected; not: {}", never.join(", ")), false),
    };
    let undiverged = |class: &&Class| matches!(class.promise, Promise::InTime | Promise::ServesUndiverged);
    let diverged = Class::ALL.iter().filter(undiverged);
    let none = |count: u64, text: &str| claim(format!("{text}: {count}"), count == 0);
    vec![
        injected,
        none(tally.sum(single, &[Outcome::Wrong]), "wrong actuations or states, single faults"),
        none(tally.sum(all, &[Outcome::Panic]), "panics"),
        none(tally.sum(all, &[Outcome::TwoOwners]), "two owners"),
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
    ]
}
