//! Lets the linker find each core's memory map, and the section that both cores see.

fn main() {
    let here = env!("CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-search={here}");
    for core in ["core0", "core1"] {
        println!("cargo::rustc-link-arg-bin={core}=-L{here}/{core}");
        println!("cargo::rerun-if-changed={core}/memory.x");
    }
    println!("cargo::rerun-if-changed=shared.x");
}
