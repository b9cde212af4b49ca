//! The same scenarios without boards: the library's simulated pair in virtual time.

mod upgrade;
mod upsets;

use crate::journal::{Logged, in_words};
use crate::judge::Figures;
use crate::plant_side::PlantSide;
use crate::rot::{Part, Rot};
use crate::rounds::{Act, Rounds};
use crate::run::{Outcome, Progress};
use crate::scenario::{Ending, Kind, Plan, ROUNDS, one_stands_by};
use anyhow::{Result, anyhow};
use std::cell::RefCell;
use std::rc::Rc;
use tank::field_bus::ModeCode;
use tank::{Drive, Reading, Tank};
use twinstep::journal::Event;
use twinstep::sim::{LinkFaults, Pair, Setup, Storage, World};
use twinstep::{ChannelId, Config, Cycle, Mode};
use upsets::Upsets;

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// The pair is looked at so often that no cycle begins between a takeover and the look.
const STEPS_IN_A_CYCLE: u32 = 10;

/// More than a flip takes with what it leads to.
const CYCLES_FOR_A_FLIP: u32 = 50;

/// As the firmware has it.
const COPY_BLOCKS: u16 = 8;

/// The plant as the simulated pair's world.
#[derive(Clone)]
struct SharedPlant(Rc<RefCell<Inner>>);

struct Inner {
    plant: PlantSide,
    latest: u32,
    /// Cycles whose output reached the plant.
    cycles: u32,
}

impl SharedPlant {
    fn new(seed: u64) -> Result<Self> {
        Ok(Self(Rc::new(RefCell::new(Inner { plant: PlantSide::new(seed)?, latest: 0, cycles: 0 }))))
    }
}

impl Inner {
    /// The pair begins with its first cycle again.
    fn begin_anew(&mut self) {
        self.latest = 0;
        self.plant.begin_anew();
    }
}

impl World<Tank> for SharedPlant {
    fn sample(&mut self, channel: ChannelId, _: Cycle) -> Reading {
        self.0.borrow_mut().plant.reading(channel)
    }

    fn drive(&mut self, channel: ChannelId, cycle: Cycle, output: &Drive) {
        let mut inner = self.0.borrow_mut();
        let is_new = cycle.0 > inner.latest;
        inner.latest = inner.latest.max(cycle.0);
        inner.cycles += u32::from(is_new);
        inner.plant.drive(channel, cycle.0, output, is_new);
    }
}

/// One run.
struct Run<'m> {
    plan: Plan,
    rng: fastrand::Rng,
    pair: Pair<'m, Tank>,
    world: SharedPlant,
    figures: Figures,
    is_cut: bool,
    one_stood_by: bool,
    /// The cycle in which the owner is to die, and in which share of it.
    strike: Option<(u32, u32)>,
    rounds: Option<Rounds>,
    rot: Option<Rot>,
    upsets: Option<Upsets>,
    journal: Vec<Logged>,
    /// The last cycle that each channel was looked at in, for its memory.
    looked_at: [u32; 2],
}

/// A cycle is struck in one of so many shares.
const SHARES: u32 = 64;

