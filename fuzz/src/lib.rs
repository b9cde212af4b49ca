//! What the fuzz targets do, apart from libFuzzer, so that `cargo test` runs it too.
//!
//! ```text
//! program     the control program that is fuzzed
//! seed        values as the bytes that are decoded into them: how the corpus is written
//! frame       bytes from outside into the parser and into a live channel, in every mode
//! divergence  operations and faults over the simulated pair, judged by its oracle
//! mirror      operations on the mirrored memory, against plain bytes
//! corpus      the committed corpus, file by file
//! ```

#![forbid(unsafe_code)]

pub mod corpus;
pub mod divergence;
pub mod frame;
pub mod mirror;
pub mod program;
pub mod seed;
