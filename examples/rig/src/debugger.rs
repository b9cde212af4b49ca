//! Reads and changes the registers of a board over QEMU's debug stub, and stops it at an instruction of its program.
//!
//! The protocol is the GDB remote serial protocol: `$packet#checksum`, each answered by `+`. The board runs between the
//! packets; whoever wants to ask it something stops it first. QEMU stops a board as the debugger connects.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Wall time: a stub that is silent for so long hangs.
const HUNG_AFTER: Duration = Duration::from_secs(120);
/// What stops a running board.
const INTERRUPT: u8 = 0x03;

/// The core registers by the numbers that the stub gives them.
pub(crate) const LINK_REGISTER: u8 = 14;
pub(crate) const PROGRAM_COUNTER: u8 = 15;
pub(crate) const STATUS: u8 = 25;

/// The port to the registers of one board.
pub(crate) struct Debugger {
    stream: BufReader<UnixStream>,
}

/// Stops a running board from beside its debugger, which waits for that.
pub(crate) struct Interrupter(UnixStream);

impl Interrupter {
    /// Stops the board, wherever it is.
    pub(crate) fn interrupt(&mut self) -> Result<()> {
        self.0.write_all(&[INTERRUPT]).context("the debug stub does not take an interrupt")
    }
}

impl Debugger {
    /// Takes the port of a board that was just started, and lets the board run.
    pub(crate) fn connect(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(HUNG_AFTER))?;
        let mut debugger = Self { stream: BufReader::new(stream) };
        debugger.ask("?")?; // why it stands: the stub has stopped it
        debugger.go_on()?;
        Ok(debugger)
    }

    /// Returns what can stop the board while the debugger waits.
    pub(crate) fn interrupter(&self) -> Result<Interrupter> {
        Ok(Interrupter(self.stream.get_ref().try_clone()?))
    }

    /// Stops a board that runs.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stream.get_mut().write_all(&[INTERRUPT])?;
        self.wait_for_stop()
    }

    /// Lets a board that stands go on.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.send("c")
    }

    /// Lets a board that stands execute one instruction.
    pub(crate) fn step(&mut self) -> Result<()> {
        self.send("s")?;
        self.wait_for_stop()
    }

    /// Waits until the board stops: at a breakpoint, or by an interrupt.
    pub(crate) fn wait_for_stop(&mut self) -> Result<()> {
        let why = self.receive()?;
        ensure!(why.starts_with('T') || why.starts_with('S'), "the debug stub says `{why}` for a stop");
        Ok(())
    }

    /// Stops the board, from now on, before it executes the instruction at an address.
    pub(crate) fn break_at(&mut self, address: u32) -> Result<()> {
        self.order(&format!("Z0,{address:x},2"))
    }

    /// Forgets the breakpoint at an address.
    pub(crate) fn forget(&mut self, address: u32) -> Result<()> {
        self.order(&format!("z0,{address:x},2"))
    }

    /// Goes on from a breakpoint, and stops at the next one.
    pub(crate) fn pass(&mut self, breakpoint: u32) -> Result<()> {
        self.forget(breakpoint)?;
        self.step()?;
        self.break_at(breakpoint)?;
        self.go_on()
    }

    /// Reads a register.
    pub(crate) fn register(&mut self, number: u8) -> Result<u32> {
        let answer = self.ask(&format!("p{number:x}"))?;
        number_of(&answer).with_context(|| format!("the debug stub says `{answer}` for register {number}"))
    }

    /// Writes a register.
    pub(crate) fn set_register(&mut self, number: u8, value: u32) -> Result<()> {
        self.order(&format!("P{number:x}={:08x}", value.swap_bytes()))
    }

    /// Reads two bytes: half an instruction, or a short one.
    pub(crate) fn half_at(&mut self, address: u32) -> Result<u16> {
        let answer = self.ask(&format!("m{address:x},2"))?;
        let half = u16::from_str_radix(&answer, 16).ok().filter(|_| answer.len() == 4);
        half.map(u16::swap_bytes).with_context(|| format!("the debug stub says `{answer}` for {address:#x}"))
    }

    fn order(&mut self, packet: &str) -> Result<()> {
        let answer = self.ask(packet)?;
        ensure!(answer == "OK", "the debug stub says `{answer}` to `{packet}`");
        Ok(())
    }

    fn ask(&mut self, packet: &str) -> Result<String> {
        self.send(packet)?;
        self.receive()
    }

    fn send(&mut self, packet: &str) -> Result<()> {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        let framed = format!("${packet}#{sum:02x}");
        self.stream.get_mut().write_all(framed.as_bytes()).with_context(|| format!("no debug stub for `{packet}`"))?;
        match self.byte()? {
            b'+' => Ok(()),
            other => bail!("the debug stub says {other:#04x} to `{packet}`"),
        }
    }

    fn receive(&mut self) -> Result<String> {
        let (mut sum, mut text) = (0_u8, String::new());
        ensure!(self.byte()? == b'$', "the debug stub's packet has no beginning");
        loop {
            match self.byte()? {
                b'#' => break,
                byte => {
                    sum = sum.wrapping_add(byte);
                    text.push(byte.into());
                }
            }
        }
        let digits = [self.byte()?, self.byte()?];
        let claimed = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        ensure!(claimed == Some(sum), "the debug stub's packet `{text}` is damaged");
        self.stream.get_mut().write_all(b"+")?;
        Ok(text)
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).context("the debug stub is gone")?;
        Ok(byte[0])
    }
}

/// Reads a word as the stub writes it: the bytes in the order of memory.
fn number_of(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 8).map(u32::swap_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub(answers: &str) -> (Debugger, UnixStream) {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(answers.as_bytes()).unwrap();
        (Debugger { stream: BufReader::new(here) }, there)
    }

    fn packet(text: &str) -> String {
        format!("+${text}#{:02x}", text.bytes().fold(0_u8, u8::wrapping_add))
    }

    #[test]
    fn a_register_is_read_and_written_in_the_order_of_memory() {
        let (mut debugger, mut there) = stub(&[packet("78563412"), packet("OK")].concat());
        assert_eq!(debugger.register(PROGRAM_COUNTER).unwrap(), 0x1234_5678);
        debugger.set_register(STATUS, 0x0100_0000).unwrap();
        let mut sent = [0; 64];
        let count = there.read(&mut sent).unwrap();
        let sent = String::from_utf8_lossy(&sent[..count]).into_owned();
        assert_eq!(sent, "$pf#d6+$P19=00000001#78+");
    }

    #[test]
    fn what_the_stub_does_not_do_is_an_error() {
        for (answer, shown) in
            [(packet("E01"), "`E01`"), (packet(""), "``"), ("-".into(), "0x2d"), ("+$OK#00".into(), "damaged")]
        {
            let (mut debugger, _there) = stub(&answer);
            let error = format!("{:#}", debugger.break_at(0x100).unwrap_err());
            assert!(error.contains(shown), "{error}");
        }
    }

    #[test]
    fn a_breakpoint_is_passed_by_a_step() {
        let answers = [packet("OK"), packet("T05thread:01;"), packet("OK"), "+".into()].concat();
        let (mut debugger, mut there) = stub(&answers);
        debugger.pass(0x1f0).unwrap();
        let mut sent = [0; 128];
        let count = there.read(&mut sent).unwrap();
        let sent = String::from_utf8_lossy(&sent[..count]).into_owned();
        let orders: Vec<&str> = sent.split(['$', '#']).skip(1).step_by(2).collect();
        assert_eq!(orders, ["z0,1f0,2", "s", "Z0,1f0,2", "c"]);
    }
}
