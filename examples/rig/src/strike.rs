//! Single faults of a processor: a bit of a register flipped, or an instruction skipped, before an instruction of the program.

use crate::debugger::{Debugger, PROGRAM_COUNTER, STACK_POINTER, STATUS};
use crate::instructions::is_long;
use crate::tether::{Beside, gone_or_broken};
use crate::trace::Program;
use anyhow::Result;
use fastrand::Rng;
use serde::Serialize;
use std::io;
use std::os::unix::net::UnixStream;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strike {
    /// A bit of a core register is flipped: of r0 to r12, the stack pointer, the link register.
    Register { number: u8, bit: u8 },
    /// A bit of the program counter is flipped.
    ProgramCounter { bit: u8 },
    /// A bit of the status register is flipped: a condition, the state of a conditional block, or the Thumb bit.
    Status { bit: u8 },
    /// The instruction is not executed.
    Skip,
}

/// The bits of the status register that a program depends on (Armv7-M reference manual, B1.4.2).
const STATUS_BITS: [u8; 14] = [31, 30, 29, 28, 27, 26, 25, 24, 15, 14, 13, 12, 11, 10];

impl Strike {
    /// Draws one; half of them flip a core register.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.u8(0..8) {
            0..4 => {
                let number = rng.u8(0..15);
                // The two lowest bits of the stack pointer are always 0.
                Self::Register { number, bit: rng.u8(if number == STACK_POINTER { 2 } else { 0 }..32) }
            }
            4 => Self::ProgramCounter { bit: rng.u8(1..32) },
            5 => Self::Status { bit: STATUS_BITS[rng.usize(0..STATUS_BITS.len())] },
            _ => Self::Skip,
        }
    }

    /// The kind, for the table of outcomes.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Register { .. } => "core register",
            Self::ProgramCounter { .. } => "program counter",
            Self::Status { .. } => "status register",
            Self::Skip => "instruction skipped",
        }
    }

    /// Does it to a board that stands before the instruction; returns it in words.
    fn apply(self, debugger: &mut Debugger) -> Result<String> {
        let mut flip = |number: u8, bit: u8, name: String| {
            let before = debugger.register(number)?;
            debugger.set_register(number, before ^ 1 << bit)?;
            Ok(format!("{name} bit {bit}, was {before:#010x}"))
        };
        match self {
            Self::Register { number: STACK_POINTER, bit } => flip(STACK_POINTER, bit, "sp".into()),
            Self::Register { number: 14, bit } => flip(14, bit, "lr".into()),
            Self::Register { number, bit } => flip(number, bit, format!("r{number}")),
            Self::ProgramCounter { bit } => flip(PROGRAM_COUNTER, bit, "pc".into()),
            Self::Status { bit } => flip(STATUS, bit, "xpsr".into()),
            Self::Skip => {
                let at = debugger.register(PROGRAM_COUNTER)?;
                let bytes = if is_long(debugger.half_at(at)?) { 4 } else { 2 };
                let status = debugger.register(STATUS)?;
                debugger.set_register(STATUS, past_one(status))?;
                debugger.set_register(PROGRAM_COUNTER, at + bytes)?;
                Ok("skipped".into())
            }
        }
    }
}

/// Returns the status register as it is after one instruction of a conditional block (Armv7-M reference manual, A7.3.3).
fn past_one(status: u32) -> u32 {
    let it = (status >> 8 & 0xFC) | (status >> 25 & 0b11);
    let advanced = if it & 0b111 == 0 { 0 } else { (it & 0xE0) | (it << 1 & 0x1F) };
    status & !0x0600_FC00 | (advanced & 0xFC) << 8 | (advanced & 0b11) << 25
}

/// A strike, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shot {
    pub(crate) strike: Strike,
    /// Before the instruction at this address.
    pub(crate) address: u32,
    /// The n-th time, from 1 on, that it is about to be executed.
    pub(crate) hit: u32,
    /// Only in a turn that brings the peer's vote, and counted from its beginning.
    pub(crate) with_vote: bool,
}

/// What became of a shot that hit.
#[derive(Clone, Debug)]
pub(crate) struct Fired {
    pub(crate) shot: Shot,
    /// In words.
    pub(crate) what: String,
    /// After the check of the seal, and before the output was on the bus.
    pub(crate) is_behind_seal: bool,
}

/// A shot that waits for its instruction.
pub(crate) struct Armed<'d> {
    program: &'d Program,
    debugger: &'d mut Debugger,
    shot: &'d mut Option<Shot>,
    fired: &'d mut Option<Fired>,
}

/// Sets the breakpoint of a shot, on a board that sleeps between two turns.
pub(crate) fn arm(debugger: &mut Debugger, shot: Shot) -> Result<()> {
    debugger.stop()?;
    debugger.break_at(shot.address)?;
    debugger.go_on()
}

/// Takes the breakpoint of a shot away that did not hit.
pub(crate) fn disarm(debugger: &mut Debugger, shot: Shot) -> Result<()> {
    debugger.stop()?;
    debugger.forget(shot.address)?;
    debugger.go_on()
}

impl<'d> Armed<'d> {
    /// Waits beside a turn.
    pub(crate) fn new(
        program: &'d Program,
        debugger: &'d mut Debugger,
        shot: &'d mut Option<Shot>,
        fired: &'d mut Option<Fired>,
    ) -> Self {
        Self { program, debugger, shot, fired }
    }

