#![no_std]
//! Whether the same program gives the same digests everywhere: two channels may be of different makes only then, and
//! only then does a simulation say anything of a board. See `cargo rig congruence`.
//!
//! ```text
//! arithmetic   a program of floats, wide integers and shifts
//! ```
//!
//! A channel that serves alone runs each program on drawn inputs; state, output and input digest of each cycle
//! are folded into one number.

mod arithmetic;

use arithmetic::{Arithmetic, Numbers};
use tank::{Plant, Reading, Tank};
use twinstep::digest::ValueDigest;
use twinstep::memory::Cells;
use twinstep::{
    ChannelId, ClaimWord, Config, ConfigError, Memory, Node, Outcome, Program, SharedClaim, blocks, canonical,
};

/// The cycles after which digests are compared.
pub const CYCLES: u32 = 100_000;
/// The programs, in the order in which they run.
pub const PROGRAMS: [&str; 2] = ["tank", "arithmetic"];
/// In so many parts, so that a difference is found near where it began.
pub const PARTS: u32 = 10;

/// The mirrored memory of all programs. All zero at first.
pub struct Memories {
    tank: Memory<Plant, { blocks::<Plant>() }>,
    arithmetic: Memory<Numbers, { blocks::<Numbers>() }>,
}

impl Memories {
    /// Returns memory of zeros.
    pub const fn new() -> Self {
        Self { tank: Memory::new(), arithmetic: Memory::new() }
    }
}

impl Default for Memories {
    fn default() -> Self {
        Self::new()
    }
}

/// The digest of a program's cycles up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which program.
    pub program: &'static str,
    /// The last cycle of the part.
    pub cycle: u32,
    /// The digest of all cycles so far.
    pub digest: u32,
}

/// Runs each program, and reports its digest after each part.
///
/// # Errors
/// [`ConfigError`] if a channel cannot be made, which is a mistake in this crate.
pub fn run(memories: &mut Memories, mut report: impl FnMut(Part)) -> Result<(), ConfigError> {
    let Memories { tank, arithmetic } = memories;
    let [first, second] = PROGRAMS;
    run_program::<Tank>(first, Cells::try_from(tank)?, reading, &mut report)?;
    run_program::<Arithmetic>(second, Cells::try_from(arithmetic)?, |draw| draw, &mut report)
}

fn run_program<P: Program>(
    program: &'static str,
    memory: Cells<'_, P::State>,
    sample: impl Fn(u32) -> P::Input,
    report: &mut impl FnMut(Part),
) -> Result<(), ConfigError> {
    let word = ClaimWord::new();
    let mut arbiter = SharedClaim::new(&word);
    let config = Config { nonce: 1, solo_boot_after_us: Some(200_000), ..Config::DEFAULT };
    let mut node = Node::<P>::new(ChannelId::A, memory, config)?;
    let (mut draw, mut digest) = (0x2545_F491_u32, ValueDigest::new());
    loop {
        let now = node.next_start();
        draw = next(draw);
        if node.begin(now, sample(draw)).is_err() {
            return Ok(()); // it would show as parts that are missing
        }
        let Some(verdict) = node.poll_verdict(now, &mut arbiter) else { continue };
        if verdict.outcome() != Outcome::Alone {
            continue;
        }
        let cycle = verdict.cycle().0;
        for voted in verdict.release() {
            let output = voted.open().ok().and_then(|output| canonical::digest(&output));
            digest.extend(&output.unwrap_or_default().to_le_bytes());
        }
        let input = node.agreed_input().and_then(canonical::digest);
        digest.extend(&input.unwrap_or_default().to_le_bytes());
        digest.extend(&node.state_digest().to_le_bytes());
        if cycle.is_multiple_of(CYCLES / PARTS) {
            report(Part { program, cycle, digest: digest.finish() });
        }
        if cycle >= CYCLES {
            return Ok(());
        }
    }
}

/// Marsaglia's xorshift of 32 bits (2003).
const fn next(mut word: u32) -> u32 {
    word ^= word << 13;
    word ^= word >> 17;
    word ^ word << 5
}

/// A reading that wanders through everything the controller tells apart.
fn reading(draw: u32) -> Reading {
    let [a, b, c, d] = draw.to_le_bytes();
    Reading {
        tank_centi_c: i16::from_le_bytes([a, b]) / 3,
        ambient_centi_c: i16::from(c) * 16 - 1_000,
        door_open: d < 20,
        disagree: false,
    }
}
