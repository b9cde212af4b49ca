//! Each module knows only those above it; and a few habits of the sources and the tests that no lint checks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "layers/knobs.rs"]
mod knobs;
#[path = "layers/rooms.rs"]
mod rooms;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top down. A module imports only from layers above its own, so that the members
/// of one layer do not know each other. The same order as the crate map in `lib.rs`.
const LAYERS: &[&[&str]] = &[
    &["ids", "sync", "bytes", "digest", "mechanism"],
    &["canonical"],
    &["mailbox"],
    // One row of the map, whose members are built upon each other.
    &["memory"],
    &["marks"],
    &["tracked"],
    &["mirror"],
    &["fault"],
    &["program", "rule"],
    &["succession"],
    &["config", "wire"],
    &["lease"],
    &["shared_claim", "split_claim"],
    &["agree", "vote", "diagnose", "handshake", "mode"],
    &["buckets", "reintegrate", "upgrade"],
    &["journal", "timing"],
    &["verdict"],
    &["node"],
    &["sim"],
];

/// The only file that knows the model checker.
const MODELLED_FILE: &str = "sync.rs";
const MOST_CODE_LINES: usize = 400;
const STOPS: [&str; 6] = [".unwrap()", ".expect(", "panic!", "unreachable!", "todo!", "unimplemented!"];

/// A source file without its tests.
struct Source {
    /// Path below `src`, with forward slashes.
    file: String,
    /// The text without tests, comments, strings and characters.
    code: String,
}

impl Source {
    fn new(file: &str, text: &str) -> Self {
        Self { file: file.to_owned(), code: code_only(&without_tests(text)) }
    }

    /// Returns the module of the crate's root that the file belongs to.
    fn module(&self) -> &str {
        let first = self.file.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_root(&self) -> bool {
        self.file == "lib.rs"
    }

    fn is_simulation(&self) -> bool {
        self.module() == "sim"
    }
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&source_folder(), "", &mut found);
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), found);
        } else if name.ends_with(".rs") {
            found.push(Source::new(&format!("{prefix}{name}"), &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Leaves out every item under `#[cfg(test)]`.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        for line in lines.by_ref() {
            let ends_in_its_line = line.ends_with(';') && !line.starts_with([' ', '#']);
            if line == "}" || ends_in_its_line {
                break;
            }
        }
    }
    kept
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Puts a space in the place of every comment, string and character; lines stay.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    while let Some(next) = chars.get(at) {
        let in_word = at > 0 && is_word(chars[at - 1]);
        let length = length_of_no_code(&chars[at..], in_word);
        if length == 0 {
            code.push(*next);
            at += 1;
            continue;
        }
        let skipped = &chars[at..(at + length).min(chars.len())];
        code.push(' ');
        code.extend(skipped.iter().filter(|c| **c == '\n'));
        at += length;
    }
    code
}

/// Returns the length of the comment, string or character that begins here; 0 if none does.
fn length_of_no_code(rest: &[char], in_word: bool) -> usize {
    match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => string_length(rest),
        ['b' | 'c' | 'r', ..] if !in_word => raw_string_length(rest),
        // The quote of an escaped character is its fourth character at the earliest.
        ['\'', '\\', ..] => rest.iter().skip(3).position(|c| *c == '\'').map_or(rest.len(), |more| more + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_length(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(c) = rest.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[char]) -> usize {
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes;
    if prefix > 2 || rest[prefix - 1] != 'r' || rest.get(open) != Some(&'"') {
        return 0;
    }
    for at in open + 1..rest.len() {
        let closing = rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count();
        if rest[at] == '"' && closing == hashes {
            return at + 1 + hashes;
        }
    }
    rest.len()
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

/// Returns the first segment after each `crate::`, of `use` and of paths in the code alike.
fn crate_paths(code: &str) -> Vec<String> {
    let mut heads = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        if code[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => heads.extend(group_heads(group)),
            None => heads.push(leading_word(rest)),
        }
    }
    heads
}

/// Returns the first segment of each member of a `use` group, up to its closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut members) = (0_usize, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => members.push(std::mem::take(&mut member)),
            _ => {
                depth = match c {
                    '{' => depth + 1,
                    '}' => depth - 1,
                    _ => depth,
                };
                member.push(c);
            }
        }
    }
    members.push(member);
    members.iter().map(|member| leading_word(member.trim())).filter(|head| !head.is_empty()).collect()
}

