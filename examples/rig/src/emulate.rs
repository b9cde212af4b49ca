//! A run on two emulated boards in virtual time: the rig carries their link, and is their plant and relay.

mod bench;
mod boards;
mod power;
mod set_up;
mod shots;

mod upgrade;
mod upsets;

use crate::board::Socket;
use crate::cross_link::CrossLink;
use crate::engine::{Engine, Happened};
use crate::firmware::Images;
use crate::frames::{Deframer, framed};
use crate::journal::{Logged, in_words};
use crate::judge::Judge;
use crate::log::LogDecoder;
use crate::plant_side::PlantSide;
use crate::relay::Relay;
use crate::rot::Rot;
use crate::rounds::{Act, Rounds};
use crate::run::{Outcome, Progress};
use crate::scenario::{EXCHANGE_BYTES, Ending, Kind, Plan, one_stands_by};
use crate::seu::Aim;
use crate::upgrade::run_cells;
use anyhow::{Context, Result, bail};
pub(crate) use bench::EmulatedBench;
use boards::Boards;
use std::path::Path;
use tank::TIMING;
use tank::field_bus::{MAX_MESSAGE_BYTES, ModeCode, ToBoard, ToPlant};
use tempfile::TempDir;
use twinstep::ChannelId;
use twinstep::journal::Event;
use upgrade::Upgrade;
use upsets::Upsets;

/// A run in which nothing is driven for so many periods is over, and its claims fail.
const SILENT_PERIODS_AT_MOST: u64 = 200;
const PERIOD_NS: u64 = TIMING.period_us as u64 * 1_000;
/// How often the run is looked at where nothing happens.
const LOOK_NS: u64 = PERIOD_NS / 20;

/// Cycles after the last flip in which it may show: memory is checked in 17.
const LAST_CYCLES: u32 = 20;

/// One run.
struct Run<'p> {
    /// Where the boards' ports are.
    folder: TempDir,
    plan: Plan,
    rng: fastrand::Rng,
    socket: Socket,
    engine: Engine,
    boards: Boards,
    boots: u32,
    /// The engine's number of the life that each board is in, or was in last.
    lives: [u32; 2],
    nonces: [u32; 2],
    pair: u32,
    link: CrossLink,
    from_board: [Deframer; 2],
    relay: Relay,
    judge: Judge,
    plant: PlantSide,
    rounds: Option<Rounds>,
    rot: Option<Rot>,
    upsets: Option<Upsets>,
    upgrade: Option<Upgrade>,
    images: Images,
    /// Where the boards keep their mirrored memory.
    memory_at: u32,
    modes: [Option<ModeCode>; 2],
    one_stood_by: bool,
    journal: Vec<Logged>,
    /// The logs of each boot.
    logs: [Vec<LogDecoder>; 2],
    failed: Option<String>,
    progress: &'p Progress,
}

/// Runs `plan` on two boards that boot these images.
pub(crate) fn run(plan: Plan, qemu: &Path, images: &Images, progress: &Progress) -> Result<Outcome> {
    if plan.kind == Kind::UpgradeFaults && plan.cell.is_none() {
        return run_cells(plan, progress, |plan| run(plan, qemu, images, progress));
    }
    let mut run = Run::new(plan, qemu, images, progress)?;
    if plan.kind == Kind::Seu && plan.aim == Aim::Registers {
        run.aim_at(&Run::executed(qemu, images, progress)?)?;
    }
    run.power_up()?;
    run.until_done()
}

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

