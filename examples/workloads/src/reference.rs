//! The program that the budgets of a whole node speak of, in two versions. It samples and drives 32 bytes, of kinds that
//! programs have: analog values, bits, an enum. Its state is 4 KiB, of which a cycle writes 5 %.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use twinstep::{Agreement, CannotMigrate, Cycle, Program, Successor, Tracked};

/// Words of the state: 4 KiB.
pub const WORDS: usize = 1024;
/// Blocks that a cycle writes a word of: 5 % of 64, rounded up.
const DIRTY_BLOCKS: usize = 4;

/// The state.
pub type State = [u32; WORDS];

/// What the machine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, MaxSize)]
pub enum Mode {
    /// It stands still.
    #[default]
    Stopped,
    /// It moves by hand.
    Manual,
    /// It moves by itself.
    Automatic,
}

/// What is sampled and what is driven: 32 bytes as they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, MaxSize)]
pub struct Signals {
    /// Analog values.
    pub analog: [f32; 7],
    /// Bits.
    pub digital: u8,
    /// What the machine is doing.
    pub mode: Mode,
    /// Whether the values are to be relied on.
    pub is_valid: bool,
    /// Numbers the signals.
    pub number: u8,
}

impl Signals {
    /// Returns signals of this number.
    pub fn numbered(number: u8) -> Self {
        Self { analog: [1.5; 7], digital: number, number, is_valid: true, ..Self::default() }
    }
}

/// The program, in a version.
pub struct Version<const VERSION: u32>;

/// The program.
pub type Reference = Version<1>;

/// The version after it.
pub type Reference2 = Version<2>;

/// Returns where a cycle writes, and what it mixes in there.
pub fn writes(cycle: u32, input: &Signals) -> impl Iterator<Item = (usize, u32)> {
    let word = u32::from(input.digital) ^ cycle;
    (0..DIRTY_BLOCKS).map(move |nth| (nth * WORDS / DIRTY_BLOCKS, word.rotate_left(nth as u32)))
}

/// Returns what follows from an input and the first word of the state.
pub fn output(input: &Signals, first: u32) -> Signals {
    let mode = if input.is_valid { input.mode } else { Mode::Stopped };
    Signals { digital: input.digital ^ first as u8, mode, ..*input }
}

const SAFE: Signals = Signals { analog: [0.0; 7], digital: 0, mode: Mode::Stopped, is_valid: true, number: 0 };

impl<const VERSION: u32> Program for Version<VERSION> {
    type Input = Signals;
    type Output = Signals;
    type State = State;
    const SAFE: Signals = SAFE;
    const VERSION: u32 = VERSION;
    const BUILD: twinstep::Build = twinstep::build_of!("reference.rs");

    fn agree(a: &Signals, b: &Signals) -> Agreement<Signals> {
        Agreement::with_discrepancy(if a.is_valid { *a } else { *b }, a.mode != b.mode)
    }

    fn step(cycle: Cycle, state: &mut Tracked<State>, input: &Signals) -> Signals {
        for (at, word) in writes(cycle.0, input) {
            state.try_update(|words| words.get(at), |old| old ^ word);
        }
        output(input, state.first().copied().unwrap_or_default())
    }
}

impl Successor for Reference2 {
    type OldState = State;
    const OLD_VERSION: u32 = Reference::VERSION;
    const OLD_LAYOUT: u32 = Reference::LAYOUT;

    fn migrate(old: &State, new: &mut State) -> Result<(), CannotMigrate> {
        for (new, old) in new.iter_mut().zip(old) {
            *new = *old;
        }
        Ok(())
    }
}
