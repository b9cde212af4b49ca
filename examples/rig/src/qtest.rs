//! Reads and changes the memory of a running board over QEMU's qtest socket: how radiation damage gets in.
//!
//! The protocol is lines of text, one answer for each request, with notices of interrupts in between. QEMU is the
//! client here, as for the serial lines, and its processor runs on meanwhile. The rig listens at a path and starts
//! QEMU with `-accel tcg -qtest unix:PATH -qtest-log none`; without the last it repeats every line on its standard
//! error. Requests are never free text: QEMU aborts at one that lacks an argument.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// QEMU answers within a millisecond, unless the host is busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How long one read waits, so that the time for an answer is checked in between.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The memory of one running board.
pub(crate) struct Qtest {
    requests: UnixStream,
    answers: BufReader<UnixStream>,
    patience: Duration,
}

impl Qtest {
    /// Talks to the QEMU at the other end of `stream`.
    pub(crate) fn connect(stream: UnixStream) -> Result<Self> {
        Self::with_patience(stream, ANSWER_WITHIN)
    }

    fn with_patience(stream: UnixStream, patience: Duration) -> Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_read_timeout(Some(POLL_INTERVAL.min(patience)))?;
        let answers = BufReader::new(stream.try_clone().context("the qtest port cannot be shared")?);
        Ok(Self { requests: stream, answers, patience })
    }

    /// Reads a byte. Where there is no memory QEMU reads zeros, without an error.
    pub(crate) fn read_byte(&mut self, address: u32) -> Result<u8> {
        let request = format!("readb {address:#x}");
        let answer = self.ask(&request)?;
        let digits = answer.strip_prefix("0x").unwrap_or_default();
        u8::from_str_radix(digits, 16).with_context(|| format!("qtest answered `{answer}` to `{request}`"))
    }

    /// Writes a byte. Where there is no memory, or memory that only reads, QEMU does nothing, without an error.
    pub(crate) fn write_byte(&mut self, address: u32, value: u8) -> Result<()> {
        let request = format!("writeb {address:#x} {value:#x}");
        let answer = self.ask(&request)?;
        ensure!(answer.is_empty(), "qtest answered `{answer}` to `{request}`");
        Ok(())
    }

    /// Flips one bit of the byte at `address` and checks that memory has changed.
    ///
    /// The processor runs on between the requests: where the program writes this byte just then, its write may be
    /// undone, or found in place of the flip, which is an error here. Memory that is quiet for a moment has neither.
    pub(crate) fn flip_bit(&mut self, address: u32, bit: u8) -> Result<()> {
        let (before, flipped) = self.upset_bit(address, bit)?;
        let after = self.read_byte(address)?;
        ensure!(
            after == flipped,
            "bit {bit} at {address:#x} did not flip: {before:#04x} should be {flipped:#04x} and is {after:#04x}"
        );
        Ok(())
    }

    /// Flips one bit of the byte at `address`, whatever the program does with it; returns the byte before and after.
    ///
    /// A byte that the program writes between the two requests is put back, with a bit flipped.
    pub(crate) fn upset_bit(&mut self, address: u32, bit: u8) -> Result<(u8, u8)> {
        ensure!(bit < 8, "a byte has no bit {bit}");
        let before = self.read_byte(address)?;
        let flipped = before ^ (1 << bit);
        self.write_byte(address, flipped)?;
        Ok((before, flipped))
    }

    /// Returns the first address in a range whose byte is not zero.
    pub(crate) fn first_nonzero(&mut self, range: Range<u32>) -> Result<Option<u32>> {
        let bytes = self.read(range.clone())?;
        let first = bytes.iter().position(|byte| *byte != 0);
        Ok(first.map(|first| range.start + first as u32))
    }

    /// Reads a range of bytes, in the order of their addresses.
    pub(crate) fn read(&mut self, range: Range<u32>) -> Result<Vec<u8>> {
        let request = format!("read {:#x} {:#x}", range.start, range.len());
        let answer = self.ask(&request)?;
        let digits = answer.strip_prefix("0x").unwrap_or_default();
        ensure!(digits.len() == 2 * range.len(), "qtest answered {} digits to `{request}`", digits.len());
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        bytes.with_context(|| format!("qtest answered no bytes to `{request}`"))
    }

    /// Reads a word, as the processor would in one access.
    pub(crate) fn read_word(&mut self, address: u32) -> Result<u32> {
        let request = format!("readl {address:#x}");
        let answer = self.ask(&request)?;
        let digits = answer.strip_prefix("0x").unwrap_or_default();
        u32::from_str_radix(digits, 16).with_context(|| format!("qtest answered `{answer}` to `{request}`"))
    }

    /// Sends a request; returns what follows the `OK` of its answer.
    fn ask(&mut self, request: &str) -> Result<String> {
        self.requests
            .write_all(format!("{request}\n").as_bytes())
            .with_context(|| format!("qtest does not take `{request}`"))?;
        let until = Instant::now() + self.patience;
        loop {
            let line = self.line(until).with_context(|| format!("no answer from qtest to `{request}`"));
            if line.is_err() {
                // An answer that comes too late must not pass for that of the next request.
                let _ = self.requests.shutdown(Shutdown::Both);
            }
            let line = line?;
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("OK", answer) => return Ok(answer.to_owned()),
                ("FAIL", reason) => bail!("qtest refused `{request}`: {reason}"),
                ("IRQ", _) => {}
                _ => bail!("qtest answered `{line}` to `{request}`"),
            }
        }
    }

    /// Reads the next whole line, however many pieces it comes in.
    fn line(&mut self, until: Instant) -> Result<String> {
        let mut line = Vec::new();
        while Instant::now() < until {
            match self.answers.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
                Ok(_) => bail!("the port is closed"),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("nothing within {:?}", self.patience);
    }
}