    fn stopped(&mut self) -> Result<()> {
        self.debugger.wait_for_stop()?;
        let Some(shot) = self.shot else { return self.debugger.go_on() };
        shot.hit -= 1;
        if shot.hit > 0 {
            return self.debugger.pass(shot.address);
        }
        let shot = *shot;
        *self.shot = None;
        self.debugger.forget(shot.address)?;
        let is_behind_seal = self.program.is_behind_seal(shot.address, self.debugger)?;
        let what = shot.strike.apply(self.debugger)?;
        *self.fired = Some(Fired { shot, what, is_behind_seal });
        self.debugger.go_on()
    }
}

impl Beside for Armed<'_> {
    fn waits_for(&self) -> Option<&UnixStream> {
        Some(self.debugger.stream())
    }

    fn act(&mut self) -> io::Result<()> {
        loop {
            self.stopped().map_err(gone_or_broken)?;
            if !self.debugger.has_said() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// The registers of a pretended board that stands before an instruction.
    type Registers = [u32; 26];

    const STANDS_AT: u32 = 0x200;

    /// Answers as the debug stub does, until the other end is closed; returns the registers as they are then.
    fn stub(mut port: UnixStream, mut registers: Registers, instruction: [u8; 2]) -> Registers {
        let mut byte = [0];
        let mut packet = String::new();
        while port.read(&mut byte).unwrap() == 1 {
            match byte[0] {
                b'+' => {}
                b'$' => packet.clear(),
                b'#' => {
                    port.read_exact(&mut [0; 2]).unwrap();
                    let answer = answer(&packet, &mut registers, instruction);
                    let sum = answer.bytes().fold(0_u8, u8::wrapping_add);
                    write!(port, "+${answer}#{sum:02x}").unwrap();
                }
                letter => packet.push(letter.into()),
            }
        }
        registers
    }

    fn answer(packet: &str, registers: &mut Registers, instruction: [u8; 2]) -> String {
        let hex = |digits: &str| u32::from_str_radix(digits, 16).unwrap();
        let (order, rest) = packet.split_at(1);
        match (order, rest.split_once('=')) {
            ("p", None) => format!("{:08x}", registers[hex(rest) as usize].swap_bytes()),
            ("P", Some((number, value))) => {
                registers[hex(number) as usize] = hex(value).swap_bytes();
                "OK".into()
            }
            ("m", None) => {
                assert_eq!(rest, format!("{STANDS_AT:x},2"));
                format!("{:02x}{:02x}", instruction[0], instruction[1])
            }
            _ => panic!("{packet}"),
        }
    }

    /// Strikes a pretended board; returns its registers before and after.
    fn strike(strike: Strike, instruction: [u8; 2]) -> [Registers; 2] {
        let mut before: Registers = std::array::from_fn(|number| 0x1111_1111 * (number as u32 & 0xF));
        before[usize::from(PROGRAM_COUNTER)] = STANDS_AT;
        before[usize::from(STATUS)] = 0x0100_0000 | 0b0000_0100 << 8; // the second of three, if equal
        let (here, there) = UnixStream::pair().unwrap();
        let board = std::thread::spawn(move || stub(there, before, instruction));
        let mut debugger = Debugger::connect(here).unwrap();
        strike.apply(&mut debugger).unwrap();
        drop(debugger);
        [before, board.join().unwrap()]
    }

    /// `nop`, and the first half of a call.
    const SHORT: [u8; 2] = [0x00, 0xBF];
    const LONG: [u8; 2] = [0x00, 0xF0];

    #[test]
    fn a_flip_changes_one_bit_of_one_register() {
        for (struck, number, bit) in [
            (Strike::Register { number: 3, bit: 7 }, 3, 7),
            (Strike::Register { number: STACK_POINTER, bit: 2 }, STACK_POINTER, 2),
            (Strike::Register { number: 14, bit: 31 }, 14, 31),
            (Strike::ProgramCounter { bit: 1 }, PROGRAM_COUNTER, 1),
            (Strike::Status { bit: 30 }, STATUS, 30),
        ] {
            let [mut before, after] = strike(struck, SHORT);
            before[usize::from(number)] ^= 1 << bit;
            assert_eq!(before, after, "{struck:?}");
        }
    }

    #[test]
    fn a_skipped_instruction_is_passed_by_its_length_with_the_state_of_its_block() {
        for (instruction, bytes) in [(SHORT, 2), (LONG, 4)] {
            let [mut before, after] = strike(Strike::Skip, instruction);
            before[usize::from(PROGRAM_COUNTER)] += bytes;
            before[usize::from(STATUS)] = 0x0100_0000 | 0b0000_1000 << 8; // the third
            assert_eq!(before, after, "{instruction:x?}");
        }
    }

    #[test]
    fn the_state_of_a_conditional_block_goes_on_by_one() {
        let status = |it: u32| 0x8100_0000 | (it & 0xFC) << 8 | (it & 0b11) << 25;
        // ITTT EQ: three instructions; then two, one, none.
        for (before, after) in [(0b0000_0010, 0b0000_0100), (0b0000_0100, 0b0000_1000), (0b0000_1000, 0), (0, 0)] {
            assert_eq!(past_one(status(before)), status(after), "{before:#010b}");
        }
        // ITE NE: the second one has the other condition.
        assert_eq!(past_one(status(0b0001_1100)), status(0b0001_1000));
    }

    #[test]
    fn every_kind_is_drawn() {
        let mut rng = Rng::with_seed(1);
        let mut kinds: Vec<_> = (0..200).map(|_| Strike::draw(&mut rng).kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, ["core register", "instruction skipped", "program counter", "status register"]);
    }
}
