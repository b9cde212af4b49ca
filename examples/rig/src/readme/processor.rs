//! The table of faults of a processor: kinds of faults, and what was seen of each.

use super::markdown::{Column, count, number, table};
use super::recorded::{Claim, Recorded, failed, missing};
use super::recording::{Recording, SEU_EVERY_INSTRUCTION, SEU_REGISTERS};
use crate::seu::Effect;
use anyhow::{Result, ensure};
use serde::Deserialize;

/// The kinds of faults, as [`crate::strike::Strike::kind`] names them.
const KINDS: [&str; 4] = ["core register", "program counter", "status register", "instruction skipped"];
const BEFORE_ACTUATOR: &str = "instruction skipped between vote and actuator";

#[derive(Deserialize)]
struct Run {
    seu: Faults,
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Faults {
    flips: Vec<Fault>,
    not_reached: u32,
}

#[derive(Deserialize)]
struct Fault {
    region: String,
    effect: Effect,
}

pub(super) fn render(recorded: &Recorded) -> Result<String> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    match recorded.get::<Run>(SEU_REGISTERS)? {
        None => notes.push(format!("- {}", missing(SEU_REGISTERS))),
        Some(Run { seu, claims }) => {
            check(SEU_REGISTERS, &seu, &KINDS)?;
            rows.extend(KINDS.map(|kind| cells(kind, &seu, kind)));
            notes.push(note(SEU_REGISTERS, &seu, &claims));
        }
    }
    match recorded.get::<Run>(SEU_EVERY_INSTRUCTION)? {
        None => notes.push(format!("- {}", missing(SEU_EVERY_INSTRUCTION))),
        Some(Run { seu, claims }) => {
            let [.., skipped] = KINDS;
            check(SEU_EVERY_INSTRUCTION, &seu, &[skipped])?;
            rows.push(cells(BEFORE_ACTUATOR, &seu, skipped));
            notes.push(note(SEU_EVERY_INSTRUCTION, &seu, &claims));
        }
    }
    let headings = [Column::Text("fault".into())]
        .into_iter()
        .chain(Effect::ALL.iter().map(|effect| Column::Number(effect.name().to_lowercase())))
        .chain([Column::Number("total".into())]);
    Ok(format!("{}\n\n{}", notes.join("\n"), table(&headings.collect::<Vec<_>>(), &rows)))
}

/// Every fault must be of a kind that has a row.
fn check(recording: Recording, faults: &Faults, kinds: &[&str]) -> Result<()> {
    let other = faults.flips.iter().find(|fault| !kinds.contains(&fault.region.as_str()));
    let other = other.map(|fault| fault.region.as_str());
    let (file, command) = (recording.file(), recording.command());
    ensure!(other.is_none(), "{file} is no recording of `{command}`: it has faults of `{}`", other.unwrap_or_default());
    Ok(())
}

fn note(recording: Recording, faults: &Faults, claims: &[Claim]) -> String {
    let (command, all) = (recording.command(), number(faults.flips.len() as u64));
    let missed = match faults.not_reached {
        0 => String::new(),
        missed => {
            format!("; {} more were aimed at instructions that the board did not execute in time", number(missed))
        }
    };
    let failed = match &failed(claims)[..] {
        [] => String::new(),
        failed => format!(". Claims that **failed**: {}", failed.join("; ")),
    };
    format!("- `{command}`: {all} faults{missed}{failed}")
}

fn cells(name: &str, faults: &Faults, kind: &str) -> Vec<String> {
    let of_kind: Vec<Effect> =
        faults.flips.iter().filter(|fault| fault.region == kind).map(|fault| fault.effect).collect();
    let counted = |effect: Effect| {
        let counted = of_kind.iter().filter(|seen| **seen == effect).count() as u64;
        if effect >= Effect::Uncovered { number(counted) } else { count(counted) }
    };
    let total = number(of_kind.len() as u64);
    [name.into()].into_iter().chain(Effect::ALL.map(counted)).chain([total]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::super::recording::{Recording, SEU_EVERY_INSTRUCTION, SEU_REGISTERS};
    use super::{KINDS, render};
    use crate::strike::Strike;
    use serde_json::{Value, json};

    fn insert(recorded: &mut Recorded, recording: Recording, faults: &[(&str, &str)], not_reached: u32) {
        let flips: Vec<Value> =
            faults.iter().map(|(region, effect)| json!({ "region": region, "effect": effect })).collect();
        let seu = json!({ "flips": flips, "not_reached": not_reached });
        let text =
            json!({ "scenario": "seu", "arguments": recording.arguments, "passed": true, "claims": [], "seu": seu });
        recorded.insert(recording, text.to_string());
    }

    #[test]
    fn every_kind_of_fault_is_counted_by_its_effects() {
        let mut recorded = Recorded::default();
        let faults = [("core register", "none"), ("core register", "masked"), ("instruction skipped", "uncovered")];
        insert(&mut recorded, SEU_REGISTERS, &faults, 7);
        insert(&mut recorded, SEU_EVERY_INSTRUCTION, &[("instruction skipped", "wrong")], 0);
        let table = render(&recorded).unwrap();
        let counts = [
            "3 faults; 7 more were aimed at instructions",
            "| core register | 1 | – | 1 | – | – | – | – | – | 0 | 0 | 2 |",
            "| program counter | – | – | – | – | – | – | – | – | 0 | 0 | 0 |",
            "| instruction skipped | – | – | – | – | – | – | – | – | 1 | 0 | 1 |",
            "| instruction skipped between vote and actuator | – | – | – | – | – | – | – | – | 0 | 1 | 1 |",
        ];
        assert!(counts.iter().all(|line| table.contains(line)), "{table}");
    }

    #[test]
    fn every_kind_that_is_drawn_has_a_row() {
        let mut rng = fastrand::Rng::with_seed(1);
        assert!((0..100).all(|_| KINDS.contains(&Strike::draw(&mut rng).kind())));
    }

    #[test]
    fn a_fault_without_a_row_is_an_error() {
        let mut recorded = Recorded::default();
        insert(&mut recorded, SEU_REGISTERS, &[("stack", "none")], 0);
        let error = render(&recorded).unwrap_err().to_string();
        assert!(error.contains("seu-registers.json") && error.contains("`stack`"), "{error}");
    }
}
