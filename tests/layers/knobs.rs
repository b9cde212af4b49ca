//! How deep the tests go is read by one function, which takes no nonsense, and the deep runs set all of it.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../support/knob.rs"]
mod knob;

/// Tools rather than tests, and what they take from the environment: each fails by itself if it makes no sense.
const TOOLS: [(&str, &[&str]); 4] = [
    ("model.rs", &["RULE", "TRACES"]),
    ("simulated_pair.rs", &["SEED", "OFF"]),
    ("compile_fail.rs", &["OVERWRITE"]),
    ("support/knob.rs", &[]),
];

#[test]
fn a_bad_value_is_an_error_and_no_default() {
    assert_eq!(knob::read("DEPTH", None, 7), Ok(7));
    assert_eq!(knob::read("DEPTH", Some("3"), 7), Ok(3));
    for bad in ["", "0", "-1", "1.5", "three", " 3", "1_000", "4294967296"] {
        let complaint = knob::read("DEPTH", Some(bad), 7).unwrap_err();
        assert_eq!(complaint, format!("DEPTH must be a number from 1 to 4294967295, and is \"{bad}\""));
    }
}

#[test]
fn every_knob_is_set_by_the_deep_runs() {
    let Ok(nightly) = fs::read_to_string(root().join(".ci/nightly")) else {
        println!("not compared: a package from a registry has no .ci");
        return;
    };
    let mut found = Vec::new();
    for (file, text) in tests() {
        for (_, rest) in text.match_indices("knob(\"").map(|(at, call)| text.split_at(at + call.len())) {
            let name = rest.split('"').next().unwrap();
            assert!(nightly.contains(&format!(" {name}=")), "{file}: {name} is not in .ci/nightly");
            found.push(name.to_owned());
        }
    }
    found.sort();
    assert_eq!(found, ["DEPTH", "EPISODES", "FLIPS", "FUTURES", "LENGTH", "SWITCHES"], "each is read in one place");
}

/// Nobody reads a depth past `knob`, where a bad value could be taken for none.
#[test]
fn the_environment_is_read_by_knobs_and_tools_only() {
    for (file, text) in tests() {
        let reads = text.matches("env::var").count() - usize::from(file == "layers/knobs.rs");
        let tool = TOOLS.iter().find(|(tool, _)| *tool == file);
        assert!(reads == 0 || tool.is_some(), "{file} reads the environment by itself");
        if let Some((_, names)) = tool {
            let is_named = |name: &&str| text.contains(&format!("(\"{name}\")"));
            assert!(names.iter().all(is_named), "{file} no longer takes one of {names:?}");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tests' sources but for the compile-fail cases, by their paths below `tests`.
fn tests() -> Vec<(String, String)> {
    let (folder, mut found) = (root().join("tests"), Vec::new());
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        let paths: Vec<PathBuf> = fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&folder).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}
