//! Lets the linker find the memory map of the board that the target stands for.

fn main() {
    let here = env!("CARGO_MANIFEST_DIR");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-link-search={here}/{target}");
    println!("cargo::rerun-if-changed={target}/memory.x");
}
