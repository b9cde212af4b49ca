//! A run on two emulated boards: the rig carries their link, and is their plant and relay.

use crate::board::{Board, Heard, Line, prefer};
use crate::cross_link::CrossLink;
use crate::frames::{Deframer, framed};
use crate::judge::Judge;
use crate::log::LogDecoder;
use crate::plant_side::PlantSide;
use crate::relay::Relay;
use crate::run::{Outcome, Progress};
use crate::scenario::{Ending, Kind, Plan};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tank::field_bus::{MAX_MESSAGE_BYTES, ModeCode, ToBoard, ToPlant};
use twinstep::ChannelId;

/// A run in which nothing is heard of any board, or nothing driven, for so long is over.
const SILENCE_AT_MOST: Duration = Duration::from_secs(20);

/// Less than a cycle.
const A_MOMENT: Duration = Duration::from_millis(20);

/// One run.
struct Run<'p> {
    plan: Plan,
    boards: [Option<Board>; 2],
    nonces: [u32; 2],
    pair: u32,
    link: CrossLink,
    from_board: [Deframer; 2],
    relay: Relay,
    judge: Judge,
    plant: PlantSide,
    modes: [Option<ModeCode>; 2],
    logs: [LogDecoder; 2],
    failed: Option<String>,
    progress: &'p Progress,
}

/// Runs `plan` on two boards that boot `image`.
pub(crate) fn run(plan: Plan, qemu: &Path, image: &Path, progress: &Progress) -> Result<Outcome> {
    prefer(std::process::id()); // the link is no faster than the rig that carries it
    let folder = tempfile::tempdir().context("no temporary folder for the boards' ports")?;
    let (sender, heard) = channel();
    let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0xB0A2D5);
    let elf = std::fs::read(image).with_context(|| format!("no firmware at {}", image.display()))?;
    let boot = |board| Board::boot(qemu, image, folder.path(), board, &sender).map(Some);
    let run = Run {
        plan,
        boards: [boot(0)?, boot(1)?],
        nonces: [rng.u32(1..), rng.u32(1..)],
        pair: rng.u32(..),
        link: CrossLink::new(&plan),
        from_board: Default::default(),
        relay: Relay::new(plan.broken_relay),
        judge: Judge::new(),
        plant: PlantSide::new(plan.seed)?,
        modes: [Some(ModeCode::Starting); 2],
        logs: [LogDecoder::new(&elf)?, LogDecoder::new(&elf)?],
        failed: None,
        progress,
    };
    run.until_done(&heard)
}

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

impl Run<'_> {
    fn until_done(mut self, heard: &Receiver<Heard>) -> Result<Outcome> {
        let (mut latest, mut since) = (0, Instant::now());
        while self.judge.latest() < self.plan.cycles {
            match heard.recv_timeout(SILENCE_AT_MOST) {
                Ok(heard) => self.hear(&heard),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    bail!("the boards stopped talking after cycle {latest}");
                }
            }
            if self.judge.latest() > latest {
                (latest, since) = (self.judge.latest(), Instant::now());
            } else if since.elapsed() > SILENCE_AT_MOST {
                let [a, b] = self.modes.map(|mode| mode.map_or("dead".into(), |mode| format!("{mode:?}")));
                bail!("no output reached the plant after cycle {latest}; A is {a}, B is {b}");
            }
            if let Some(failed) = self.failed.take() {
                bail!(failed);
            }
            self.progress.at(self.judge.latest());
        }
        self.read_what_is_left(heard);
        let mut figures = self.judge.into_figures();
        if self.plan.kind == Kind::Noise {
            figures.damaged_bytes = Some(self.link.damaged_bytes());
            figures.carried_bytes = Some(self.link.carried_bytes());
        }
        figures.kill_cycle = self.link.kill_cycle();
        let link_changes = self.plant.link_changes();
        let ending = Ending { modes: self.modes, link_changes, checks_link_overhead: true };
        let claims = self.plan.claims(&figures, &ending);
        let logs = self.logs.map(LogDecoder::into_lines);
        Ok(Outcome { record: self.plant.record(&self.plan), figures, claims, logs })
    }

    /// Reads on for a moment: the votes of the last drive may still be on their way.
    fn read_what_is_left(&mut self, heard: &Receiver<Heard>) {
        while let Ok(heard) = heard.recv_timeout(A_MOMENT) {
            if self.judge.latest() > self.plan.cycles {
                return;
            }
            self.hear(&heard);
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let from = CHANNELS[heard.board];
        let Some(board) = &mut self.boards[heard.board] else { return }; // its last words, after the kill
        if heard.bytes.is_empty() {
            if heard.line != Line::Log && !board.is_running() {
                self.failed = Some(format!("board {from} stopped by itself"));
            }
            return;
        }
        match heard.line {
            Line::Log => self.logs[heard.board].push(&heard.bytes),
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
        for byte in bytes {
            if self.boards[from.index()].is_none() {
                return;
            }
            let carried = self.link.carry(from, *byte, self.relay.board(), &mut self.judge);
            if let Some(other) = &mut self.boards[from.other().index()] {
                other.send(Line::CrossLink, &carried.bytes);
            }
            if let Some(what) = carried.strike {
                self.plant.injected(self.link.cycle(), None, what);
            }
            if carried.kills {
                self.kill(from);
            }
        }
    }

    fn kill(&mut self, board: ChannelId) {
        self.boards[board.index()] = None;
        self.modes[board.index()] = None;
        self.judge.died(board);
        let cycle = self.link.kill_cycle().unwrap_or_default();
        let what = format!("killed at byte {}", self.plan.strike_byte);
        self.plant.injected(cycle, Some(board), what);
        self.plant.mode(board, cycle, None);
    }

    fn answer(&mut self, board: ChannelId, message: ToPlant) {
        match message {
            ToPlant::Ready => {
                let (nonce, pair) = (self.nonces[board.index()], self.pair);
                self.tell(board, &ToBoard::Boot { side: board.into(), nonce, pair, patience: 0 });
                self.give_reading(board);
            }
            ToPlant::Claim { to } => {
                let through = self.relay.claim(board, to);
                self.tell(board, &ToBoard::Lease { through, answers: Some(to) });
                if !self.plan.broken_relay {
                    self.tell(board.other(), &ToBoard::Lease { through, answers: None });
                }
            }
            ToPlant::Sampled { cycle, reading } if self.serves(board) => self.judge.sampled(board, cycle, reading),
            ToPlant::Sampled { .. } => {}
            ToPlant::Drive { cycle, epoch, outcome, output } => {
                if !self.relay.passes(board, epoch) {
                    self.judge.cut_off();
                    return;
                }
                let is_new = self.judge.drives(board, epoch.counter(), outcome, cycle, &output);
                self.plant.drive(board, cycle, &output, is_new);
                if is_new {
                    for board in CHANNELS {
                        self.give_reading(board);
                    }
                }
            }
            ToPlant::Settled { cycle, outcome, mode, .. } => {
                self.modes[board.index()] = Some(mode);
                self.judge.settled(board, cycle, outcome, mode);
                // A board that is out of the cycle stands at an old number.
                let shown = cycle.max(self.judge.latest());
                self.plant.mode(board, shown, Some(mode));
            }
            ToPlant::Failed { code } => self.failed = Some(format!("board {board} gave up with code {code}")),
        }
    }

    /// Whether a board's samples may be used: not those of one that stands by.
    fn serves(&self, board: ChannelId) -> bool {
        matches!(self.modes[board.index()], Some(ModeCode::Duplex | ModeCode::Simplex | ModeCode::Starting))
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
