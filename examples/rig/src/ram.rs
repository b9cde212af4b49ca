//! What of a board's RAM the firmware uses, by its image: its statics, and the stack that grows towards them.

use crate::rot::PlantMemory;
use anyhow::{Context, Result};
use fastrand::Rng;
use object::{Object, ObjectSection, ObjectSymbol};
use std::ops::Range;

/// Where this board has RAM.
const RAM: Range<u64> = 0x2000_0000..0x2001_0000;

/// The parts of RAM that are in use.
pub(crate) struct Ram {
    /// From the first static to the last.
    statics: Range<u32>,
    /// What the stack may take.
    stack: Range<u32>,
    symbols: Vec<(Range<u32>, String)>,
}

/// A byte of RAM.
pub(crate) struct Place {
    pub(crate) address: u32,
    /// The kind of memory.
    pub(crate) region: &'static str,
    /// What is there, as far as it is known.
    pub(crate) symbol: String,
}

impl Ram {
    /// Reads the layout from an image.
    pub(crate) fn of(elf: &[u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("the firmware is no ELF file")?;
        let sections = || file.sections().filter(|section| RAM.contains(&section.address()) && section.size() > 0);
        let from = sections().map(|section| section.address()).min().context("the firmware has no statics")?;
        let until = sections().map(|section| section.address() + section.size()).max().unwrap_or(from);
        let top =
            file.symbols().find(|symbol| symbol.name() == Ok("_stack_start")).context("the image has no stack")?;
        let symbols = file
            .symbols()
            .filter(|symbol| (from..until).contains(&symbol.address()) && symbol.size() > 0)
            .map(|symbol| {
                let end = symbol.address() + symbol.size();
                (symbol.address() as u32..end as u32, symbol.name().unwrap_or_default().to_owned())
            })
            .collect();
        let (until, top) = (until as u32, top.address() as u32);
        Ok(Self { statics: from as u32..until, stack: until..top, symbols })
    }

    /// Returns what the stack may take.
    pub(crate) fn stack(&self) -> Range<u32> {
        self.stack.clone()
    }

    /// Picks a byte: of the statics as often as of the stack from `stack_from` on.
    pub(crate) fn pick(&self, rng: &mut Rng, stack_from: u32) -> Place {
        if rng.bool() {
            let address = rng.u32(stack_from..self.stack.end);
            let symbol = format!("{} bytes below the stack's top", self.stack.end - address);
            return Place { address, region: "stack", symbol };
        }
        let address = rng.u32(self.statics.clone());
        let (region, symbol) = self.of_static(address);
        Place { address, region, symbol }
    }

    fn of_static(&self, address: u32) -> (&'static str, String) {
        let Some((range, name)) = self.symbols.iter().find(|(range, _)| range.contains(&address)) else {
            return ("other statics", "no symbol".into());
        };
        let offset = (address - range.start) as usize;
        if !name.contains("MEMORY") {
            return ("other statics", format!("{name} + {offset}"));
        }
        let parts = [
            ("working state", PlantMemory::WORKING),
            ("checkpoint", PlantMemory::CHECKPOINT),
            ("digests", PlantMemory::DIGESTS),
        ];
        let found = parts.into_iter().find(|(_, part)| part.contains(&offset));
        let (part, start) = found.map_or(("marks", PlantMemory::DIGESTS.end), |(name, part)| (name, part.start));
        (part, format!("MEMORY, {part} + {}", offset - start))
    }
}