#[cfg(test)]
mod tests {
    use super::Qtest;
    use anyhow::ensure;
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::Duration;

    const MEMORY: u32 = 0x2000_0000;
    const READ_ONLY: u32 = 0;

    /// Answers as QEMU does: memory from `MEMORY` on, none below it, and notices of interrupts in between.
    fn pretend(stream: &UnixStream) -> std::io::Result<()> {
        let mut memory = BTreeMap::new();
        let mut out = stream;
        for request in BufReader::new(stream).lines() {
            let request = request?;
            let words: Vec<&str> = request.split(' ').collect();
            let number = |word: &str| u32::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(u32::MAX);
            let answer = match words.as_slice() {
                ["readb", address] => format!("OK 0x{:016x}", memory.get(&number(address)).copied().unwrap_or(0)),
                ["writeb", address, value] => {
                    if number(address) >= MEMORY {
                        memory.insert(number(address), number(value));
                    }
                    String::from("OK")
                }
                _ => format!("FAIL Unknown command '{request}'"),
            };
            // In two pieces, as a socket may deliver it.
            let (one, other) = answer.split_at(1);
            out.write_all(format!("IRQ raise 5\n{one}").as_bytes())?;
            thread::sleep(Duration::from_millis(1));
            out.write_all(format!("{other}\nIRQ lower 5\n").as_bytes())?;
        }
        Ok(())
    }

    fn with_pretended_board() -> anyhow::Result<Qtest> {
        let (here, there) = UnixStream::pair()?;
        thread::spawn(move || pretend(&there));
        Qtest::connect(here)
    }

    /// A board that says `answer`, whatever it is asked.
    fn that_says(answer: &str, patience: Duration) -> anyhow::Result<(Qtest, UnixStream)> {
        let (here, mut there) = UnixStream::pair()?;
        there.write_all(answer.as_bytes())?;
        Ok((Qtest::with_patience(here, patience)?, there))
    }

