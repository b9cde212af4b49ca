//! Gets what the rig needs onto this machine: a cargo that builds for Cortex-M, and programs such as QEMU.
//!
//! Where rustup can download, one command adds the target. Where it cannot, as on a closed network with a mirror of
//! Debian's packages, the pieces of a toolchain are among these: a compiler and the source of `core`. They are
//! unpacked into a cache folder, never installed, and `core` is built once.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{last_line, run, tool};
use anyhow::{Context, bail};

/// The name under which rustup knows the toolchain made of packages.
const LINKED: &str = "twinstep-thumb";
/// Debian's Rust for building browsers, the one that stable releases keep up to date.
const COMPILER: &str = "rustc-web";
const COMPILER_PACKAGES: [&str; 3] = [COMPILER, "rust-web-src", "libstd-rust-web-dev"];
/// The oldest Rust that compiles this project.
const OLDEST_RELEASE: (u32, u32) = (1, 88);
const LIBRARIES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// For commands that only look something up; long, since a first call may find cold disks.
const LOOKUP_LIMIT: Duration = Duration::from_secs(60);
/// A closed network may swallow packets rather than refuse them.
const TARGET_ADD_LIMIT: Duration = Duration::from_secs(120);
/// For commands that download or build.
const WORK_LIMIT: Duration = Duration::from_secs(1800);
/// A cargo that can build for Cortex-M.
#[derive(Clone, Debug)]
pub(crate) struct ThumbCargo {
    /// None: the active toolchain.
    toolchain: Option<&'static str>,
}

impl ThumbCargo {
    const ACTIVE: ThumbCargo = ThumbCargo { toolchain: None };
    const LINKED: ThumbCargo = ThumbCargo { toolchain: Some(LINKED) };

    /// Starts a `cargo` command line; arguments and the folder are the caller's to add.
    pub(crate) fn command(&self) -> Command {
        self.proxy("cargo")
    }

    fn proxy(&self, program: &str) -> Command {
        let mut command = tool(program);
        if let Some(toolchain) = self.toolchain {
            command.arg(format!("+{toolchain}"));
        }
        command
    }

    /// Whether its compiler finds a `core` for the target. Without one, `--print` still names a folder.
    fn has(&self, target: &str) -> bool {
        let mut rustc = self.proxy("rustc");
        rustc.args(["--print", "target-libdir", "--target", target]);
        run(&mut rustc, LOOKUP_LIMIT).is_ok_and(|folder| holds_core(Path::new(folder.trim())))
    }

    fn sysroot(&self) -> anyhow::Result<PathBuf> {
        let mut rustc = self.proxy("rustc");
        rustc.args(["--print", "sysroot"]);
        Ok(PathBuf::from(run(&mut rustc, LOOKUP_LIMIT)?.trim()))
    }
}

