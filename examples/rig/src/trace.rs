//! Follows a board instruction by instruction, from the moment at which the peer's vote is there to the output on the bus.

use crate::debugger::{Debugger, PROGRAM_COUNTER};
use crate::firmware;
use crate::instructions::{Function, functions};
use crate::tether::{Beside, gone_or_broken};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::os::unix::net::UnixStream;

/// Where a board's program is, as far as faults of its processor go.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The library, the program and the loop, with what they use of other crates.
    functions: Vec<Function>,
    /// What is executed of the function that drives an output once that is opened.
    behind_seal: Range<u32>,
    /// Where it goes on once the output is driven.
    driven: u32,
    /// Where the firmware says that an opened output is on its way.
    is_driving_at: u32,
    /// Where a turn begins.
    begins: u32,
    /// Where one ends.
    ends: u32,
}

/// Crates that the program consists of.
const CRATES: [&str; 8] = ["twinstep", "tank", "board", "postcard", "serde", "cobs", "heapless", "compiler_builtins"];
/// The rig's own end of a board: a fault there would hit the rig.
const TETHER: &str = "virtual_time";

impl Program {
    /// Reads it from an image.
    pub(crate) fn of(elf: &[u8]) -> Result<Self> {
        let is_in = |path: &str| CRATES.iter().any(|part| path.contains(part)) && !path.contains(TETHER);
        let all = functions(elf, |_| true)?;
        let named = |name: &str| {
            let found = all.iter().find(|function| firmware::is_named(&function.path, name));
            found.map(|function| function.range.clone()).with_context(|| format!("the firmware has no `{name}`"))
        };
        let ends = named("take_turn")?.start;
        let begins = named("turn_begins")?.start;
        let (actuate, opened) = (named("board::serve::actuate")?, named("board::serve::opened")?.start);
        let actuates = all.iter().find(|function| function.range == actuate);
        let opens = actuates.and_then(|function| function.calls.iter().find(|(_, callee)| *callee == opened));
        let (opens, _) = opens.context("the firmware opens no output where it drives")?;
        let behind_seal = opens + 4..actuate.end;
        let sends = actuates.and_then(|function| function.calls.iter().rfind(|(at, _)| behind_seal.contains(at)));
        let driven = sends.context("the firmware drives nothing where it opens")?.0 + 4;
        let is_driving_at = firmware::address_of("IS_DRIVING", 1, elf)?;
        let functions: Vec<Function> = all.into_iter().filter(|function| is_in(&function.path)).collect();
        let program = Self { functions, behind_seal, driven, is_driving_at, begins, ends };
        ensure!(program.count() > 0, "the firmware has no instructions");
        Ok(program)
    }

    /// Returns the same with these instructions only, as far as it has them.
    ///
    /// # Errors
    /// If it has none of them.
    pub(crate) fn only(&self, executed: &BTreeSet<u32>) -> Result<Self> {
        let mut program = self.clone();
        for function in &mut program.functions {
            function.instructions.retain(|at| executed.contains(at));
        }
        ensure!(program.count() > 0, "the boards executed nothing of their program");
        Ok(program)
    }

    /// Returns how many instructions it has.
    pub(crate) fn count(&self) -> usize {
        self.functions.iter().map(|function| function.instructions.len()).sum()
    }

    /// Returns the address of an instruction by its number.
    pub(crate) fn instruction(&self, mut number: usize) -> Option<u32> {
        for function in &self.functions {
            match function.instructions.get(number) {
                Some(at) => return Some(*at),
                None => number -= function.instructions.len(),
            }
        }
        None
    }

    /// Returns the function that an address lies in, and how far from its beginning.
    pub(crate) fn place(&self, address: u32) -> String {
        let found = self.functions.iter().find(|function| function.range.contains(&address));
        found.map_or(format!("{address:#010x}"), |function| {
            format!("{} + {:#x}", function.path, address - function.range.start)
        })
    }

    /// Whether an address is one of the program's own.
    fn has(&self, address: u32) -> bool {
        self.functions.iter().any(|function| function.range.contains(&address))
    }

    /// Whether a board that stands before an instruction has opened an output, and not driven it yet: what it executes
    /// then is behind the check of the seal.
    pub(crate) fn is_behind_seal(&self, address: u32, debugger: &mut Debugger) -> Result<bool> {
        let word_at = self.is_driving_at & !3;
        let word = debugger.words_at(word_at, 1)?.first().copied().unwrap_or_default();
        let is_driving = word >> (8 * (self.is_driving_at - word_at)) & 0xFF != 0;
        Ok(is_driving || self.behind_seal.contains(&address))
    }
}

/// The instructions that were executed from the peer's vote to the actuator, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretch(Vec<u32>);

impl Stretch {
    /// Returns how many there were.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns one by its number: its address, and how many times it had been executed before, plus one.
    pub(crate) fn at(&self, number: usize) -> Option<(u32, u32)> {
        let address = *self.0.get(number)?;
        let times = self.0.get(..=number)?.iter().filter(|at| **at == address).count();
        Some((address, times as u32))
    }

    /// Returns how many different instructions there were.
    pub(crate) fn different(&self) -> usize {
        self.0.iter().map(|at| (*at, ())).collect::<HashMap<_, _>>().len()
    }
}

/// Follows a turn beside it.
pub(crate) struct Tracer<'d> {
    debugger: &'d mut Debugger,
    program: &'d Program,
    stretch: Stretch,
    is_complete: bool,
}

impl<'d> Tracer<'d> {
    /// Waits for the beginning of the turn.
    pub(crate) fn new(debugger: &'d mut Debugger, program: &'d Program) -> Result<Self> {
        debugger.stop()?;
        debugger.break_at(program.begins)?;
        debugger.go_on()?;
        Ok(Self { debugger, program, stretch: Stretch::default(), is_complete: false })
    }

    /// Returns what was executed, if the turn drove an output.
    pub(crate) fn into_stretch(self) -> Option<Stretch> {
        self.is_complete.then_some(self.stretch)
    }

    fn follow(&mut self) -> Result<()> {
        self.debugger.wait_for_stop()?;
        self.debugger.forget(self.program.begins)?;
        let mut is_driving = false;
        loop {
            let at = self.debugger.register(PROGRAM_COUNTER)?;
            if at == self.program.ends {
                break;
            }
            let was_driving = is_driving;
            is_driving = self.program.behind_seal.contains(&at) || was_driving;
            // It is back in that function, behind its call that drives.
            if was_driving && at >= self.program.driven && self.program.behind_seal.contains(&at) {
                self.is_complete = true;
                break;
            }
            // What the rig has in hand of the board is none of it.
            if self.program.has(at) {
                self.stretch.0.push(at);
            }
            self.debugger.step()?;
        }
        self.debugger.go_on()
    }
}

impl Beside for Tracer<'_> {
    fn waits_for(&self) -> Option<&UnixStream> {
        Some(self.debugger.stream())
    }

    fn act(&mut self) -> io::Result<()> {
        self.follow().map_err(gone_or_broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_of_a_loop_is_known_by_its_round() {
        let stretch = Stretch(vec![2, 4, 6, 4, 6, 4, 8]);
        assert_eq!((stretch.len(), stretch.different()), (7, 4));
        assert_eq!(
            [0, 1, 3, 5, 6].map(|number| stretch.at(number)),
            [(2, 1), (4, 1), (4, 2), (4, 3), (8, 1)].map(Some)
        );
        assert_eq!(stretch.at(7), None);
    }
}
