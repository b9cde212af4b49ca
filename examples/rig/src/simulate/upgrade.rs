//! Upgrades on a simulated pair. Each upgrade of a run has a pair of its own, since the version 2 is another one; the
//! plant stays.

use super::{CHANNELS, COPY_BLOCKS, STEPS_IN_A_CYCLE, SharedPlant};
use crate::journal::Logged;
use crate::judge::Figures;
use crate::run::{Outcome, Progress};
use crate::scenario::{Ending, Kind, Plan};
use crate::upgrade::{
    Act, BACK_AFTER_PERIODS, Flavour, Operator, Round, Seen, TRIAL_CYCLES, UpgradeFigures, View, add, order_name,
    rounds, run_cells,
};
use anyhow::{Result, anyhow};
use tank::field_bus::ModeCode;
use tank::{Overflowing, Refusing, Reversed, Sound, Tank, TankV2, Version2};
use twinstep::journal::Event;
use twinstep::sim::{Failure, Half, Memories, Setup, UpgradePair, Version};
use twinstep::upgrade::{Candidate, Order, Step};
use twinstep::{ChannelId, Config, Mechanism, Program};

/// More than any upgrade takes: an operator who is stuck ends it before.
const PERIODS_AT_MOST: u32 = 20_000;

/// Periods that it takes to mark an image.
const MARKING_PERIODS: u64 = 2;

/// More than are ever due.
const ACTS_AT_ONCE: u32 = 8;

/// One upgrade. What is wrong is what a sound version 2 would not do.
struct Run<'m, F: tank::Flaw> {
    plan: Plan,
    flavour: Flavour,
    pair: UpgradePair<'m, Tank, Version2<F>, TankV2>,
    world: SharedPlant,
    operator: Operator,
    /// An order that was passed on to the other half.
    passed_on: Option<(ChannelId, Order)>,
    /// How many of the driven outputs the operator has heard of.
    heard: usize,
    /// The steps of the halves when they were looked at last.
    steps: [Step; 2],
    striking: Option<ChannelId>,
    is_off: [bool; 2],
    /// Who owned last: for a moment of a switchover nobody does.
    owner: ChannelId,
    states_lost: u32,
    journal: Vec<Logged>,
}

/// Runs `plan`.
pub(super) fn run(plan: Plan, progress: &Progress) -> Result<Outcome> {
    if plan.kind == Kind::UpgradeFaults && plan.cell.is_none() {
        return run_cells(plan, progress, |plan| run(plan, progress));
    }
    let world = SharedPlant::new(plan.seed)?;
    let (mut figures, mut upgrade, mut journal) = (Figures::default(), UpgradeFigures::default(), Vec::new());
    let mut modes = [None; 2];
    let rounds = rounds(&plan);
    let count = rounds.len();
    for (number, round) in rounds.into_iter().enumerate() {
        let is_last = number + 1 == count;
        world.0.borrow_mut().begin_anew();
        let one = match round.flavour {
            Flavour::Sound => run_round::<Sound>(plan, number, round, &world, is_last, progress)?,
            Flavour::Reversed => run_round::<Reversed>(plan, number, round, &world, is_last, progress)?,
            Flavour::Overflowing => run_round::<Overflowing>(plan, number, round, &world, is_last, progress)?,
            Flavour::Refusing => run_round::<Refusing>(plan, number, round, &world, is_last, progress)?,
        };
        let (of_round, of_upgrade, of_journal, ended_in) = one;
        add(&mut figures, &of_round);
        upgrade.append(of_upgrade);
        journal.extend(of_journal);
        modes = ended_in;
        if upgrade.stuck.is_some() {
            break;
        }
    }
    let cycles = world.0.borrow().cycles;
    let figures = Figures { cycles, copy_budget_blocks: COPY_BLOCKS.into(), upgrade: Some(upgrade), ..figures };
    let ending = Ending { modes, link_changes: 0, one_stood_by: false, checks_link_overhead: false };
    let claims = plan.claims(&figures, &ending);
    let record = world.0.borrow().plant.record(&plan);
    Ok(Outcome { record, figures, claims, journal, logs: Default::default() })
}

