//! Builds the firmware, and looks into its image.

use crate::provision::{self, ThumbCargo};
use crate::upgrade::Flavour;
use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol, SymbolKind};
use std::path::{Path, PathBuf};

/// The target of the boards, a Cortex-M3 each.
pub(crate) const BOARD: &str = "thumbv7m-none-eabi";
/// The target of the chip with two cores, Cortex-M33 both.
pub(crate) const TWO_CORES: &str = "thumbv8m.main-none-eabi";
/// The target of a board of another make.
pub(crate) const RISC_V: &str = "riscv32imac-unknown-none-elf";
/// Every target that the library is built for here: beside those a Cortex-M0, which has no compare-and-swap, and RISC-V.
pub(crate) const TARGETS: [&str; 4] = [BOARD, TWO_CORES, "thumbv6m-none-eabi", RISC_V];

/// What builds for one target.
pub(crate) struct Toolchain {
    cargo: ThumbCargo,
    target: String,
}

/// The images of the boards' firmware.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    folder: PathBuf,
}

impl Images {
    /// Returns version 1.
    pub(crate) fn old(&self) -> PathBuf {
        self.folder.join("firmware")
    }

    /// Returns a version 2.
    pub(crate) fn of(&self, flavour: Flavour) -> PathBuf {
        self.folder.join(flavour.image())
    }

    /// Returns version 1 with a clock and UARTs of its own.
    pub(crate) fn real_time(&self) -> PathBuf {
        self.folder.join("real-time")
    }

    /// Returns one that goes wrong and does not compare: a negative control.
    pub(crate) fn blind(&self) -> PathBuf {
        self.folder.join("blind")
    }
}

/// Which images of the firmware are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bins {
    /// Version 1, in virtual time.
    Version1,
    /// Every one.
    AllVersions,
    /// Version 1 with a clock and UARTs of its own.
    RealTime,
}

/// How to build the firmware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build {
    pub(crate) opt_level: &'static str,
    pub(crate) features: &'static str,
}

impl Toolchain {
    /// Finds a toolchain for a target, or installs one.
    pub(crate) fn provide(target: &str, say: &mut dyn FnMut(&str)) -> Result<Self> {
        Ok(Self { cargo: provision::thumb(target, say)?, target: target.to_owned() })
    }

    /// Builds the firmware as it runs on the boards; returns the images.
    pub(crate) fn firmware(&self, bins: Bins) -> Result<Images> {
        let images: &[&str] = match bins {
            Bins::Version1 => &["--bin", "firmware"],
            Bins::AllVersions => &["--bins"],
            Bins::RealTime => &["--bin", "real-time"],
        };
        Ok(Images { folder: self.build("firmware", images, "target")? })
    }

    /// Builds what counts instructions on a board, at an optimisation level; returns the image.
    pub(crate) fn measure_firmware(&self, opt_level: &str) -> Result<PathBuf> {
        let level = format!("profile.release.opt-level={opt_level}");
        Ok(self.build("measure-firmware", &["--config", &level], "target/variants")?.join("measure-firmware"))
    }

    /// Builds the images that are weighed, at an optimisation level; returns their folder.
    pub(crate) fn size_firmware(&self, opt_level: &str) -> Result<PathBuf> {
        let level = format!("profile.release.opt-level={opt_level}");
        self.build("size-firmware", &["--bins", "--config", &level], "target/variants")
    }

    /// Builds what prints the digests that must be the same everywhere; returns the image.
    pub(crate) fn congruence_firmware(&self, arguments: &[&str]) -> Result<PathBuf> {
        let folder = if arguments.is_empty() { "target" } else { "target/variants" };
        Ok(self.build("congruence-firmware", arguments, folder)?.join("congruence-firmware"))
    }

    /// Builds the images of a chip's two cores with these features; returns both.
    pub(crate) fn dual_firmware(&self, features: &str) -> Result<[PathBuf; 2]> {
        let target_folder = if features.is_empty() { "target" } else { "target/variants" };
        let folder = self.build("dual-firmware", &["--features", features], target_folder)?;
        Ok(["core0", "core1"].map(|image| folder.join(image)))
    }

    /// Builds a variant of the firmware without default features; returns the images.
    pub(crate) fn variant(&self, build: Build) -> Result<Images> {
        let level = format!("profile.release.opt-level={}", build.opt_level);
        let arguments = ["--no-default-features", "--features", build.features, "--config", &level];
        Ok(Images { folder: self.build("firmware", &arguments, "target/variants")? })
    }

    /// Builds the images of a chip's two cores at an optimisation level; returns both.
    fn dual_variant(&self, opt_level: &str) -> Result<[PathBuf; 2]> {
        let level = format!("profile.release.opt-level={opt_level}");
        let folder = self.build("dual-firmware", &["--config", &level], "target/variants")?;
        Ok(["core0", "core1"].map(|image| folder.join(image)))
    }

    /// Runs cargo for the target in the current folder.
    pub(crate) fn run_cargo(&self, arguments: &[String]) -> Result<()> {
        let mut command = self.cargo.command();
        let status =
            command.args(arguments).args(["--target", &self.target]).status().context("cargo cannot be started")?;
        if !status.success() {
            bail!("cargo {} failed", arguments.join(" "));
        }
        Ok(())
    }

