//! The judge: what reaches the plant, against the rig's own run of the program.

use crate::dualcore::Hung;
use crate::rot::RotFigures;
use crate::rounds::Round;
use crate::seu::SeuFigures;
use std::collections::{BTreeMap, VecDeque};
use tank::field_bus::{ModeCode, OutcomeCode};
use tank::{Drive, Reading, Tank};
use twinstep::digest::ValueDigest;
use twinstep::sim::{Judgement, Oracle, VoteTap};
use twinstep::wire::Kind;
use twinstep::{ChannelId, Cycle, Outcome, Program, canonical};

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

/// Readings given to a board that it may still use.
const READINGS_KEPT: usize = 64;

/// Watches the link and the field bus of one run.
pub(crate) struct Judge {
    oracle: Oracle<Tank>,
    votes: VoteTap,
    given: [VecDeque<Reading>; 2],
    modes: [ModeCode; 2],
    drivers: BTreeMap<u32, [bool; 2]>,
    /// Overhead of the frames of a cycle, by direction; a frame counts once.
    overhead: [BTreeMap<u32, [usize; 2]>; 2],
    latest: u32,
    /// Blocks of memory that a board sent, and in which cycle.
    blocks: [(u32, u32); 2],
    /// Outputs released in duplex for which the link has not carried both votes yet: the
    /// rig may read a board's drive before it reads the vote that the board sent first.
    unconfirmed: Vec<(u32, Drive)>,
    /// The boards' memory is damaged: what they say may be nonsense.
    are_upset: bool,
    /// The last cycle of which the link carried a board's sample.
    sampled_on_link: [Option<u32>; 2],
    figures: Figures,
}

/// Cycles of frames beyond the last driven one that make sense.
const CYCLES_AHEAD: u32 = 8;

/// Cycles within which the votes of a driven output must have been read from the link.
const VOTES_WITHIN_CYCLES: u32 = 3;

impl Judge {
    pub(crate) fn new() -> Self {
        Self {
            oracle: Oracle::new(),
            votes: VoteTap::default(),
            given: Default::default(),
            modes: [ModeCode::Starting; 2],
            drivers: BTreeMap::new(),
            overhead: Default::default(),
            latest: 0,
            blocks: [(0, 0); 2],
            unconfirmed: Vec::new(),
            are_upset: false,
            sampled_on_link: [None; 2],
            figures: Figures::default(),
        }
    }

    /// Judges boards whose memory is damaged. A sample that is no reading counts apart: the pair agrees on what its
    /// sensors say, and a bit flipped before that is a sensor's fault. What a board says of its sample counts only
    /// where the link did not carry it, and frames of impossible cycles do not count.
    pub(crate) fn of_upset_boards() -> Self {
        let figures = Figures { damaged_readings: Some(0), ..Figures::default() };
        Self { are_upset: true, figures, ..Self::new() }
    }

    /// Nobody has the state any more: the pair begins with its first cycle again.
    pub(crate) fn begin_anew(&mut self) {
        self.confirm_votes(0);
        let (oracle, votes) = (Oracle::new(), VoteTap::default());
        let figures = std::mem::take(&mut self.figures);
        let drivers = std::mem::take(&mut self.drivers);
        *self = Self { oracle, votes, drivers, figures, are_upset: self.are_upset, ..Self::new() };
    }

    /// Returns how many cycles reached the plant.
    pub(crate) fn cycles(&self) -> u32 {
        self.figures.cycles
    }

    /// Returns the figures of the whole run.
    pub(crate) fn into_figures(mut self) -> Figures {
        // The run ends with the drive of its last cycle: give its votes no more time.
        self.confirm_votes(0);
        self.figures.blackout_cycles = self.figures.missing + self.figures.held;
        self.figures
    }

    /// Returns how many wrong outputs reached the plant.
    pub(crate) fn wrong(&self) -> u32 {
        self.figures.wrong
    }

    /// Returns the last cycle whose output reached the plant.
    pub(crate) fn latest(&self) -> u32 {
        self.latest
    }

