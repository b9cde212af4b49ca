//! One emulated board: a QEMU process with its two serial lines on sockets.

use crate::qtest::Qtest;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

/// The lines of a board that the rig listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// UART0, to the other board.
    CrossLink,
    /// UART1, to the plant.
    FieldBus,
    /// The log over semihosting.
    Log,
}

/// Bytes that came from a board; none: the line is closed.
pub(crate) struct Heard {
    pub(crate) board: usize,
    /// Which boot of the board said it.
    pub(crate) boot: u32,
    pub(crate) line: Line,
    pub(crate) bytes: Vec<u8>,
}

/// A running board. It is killed when dropped.
pub(crate) struct Board {
    /// The port to its memory, if it was asked for.
    pub(crate) memory: Option<Qtest>,
    process: Child,
    cross_link: UnixStream,
    field_bus: UnixStream,
    /// Nothing is sent before this: the board does not read.
    deaf_until: Instant,
}

/// What boards are plugged into.
pub(crate) struct Socket {
    pub(crate) qemu: PathBuf,
    pub(crate) image: PathBuf,
    /// Where the ports are.
    pub(crate) folder: PathBuf,
    /// Whether the boards have a port to their memory.
    pub(crate) memory_port: bool,
}

/// QEMU's name for a board.
const MACHINE: &str = "lm3s6965evb";

const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// How long a board may take to read what no longer fits into the socket: some cycles' bytes do.
const SEND_WITHIN: Duration = Duration::from_millis(100);
const DEAF_FOR: Duration = Duration::from_secs(1);

impl Board {
    /// Boots board number `board`; what it says goes to `heard`.
    pub(crate) fn boot(socket: &Socket, board: usize, boot: u32, heard: &Sender<Heard>) -> Result<Self> {
        let Socket { qemu, image, folder, memory_port } = socket;
        let listen = |name: &str| {
            let path = folder.join(format!("{name}-{board}-{boot}"));
            let listener = UnixListener::bind(&path).with_context(|| format!("port {} is taken", path.display()))?;
            Ok::<_, anyhow::Error>((listener, path))
        };
        let (cross_link, cross_path) = listen("cross")?;
        let (field_bus, field_path) = listen("field")?;
        let chardev = |id: &str, path: &Path| format!("socket,id={id},path={}", path.display());
        let mut command = Command::new(qemu);
        let memory_port = memory_port.then(|| listen("memory")).transpose()?;
        if let Some((_, path)) = &memory_port {
            command.args(["-accel", "tcg", "-qtest-log", "none", "-qtest"]).arg(format!("unix:{}", path.display()));
        }
        let mut process = command
            .args(["-M", MACHINE, "-display", "none", "-monitor", "none"])
            .args(["-chardev", "stdio,id=log,signal=off"])
            .args(["-semihosting-config", "enable=on,target=native,chardev=log"])
            .args(["-chardev", &chardev("cross", &cross_path), "-serial", "chardev:cross"])
            .args(["-chardev", &chardev("field", &field_path), "-serial", "chardev:field"])
            .arg("-kernel")
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // "Timer with period zero" at every start of this board
            .spawn()
            .with_context(|| format!("cannot start {}", qemu.display()))?;
        prefer(process.id());
        let log = process.stdout.take();
        let cross_link = accept(&cross_link, &mut process, MACHINE)?;
        let field_bus = accept(&field_bus, &mut process, MACHINE)?;
        let memory = memory_port.map(|(port, _)| Qtest::connect(accept(&port, &mut process, MACHINE)?)).transpose()?;
        let from = |line| Heard { board, boot, line, bytes: Vec::new() };
        listen_to(cross_link.try_clone()?, heard.clone(), from(Line::CrossLink));
        listen_to(field_bus.try_clone()?, heard.clone(), from(Line::FieldBus));
        if let Some(log) = log {
            listen_to(log, heard.clone(), from(Line::Log));
        }
        Ok(Self { memory, process, cross_link, field_bus, deaf_until: Instant::now() })
    }

    /// Sends bytes to the board. A board that is gone or hangs hears nothing; that is no error, and must not hold up
    /// the other one.
    pub(crate) fn send(&mut self, line: Line, bytes: &[u8]) {
        if Instant::now() < self.deaf_until {
            return;
        }
        let stream = match line {
            Line::CrossLink => &mut self.cross_link,
            Line::FieldBus => &mut self.field_bus,
            Line::Log => return,
        };
        let sent = stream.write_all(bytes);
        if sent.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)) {
            self.deaf_until = Instant::now() + DEAF_FOR;
        }
    }

    /// Returns whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks the host to run a process before others, so that a busy host does not look like a
/// dead board. Where that is not allowed the run goes on without.
pub(crate) fn prefer(process: u32) {
    let arguments = ["-n", "-10", "-p", &process.to_string()];
    let _ = Command::new("renice").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Waits until a QEMU that was started with `machine` has connected.
pub(crate) fn accept(listener: &UnixListener, process: &mut Child, machine: &str) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + CONNECT_WITHIN;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_write_timeout(Some(SEND_WITHIN))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = process.try_wait()? {
            bail!("QEMU stopped at once ({status}); does it know the board {machine}?");
        }
        if Instant::now() > until {
            bail!("QEMU did not connect within {CONNECT_WITHIN:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn listen_to(mut stream: impl Read + Send + 'static, heard: Sender<Heard>, from: Heard) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap_or(0);
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if heard.send(Heard { bytes, ..from }).is_err() || count == 0 {
                return;
            }
        }
    });
}