/// Finds or makes a cargo that builds for `target`, and says what it is doing where that takes time.
///
/// # Errors
/// When neither rustup nor Debian's packages could provide the target; the first line says what to install.
pub(crate) fn thumb(target: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<ThumbCargo> {
    if ThumbCargo::ACTIVE.has(target) {
        return Ok(ThumbCargo::ACTIVE);
    }
    // Before rustup: this toolchain exists only where rustup has failed, and failing may take minutes.
    if ThumbCargo::LINKED.has(target) {
        // What it borrows from the active toolchain has moved if that was updated to another release.
        if let Err(error) = ThumbCargo::LINKED.sysroot().and_then(|sysroot| lend_tools(&sysroot)) {
            say(&format!("{LINKED} keeps its older tools: {error}"));
        }
        return Ok(ThumbCargo::LINKED);
    }
    say(&format!("adding {target} with rustup"));
    let added = run(tool("rustup").args(["target", "add", target]), TARGET_ADD_LIMIT);
    match added {
        Ok(_) if ThumbCargo::ACTIVE.has(target) => return Ok(ThumbCargo::ACTIVE),
        Ok(_) => say("rustup added it to a toolchain that is not the active one"),
        Err(error) => say(&format!("rustup cannot: {}", last_line(&error))),
    }
    from_packages(target, say).with_context(|| {
        format!(
            "no Rust toolchain here builds for {target}: run `rustup target add {target}` where \
             the network allows it, or run this on Debian 12 as root with its package archive"
        )
    })?;
    Ok(ThumbCargo::LINKED)
}

/// Finds a program such as QEMU, or installs it where this process may.
///
/// # Errors
/// When it is neither on the path nor could be installed; the first line says what to install.
pub(crate) fn program(program: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
    if let Some(found) = on_path(program) {
        return Ok(found);
    }
    let package = package_of(program);
    let advice =
        || format!("{program} is not on the PATH: install it (Debian, Ubuntu: `apt-get install {package}` as root)");
    if on_path("apt-get").is_none() || !is_root() {
        bail!("{}", advice());
    }
    refresh_package_lists(say);
    say(&format!("installing {package}"));
    run(tool("apt-get").args(["install", "-y", "--no-install-recommends", package]), WORK_LIMIT)
        .with_context(advice)?;
    on_path(program).with_context(advice)
}

/// Finds cargo-fuzz and the C++ compiler that builds its library, or installs them.
///
/// # Errors
/// When one of them is neither there nor could be installed; the first line says what to install.
pub(crate) fn cargo_fuzz(say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    program("g++", say)?;
    // Cargo finds it beside itself, too, where that is not on the path.
    if run(tool("cargo").args(["fuzz", "--version"]), LOOKUP_LIMIT).is_ok() {
        return Ok(());
    }
    say("installing cargo-fuzz");
    run(tool("cargo").args(["install", "cargo-fuzz", "--locked"]), WORK_LIMIT)
        .context("there is no cargo-fuzz: run `cargo install cargo-fuzz --locked`")?;
    Ok(())
}

/// The Debian package of a program. It puts the rarer emulated processors together into one.
fn package_of(program: &str) -> &str {
    match program {
        "qemu-system-riscv32" | "qemu-system-riscv64" => "qemu-system-misc",
        package => package,
    }
}

/// Makes the linked toolchain, as far as an earlier run has not.
///
/// Safe to interrupt anywhere: whatever is incomplete has the name of its process in its own, and takes its final
/// name in one step.
fn from_packages(target: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg-query", "dpkg-deb", "rustup"] {
        if on_path(program).is_none() {
            bail!("Debian's Rust packages cannot be used without {program}");
        }
    }
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    remove_leftovers(&cache);
    let tree = cache.join("thumb-toolchain");
    let sysroot = tree.join("usr");
    if !sysroot.join("bin/rustc").is_file() {
        unpack(&cache, &tree, say)?;
    }
    lend_tools(&sysroot)?;
    let mut link = tool("rustup");
    link.args(["toolchain", "link", LINKED]).arg(&sysroot);
    run(&mut link, LOOKUP_LIMIT)?;
    build_core(target, &cache, &sysroot, say)?;
    if !ThumbCargo::LINKED.has(target) {
        bail!("the toolchain in {} is not usable", tree.display());
    }
    Ok(())
}

/// Unpacks the compiler and the source of its library into `tree`.
fn unpack(cache: &Path, tree: &Path, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    refresh_package_lists(say);
    let policy = run(tool("apt-cache").args(["policy", COMPILER]), LOOKUP_LIMIT)?;
    let version = candidate(&policy)
        .with_context(|| format!("the package lists have no {COMPILER}: `apt-get update` as root may bring it"))?;
    if release(version).is_none_or(|release| release < OLDEST_RELEASE) {
        let (major, minor) = OLDEST_RELEASE;
        bail!("{COMPILER} is {version}, older than {major}.{minor}: add Debian's security archive");
    }
    let installed = run(tool("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Package}\\n"]), LOOKUP_LIMIT)?;
    let packages = packages_to_unpack(&installed_packages(&installed))?;

    let scratch = Scratch::new(cache, "thumb-toolchain")?;
    let debs = scratch.folder("debs")?;
    let unpacked = scratch.folder("tree")?;
    say(&format!("downloading Debian's Rust {version}"));
    let mut download = tool("apt-get");
    download.args(["download", "-q"]).args(&packages);
    run(download.current_dir(&debs), WORK_LIMIT)?;
    say("unpacking it");
    for deb in listing(&debs) {
        let mut extract = tool("dpkg-deb");
        extract.arg("-x").arg(deb).arg(&unpacked);
        run(&mut extract, WORK_LIMIT)?;
    }
    link_libraries(&unpacked)?;

    let mut version_check = Command::new(unpacked.join("usr/bin/rustc"));
    version_check.arg("-vV");
    version_check.env("LD_LIBRARY_PATH", unpacked.join("usr/lib"));
    run(&mut version_check, LOOKUP_LIMIT).context("the unpacked compiler does not start")?;
    replace(&unpacked, tree)
}

