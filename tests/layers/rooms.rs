//! The rooms of the node: what each may touch, and what each may call. A room that reaches further is found here, and so is a
//! plate that names more than its room touches.

use super::{Source, is_word, sources};
use std::collections::{BTreeMap, BTreeSet};

/// The plate of a file below `src/node`: its name, the parts of the control data that it touches, and the other fields of the node
/// that it touches. A file without a plate touches none: furniture, `start`, which makes a node, and `calls`, which lends one.
const PLATES: &[(&str, &str, &str)] = &[
    // The conversation about a cycle, from its samples to its verdict: it touches the most.
    (
        "cycle",
        "claim config standing suspicion turn",
        "case injected mechanisms meeting mending mirror my_vote outgoing peer_vote record samples schedule silence stepped",
    ),
    ("alone", "claim config standing turn", "mechanisms mending my_vote record schedule"),
    (
        "examine",
        "config standing suspicion turn",
        "case mechanisms mirror my_vote outgoing peer_vote record schedule silence",
    ),
    ("evidence", "config standing suspicion turn", "case mechanisms my_vote outgoing peer_vote record"),
    (
        "takeover",
        "claim config standing turn undertaking",
        "case mechanisms meeting mending mirror record samples schedule silence stepped",
    ),
    ("outgoing", "config standing turn", "mechanisms my_vote outgoing record samples schedule"),
    (
        "upgrade/trial",
        "config standing suspicion turn undertaking",
        "mechanisms mending my_vote outgoing peer_vote record samples schedule stepped upgrade",
    ),
    // The rooms.
    ("ballot", "", "mechanisms my_vote peer_vote record"),
    ("proof", "config turn", "case mechanisms my_vote peer_vote record"),
    ("memory", "config standing turn", "mechanisms mending mirror record"),
    ("hello", "config standing turn", "copying meeting mirror outgoing upgrade"),
    ("boot", "claim config standing suspicion turn", "meeting mirror outgoing schedule silence"),
    ("copy", "claim config standing suspicion turn", "copying mechanisms meeting mirror record schedule silence"),
    ("copy/join", "config standing suspicion turn", "copying mechanisms meeting mirror record schedule silence"),
    ("handover", "claim config standing turn", "drop_resend_at meeting outgoing record schedule"),
    ("parcel", "config standing turn", "meeting schedule time"),
    ("upgrade", "config standing undertaking", "meeting outgoing upgrade"),
    ("upgrade/orders", "claim config standing suspicion turn undertaking", "meeting outgoing record upgrade"),
    ("upgrade/words", "config standing turn undertaking", "meeting record upgrade"),
    // What the rooms have in common.
    ("control", "config suspicion", "copies mechanisms outgoing record schedule time upgrade"),
    ("noting", "config standing suspicion turn", "case mending my_vote peer_vote record"),
    ("lineage", "claim config standing", "asked leased mechanisms meeting silence"),
    ("line", "config standing turn", "case mechanisms meeting peer_vote samples schedule"),
    (
        "ways",
        "claim config standing suspicion turn",
        "case copying meeting mirror my_vote outgoing peer_vote record samples schedule silence stepped",
    ),
    ("closing", "claim config standing turn", "mechanisms record schedule silence stepped"),
    ("may_upgrade", "config undertaking", "schedule"),
    // The plan, beside `node.rs`.
    (
        "receive",
        "config standing turn",
        "mechanisms meeting outgoing peer_vote record remembered samples schedule silence stepped",
    ),
    ("upgrade/hooks", "standing undertaking", "upgrade"),
    ("seen", "config standing suspicion turn", "mechanisms mirror record schedule stepped"),
    // For a simulation and a model.
    ("calm", "claim standing turn", "case schedule"),
    (
        "invariants",
        "claim config standing suspicion turn",
        "asked case copying drop_resend_at leased meeting mending mirror my_vote outgoing peer_vote samples schedule silence time",
    ),
    ("injected", "", "copying injected mirror my_vote peer_vote samples schedule stepped"),
    (
        "fingerprint",
        "",
        "asked case copies copying drop_resend_at injected leased mechanisms meeting mending mirror my_vote outgoing peer_vote record remembered samples schedule silence stepped time upgrade",
    ),
];

/// The floors of the house, from the ground up. A file calls methods of the node only of files on floors below its own, and of
/// those it stands together with, so that no room calls another one.
///
/// The hooks of an upgrade, `U::...`, are no such calls: any file may ask them, since an upgrade takes part everywhere, and
/// `MayUpgrade` is the list of what is asked.
const FLOORS: &[&[&str]] = &[
    // What the rooms have in common.
    &["noting"],
    &["control", "lineage", "line"],
    &["ways", "seen", "injected"],
    &["closing"],
    &["may_upgrade"],
    // The rooms.
    &["ballot", "proof", "memory", "hello", "boot", "copy", "copy/join", "handover", "parcel"],
    &["upgrade"],
    // The conversation about a cycle.
    &["cycle"],
    // The plan, and what answers for it.
    &["node", "receive", "calls", "upgrade/hooks", "start", "calm", "invariants", "fingerprint"],
];
/// Files that are one room, or one conversation: they call each other.
const TOGETHER: &[(&str, &[&str])] = &[
    ("upgrade", &["upgrade/words", "upgrade/orders"]),
    ("cycle", &["alone", "examine", "evidence", "takeover", "outgoing", "upgrade/trial"]),
];
/// What all may call: the plan's table of what ends with a mode, and the part of `handover` that each call of the node begins with.
const OPEN_TO_ALL: &[&str] = &["change_mode", "bound_handover"];

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

