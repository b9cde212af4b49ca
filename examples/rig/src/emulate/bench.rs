//! Two emulated boards as the target of a fault campaign.
//!
//! What is done to them is done from outside: to their power, their link, their clocks, and to their memory through the
//! emulator. What is seen of them is what they say on their field bus, and what their memory holds at rest.

mod link;
mod seen;

use super::{CHANNELS, Run};
use crate::firmware::Images;
use crate::judge::Judge;
use crate::rot::{Flip, Part, PlantMemory};
use crate::run::Progress;
use crate::scenario::{Kind, Plan};
use crate::{engine::Happened, engine::Pace};
use anyhow::{Context, Result};
use link::Disturber;
use seen::Seen;
use std::path::PathBuf;
use tank::field_bus::ToPlant;
use tank::{Plant, TIMING};
use twinstep::digest::{BLOCK_BYTES, block_digest};
use twinstep::sim::campaign::{Act, Bench, Class, Fault, Inspection, LinkFault, Target, View};
use twinstep::sim::{Failure, Report, Setup, Traced};
use twinstep::{ChannelId, Mode, Site};
use zerocopy::FromBytes;

/// Makes pairs of emulated boards.
pub(crate) struct EmulatedBench {
    pub(crate) qemu: PathBuf,
    pub(crate) images: Images,
    pub(crate) pace: Pace,
}

impl Bench for EmulatedBench {
    fn lend(&self, setup: &Setup, borrower: &mut dyn FnMut(&mut dyn Target)) -> Result<(), String> {
        let progress = Progress::hidden();
        let mut lend = || -> Result<()> {
            let pace = Pace { drift_ppm: setup.drift_ppm, link: setup.line, ..self.pace };
            let plan = Plan { pace, ..Plan::new(Kind::Rot, setup.seed, u32::MAX) };
            let mut run = Run::new(plan, &self.qemu, &self.images, &progress)?;
            // Of the scenario nothing but the port to the memory is wanted.
            (run.rot, run.judge) = (None, Judge::of(&Plan::new(Kind::UpgradeFaults, 0, u32::MAX)));
            run.power_up()?;
            let mut boards = Boards::new(run);
            borrower(&mut boards);
            boards.broken.map_or(Ok(()), |error| Err(error.context("the emulator failed")))
        };
        lend().map_err(|error| format!("{error:#}"))
    }

    /// A value between two calls of the node has no address that is known from outside, and a field bus no misread.
    fn can(&self, class: &Class) -> bool {
        let is_there = |site: Site| matches!(site, Site::Working | Site::Checkpoint | Site::Digest);
        match class.fault {
            Fault::Flip(site) => is_there(site),
            Fault::Permanent(_) | Fault::Sealed | Fault::Misread | Fault::Unread | Fault::Mute => false,
            Fault::Upgrade(_) | Fault::OlderEpoch => false,
            // Bytes are carried as they come: what is late is lost to the UART's time.
            Fault::Link(LinkFault::Stalled | LinkFault::Slow) => false,
            Fault::Second(second) => !second.flips(),
            _ => true,
        }
    }
}

/// Looks into the memories of a pair within a period.
const LOOKS: u32 = 8;

/// No fault that is injected from outside may make the firmware give up by itself: the campaign catches this and counts a panic.
#[allow(clippy::panic)]
fn gave_up(what: &str) -> ! {
    panic!("the firmware gave up by itself: {what}")
}

/// A board that hangs.
struct Hung {
    until_ns: Option<u64>,
    hears: bool,
    /// What it had given to its lines and had not left yet.
    link: Vec<u8>,
    said: Vec<ToPlant>,
}

/// Two boards.
struct Boards<'p> {
    run: Run<'p>,
    link: Disturber,
    seen: Seen,
    hung: [Option<Hung>; 2],
    /// Bytes that a board still sends before it stops.
    failing: [Option<(u64, Failure)>; 2],
    drift_ppm: [i32; 2],
    /// The emulator failed: nothing that comes after it counts.
    broken: Option<anyhow::Error>,
}

impl<'p> Boards<'p> {
    fn new(run: Run<'p>) -> Self {
        let (seed, drift_ppm) = (run.plan.seed, run.plan.pace.drift_ppm);
        Self {
            run,
            link: Disturber::new(seed),
            seen: Seen::default(),
            hung: [None, None],
            failing: [None; 2],
            drift_ppm,
            broken: None,
        }
    }

    fn now_ns(&self) -> u64 {
        self.run.engine.now_ns()
    }

    /// Goes on until this time, or until the emulator fails.
    fn go_on(&mut self, until_ns: u64) -> Result<()> {
        self.run.engine.alarm(until_ns);
        loop {
            let happened = self.run.engine.next(&mut self.run.boards)?.context("nothing is due any more")?;
            match happened {
                Happened::Alarm if self.now_ns() >= until_ns => return Ok(()),
                Happened::Alarm => {}
                Happened::Left { from, life, byte, arrives_ns } => self.left(from, life, byte, arrives_ns),
                Happened::Said { from, bytes, .. } => self.said(from, &bytes),
                Happened::Gone(board) | Happened::Stopped { board, .. } => {
                    self.kill(board);
                    gave_up(&format!("board {board}"));
                }
                Happened::Worked => {}
            }
            self.wake_up();
            if let Some(failed) = self.run.failed.take() {
                anyhow::bail!(failed);
            }
        }
    }