/// Returns the names that the root re-exports, each with its module.
fn re_exports(root: &str) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for statement in root.split("pub use ").skip(1) {
        let path = statement.split(';').next().unwrap();
        let (module, names) = path.split_once("::").unwrap();
        for name in names.trim_matches(['{', '}']).split(',') {
            modules.insert(leading_word(name.trim()), module.trim().to_owned());
        }
    }
    modules
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Returns what a file imports from where it may not, or that its module is in no layer.
fn layer_complaints(source: &Source, re_exports: &BTreeMap<String, String>) -> Vec<String> {
    let Source { file, code } = source;
    let module = source.module();
    let Some(own) = layer_of(module) else {
        return vec![format!("{file}: `{module}` is in no layer")];
    };
    let mut complaints = Vec::new();
    for name in crate_paths(code) {
        let imported = if layer_of(&name).is_some() { Some(&name) } else { re_exports.get(&name) };
        match imported.map(|imported| (imported, layer_of(imported))) {
            Some((imported, _)) if imported == module => {}
            Some((_, Some(layer))) if layer < own => {}
            Some((imported, _)) => complaints.push(format!("{file}: `{module}` knows `{imported}`")),
            None => complaints.push(format!("{file}: `crate::{name}` is in no layer")),
        }
    }
    complaints
}

