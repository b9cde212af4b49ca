//! The rows of the campaign's table in the README: each has several of the campaign's classes.

use crate::campaign::Class;
use anyhow::{Result, ensure};

/// A row.
pub(super) struct Grouped {
    pub(super) name: &'static str,
    /// The classes, by their names.
    classes: &'static [&'static str],
}

const fn row(name: &'static str, classes: &'static [&'static str]) -> Grouped {
    Grouped { name, classes }
}

const ROWS: [Grouped; 15] = [
    row(
        "bits in outputs, inputs, votes; the comparator",
        &[
            "output",
            "agreed input",
            "own sample",
            "own sample, spare copy",
            "peer's sample",
            "peer's next sample",
            "own vote",
            "peer's vote",
            "last output",
            "comparator",
        ],
    ),
    row("bits in state, checkpoint, digests", &["working state", "checkpoint", "digests", "latent, then another"]),
    row(
        "bits in control data, also in mid-step; marks, the scrub's place",
        &["control data", "control data in a step", "marks of blocks", "place of the scrub"],
    ),
    row("bits in the times of the cycle", &["times"]),
    row("output damaged after the vote", &["sealed output"]),
    row("crash, reset, hang, at every byte", &["crash", "reset", "hang", "hang for good"]),
    row(
        "link: one frame lost, late, repeated, damaged, inserted, old",
        &[
            "repetition",
            "loss",
            "delay",
            "insertion",
            "masquerade",
            "incorrect addressing",
            "incorrect sequence",
            "corruption",
            "old frames",
            "frames of an older epoch",
        ],
    ),
    row(
        "link: one direction, or all of it, for a while",
        &[
            "asymmetric, one direction",
            "subset, one direction",
            "blocked channel",
            "stalled, one direction",
            "slow, one direction",
        ],
    ),
    row("clocks that drift or jump, an arbiter misread", &["clock drift", "clock jump", "misread arbiter"]),
    row("an arbiter that is silent", &["arbiter not read", "arbiter mute, then crash"]),
    row("lasting: the same wrong bit each time", &["stuck output"]),
    row("lasting: another one each time", &["failing output"]),
    row("a flip, then a takeover", &["flip, then takeover"]),
    row(
        "in an upgrade: a stop, a hang, the link, a flip in the trial",
        &["upgrade: stop", "upgrade: hang", "upgrade: link", "upgrade: flip in a trial"],
    ),
    row(
        "second fault without redundancy",
        &[
            "2nd: stop of the only half",
            "2nd: flip alone",
            "2nd: stop alone",
            "2nd: flip in a copy",
            "2nd: books of a copy",
            "2nd: link in a copy",
            "2nd: stop in a copy",
        ],
    ),
];

impl Grouped {
    /// Returns the classes of the row.
    pub(super) fn classes(&self) -> impl Iterator<Item = &'static Class> {
        Class::ALL.iter().filter(|class| self.classes.contains(&class.name))
    }
}

/// Returns the rows. Each class must be in exactly one of them, or the table would not be the whole campaign.
pub(super) fn rows() -> Result<&'static [Grouped]> {
    for class in &Class::ALL {
        let of = ROWS.iter().filter(|row| row.classes.contains(&class.name)).count();
        ensure!(of == 1, "the class `{}` is in {of} rows of the README's table, not in one", class.name);
    }
    Ok(&ROWS)
}

#[cfg(test)]
mod tests {
    use super::{Class, ROWS, rows};

    #[test]
    fn every_class_is_in_exactly_one_row_and_every_name_is_a_class() {
        let in_rows: usize = rows().unwrap().iter().map(|row| row.classes().count()).sum();
        let names: usize = ROWS.iter().map(|row| row.classes.len()).sum();
        assert_eq!((in_rows, names), (Class::ALL.len(), Class::ALL.len()));
    }
}
