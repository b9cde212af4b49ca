//! Follows a board instruction by instruction, from the moment at which the peer's vote is there to the output on the bus.

use crate::debugger::{Debugger, PROGRAM_COUNTER};
use crate::firmware;
use crate::instructions::{Function, functions};
use crate::tether::Beside;
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
    /// Opens an output, and drives it.
    actuate: Range<u32>,
    /// Drives an opened output.
    drive: Range<u32>,
    /// Where a turn begins.
    begins: Vec<u32>,
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
        let begins = all.iter().flat_map(|function| returns_from(ends, function)).collect();
        let (actuate, drive) = (named("board::serve::actuate")?, named("board::serve::drive")?);
        let functions: Vec<Function> = all.into_iter().filter(|function| is_in(&function.path)).collect();
        let program = Self { functions, actuate, drive, begins, ends };
        ensure!(!program.begins.is_empty() && program.count() > 0, "the firmware has no turns, or no instructions");
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

    /// Whether an instruction, with these words on the stack, is behind the check of the seal and before the write to the
    /// actuator: in the function that opens the output, in the one that drives it, or in one that this has called.
    pub(crate) fn is_behind_seal(&self, address: u32, stack: &[u32]) -> bool {
        let is_return = |word: &u32| word & 1 == 1 && self.drive.contains(&(word & !1));
        self.actuate.contains(&address) || self.drive.contains(&address) || stack.iter().any(is_return)
    }
}

/// Returns where a function goes on after its calls of another one.
fn returns_from(callee: u32, function: &Function) -> Vec<u32> {
    let calls = function.calls.iter().filter(|(_, target)| *target == callee);
    calls.map(|(at, _)| at + 4).collect()
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
        program.begins.iter().try_for_each(|at| debugger.break_at(*at))?;
        debugger.go_on()?;
        Ok(Self { debugger, program, stretch: Stretch::default(), is_complete: false })
    }

    /// Returns what was executed, if the turn drove an output.
    pub(crate) fn into_stretch(self) -> Option<Stretch> {
        self.is_complete.then_some(self.stretch)
    }

    fn follow(&mut self) -> Result<()> {
        self.debugger.wait_for_stop()?;
        self.program.begins.iter().try_for_each(|at| self.debugger.forget(*at))?;
        let mut is_driving = false;
        loop {
            let at = self.debugger.register(PROGRAM_COUNTER)?;
            if at == self.program.ends {
                break;
            }
            is_driving |= self.program.drive.contains(&at);
            // It is back from there.
            if is_driving && self.program.actuate.contains(&at) {
                self.is_complete = true;
                break;
            }
            self.stretch.0.push(at);
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
        self.follow().map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))
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
