//! Counts the instructions of the workloads: on an emulated board by its clock, on the host by callgrind.

use crate::process;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use workloads::Workload;

/// A board that hangs is stopped; the whole run takes a second.
const LIMIT: Duration = Duration::from_secs(120);
/// What callgrind counts in: the function of the host program that calls each loop.
const COUNTED: &str = "*::counted";

/// What was counted on one platform.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) opt_level: String,
    /// Digest of what the workloads computed.
    pub(crate) digest: u32,
    counts: Vec<Count>,
}

#[derive(Clone, Debug)]
struct Count {
    workload: String,
    repetitions: u32,
    /// Instructions of all repetitions, and of the same loop without the operation.
    instructions: [u64; 2],
}

impl Counts {
    /// Counts on an emulated Cortex-M3: an instruction takes a nanosecond there, whatever the host does.
    pub(crate) fn on_board(qemu: &Path, image: &Path) -> Result<Self> {
        let mut board = Command::new(qemu);
        board
            .args(["-M", "mps2-an385", "-icount", "shift=0", "-display", "none", "-monitor", "none"])
            .args(["-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image);
        Self::parse(&process::run(&mut board, LIMIT)?, || bail!("the board names its counts"))
    }

    /// Counts on the host, in a program that runs the same workloads.
    pub(crate) fn on_host(valgrind: &Path, program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder for the counts")?;
        let part = folder.path().join("part");
        let mut host = Command::new(valgrind);
        host.args(["--tool=callgrind", "--collect-atstart=no"])
            .args(["toggle-collect", "dump-after"].map(|option| format!("--{option}={COUNTED}")))
            .arg(format!("--callgrind-out-file={}", part.display()))
            .arg(program);
        let text = process::run(&mut host, LIMIT)?;
        // Callgrind numbers its files from one, in the order of the calls.
        let mut parts = (1_u32..).map(|number| total(&part.with_extension(number.to_string())));
        Self::parse(&text, || parts.next().context("no more counts")?)
    }

    /// Returns how many instructions one operation takes.
    pub(crate) fn figure(&self, workload: Workload) -> Result<f64> {
        self.named(&workload.to_string())
    }

    /// Returns the same by the workload's name.
    pub(crate) fn named(&self, name: &str) -> Result<f64> {
        let found = self.figures().find(|(workload, _)| *workload == name);
        found.map(|(_, figure)| figure).with_context(|| format!("`{name}` was not counted"))
    }

    /// Returns the name and the figure of each workload, in the order in which they ran.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (&String, f64)> {
        self.counts.iter().map(|count| {
            let [with, without] = count.instructions.map(|instructions| instructions as f64);
            (&count.workload, (with - without) / f64::from(count.repetitions))
        })
    }

    /// Reads what both programs write: fields between tabs. `count` gives the next count where
    /// the program does not name it.
    pub(crate) fn parse(text: &str, mut count: impl FnMut() -> Result<u64>) -> Result<Self> {
        let mut counts = Self::default();
        for line in text.lines() {
            let unknown = || format!("cannot read the line `{line}`");
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["opt-level", level] => counts.opt_level = level.to_owned(),
                ["digest", digest] => counts.digest = digest.parse().with_context(unknown)?,
                [workload, repetitions, ref named @ ..] => counts.counts.push(Count {
                    workload: workload.to_owned(),
                    repetitions: repetitions.parse().with_context(unknown)?,
                    instructions: match named {
                        [with, without] => {
                            [with.parse().with_context(unknown)?, without.parse().with_context(unknown)?]
                        }
                        _ => [count()?, count()?],
                    },
                }),
                _ => bail!(unknown()),
            }
        }
        Ok(counts)
    }
}

/// Reads the sum of one of callgrind's files.
fn total(part: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(part).context("callgrind has counted less often than the program asked")?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).context("callgrind's file has no total")
}

#[cfg(test)]
mod tests {
    use super::Counts;
    use anyhow::{Context, Result, bail};
    use workloads::Workload;

    fn none() -> Result<u64> {
        bail!("no more counts")
    }

    #[test]
    fn a_figure_is_the_difference_of_two_loops() {
        let text = "commit, 5 % of 16 KiB\t10\t1250\t250\nopt-level\ts\ndigest\t7\n";
        let counts = Counts::parse(text, none).unwrap();
        assert_eq!(counts.figure(Workload::Commit).unwrap(), 100.0);
        assert_eq!((counts.opt_level.as_str(), counts.digest), ("s", 7));
        assert!(counts.figure(Workload::Crc).is_err());
    }

    #[test]
    fn counts_may_come_from_elsewhere() {
        let mut parts = [1250, 250].into_iter();
        let counts = Counts::parse("scrub one block\t10\n", || parts.next().context("no more")).unwrap();
        assert_eq!(counts.figure(Workload::Scrub).unwrap(), 100.0);
        assert!(Counts::parse("scrub one block\t10\n", none).is_err());
    }

    #[test]
    fn a_line_of_another_kind_is_an_error() {
        assert!(Counts::parse("panicked\n", none).is_err());
        assert!(Counts::parse("scrub one block\tmany\t1\t2\n", none).is_err());
    }
}
