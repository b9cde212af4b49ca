//! Upgrades on emulated boards. The rig has what a bootloader and its flash would have: a board that restarts is a new
//! QEMU with the image that the bootloader chooses.

use super::{CHANNELS, PERIOD_NS, Run};
use crate::scenario::Plan;
use crate::upgrade::{Act, BACK_AFTER_PERIODS, Flavour, Operator, Seen, UpgradeFigures, View, order_name, rounds};
use anyhow::Result;
use tank::Tank;
use tank::field_bus::{DutyCode, Image, ToBoard, ToPlant};
use twinstep::sim::{Bootloader, Version};
use twinstep::upgrade::{Counts, Order};
use twinstep::{ChannelId, Program};

/// The state of the upgrades of a run.
pub(super) struct Upgrade {
    pub(super) operator: Operator,
    loaders: [Bootloader; 2],
    /// The bootloaders start no candidate.
    is_broken: bool,
    /// What is in both boards' flash beside what runs.
    offered: Option<Flavour>,
    seen: [Seen; 2],
    /// When a board that was killed boots again.
    boots_at: [Option<u64>; 2],
}

impl Upgrade {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            operator: Operator::new(rounds(plan), plan.cell.is_some()),
            loaders: [Bootloader::new(Tank::VERSION); 2],
            is_broken: plan.broken_bootloader,
            offered: None,
            seen: [Seen::booted(Tank::VERSION, true, 0); 2],
            boots_at: [None; 2],
        }
    }

    /// A reset of a board: returns what boots.
    pub(super) fn boot(&mut self, board: ChannelId) -> (Version, Option<Flavour>) {
        let at = board.index();
        let loader = &mut self.loaders[at];
        let version = loader.choose(!self.is_broken);
        let number = loader.running().number;
        self.seen[at] = Seen::booted(number, loader.is_confirmed(), loader.floor());
        (version, Flavour::of_version(number))
    }

    /// Returns what a board's bootloader tells it.
    pub(super) fn image(&self, board: ChannelId) -> ToBoard {
        let loader = &self.loaders[board.index()];
        // What runs cannot be restarted into.
        let candidate = self.offered.filter(|flavour| flavour.version() != loader.running().number);
        ToBoard::Image(Image {
            is_confirmed: loader.is_confirmed(),
            floor: loader.floor(),
            candidate: candidate.map(Flavour::candidate),
        })
    }

    /// Notes the death of a board.
    pub(super) fn killed(&mut self, board: ChannelId, owner: Option<ChannelId>, now_ns: u64) {
        let step = owner.map(|owner| self.seen[owner.index()].step);
        self.operator.killed(board, step);
        self.boots_at[board.index()] = Some(now_ns + PERIOD_NS * u64::from(BACK_AFTER_PERIODS));
    }

    /// Notes that a board drove.
    pub(super) fn drove(&mut self, board: ChannelId) {
        self.operator.drove(board, self.seen[board.index()].version);
    }

    /// Returns the figures.
    pub(super) fn into_figures(self) -> UpgradeFigures {
        self.operator.into_figures()
    }

    /// Does what a bootloader is asked for; returns the answer, or `None` if the board is to be restarted.
    fn obey(&mut self, board: ChannelId, duty: DutyCode) -> Option<ToBoard> {
        let loader = &mut self.loaders[board.index()];
        let restarts = match duty {
            DutyCode::RestartIntoNew => self.offered.is_some_and(|flavour| loader.mark(flavour.version())),
            DutyCode::RestartIntoOld => loader.revert(),
            DutyCode::Confirm => {
                loader.confirm();
                return Some(ToBoard::Done(duty));
            }
            DutyCode::RaiseFloor => {
                loader.raise_floor();
                return Some(ToBoard::Done(duty));
            }
        };
        if restarts { None } else { Some(ToBoard::RestartFailed) }
    }
}