/// The compiler, the source of its library, and each shared library that they need and this system lacks.
fn packages_to_unpack(installed: &BTreeSet<&str>) -> anyhow::Result<Vec<String>> {
    let mut packages: BTreeSet<String> = COMPILER_PACKAGES.map(String::from).into();
    let mut fresh: Vec<String> = packages.iter().cloned().collect();
    // Ends: every turn asks only for packages that no turn before it has asked for.
    while !fresh.is_empty() {
        let listing = run(tool("apt-cache").arg("depends").args(&fresh), LOOKUP_LIMIT)?;
        fresh = dependencies(&listing)
            .into_iter()
            .filter(|name| is_needed(name, installed))
            .map(String::from)
            .filter(|name| packages.insert(name.clone()))
            .collect();
    }
    Ok(packages.into_iter().collect())
}

/// The compiler's own libraries are always taken, since they must be of its version and stand in its tree.
fn is_needed(package: &str, installed: &BTreeSet<&str>) -> bool {
    let of_the_compiler = package.starts_with("libstd-rust-web") || package.starts_with("libllvm");
    let shared_library = package.starts_with("lib") && !package.ends_with("-dev");
    of_the_compiler || (shared_library && !installed.contains(package))
}

/// The packages that the output of `apt-cache depends` names, without virtual ones.
fn dependencies(listing: &str) -> Vec<&str> {
    listing.lines().filter_map(dependency).collect()
}

fn dependency(line: &str) -> Option<&str> {
    // A bar marks alternatives; taking all of them is more than needed, and no harm.
    let line = line.trim_start().trim_start_matches('|');
    let name = line.strip_prefix("Depends: ").or_else(|| line.strip_prefix("PreDepends: "))?;
    let name = name.split(':').next().unwrap_or(name).trim_end();
    (!name.starts_with('<')).then_some(name)
}

/// The version that `apt-cache policy` of one package says it would install.
fn candidate(policy: &str) -> Option<&str> {
    policy
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("Candidate: "))
        .map(str::trim_end)
        .filter(|version| *version != "(none)")
}

/// The first two numbers of a package version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor))
}

/// The packages that a listing of status and name calls installed.
fn installed_packages(listing: &str) -> BTreeSet<&str> {
    listing.lines().filter_map(|line| line.strip_prefix("installed ")).collect()
}

/// Rustup puts a toolchain's `lib` on the library path, and nothing below it: the shared libraries must stand there.
/// The links are relative, since the tree moves once it is complete.
fn link_libraries(tree: &Path) -> anyhow::Result<()> {
    let lib = tree.join("usr/lib");
    for (folder, way) in [("usr/lib", ""), ("lib", "../../lib/")] {
        for architecture in listing(&tree.join(folder)) {
            for file in listing(&architecture) {
                let (Some(architecture), Some(name)) = (name_of(&architecture), name_of(&file)) else {
                    continue;
                };
                let library = name.starts_with("lib") && name.contains(".so");
                let link = lib.join(name);
                if library && link.symlink_metadata().is_err() {
                    let original = format!("{way}{architecture}/{name}");
                    symlink(original, &link).with_context(|| format!("cannot link {}", link.display()))?;
                }
            }
        }
    }
    Ok(())
}

