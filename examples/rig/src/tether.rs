//! The rig's end of a tether: gives a turn, and reads what the board did in it.

mod asleep;

use crate::engine::Given;
use anyhow::{Context, Result};
use asleep::Watched;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tether::{GO_ON, RESET, TURN_HEADER_BYTES, Tag};

/// What a board did in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) said: Vec<Said>,
    /// The ticks of its counter that its work took.
    pub(crate) ticks: u32,
    pub(crate) rest: Rest,
}

impl Done {
    /// Counts from so many ticks on: the program had stopped by then, and has gone on.
    pub(crate) fn count_from(&mut self, ticks: u32) {
        self.ticks = self.ticks.saturating_sub(ticks);
        for said in &mut self.said {
            said.ticks = said.ticks.saturating_sub(ticks);
        }
    }

    /// The same as if the work had taken no time.
    pub(crate) fn without_time(mut self) -> Self {
        self.count_from(u32::MAX);
        self
    }
}

/// Bytes that a board sent, and at which tick of its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) line: Line,
    pub(crate) ticks: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The lines of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// To the other board.
    CrossLink,
    /// To the plant.
    FieldBus,
}

/// What a board waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Until this time of its own clock, or until a message has come.
    Until {
        /// In microseconds.
        us: u64,
    },
    /// Until the link has taken all that it was given.
    Taken,
    /// Nothing: its program has stopped before the instruction at this address.
    Stopped(u32),
}

/// Something that goes on beside a board's turn.
pub(crate) trait Beside {
    /// Returns what wakes it, if it waits for something.
    fn waits_for(&self) -> Option<&UnixStream>;

    /// Acts, as it was woken.
    ///
    /// # Errors
    /// Any, if the board is gone.
    fn act(&mut self) -> std::io::Result<()>;
}

/// Nothing goes on beside it.
pub(crate) struct Nothing;

impl Beside for Nothing {
    fn waits_for(&self) -> Option<&UnixStream> {
        None
    }

    fn act(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Wall time: an emulator that is silent for so long hangs. A board that hangs is ended by its own watchdog before, after
/// half a million instructions.
const HUNG_AFTER: Duration = Duration::from_secs(120);
/// Wall time between two looks at an emulator that says nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The rig's end.
pub(crate) struct TetherEnd {
    stream: BufReader<UnixStream>,
    emulator: Watched,
    patience: Duration,
    has_booted: bool,
    is_dead_if_silent: bool,
}

impl TetherEnd {
    /// Takes the port of a board that was just started in this process.
    pub(crate) fn new(stream: UnixStream, process: u32) -> Result<Self> {
        Self::with_patience(stream, process, HUNG_AFTER)
    }

    /// Bits are flipped in the board's memory, and may hit its end of the tether: one that works turn after turn and says
    /// nothing feeds its watchdog, and is a dead board.
    pub(crate) fn dead_if_silent(self) -> Self {
        Self { is_dead_if_silent: true, ..self }
    }

    fn with_patience(stream: UnixStream, process: u32, patience: Duration) -> Result<Self> {
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            stream: BufReader::new(stream),
            emulator: Watched::new(process),
            patience,
            has_booted: false,
            is_dead_if_silent: false,
        })
    }

    /// Lets a board, or a core, begin anew, whose program has stopped or which waits for a turn.
    ///
    /// # Errors
    /// If the emulator is gone.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.has_booted = false;
        self.stream.get_mut().write_all(&RESET.to_le_bytes()).context("the emulator is gone")
    }

    /// Waits until the board waits for its first turn; returns whether it does.
    ///
    /// # Errors
    /// If the emulator hangs.
    pub(crate) fn boots(&mut self) -> Result<bool> {
        if !self.has_booted {
            self.has_booted = unless_gone(self.tag(&mut Nothing), self.is_dead_if_silent)? == Some(Some(Tag::Booted));
        }
        Ok(self.has_booted)
    }

    /// Gives a turn, and waits for its end; `None` if the board is gone, or says what no board says. Meanwhile looks after
    /// what happens beside it.
    ///
    /// # Errors
    /// If the emulator hangs.
    pub(crate) fn turn(&mut self, given: &Given, beside: &mut dyn Beside) -> Result<Option<Done>> {
        if !self.boots()? {
            return Ok(None);
        }
        Ok(unless_gone(self.give(given, beside), self.is_dead_if_silent)?.flatten())
    }

    fn give(&mut self, given: &Given, beside: &mut dyn Beside) -> std::io::Result<Option<Done>> {
        let bytes = match given {
            Given::Turn { header, link, field } => {
                let length = (TURN_HEADER_BYTES + link.len() + field.len()) as u16;
                [&length.to_le_bytes()[..], &header.to_bytes(), link, field].concat()
            }
            Given::GoOn => GO_ON.to_le_bytes().to_vec(),
        };
        self.stream.get_mut().write_all(&bytes)?;
        self.records(beside)
    }

    /// Reads records up to the one that ends the turn.
    fn records(&mut self, beside: &mut dyn Beside) -> std::io::Result<Option<Done>> {
        let mut said = Vec::new();
        loop {
            let Some(tag) = self.tag(beside)? else { return Ok(None) };
            let ticks = if tag == Tag::Booted { 0 } else { u32::from_le_bytes(self.take(beside)?) };
            match tag {
                Tag::Booted => return Ok(None), // in the middle of its work
                Tag::Link | Tag::Field => {
                    let mut bytes = vec![0; u16::from_le_bytes(self.take(beside)?).into()];
                    self.fill(&mut bytes, beside)?;
                    let line = if tag == Tag::Link { Line::CrossLink } else { Line::FieldBus };
                    said.push(Said { line, ticks, bytes });
                }
                Tag::Until => {
                    let us = u64::from_le_bytes(self.take(beside)?);
                    return Ok(Some(Done { said, ticks, rest: Rest::Until { us } }));
                }
                Tag::Taken => return Ok(Some(Done { said, ticks, rest: Rest::Taken })),
                Tag::Stopped => {
                    let at = u32::from_le_bytes(self.take(beside)?);
                    return Ok(Some(Done { said, ticks, rest: Rest::Stopped(at) }));
                }
            }
        }
    }

    /// Waits until the board has said something, and lets what is beside it act until then.
    fn wait_for_bytes(&mut self, beside: &mut dyn Beside) -> std::io::Result<()> {
        let mut waited = Duration::ZERO;
        self.emulator.forget();
        while self.stream.buffer().is_empty() {
            let here = self.stream.get_ref().as_fd();
            let there = beside.waits_for().map(AsFd::as_fd);
            let mut ports = vec![PollFd::new(&here, PollFlags::IN)];
            ports.extend(there.as_ref().map(|there| PollFd::new(there, PollFlags::IN)));
            let limit = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY.subsec_nanos().into() };
            let count = poll(&mut ports, Some(&limit))?;
            if ports.first().is_some_and(|board| !board.revents().is_empty()) {
                return Ok(());
            }
            if count > 0 {
                beside.act()?;
                continue;
            }
            if self.emulator.is_asleep() {
                return Err(ErrorKind::UnexpectedEof.into()); // it waits for what never comes: dead
            }
            waited += LOOK_EVERY;
            if waited >= self.patience {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    fn tag(&mut self, beside: &mut dyn Beside) -> std::io::Result<Option<Tag>> {
        self.take(beside).map(|[number]| Tag::of(number))
    }

    fn take<const N: usize>(&mut self, beside: &mut dyn Beside) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, beside)?;
        Ok(bytes)
    }

    /// Reads so many bytes. What goes on beside the turn may stop the board in the middle of them.
    fn fill(&mut self, mut bytes: &mut [u8], beside: &mut dyn Beside) -> std::io::Result<()> {
        while !bytes.is_empty() {
            self.wait_for_bytes(beside)?;
            match self.stream.read(bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => bytes = &mut bytes[count..],
            }
        }
        Ok(())
    }
}

