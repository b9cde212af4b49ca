//! One core of the chip, by the addresses of its image: it can be stopped at an instruction of its program.

use crate::firmware;
use crate::instructions::{Function, functions};
use crate::qtest::Qtest;
use crate::rot::PlantMemory;
use anyhow::{Context, Result, ensure};
use fastrand::Rng;

/// The upper byte of an instruction that is undefined, whatever its lower one: `udf`.
const UNDEFINED: u8 = 0xDE;

/// What a core comes by in every cycle, of what the compiler leaves as functions of their own: from the sample to
/// the message with the output.
const WAYPOINTS: [&str; 8] =
    ["transmit_sample", "step_both", "transmit_vote", "check_vote", "commit", "commit_and_release", "confirms", "send"];

/// Where a core's image is.
pub(super) struct Core {
    /// Where it keeps its mirrored memory.
    pub(super) memory_at: u32,
    elf: Vec<u8>,
    /// What the library, the program and the loop are made of.
    functions: Vec<Function>,
    /// The bytes that were written over, and where.
    healthy: Vec<(u32, u8)>,
}

impl Core {
    /// Reads the addresses from the image of a core.
    pub(super) fn new(elf: Vec<u8>) -> Result<Self> {
        let memory_at = firmware::address_of("MEMORY", size_of::<PlantMemory>(), &elf)?;
        // Not the tether: what has the core in hand must not break.
        let is_ours = |path: &str| {
            ["twinstep", "tank", "board"].iter().any(|part| path.contains(part)) && !path.contains("virtual_time")
        };
        let functions = functions(&elf, is_ours)?;
        ensure!(!functions.is_empty(), "the core's image has no functions of the library");
        Ok(Self { memory_at, elf, functions, healthy: Vec::new() })
    }

    /// Stops the core before it executes an instruction drawn of all, the next time; returns in which function that is.
    pub(super) fn stop_somewhere(&mut self, rng: &mut Rng, memory: &mut Qtest) -> Result<String> {
        let count: usize = self.functions.iter().map(|function| function.instructions.len()).sum();
        let mut place = rng.usize(0..count);
        for function in &self.functions {
            if let Some(at) = function.instructions.get(place) {
                let (at, path) = (*at, function.path.clone());
                self.undefine(at, memory)?;
                return Ok(path);
            }
            place -= function.instructions.len();
        }
        anyhow::bail!("the core's image has no instruction {place}")
    }

    /// Stops the core as it enters one of the functions that it comes by in every cycle.
    pub(super) fn stop_at_waypoint(&mut self, rng: &mut Rng, memory: &mut Qtest) -> Result<()> {
        let there: Vec<u32> = WAYPOINTS.iter().filter_map(|name| firmware::function(name, &self.elf)).collect();
        let at = *rng.choice(&there).context("the firmware has none of the functions of a cycle")?;
        self.undefine(at, memory)
    }

    /// Stops the core as it enters a function the next time.
    pub(super) fn stop_at(&mut self, function: &str, memory: &mut Qtest) -> Result<()> {
        let at =
            firmware::function(function, &self.elf).with_context(|| format!("the firmware has no `{function}`"))?;
        self.undefine(at, memory)
    }

    /// Puts back what was written over.
    pub(super) fn heal(&mut self, memory: &mut Qtest) -> Result<()> {
        self.healthy.drain(..).try_for_each(|(at, healthy)| memory.write_byte(at, healthy))
    }

    /// Returns what the core does at an address.
    pub(super) fn function_at(&self, address: u32) -> String {
        firmware::function_at(address, &self.elf).unwrap_or_else(|| format!("{address:#010x}"))
    }

    fn undefine(&mut self, instruction_at: u32, memory: &mut Qtest) -> Result<()> {
        self.heal(memory)?;
        let upper = instruction_at + 1;
        self.healthy.push((upper, memory.read_byte(upper)?));
        memory.write_byte(upper, UNDEFINED)
    }
}

/// Returns where the memory is that both cores see.
pub(super) fn shared_at(elf: &[u8]) -> Result<u32> {
    firmware::symbol("SHARED_BY_BOTH_CORES", elf)
}
