//! One emulated board: a QEMU process at the other end of a tether, which works in turns.

use crate::debugger::Debugger;
use crate::engine::Given;
use crate::frames::Deframer;
use crate::qtest::Qtest;
use crate::strike::{self, Armed, Fired, Shot};
use crate::tether::{Done, Nothing, TetherEnd};
use crate::trace::{Program, Stretch, Tracer};
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tether::TurnHeader;
use twinstep::wire::Kind;

/// A running board. It is killed when dropped.
pub(crate) struct Board {
    /// The port to its memory, if it was asked for.
    memory: Option<Qtest>,
    /// The port to its registers, if it was asked for.
    debugger: Option<Debugger>,
    shot: Option<Shot>,
    fired: Option<Fired>,
    /// What has come of the peer's frames.
    from_peer: Deframer,
    program: Option<Rc<Program>>,
    traces: Option<Rc<Program>>,
    traced: Option<Stretch>,
    process: Child,
    tether: TetherEnd,
    log: Option<JoinHandle<Vec<u8>>>,
}

/// What boards are plugged into.
pub(crate) struct Socket {
    pub(crate) qemu: PathBuf,
    pub(crate) image: PathBuf,
    /// Where the ports are.
    pub(crate) folder: PathBuf,
    /// Whether the boards have a port to their memory.
    pub(crate) memory_port: bool,
    /// Whether the boards have a port to their registers.
    pub(crate) debug_port: bool,
    /// Where the emulator writes the instructions that were executed at least once.
    pub(crate) executed: Option<PathBuf>,
}

/// QEMU's name for a board.
pub(crate) const MACHINE: &str = "lm3s6965evb";
/// An instruction takes 2^9 ns of the emulator's time, whatever the host does.
pub(crate) const ICOUNT: [&str; 2] = ["-icount", "shift=9"];
/// Ticks of SysTick, at 12.5 MHz, in a hundred instructions.
pub(crate) const TICKS_IN_A_HUNDRED_INSTRUCTIONS: u32 = 640;

/// The board lets received bytes wake it, and nothing else, as the last thing before it sleeps.
const UART0_INTERRUPT_MASK: u32 = 0x4000_C038;
const RECEIVE_INTERRUPT: u32 = 1 << 4;
/// Wall time: an emulator that does not connect by then is broken.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);

impl Board {
    /// Boots board number `board`.
    pub(crate) fn boot(socket: &Socket, board: usize, boot: u32) -> Result<Self> {
        let Socket { qemu, image, folder, memory_port, debug_port, executed } = socket;
        let listen = |name: &str| listen(&folder.join(format!("{name}-{board}-{boot}")));
        let (tether, tether_path) = listen("tether")?;
        let mut command = Command::new(qemu);
        command.args(["-accel", "tcg"]).args(ICOUNT);
        let memory_port = memory_port.then(|| listen("memory")).transpose()?;
        if let Some((_, path)) = &memory_port {
            command.args(["-qtest-log", "none", "-qtest"]).arg(format!("unix:{}", path.display()));
        }
        let debug_port = debug_port.then(|| listen("debug")).transpose()?;
        if let Some((_, path)) = &debug_port {
            command.args(["-chardev", &format!("socket,id=debug,path={}", path.display()), "-gdb", "chardev:debug"]);
        }
        if let Some(path) = executed {
            command.args(["-d", "in_asm", "-D"]).arg(format!("{}-{board}", path.display()));
        }
        let mut process = command
            .args(["-M", MACHINE, "-display", "none", "-monitor", "none", "-watchdog-action", "poweroff"])
            .args(["-chardev", "stdio,id=log,signal=off"])
            .args(["-semihosting-config", "enable=on,target=native,chardev=log"])
            .args(["-chardev", &format!("socket,id=tether,path={}", tether_path.display())])
            .args(["-serial", "chardev:tether", "-kernel"])
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // "Timer with period zero" at every start of this board
            .spawn()
            .with_context(|| format!("cannot start {}", qemu.display()))?;
        let log = process.stdout.take().map(read_to_its_end);
        // In a closure, so that QEMU is stopped whatever fails in it.
        let connected = (|| {
            // QEMU connects in the order in which it makes its ports: it waits for none of these.
            let tether = TetherEnd::new(accept(&tether, &mut process, MACHINE)?, process.id())?;
            let tether = if memory_port.is_some() { tether.dead_if_silent() } else { tether };
            let memory =
                memory_port.map(|(port, _)| Qtest::connect(accept(&port, &mut process, MACHINE)?)).transpose()?;
            let debugger =
                debug_port.map(|(port, _)| Debugger::connect(accept(&port, &mut process, MACHINE)?)).transpose()?;
            Ok::<_, anyhow::Error>((tether, memory, debugger))
        })();
        match connected {
            Ok((tether, memory, debugger)) => Ok(Self {
                memory,
                debugger,
                shot: None,
                fired: None,
                from_peer: Deframer::default(),
                program: None,
                traces: None,
                traced: None,
                process,
                tether,
                log,
            }),
            Err(error) => {
                stop(&mut process);
                Err(error)
            }
        }
    }