/// Returns whether `word` stands in the code by itself.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, found)| {
        let before = code[..at].chars().next_back();
        let after = code[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Returns what a file does that none should.
fn habit_complaints(source: &Source) -> Vec<String> {
    let Source { file, code } = source;
    let mut complaints = Vec::new();
    if has_word(code, "unsafe") {
        complaints.push(format!("{file}: unsafe"));
    }
    if has_word(code, "loom") && file != MODELLED_FILE {
        complaints.push(format!("{file}: loom"));
    }
    if !source.is_simulation() {
        let stops = STOPS.iter().filter(|stop| code.contains(*stop));
        complaints.extend(stops.map(|stop| format!("{file}: {stop}")));
    }
    let leaks = public_texts(code).into_iter().filter(|text| has_word(text, "heapless"));
    complaints.extend(leaks.map(|text| format!("{file}: heapless in `{}`", text.trim())));
    let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    if lines > MOST_CODE_LINES {
        complaints.push(format!("{file}: {lines} lines of code, at most {MOST_CODE_LINES}"));
    }
    complaints
}

/// Returns what of the code is public: signatures, fields, and all of an enum or a trait.
fn public_texts(code: &str) -> Vec<String> {
    let lines: Vec<&str> = code.lines().collect();
    let mut texts = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(item) = line.trim_start().strip_prefix("pub ") else { continue };
        let rest = lines[at..].join("\n");
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends: Option<usize> = match leading_word(item).as_str() {
            "use" => rest.find(';'),
            "enum" | "trait" => rest.find(&format!("\n{indent}}}")),
            "fn" | "const" | "async" | "unsafe" | "extern" | "struct" | "union" | "type" | "static" | "mod" => {
                rest.find(['{', ';'])
            }
            _ => rest.find('\n'), // a field
        };
        texts.push(rest[..ends.unwrap_or(rest.len())].to_owned());
    }
    texts
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_module_knows_only_those_above_it() {
    let sources = sources();
    let root = sources.iter().find(|source| source.is_root()).expect("lib.rs");
    let re_exports = re_exports(&root.code);
    assert_eq!(re_exports.get("Node").map(String::as_str), Some("node"), "the re-exports were read");

    // The root names all modules. The inner files of the simulation belong to the last layer.
    let modules = sources.iter().filter(|source| !source.is_root() && !source.file.starts_with("sim/"));
    let (mut complaints, mut imports) = (Vec::new(), 0);
    for source in modules {
        imports += crate_paths(&source.code).len();
        complaints.extend(layer_complaints(source, &re_exports));
    }
    assert_none(&complaints);
    assert!(imports > 50, "only {imports} imports were found");
}

#[test]
fn each_layer_is_made_of_modules_that_exist() {
    let sources = sources();
    for module in LAYERS.iter().copied().flatten() {
        let exists = sources.iter().any(|source| source.module() == *module && !source.is_root());
        assert!(exists, "`{module}` is listed and does not exist");
        let listed = LAYERS.iter().copied().flatten().filter(|other| *other == module).count();
        assert_eq!(listed, 1, "`{module}` is listed twice");
    }
}

/// The list above and the map in the documentation of the crate tell the same.
#[test]
fn the_layers_are_those_of_the_crate_map() {
    let root = fs::read_to_string(source_folder().join("lib.rs")).unwrap();
    let (_, from_map) = root.split_once("//! # Crate map").expect("a crate map");
    let (_, from_rows) = from_map.split_once("//! ```text\n").expect("the map's rows");
    let (rows, _) = from_rows.split_once("//! ```\n").expect("the map's end");
    let rows: Vec<Vec<&str>> = rows
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .map(|row| row.split_once("  ").map_or(row, |(modules, _)| modules).split(", ").collect())
        .collect();
    let in_map: Vec<&str> = rows.iter().flatten().copied().collect();
    let in_list: Vec<&str> = LAYERS.iter().copied().flatten().copied().collect();
    assert_eq!(in_map, in_list);
    for layer in LAYERS {
        let in_one_row = rows.iter().any(|row| layer.iter().all(|module| row.contains(module)));
        assert!(in_one_row, "{layer:?} is not in one row of the map");
    }
}

#[test]
fn the_sources_keep_their_habits() {
    let complaints: Vec<String> = sources().iter().flat_map(habit_complaints).collect();
    assert_none(&complaints);
}

/// Made up: what each check must find, among what it must not.
const BAD: &str = r##"
//! Says unsafe and panic!("in a comment"), uses crate::sim.
use crate::node::Node; /* crate::mode /* unsafe */ todo!() */
use crate::ids::Cycle;
use crate::{canonical, sim::{Pair, link::LinkFaults}, Voted};
use crate::wire::Kind;
use mycrate::unknown;

/// ```
/// crate::verdict::Outcome.unwrap();
/// ```
pub struct Open {
    pub list: heapless::Vec<u8, 4>,
    inner: heapless::Vec<u8, 4>,
}

pub enum Kinds {
    Plain,
    Listed(heapless::Vec<u8, 4>),
}

pub fn opens<'a>(
    deque: &'a heapless::Deque<u8, 4>,
) -> char {
    let _ = ("unsafe \" panic!", b'\'', 'u', r#"todo!() " "#, br"unreachable!");
    let inner: heapless::Vec<u8, 4> = crate::nowhere::make();
    crate::mode::Mode::first().unwrap();
    unsafe { inner.get_unchecked(0) }
    '\u{7F}'
}

pub(crate) fn hidden(list: heapless::Vec<u8, 4>) {
    list.first().expect("one");
    core::panic!("unsafe_code");
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use crate::sim::Pair;
    fn stops() {
        unreachable!();
    }
}

fn after_the_tests() {
    todo!()
}
"##;

#[test]
fn the_checks_find_what_they_look_for() {
    let re_exports = re_exports("pub use node::{Begun, Node};\npub use vote::Voted;\n");
    let bad = Source::new("wire.rs", BAD);
    assert_eq!(
        layer_complaints(&bad, &re_exports),
        [
            "wire.rs: `wire` knows `node`",
            "wire.rs: `wire` knows `sim`",
            "wire.rs: `wire` knows `vote`",
            "wire.rs: `crate::nowhere` is in no layer",
            "wire.rs: `wire` knows `mode`",
        ]
    );
    let in_no_layer = Source::new("stranger/inner.rs", "use crate::ids::Cycle;");
    assert_eq!(layer_complaints(&in_no_layer, &re_exports), ["stranger/inner.rs: `stranger` is in no layer"]);
    let sibling = Source::new("vote.rs", "use crate::mode::Mode;\nuse crate::lease::Lease;");
    assert_eq!(layer_complaints(&sibling, &re_exports), ["vote.rs: `vote` knows `mode`"]);

    let complaints = habit_complaints(&bad);
    let (leaks, others): (Vec<String>, Vec<String>) =
        complaints.into_iter().partition(|text| text.contains("heapless"));
    let expected = ["unsafe", ".unwrap()", ".expect(", "panic!", "todo!"].map(|what| format!("wire.rs: {what}"));
    assert_eq!(others, expected);
    assert_eq!(leaks.len(), 3, "a field, an enum and a signature: {leaks:#?}");
    assert!(leaks[0].contains("pub list") && leaks[1].contains("pub enum Kinds") && leaks[2].contains("pub fn opens"));

    // Where it is allowed.
    let modelled = "#[cfg(loom)]\nuse loom::sync::atomic::AtomicU32;";
    assert_none(&habit_complaints(&Source::new(MODELLED_FILE, modelled)));
    assert_eq!(habit_complaints(&Source::new("mailbox.rs", modelled)), ["mailbox.rs: loom"]);
    assert_none(&habit_complaints(&Source::new("sim/pair.rs", "fn next() { list.pop().unwrap() }")));

    let lines = |count: usize| "fn one() {}\n\n// A comment.\n".repeat(count);
    assert_none(&habit_complaints(&Source::new("ids.rs", &lines(MOST_CODE_LINES))));
    let too_long = habit_complaints(&Source::new("ids.rs", &lines(MOST_CODE_LINES + 1)));
    assert_eq!(too_long, ["ids.rs: 401 lines of code, at most 400"]);
}