/// Runs `plan` on a simulated pair.
pub(crate) fn run(plan: Plan, progress: &Progress) -> Result<Outcome> {
    if plan.kind.upgrades() {
        return upgrade::run(plan, progress);
    }
    let world = SharedPlant::new(plan.seed)?;
    // Frames are the simulated link's unit: bytes are flipped, and no byte is lost or repeated.
    let link = LinkFaults { flip: plan.byte_errors, ..LinkFaults::NONE };
    let config = Config { copy_blocks: COPY_BLOCKS, ..Config::DEFAULT };
    let setup = Setup { seed: plan.seed, config, link, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let pair = Pair::<Tank>::new(&setup, &mut memory, world.clone()).map_err(|error| anyhow!("{error}"))?;
    let mut run = Run {
        plan,
        rng: fastrand::Rng::with_seed(plan.seed ^ 0x51),
        pair,
        world,
        figures: Figures::default(),
        is_cut: false,
        one_stood_by: false,
        strike: (plan.kind == Kind::Failover).then_some((plan.strikes_at, plan.strike_byte)),
        rounds: (plan.kind == Kind::Rejoin).then(|| Rounds::new(ROUNDS, plan.seed, config.probation_cycles)),
        rot: (plan.kind == Kind::Rot).then(|| Rot::new(plan.seed, plan.cycles, config.scrub_blocks)),
        upsets: (plan.kind == Kind::Seu).then(|| Upsets::new(plan.seed, plan.flips)),
        journal: Vec::new(),
        looked_at: [0; 2],
    };
    // Three times the cycles is more than any run takes; a pair that stops ends here.
    for _ in 0..(3 * plan.cycles + CYCLES_FOR_A_FLIP * plan.flips) * STEPS_IN_A_CYCLE {
        if run.is_done() {
            break;
        }
        run.act(config.period_us.into());
        run.go_on_with_upsets(config.period_us.into());
        run.pair.run_us(u64::from(config.period_us / STEPS_IN_A_CYCLE));
        run.look();
        progress.at(run.world.0.borrow().cycles);
    }
    Ok(run.into_outcome())
}

impl Run<'_> {
    fn latest(&self) -> u32 {
        self.world.0.borrow().latest
    }

    fn is_done(&self) -> bool {
        let in_rounds = self.rounds.as_ref().is_some_and(|rounds| !rounds.is_done());
        let is_flipping = self.upsets.as_ref().is_some_and(|upsets| !upsets.is_done());
        self.world.0.borrow().cycles >= self.plan.cycles && !in_rounds && !is_flipping
    }

    fn modes(&self) -> [Option<ModeCode>; 2] {
        CHANNELS.map(|channel| self.pair.mode(channel).map(Into::into))
    }

    /// Does what is due to the pair.
    fn act(&mut self, period_us: u64) {
        let latest = self.latest();
        let in_duplex = self.modes() == [Some(ModeCode::Duplex); 2];
        match self.rounds.as_mut().and_then(|rounds| rounds.next(latest, in_duplex)) {
            Some(Act::Kill { in_cycle }) => self.strike = Some((in_cycle, self.rng.u32(1..SHARES))),
            Some(Act::Restart(board)) => {
                self.world.0.borrow_mut().plant.injected(latest, Some(board), "restarted");
                self.pair.restart(board);
            }
            None => {}
        }
        if let Some((_, share)) = self.strike.filter(|(in_cycle, _)| latest + 1 >= *in_cycle) {
            self.strike = None;
            self.pair.run_us(period_us * u64::from(share) / u64::from(SHARES));
            self.kill(share * 100 / SHARES);
        }
        let cut = self.plan.kind == Kind::Partition && (self.plan.strikes_at..self.plan.heals_at).contains(&latest);
        if cut != self.is_cut {
            self.is_cut = cut;
            self.pair.cut(cut);
            let what = if cut { "link cut" } else { "link healed" };
            self.world.0.borrow_mut().plant.injected(latest, None, what);
        }
        for board in CHANNELS {
            self.rot(board);
        }
    }

    /// Kills the owner, and notes the first cycle that it did not complete.
    fn kill(&mut self, percent: u32) {
        let Some(owner) = self.pair.owner() else { return };
        let cycle = self.pair.votes().latest(owner).map_or(0, |voted| voted.0 + 1);
        self.pair.kill(owner);
        self.world.0.borrow_mut().plant.injected(cycle, Some(owner), format!("killed at {percent} %"));
        match &mut self.rounds {
            Some(rounds) => rounds.killed(owner, cycle),
            None => self.figures.kill_cycle = Some(cycle),
        }
    }

    /// Flips a bit of a channel that has settled another cycle, if one is due; and looks at
    /// what it has mended.
    fn rot(&mut self, board: ChannelId) {
        let (Some(rot), Some(node)) = (&mut self.rot, self.pair.node_mut(board)) else { return };
        let Some(Cycle(cycle)) = node.settled_cycle() else { return };
        if std::mem::replace(&mut self.looked_at[board.index()], cycle) == cycle {
            return;
        }
        let counters = node.counters();
        let repairs = [counters.working_repairs, counters.checkpoint_repairs, counters.digest_repairs];
        let fresh = rot.repaired(board, cycle, repairs.map(|count| count as u16));
        let mut world = self.world.0.borrow_mut();
        if fresh > 0 {
            world.plant.repaired(cycle, fresh);
        }
        let Some(flip) = rot.next(board, cycle) else { return };
        match flip.part {
            Part::Working => node.memory().flip_working_bit(flip.bit),
            Part::Checkpoint => node.memory().flip_checkpoint_bit(flip.bit),
            Part::Digests => node.memory().flip_digest_bit(flip.bit),
        }
        rot.flipped(flip, cycle);
        world.plant.injected(cycle, Some(board), format!("{} bit", flip.part.name()));
    }

    /// Notes what became of the pair.
    fn look(&mut self) {
        let (latest, modes) = (self.latest(), self.modes());
        self.one_stood_by |= one_stands_by(modes);
        let mut found = false;
        let mut world = self.world.0.borrow_mut();
        if self.pair.report().takeovers > self.figures.takeovers {
            self.figures.takeovers = self.pair.report().takeovers;
            let survivor =
                CHANNELS.into_iter().find(|channel| self.pair.mode(*channel).is_some_and(Mode::serves_alone));
            let cycle = survivor.and_then(|channel| self.pair.node(channel).map(|node| node.cycle().0));
            self.figures.takeover_cycle = self.figures.takeover_cycle.or(cycle);
            self.figures.takeover_cycles.extend(cycle);
        }
        for (channel, mode) in CHANNELS.into_iter().zip(modes) {
            world.plant.mode(channel, latest, mode);
            let Some(node) = self.pair.node_mut(channel) else { continue };
            if let Some(copy) = node.copy_progress() {
                world.plant.copied(latest, copy.done_blocks, copy.total_blocks);
            }
            let lost = u16::try_from(node.lost_events()).unwrap_or(u16::MAX);
            while let Some(entry) = node.read_event() {
                self.journal.push(Logged { channel, lost, entry });
                if let Some(upsets) = &mut self.upsets {
                    upsets.seu.happened(channel, &entry.event, in_words(&entry.event));
                }
                if let Some(rot) = &mut self.rot {
                    rot.happened(channel, &entry.event);
                }
                found |= matches!(entry.event, Event::Diagnosed(_) | Event::Barred(_));
            }
        }
        drop(world);
        if found && (self.upsets.is_some() || self.rot.is_some()) {
            self.readmit();
        }
    }

    fn into_outcome(self) -> Outcome {
        let (modes, cycles, report) = (self.modes(), self.world.0.borrow().cycles, self.pair.report());
        let is_noise = self.plan.kind == Kind::Noise;
        let figures = Figures {
            cycles,
            missing: report.missing,
            wrong: report.wrong,
            unvoted_in_duplex: report.unvoted_in_duplex,
            safe: report.safe,
            owners_max: report.owners_max as usize,
            takeovers: report.takeovers,
            held: report.held,
            cut_off: report.cut_off,
            longest_gap_us: Some(report.longest_idle_us),
            blackout_cycles: report.missing + report.held,
            blocks_copied: report.blocks_sent,
            blocks_in_a_cycle_max: report.blocks_in_a_cycle_max,
            copy_budget_blocks: COPY_BLOCKS.into(),
            damaged_bytes: is_noise.then_some(report.damaged_bytes),
            carried_bytes: is_noise.then_some(report.carried_bytes),
            rounds: self.rounds.map(Rounds::into_rounds).unwrap_or_default(),
            rot: self.rot.map(Rot::into_figures),
            seu: self.upsets.map(|upsets| upsets.seu.into_figures()),
            ..self.figures
        };
        let link_changes = self.world.0.borrow().plant.link_changes();
        let ending = Ending { modes, link_changes, one_stood_by: self.one_stood_by, checks_link_overhead: false };
        let claims = self.plan.claims(&figures, &ending);
        let record = self.world.0.borrow().plant.record(&self.plan);
        Outcome { record, figures, claims, journal: self.journal, logs: Default::default() }
    }
}
