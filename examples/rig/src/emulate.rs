//! A run on two emulated boards: the rig carries their link, and is their plant and relay.

mod power;
mod upgrade;
mod upsets;

use crate::board::{Board, Heard, Line, Socket, prefer};
use crate::cross_link::CrossLink;
use crate::firmware::{self, Images};
use crate::frames::{Deframer, framed};
use crate::journal::{Logged, in_words};
use crate::judge::Judge;
use crate::log::LogDecoder;
use crate::plant_side::PlantSide;
use crate::ram::Ram;
use crate::relay::Relay;
use crate::rot::{PlantMemory, Rot};
use crate::rounds::{Act, Rounds};
use crate::run::{Outcome, Progress};
use crate::scenario::{EXCHANGE_BYTES, Ending, Kind, Plan, ROUNDS, one_stands_by};
use crate::upgrade::run_cells;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tank::field_bus::{MAX_MESSAGE_BYTES, ModeCode, ToBoard, ToPlant};
use twinstep::journal::Event;
use twinstep::{ChannelId, Config};
use upgrade::Upgrade;
use upsets::Upsets;

/// A run in which nothing is heard of any board, or nothing driven, for so long is over.
const SILENCE_AT_MOST: Duration = Duration::from_secs(20);

/// What the firmware sends of its state in a cycle at most.
const COPY_BLOCKS: u32 = 8;

/// Cycles after the last flip in which it may show: memory is checked in 17.
const LAST_CYCLES: u32 = 20;

/// Less than a cycle.
const A_MOMENT: Duration = Duration::from_millis(20);

/// One run.
struct Run<'p> {
    plan: Plan,
    rng: fastrand::Rng,
    socket: Socket,
    heard: Sender<Heard>,
    boots: u32,
    /// The latest boot of each board.
    boot_of: [u32; 2],
    boards: [Option<Board>; 2],
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
    let image = images.old();
    prefer(std::process::id()); // the link is no faster than the rig that carries it
    let folder = tempfile::tempdir().context("no temporary folder for the boards' ports")?;
    let (sender, heard) = channel();
    let elf = std::fs::read(&image).with_context(|| format!("no firmware at {}", image.display()))?;
    let memory_port = matches!(plan.kind, Kind::Rot | Kind::Seu);
    let is_upset = plan.kind == Kind::Seu;
    let upsets = is_upset.then(|| Ram::of(&elf)).transpose()?.map(|ram| Upsets::new(plan.seed, plan.flips, ram));
    let mut run = Run {
        plan,
        rng: fastrand::Rng::with_seed(plan.seed ^ 0xB0A2D5),
        socket: Socket { qemu: qemu.into(), image, folder: folder.path().into(), memory_port },
        heard: sender,
        boots: 0,
        boot_of: [0; 2],
        boards: [None, None],
        nonces: [0; 2],
        pair: 0,
        link: CrossLink::new(&plan),
        from_board: Default::default(),
        relay: Relay::new(plan.broken_relay),
        judge: Judge::of(&plan),
        plant: PlantSide::new(plan.seed)?,
        rounds: (plan.kind == Kind::Rejoin).then(|| Rounds::new(ROUNDS, plan.seed, Config::DEFAULT.probation_cycles)),
        upsets,
        upgrade: plan.kind.upgrades().then(|| Upgrade::new(&plan)),
        images: images.clone(),
        rot: (plan.kind == Kind::Rot).then(|| Rot::new(plan.seed, plan.cycles, Config::DEFAULT.scrub_blocks)),
        memory_at: firmware::address_of("MEMORY", size_of::<PlantMemory>(), &elf)?,
        modes: [None; 2],
        one_stood_by: false,
        journal: Vec::new(),
        logs: Default::default(),
        failed: None,
        progress,
    };
    run.pair = run.rng.u32(..);
    for board in CHANNELS {
        run.boot(board)?;
    }
    run.until_done(&heard)
}

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