/// Lends the active toolchain's linker and cargo to the one made of packages, which has neither: Debian's cargo needs
/// more libraries, and rustup's stand-in for a missing one exists only beside a channel called stable, beta or nightly.
///
/// Links, not copies: the linker finds its own libraries from where it really is.
fn lend_tools(sysroot: &Path) -> anyhow::Result<()> {
    let active = ThumbCargo::ACTIVE.sysroot()?;
    if active == sysroot {
        return Ok(());
    }
    let version = run(tool("rustc").arg("-vV"), LOOKUP_LIMIT)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    for file in [format!("lib/rustlib/{host}/bin/rust-lld"), String::from("bin/cargo")] {
        let original = active.join(&file);
        let link = sysroot.join(&file);
        if !original.is_file() {
            bail!("the active Rust toolchain has no {}", original.display());
        }
        match fs::read_link(&link) {
            Ok(linked) if linked == original => continue,
            Ok(_) => fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?,
            // Not ours to replace: somebody's own, complete toolchain has the name.
            Err(_) if link.exists() => continue,
            Err(_) => create_parent(&link)?,
        }
        symlink(&original, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}

/// Builds `core` and `alloc` for the target and puts them where the compiler looks for them.
fn build_core(target: &str, cache: &Path, sysroot: &Path, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let installed = sysroot.join("lib/rustlib").join(target).join("lib");
    if holds_core(&installed) {
        return Ok(());
    }
    say(&format!("building the core library for {target}, once"));
    let scratch = Scratch::new(cache, "core")?;
    let package = scratch.folder("package")?;
    let built = scratch.folder("built")?;
    let libraries = scratch.folder("lib")?;
    // The empty workspace table keeps cargo from looking for a workspace above the cache folder.
    let manifest = "[package]\nname = \"core-only\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";
    write(&package.join("Cargo.toml"), manifest)?;
    create_parent(&package.join("src/lib.rs"))?;
    write(&package.join("src/lib.rs"), "#![no_std]\n")?;

    let mut cargo = ThumbCargo::LINKED.command();
    cargo
        .args(["build", "--quiet", "--release", "-Zbuild-std=core,alloc"])
        .args(["--target", target, "--target-dir"])
        .arg(&built)
        .current_dir(&package)
        .env("RUSTC_BOOTSTRAP", "1")
        // Without bitcode in it, firmware cannot use link-time optimisation.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    run(&mut cargo, WORK_LIMIT).context("cannot build the core library")?;
    for library in LIBRARIES {
        let rlib = find_rlib(&built.join(target), library)
            .with_context(|| format!("cargo built no {library} for {target}"))?;
        let name = rlib.file_name().unwrap_or_default();
        fs::copy(&rlib, libraries.join(name)).with_context(|| format!("cannot copy {}", rlib.display()))?;
    }
    replace(&libraries, &installed)
}

fn holds_core(folder: &Path) -> bool {
    listing(folder).iter().any(|file| is_rlib(file, "core"))
}

fn is_rlib(file: &Path, library: &str) -> bool {
    name_of(file)
        .and_then(|name| name.strip_prefix("lib")?.strip_prefix(library))
        .is_some_and(|rest| rest.starts_with('-') && rest.ends_with(".rlib"))
}

/// Looks in all folders below: where cargo puts what it builds has changed before.
fn find_rlib(folder: &Path, library: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in listing(&folder) {
            if is_rlib(&entry, library) {
                return Some(entry);
            }
            if entry.is_dir() && !entry.is_symlink() {
                folders.push(entry);
            }
        }
    }
    None
}

/// As root, asks for current package lists. Failing is no reason to stop: the lists of an earlier time may do.
fn refresh_package_lists(say: &mut dyn FnMut(&str)) {
    if !is_root() {
        return;
    }
    say("updating the package lists");
    if let Err(error) = run(tool("apt-get").args(["update", "-q"]), WORK_LIMIT) {
        say(&format!("apt-get update: {}", last_line(&error)));
    }
}

fn is_root() -> bool {
    run(tool("id").arg("-u"), LOOKUP_LIMIT).is_ok_and(|id| id.trim() == "0")
}

fn cache_folder() -> anyhow::Result<PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let base = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let base = base.context("neither XDG_CACHE_HOME nor HOME names a folder for the toolchain")?;
    Ok(base.join("twinstep"))
}

const LEFTOVER_MARK: &str = ".partial-";

/// A folder for what is not complete yet; gone with this value.
struct Scratch(PathBuf);

