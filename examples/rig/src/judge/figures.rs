//! What a run came to, in numbers.

use crate::dualcore::Hung;
use crate::rot::RotFigures;
use crate::rounds::Round;
use crate::seu::SeuFigures;
use crate::upgrade::{CellFigures, UpgradeFigures};

/// What a run came to, for the claims and the JSON report.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Figures {
    /// Cycles whose output reached the plant.
    pub(crate) cycles: u32,
    /// Gaps in the cycle numbers that reached it.
    pub(crate) missing: u32,
    /// Outputs that the rig's own run of the program contradicts, or that rest on a
    /// reading which the board was never given.
    pub(crate) wrong: u32,
    /// Outputs released in duplex for which the link did not carry both votes.
    pub(crate) unvoted_in_duplex: u32,
    /// Safe outputs that reached the plant.
    pub(crate) safe: u32,
    /// The largest number of boards that drove in one epoch, or that served alone at once.
    pub(crate) owners_max: usize,
    /// Takeovers in all.
    pub(crate) takeovers: u32,
    /// Deadlines that passed without a result.
    pub(crate) held: u32,
    /// Drives of a board that the relay had cut off.
    pub(crate) cut_off: u32,
    /// Outputs that reached the plant after one of a later cycle.
    pub(crate) went_back: u32,
    /// The longest time between two outputs that reached the plant, each the first of its cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) longest_gap_us: Option<u64>,
    /// Bytes on the link beyond input and output in a duplex cycle, each direction, both
    /// frames with their delimiters: the most.
    pub(crate) link_overhead_bytes_max: usize,
    /// Cycle frames that were sent more than once.
    pub(crate) repeated_frames: u32,
    /// Cycles in which no output was released: missing ones and held deadlines.
    pub(crate) blackout_cycles: u32,
    /// The cycles in which a board took over.
    pub(crate) takeover_cycles: Vec<u32>,
    /// Blocks of memory that the link carried, repetitions included.
    pub(crate) blocks_copied: u32,
    /// The most of them in one cycle of a donor, and what it may send at most.
    pub(crate) blocks_in_a_cycle_max: u32,
    /// The budget that boards are configured with.
    pub(crate) copy_budget_blocks: u32,
    /// The rounds of death and return.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rounds: Vec<Round>,
    /// The core that hung and went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hung: Option<Hung>,
    /// What became of bits flipped in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rot: Option<RotFigures>,
    /// What became of bits flipped anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seu: Option<SeuFigures>,
    /// Times that no board had the state any more, and the pair began with its first cycle again.
    pub(crate) states_lost: u32,
    /// What became of upgrades.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upgrade: Option<UpgradeFigures>,
    /// What became of halves that were killed in an upgrade.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cells: Vec<CellFigures>,
    /// Samples that are no reading of the plant: damaged on the board before they were fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damaged_readings: Option<u32>,
    /// Frames that the rig did not read from the cores' mailbox in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unheard_frames: Option<u32>,
    /// The first cycle that the killed owner did not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kill_cycle: Option<u32>,
    /// The cycle in which the other board took over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) takeover_cycle: Option<u32>,
    /// Bytes of the link that were flipped, lost or repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damaged_bytes: Option<u64>,
    /// Bytes that the link carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) carried_bytes: Option<u64>,
}
