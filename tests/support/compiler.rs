//! The compiler, with the library that this test was built against.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

pub const CASES: &str = "tests/compile_fail";
const SOUND: &str = "tests/compile_fail/sound/all_of_it.rs";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn version() -> String {
    let version = Command::new("rustc").arg("--version").output().unwrap().stdout;
    String::from_utf8_lossy(&version).into_owned()
}

pub struct Compiler {
    /// Where the built crates are.
    crates: PathBuf,
    twinstep: PathBuf,
    zerocopy: PathBuf,
}

impl Compiler {
    /// Finds the crates beside this test: of several builds the newest that the sound program compiles with.
    pub fn new() -> Self {
        let test = env::current_exe().unwrap();
        let crates = test.parent().unwrap().to_path_buf();
        let mut complaints = String::new();
        for twinstep in newest_first(&crates, "libtwinstep-") {
            for zerocopy in newest_first(&crates, "libzerocopy-") {
                let compiler = Self { crates: crates.clone(), twinstep: twinstep.clone(), zerocopy };
                match compiler.check(Path::new(SOUND)) {
                    Ok(()) => return compiler,
                    Err(complaint) => complaints.push_str(&complaint),
                }
            }
        }
        panic!("{SOUND} compiles with no library in {}:\n{complaints}", crates.display());
    }

    /// Checks a program; else returns what the compiler says.
    pub fn check(&self, program: &Path) -> Result<(), String> {
        let mut rustc = Command::new("rustc");
        rustc.current_dir(root()).args(["--edition", "2024", "--crate-type", "bin", "--emit", "obj"]);
        rustc.arg("-o").arg(self.crates.join("compile-fail.o"));
        for (name, path) in [("twinstep", &self.twinstep), ("zerocopy", &self.zerocopy)] {
            rustc.arg("--extern").arg(format!("{name}={}", path.display()));
        }
        // Built for another target, this one's macros are where the host's crates are.
        let of_host = self.crates.join("../../../debug/deps");
        for folder in [&self.crates, &of_host] {
            rustc.arg("-L").arg(format!("dependency={}", folder.display()));
        }
        let output = rustc.arg(program).output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

fn newest_first(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let is_library = |name: &str| name.starts_with(prefix) && name.ends_with(".rlib");
    let libraries = entries.filter(|entry| is_library(&entry.file_name().to_string_lossy()));
    let mut dated: Vec<(SystemTime, PathBuf)> =
        libraries.map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path())).collect();
    dated.sort();
    dated.into_iter().rev().map(|(_, path)| path).collect()
}