impl Scratch {
    /// In `cache`, so that what was made in it can be moved out in one step.
    fn new(cache: &Path, purpose: &str) -> anyhow::Result<Self> {
        let process = std::process::id();
        let scratch = Scratch(cache.join(format!("{purpose}{LEFTOVER_MARK}{process}")));
        // An interrupted process may have had this number before.
        let _ = fs::remove_dir_all(&scratch.0);
        Ok(scratch)
    }

    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.0.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what interrupted processes have left, and nothing of those that still run.
fn remove_leftovers(cache: &Path) {
    for folder in listing(cache) {
        let process = name_of(&folder).and_then(|name| name.rsplit_once(LEFTOVER_MARK));
        if process.is_some_and(|(_, number)| !Path::new("/proc").join(number).exists()) {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// Gives a complete folder its final name. What stands under that name is incomplete, or it would not be replaced.
fn replace(complete: &Path, place: &Path) -> anyhow::Result<()> {
    create_parent(place)?;
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::rename(complete, place).with_context(|| format!("cannot create {}", place.display()))
}

fn create_parent(file: &Path) -> anyhow::Result<()> {
    let Some(parent) = file.parent() else {
        return Ok(());
    };
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What is in a folder, in the order of the names; nothing if it cannot be read.
fn listing(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name().and_then(OsStr::to_str)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0))
}

#[cfg(test)]
mod tests {
    use super::{
        LEFTOVER_MARK, Scratch, candidate, dependencies, installed_packages, is_needed, is_rlib, link_libraries,
        release, remove_leftovers,
    };
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_dependencies_of_a_package_listing_are_found() {
        let listing = "\
libllvm22
  Depends: libc6
  Depends: libz3-4
 |Depends: libfirst
  Depends: libsecond:any
  Depends: <libvirtual>
    libprovider
  PreDepends: libearly
  Conflicts: <rustup>
  Recommends: librecommended
  Replaces: libreplaced
    libreplaced
";
        assert_eq!(dependencies(listing), ["libc6", "libz3-4", "libfirst", "libsecond", "libearly"]);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn only_missing_shared_libraries_are_needed_besides_the_compiler() {
        let installed = installed_packages("installed libc6\nconfig-files libz3-4\ninstalled libllvm22\n");
        assert!(!is_needed("libc6", &installed));
        assert!(is_needed("libz3-4", &installed));
        assert!(is_needed("libllvm22", &installed));
        assert!(is_needed("libstd-rust-web-1.96", &installed));
        assert!(!is_needed("libc6-dev", &installed));
        assert!(!is_needed("gcc", &installed));
    }

    #[test]
    fn the_candidate_version_is_found() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(candidate(policy), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate("rustc-web:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn releases_compare_as_numbers() {
        assert_eq!(release("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert!(release("1.100.0") > release("1.96.0"));
        assert_eq!(release("unknown"), None);
    }

    #[test]
    fn a_library_is_known_by_its_whole_name() {
        assert!(is_rlib(Path::new("x/libcore-4c70.rlib"), "core"));
        assert!(!is_rlib(Path::new("x/libcore-4c70.rmeta"), "core"));
        assert!(!is_rlib(Path::new("x/libcore_extra-4c70.rlib"), "core"));
        assert!(!is_rlib(Path::new("x/core-4c70.rlib"), "core"));
    }

    #[test]
    fn leftovers_of_dead_processes_are_removed() -> anyhow::Result<()> {
        let cache = Scratch::new(&std::env::temp_dir(), "twinstep-leftovers")?;
        // No process has the number 0.
        let stale = cache.folder(&format!("core{LEFTOVER_MARK}0"))?;
        let finished = cache.folder("thumb-toolchain")?;
        remove_leftovers(&cache.0);
        assert!(!stale.exists());
        assert!(finished.exists());
        Ok(())
    }

    #[test]
    fn shared_libraries_of_both_folders_are_linked() -> anyhow::Result<()> {
        let tree = Scratch::new(&std::env::temp_dir(), "twinstep-links")?;
        fs::write(tree.folder("usr/lib/some-arch")?.join("liba.so.1"), "a")?;
        fs::write(tree.folder("lib/some-arch")?.join("libb.so.2"), "b")?;
        fs::write(tree.folder("usr/lib/some-arch")?.join("notes.txt"), "")?;
        link_libraries(&tree.0)?;
        link_libraries(&tree.0)?;
        let lib = tree.0.join("usr/lib");
        assert_eq!(fs::read_to_string(lib.join("liba.so.1"))?, "a");
        assert_eq!(fs::read_to_string(lib.join("libb.so.2"))?, "b");
        assert!(!lib.join("notes.txt").exists());
        Ok(())
    }
}
