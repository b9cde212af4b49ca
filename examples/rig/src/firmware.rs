//! Builds the firmware, and looks into its image.

use crate::provision::{self, ThumbCargo};
use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol};
use std::path::{Path, PathBuf};

pub(crate) const TARGET: &str = "thumbv7m-none-eabi";

/// What builds for the boards.
pub(crate) struct Toolchain {
    cargo: ThumbCargo,
}

/// How to build the firmware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build {
    pub(crate) opt_level: &'static str,
    pub(crate) features: &'static str,
}

impl Toolchain {
    /// Finds a toolchain for the boards' target, or installs one.
    pub(crate) fn provide(say: &mut dyn FnMut(&str)) -> Result<Self> {
        Ok(Self { cargo: provision::thumb(TARGET, say)? })
    }

    /// Builds the firmware as it runs on the boards; returns the image.
    pub(crate) fn firmware(&self) -> Result<PathBuf> {
        self.build("firmware", &[], "target")
    }

    /// Builds what counts instructions on a board, with the same profile; returns the image.
    pub(crate) fn measure_firmware(&self) -> Result<PathBuf> {
        self.build("measure-firmware", &[], "target")
    }

    /// Builds a variant of the firmware without default features; returns the image.
    pub(crate) fn variant(&self, build: Build) -> Result<PathBuf> {
        let level = format!("profile.release.opt-level={}", build.opt_level);
        let arguments = ["--no-default-features", "--features", build.features, "--config", &level];
        self.build("firmware", &arguments, "target/variants")
    }

    /// Runs cargo for the boards' target in the current folder.
    pub(crate) fn run_cargo(&self, arguments: &[String]) -> Result<()> {
        let mut command = self.cargo.command();
        let status = command.args(arguments).args(["--target", TARGET]).status().context("cargo cannot be started")?;
        if !status.success() {
            bail!("cargo {} failed", arguments.join(" "));
        }
        Ok(())
    }

    /// Builds a package of the firmware's workspace, from its own folder: its `.cargo/config.toml` is there.
    fn build(&self, package: &str, arguments: &[&str], target_folder: &str) -> Result<PathBuf> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target_folder = examples.join("firmware").join(target_folder);
        let status = self
            .cargo
            .command()
            .args(["build", "--quiet", "--release", "--locked", "--target-dir"])
            .arg(&target_folder)
            .args(arguments)
            .current_dir(examples.join(package))
            .status()
            .context("cargo cannot be started")?;
        if !status.success() {
            bail!("{package} does not build");
        }
        Ok(target_folder.join(TARGET).join("release").join(package))
    }
}

/// Returns the symbols of `core::panicking` that are left in an image.
pub(crate) fn panics_in(image: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("{} is no ELF file", image.display()))?;
    let mut symbols = 0_usize;
    let mut panics = Vec::new();
    for symbol in file.symbols() {
        symbols += 1;
        let name = symbol.name().unwrap_or_default();
        if name.contains("9panicking") {
            panics.push(name.to_owned());
        }
    }
    if symbols == 0 {
        bail!("{} has no symbols to look at", image.display());
    }
    Ok(panics)
}

/// Returns where a static of this name and size lies in the board's memory.
pub(crate) fn address_of(name: &str, size: usize, elf: &[u8]) -> Result<u32> {
    let file = object::File::parse(elf).context("the firmware is no ELF file")?;
    let mut found = file
        .symbols()
        .filter(|symbol| symbol.size() == size as u64 && symbol.name().is_ok_and(|symbol| symbol.contains(name)));
    let symbol = found.next().with_context(|| format!("the firmware has no {name} of {size} bytes"))?;
    Ok(symbol.address() as u32)
}

/// Shows that the release image is free of panics at both optimisation levels, and that a
/// firmware with one reachable panic is found.
pub(crate) fn check_panic_free(toolchain: &Toolchain) -> Result<bool> {
    let mut holds = true;
    for opt_level in ["\"s\"", "3"] {
        for (features, expected) in [("", false), ("one-panic", true)] {
            let image = toolchain.variant(Build { opt_level, features })?;
            let panics = panics_in(&image)?;
            let found = !panics.is_empty();
            let what = if expected { "control with one panic" } else { "release firmware" };
            println!("opt-level {opt_level}, {what}: {} symbols of core::panicking {panics:?}", panics.len());
            holds &= found == expected;
        }
    }
    println!("  {} no panic reachable", if holds { "ok    " } else { "FAILED" });
    Ok(holds)
}