    /// Lets the board work for a turn; `None`: it has stopped for good.
    ///
    /// # Errors
    /// If the emulator hangs.
    pub(crate) fn turn(&mut self, given: &Given) -> Result<Option<Done>> {
        let Some(debugger) = &mut self.debugger else { return self.tether.turn(given, &mut Nothing) };
        let brings_vote = match given {
            Given::Turn { link, .. } => ends_a_vote(&mut self.from_peer, link),
            Given::GoOn => false,
        };
        if let Some(program) = self.traces.take_if(|_| brings_vote) {
            let mut tracer = Tracer::new(debugger, &program)?;
            let done = self.tether.turn(&timeless(given), &mut tracer)?.map(Done::without_time);
            self.traced = tracer.into_stretch();
            self.traces = self.traced.is_none().then_some(program); // else once more
            return Ok(done);
        }
        let Some(shot) = self.shot.filter(|shot| brings_vote || !shot.with_vote) else {
            return self.tether.turn(given, &mut Nothing);
        };
        if shot.with_vote {
            strike::arm(debugger, shot)?;
        }
        let Some(program) = self.program.as_deref() else { return self.tether.turn(given, &mut Nothing) };
        let mut armed = Armed::new(program, debugger, &mut self.shot, &mut self.fired);
        let done = self.tether.turn(&timeless(given), &mut armed)?.map(Done::without_time);
        if let Some(left) = self.shot.filter(|left| left.with_vote && done.is_some()) {
            strike::disarm(debugger, left)?;
            self.shot = Some(shot); // counted anew in the next such turn
        }
        Ok(done)
    }

    /// Returns the port to the board's memory, once the board sleeps: until then it still writes to its stack.
    ///
    /// # Errors
    /// If the board is gone.
    pub(crate) fn memory(&mut self) -> Result<Option<&mut Qtest>> {
        let Some(memory) = &mut self.memory else { return Ok(None) };
        while memory.read_word(UART0_INTERRUPT_MASK)? & RECEIVE_INTERRUPT == 0 {}
        Ok(Some(memory))
    }

    /// Follows the board from the next vote of its peer to its output.
    pub(crate) fn trace(&mut self, program: &Rc<Program>) {
        self.traces = Some(Rc::clone(program));
    }

    /// Returns what the board executed from the vote to its output, once.
    pub(crate) fn traced(&mut self) -> Option<Stretch> {
        self.traced.take()
    }

    /// Lets a fault hit the board as it executes an instruction.
    ///
    /// # Errors
    /// If it has no port to its registers.
    pub(crate) fn arm(&mut self, shot: Shot, program: &Rc<Program>) -> Result<()> {
        self.disarm()?;
        self.program = Some(Rc::clone(program));
        let debugger = self.debugger.as_mut().context("the board has no port to its registers")?;
        if !shot.with_vote {
            strike::arm(debugger, shot)?;
        }
        self.shot = Some(shot);
        Ok(())
    }

    /// Takes back a fault that did not hit.
    ///
    /// # Errors
    /// If the board is gone.
    pub(crate) fn disarm(&mut self) -> Result<()> {
        match (self.shot.take(), &mut self.debugger) {
            (Some(shot), Some(debugger)) if !shot.with_vote => strike::disarm(debugger, shot),
            _ => Ok(()),
        }
    }

    /// Returns the fault that has hit, once.
    pub(crate) fn fired(&mut self) -> Option<Fired> {
        self.fired.take()
    }

    /// Returns what the board has logged until now, once it is stopped.
    pub(crate) fn into_log(mut self) -> Vec<u8> {
        stop(&mut self.process);
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

/// Returns a turn whose work takes no time: each stop by the debug stub adds some of the host's time to the emulator's
/// counter.
fn timeless(given: &Given) -> Given {
    match given {
        Given::Turn { header, link, field } => {
            let header = TurnHeader { tick_ns_q16: 0, ..*header };
            Given::Turn { header, link: link.clone(), field: field.clone() }
        }
        Given::GoOn => Given::GoOn,
    }
}

/// Whether these bytes of the peer bring the end of a vote.
fn ends_a_vote(deframer: &mut Deframer, link: &[u8]) -> bool {
    let frames = link.iter().filter_map(|byte| deframer.push(*byte));
    let votes = frames.filter(|out| Kind::of_frame(&out.frame) == Some(Kind::Vote));
    votes.count() > 0
}

impl Drop for Board {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

pub(crate) fn stop(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

/// Opens a port that QEMU connects to.
pub(crate) fn listen(path: &Path) -> Result<(UnixListener, PathBuf)> {
    let listener = UnixListener::bind(path).with_context(|| format!("port {} is taken", path.display()))?;
    Ok((listener, path.to_owned()))
}

/// Waits until a QEMU that was started with `machine` has connected.
pub(crate) fn accept(listener: &UnixListener, process: &mut Child, machine: &str) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + CONNECT_WITHIN;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
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

/// Reads on a thread of its own, so that a board that logs a lot does not wait for us.
fn read_to_its_end(mut stream: ChildStdout) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::framed;

    #[test]
    fn a_vote_is_seen_in_the_turn_that_brings_its_end() {
        // The kind stands above the lowest bit of the first byte.
        let frame = |kind: Kind| framed(&[(kind as u8) << 1, 1, 2, 3, 4, 5, 6, 7]);
        let (sample, vote) = (frame(Kind::Sample), frame(Kind::Vote));
        let both = [&sample[..], &vote].concat();
        let turns = [(&sample[..], false), (&vote[..4], false), (&vote[4..], true), (&[], false), (&both[..], true)];
        let mut deframer = Deframer::default();
        for (link, is_there) in turns {
            assert_eq!(ends_a_vote(&mut deframer, link), is_there, "{link:x?}");
        }
    }
}
