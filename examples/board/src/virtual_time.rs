//! A board whose time is the rig's: its clock, its link and its field bus over one tether.
//!
//! The board works in turns, as the crate `tether` says. Its work is counted by SysTick, which counts instructions
//! under the emulator's `-icount`: from the moment at which all of the turn's bytes are there to the end of the turn.
//! A real board has a UART for each line and a timer in place of this file.

use core::cell::RefCell;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use heapless::Deque;
use tether::{FIELD_BYTES, LINK_BYTES, RESET, TURN_HEADER_BYTES, Tag, TurnHeader};
use twinstep::Instant;
use twinstep_hal::Clock;

/// What the tether needs of a chip.
pub trait Chip {
    /// Waits for a byte of the rig, asleep.
    fn receive(&mut self) -> u8;

    /// Gives the rig a byte.
    fn send(&mut self, byte: u8);

    /// Begins anew, as from a reset.
    fn reset(&mut self) -> !;

    /// A turn begins: from now on the chip works.
    fn begins(&mut self) {}

    /// A turn ends: from now on the chip sleeps.
    fn ends(&mut self) {}
}

/// SysTick counts down in 24 bits.
const SYSTICK_MASK: u32 = 0x00FF_FFFF;

/// The board's end of the tether.
pub struct Tether<C>(RefCell<Inner<C>>);

struct Inner<C> {
    chip: C,
    systick: SYST,
    turn: TurnHeader,
    room_bytes: u16,
    link: Deque<u8, LINK_BYTES>,
    field: Deque<u8, FIELD_BYTES>,
}

impl<C: Chip> Tether<C> {
    /// Says that the board has booted, and waits for its first turn.
    pub fn new(chip: C, mut systick: SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.disable_interrupt();
        systick.set_reload(SYSTICK_MASK);
        let turn = TurnHeader::default();
        let mut inner = Inner { chip, systick, turn, room_bytes: 0, link: Deque::new(), field: Deque::new() };
        inner.chip.send(Tag::Booted as u8);
        inner.take_turn();
        Self(RefCell::new(inner))
    }

    /// Rings the doorbell of the other core: there is something for it in the memory of both.
    pub fn ring(&self) {
        self.with(|inner| inner.write(Tag::Link, &[]));
    }

    /// Nobody holds the tether across a call, so this always runs; it has no panic to show for it.
    fn with<R: Default>(&self, act: impl FnOnce(&mut Inner<C>) -> R) -> R {
        self.0.try_borrow_mut().map(|mut inner| act(&mut inner)).unwrap_or_default()
    }
}

impl<C: Chip> Inner<C> {
    /// Sleeps until the rig has given a whole turn, and begins it. Nothing of this is counted.
    fn take_turn(&mut self) {
        let length = u16::from_le_bytes([self.chip.receive(), self.chip.receive()]);
        if length == RESET {
            self.chip.reset();
        }
        let mut header = [0; TURN_HEADER_BYTES];
        for byte in &mut header {
            *byte = self.chip.receive();
        }
        let turn = TurnHeader::from_bytes(header);
        for place in TURN_HEADER_BYTES as u16..length {
            let byte = self.chip.receive();
            let is_of_link = place - (TURN_HEADER_BYTES as u16) < turn.link_bytes;
            // A byte that finds its buffer full is lost, as in any driver.
            let _ = if is_of_link { self.link.push_back(byte) } else { self.field.push_back(byte) };
        }
        (self.turn, self.room_bytes) = (turn, turn.room_bytes);
        self.chip.begins();
        turn_begins();
        self.systick.clear_current();
        self.systick.enable_counter();
    }

    fn ticks(&self) -> u32 {
        ticks_so_far()
    }

    fn now_us(&self) -> u64 {
        self.turn.now_us + self.turn.us_of(self.ticks())
    }

    fn say(&mut self, tag: Tag, ticks: u32, rest: &[u8]) {
        self.chip.send(tag as u8);
        for byte in ticks.to_le_bytes().iter().chain(rest) {
            self.chip.send(*byte);
        }
    }

    /// Ends the turn, and waits for the next one.
    fn end_turn(&mut self, tag: Tag, what_for: &[u8]) {
        let ticks = self.ticks();
        self.systick.disable_counter();
        self.chip.ends();
        self.say(tag, ticks, what_for);
        self.take_turn();
    }

    /// Sends bytes on a line, at this moment of the turn.
    fn write(&mut self, tag: Tag, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let ticks = self.ticks();
        self.say(tag, ticks, &length.to_le_bytes());
        for byte in bytes.iter().take(length.into()) {
            self.chip.send(*byte);
        }
    }

    /// Sends bytes on the link. A UART without room for all of them holds its sender up.
    fn write_link(&mut self, bytes: &[u8]) {
        self.write(Tag::Link, bytes);
        let room_bytes = usize::from(self.room_bytes).checked_sub(bytes.len());
        self.room_bytes = room_bytes.unwrap_or_default() as u16;
        if room_bytes.is_none() {
            self.end_turn(Tag::Taken, &[]);
        }
    }
}

/// Returns the ticks since the turn began.
pub fn ticks_so_far() -> u32 {
    match SYST::get_current() {
        0 => 0, // no tick yet
        current => SYSTICK_MASK - current,
    }
}

/// A mark for the rig, which follows a board from here on: a function of its own.
#[inline(never)]
fn turn_begins() {
    core::hint::black_box(());
}

/// The board's clock: the rig's time, and the work since.
pub struct TetherClock<'t, C>(pub &'t Tether<C>);

impl<C: Chip> Clock for TetherClock<'_, C> {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0.with(|inner| inner.now_us()))
    }

    fn wait_until(&mut self, at: Instant) {
        self.0.with(|inner| inner.end_turn(Tag::Until, &at.as_micros().to_le_bytes()));
    }
}

/// The cross link as a byte stream.
pub struct LinkPort<'t, C>(pub &'t Tether<C>);

/// The field bus as a byte stream.
pub struct FieldPort<'t, C>(pub &'t Tether<C>);

impl<C> ErrorType for LinkPort<'_, C> {
    type Error = ErrorKind;
}

impl<C> ErrorType for FieldPort<'_, C> {
    type Error = ErrorKind;
}

impl<C: Chip> Read for LinkPort<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(self.0.with(|inner| take(&mut inner.link, buffer)))
    }
}

impl<C: Chip> Read for FieldPort<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(self.0.with(|inner| take(&mut inner.field, buffer)))
    }
}

impl<C: Chip> ReadReady for LinkPort<'_, C> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.with(|inner| !inner.link.is_empty()))
    }
}

impl<C: Chip> ReadReady for FieldPort<'_, C> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.with(|inner| !inner.field.is_empty()))
    }
}

impl<C: Chip> Write for LinkPort<'_, C> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.with(|inner| inner.write_link(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl<C: Chip> Write for FieldPort<'_, C> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.with(|inner| inner.write(Tag::Field, bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Takes what is there. `Read` promises to wait for a first byte; whoever reads here has asked before.
fn take<const N: usize>(bytes: &mut Deque<u8, N>, buffer: &mut [u8]) -> usize {
    let mut count = 0;
    for place in buffer {
        let Some(byte) = bytes.pop_front() else { break };
        *place = byte;
        count += 1;
    }
    count
}