impl Run<'_> {
    fn until_done(mut self, heard: &Receiver<Heard>) -> Result<Outcome> {
        let (mut latest, mut since) = (0, Instant::now());
        while !self.is_done() {
            let is_watched = self.upsets.is_some() || self.upgrade.is_some();
            let wait = if is_watched { A_MOMENT } else { SILENCE_AT_MOST };
            let busy = match heard.recv_timeout(wait) {
                Ok(heard) => {
                    self.hear(&heard);
                    Some(CHANNELS[heard.board])
                }
                Err(RecvTimeoutError::Timeout) if is_watched => None,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    bail!("the boards stopped talking after cycle {latest}");
                }
            };
            if self.judge.cycles() > latest {
                (latest, since) = (self.judge.cycles(), Instant::now());
            } else if since.elapsed() > SILENCE_AT_MOST {
                let [a, b] = self.modes.map(|mode| mode.map_or("dead".into(), |mode| format!("{mode:?}")));
                bail!("no output reached the plant after cycle {latest}; A is {a}, B is {b}");
            }
            self.go_on_with_rounds()?;
            self.go_on_with_upsets(busy)?;
            self.go_on_with_upgrade()?;
            if let Some(failed) = self.failed.take() {
                bail!(failed);
            }
            self.progress.at(self.judge.cycles());
        }
        self.read_what_is_left(heard);
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
        figures.copy_budget_blocks = COPY_BLOCKS;
        let (modes, link_changes, one_stood_by) = (self.modes, self.plant.link_changes(), self.one_stood_by);
        let ending = Ending { modes, link_changes, one_stood_by, checks_link_overhead: true };
        let claims = self.plan.claims(&figures, &ending);
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

    /// Reads on for a moment: the votes of the last drive may still be on their way.
    fn read_what_is_left(&mut self, heard: &Receiver<Heard>) {
        let last = self.judge.latest();
        while let Ok(heard) = heard.recv_timeout(A_MOMENT) {
            if self.judge.latest() > last {
                return;
            }
            self.hear(&heard);
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let from = CHANNELS[heard.board];
        if self.boot_of[heard.board] != heard.boot {
            return;
        }
        let Some(board) = &mut self.boards[heard.board] else {
            // Its last words, after the kill.
            if heard.line == Line::CrossLink {
                self.overhear(from, &heard.bytes);
            }
            return;
        };
        if heard.bytes.is_empty() {
            if heard.line != Line::Log && !board.is_running() && self.upsets.is_some() {
                self.boards[heard.board] = None;
            } else if heard.line != Line::Log && !board.is_running() {
                self.failed = Some(format!("board {from} stopped by itself"));
            }
            return;
        }
        match heard.line {
            Line::Log => {
                if let Some(log) = self.logs[heard.board].last_mut() {
                    log.push(&heard.bytes);
                }
            }
            Line::CrossLink => self.carry(from, &heard.bytes),
            Line::FieldBus => {
                for byte in &heard.bytes {
                    let message = self.from_board[heard.board].push(*byte);
                    if let Some(message) = message.and_then(|message| ToPlant::decode(&message.frame)) {
                        self.answer(from, message);
                    }
                }
            }
        }
    }

    /// Carries bytes across the link, up to the moment of a kill.
    fn carry(&mut self, from: ChannelId, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            if self.boards[from.index()].is_none() {
                self.overhear(from, &bytes[at..]);
                return;
            }
            let carried = self.link.carry(from, *byte, self.relay.board(), &mut self.judge);
            if let Some(other) = &mut self.boards[from.other().index()] {
                other.send(Line::CrossLink, &carried.bytes);
            }
            if let Some(what) = carried.strike {
                self.plant.injected(self.link.cycle(), None, what);
            }
            if let Some(byte) = carried.kills_with {
                self.kill(from, byte);
            }
        }
    }

    fn overhear(&mut self, from: ChannelId, bytes: &[u8]) {
        for byte in bytes {
            self.link.overhear(from, *byte, &mut self.judge);
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
        let memory = self.boards[board.index()].as_mut().and_then(|board| board.memory.as_mut());
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
                let wrong = self.judge.wrong();
                let is_new = self.judge.drives(board, epoch.counter(), outcome, cycle, &output);
                if let Some(upsets) = self.upsets.as_mut().filter(|_| self.judge.wrong() > wrong) {
                    upsets.seu.wrong(Some(board), format!("{board} drove {output:?} in cycle {cycle}, {outcome:?}"));
                }
                self.plant.drive(board, cycle, &output, is_new);
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
                    upsets.heard(board);
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
                let is_hit = self.upsets.is_some() || self.rot.is_some();
                if is_hit && matches!(entry.event, Event::Diagnosed(_) | Event::Barred(_)) {
                    self.readmit();
                }
            }
            ToPlant::Upgrade { .. } | ToPlant::Answered { .. } | ToPlant::Duty(_) | ToPlant::Differed { .. } => {
                self.answer_upgrade(board, message);
            }
            ToPlant::Failed { .. } if self.upsets.is_some() => self.boards[board.index()] = None,
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
        if let Some(board) = &mut self.boards[board.index()] {
            board.send(Line::FieldBus, &framed(&buffer[..length]));
        }
    }
}
