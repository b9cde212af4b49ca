//! Whether an emulator waits for something that never comes.
//!
//! A board whose program is damaged may wait for a turn that it has been given already. Its emulator then sleeps for ever, and
//! nothing ends it. An emulator on a busy host looks different: one of its threads wants to run, or has run meanwhile.

use std::path::Path;

/// Looks at a process again and again.
#[derive(Debug)]
pub(super) struct Watched {
    process: u32,
    before: Option<Sleep>,
}

/// A process all of whose threads sleep, and the processor time that they have used until then.
#[derive(Debug, PartialEq, Eq)]
struct Sleep {
    ticks: u64,
}

impl Watched {
    pub(super) fn new(process: u32) -> Self {
        Self { process, before: None }
    }

    /// Whether all threads sleep, and did so at the last look, and none has run meanwhile.
    pub(super) fn is_asleep(&mut self) -> bool {
        let now = sleep_of(&Path::new("/proc").join(self.process.to_string()).join("task"));
        let is_same = now.is_some() && now == self.before;
        self.before = now;
        is_same
    }

    /// The next look is a first one.
    pub(super) fn forget(&mut self) {
        self.before = None;
    }
}

fn sleep_of(tasks: &Path) -> Option<Sleep> {
    let mut ticks = 0;
    for task in std::fs::read_dir(tasks).ok()? {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        ticks += ticks_of_sleeper(&stat)?;
    }
    Some(Sleep { ticks })
}

/// Returns the processor time of a thread that sleeps, from its line in `/proc` (proc(5)): behind the name in brackets come its
/// state, ten numbers, and the time in user and in kernel mode.
fn ticks_of_sleeper(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    (*fields.first()? == "S").then(|| Some(number(11)? + number(12)?))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn a_thread_that_runs_is_no_sleeper() {
        let line = |state| format!("7 (a b) c) {state} 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20");
        assert_eq!(ticks_of_sleeper(&line("S")), Some(42));
        assert_eq!(ticks_of_sleeper(&line("R")), None);
        assert_eq!(ticks_of_sleeper("7 (a) S 1 2"), None);
    }

    #[test]
    fn one_that_sleeps_is_told_from_one_that_works() {
        let looked = |program: &str, arguments: &[&str]| {
            let mut child = Command::new(program).args(arguments).stdout(Stdio::null()).spawn().unwrap();
            let mut watched = Watched::new(child.id());
            std::thread::sleep(Duration::from_millis(300));
            let asleep = [(); 3].map(|()| {
                std::thread::sleep(Duration::from_millis(100));
                watched.is_asleep()
            });
            child.kill().unwrap();
            child.wait().unwrap();
            asleep
        };
        assert_eq!(looked("sleep", &["60"]), [false, true, true]);
        assert_eq!(looked("sh", &["-c", "while :; do :; done"]), [false; 3]);
    }
}
