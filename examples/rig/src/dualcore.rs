//! A run on the two cores of one emulated chip. Their link and their arbiter are in memory that both share; the rig is
//! the plant on the field bus of each, stops and restarts cores, flips bits, and listens to the mailbox.
//!
//! First come the rounds of death and return, then a core that hangs and goes on. Then, with both cores in duplex for
//! good, bits of their mirrored memory are flipped, as a stray write of the other core would: at most one at a time on
//! each.

mod chip;
mod core;
mod hang;
mod overheard;
mod owners;
mod stops;

use self::core::{Core, shared_at};
use crate::engine::{Engine, Happened};
use crate::frames::{Deframer, framed};
use crate::journal::Logged;
use crate::judge::Judge;
use crate::plant_side::PlantSide;
use crate::rot::Rot;
use crate::rounds::Rounds;
use crate::run::{Outcome, Progress};
use crate::scenario::{CORE_ROUNDS, Ending, Plan};
use anyhow::{Context, Result, bail};
use chip::{Chip, TICKS_IN_A_HUNDRED_INSTRUCTIONS};
use hang::Hang;
pub(crate) use hang::Hung;
use overheard::Overheard;
use owners::Owners;
use std::path::{Path, PathBuf};
use stops::Stop;
use tank::TIMING;
use tank::field_bus::{MAX_MESSAGE_BYTES, ModeCode, OutcomeCode, ToBoard, ToPlant};
use twinstep::ChannelId;
use twinstep::journal::Event;

/// A run in which nothing is driven for so many periods is over, and its claims fail.
const SILENT_PERIODS_AT_MOST: u64 = 200;
const PERIOD_NS: u64 = TIMING.period_us as u64 * 1_000;
/// How often the run is looked at where nothing happens.
const LOOK_NS: u64 = PERIOD_NS / 20;
/// Cycles of flips at least, whatever the length of the run: memory is checked in 17.
const FLIP_CYCLES_AT_LEAST: u32 = 80;
const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// One run.
struct Run<'p> {
    plan: Plan,
    rng: fastrand::Rng,
    chip: Chip,
    engine: Engine,
    cores: [Core; 2],
    from_core: [Deframer; 2],
    overheard: Overheard,
    owners: Owners,
    judge: Judge,
    plant: PlantSide,
    rounds: Rounds,
    stop: Stop,
    is_stopped: [bool; 2],
    hang: Hang,
    /// The core that hung has gone on, and said nothing yet.
    is_first_word_due: bool,
    /// The last cycle that each core has reported on.
    settled: [u32; 2],
    rot: Option<Rot>,
    /// The last cycle of the run, once the rounds are over.
    until: Option<u32>,
    /// The core that drove last.
    driver: ChannelId,
    modes: [Option<ModeCode>; 2],
    nonces: [u32; 2],
    pair: u32,
    journal: Vec<Logged>,
    progress: &'p Progress,
}

/// Runs `plan` on a chip with an image for each core.
pub(crate) fn run(plan: Plan, qemu: &Path, images: &[PathBuf; 2], progress: &Progress) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("no temporary folder for the chip's ports")?;
    let elf = |image: &PathBuf| std::fs::read(image).with_context(|| format!("no firmware at {}", image.display()));
    let [elf_a, elf_b] = [elf(&images[0])?, elf(&images[1])?];
    let shared_at = shared_at(&elf_a)?;
    let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0xD0A1);
    let mut run = Run {
        plan,
        chip: Chip::power_up(qemu, images, folder.path())?,
        engine: Engine::new(plan.pace, TICKS_IN_A_HUNDRED_INSTRUCTIONS).with_doorbells(),
        cores: [Core::new(elf_a)?, Core::new(elf_b)?],
        from_core: Default::default(),
        overheard: Overheard::new(shared_at),
        owners: Owners::default(),
        judge: Judge::new(),
        plant: PlantSide::new(plan.seed)?,
        rounds: Rounds::new(CORE_ROUNDS, plan.seed, TIMING.probation_cycles),
        stop: Stop::None,
        is_stopped: [false; 2],
        hang: Hang::NotYet,
        is_first_word_due: false,
        settled: [0; 2],
        rot: None,
        until: None,
        driver: ChannelId::A,
        modes: [Some(ModeCode::Starting); 2],
        nonces: [rng.u32(1..), rng.u32(1..)],
        pair: rng.u32(..),
        rng,
        journal: Vec::new(),
        progress,
    };
    for core in CHANNELS {
        run.engine.boot(core);
    }
    run.until_done()
}