    /// Returns the last cycle of which the link carried this board's sample.
    pub(crate) fn sampled_on_link(&self, board: ChannelId) -> Option<u32> {
        self.sampled_on_link[board.index()]
    }

    /// Notes that a board drove while the outputs were another one's.
    pub(crate) fn drove_unowned(&mut self) {
        self.figures.owners_max = self.figures.owners_max.max(2);
    }

    /// Returns the votes that the link carried.
    pub(crate) fn votes(&self) -> &VoteTap {
        &self.votes
    }

    /// Notes a reading that a board was given.
    pub(crate) fn gave(&mut self, board: ChannelId, reading: Reading) {
        let given = &mut self.given[board.index()];
        given.push_back(reading);
        if given.len() > READINGS_KEPT {
            given.pop_front();
        }
    }

    /// Sees a frame on the link, as its sender sent it.
    pub(crate) fn sees_frame(&mut self, sender: ChannelId, frame: &[u8], wire_bytes: usize) {
        if self.are_upset && !self.makes_sense(frame) {
            return;
        }
        self.votes.observe(sender, frame);
        let (Some(header), Some(payload)) = (frame.get(..8), frame.get(8..frame.len().saturating_sub(4))) else {
            return;
        };
        let kind = (header[0] >> 1) & 0xF;
        let phase = u32::from_le_bytes([header[3], header[4], header[5], header[6]]);
        let cycle = phase >> 2;
        if kind == Kind::Sample as u8 {
            let reading = payload.get(4..).and_then(canonical::decode::<Reading>);
            if let Some(reading) = reading {
                self.sampled_on_link[sender.index()] = Some(cycle);
                self.sampled(sender, cycle, reading);
                self.count_frame(sender, cycle, 0, wire_bytes - (payload.len() - 4));
            }
        } else if kind == Kind::Block as u8 {
            self.count_block(sender, cycle);
        } else if kind == Kind::Vote as u8 {
            self.count_frame(sender, cycle, 1, wire_bytes - payload.len().saturating_sub(8));
        }
    }

    /// Sees a frame that a board had sent before it died, and that nobody got.
    pub(crate) fn sees_last_vote(&mut self, sender: ChannelId, frame: &[u8]) {
        self.votes.observe(sender, frame);
    }

    /// Whether a frame of a damaged board is of a possible cycle, and a sample has its digest.
    fn makes_sense(&self, frame: &[u8]) -> bool {
        let (Some(header), Some(payload)) = (frame.first_chunk::<8>(), frame.get(8..frame.len().saturating_sub(4)))
        else {
            return false;
        };
        let [kind, _, _, p0, p1, p2, p3, _] = *header;
        let cycle = u32::from_le_bytes([p0, p1, p2, p3]) >> 2;
        let has_digest = || {
            let (digest, sample) = payload.split_first_chunk::<4>()?;
            let mut of_sample = ValueDigest::new();
            of_sample.extend(sample);
            Some(of_sample.finish() == u32::from_le_bytes(*digest))
        };
        let is_sample = (kind >> 1) & 0xF == Kind::Sample as u8;
        cycle <= self.latest + CYCLES_AHEAD && (!is_sample || has_digest() == Some(true))
    }

    /// Takes what a board says that it sampled.
    pub(crate) fn says_sampled(&mut self, board: ChannelId, cycle: u32, reading: Reading) {
        if !self.are_upset || self.sampled_on_link[board.index()] != Some(cycle) {
            self.sampled(board, cycle, reading);
        }
    }

    /// Takes a board's sample of a cycle: it must be a reading that the board was given.
    pub(crate) fn sampled(&mut self, board: ChannelId, cycle: u32, reading: Reading) {
        let never_given = reading != Reading::default() && !self.given[board.index()].contains(&reading);
        match &mut self.figures.damaged_readings {
            Some(damaged) => *damaged += u32::from(never_given),
            None => self.figures.wrong += u32::from(never_given),
        }
        self.oracle.sampled(board, Cycle(cycle), reading);
    }