/// A board that is gone is none of the rig's errors; an emulator that hangs is, unless the board may be to blame for it.
fn unless_gone<T>(result: std::io::Result<T>, is_dead_if_silent: bool) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_dead_if_silent && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(error).with_context(|| format!("the emulator hangs: it said nothing for {HUNG_AFTER:?}"))
        }
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error).context("the emulator cannot be heard"),
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Returns the error of a port beside the tether: that the board is gone, or what else it is.
pub(crate) fn gone_or_broken(error: anyhow::Error) -> std::io::Error {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    let kind = cause.filter(|cause| is_gone(cause)).map_or(ErrorKind::Other, std::io::Error::kind);
    std::io::Error::new(kind, format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tether::TurnHeader;

    fn ends() -> (TetherEnd, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        (TetherEnd::with_patience(here, std::process::id(), Duration::from_millis(500)).unwrap(), there)
    }

    fn given(link: &[u8], field: &[u8]) -> Given {
        let header = TurnHeader { now_us: 7, tick_ns_q16: 1 << 16, room_bytes: 17, link_bytes: link.len() as u16 };
        Given::Turn { header, link: link.to_vec(), field: field.to_vec() }
    }

    #[test]
    fn a_turn_is_given_and_its_records_are_read() {
        let (mut tether, mut board) = ends();
        board.write_all(&[1]).unwrap();
        board.write_all(&[2, 10, 0, 0, 0, 2, 0, 0xAA, 0xBB]).unwrap();
        board.write_all(&[3, 20, 0, 0, 0, 1, 0, 0xCC]).unwrap();
        board.write_all(&[4, 30, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        let done = tether.turn(&given(&[1, 2], &[3]), &mut Nothing).unwrap().unwrap();
        let said = |line, ticks, bytes: &[u8]| Said { line, ticks, bytes: bytes.to_vec() };
        assert_eq!(done.said, [said(Line::CrossLink, 10, &[0xAA, 0xBB]), said(Line::FieldBus, 20, &[0xCC])]);
        assert_eq!((done.ticks, done.rest), (30, Rest::Until { us: 9 }));
        let mut turn = [0; 21];
        board.read_exact(&mut turn).unwrap();
        assert_eq!((turn[0], &turn[16..]), (19, &[2, 0, 1, 2, 3][..]), "its length, and what came on both lines");
    }

    #[test]
    fn a_board_that_is_gone_or_says_nonsense_is_a_dead_board() {
        for said in [&[1, 9][..], &[1, 2, 0, 0], &[7], &[1, 1]] {
            let (mut tether, mut board) = ends();
            board.write_all(said).unwrap();
            board.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(tether.turn(&given(&[], &[]), &mut Nothing).unwrap(), None, "{said:?}");
        }
    }

    #[test]
    fn an_emulator_that_hangs_is_an_error() {
        let (mut tether, mut board) = ends();
        board.write_all(&[1]).unwrap();
        let error = tether.turn(&given(&[], &[]), &mut Nothing).unwrap_err();
        assert!(format!("{error:#}").contains("the emulator hangs"), "{error:#}");
    }

    #[test]
    fn a_board_whose_memory_is_hit_and_that_says_nothing_is_a_dead_board() {
        let (tether, mut board) = ends();
        board.write_all(&[1]).unwrap();
        assert_eq!(tether.dead_if_silent().turn(&given(&[], &[]), &mut Nothing).unwrap(), None);
    }
}
