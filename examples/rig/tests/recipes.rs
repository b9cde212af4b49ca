//! The recipes that spread a campaign over machines, tried with two processes of this one.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes")
}

fn recipe(name: &str, arguments: &[&str], folder: &Path) -> Command {
    let rig = env!("CARGO_BIN_EXE_rig");
    let mut command = Command::new(recipes().join(name));
    command.args(arguments).current_dir(folder);
    command.env("CAMPAIGN", format!("{rig} campaign")).env("MERGE", format!("{rig} merge"));
    command
}

/// The options of the recipe for a batch system, with fewer cycles.
const OPTIONS: [&str; 4] = ["--cycles", "30000", "--seed", "3"];

#[test]
fn two_shares_at_once_add_up_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let share = |number: &str| -> Child {
        let arguments = [&[number, "2", "out"][..], &OPTIONS].concat();
        recipe("shard", &arguments, folder.path()).spawn().unwrap()
    };
    let shares = [share("1"), share("2")];
    for mut share in shares {
        assert!(share.wait().unwrap().success());
    }
    assert!(recipe("merge", &["2", "out"], folder.path()).status().unwrap().success());
    let whole = [&["1", "1", "whole"][..], &OPTIONS].concat();
    assert!(recipe("shard", &whole, folder.path()).status().unwrap().success());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("out/all.json"), read("whole/1.json"));
    assert!(read("out/all.xml").contains("<testsuites") && read("out/all.svg").contains("</svg>"));

    // A share that is missing is no success.
    std::fs::remove_file(folder.path().join("out/2.json")).unwrap();
    assert!(!recipe("merge", &["2", "out"], folder.path()).status().unwrap().success());
}

#[test]
fn a_share_with_a_failed_claim_is_written_and_the_sum_fails() {
    let folder = tempfile::tempdir().unwrap();
    let broken = [&["1", "1", "out"][..], &OPTIONS, &["--off", "vote"]].concat();
    assert!(recipe("shard", &broken, folder.path()).status().unwrap().success(), "a result, whatever it says");
    assert!(!recipe("merge", &["1", "out"], folder.path()).status().unwrap().success());
    let unknown = ["1", "1", "none", "--off", "luck"];
    assert!(!recipe("shard", &unknown, folder.path()).status().unwrap().success(), "no result");
}

#[test]
fn the_matrix_calls_the_same_scripts() {
    let text = |name: &str| std::fs::read_to_string(recipes().join(name)).unwrap();
    let matrix = text("github-actions.yml");
    assert!(matrix.contains("run: examples/recipes/shard ${{ matrix.share }} $SHARES out "), "{matrix}");
    assert!(matrix.contains("run: examples/recipes/merge $SHARES out"), "{matrix}");
    assert!(text("slurm-array.sh").contains("examples/recipes/shard \"$SLURM_ARRAY_TASK_ID\""));
}
