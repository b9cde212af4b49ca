//! The deepest stack of an image, from what its code says: the instructions that
//! move the stack pointer, and those that call. An upper bound: a call through a pointer is taken for one of any function
//! whose address is in the image, and a jump to another function keeps the frame of the one that jumps.

use crate::instructions::{self, Function};
use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};
use std::collections::{BTreeMap, BTreeSet};

/// The deepest stack, and the functions that it goes through, the first one first.
#[derive(Clone, Debug)]
pub(crate) struct Deepest {
    pub(crate) bytes: u32,
    /// Each function with its frame.
    pub(crate) path: Vec<(String, u32)>,
}

/// Returns the deepest stack below a function of this name.
pub(crate) fn deepest(elf: &[u8], root: &str) -> Result<Deepest> {
    let functions = instructions::functions(elf, |_| true)?;
    let file = object::File::parse(elf).context("the image is no ELF file")?;
    let pointed = pointed_at(&file, &functions)?;
    let root = functions.iter().find(|function| function.path == root).with_context(|| format!("no {root}"))?;
    let mut search = Search { functions: &functions, pointed: &pointed, known: BTreeMap::new(), open: Vec::new() };
    let bytes = search.below(root)?;
    let mut path = Vec::new();
    let mut at = Some(root.range.start);
    while let Some(start) = at {
        let function = search.function(start).context("a function is gone")?;
        path.push((function.path.clone(), function.frame.unwrap_or(0)));
        at = search.known.get(&start).and_then(|(_, next)| *next);
    }
    Ok(Deepest { bytes, path })
}

/// A depth-first search of the graph of calls.
struct Search<'s> {
    functions: &'s [Function],
    pointed: &'s BTreeSet<u32>,
    /// The stack that each function takes with all below it, and which one it calls for that.
    known: BTreeMap<u32, (u32, Option<u32>)>,
    open: Vec<u32>,
}

impl Search<'_> {
    fn function(&self, at: u32) -> Option<&'_ Function> {
        self.functions.iter().find(|function| function.range.contains(&at))
    }

    fn below(&mut self, function: &Function) -> Result<u32> {
        let start = function.range.start;
        if let Some((bytes, _)) = self.known.get(&start) {
            return Ok(*bytes);
        }
        if self.open.contains(&start) {
            bail!("{} calls itself, directly or not: its stack has no bound", function.path);
        }
        self.open.push(start);
        let own =
            function.frame.with_context(|| format!("{} takes stack as it goes: it has no bound", function.path))?;
        let direct = function.calls.iter().chain(&function.jumps).map(|(_, target)| *target);
        let through_pointers = self.pointed.iter().copied().filter(|_| function.uses_pointer);
        let targets: BTreeSet<u32> = direct.chain(through_pointers).collect();
        let mut most = (0, None);
        for target in targets {
            let callee = self.functions.iter().find(|function| function.range.contains(&target));
            let callee = callee.with_context(|| format!("{} calls what has no symbol: {target:#x}", function.path))?;
            if callee.range.start == start && !function.calls.iter().any(|(_, at)| *at == target) {
                continue; // a loop, or itself by its own pointer
            }
            let bytes = self.below(callee)?;
            most = most.max((bytes, Some(callee.range.start)));
        }
        self.open.pop();
        self.known.insert(start, (own + most.0, most.1));
        Ok(own + most.0)
    }
}

/// Returns the functions whose address is in the image, as a constant or put together by instructions. The table of exceptions
/// is left out: the processor calls these.
fn pointed_at(file: &object::File<'_>, functions: &[Function]) -> Result<BTreeSet<u32>> {
    let starts: BTreeSet<u32> = functions.iter().map(|function| function.range.start).collect();
    let mut found = BTreeSet::new();
    let mut note = |word: u32| {
        if word & 1 == 1 && starts.contains(&(word & !1)) {
            found.insert(word & !1);
        }
    };
    for section in file.sections().filter(|section| matches!(section.name(), Ok(".text" | ".rodata" | ".data"))) {
        let (words, _) = section.data()?.as_chunks::<4>();
        words.iter().for_each(|word| note(u32::from_le_bytes(*word)));
    }
    functions.iter().flat_map(|function| &function.constants).for_each(|word| note(*word));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(start: u32, frame: Option<u32>, calls: &[u32], uses_pointer: bool) -> Function {
        Function {
            path: format!("at {start:#x}"),
            range: start..start + 0x10,
            instructions: Vec::new(),
            calls: calls.iter().map(|target| (start, *target)).collect(),
            jumps: Vec::new(),
            uses_pointer,
            constants: Vec::new(),
            frame,
        }
    }

    fn below_first(functions: &[Function], pointed: &[u32]) -> Result<u32> {
        let pointed = pointed.iter().copied().collect();
        Search { functions, pointed: &pointed, known: BTreeMap::new(), open: Vec::new() }.below(&functions[0])
    }

    #[test]
    fn the_deepest_way_counts_and_a_pointer_may_go_anywhere() {
        let mut functions = [
            function(0x100, Some(8), &[0x200, 0x300], false),
            function(0x200, Some(100), &[], false),
            function(0x300, Some(16), &[0x400], false),
            function(0x400, Some(20), &[], false),
            function(0x500, Some(500), &[], false),
        ];
        assert_eq!(below_first(&functions, &[0x500]).unwrap(), 108);
        functions[3].uses_pointer = true;
        assert_eq!(below_first(&functions, &[0x500]).unwrap(), 8 + 16 + 20 + 500);
        functions[3].uses_pointer = false;
        functions[3].jumps = vec![(0x404, 0x500)];
        assert_eq!(below_first(&functions, &[]).unwrap(), 8 + 16 + 20 + 500);
    }

    #[test]
    fn a_stack_without_a_bound_is_an_error() {
        let calls_itself = [function(0x100, Some(8), &[0x200], false), function(0x200, Some(8), &[0x100], false)];
        let computed = [function(0x100, Some(8), &[0x200], false), function(0x200, None, &[], false)];
        let unknown = [function(0x100, Some(8), &[0x900], false)];
        for (functions, why) in [(&calls_itself[..], "calls itself"), (&computed, "no bound"), (&unknown, "no symbol")]
        {
            assert!(below_first(functions, &[]).unwrap_err().to_string().contains(why));
        }
    }
}