    fn message<T>(result: anyhow::Result<T>) -> String {
        result.err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn a_byte_is_written_and_a_bit_of_it_flipped() -> anyhow::Result<()> {
        let mut qtest = with_pretended_board()?;
        assert_eq!(qtest.read_byte(MEMORY)?, 0);
        qtest.write_byte(MEMORY, 0x81)?;
        qtest.flip_bit(MEMORY, 2)?;
        assert_eq!(qtest.read_byte(MEMORY)?, 0x85);
        qtest.flip_bit(MEMORY, 7)?;
        assert_eq!(qtest.read_byte(MEMORY)?, 0x05);
        Ok(())
    }

    #[test]
    fn a_bit_that_does_not_flip_is_an_error() -> anyhow::Result<()> {
        let mut qtest = with_pretended_board()?;
        assert_eq!(message(qtest.flip_bit(READ_ONLY, 3)), "bit 3 at 0x0 did not flip: 0x00 should be 0x08 and is 0x00");
        assert_eq!(message(qtest.flip_bit(MEMORY, 8)), "a byte has no bit 8");
        qtest.flip_bit(MEMORY, 3)
    }

    #[test]
    fn what_qemu_refuses_is_an_error() -> anyhow::Result<()> {
        assert_eq!(message(with_pretended_board()?.ask("peek 1")), "qtest refused `peek 1`: Unknown command 'peek 1'");
        for (answer, shown) in [
            ("OK\n", "qtest answered `` to `readb 0x7`"),
            ("OK 0x100\n", "qtest answered `0x100` to `readb 0x7`"),
            ("what?\n", "qtest answered `what?` to `readb 0x7`"),
        ] {
            let (mut qtest, _there) = that_says(answer, Duration::from_secs(5))?;
            assert!(message(qtest.read_byte(7)).starts_with(shown), "{answer}");
        }
        Ok(())
    }

    #[test]
    fn a_silent_board_is_not_waited_for_and_its_late_answer_not_heard() -> anyhow::Result<()> {
        for said in ["", "OK 0x", "IRQ raise 1\n"] {
            let (mut qtest, mut there) = that_says(said, Duration::from_millis(50))?;
            assert!(message(qtest.read_byte(7)).contains("no answer from qtest to `readb 0x7`"), "{said}");
            let _ = there.write_all(b"1\nOK 0x2\n");
            assert!(qtest.read_byte(8).is_err(), "{said}");
        }
        Ok(())
    }

    #[test]
    fn a_dead_board_is_an_error_at_once() -> anyhow::Result<()> {
        let (here, there) = UnixStream::pair()?;
        let mut qtest = Qtest::connect(here)?;
        drop(there);
        assert!(message(qtest.read_byte(7)).contains("`readb 0x7`"));
        Ok(())
    }

    /// A program that counts at `MEMORY + 4` for ever: its stack, its entry, and six instructions.
    fn counting_program() -> Vec<u8> {
        let vectors: [u32; 2] = [0x2001_0000, 0x0000_0009];
        let instructions: [u16; 6] = [
            0x2020, // movs r0, #0x20
            0x0600, // lsls r0, r0, #24
            0x6841, // ldr r1, [r0, #4]
            0x3101, // adds r1, #1
            0x6041, // str r1, [r0, #4]
            0xE7FB, // b to the ldr
        ];
        let vectors = vectors.iter().flat_map(|word| word.to_le_bytes());
        vectors.chain(instructions.iter().flat_map(|half| half.to_le_bytes())).collect()
    }

    #[test]
    #[ignore = "needs qemu-system-arm"]
    fn a_running_board_keeps_what_was_flipped() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (image, port) = (folder.path().join("image"), folder.path().join("qtest"));
        std::fs::write(&image, counting_program())?;
        let listener = UnixListener::bind(&port)?;
        let mut process = Command::new("qemu-system-arm")
            .args(["-M", "lm3s6965evb", "-display", "none", "-monitor", "none", "-serial", "null"])
            .args(["-accel", "tcg", "-qtest", &format!("unix:{}", port.display()), "-qtest-log", "none"])
            .arg("-kernel")
            .arg(&image)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // In a closure, so that QEMU is stopped whatever fails in it.
        let tried = (|| {
            let mut qtest = Qtest::connect(listener.accept()?.0)?;
            thread::sleep(Duration::from_millis(100));
            let counted = qtest.read_byte(MEMORY + 6)?;
            qtest.flip_bit(MEMORY, 5)?;
            thread::sleep(Duration::from_millis(100));
            ensure!(qtest.read_byte(MEMORY)? == 0x20, "nobody else writes it");
            ensure!(qtest.read_byte(MEMORY + 6)? != counted, "the program runs on");
            ensure!(qtest.flip_bit(0x0000_0008, 0).is_err(), "flash only reads");
            ensure!(qtest.flip_bit(0xF000_0000, 0).is_err(), "no memory there");
            anyhow::Ok(())
        })();
        process.kill()?;
        process.wait()?;
        tried
    }
}
