//! The rooms of the node: what each may touch. A room that reaches further is found here, and so is a plate that names more
//! than its room touches.

use super::{Source, is_word, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Each file below `src/node` that touches something of the node, and what: first the parts of the control data, then the
/// furniture beside it. Files that are not here touch nothing of it: furniture.
///
/// `cycle`, `examine`, `evidence`, `takeover` and `upgrade/trial` are one conversation about a cycle, from its samples to
/// its verdict; they touch the most.
const PLATES: &[(&str, &str, &str)] = &[
    // The cycle.
    (
        "cycle",
        "config standing suspicion turn",
        "case injected mechanisms meeting mending mirror my_vote outgoing peer_vote record samples schedule stepped",
    ),
    ("examine", "config standing suspicion turn", "case mechanisms mirror my_vote outgoing peer_vote record schedule"),
    ("evidence", "config standing suspicion turn", "case mechanisms my_vote outgoing peer_vote record"),
    (
        "takeover",
        "claim config standing suspicion turn undertaking",
        "case mechanisms meeting mending mirror my_vote peer_vote record samples schedule stepped",
    ),
    ("ballot", "", "mechanisms my_vote peer_vote record"),
    ("proof", "turn", "case mechanisms my_vote peer_vote record"),
    // Coming together, and changing sides.
    ("boot", "claim config standing suspicion turn", "mechanisms meeting mirror outgoing schedule"),
    ("copy", "claim config standing turn", "copying mechanisms meeting mirror record schedule"),
    ("copy/join", "config standing turn", "copying mechanisms meeting mirror record"),
    ("handover", "claim config standing turn", "drop_resend_at mechanisms meeting outgoing record schedule"),
    // Memory.
    ("memory", "config standing suspicion turn", "mechanisms mending mirror record"),
    // The line.
    ("receive", "config standing turn", "mechanisms meeting outgoing peer_vote record samples schedule stepped"),
    ("outgoing", "config standing turn", "mechanisms meeting my_vote outgoing peer_vote record samples upgrade"),
    ("parcel", "config standing turn", "meeting schedule"),
    // An upgrade.
    ("may_upgrade", "config standing undertaking", ""),
    ("upgrade", "config standing undertaking", "meeting outgoing upgrade"),
    ("upgrade/hooks", "standing undertaking", "upgrade"),
    ("upgrade/orders", "claim config standing suspicion turn undertaking", "meeting outgoing record upgrade"),
    (
        "upgrade/trial",
        "config standing suspicion turn undertaking",
        "mechanisms mending my_vote outgoing peer_vote record samples schedule stepped upgrade",
    ),
    ("upgrade/words", "config standing turn undertaking", "meeting record upgrade"),
    // What all calls have in common.
    ("control", "config suspicion", "copies mechanisms outgoing record schedule upgrade"),
    ("noting", "config standing turn", "my_vote peer_vote record"),
    ("closing", "config standing turn", "mechanisms record schedule"),
    ("seen", "config standing suspicion turn", "mechanisms mirror record stepped"),
    // For a simulation and a model.
    ("injected", "", "copying injected mirror my_vote peer_vote samples schedule stepped"),
    (
        "fingerprint",
        "",
        "case copies copying drop_resend_at injected mechanisms meeting mending mirror my_vote outgoing peer_vote record \
         samples schedule stepped upgrade",
    ),
];

/// Returns the names of a struct's fields.
fn fields_of(code: &str, name: &str) -> BTreeSet<String> {
    let start = code.find(&format!("struct {name}")).unwrap_or_else(|| panic!("no {name}"));
    let body = &code[start..start + code[start..].find("\n}").unwrap()];
    let field = |line: &str| {
        let (before, _) = line.trim().split_once(": ")?;
        let name = before.rsplit(' ').next()?;
        (line.starts_with("    ") && !line.starts_with("     ") && name.chars().all(is_word)).then(|| name.to_owned())
    };
    body.lines().skip(1).filter_map(field).collect()
}

/// Returns which of these names follow one of these owners and a point, as a field does.
fn touched(code: &str, owners: &[&str], names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for owner in owners {
        for (at, _) in code.match_indices(owner) {
            let is_end_of_a_word = code[..at].chars().next_back().is_some_and(is_word);
            let rest = &code[at + owner.len()..];
            let Some(rest) = rest.trim_start().strip_prefix('.') else { continue };
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            let is_call = rest[name.len()..].starts_with('(');
            if !is_end_of_a_word && !is_call && names.contains(&name) {
                found.insert(name);
            }
        }
    }
    found
}

/// Returns which fields of the node a file gives another value as a whole.
fn assigned(code: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let is_assigned = |name: &String| {
        ["self", "node"].iter().any(|owner| {
            code.match_indices(&format!("{owner}.{name}")).any(|(at, found)| {
                let rest = code[at + found.len()..].trim_start();
                let is_compound = ["+=", "-=", "|=", "&="].iter().any(|sign| rest.starts_with(sign));
                is_compound || rest.starts_with('=') && !rest.starts_with("==")
            })
        })
    };
    names.iter().filter(|name| is_assigned(name)).cloned().collect()
}

fn room_of(source: &Source) -> Option<&str> {
    source.file.strip_prefix("node/")?.strip_suffix(".rs")
}

/// Returns what is wrong with the rooms of these sources.
fn complaints(sources: &[Source]) -> Vec<String> {
    let code_of = |file: &str| &sources.iter().find(|source| source.file == file).unwrap().code;
    let furniture = fields_of(code_of("node.rs"), "Node");
    let parts = fields_of(code_of("node/control.rs"), "Control");
    assert!(furniture.contains("meeting") && parts.contains("claim"), "{furniture:?} {parts:?}");
    let words = |list: &str| list.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    let mut complaints = Vec::new();
    let mut writers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for source in sources {
        for field in assigned(&source.code, &furniture).into_iter().filter(|_| source.module() == "node") {
            writers.entry(field).or_default().push(&source.file);
        }
        let Some(room) = room_of(source) else { continue };
        let plate = PLATES.iter().find(|(name, ..)| *name == room);
        let (of_control, beside) = plate.map_or(("", ""), |(_, of_control, beside)| (of_control, beside));
        let kinds = [
            (touched(&source.code, &["control"], &parts), words(of_control)),
            (touched(&source.code, &["self", "node"], &furniture), &words(beside) | &words("control")),
        ];
        for (touched, allowed) in kinds {
            let beyond: Vec<_> = touched.difference(&allowed).collect();
            let unused: Vec<_> = allowed.difference(&touched).filter(|name| *name != "control").collect();
            if !beyond.is_empty() {
                complaints.push(format!("{room} touches {beyond:?}, which its plate does not name"));
            }
            if !unused.is_empty() {
                complaints.push(format!("{room} does not touch {unused:?}, which its plate names"));
            }
        }
    }
    for (room, ..) in PLATES {
        if !sources.iter().any(|source| room_of(source) == Some(room)) {
            complaints.push(format!("there is no room {room}, but a plate of it"));
        }
    }
    let many = writers.into_iter().filter(|(_, files)| files.len() > 1);
    complaints.extend(many.map(|(field, files)| format!("{field} is given another value in {files:?}")));
    complaints
}

#[test]
fn each_room_touches_what_its_plate_says_and_no_more() {
    let complaints = complaints(&sources());
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn a_room_that_reaches_further_is_found() {
    let add = |file: &str, line: &str| -> Vec<String> {
        let mut all = sources();
        let source = all.iter_mut().find(|source| source.file == file).unwrap();
        source.code.push_str(line);
        complaints(&all)
    };
    for (file, line, found) in [
        ("node/memory.rs", "fn more() { self.samples.has_theirs(); }", "memory touches [\"samples\"]"),
        ("node/boot.rs", "fn more() { self.control.undertaking.leaves(); }", "boot touches [\"undertaking\"]"),
        ("node/upgrade/words.rs", "fn more() { node.mirror.rollback(); }", "upgrade/words touches [\"mirror\"]"),
        ("node/schedule.rs", "fn more() { self.mirror.rollback(); }", "schedule touches [\"mirror\"]"),
        ("node/cycle.rs", "fn more() { self.copies = other; }", "copies is given another value in"),
    ] {
        let complaints = add(file, line);
        assert!(complaints.iter().any(|complaint| complaint.contains(found)), "{line}: {complaints:?}");
    }
}
