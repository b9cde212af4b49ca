//! Reads and changes the registers of a board over QEMU's debug stub, and stops it at an instruction of its program.
//!
//! The protocol is the GDB remote serial protocol: `$packet#checksum`, each answered by `+`. Whoever wants
//! to ask a running board something stops it first.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Wall time: a stub that is silent for so long hangs.
const HUNG_AFTER: Duration = Duration::from_secs(120);
/// What stops a running board.
const INTERRUPT: u8 = 0x03;

/// The core registers by the numbers that the stub gives them.
pub(crate) const STACK_POINTER: u8 = 13;
/// As above.
pub(crate) const PROGRAM_COUNTER: u8 = 15;
/// As above: the program status register.
pub(crate) const STATUS: u8 = 25;

/// The port to the registers of one board.
pub(crate) struct Debugger {
    stream: BufReader<UnixStream>,
    knows_registers: bool,
}

impl Debugger {
    /// Takes the port of a board. Nothing may be asked before the board has said that it runs: the first byte that comes to
    /// a running board stops it, and is not looked at.
    pub(crate) fn connect(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(HUNG_AFTER))?;
        Ok(Self { stream: BufReader::new(stream), knows_registers: false })
    }

    /// Returns what the stub says something on, unless it has said it already.
    pub(crate) fn stream(&self) -> &UnixStream {
        self.stream.get_ref()
    }

    /// Whether the stub has said something that was not looked at yet.
    pub(crate) fn has_said(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    /// Stops a board that runs.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stream.get_mut().write_all(&[INTERRUPT])?;
        self.wait_for_stop()?;
        // Single registers are for those only who have asked which ones there are.
        if !std::mem::replace(&mut self.knows_registers, true) {
            self.ask("qXfer:features:read:target.xml:0,100")?;
        }
        Ok(())
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

    /// Reads words of memory.
    pub(crate) fn words_at(&mut self, address: u32, count: u32) -> Result<Vec<u32>> {
        let answer = self.ask(&format!("m{address:x},{:x}", 4 * count))?;
        let words = answer.as_bytes().chunks(8).map(|digits| number_of(std::str::from_utf8(digits).ok()?));
        words.collect::<Option<Vec<u32>>>().with_context(|| format!("the debug stub says `{answer}` for {address:#x}"))
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
        ensure!(self.byte()? == b'$', "the debug stub's packet has no beginning");
        let (mut sum, mut text) = (0_u8, String::new());
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
        (Debugger { stream: BufReader::new(here), knows_registers: true }, there)
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
