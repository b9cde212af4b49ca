//! Tells the workloads how they were optimised, for the report: code cannot see it otherwise.

fn main() {
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=WORKLOADS_OPT_LEVEL={level}");
    println!("cargo::rerun-if-changed=build.rs");
}
