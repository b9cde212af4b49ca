//! What must not compile: forged rights, rights used twice, memory that does not fit, writes that do not show.
//!
//! The messages are kept beside each case, as one release of the compiler words them. With that
//! release they are compared; `OVERWRITE=1 cargo test --test compile_fail` rewrites them.
//!
//! Each case is handed to the compiler with the library that this test was built against, so
//! nothing is built anew. `compile_fail/sound` compiles: the cases fail for what they show.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/compiler.rs"]
mod compiler;
#[path = "support/wording.rs"]
mod wording;

use compiler::{CASES, Compiler};
use std::fs;
use std::path::{Path, PathBuf};

/// The release whose messages are kept.
const WORDED_BY: &str = "rustc 1.95.";
const FEWEST_CASES: usize = 15;

#[test]
fn misuse_does_not_compile() {
    let version = compiler::version();
    if !version.starts_with(WORDED_BY) {
        // Another release words errors differently, which says nothing about this crate. The doc
        // tests of `Voted`, which only ask for an error, run everywhere.
        println!("not compared: the messages are those of {WORDED_BY}x, this is {version}");
        return;
    }
    let compiler = Compiler::new();
    let cases = cases();
    assert!(cases.len() >= FEWEST_CASES, "cases are missing: {cases:?}");
    let complaints: Vec<String> = cases.iter().filter_map(|case| complaint(&compiler, case)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The cases by their paths below the root, as the messages name them.
fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(compiler::root().join(CASES)).unwrap();
    let names = entries.map(|entry| Path::new(CASES).join(entry.unwrap().file_name()));
    let mut cases: Vec<_> = names.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect();
    cases.sort();
    cases
}

/// Compiles a case; returns what is not as it must be, if anything.
fn complaint(compiler: &Compiler, case: &Path) -> Option<String> {
    let Err(said) = compiler.check(case) else {
        return Some(format!("{} compiles", case.display()));
    };
    let said = wording::plain(&said, CASES);
    let kept = compiler::root().join(case).with_extension("stderr");
    if std::env::var_os("OVERWRITE").is_some() {
        fs::write(kept, said).unwrap();
        return None;
    }
    let expected = fs::read_to_string(kept).unwrap_or_default();
    (wording::plain(&expected, CASES) != said)
        .then(|| format!("{}: expected\n\n{expected}\nbut the compiler says\n\n{said}", case.display()))
}
