//! A run on the two cores of one emulated chip. Their link and their arbiter are in memory that both share; the rig is
//! the plant on the field bus of each, stops and restarts cores, flips bits, and listens to the mailbox.
//!
//! First come the rounds of death and return, then a core that hangs and goes on. Then, with both cores in duplex for good, bits of their mirrored memory
//! are flipped, as a stray write of the other core would: at most one at a time on each.

mod chip;
mod core;
mod hang;
mod overheard;
mod owners;
mod stops;

use self::core::{Core, shared_at};
use crate::board::prefer;
use crate::journal::Logged;
use crate::judge::Judge;
use crate::plant_side::PlantSide;
use crate::rot::Rot;
use crate::rounds::Rounds;
use crate::run::{Outcome, Progress};
use crate::scenario::{CORE_ROUNDS, Ending, Plan};
use anyhow::{Context, Result, bail};
use chip::Chip;
use hang::Hang;
pub(crate) use hang::Hung;
use overheard::Overheard;
use owners::Owners;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use stops::Stop;
use tank::field_bus::{ModeCode, OutcomeCode, ToBoard, ToPlant};
use twinstep::journal::Event;
use twinstep::{ChannelId, Config};

/// A run in which nothing is driven for so long is over.
const SILENCE_AT_MOST: Duration = Duration::from_secs(20);
/// How long the rig rests where nothing was said.
const A_REST: Duration = Duration::from_millis(1);
/// Cycles of flips at least, whatever the length of the run: memory is checked in 17.
const FLIP_CYCLES_AT_LEAST: u32 = 80;
/// What the firmware sends of its state in a cycle at most.
const COPY_BLOCKS: u32 = 8;

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// One run.
struct Run<'p> {
    plan: Plan,
    rng: fastrand::Rng,
    chip: Chip,
    cores: [Core; 2],
    overheard: Overheard,
    /// How often both field buses were read.
    round: u64,
    owners: Owners,
    judge: Judge,
    plant: PlantSide,
    rounds: Rounds,
    stop: Stop,
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
    prefer(std::process::id());
    let folder = tempfile::tempdir().context("no temporary folder for the chip's ports")?;
    let elf = |image: &PathBuf| std::fs::read(image).with_context(|| format!("no firmware at {}", image.display()));
    let [elf_a, elf_b] = [elf(&images[0])?, elf(&images[1])?];
    let shared_at = shared_at(&elf_a)?;
    let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0xD0A1);
    let run = Run {
        plan,
        chip: Chip::power_up(qemu, images, folder.path())?,
        cores: [Core::new(ChannelId::A, elf_a)?, Core::new(ChannelId::B, elf_b)?],
        overheard: Overheard::new(shared_at),
        round: 0,
        owners: Owners::default(),
        judge: Judge::new(),
        plant: PlantSide::new(plan.seed)?,
        rounds: Rounds::new(CORE_ROUNDS, plan.seed, Config::DEFAULT.probation_cycles),
        stop: Stop::None,
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
    run.until_done()
}

impl Run<'_> {
    fn until_done(mut self) -> Result<Outcome> {
        let (mut latest, mut since) = (0, Instant::now());
        while !self.is_done() {
            let was_silent = !self.listen()?;
            self.go_on_with_rounds()?;
            self.go_on_with_hang()?;
            self.begin_to_flip();
            if self.judge.cycles() > latest {
                (latest, since) = (self.judge.cycles(), Instant::now());
                self.progress.at(latest);
            } else if since.elapsed() > SILENCE_AT_MOST {
                let [a, b] = self.modes.map(|mode| mode.map_or("stopped".into(), |mode| format!("{mode:?}")));
                bail!("no output reached the plant after cycle {latest}; A is {a}, B is {b}");
            }
            if was_silent {
                thread::sleep(A_REST);
            }
        }
        let mut figures = self.judge.into_figures();
        figures.rounds = self.rounds.into_rounds();
        figures.hung = self.hang.outcome();
        figures.rot = self.rot.map(Rot::into_figures);
        figures.copy_budget_blocks = COPY_BLOCKS;
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
        self.rot = Some(Rot::new(self.plan.seed, until, Config::DEFAULT.scrub_blocks));
        self.until = Some(until);
    }

    /// Takes what both cores have said; returns whether there was anything.
    fn listen(&mut self) -> Result<bool> {
        self.round += 1;
        let mut anything = self.stop.awaits_sample();
        if anything {
            self.overhear()?;
        }
        for core in CHANNELS {
            let messages = self.chip.hear(core)?;
            if messages.is_empty() {
                continue;
            }
            anything = true;
            // What a core says rests on frames that are in the mailbox by now.
            self.overhear()?;
            for message in messages {
                self.answer(core, message)?;
            }
        }
        Ok(anything)
    }

    fn overhear(&mut self) -> Result<()> {
        for (sender, frame) in self.overheard.frames(&mut self.chip.memory)? {
            self.judge.sees_frame(sender, &frame, frame.len());
        }
        Ok(())
    }

    fn answer(&mut self, core: ChannelId, message: ToPlant) -> Result<()> {
        self.first_word(core, &message);
        match message {
            ToPlant::Ready => {
                let nonce = self.nonces[core.index()];
                self.chip.tell(core, &ToBoard::Boot { side: core.into(), nonce, pair: self.pair, patience: 0 });
                self.give_reading(core);
            }
            ToPlant::Sampled { cycle, reading } => self.judge.says_sampled(core, cycle, reading),
            ToPlant::Drive { cycle, epoch, outcome, output } => {
                if !self.owners.drives(core, epoch, self.round) {
                    self.judge.drove_unowned();
                }
                let is_new = self.judge.drives(core, epoch.counter(), outcome, cycle, &output);
                self.plant.drive(core, cycle, &output, is_new);
                if is_new {
                    self.driver = core;
                    for core in CHANNELS {
                        self.give_reading(core);
                    }
                }
            }
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
                self.chip.tell(core, &ToBoard::Readmit { side: side.into() });
            }
        }
    }

    /// A core that stands still is told nothing: it would take it for news when it boots.
    fn give_reading(&mut self, core: ChannelId) {
        if self.stands_still(core) {
            return;
        }
        let reading = self.plant.reading(core);
        self.judge.gave(core, reading);
        self.chip.tell(core, &ToBoard::Reading(reading));
    }

    fn stands_still(&self, core: ChannelId) -> bool {
        !matches!(self.hang, Hang::Overtaken(..)) && self.modes[core.index()].is_none()
    }
}