    /// Builds a package of the firmware's workspace, from its own folder: its `.cargo/config.toml` is there. Returns the
    /// folder with its images.
    fn build(&self, package: &str, arguments: &[&str], target_folder: &str) -> Result<PathBuf> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target_folder = examples.join("firmware").join(target_folder);
        let status = self
            .cargo
            .command()
            .args(["build", "--quiet", "--release", "--locked", "--target", &self.target, "--target-dir"])
            .arg(&target_folder)
            .args(arguments)
            .current_dir(examples.join(package))
            .status()
            .context("cargo cannot be started")?;
        if !status.success() {
            bail!("{package} does not build");
        }
        Ok(target_folder.join(&self.target).join("release"))
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

/// Returns the address of a symbol of exactly this name.
pub(crate) fn symbol(name: &str, elf: &[u8]) -> Result<u32> {
    let file = object::File::parse(elf).context("the firmware is no ELF file")?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
    Ok(symbol.with_context(|| format!("the firmware has no {name}"))?.address() as u32)
}

/// Returns the address of the first instruction of a function of this project, by its name without its path;
/// `module::name` if several modules have one of that name.
pub(crate) fn function(name: &str, elf: &[u8]) -> Option<u32> {
    let file = object::File::parse(elf).ok()?;
    let symbol = file.symbols().find(|symbol| {
        let path = path_of(symbol);
        let is_ours = ["twinstep", "tank", "board"].iter().any(|krate| path.contains(krate));
        symbol.kind() == SymbolKind::Text && is_ours && is_named(&path, name)
    })?;
    Some(symbol.address() as u32 & !1) // without the mark of Thumb code
}

/// Returns the name of the function that an address lies in, without its path.
pub(crate) fn function_at(address: u32, elf: &[u8]) -> Option<String> {
    let file = object::File::parse(elf).ok()?;
    let symbol = file.symbols().find(|symbol| {
        let start = symbol.address() & !1; // of Thumb code
        symbol.kind() == SymbolKind::Text && (start..start + symbol.size()).contains(&address.into())
    })?;
    Some(last_part(&path_of(&symbol)).to_owned())
}

/// Whether a path is that of a function of this name.
pub(crate) fn is_named(path: &str, name: &str) -> bool {
    match name.rsplit_once("::") {
        Some((of, name)) => last_part(path) == name && path.contains(of),
        None => last_part(path) == name,
    }
}

fn path_of<'d>(symbol: &impl ObjectSymbol<'d>) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()))
}

/// Returns the last part of a path, without what it is generic over.
fn last_part(path: &str) -> &str {
    // From behind: what is generic in front of it has paths of its own.
    let path = path.strip_suffix('>').and_then(|path| Some(path.split_once("::<")?.0)).unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

/// Shows that the release images, of the boards and of the two cores, are free of panics at both optimisation levels,
/// and that a firmware with one reachable panic is found.
pub(crate) fn check_panic_free(say: &mut dyn FnMut(&str)) -> Result<bool> {
    let (toolchain, two_cores) = (Toolchain::provide(BOARD, say)?, Toolchain::provide(TWO_CORES, say)?);
    let mut holds = true;
    for opt_level in ["\"s\"", "3"] {
        for (core, image) in two_cores.dual_variant(opt_level)?.iter().enumerate() {
            let panics = panics_in(image)?;
            println!("opt-level {opt_level}, core {core}: {} symbols of core::panicking {panics:?}", panics.len());
            holds &= panics.is_empty();
        }
        for (features, expected) in [("", false), ("one-panic", true)] {
            let images = toolchain.variant(Build { opt_level, features })?;
            let what = if expected { "control with one panic" } else { "release firmware" };
            let versions_2 = Flavour::ALL.map(|flavour| (flavour.image(), images.of(flavour)));
            for (version, image) in std::iter::once(("v1", images.old())).chain(versions_2) {
                let panics = panics_in(&image)?;
                let (found, count) = (!panics.is_empty(), panics.len());
                println!("opt-level {opt_level}, {what}, {version}: {count} symbols of core::panicking {panics:?}");
                holds &= found == expected;
            }
        }
    }
    println!("  {} no panic reachable", if holds { "ok    " } else { "FAILED" });
    Ok(holds)
}

#[cfg(test)]
mod tests {
    use super::{is_named, last_part};

    #[test]
    fn a_function_is_named_without_its_path_and_types() {
        for (path, name) in [
            ("twinstep::mirror::Mirror<T>::commit", "commit"),
            ("twinstep::node::cycle::<impl twinstep::node::Node<P,_>>::step_both", "step_both"),
            ("<board::clock::SysTickClock<S> as twinstep_hal::clock::Clock>::wait_until", "wait_until"),
            ("twinstep::canonical::decode::<tank::Reading>", "decode"),
            ("SysTick", "SysTick"),
        ] {
            assert_eq!(last_part(path), name);
        }
    }

    #[test]
    fn a_name_may_say_in_which_module() {
        let sends = ["board::field::Inner<U>::send", "<twinstep_hal::lockstep::Lockstep<P, L, A>>::send::<C>"];
        assert_eq!(sends.map(|path| is_named(path, "send")), [true; 2]);
        assert_eq!(sends.map(|path| is_named(path, "board::field::send")), [true, false]);
        assert!(!is_named("board::field::Inner<U>::listened", "board::field::send"));
    }
}
