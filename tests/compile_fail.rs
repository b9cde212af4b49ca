//! What must not compile: forged rights, rights used twice, memory that does not fit, writes that do not show.
//!
//! The messages are kept beside each case. When the compiler words them anew,
//! `TRYBUILD=overwrite cargo test --test compile_fail` rewrites them: read what changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