    /// Takes the end of a board's cycle.
    pub(crate) fn settled(&mut self, board: ChannelId, cycle: u32, outcome: OutcomeCode, mode: ModeCode) {
        self.modes[board.index()] = mode;
        let alone = self.modes.iter().filter(|mode| matches!(mode, ModeCode::Simplex | ModeCode::Donor)).count();
        self.figures.owners_max = self.figures.owners_max.max(alone);
        match outcome {
            OutcomeCode::TookOver => {
                self.figures.takeovers += 1;
                self.figures.takeover_cycle.get_or_insert(cycle);
                self.figures.takeover_cycles.push(cycle);
            }
            OutcomeCode::Held => self.figures.held += 1,
            _ => {}
        }
    }

    /// Notes that a board is dead: it no longer serves.
    pub(crate) fn died(&mut self, board: ChannelId) {
        self.modes[board.index()] = ModeCode::Starting;
    }

    /// Notes a drive that the relay did not let through.
    pub(crate) fn cut_off(&mut self) {
        self.figures.cut_off += 1;
    }

    /// Judges a drive that reached the plant; returns whether it is the first of its cycle.
    pub(crate) fn drives(
        &mut self,
        board: ChannelId,
        epoch: u32,
        outcome: OutcomeCode,
        cycle: u32,
        output: &Drive,
    ) -> bool {
        let drivers = self.drivers.entry(epoch).or_default();
        drivers[board.index()] = true;
        let count = drivers.iter().filter(|drives| **drives).count();
        self.figures.owners_max = self.figures.owners_max.max(count);
        if outcome == OutcomeCode::Safe {
            self.figures.safe += 1;
            self.figures.wrong += u32::from(*output != Tank::SAFE);
            return false;
        }
        let outcome = match outcome {
            OutcomeCode::Agreed => Outcome::Agreed,
            OutcomeCode::Alone => Outcome::Alone,
            OutcomeCode::TookOver => Outcome::TookOver,
            OutcomeCode::Tried => Outcome::Tried,
            OutcomeCode::Held | OutcomeCode::Waiting | OutcomeCode::Safe => Outcome::Waiting,
        };
        if outcome == Outcome::Agreed {
            self.unconfirmed.push((cycle, *output));
        }
        let judgement = self.oracle.judge(board, outcome, Cycle(cycle), output);
        let is_new = cycle > self.latest;
        match judgement {
            Judgement::Right => {}
            Judgement::RightAfterGap(gap) => self.figures.missing += gap,
            Judgement::Wrong => self.figures.wrong += 1,
        }
        self.confirm_votes(VOTES_WITHIN_CYCLES);
        if is_new {
            self.latest = cycle;
            self.figures.cycles += 1;
        }
        is_new
    }

    /// Counts the outputs whose votes did not come within so many cycles.
    fn confirm_votes(&mut self, within_cycles: u32) {
        let (votes, latest) = (&self.votes, self.latest);
        self.unconfirmed.retain(|(cycle, output)| !votes.both_voted(Cycle(*cycle), output));
        let before = self.unconfirmed.len();
        self.unconfirmed.retain(|(cycle, _)| cycle + within_cycles > latest);
        self.figures.unvoted_in_duplex += (before - self.unconfirmed.len()) as u32;
    }

    /// Counts a block sent by a donor that has committed `cycle`.
    fn count_block(&mut self, sender: ChannelId, cycle: u32) {
        let (of, blocks) = &mut self.blocks[sender.index()];
        *blocks = if *of == cycle { *blocks + 1 } else { 1 };
        *of = cycle;
        self.figures.blocks_in_a_cycle_max = self.figures.blocks_in_a_cycle_max.max(*blocks);
        self.figures.blocks_copied += 1;
    }

    fn count_frame(&mut self, sender: ChannelId, cycle: u32, which: usize, overhead_bytes: usize) {
        let cycles = &mut self.overhead[sender.index()];
        let frames = cycles.entry(cycle).or_default();
        if frames[which] > 0 {
            self.figures.repeated_frames += 1;
        }
        frames[which] = overhead_bytes;
        let sum = frames[0] + frames[1];
        self.figures.link_overhead_bytes_max = self.figures.link_overhead_bytes_max.max(sum);
    }
}
