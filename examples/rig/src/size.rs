//! What the library takes of a small part's flash, memory and stack: images of one program with it and without it.

use crate::budget::Budgets;
use crate::firmware::{self, Toolchain};
use crate::scenario::{Claim, claim};
use crate::stack;
use anyhow::{Context, Result};
use object::elf::SHF_ALLOC;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};
use serde_json::json;
use std::path::Path;

/// A Cortex-M0.
const SMALLEST: &str = "thumbv6m-none-eabi";
/// The optimisation levels, and the targets at the one that is for size.
const BUILDS: [(&str, &str); 4] =
    [(firmware::BOARD, "\"s\""), (firmware::BOARD, "\"z\""), (firmware::BOARD, "3"), (SMALLEST, "\"s\"")];
/// With the library, as in lockstep only and with upgrades too.
const IMAGES: [&str; 2] = ["duplex", "upgrade"];
/// What a node's frames take: two votes, and three samples in two copies each.
const FRAMES_BYTES: u32 = 8 * 96;

/// Weighs the images; returns whether each figure is within its budget.
pub(crate) fn run(json: Option<&Path>, say: &mut dyn FnMut(&str)) -> Result<bool> {
    let budgets = Budgets::of("size")?;
    let mut figures: Vec<(String, f64)> = Vec::new();
    let mut claims: Vec<Claim> = Vec::new();
    let mut deepest = Vec::new();
    for (target, level) in BUILDS {
        let toolchain = Toolchain::provide(target, say)?;
        say(&format!("building the images for {target} at opt-level {level}"));
        let folder = toolchain.size_firmware(level)?;
        let read = |image: &str| std::fs::read(folder.join(image)).with_context(|| format!("no image {image}"));
        let bare = Weight::of(&read("bare")?)?;
        for image in IMAGES {
            let elf = read(image)?;
            let weight = Weight::of(&elf)?;
            let level = level.trim_matches('"');
            let core = if target == SMALLEST { ", Cortex-M0" } else { "" };
            let of = format!("{image}, {level}{core}");
            let net = f64::from(weight.flash.saturating_sub(bare.flash));
            // One whose library the compiler has left out weighs nothing.
            let ceiling = budgets.row(&format!("flash, {of}")).map_or(f64::INFINITY, |row| row.ceiling);
            claims.push(claim(format!("{of}: the library is in it"), net > ceiling / 2.0));
            figures.push((format!("flash, {of}"), net));
            claims.push(claim(format!("{of}: no initialised data in RAM ({} B)", weight.data), weight.data == 0));
            if (target, level) == (firmware::BOARD, "s") {
                let [node, lockstep] = sizes(&elf)?;
                figures
                    .push((format!("Node beside its frames, {image}"), f64::from(node.saturating_sub(FRAMES_BYTES))));
                figures.push((format!("Lockstep, {image}"), f64::from(lockstep)));
                let found = stack::deepest(&elf, "main")?;
                figures.push((format!("deepest stack, {image}"), f64::from(found.bytes)));
                deepest.push((image, found));
            }
        }
    }
    claims.extend(budgets.claims(&figures));
    let passed = claims.iter().all(|claim| claim.held);
    print!("{}", budgets.table(&figures));
    for (image, found) in &deepest {
        println!("the deepest stack of {image}:");
        for (function, bytes) in &found.path {
            println!("  {bytes:6}  {function}");
        }
    }
    for claim in &claims {
        println!("  {} {}", if claim.held { "ok    " } else { "FAILED" }, claim.claim);
    }
    if let Some(path) = json {
        let figures: serde_json::Map<_, _> = figures.into_iter().map(|(name, figure)| (name, json!(figure))).collect();
        let report = json!({ "figures": figures, "claims": claims, "passed": passed });
        std::fs::write(path, format!("{report:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(passed)
}

/// What an image takes, in bytes.
struct Weight {
    /// All that is written into flash.
    flash: u32,
    /// Of this, what is copied into RAM at the start.
    data: u32,
}

impl Weight {
    fn of(elf: &[u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("the image is no ELF file")?;
        let (mut flash, mut data) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            let is_in_flash = sh_flags & u64::from(SHF_ALLOC) != 0 && section.kind() != SectionKind::UninitializedData;
            if is_in_flash {
                flash += section.size() as u32;
                data += if section.name() == Ok(".data") { section.size() as u32 } else { 0 };
            }
        }
        Ok(Self { flash, data })
    }
}

/// Returns what the image itself says of the sizes of its node and its run loop.
fn sizes(elf: &[u8]) -> Result<[u32; 2]> {
    let file = object::File::parse(elf).context("the image is no ELF file")?;
    let symbol = file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains("5SIZES")));
    let address = symbol.context("the image does not say its sizes")?.address();
    let bytes = file.sections().find_map(|section| section.data_range(address, 8).ok()?);
    let (words, _) = bytes.context("the image's sizes are nowhere")?.as_chunks::<4>();
    let word = |at: usize| words.get(at).map(|word| u32::from_le_bytes(*word)).context("the sizes are cut off");
    Ok([word(0)?, word(1)?])
}
