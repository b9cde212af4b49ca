//! What must not compile: forged rights, rights used twice, memory that does not fit, writes that do not show.
//!
//! The messages are kept beside each case, as one release of the compiler words them. With that
//! release they are compared; `TRYBUILD=overwrite cargo test --test compile_fail` rewrites them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// The release whose messages are kept.
const WORDED_BY: &str = "rustc 1.95.";

#[test]
fn misuse_does_not_compile() {
    let version = std::process::Command::new("rustc").arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(WORDED_BY) {
        // Another release words errors differently, which says nothing about this crate. The doc
        // tests of `Voted`, which only ask for an error, run everywhere.
        println!("not compared: the messages are those of {WORDED_BY}x, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
