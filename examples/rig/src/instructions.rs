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
    /// Its jumps out of itself: where, and to what.
    pub(crate) jumps: Vec<(u32, u32)>,
    /// Whether it calls, or jumps, by a register.
    pub(crate) uses_pointer: bool,
    /// Words that it puts together from two halves.
    pub(crate) constants: Vec<u32>,
    /// Bytes that it takes of the stack; `None` if the number is computed.
    pub(crate) frame: Option<u32>,
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
        let halves = |at: u32| -> Option<[u16; 2]> {
            let offset = (at - range.start) as usize;
            let half = |at: usize| Some(u16::from_le_bytes([*code.get(at)?, *code.get(at + 1)?]));
            Some([half(offset)?, half(offset + 2).unwrap_or(0)])
        };
        let decoded: Vec<(u32, [u16; 2])> = instructions.iter().filter_map(|at| Some((*at, halves(*at)?))).collect();
        let branches = |of: fn(u32, [u16; 2]) -> Option<u32>| -> Vec<(u32, u32)> {
            decoded.iter().filter_map(|(at, halves)| Some((*at, of(*at, *halves)?))).collect()
        };
        let jumps = branches(target_of_jump).into_iter().filter(|(_, target)| !range.contains(target)).collect();
        let calls = branches(target_of_call);
        let uses_pointer = decoded.iter().any(|(_, [first, _])| is_by_register(*first));
        let constants = constants(decoded.iter().map(|(_, halves)| *halves));
        let frame = decoded.iter().map(|(_, halves)| pushed(*halves)).sum();
        functions.push(Function { path, range, instructions, calls, jumps, uses_pointer, constants, frame });
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
fn target_of_call(at: u32, halves: [u16; 2]) -> Option<u32> {
    far_target(at, halves, 0xD000)
}

/// Returns where a `b` goes that has four bytes and no condition, or two; `None` if it is another instruction (A7.7.12).
fn target_of_jump(at: u32, [first, second]: [u16; 2]) -> Option<u32> {
    if first >> 11 == 0b11100 {
        let offset = (i32::from(first & 0x7FF) << 21 >> 20).cast_unsigned(); // eleven bits with a sign, and a zero
        return Some(at.wrapping_add(4).wrapping_add(offset));
    }
    far_target(at, [first, second], 0x9000)
}

/// Whether an instruction of two bytes is `blx`, or `bx` of another register than that of the way back (A7.7.19, A7.7.20).
fn is_by_register(first: u16) -> bool {
    const LINK: u16 = 14;
    first & 0xFF87 == 0x4780 || first & 0xFF87 == 0x4700 && first >> 3 & 0xF != LINK
}

/// Returns the words that `movw` and `movt` put together (A7.7.76, A7.7.79).
fn constants(instructions: impl Iterator<Item = [u16; 2]>) -> Vec<u32> {
    let mut low = [0_u32; 16];
    let mut found = Vec::new();
    for [first, second] in instructions {
        let kind = first & 0xFBF0;
        if kind != 0xF240 && kind != 0xF2C0 || second & 0x8000 != 0 {
            continue;
        }
        let bits = first << 12 | (first & 0x400) << 1 | (second & 0x7000) >> 4 | second & 0xFF;
        let register = usize::from(second >> 8 & 0xF);
        if kind == 0xF240 {
            low[register] = bits.into();
        } else {
            found.push(u32::from(bits) << 16 | low[register]);
        }
    }
    found
}

/// Returns how many bytes an instruction takes of the stack, as the beginning of a function does; `None` if that many as
/// another register says (A7.7.99, A7.7.159, A7.7.161, A7.7.174, A7.7.175).
fn pushed([first, second]: [u16; 2]) -> Option<u32> {
    Some(match first {
        0xB400..=0xB5FF => 4 * (first & 0x1FF).count_ones(),
        0xB080..=0xB0FF => 4 * u32::from(first & 0x7F),
        0xE92D => 4 * second.count_ones(),
        0xF84D if second & 0xF00 == 0xD00 => u32::from(second & 0xFF),
        0xF1AD | 0xF5AD if second >> 8 & 0xF == 13 => expanded(first, second),
        0xF2AD | 0xF6AD if second >> 8 & 0xF == 13 => twelve_bits(first, second),
        0xEBAD if second >> 8 & 0xF == 13 => return None,
        _ => 0,
    })
}

fn twelve_bits(first: u16, second: u16) -> u32 {
    u32::from((first & 0x400) << 1 | (second & 0x7000) >> 4 | second & 0xFF)
}

/// Returns the constant that twelve bits stand for in a data-processing instruction (A5.3.2).
fn expanded(first: u16, second: u16) -> u32 {
    let bits = twelve_bits(first, second);
    let byte = bits & 0xFF;
    match bits >> 8 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte * 0x0101_0101,
        _ => (0x80 | bits & 0x7F).rotate_right(bits >> 7),
    }
}

fn far_target(at: u32, [first, second]: [u16; 2], kind: u16) -> Option<u32> {
    if first >> 11 != 0b11110 || second & 0xD000 != kind {
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

    #[test]
    fn a_jump_is_known_by_its_target_and_one_by_a_register_too() {
        // b.w forward by 0x10; b forward by 0x10, and backward by 0x10.
        assert_eq!(target_of_jump(0x1000, [0xF000, 0xB806]), Some(0x1010));
        assert_eq!(target_of_jump(0x1000, [0xE006, 0]), Some(0x1010));
        assert_eq!(target_of_jump(0x1000, [0xE7F6, 0]), Some(0x0FF0));
        assert_eq!(target_of_jump(0x1000, [0xF000, 0xF806]), None, "a call");
        // blx r3; bx r3; bx lr
        assert_eq!([0x4798, 0x4718, 0x4770].map(is_by_register), [true, true, false]);
    }

    #[test]
    fn what_a_function_takes_of_the_stack_is_known() {
        // push {r4-r7, lr}; sub sp, #24; str r11, [sp, #-4]!; push.w {r8-r11}; sub.w sp, sp, #1024; subw sp, sp, #700
        let frame = [[0xB5F0, 0], [0xB086, 0], [0xF84D, 0xBD04], [0xE92D, 0x0F00], [0xF5AD, 0x6D80], [0xF2AD, 0x2DBC]];
        assert_eq!(frame.map(pushed), [20, 24, 4, 16, 1024, 700].map(Some));
        // sub.w sp, sp, r0; and of others: sub.w sp, r7, #24; pop {pc}; add sp, #8; ldr r11, [sp], #4
        assert_eq!(pushed([0xEBAD, 0x0D00]), None);
        assert_eq!([[0xF1A7, 0x0D18], [0xBD00, 0], [0xB002, 0], [0xF85D, 0xBB04]].map(pushed), [Some(0); 4]);
    }

    #[test]
    fn a_constant_is_put_together_of_two_halves() {
        // movw r1, #0x1235; movt r1, #0x2000
        assert_eq!(constants([[0xF241, 0x2135], [0xF2C2, 0x0100]].into_iter()), [0x2000_1235]);
        assert!(constants([[0xF241, 0x2135]].into_iter()).is_empty());
    }
}