type Ended = (Figures, UpgradeFigures, Vec<Logged>, [Option<ModeCode>; 2]);

fn run_round<F: tank::Flaw>(
    plan: Plan,
    number: usize,
    round: Round,
    world: &SharedPlant,
    is_last: bool,
    progress: &Progress,
) -> Result<Ended> {
    let config = Config { copy_blocks: COPY_BLOCKS, trial_cycles: TRIAL_CYCLES, ..Config::DEFAULT };
    let off = plan.broken_trial.then_some(Mechanism::Trial);
    let seed = plan.seed.wrapping_add(number as u64 * 7_919);
    let setup = Setup { seed, config, off, ..Setup::default() };
    let mut memory = Memories::new();
    let pair = UpgradePair::new(&setup, &mut memory, world.clone()).map_err(|error| anyhow!("{error}"))?;
    let mut run = Run::<F> {
        plan,
        flavour: round.flavour,
        pair,
        world: world.clone(),
        operator: Operator::new(vec![round], plan.cell.is_some()),
        passed_on: None,
        heard: 0,
        steps: [Step::Idle; 2],
        striking: None,
        is_off: [false; 2],
        owner: ChannelId::A,
        states_lost: 0,
        journal: Vec::new(),
    };
    // As on the boards, where the plant side is asked to.
    run.pair.let_marking_take(MARKING_PERIODS * u64::from(config.period_us));
    for board in CHANNELS {
        if plan.broken_bootloader {
            run.pair.spoil_candidate(board);
        }
        if let Some(half) = run.pair.half_mut(board) {
            half.offer_candidate(None);
        }
    }
    for _ in 0..PERIODS_AT_MOST * STEPS_IN_A_CYCLE {
        let is_long_enough = !is_last || plan.cell.is_some() || run.world.0.borrow().cycles >= plan.cycles;
        if run.operator.is_done() && (is_long_enough || run.operator.is_stuck()) {
            break;
        }
        run.pair.run_us(u64::from(config.period_us / STEPS_IN_A_CYCLE));
        run.look();
        // An order may be answered at once, and the next thing be due.
        for _ in 0..ACTS_AT_ONCE {
            let view = run.view(config.period_us);
            let Some(act) = run.operator.look(&view) else { break };
            run.act(act);
        }
        progress.at(run.world.0.borrow().cycles);
    }
    Ok(run.ended())
}

