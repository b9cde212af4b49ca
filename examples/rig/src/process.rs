//! Commands of the set-up: started in a clean environment, bounded in time, their errors kept short.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a failed command's output is worth repeating.
const TAIL_LINES: usize = 10;

/// What an outer `cargo run` or rustup, or a setting meant for the host program, would force upon a nested cargo.
/// The target folder is among them: the images must be found where the firmware's own workspace puts them.
const INHERITED: [&str; 16] = [
    "CARGO",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_TOOLCHAIN_SOURCE",
];

/// A command that neither the outer cargo nor a setting meant for this program has a say in.
pub(crate) fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in INHERITED {
        command.env_remove(variable);
    }
    command
}

/// Runs a command to its end, or to the end of its time, and returns what it wrote to its standard output.
pub(crate) fn run(command: &mut Command, limit: Duration) -> anyhow::Result<String> {
    let line = command_line(command);
    let mut child = command
        // The answers are read by programs: no translations, no questions, no backtraces among the last lines.
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let output = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let start = Instant::now();
    let status = loop {
        let status = child.try_wait().with_context(|| format!("cannot wait for `{line}`"))?;
        if status.is_some() {
            break status;
        }
        if start.elapsed() >= limit {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(POLL_INTERVAL);
    };
    let failure = match status {
        Some(status) if status.success() => return Ok(received(&output)),
        Some(status) => format!("`{line}` failed with {status}"),
        None => format!("`{line}` was stopped after {} s", limit.as_secs()),
    };
    Err(anyhow!("{}", tail(&received(&errors))).context(failure))
}

fn command_line(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// Reads a pipe on a thread of its own: a command that fills one pipe while the other is read would wait for ever.
fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// What a pipe brought. Not for ever: a grandchild of a stopped command may hold it open.
fn received(pipe: &mpsc::Receiver<String>) -> String {
    pipe.recv_timeout(Duration::from_secs(5)).unwrap_or_default()
}

pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    let last: Vec<&str> = lines.into_iter().skip(skipped).collect();
    if last.is_empty() {
        return String::from("it said nothing");
    }
    last.join("\n")
}

/// The last line of what a failed command said.
pub(crate) fn last_line(error: &anyhow::Error) -> String {
    let cause = error.root_cause().to_string();
    String::from(cause.lines().last().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{last_line, run, tail, tool};
    use std::time::Duration;

    const PLENTY: Duration = Duration::from_secs(60);

    #[test]
    fn a_failed_command_shows_its_last_lines() -> anyhow::Result<()> {
        let output = run(tool("sh").args(["-c", "echo fine; echo noise >&2"]), PLENTY)?;
        assert_eq!(output, "fine\n");

        let script = "for i in $(seq 20); do echo line $i >&2; done; exit 3";
        let failure = run(tool("sh").args(["-c", script]), PLENTY).err();
        let shown = failure.as_ref().map(|error| format!("{error:#}"));
        let shown = shown.unwrap_or_default();
        assert!(shown.contains("failed with exit status: 3"), "{shown}");
        assert!(shown.contains("line 11\n") && !shown.contains("line 10\n"));
        assert_eq!(failure.as_ref().map(last_line).as_deref(), Some("line 20"));

        let missing = run(&mut tool("no-such-program-here"), PLENTY);
        assert!(missing.is_err_and(|error| error.to_string().contains("cannot start")));
        Ok(())
    }

    #[test]
    fn a_command_that_does_not_end_is_stopped() {
        let failure = run(tool("sleep").arg("60"), Duration::from_millis(50));
        assert!(failure.is_err_and(|error| error.to_string().contains("was stopped")));
    }

    #[test]
    fn silence_has_a_tail_too() {
        assert_eq!(tail("\n"), "it said nothing");
        assert_eq!(tail("one\ntwo\n"), "one\ntwo");
    }
}
