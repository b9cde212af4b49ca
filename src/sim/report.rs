//! What a run came to.

use crate::journal::Counters;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cycles whose output reached the actuator.
    pub released: u32,
    /// Cycle numbers that never reached it, though a later one did.
    pub missing: u32,
    /// Cycles whose output was right and not released, since its sample was too old. They are not among the missing ones.
    pub withheld: u32,
    /// Outputs that reached the actuator though their channel's sample was older than `patience + 1` periods; of the cycle before, than one
    /// period more.
    pub too_old: u32,
    /// Released outputs that the oracle contradicts.
    pub wrong: u32,
    /// Outputs released in duplex for which not both channels had sent that vote.
    pub unvoted_in_duplex: u32,
    /// The largest number of channels that owned the outputs at one time.
    pub owners_max: u32,
    /// Settled duplex cycles in which the two states differed.
    pub incongruent: u32,
    /// Takeovers of both channels.
    pub takeovers: u32,
    /// Cycles in which votes differed, counted in both channels.
    pub diverged: u32,
    /// Held deadlines of both channels.
    pub held: u32,
    /// Frames dropped by both channels.
    pub rejected: u32,
    /// Releases of the safe output.
    pub safe: u32,
    /// Outputs found damaged as they were opened.
    pub damaged: u32,
    /// Outputs that did not open since their channel had lost the lease.
    pub cut_off: u32,
    /// The longest time between two outputs that reached the actuator.
    pub longest_silence_us: u64,
    /// The longest of these times, each without the part in which nobody can serve: in which the only half of an
    /// [`UpgradePair`](crate::sim::UpgradePair) that has the state hangs.
    pub longest_idle_us: u64,
    /// Times that no channel had the state any more.
    pub states_lost: u32,
    /// Times that the pair went on from an older state, since the channel with the newest one
    /// died while the other one stood by.
    pub went_back: u32,
    /// Times that a channel, asked for all it had to say, wanted to be asked again at once.
    pub restless: u32,
    /// Times a channel joined a serving one.
    pub joined: u32,
    /// Copies that were begun, and those of them that failed.
    pub copies_begun: u32,
    /// Copies that were given up, refused, or ended without an answer.
    pub copies_failed: u32,
    /// Blocks of memory that donors sent, repetitions included.
    pub blocks_sent: u32,
    /// The most blocks of memory that a channel sent in one cycle.
    pub blocks_in_a_cycle_max: u32,
    /// Repairs of memory in both channels.
    pub repairs: u32,
    /// Times a channel took itself out of service.
    pub self_exclusions: u32,
    /// Cycles whose votes differed and that stepping once more set right, in both channels.
    pub masked: u32,
    /// Diagnoses that found nothing against either channel.
    pub unattributed: u32,
    /// Cycles stepped again since the state was damaged after the vote.
    pub recommitted: u32,
    /// Samples and words of control data that were mended.
    pub control_repairs: u32,
    /// Claims that the arbiter refused.
    pub refused: u32,
    /// Times that the program panicked in a channel, which died of it.
    pub crashes: u32,
    /// Calls after which something did not hold of a channel that must, if that was looked for
    /// ([`check_invariants`](crate::sim::Pair::check_invariants)).
    pub broken_invariants: u32,
    /// The longest time from the start of a cycle in duplex to its verdict.
    pub longest_exchange_us: u64,
    /// Mode changes of both channels.
    pub mode_changes: u32,
    /// Frames that came again, and frames that were sent again.
    pub repeated: u32,
    /// Bytes that the link carried.
    pub carried_bytes: u64,
    /// Bytes that the link flipped.
    pub damaged_bytes: u64,
}

/// Adds what one channel counted.
pub(super) fn count(report: &mut Report, counters: &Counters) {
    report.takeovers += counters.takeovers;
    report.diverged += counters.diverged;
    report.held += counters.held;
    report.rejected += counters.rejected_total();
    report.joined += counters.joined;
    report.copies_begun += counters.copies_begun;
    report.blocks_sent += counters.blocks_sent;
    report.copies_failed += counters.copies_failed;
    report.repairs += counters.repairs();
    report.self_exclusions += counters.self_exclusions;
    report.masked += counters.masked;
    report.unattributed += counters.unattributed;
    report.recommitted += counters.recommitted;
    report.control_repairs += counters.sample_repairs + counters.control_repairs;
    report.refused += counters.refused;
    report.mode_changes += counters.mode_changes;
    report.repeated += counters.repeated + counters.retransmitted;
}