impl<F: tank::Flaw> Run<'_, F> {
    fn latest(&self) -> u32 {
        self.world.0.borrow().latest
    }

    fn number_of(&self, version: Version) -> u32 {
        if version == Version::Old { Tank::VERSION } else { self.flavour.version() }
    }

    fn seen(&self, board: ChannelId) -> Option<Seen> {
        let (mode, version) = (self.pair.mode(board)?, self.pair.version(board)?);
        let (status, loader) = (self.pair.status(board)?, self.pair.loader(board));
        Some(Seen {
            mode: mode.into(),
            version: self.number_of(version),
            step: status.step,
            counts: status.counts,
            is_ready: status.is_ready,
            has_failed: status.has_failed,
            cannot_migrate: status.cannot_migrate,
            is_confirmed: loader.is_confirmed(),
            floor: loader.floor(),
        })
    }

    fn view(&self, period_us: u32) -> View {
        View {
            now: self.pair.elapsed_us() as f64 / f64::from(period_us),
            latest: self.latest(),
            owner: self.pair.owner(),
            boards: CHANNELS.map(|board| self.seen(board)),
        }
    }

    fn act(&mut self, act: Act) {
        let latest = self.latest();
        match act {
            Act::Order(board, order) => {
                let refusal = self.pair.order(board, order).err();
                let waits = self.pair.status(board).is_some_and(|status| status.ordered == Some(order));
                if refusal.is_none() && waits {
                    self.passed_on = Some((board, order));
                } else {
                    self.operator.answered(order, refusal);
                }
                self.world.0.borrow_mut().plant.injected(latest, Some(board), order_name(order));
            }
            Act::Offer(flavour) => {
                for board in CHANNELS {
                    let floor = self.pair.loader(board).floor();
                    let tank::field_bus::Candidate { version, takes_version, takes_layout } = flavour.candidate();
                    if let Some(half) = self.pair.half_mut(board) {
                        half.offer_candidate(Some(Candidate { version, takes_version, takes_layout, floor }));
                    }
                }
            }
            Act::Forgive => {
                for board in CHANNELS {
                    if let Some(half) = self.pair.half_mut(board) {
                        half.clear_first_fault();
                    }
                }
            }
            Act::Kill(board) => {
                self.owner = self.pair.owner().unwrap_or(self.owner);
                let byte = self.plan.cell.map_or(1, |cell| cell.byte);
                self.pair.fail_at_byte(board, byte.into(), Failure::Dies);
                self.striking = Some(board);
            }
        }
        for board in CHANNELS {
            let status = self.pair.status(board);
            self.steps[board.index()] = status.map_or(self.steps[board.index()], |status| status.step);
        }
    }

    /// Hears what the halves did since the last look.
    fn look(&mut self) {
        if self.pair.report().states_lost > self.states_lost {
            self.states_lost = self.pair.report().states_lost;
            self.world.0.borrow_mut().begin_anew();
        }
        if let Some(board) = self.striking.take_if(|board| self.pair.deaths(*board) > 0) {
            let step = self.steps[self.owner.index()];
            self.operator.killed(board, Some(step));
            let what = format!("killed in {step}, back after {BACK_AFTER_PERIODS} periods");
            let latest = self.latest();
            self.world.0.borrow_mut().plant.injected(latest, Some(board), what);
        }
        for (_, board, version) in self.pair.driven().iter().skip(self.heard) {
            let number = if *version == Version::Old { Tank::VERSION } else { self.flavour.version() };
            self.operator.drove(*board, number);
        }
        self.heard = self.pair.driven().len();
        let latest = self.latest();
        for channel in CHANNELS {
            let (mode, was_off) = (self.pair.mode(channel), self.is_off[channel.index()]);
            self.is_off[channel.index()] = mode.is_none();
            if let (Some(version), true) = (self.pair.version(channel), was_off) {
                let number = if version == Version::Old { 1 } else { 2 };
                let what = format!("restarted into version {number}");
                self.world.0.borrow_mut().plant.injected(latest, Some(channel), what);
            }
            self.world.0.borrow_mut().plant.mode(channel, latest, mode.map(Into::into));
            let Some(half) = self.pair.half_mut(channel) else { continue };
            let first = match half {
                Half::Old(_) => None,
                Half::New(node) => node.first_difference(),
            };
            if let Some(first) = first {
                self.operator.differed(first.cycle.0, &first.input, &first.old, &first.new);
            }
            while let Some(entry) = half.read_event() {
                if let Event::UpgradeStep { to, .. } = entry.event {
                    self.operator.stepped(entry.cycle.0, channel, to);
                }
                self.journal.push(Logged { channel, lost: 0, entry });
            }
            let status = half.status();
            self.steps[channel.index()] = status.step;
            if let Some((_, order)) = self.passed_on.filter(|(board, _)| *board == channel)
                && status.ordered.is_none()
            {
                self.passed_on = None;
                self.operator.answered(order, status.refused);
            }
        }
    }

    fn ended(self) -> Ended {
        let report = self.pair.report();
        let figures = Figures {
            missing: report.missing,
            wrong: report.wrong,
            safe: report.safe,
            owners_max: report.owners_max as usize,
            takeovers: report.takeovers,
            held: report.held,
            cut_off: report.cut_off,
            longest_gap_us: Some(report.longest_idle_us),
            blackout_cycles: report.missing + report.held,
            blocks_copied: report.blocks_sent,
            blocks_in_a_cycle_max: report.blocks_in_a_cycle_max,
            states_lost: report.states_lost,
            ..Figures::default()
        };
        let modes = CHANNELS.map(|board| self.pair.mode(board).map(Into::into));
        (figures, self.operator.into_figures(), self.journal, modes)
    }
}