/// Returns the names of the methods that a file gives the node.
fn methods_of(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for block in code.split("\nimpl").skip(1) {
        let (head, body) = block.split_once('{').unwrap();
        let is_of_node = head.split_once(" for ").map_or(head, |(_, of)| of).contains("Node<");
        if is_of_node {
            let body = &body[..body.find("\n}").unwrap_or(body.len())];
            names.extend(body.split("fn ").skip(1).map(|rest| rest.chars().take_while(|c| is_word(*c)).collect()));
        }
    }
    names
}

/// Returns the floor of a file, and what it is a part of.
fn floor_of(file: &str) -> Option<(usize, &str)> {
    let whole = TOGETHER.iter().find(|(_, parts)| parts.contains(&file)).map_or(file, |(whole, _)| whole);
    FLOORS.iter().position(|floor| floor.contains(&whole)).map(|floor| (floor, whole))
}

/// Returns which calls go up, or to a neighbour; and how many go down.
fn calls(sources: &[Source]) -> (Vec<String>, usize) {
    let file_of = |source: &Source| source.file.strip_suffix(".rs").unwrap().trim_start_matches("node/").to_owned();
    let of_node: Vec<(String, &str)> = sources
        .iter()
        .filter(|source| source.module() == "node")
        .map(|source| (file_of(source), &*source.code))
        .collect();
    let mut owners = BTreeMap::new();
    for (file, code) in &of_node {
        owners.extend(methods_of(code).into_iter().map(|method| (method, file)));
    }
    let (mut complaints, mut down) = (Vec::new(), 0);
    for (file, code) in &of_node {
        // As a method, over the end of a line and with its types named; and as a function of the type.
        for caller in ["self", "node", "Self", "Node"] {
            for (at, _) in code.match_indices(caller) {
                let is_end_of_a_word = code[..at].chars().next_back().is_some_and(is_word);
                let Some(rest) = code[at + caller.len()..].trim_start().strip_prefix(['.', ':']) else { continue };
                let rest = rest.trim_start_matches(':').trim_start();
                let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
                let is_call = rest[name.len()..].starts_with(['(', ':']);
                let Some(owner) = owners.get(&name).filter(|_| is_call && !is_end_of_a_word) else { continue };
                let Some((own, whole)) = floor_of(file) else { continue };
                match floor_of(owner) {
                    _ if OPEN_TO_ALL.contains(&&*name) => {}
                    Some((_, of)) if of == whole => {}
                    Some((floor, _)) if floor < own => down += 1,
                    Some(_) if FLOORS.last().unwrap().contains(&whole) => {}
                    found => complaints.push(format!("{file} calls {name} of {owner}, {found:?}")),
                }
            }
        }
    }
    let homeless = of_node.iter().filter(|(file, code)| floor_of(file).is_none() && !methods_of(code).is_empty());
    complaints.extend(homeless.map(|(file, _)| format!("{file} stands on no floor")));
    (complaints, down)
}

#[test]
fn no_room_calls_another_one() {
    let (complaints, down) = calls(&sources());
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert!(down > 150, "only {down} calls were found");
}

#[test]
fn a_room_that_calls_another_one_is_found() {
    let head = "\nimpl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {\n";
    for (file, line, found) in [
        ("node/boot.rs", "fn more(&mut self) { self.end_copy(); }", Some("boot calls end_copy of copy")),
        ("node/memory.rs", "fn more(&mut self) { self.poll(now, arbiter); }", Some("memory calls poll of node")),
        ("node/handover.rs", "fn more(&mut self) { self.poll_takeover(now, a); }", Some("of takeover")),
        ("node/boot.rs", "fn more(&mut self) { self\n        .end_copy(); }", Some("boot calls end_copy of copy")),
        ("node/boot.rs", "fn more(&mut self) { self.poll_donor::<A>(now, a); }", Some("of alone")),
        ("node/boot.rs", "fn more(&mut self) { Self::end_copy(self); }", Some("boot calls end_copy of copy")),
        ("node/noting.rs", "fn more(&mut self) { self.verdict(a, b, c); }", Some("noting calls verdict of closing")),
        ("node/upgrade/words.rs", "fn more(&mut self) { self.step_twice(now); }", Some("of upgrade/trial")),
        ("node/upgrade/words.rs", "fn more(&mut self) { self.readiness(); }", None),
        ("node/cycle.rs", "fn more(&mut self) { self.scrub(now); }", None),
        ("node/turn.rs", "fn more(&mut self) {}", Some("turn stands on no floor")),
    ] {
        let mut all = sources();
        let source = all.iter_mut().find(|source| source.file == file).unwrap();
        source.code.push_str(&format!("{head}    {line}\n}}\n"));
        let (complaints, _) = calls(&all);
        let is_found = found.is_some_and(|found| complaints.iter().any(|complaint| complaint.contains(found)));
        assert!(is_found || found.is_none() && complaints.is_empty(), "{line}: {complaints:?}");
    }
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
