//! How the figure of one operation comes about: a loop with it, less the same loop without it.

use core::fmt;

/// An operation that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `Tracked::set` of a word at an index known at run time.
    Set {
        /// KiB of state around it.
        state_kib: u32,
    },
    /// `Tracked::try_update` of a word that an index known at run time may not have.
    TryUpdate {
        /// KiB of state around it.
        state_kib: u32,
    },
    /// `Mirror::pending_digest` at 5 % dirty.
    PendingDigest,
    /// `Mirror::commit` at 5 % dirty.
    Commit,
    /// Both.
    DigestThenCommit,
    /// `Mirror::scrub` of one block.
    Scrub,
    /// `Mirror::scrub_all`, as before a takeover.
    ScrubAll,
    /// `Mirror::rollback`.
    Rollback,
    /// `block_digest` of a whole block.
    BlockDigest,
    /// A table-driven CRC over all of the state.
    Crc,
    /// `wire::build` and `wire::parse` of 32 bytes of payload.
    Frame,
    /// The same by postcard with a table-driven CRC.
    FrameByPostcard,
    /// `same_bytes` of a vote of 1 KiB.
    Vote,
    /// The same by slice `==`.
    VoteBySlices,
    /// A cycle in duplex of two nodes, each called as the run loop does.
    Cycle,
    /// A turn of the run loop in which nothing comes.
    IdleTurn,
    /// What a pair would do instead of a cycle that is made without a library: postcard, CRC and comparison of all of the state.
    CycleByHand,
    /// A cycle of the pair that `twinstep::sim` simulates: both nodes, the line, the arbiter and the oracle. On the host only.
    SimulatedCycle,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { state_kib } => write!(f, "set a word, {state_kib} KiB"),
            Self::TryUpdate { state_kib } => write!(f, "try_update a word, {state_kib} KiB"),
            Self::PendingDigest => f.write_str("pending_digest, 5 % of 16 KiB"),
            Self::Commit => f.write_str("commit, 5 % of 16 KiB"),
            Self::DigestThenCommit => f.write_str("pending_digest and commit"),
            Self::Scrub => f.write_str("scrub one block"),
            Self::ScrubAll => f.write_str("scrub all 16 KiB"),
            Self::Rollback => f.write_str("roll back 16 KiB"),
            Self::BlockDigest => f.write_str("digest of one block"),
            Self::Crc => f.write_str("CRC by table, all 16 KiB"),
            Self::Frame => f.write_str("frame of 32 B, build and parse"),
            Self::FrameByPostcard => f.write_str("the same by postcard and table CRC"),
            Self::Vote => f.write_str("vote of 1 KiB"),
            Self::VoteBySlices => f.write_str("the same by slice =="),
            Self::Cycle => f.write_str("cycle of two nodes, 4 KiB"),
            Self::IdleTurn => f.write_str("idle turn"),
            Self::CycleByHand => f.write_str("postcard, CRC, ==, all 4 KiB"),
            Self::SimulatedCycle => f.write_str("cycle of a simulated pair, 4 KiB"),
        }
    }
}

/// Counts instructions, in the way of its platform.
pub trait Meter {
    /// Runs `work` and counts its instructions.
    fn count(&mut self, work: &mut dyn FnMut());

    /// Notes what the last two counts were: so many repetitions with the operation, and as
    /// many of the same loop without it.
    fn note(&mut self, workload: Workload, repetitions: u32);
}

/// A loop over something, repeated so often.
pub(crate) type Loop<S> = fn(&mut S, u32);

/// Measures a workload by two loops, with it and without it.
pub(crate) fn measure<S>(
    meter: &mut impl Meter,
    workload: Workload,
    repetitions: u32,
    subject: &mut S,
    with: Loop<S>,
    without: Loop<S>,
) {
    for run in [with, without] {
        meter.count(&mut || run(subject, repetitions));
    }
    meter.note(workload, repetitions);
}