    /// A byte has left a board.
    fn left(&mut self, from: ChannelId, life: u32, byte: u8, arrives_ns: u64) {
        if !self.run.engine.is_alive(from, life) {
            if self.run.lives[from.index()] == life {
                self.run.link.overhear(from, byte, &mut self.run.judge);
            }
            return;
        }
        if let Some(hung) = &mut self.hung[from.index()] {
            return hung.link.push(byte);
        }
        if let Some((left, failure)) = &mut self.failing[from.index()] {
            if *left == 0 {
                let failure = *failure;
                self.failing[from.index()] = None;
                self.stop(from, failure);
                return self.left(from, life, byte, arrives_ns);
            }
            *left -= 1;
        }
        self.carry(from, byte, arrives_ns);
    }

    fn carry(&mut self, from: ChannelId, byte: u8, arrives_ns: u64) {
        let secrets = twinstep::sim::Secrets {
            pair: twinstep::PairId(self.run.pair),
            epoch: self.run.relay.through(),
            nonces: self.run.nonces,
        };
        let _ = self.run.link.carry(from, byte, None, &mut self.run.judge);
        for (to, byte, at_ns) in self.link.carry(from, byte, arrives_ns, &secrets) {
            let is_deaf = self.hung[to.index()].as_ref().is_some_and(|hung| !hung.hears);
            if !is_deaf {
                self.run.engine.deliver(to, byte, at_ns);
            }
        }
    }

    /// A board has said something on its field bus.
    fn said(&mut self, from: ChannelId, bytes: &[u8]) {
        for byte in bytes {
            let message = self.run.from_board[from.index()].push(*byte);
            let Some(message) = message.and_then(|message| ToPlant::decode(&message.frame)) else { continue };
            match &mut self.hung[from.index()] {
                Some(hung) => hung.said.push(message),
                None => self.hear(from, message),
            }
        }
    }

    fn hear(&mut self, from: ChannelId, message: ToPlant) {
        if let ToPlant::Failed { code } = message {
            self.kill(from);
            gave_up(&format!("board {from}, code {code}"));
        }
        self.seen.said(self.run.engine.now_ns(), from, &message);
        self.run.answer(from, message);
        // Injections come far more often than faults do: each is forgotten before the next.
        if let ToPlant::Happened { entry, .. } = message
            && seen::is_held_against_one(&entry.event)
        {
            self.run.readmit();
        }
    }

    fn stop(&mut self, board: ChannelId, failure: Failure) {
        match failure {
            Failure::Dies => self.kill(board),
            Failure::Hangs { for_us, hears } => {
                self.run.engine.stop(board);
                let until_ns = for_us.map(|us| self.now_ns() + us * 1_000);
                if let Some(until_ns) = until_ns {
                    self.run.engine.alarm(until_ns);
                }
                self.hung[board.index()] = Some(Hung { until_ns, hears, link: Vec::new(), said: Vec::new() });
            }
        }
    }

    /// A board whose hang is over goes on where it was.
    fn wake_up(&mut self) {
        for board in CHANNELS {
            let now_ns = self.now_ns();
            let is_over = |hung: &mut Hung| hung.until_ns.is_some_and(|until_ns| now_ns >= until_ns);
            let Some(hung) = self.hung[board.index()].take_if(is_over) else { continue };
            for byte in hung.link {
                self.carry(board, byte, now_ns);
            }
            for message in hung.said {
                self.hear(board, message);
            }
            self.run.engine.resume(board);
        }
    }

    fn kill(&mut self, board: ChannelId) {
        self.run.unplug(board);
        self.run.modes[board.index()] = None;
        self.run.judge.died(board);
        self.seen.died(board);
        (self.hung[board.index()], self.failing[board.index()]) = (None, None);
    }

    fn boot(&mut self, board: ChannelId) -> Result<()> {
        if self.run.boards.has(board) {
            return Ok(());
        }
        self.run.boot(board)?;
        self.run.engine.set_clock(board, self.drift_ppm[board.index()], 0);
        self.link.booted(board);
        Ok(())
    }

    fn flip(&mut self, board: ChannelId, site: Site, bit: usize) -> Result<bool> {
        let (part, bytes) = match site {
            Site::Working => (Part::Working, size_of::<Plant>()),
            Site::Checkpoint => (Part::Checkpoint, size_of::<Plant>()),
            Site::Digest => (Part::Digests, PlantMemory::DIGESTS.len()),
            _ => return Ok(false),
        };
        if self.hung[board.index()].is_some() {
            return Ok(false);
        }
        let Some(memory) = self.run.boards.memory(board)? else { return Ok(false) };
        let (offset, bit) = Flip { board, part, bit: bit % (8 * bytes) }.place();
        memory.upset_bit(self.run.memory_at + offset as u32, bit)?;
        Ok(true)
    }

