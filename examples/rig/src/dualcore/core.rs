//! One core of the chip, by the addresses of its image: it can be stopped dead, and started anew.

use crate::firmware;
use crate::qtest::Qtest;
use crate::rot::PlantMemory;
use anyhow::{Context, Result, ensure};
use std::mem::offset_of;
use tank::two_cores::{Life, Shared};
use twinstep::ChannelId;

/// The upper byte of an instruction that is undefined, whatever its lower one: `udf`.
const UNDEFINED: u8 = 0xDE;

/// `b .`
const BRANCH_TO_ITSELF: u16 = 0xE7FE;

/// What a core comes by in every cycle, of what the compiler leaves as functions of their own: from the sample to
/// the message with the output.
pub(super) const WAYPOINTS: [&str; 8] =
    ["transmit_sample", "step_both", "transmit_vote", "check_vote", "commit", "commit_and_release", "confirms", "send"];

/// Where a core's image and its share of the memory are.
pub(super) struct Core {
    /// Where it keeps its mirrored memory.
    pub(super) memory_at: u32,
    elf: Vec<u8>,
    /// Its SysTick handler, which runs every millisecond.
    handler_at: u32,
    life_at: u32,
    /// The bytes that were written over, and where.
    healthy: Vec<(u32, u8)>,
    /// The instruction that the core hangs at, and what was there.
    hung: Option<(u32, u16)>,
}

impl Core {
    /// Reads the addresses from the image of a core.
    pub(super) fn new(core: ChannelId, elf: Vec<u8>) -> Result<Self> {
        let handler_at = firmware::symbol("SysTick", &elf)? & !1; // without the mark of Thumb code
        let life = offset_of!(Shared, lives) + core.index() * size_of::<Life>();
        let life_at = shared_at(&elf)? + life as u32;
        let memory_at = firmware::address_of("MEMORY", size_of::<PlantMemory>(), &elf)?;
        Ok(Self { memory_at, elf, handler_at, life_at, healthy: Vec::new(), hung: None })
    }

    /// Stops the core within a millisecond of its time, wherever it is in its program.
    pub(super) fn stop(&mut self, memory: &mut Qtest) -> Result<()> {
        self.undefine(self.handler_at, memory)
    }

    /// Stops the core as it enters a function the next time; returns whether its image has one of that name.
    pub(super) fn stop_at(&mut self, function: &str, memory: &mut Qtest) -> Result<bool> {
        let at = firmware::function(function, &self.elf);
        at.map_or(Ok(false), |at| self.undefine(at, memory).map(|()| true))
    }

    /// One byte, so that the core meets either instruction whole.
    fn undefine(&mut self, instruction_at: u32, memory: &mut Qtest) -> Result<()> {
        let upper = instruction_at + 1;
        let healthy = memory.read_byte(upper)?;
        ensure!(healthy != UNDEFINED, "the core is stopped already");
        self.healthy.push((upper, healthy));
        memory.write_byte(upper, UNDEFINED)
    }

    /// Lets the core hang as it enters a function the next time: its clock runs on, its program does not.
    pub(super) fn hang_at(&mut self, function: &str, memory: &mut Qtest) -> Result<()> {
        let at =
            firmware::function(function, &self.elf).with_context(|| format!("the firmware has no `{function}`"))?;
        self.hung = Some((at, memory.read_half(at)?));
        memory.write_half(at, BRANCH_TO_ITSELF)
    }

    /// Lets a core that hangs go on, as if nothing had been.
    pub(super) fn go_on(&mut self, memory: &mut Qtest) -> Result<()> {
        self.hung.take().map_or(Ok(()), |(at, healthy)| memory.write_half(at, healthy))
    }

    /// Returns the address of the instruction that the core stopped before, once it stands still.
    pub(super) fn stopped_at(&self, memory: &mut Qtest) -> Result<Option<u32>> {
        let address = memory.read_word(self.life_at + offset_of!(Life, stopped_at) as u32)?;
        Ok((address != 0).then_some(address))
    }

    /// Lets a core that stands still begin anew.
    pub(super) fn start_anew(&mut self, memory: &mut Qtest) -> Result<()> {
        for (at, healthy) in self.healthy.drain(..) {
            memory.write_byte(at, healthy)?;
        }
        memory.write_byte(self.life_at + offset_of!(Life, restart) as u32, 1)
    }

    /// Returns what the core does at an address.
    pub(super) fn function_at(&self, address: u32) -> String {
        firmware::function_at(address, &self.elf).unwrap_or_else(|| format!("{address:#010x}"))
    }
}

/// Returns where the memory is that both cores see.
pub(super) fn shared_at(elf: &[u8]) -> Result<u32> {
    firmware::symbol("SHARED_BY_BOTH_CORES", elf)
}