impl Run<'_> {
    fn until_done(mut self) -> Result<Outcome> {
        let (mut latest, mut since_ns) = (0, 0);
        self.engine.alarm_every(LOOK_NS);
        while !self.is_done() {
            let Some(happened) = self.engine.next(&mut self.boards)? else { break };
            self.note_shots()?;
            self.hear(&happened);
            if self.judge.cycles() > latest {
                (latest, since_ns) = (self.judge.cycles(), self.engine.now_ns());
            } else if self.engine.now_ns() - since_ns > SILENT_PERIODS_AT_MOST * PERIOD_NS {
                break;
            }
            self.go_on_with_rounds()?;
            self.go_on_with_upsets()?;
            self.go_on_with_upgrade()?;
            if let Some(failed) = self.failed.take() {
                bail!(failed);
            }
            self.progress.at(self.judge.cycles());
        }
        self.hear_what_is_left()?;
        let mut figures = self.judge.into_figures();
        if self.plan.kind == Kind::Noise {
            figures.damaged_bytes = Some(self.link.damaged_bytes());
            figures.carried_bytes = Some(self.link.carried_bytes());
        }
        if self.plan.kind == Kind::Failover {
            figures.kill_cycle = self.link.kill_cycle();
        }
        figures.rounds = self.rounds.map(Rounds::into_rounds).unwrap_or_default();
        figures.rot = self.rot.map(Rot::into_figures);
        figures.seu = self.upsets.map(|upsets| upsets.seu.into_figures());
        figures.upgrade = self.upgrade.map(Upgrade::into_figures);
        figures.copy_budget_blocks = TIMING.copy_blocks.into();
        let (modes, link_changes, one_stood_by) = (self.modes, self.plant.link_changes(), self.one_stood_by);
        let ending = Ending { modes, link_changes, one_stood_by, checks_link_overhead: true };
        let claims = self.plan.claims(&figures, &ending);
        for board in CHANNELS {
            if let (Some(log), Some(bytes)) = (self.logs[board.index()].last_mut(), self.boards.unplug(board)) {
                log.push(&bytes);
            }
        }
        let logs = self.logs.map(|boots| boots.into_iter().flat_map(LogDecoder::into_lines).collect());
        Ok(Outcome { record: self.plant.record(&self.plan), figures, claims, journal: self.journal, logs })
    }

    fn is_done(&self) -> bool {
        let latest = self.judge.cycles();
        if let Some(upsets) = &self.upsets {
            // Time for the last flip to show, and for the pair to come together.
            let is_calm = latest > upsets.calm_from && latest > upsets.last_flip + LAST_CYCLES;
            return upsets.seu.is_done() && is_calm && latest >= self.plan.cycles;
        }
        if let Some(upgrade) = &self.upgrade {
            let is_long_enough = latest >= self.plan.cycles || self.plan.cell.is_some();
            return upgrade.operator.is_stuck() || upgrade.operator.is_done() && is_long_enough;
        }
        let in_rounds = self.rounds.as_ref().is_some_and(|rounds| !rounds.is_done());
        // Rounds that do not come to an end are one of the claims.
        latest >= self.plan.cycles && (!in_rounds || latest >= 3 * self.plan.cycles)
    }

    /// Goes on for a moment: the votes of the last drive may still be on their way.
    fn hear_what_is_left(&mut self) -> Result<()> {
        let (last, until_ns) = (self.judge.latest(), self.engine.now_ns() + PERIOD_NS / 4);
        while self.engine.now_ns() < until_ns && self.judge.latest() == last {
            let Some(happened) = self.engine.next(&mut self.boards)? else { return Ok(()) };
            if let Happened::Left { .. } | Happened::Alarm = happened {
                self.hear(&happened);
            }
        }
        Ok(())
    }

    /// Looks at what happened.
    fn hear(&mut self, happened: &Happened) {
        match happened {
            Happened::Left { from, life, byte, arrives_ns } => {
                if self.engine.is_alive(*from, *life) {
                    self.carry(*from, *byte, *arrives_ns);
                } else if self.lives[from.index()] == *life {
                    // What the board had sent and the link no longer carries: its last words.
                    self.link.overhear(*from, *byte, &mut self.judge);
                }
            }
            Happened::Said { from, bytes, .. } => {
                for byte in bytes {
                    let message = self.from_board[from.index()].push(*byte);
                    if let Some(message) = message.and_then(|message| ToPlant::decode(&message.frame)) {
                        self.answer(*from, message);
                    }
                }
            }
            Happened::Worked | Happened::Alarm => {}
            // A board's program is never stopped here: one that says so is upset.
            Happened::Gone(board) | Happened::Stopped { board, .. } => {
                self.unplug(*board);
                if self.upsets.is_none() {
                    self.failed = Some(format!("board {board} stopped by itself"));
                }
            }
        }
    }

    /// Carries a byte across the link, up to the moment of a kill.
    fn carry(&mut self, from: ChannelId, byte: u8, arrives_ns: u64) {
        let carried = self.link.carry(from, byte, self.relay.board(), &mut self.judge);
        for byte in carried.bytes {
            self.engine.deliver(from.other(), byte, arrives_ns);
        }
        if let Some(what) = carried.strike {
            self.plant.injected(self.link.cycle(), None, what);
        }
        if let Some(byte) = carried.kills_with {
            self.kill(from, byte);
        }
    }

    fn go_on_with_rounds(&mut self) -> Result<()> {
        let (latest, in_duplex) = (self.judge.latest(), self.modes == [Some(ModeCode::Duplex); 2]);
        match self.rounds.as_mut().and_then(|rounds| rounds.next(latest, in_duplex)) {
            Some(Act::Kill { in_cycle }) => self.link.strike(in_cycle, self.rng.u32(1..=EXCHANGE_BYTES)),
            Some(Act::Restart(board)) => {
                self.plant.injected(latest, Some(board), "restarted");
                self.boot(board)?;
            }
            None => {}
        }
        Ok(())
    }

    /// Flips a bit in the memory of a board that has just settled a cycle, if one is due.
    fn rot(&mut self, board: ChannelId, cycle: u32) -> Result<()> {
        let Some(rot) = &mut self.rot else { return Ok(()) };
        let Some(flip) = rot.next(board, cycle) else { return Ok(()) };
        let memory = self.boards.memory(board)?;
        let (offset, bit) = flip.place();
        memory.context("the board has no port to its memory")?.flip_bit(self.memory_at + offset as u32, bit)?;
        rot.flipped(flip, cycle);
        self.plant.injected(cycle, Some(board), format!("{} bit", flip.part.name()));
        Ok(())
    }

    fn answer(&mut self, board: ChannelId, message: ToPlant) {
        match message {
            ToPlant::Ready => {
                let (nonce, pair) = (self.nonces[board.index()], self.pair);
                self.tell_image(board);
                self.tell(board, &ToBoard::Boot { side: board.into(), nonce, pair, patience: 0 });
                self.tell(board, &ToBoard::Lease { through: self.relay.through(), answers: None });
                self.give_reading(board);
            }
            ToPlant::Claim { to } => {
                let through = self.relay.claim(board, to);
                self.tell(board, &ToBoard::Lease { through, answers: Some(to) });
                if !self.plan.broken_relay {
                    self.tell(board.other(), &ToBoard::Lease { through, answers: None });
                }
            }
            ToPlant::Sampled { cycle, reading } => self.judge.says_sampled(board, cycle, reading),
            ToPlant::Drive { cycle, epoch, outcome, output } => {
                if !self.relay.passes(board, epoch) {
                    self.judge.cut_off();
                    return;
                }
                let (wrong, missing, due) = (self.judge.wrong(), self.judge.missing(), self.judge.latest() + 1);
                let is_new = self.judge.drives(board, epoch.counter(), outcome, cycle, &output);
                if is_new {
                    self.judge.drove_at(self.engine.now_ns() / 1_000);
                }
                if let Some(upsets) = &mut self.upsets {
                    if self.judge.missing() > missing {
                        upsets.seu.lost(self.judge.missing() - missing);
                    }
                    if self.judge.wrong() > wrong {
                        let what = format!("{board} drove {output:?} in cycle {cycle}, {outcome:?}");
                        upsets.is_astray |= !upsets.seu.wrong(Some(board), due, what);
                    }
                }
                self.plant.drive(board, cycle.min(self.judge.latest() + 1), &output, is_new);
                if let Some(upsets) = &mut self.upsets {
                    upsets.drove(self.engine.now_ns());
                }
                if let Some(upgrade) = &mut self.upgrade {
                    upgrade.drove(board);
                }
                if is_new {
                    for board in CHANNELS {
                        self.give_reading(board);
                    }
                }
            }
            ToPlant::Settled { cycle, outcome, mode, .. } => {
                self.modes[board.index()] = Some(mode);
                if let Some(upsets) = &mut self.upsets {
                    upsets.heard(board, self.engine.now_ns());
                }
                self.one_stood_by |= one_stands_by(self.modes);
                self.judge.settled(board, cycle, outcome, mode);
                // A board that is out of the cycle stands at an old number.
                let shown = cycle.max(self.judge.latest());
                self.plant.mode(board, shown, Some(mode));
                self.answer_upgrade(board, message);
                if let Err(error) = self.rot(board, cycle) {
                    self.failed = Some(format!("{error:#}"));
                }
            }
            ToPlant::Copying { cycle, done_blocks, total_blocks, .. } => {
                self.plant.copied(cycle, done_blocks.into(), total_blocks.into());
            }
            ToPlant::Repaired { cycle, working, checkpoint, digests, .. } => {
                let rot = self.rot.as_mut();
                let fresh = rot.map_or(0, |rot| rot.repaired(board, cycle, [working, checkpoint, digests]));
                self.plant.repaired(cycle, fresh);
            }
            ToPlant::Happened { lost, entry } => {
                self.journal.push(Logged { channel: board, lost, entry });
                if let Some(upsets) = &mut self.upsets {
                    upsets.seu.happened(board, &entry.event, in_words(&entry.event));
                }
                if let Some(rot) = &mut self.rot {
                    rot.happened(board, &entry.event);
                }
                if let (Some(upgrade), Event::UpgradeStep { to, .. }) = (&mut self.upgrade, entry.event) {
                    upgrade.operator.stepped(entry.cycle.0, board, to);
                }
                if self.rot.is_some() && matches!(entry.event, Event::Diagnosed(_) | Event::Barred(_)) {
                    self.readmit();
                }
            }
            ToPlant::Upgrade { .. } | ToPlant::Answered { .. } | ToPlant::Duty(_) | ToPlant::Differed { .. } => {
                self.answer_upgrade(board, message);
            }
            ToPlant::Failed { .. } if self.upsets.is_some() => self.unplug(board),
            ToPlant::Failed { code } => self.failed = Some(format!("board {board} gave up with code {code}")),
        }
    }

    fn give_reading(&mut self, board: ChannelId) {
        let reading = self.plant.reading(board);
        self.judge.gave(board, reading);
        self.tell(board, &ToBoard::Reading(reading));
    }

    fn tell(&mut self, board: ChannelId, message: &ToBoard) {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let Some(length) = message.encode(&mut buffer) else { return };
        self.engine.tell(board, framed(&buffer[..length]));
    }
}