impl Run<'_> {
    fn until_done(mut self) -> Result<Outcome> {
        let (mut latest, mut since_ns) = (0, 0);
        self.engine.alarm_every(LOOK_NS);
        while !self.is_done() {
            let Some(happened) = self.engine.next(&mut self.chip)? else { break };
            self.hear(happened)?;
            self.go_on_with_rounds()?;
            self.go_on_with_hang()?;
            self.begin_to_flip();
            if self.judge.cycles() > latest {
                (latest, since_ns) = (self.judge.cycles(), self.engine.now_ns());
                self.progress.at(latest);
            } else if self.engine.now_ns() - since_ns > SILENT_PERIODS_AT_MOST * PERIOD_NS {
                break;
            }
        }
        let mut figures = self.judge.into_figures();
        figures.rounds = self.rounds.into_rounds();
        figures.hung = self.hang.outcome();
        figures.rot = self.rot.map(Rot::into_figures);
        figures.copy_budget_blocks = TIMING.copy_blocks.into();
        figures.unheard_frames = Some(self.overheard.missed());
        let ending = Ending { modes: self.modes, link_changes: 0, one_stood_by: false, checks_link_overhead: false };
        let claims = self.plan.claims(&figures, &ending);
        let (record, logs) = (self.plant.record(&self.plan), [Vec::new(), Vec::new()]);
        Ok(Outcome { record, figures, claims, journal: self.journal, logs })
    }

    fn is_done(&self) -> bool {
        let latest = self.judge.cycles();
        match self.until {
            Some(until) => latest >= until,
            // Rounds that do not come to an end are one of the claims.
            None => latest >= 3 * self.plan.cycles.max(FLIP_CYCLES_AT_LEAST),
        }
    }

    /// From now on both cores stay in duplex.
    fn begin_to_flip(&mut self) {
        if self.rot.is_some() || self.hang.outcome().is_none() {
            return;
        }
        let until = self.plan.cycles.max(self.judge.latest() + FLIP_CYCLES_AT_LEAST);
        self.rot = Some(Rot::new(self.plan.seed, until, TIMING.scrub_blocks));
        self.until = Some(until);
    }

    fn hear(&mut self, happened: Happened) -> Result<()> {
        match happened {
            // What a core says rests on frames that are in the mailbox by now.
            Happened::Worked => self.overhear(),
            Happened::Said { from, turn, bytes } => {
                for byte in bytes {
                    let message = self.from_core[from.index()].push(byte);
                    if let Some(message) = message.and_then(|message| ToPlant::decode(&message.frame)) {
                        self.answer(from, message, turn)?;
                    }
                }
                Ok(())
            }
            Happened::Stopped { board, at } => {
                self.overhear()?; // its last words
                if !self.stops_as_due(board, at) && !matches!(self.hang, Hang::Hanging(core) if core == board) {
                    bail!("core {board} stopped by itself, in {}", self.cores[board.index()].function_at(at));
                }
                Ok(())
            }
            Happened::Gone(_) => bail!("the emulated chip stopped by itself"),
            Happened::Left { .. } => bail!("a core has no line to the other one"),
            Happened::Alarm => Ok(()),
        }
    }

    fn overhear(&mut self) -> Result<()> {
        for (sender, frame) in self.overheard.frames(&mut self.chip.memory)? {
            self.judge.sees_frame(sender, &frame, frame.len());
        }
        Ok(())
    }

    fn answer(&mut self, core: ChannelId, message: ToPlant, turn: u64) -> Result<()> {
        self.first_word(core, &message);
        match message {
            ToPlant::Ready => {
                let nonce = self.nonces[core.index()];
                self.tell(core, &ToBoard::Boot { side: core.into(), nonce, pair: self.pair, patience: 0 });
                self.give_reading(core);
            }
            ToPlant::Sampled { cycle, reading } => self.judge.says_sampled(core, cycle, reading),
            ToPlant::Drive { cycle, epoch, outcome, output } => {
                if !self.owners.drives(core, epoch, turn) {
                    self.judge.drove_unowned();
                }
                let is_new = self.judge.drives(core, epoch.counter(), outcome, cycle, &output);
                self.plant.drive(core, cycle, &output, is_new);
                if is_new {
                    self.judge.drove_at(self.engine.now_ns() / 1_000);
                    self.driver = core;
                    for core in CHANNELS {
                        self.give_reading(core);
                    }
                }
            }
            // One that has stopped since is in no mode.
            ToPlant::Settled { .. } if self.is_stopped[core.index()] => {}
            ToPlant::Settled { cycle, outcome, mode, .. } => self.settled(core, cycle, outcome, mode)?,
            ToPlant::Copying { cycle, done_blocks, total_blocks, .. } => {
                self.plant.copied(cycle, done_blocks.into(), total_blocks.into());
            }
            ToPlant::Repaired { cycle, working, checkpoint, digests, .. } => {
                let rot = self.rot.as_mut();
                let fresh = rot.map_or(0, |rot| rot.repaired(core, cycle, [working, checkpoint, digests]));
                self.plant.repaired(cycle, fresh);
            }
            ToPlant::Happened { lost, entry } => {
                self.journal.push(Logged { channel: core, lost, entry });
                if let Some(rot) = &mut self.rot {
                    rot.happened(core, &entry.event);
                    if matches!(entry.event, Event::Diagnosed(_) | Event::Barred(_)) {
                        self.readmit();
                    }
                }
            }
            // Nothing is upgraded here.
            ToPlant::Upgrade { .. } | ToPlant::Answered { .. } | ToPlant::Duty(_) | ToPlant::Differed { .. } => {}
            ToPlant::Claim { .. } => bail!("core {core} asks for a relay"),
            ToPlant::Failed { code } => bail!("core {core} gave up with code {code}"),
        }
        Ok(())
    }

    fn settled(&mut self, core: ChannelId, cycle: u32, outcome: OutcomeCode, mode: ModeCode) -> Result<()> {
        self.modes[core.index()] = Some(mode);
        self.settled[core.index()] = cycle;
        self.judge.settled(core, cycle, outcome, mode);
        // A core that is out of the cycle stands at an old number.
        self.plant.mode(core, cycle.max(self.judge.latest()), Some(mode));
        let Some(rot) = &mut self.rot else { return Ok(()) };
        let Some(flip) = rot.next(core, cycle) else { return Ok(()) };
        let (offset, bit) = flip.place();
        self.chip.memory.flip_bit(self.cores[core.index()].memory_at + offset as u32, bit)?;
        rot.flipped(flip, cycle);
        self.plant.injected(cycle, Some(core), format!("{} bit", flip.part.name()));
        Ok(())
    }

    /// Flips come far more often here than by themselves, and each is to be met as the first one.
    fn readmit(&mut self) {
        for core in CHANNELS {
            for side in CHANNELS {
                self.tell(core, &ToBoard::Readmit { side: side.into() });
            }
        }
    }

    fn give_reading(&mut self, core: ChannelId) {
        let reading = self.plant.reading(core);
        self.judge.gave(core, reading);
        self.tell(core, &ToBoard::Reading(reading));
    }

    fn tell(&mut self, core: ChannelId, message: &ToBoard) {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let Some(length) = message.encode(&mut buffer) else { return };
        self.engine.tell(core, framed(&buffer[..length]));
    }
}
