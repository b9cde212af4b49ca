//! The judge: what reaches the plant, against the rig's own run of the program.

mod figures;
#[cfg(test)]
mod tests;

pub(crate) use figures::Figures;

use crate::scenario::{self, Plan};
use std::collections::{BTreeMap, VecDeque};
use tank::field_bus::{ModeCode, OutcomeCode};
use tank::{Drive, Reading, Tank, TankV2};
use twinstep::digest::ValueDigest;
use twinstep::sim::{Judgement, TwoOracles, Version, VoteTap};
use twinstep::wire::Kind;
use twinstep::{ChannelId, Cycle, Outcome, Program, canonical};

/// Readings given to a board that are kept: a core that hangs says what it sampled once it goes on.
const READINGS_KEPT: usize = 64;
/// A reading may be as old as so many cycles: the newest one may be on its way, and a cycle that is held keeps the one that
/// it began with.
const FRESH_FOR_CYCLES: u32 = 4;

/// Watches the link and the field bus of one run.
pub(crate) struct Judge {
    oracle: TwoOracles<Tank, TankV2>,
    /// What runs on each board.
    versions: [Version; 2],
    /// The board has joined since its boot, or begun with it, and has sampled nothing yet.
    is_fresh: [bool; 2],
    votes: VoteTap,
    /// Readings with the cycle in which they were given.
    given: [VecDeque<(u32, Reading)>; 2],
    modes: [ModeCode; 2],
    drivers: BTreeMap<u32, [bool; 2]>,
    /// Overhead of the frames of a cycle, by direction; a frame counts once.
    overhead: [BTreeMap<u32, [usize; 2]>; 2],
    latest: u32,
    /// When the first output of a cycle reached the plant last.
    driven_at_us: Option<u64>,
    /// Blocks of memory that a board sent, and in which cycle.
    blocks: [(u32, u32); 2],
    /// Outputs released in duplex for which the link has not carried both votes yet: the
    /// rig may read a board's drive before it reads the vote that the board sent first.
    unconfirmed: Vec<(u32, Drive)>,
    /// The boards' memory is damaged: what they say may be nonsense.
    are_upset: bool,
    /// The only board with the state may be killed: the pair then begins with its first cycle again.
    may_begin_anew: bool,
    /// It has, and nobody was told yet.
    has_begun_anew: bool,
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
            oracle: TwoOracles::new(),
            versions: [Version::Old; 2],
            is_fresh: [true; 2],
            votes: VoteTap::default(),
            given: Default::default(),
            modes: [ModeCode::Starting; 2],
            drivers: BTreeMap::new(),
            overhead: Default::default(),
            latest: 0,
            driven_at_us: None,
            blocks: [(0, 0); 2],
            unconfirmed: Vec::new(),
            are_upset: false,
            may_begin_anew: false,
            has_begun_anew: false,
            sampled_on_link: [None; 2],
            figures: Figures::default(),
        }
    }

    /// Judges the boards of a scenario.
    pub(crate) fn of(plan: &Plan) -> Self {
        match plan.kind {
            scenario::Kind::Seu => Self::of_upset_boards(),
            scenario::Kind::UpgradeFaults => Self::of_mortal_boards(),
            _ => Self::new(),
        }
    }

    /// Judges boards whose memory is damaged. A sample that is no reading counts apart: the pair agrees on what its
    /// sensors say, and a bit flipped before that is a sensor's fault. What a board says of its sample counts only
    /// where the link did not carry it, and frames of impossible cycles do not count.
    fn of_upset_boards() -> Self {
        let figures = Figures { damaged_readings: Some(0), ..Figures::default() };
        Self { are_upset: true, figures, ..Self::new() }
    }

    /// Judges boards of which one is killed while it alone has the state.
    fn of_mortal_boards() -> Self {
        Self { may_begin_anew: true, ..Self::new() }
    }

    /// Whether the pair has begun with its first cycle again, once for each time.
    pub(crate) fn took_anew(&mut self) -> bool {
        std::mem::take(&mut self.has_begun_anew)
    }

    /// The pair has lost its state, by the sample that it begins with.
    fn forget_state(&mut self) {
        self.confirm_votes(0);
        self.votes = VoteTap::default();
        self.oracle.forget_state();
        if self.versions == [Version::New; 2] {
            self.oracle.begin_new();
        }
        (self.latest, self.driven_at_us) = (0, None);
        // What it samples in its first cycles was given before.
        self.given.iter_mut().flatten().for_each(|(since, _)| *since = 0);
        self.figures.states_lost += 1;
        self.has_begun_anew = true;
    }

    /// Nobody has the state any more: the pair begins with its first cycle again.
    pub(crate) fn begin_anew(&mut self) {
        self.confirm_votes(0);
        let (oracle, votes, versions) = (TwoOracles::new(), VoteTap::default(), self.versions);
        let figures = std::mem::take(&mut self.figures);
        let drivers = std::mem::take(&mut self.drivers);
        *self = Self { oracle, votes, versions, drivers, figures, are_upset: self.are_upset, ..Self::new() };
        if versions == [Version::New; 2] {
            self.oracle.begin_new();
        }
    }

    /// Notes that a board boots this version.
    pub(crate) fn booted(&mut self, board: ChannelId, version: Version) {
        self.versions[board.index()] = version;
        self.is_fresh[board.index()] = true;
        self.given[board.index()].clear();
    }

    /// Returns how many cycles reached the plant.
    pub(crate) fn cycles(&self) -> u32 {
        self.figures.cycles
    }

    /// Returns the figures so far.
    pub(crate) fn so_far(&self) -> &Figures {
        &self.figures
    }

    /// Whether this is a state that the program may be in after the last cycle that reached the plant.
    pub(crate) fn holds(&self, state: &tank::Plant) -> bool {
        self.oracle.holds_old(state)
    }

    /// Returns the figures of the whole run.
    pub(crate) fn into_figures(mut self) -> Figures {
        // The run ends with the drive of its last cycle: give its votes no more time.
        self.confirm_votes(0);
        self.figures.blackout_cycles = self.figures.missing + self.figures.held;
        self.figures
    }

    /// Returns how many cycles brought the plant no output.
    pub(crate) fn missing(&self) -> u32 {
        self.figures.missing
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
        given.push_back((self.latest, reading));
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
        let kind = Kind::of_frame(frame);
        let phase = u32::from_le_bytes([header[3], header[4], header[5], header[6]]);
        let cycle = phase >> 2;
        if kind == Some(Kind::Sample) {
            let reading = payload.get(4..).and_then(canonical::decode::<Reading>);
            if let Some(reading) = reading {
                self.sampled_on_link[sender.index()] = Some(cycle);
                self.sampled(sender, cycle, reading);
                self.count_frame(sender, cycle, 0, wire_bytes - (payload.len() - 4));
            }
        } else if kind == Some(Kind::Block) {
            self.count_block(sender, cycle);
        } else if kind == Some(Kind::Vote) {
            self.count_frame(sender, cycle, 1, wire_bytes - payload.len().saturating_sub(2 + 8));
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
        let [_, _, _, p0, p1, p2, p3, _] = *header;
        let cycle = u32::from_le_bytes([p0, p1, p2, p3]) >> 2;
        let has_digest = || {
            let (digest, sample) = payload.split_first_chunk::<4>()?;
            let mut of_sample = ValueDigest::new();
            of_sample.extend(sample);
            Some(of_sample.finish() == u32::from_le_bytes(*digest))
        };
        let is_sample = Kind::of_frame(frame) == Some(Kind::Sample);
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
        let given = &self.given[board.index()];
        // Before the first one has come a board knows of none.
        let has_none = given.len() < 2 && reading == Reading::default();
        let is_fresh =
            |(since, given): &(u32, Reading)| *given == reading && cycle.saturating_sub(*since) <= FRESH_FOR_CYCLES;
        let never_given = !has_none && !given.iter().any(is_fresh);
        match &mut self.figures.damaged_readings {
            Some(damaged) => *damaged += u32::from(never_given),
            None => self.figures.wrong += u32::from(never_given),
        }
        if self.may_begin_anew && cycle == 1 && self.latest > CYCLES_AHEAD {
            self.forget_state();
        }
        let at = board.index();
        if std::mem::take(&mut self.is_fresh[at]) {
            // The first sample of a version 2 that joins a version 1: it has the state that was that one's before.
            let other = self.versions[board.other().index()];
            if (self.versions[at], other) == (Version::New, Version::Old) {
                self.oracle.migrated(Cycle(cycle.saturating_sub(1)));
            }
        }
        self.oracle.sampled(board, Cycle(cycle), reading);
    }

    /// Takes the end of a board's cycle.
    pub(crate) fn settled(&mut self, board: ChannelId, cycle: u32, outcome: OutcomeCode, mode: ModeCode) {
        self.modes[board.index()] = mode;
        self.is_fresh[board.index()] |= matches!(mode, ModeCode::Starting | ModeCode::Joining);
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

    /// Notes when an output that was the first of its cycle reached the plant.
    pub(crate) fn drove_at(&mut self, now_us: u64) {
        let gap_us = self.driven_at_us.replace(now_us).map_or(0, |before| now_us - before);
        self.figures.longest_gap_us = self.figures.longest_gap_us.max(Some(gap_us));
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
        let version = self.versions[board.index()];
        let judgement = self.oracle.judge(board, version, outcome, Cycle(cycle), output);
        // The number itself may be damaged on a board that is hit.
        let is_possible = !self.are_upset || cycle <= self.latest.saturating_add(CYCLES_AHEAD);
        let is_new = cycle > self.latest && is_possible;
        self.figures.went_back += u32::from(cycle < self.latest);
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
        self.unconfirmed.retain(|(cycle, _)| cycle.saturating_add(within_cycles) > latest);
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
