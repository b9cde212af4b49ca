//! Faults of a board's processor: drawn anywhere in its program, or one after the other along the way from the peer's vote
//! to the actuator.

use super::{CHANNELS, PERIOD_NS, Run};
use crate::seu::Aim;
use crate::strike::{Shot, Strike};
use crate::trace::{Program, Stretch};
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::rc::Rc;
use twinstep::ChannelId;

/// A board comes by an instruction within this time, or does so seldom.
const REACHED_WITHIN_NS: u64 = 3 * PERIOD_NS / 2;
/// An instruction of the way that was followed is tried so often.
const TRIES: u32 = 3;
/// So many turns in a row may bring a vote and no output.
const LOOKS_AT_MOST: u32 = 40;
/// A drawn instruction is hit the first few times that it is executed.
const HITS_AT_MOST: u32 = 4;

/// Chooses the faults of a run.
pub(super) struct Shots {
    program: Rc<Program>,
    aim: Aim,
    /// What was executed from vote to actuator, once that is known.
    stretch: Option<Stretch>,
    /// The number of the next instruction of it to be skipped.
    next: usize,
    /// Tries in vain of this one, or of a look at the instructions.
    tries: u32,
    /// A board that a fault, or a look at its instructions, waits for; and how long.
    waiting: Option<(ChannelId, u64)>,
}

impl Shots {
    /// Aims at the program of an image.
    pub(super) fn new(aim: Aim, elf: &[u8]) -> Result<Self> {
        let next = if let Aim::EveryInstruction { shard, .. } = aim { shard as usize - 1 } else { 0 };
        Ok(Self { program: Rc::new(Program::of(elf)?), aim, stretch: None, next, tries: 0, waiting: None })
    }

    /// Aims at these instructions only, as far as they are of the program.
    ///
    /// # Errors
    /// If none is.
    pub(super) fn aim_at(&mut self, executed: &BTreeSet<u32>) -> Result<()> {
        self.program = Rc::new(self.program.only(executed)?);
        Ok(())
    }

    /// Whether a fault is on its way.
    pub(super) fn are_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether a fault that did not hit is tried once more.
    fn tries_again(&mut self) -> bool {
        let Aim::EveryInstruction { of, .. } = self.aim else { return false };
        self.tries += 1;
        let again = self.stretch.is_none() || self.tries < TRIES;
        if self.stretch.is_some() && again {
            self.next -= of as usize;
        } else if self.stretch.is_some() {
            self.tries = 0;
        }
        again
    }

    /// Returns the next fault; `None`: nothing is left, or it is not known yet what there is.
    fn shot(&mut self, rng: &mut Rng) -> Option<Shot> {
        match self.aim {
            Aim::Memory => None,
            Aim::Registers => {
                let address = self.program.instruction(rng.usize(0..self.program.count()))?;
                let hit = rng.u32(1..=HITS_AT_MOST);
                Some(Shot { strike: Strike::draw(rng), address, hit, with_vote: false })
            }
            Aim::EveryInstruction { of, .. } => {
                let (address, hit) = self.stretch.as_ref()?.at(self.next)?;
                self.next += of as usize;
                Some(Shot { strike: Strike::Skip, address, hit, with_vote: true })
            }
        }
    }
}

impl Run<'_> {
    /// Aims the next fault at a board.
    pub(super) fn shoot(&mut self, turn: ChannelId) -> Result<()> {
        self.readmit();
        let now_ns = self.engine.now_ns();
        let owner = self.relay.board();
        let Some(upsets) = &mut self.upsets else { return Ok(()) };
        let Some(shots) = &mut upsets.shots else { return Ok(()) };
        // Only the one that owns drives.
        let board = if let Aim::EveryInstruction { .. } = shots.aim { owner.unwrap_or(turn) } else { turn };
        shots.waiting = Some((board, now_ns + REACHED_WITHIN_NS));
        let looks = matches!(shots.aim, Aim::EveryInstruction { .. }) && shots.stretch.is_none();
        if looks {
            self.boards.trace(board, &Rc::clone(&shots.program));
            return Ok(());
        }
        match shots.shot(&mut upsets.rng) {
            Some(shot) => self.boards.arm(board, shot, &Rc::clone(&shots.program)),
            None => {
                shots.waiting = None;
                upsets.seu.end();
                Ok(())
            }
        }
    }

    /// Notes a fault that has hit, before what comes of it; and gives one up that does not.
    pub(super) fn note_shots(&mut self) -> Result<()> {
        let (now_ns, latest) = (self.engine.now_ns(), self.judge.latest());
        let Some(upsets) = &mut self.upsets else { return Ok(()) };
        let Some(shots) = &mut upsets.shots else { return Ok(()) };
        if let Some(stretch) = self.boards.traced() {
            let Aim::EveryInstruction { of, .. } = shots.aim else { return Ok(()) };
            let count = stretch.len().saturating_sub(shots.next).div_ceil(of as usize);
            upsets.seu.follows(stretch.len(), stretch.different(), count);
            shots.stretch = Some(stretch);
            shots.waiting = None;
        }
        if let Some((board, fired)) = self.boards.fired() {
            shots.waiting = None;
            let (shot, cycle) = (fired.shot, latest + 1);
            let place = format!("{:#010x} {}, {}", shot.address, fired.what, shots.program.place(shot.address));
            upsets.seu.flipped(board, cycle, shot.strike.kind(), place, self.journal.len());
            shots.tries = 0;
            if fired.is_behind_seal {
                upsets.seu.is_behind_seal();
            }
            upsets.last_flip = self.judge.cycles();
            self.plant.injected(cycle, Some(board), shot.strike.kind());
            upsets.draw_next(now_ns);
            return Ok(());
        }
        let late = shots.waiting.filter(|(_, until_ns)| now_ns > *until_ns);
        if let Some((board, _)) = late {
            shots.waiting = None;
            if !shots.tries_again() {
                upsets.seu.not_reached();
            }
            ensure!(shots.tries < LOOKS_AT_MOST, "no turn with a vote of the peer ends with an output");
            // One that has died meanwhile takes none back.
            self.boards.disarm(board).context("a fault cannot be taken back")?;
        }
        Ok(())
    }

    /// A board was booted: nothing waits for it any more.
    pub(super) fn forget_shot(&mut self, board: ChannelId) {
        if let Some(upsets) = &mut self.upsets
            && let Some(shots) = &mut upsets.shots
            && shots.waiting.is_some_and(|(waits_for, _)| waits_for == board)
        {
            shots.waiting = None;
            if !shots.tries_again() {
                upsets.seu.not_reached();
            }
        }
    }

    /// Returns the board that a fault is aimed at next.
    pub(super) fn next_target(&self) -> ChannelId {
        self.upsets.as_ref().map_or(CHANNELS[0], |upsets| upsets.seu.turn())
    }
}