    fn try_act(&mut self, act: Act) -> Result<bool> {
        match act {
            Act::Flip(board, site, bit) => return self.flip(board, site, bit),
            Act::FlipWithin(..) | Act::SpoilOutput(..) => return Ok(false),
            Act::Misread(..) | Act::CannotTell(..) | Act::Silence(_) => return Ok(false),
            Act::Stop(board, failure) => self.stop(board, failure),
            Act::StopAtByte(board, byte, failure) => self.failing[board.index()] = Some((byte, failure)),
            Act::Disturb(sender, disturbance) => self.link.disturb(self.now_ns(), sender, disturbance),
            Act::Replay(sender, age) => {
                let Some(bytes) = self.link.back(sender, age) else { return Ok(false) };
                let now_ns = self.now_ns();
                bytes.into_iter().for_each(|byte| self.run.engine.deliver(sender.other(), byte, now_ns + 1_000));
            }
            Act::Cut(is_cut) => self.link.cut(is_cut),
            Act::Clock(board, drift_ppm, jump_us) => {
                self.drift_ppm[board.index()] = drift_ppm;
                self.run.engine.set_clock(board, drift_ppm, jump_us);
            }
            Act::Kill(board) => self.kill(board),
            Act::Replace(board) => {
                self.kill(board);
                self.run.readmit();
                self.boot(board)?;
            }
            Act::Restart(board) => self.boot(board)?,
            Act::Calm => {
                self.link.calm();
                self.failing = [None; 2];
            }
        }
        Ok(true)
    }

    fn try_inspect(&mut self) -> Result<Inspection> {
        let mut found = Inspection { is_right: true, is_sound: true };
        for board in CHANNELS {
            let at = self.run.memory_at;
            let Some(memory) = self.run.boards.memory(board)? else { return Ok(Inspection::default()) };
            let mut read = |part: std::ops::Range<usize>| memory.read(at + part.start as u32..at + part.end as u32);
            let [working, checkpoint] = [read(PlantMemory::WORKING)?, read(PlantMemory::CHECKPOINT)?];
            let digests = read(PlantMemory::DIGESTS)?;
            for (index, digest) in (0..).zip(digests.chunks(4)) {
                // The last block may be shorter.
                let block = index as usize * BLOCK_BYTES..((index as usize + 1) * BLOCK_BYTES).min(size_of::<Plant>());
                let is_of = |copy: &[u8]| block_digest(index, &copy[block.clone()]).to_le_bytes() == *digest;
                found.is_sound &= is_of(&working) && is_of(&checkpoint);
            }
            let (plant, _) = Plant::read_from_prefix(&working).map_err(|_| anyhow::anyhow!("no plant"))?;
            found.is_right &= self.run.judge.holds(&plant);
        }
        Ok(found)
    }
}

impl Target for Boards<'_> {
    fn run_us(&mut self, span_us: u64) {
        if self.broken.is_none() {
            self.broken = self.go_on(self.now_ns() + span_us * 1_000).err();
        }
    }

    fn act(&mut self, act: Act) -> bool {
        match self.try_act(act) {
            Ok(done) => done,
            Err(error) => {
                self.broken.get_or_insert(error);
                false
            }
        }
    }

    fn view(&self) -> View {
        let latest = self.run.judge.latest();
        let modes = CHANNELS.map(|board| self.seen.mode(board, self.run.boards.has(board)));
        let serves = |board: ChannelId| modes[board.index()].is_some_and(Mode::serves);
        View {
            elapsed_us: self.now_ns() / 1_000,
            modes,
            cycles: self.seen.settled,
            rest: CHANNELS.map(|board| self.seen.settled[board.index()] == Some(latest)),
            hang: CHANNELS.map(|board| self.hung[board.index()].is_some()),
            flip_is_due: [false; 2],
            frames_kept: CHANNELS.map(|board| self.link.kept(board)),
            until_start_us: [None; 2],
            owner: self.run.relay.board().filter(|board| serves(*board)),
            latest,
        }
    }

    fn report(&self) -> Report {
        let figures = self.run.judge.so_far();
        Report {
            wrong: figures.wrong,
            missing: figures.missing,
            unvoted_in_duplex: figures.unvoted_in_duplex,
            owners_max: figures.owners_max as u32,
            safe: figures.safe,
            cut_off: figures.cut_off,
            ..self.seen.report
        }
    }

    fn inspect(&mut self) -> Inspection {
        // A board may be in the middle of its next cycle, with a state that was stepped and is not voted on yet. What is wrong
        // stays wrong.
        let mut found = Inspection::default();
        for _ in 0..LOOKS {
            found = self.try_inspect().unwrap_or_else(|error| {
                self.broken.get_or_insert(error);
                Inspection::default()
            });
            if found == (Inspection { is_right: true, is_sound: true }) {
                break;
            }
            self.run_us(u64::from(TIMING.period_us) / u64::from(LOOKS));
        }
        found
    }

    fn take_trace(&mut self) -> Vec<Traced> {
        std::mem::take(&mut self.seen.trace)
    }
}
