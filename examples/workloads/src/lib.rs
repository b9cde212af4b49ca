#![no_std]
//! What the budgets speak of, as loops whose instructions can be counted: the same code runs
//! on the board and on the host, see `cargo rig measure`.
//!
//! ```text
//! meter    how the figure of one operation comes about
//! writes   a tracked write of one word
//! cycle    the vote's digest, the commit, the scrub and the rollback, against a CRC over all of the state
//! frames   a frame built and parsed, a vote compared
//! duplex   a whole cycle of a node, and a turn in which nothing comes
//! reference  the program of these, also of the images that `cargo rig size` weighs
//! ```
//!
//! Beside them, on the host alone, `src/bin/simulated-under-callgrind.rs`: a cycle of a simulated pair.

mod cycle;
mod duplex;
mod frames;
mod meter;
pub mod reference;
mod writes;

pub use meter::{Meter, Workload};

use meter::measure;
use twinstep::memory::{Cells, Memory, MemoryMismatch};
use twinstep::mirror::Mirror;

/// How the workloads were optimised.
pub const OPT_LEVEL: &str = env!("WORKLOADS_OPT_LEVEL");

/// The sizes of state in which writes are measured. The cycle is measured in 16 KiB.
pub const STATES_KIB: [u32; 4] = [1, 4, 16, 64];

/// Enough that a tick of 40 instructions more or less is 0.04 of them in the figure.
const REPETITIONS: u32 = 1_000;
/// Cycles of the pair, of two nodes each.
const CYCLES: u32 = 200;
/// For what takes a hundred thousand instructions by itself.
const FEW_REPETITIONS: u32 = 20;

/// Words in a KiB of state.
const KIB: usize = 256;
/// Blocks in a KiB of state.
const KIB_BLOCKS: usize = 16;

/// The mirrored memory of all workloads. All zero at first.
pub struct Memories {
    kib_1: Memory<[u32; KIB], KIB_BLOCKS>,
    kib_4: Memory<[u32; 4 * KIB], { 4 * KIB_BLOCKS }>,
    kib_16: Memory<[u32; 16 * KIB], { 16 * KIB_BLOCKS }>,
    kib_64: Memory<[u32; 64 * KIB], { 64 * KIB_BLOCKS }>,
    pair: [Memory<reference::State, { 4 * KIB_BLOCKS }>; 2],
}

impl Memories {
    /// Returns memory of zeros.
    pub const fn new() -> Self {
        Self {
            kib_1: Memory::new(),
            kib_4: Memory::new(),
            kib_16: Memory::new(),
            kib_64: Memory::new(),
            pair: [Memory::new(), Memory::new()],
        }
    }
}

impl Default for Memories {
    fn default() -> Self {
        Self::new()
    }
}

/// Measures everything. Returns a digest of all that was computed, the same on every target.
///
/// # Errors
/// Never, since the memories are those of this crate.
pub fn run(memories: &mut Memories, meter: &mut impl Meter) -> Result<u32, MemoryMismatch> {
    let digests = [
        run_writes(&mut memories.kib_1, meter)?,
        run_writes(&mut memories.kib_4, meter)?,
        run_writes(&mut memories.kib_16, meter)?,
        run_writes(&mut memories.kib_64, meter)?,
        run_cycle(&mut memories.kib_16, meter)?,
        run_frames(meter),
        run_duplex(&mut memories.pair, meter)?,
    ];
    Ok(digests.into_iter().fold(0, |all, digest| all.rotate_left(1) ^ digest))
}

fn run_writes<const WORDS: usize, const BLOCKS: usize>(
    memory: &mut Memory<[u32; WORDS], BLOCKS>,
    meter: &mut impl Meter,
) -> Result<u32, MemoryMismatch> {
    let state_kib = (WORDS / KIB) as u32;
    let mut mirror = Mirror::new(Cells::try_from(memory)?, |_| {});
    let state = &mut mirror.tracked();
    writes::elsewhere(state);
    measure(meter, Workload::Set { state_kib }, REPETITIONS, state, writes::set, writes::nothing);
    measure(meter, Workload::TryUpdate { state_kib }, REPETITIONS, state, writes::try_update, writes::nothing);
    Ok(mirror.pending_digest())
}

fn run_cycle(
    memory: &mut Memory<[u32; cycle::WORDS], { cycle::BLOCKS }>,
    meter: &mut impl Meter,
) -> Result<u32, MemoryMismatch> {
    let mirror = &mut Mirror::new(Cells::try_from(memory)?, |_| {});
    measure(meter, Workload::PendingDigest, REPETITIONS, mirror, cycle::digest, cycle::write);
    measure(meter, Workload::Commit, REPETITIONS, mirror, cycle::commit, cycle::digest);
    measure(meter, Workload::DigestThenCommit, REPETITIONS, mirror, cycle::commit, cycle::write);
    measure(meter, Workload::Scrub, REPETITIONS, mirror, cycle::scrub, cycle::nothing);
    measure(meter, Workload::ScrubAll, FEW_REPETITIONS, mirror, cycle::scrub_all, cycle::nothing);
    measure(meter, Workload::Rollback, FEW_REPETITIONS, mirror, cycle::rollback, cycle::nothing);
    measure(meter, Workload::BlockDigest, REPETITIONS, mirror, cycle::digest_of_block, cycle::nothing_of_block);
    measure(meter, Workload::Crc, FEW_REPETITIONS, mirror, cycle::crc, cycle::nothing);
    Ok(mirror.committed_digest())
}

fn run_frames(meter: &mut impl Meter) -> u32 {
    let bytes = &mut frames::Bytes::new();
    measure(meter, Workload::Frame, REPETITIONS, bytes, frames::frame, frames::nothing);
    measure(meter, Workload::FrameByPostcard, REPETITIONS, bytes, frames::frame_by_postcard, frames::nothing);
    measure(meter, Workload::Vote, REPETITIONS, bytes, frames::vote, frames::nothing);
    measure(meter, Workload::VoteBySlices, REPETITIONS, bytes, frames::vote_by_slices, frames::nothing);
    0
}

fn run_duplex(
    [a, b]: &mut [Memory<reference::State, { 4 * KIB_BLOCKS }>; 2],
    meter: &mut impl Meter,
) -> Result<u32, MemoryMismatch> {
    let pair = &mut duplex::run_pair(Cells::try_from(a)?, Cells::try_from(b)?)?;
    measure(meter, Workload::Cycle, CYCLES, pair, duplex::cycle, duplex::nothing);
    measure(meter, Workload::IdleTurn, REPETITIONS, pair, duplex::idle_turn, duplex::nothing);
    let made = &mut duplex::ByHand::new();
    measure(meter, Workload::CycleByHand, FEW_REPETITIONS, made, duplex::by_hand, duplex::nothing_by_hand);
    Ok(pair.opened())
}
