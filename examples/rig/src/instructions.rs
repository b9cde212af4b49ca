//! The instructions of an image: where each one begins, and in which function.

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::ops::Range;

/// A function of an image, and where its instructions begin.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Its path, without what it is generic over.
    pub(crate) path: String,
    pub(crate) range: Range<u32>,
    pub(crate) instructions: Vec<u32>,
    /// Its calls of functions by their address: where, and of whom.
    pub(crate) calls: Vec<(u32, u32)>,
}

/// Returns the functions of an image whose path a caller wants, in the order of their addresses.
pub(crate) fn functions(elf: &[u8], wants: impl Fn(&str) -> bool) -> Result<Vec<Function>> {
    let file = object::File::parse(elf).context("the firmware is no ELF file")?;
    let data = data_in_code(&file);
    let mut functions = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
        let path = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()));
        if !wants(&path) {
            continue;
        }
        let start = (symbol.address() & !1) as u32; // without the mark of Thumb code
        let range = start..start + symbol.size() as u32;
        let code = code_at(&file, &range).with_context(|| format!("{path} has no code"))?;
        let instructions = walk(range.clone(), &code, &data);
        let calls = calls(&range, &code, &instructions);
        functions.push(Function { path, range, instructions, calls });
    }
    functions.sort_by_key(|function| function.range.start);
    functions.dedup_by_key(|function| function.range.start); // the same code under two names
    Ok(functions)
}

/// Whether the first half of an instruction begins one of four bytes (Armv7-M reference manual, A5.1).
pub(crate) fn is_long(half: u16) -> bool {
    half >> 11 >= 0b11101
}

/// Returns where a `bl` of these two halves, at an address, goes; `None` if it is another instruction (Armv7-M reference manual, A7.7.18).
fn target_of_call(at: u32, [first, second]: [u16; 2]) -> Option<u32> {
    if !is_long(first) || first >> 11 != 0b11110 || second & 0xD000 != 0xD000 {
        return None;
    }
    let bit = |half: u16, number: u32| u32::from(half) >> number & 1;
    let sign = bit(first, 10);
    let (i1, i2) = (bit(second, 13) ^ sign ^ 1, bit(second, 11) ^ sign ^ 1);
    let high = if sign == 1 { 0xFF00_0000 } else { 0 };
    let offset = high | i1 << 23 | i2 << 22 | u32::from(first & 0x3FF) << 12 | u32::from(second & 0x7FF) << 1;
    Some(at.wrapping_add(4).wrapping_add(offset))
}

/// Returns where instructions begin in the code of a range.
fn walk(range: Range<u32>, code: &[u8], data: &[Range<u32>]) -> Vec<u32> {
    let (mut at, mut found) = (range.start, Vec::new());
    while at < range.end {
        if let Some(data) = data.iter().find(|data| data.contains(&at)) {
            at = data.end;
            continue;
        }
        let offset = (at - range.start) as usize;
        let Some(half) = code.get(offset..offset + 2) else { break };
        found.push(at);
        at += if is_long(u16::from_le_bytes([half[0], half[1]])) { 4 } else { 2 };
    }
    found
}

fn calls(range: &Range<u32>, code: &[u8], instructions: &[u32]) -> Vec<(u32, u32)> {
    let call = |at: &u32| {
        let offset = (at - range.start) as usize;
        let halves = code.get(offset..offset + 4)?;
        let halves = [[halves[0], halves[1]], [halves[2], halves[3]]].map(u16::from_le_bytes);
        Some((*at, target_of_call(*at, halves)?))
    };
    instructions.iter().filter_map(call).collect()
}

/// Returns what of the code is constants and jump tables, by the marks of the linker (ELF for the Arm architecture, 5.5.5).
fn data_in_code(file: &object::File<'_>) -> Vec<Range<u32>> {
    let mut marks: Vec<(u32, bool)> = file
        .symbols()
        .filter_map(|symbol| {
            let name = symbol.name().ok()?;
            let is_mark =
                |mark: &str| name == mark || name.strip_prefix(mark).is_some_and(|rest| rest.starts_with('.'));
            (is_mark("$t") || is_mark("$d")).then_some(((symbol.address() & !1) as u32, is_mark("$d")))
        })
        .collect();
    marks.sort_unstable();
    let ends = marks.iter().skip(1).map(|(at, _)| *at).chain([u32::MAX]);
    marks.iter().zip(ends).filter(|((_, is_data), _)| *is_data).map(|((at, _), end)| *at..end).collect()
}

fn code_at(file: &object::File<'_>, range: &Range<u32>) -> Option<Vec<u8>> {
    let length = u64::from(range.end - range.start);
    file.sections().find_map(|section| Some(section.data_range(range.start.into(), length).ok()??.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_instructions_are_told_apart_and_data_is_passed_over() {
        // push {r7, lr}; bl; a constant of four bytes; ldr.w; bx lr
        let halves: [u16; 8] = [0xB580, 0xF000, 0xF801, 0xE92D, 0x1234, 0xF8DF, 0x0004, 0x4770];
        let code: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        assert_eq!(walk(0x100..0x110, &code, std::slice::from_ref(&(0x106..0x10A))), [0x100, 0x102, 0x10A, 0x10E]);
        assert!(is_long(0xE92D) && is_long(0xF000) && !is_long(0xE7FE) && !is_long(0xDE00));
    }

    #[test]
    fn a_call_is_known_by_its_target() {
        // As an assembler writes them: bl forward by 0x10, backward by 0x10, far.
        assert_eq!(target_of_call(0x1000, [0xF000, 0xF806]), Some(0x1010));
        assert_eq!(target_of_call(0x1000, [0xF7FF, 0xFFF6]), Some(0x0FF0));
        assert_eq!(target_of_call(0x1000, [0xF001, 0xF800]), Some(0x2004));
        assert_eq!(target_of_call(0x1000, [0xF000, 0xB806]), None, "a branch without a link");
        assert_eq!(target_of_call(0x1000, [0x4770, 0xF806]), None);
    }
}