impl Run<'_> {
    /// Lets the operator look at the boards, and boots those whose time has come.
    pub(super) fn go_on_with_upgrade(&mut self) -> Result<()> {
        let Some(upgrade) = &mut self.upgrade else { return Ok(()) };
        let now = self.engine.now_ns();
        let due = CHANNELS.into_iter().find(|board| upgrade.boots_at[board.index()].is_some_and(|at| now >= at));
        if let Some(board) = due {
            upgrade.boots_at[board.index()] = None;
            self.boot(board)?;
        }
        if self.judge.took_anew() {
            self.plant.begin_anew();
        }
        let view = self.view();
        let Some(act) = self.upgrade.as_mut().and_then(|upgrade| upgrade.operator.look(&view)) else {
            return Ok(());
        };
        match act {
            Act::Order(board, order) => self.order(board, order),
            Act::Offer(flavour) => {
                if let Some(upgrade) = &mut self.upgrade {
                    upgrade.offered = Some(flavour);
                }
                for board in CHANNELS {
                    self.tell_image(board);
                }
            }
            Act::Forgive => {
                for board in CHANNELS {
                    self.tell(board, &ToBoard::Forgive);
                }
            }
            Act::Kill(board) => self.link.strike_board(board, self.plan.cell.map_or(1, |cell| cell.byte)),
        }
        Ok(())
    }

    fn view(&self) -> View {
        let seen = |board: ChannelId| {
            let upgrade = self.upgrade.as_ref()?;
            let loader = &upgrade.loaders[board.index()];
            let seen =
                Seen { is_confirmed: loader.is_confirmed(), floor: loader.floor(), ..upgrade.seen[board.index()] };
            self.boards.has(board).then_some(seen)
        };
        View {
            now: self.engine.now_ns() as f64 / PERIOD_NS as f64,
            latest: self.judge.latest(),
            owner: self.relay.board(),
            boards: CHANNELS.map(seen),
        }
    }

    fn order(&mut self, board: ChannelId, order: Order) {
        self.plant.injected(self.judge.latest(), Some(board), order_name(order));
        self.tell(board, &ToBoard::Order(order.into()));
    }

    /// Tells a board what its bootloader knows.
    pub(super) fn tell_image(&mut self, board: ChannelId) {
        if let Some(image) = self.upgrade.as_ref().map(|upgrade| upgrade.image(board)) {
            self.tell(board, &image);
        }
    }

    /// Takes what a board says of an upgrade.
    pub(super) fn answer_upgrade(&mut self, board: ChannelId, message: ToPlant) {
        let Some(upgrade) = &mut self.upgrade else { return };
        match message {
            ToPlant::Settled { mode, .. } => upgrade.seen[board.index()].mode = mode,
            ToPlant::Upgrade { step, cycles, tolerated, differing, is_ready, has_failed, cannot_migrate, .. } => {
                let seen = &mut upgrade.seen[board.index()];
                let [cycles, tolerated, differing] = [cycles, tolerated, differing].map(u32::from);
                *seen = Seen {
                    step: step.into(),
                    counts: Counts { cycles, tolerated, differing },
                    is_ready,
                    has_failed,
                    cannot_migrate,
                    ..*seen
                };
            }
            ToPlant::Answered { order, refusal } => {
                upgrade.operator.answered(order.into(), refusal.map(Into::into));
            }
            ToPlant::Differed { cycle, input, old, new } => upgrade.operator.differed(cycle, &input, &old, &new),
            ToPlant::Duty(duty) => match upgrade.obey(board, duty) {
                Some(answer) => self.tell(board, &answer),
                None => {
                    if let Err(error) = self.restart_as_asked(board) {
                        self.failed = Some(format!("{error:#}"));
                    }
                }
            },
            _ => {}
        }
    }

    fn restart_as_asked(&mut self, board: ChannelId) -> Result<()> {
        self.unplug(board);
        self.judge.died(board);
        let latest = self.judge.latest();
        self.plant.mode(board, latest, None);
        self.boot(board)?;
        let version = self.upgrade.as_ref().map_or(Tank::VERSION, |upgrade| upgrade.seen[board.index()].version);
        let version = if version == Tank::VERSION { 1 } else { 2 };
        self.plant.injected(latest, Some(board), format!("restarted into version {version}"));
        Ok(())
    }
}
