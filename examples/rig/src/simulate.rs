//! The same scenarios without boards: the library's simulated pair in virtual time.

use crate::judge::Figures;
use crate::plant_side::PlantSide;
use crate::run::{Outcome, Progress};
use crate::scenario::{Ending, Kind, Plan};
use anyhow::{Result, anyhow};
use std::cell::RefCell;
use std::rc::Rc;
use tank::{Drive, Reading, Tank};
use twinstep::sim::{LinkFaults, Pair, Setup, Storage, World};
use twinstep::{ChannelId, Cycle};

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// The pair is looked at so often that no cycle begins between a takeover and the look.
const STEPS_IN_A_CYCLE: u32 = 10;

/// The plant as the simulated pair's world.
#[derive(Clone)]
struct SharedPlant(Rc<RefCell<Inner>>);

struct Inner {
    plant: PlantSide,
    latest: u32,
}

impl World<Tank> for SharedPlant {
    fn sample(&mut self, channel: ChannelId, _: Cycle) -> Reading {
        self.0.borrow_mut().plant.reading(channel)
    }

    fn drive(&mut self, channel: ChannelId, cycle: Cycle, output: &Drive) {
        let mut inner = self.0.borrow_mut();
        let is_new = cycle.0 > inner.latest;
        inner.latest = inner.latest.max(cycle.0);
        inner.plant.drive(channel, cycle.0, output, is_new);
    }
}

/// Runs `plan` on a simulated pair.
pub(crate) fn run(plan: Plan, progress: &Progress) -> Result<Outcome> {
    let world = SharedPlant(Rc::new(RefCell::new(Inner { plant: PlantSide::new(plan.seed)?, latest: 0 })));
    // Frames are the simulated link's unit: bytes are flipped, and no byte is lost or repeated.
    let link = LinkFaults { flip: plan.byte_errors, ..LinkFaults::NONE };
    let setup = Setup { seed: plan.seed, link, ..Setup::default() };
    let period_us = u64::from(setup.config.period_us);
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Tank>::new(&setup, &mut memory, world.clone()).map_err(|error| anyhow!("{error}"))?;
    let mut figures = Figures::default();
    let mut is_cut = false;
    // Twice the cycles is more than any run takes; a pair that stops ends here.
    for _ in 0..2 * plan.cycles * STEPS_IN_A_CYCLE {
        let latest = world.0.borrow().latest;
        if latest >= plan.cycles {
            break;
        }
        let strikes = latest + 1 >= plan.strikes_at;
        if plan.kind == Kind::Failover && strikes && figures.kill_cycle.is_none() {
            // The moment within the cycle, in the same share as on boards.
            pair.run_us(period_us * u64::from(plan.strike_byte) / 64);
            figures.kill_cycle = kill(&mut pair, &world, &plan);
        }
        let cut = plan.kind == Kind::Partition && (plan.strikes_at..plan.heals_at).contains(&latest);
        if cut != is_cut {
            is_cut = cut;
            pair.cut(cut);
            let what = if cut { "link cut" } else { "link healed" };
            world.0.borrow_mut().plant.injected(latest, None, what);
        }
        let taken_over = pair.report().takeovers;
        pair.run_us(period_us / u64::from(STEPS_IN_A_CYCLE));
        if pair.report().takeovers > taken_over {
            let survivor = CHANNELS.into_iter().find(|channel| pair.mode(*channel) == Some(twinstep::Mode::Simplex));
            let cycle = survivor.and_then(|channel| pair.node(channel).map(|node| node.cycle().0));
            figures.takeover_cycle = figures.takeover_cycle.or(cycle);
        }
        for channel in CHANNELS {
            let (mode, latest) = (pair.mode(channel), world.0.borrow().latest);
            world.0.borrow_mut().plant.mode(channel, latest, mode.map(Into::into));
        }
        progress.at(latest);
    }
    let report = pair.report();
    let figures = Figures {
        cycles: world.0.borrow().latest,
        missing: report.missing,
        wrong: report.wrong,
        unvoted_in_duplex: report.unvoted_in_duplex,
        safe: report.safe,
        owners_max: report.owners_max as usize,
        takeovers: report.takeovers,
        held: report.held,
        cut_off: report.cut_off,
        damaged_bytes: (plan.kind == Kind::Noise).then_some(report.damaged_bytes),
        carried_bytes: (plan.kind == Kind::Noise).then_some(report.carried_bytes),
        ..figures
    };
    let modes = CHANNELS.map(|channel| pair.mode(channel).map(Into::into));
    let link_changes = world.0.borrow().plant.link_changes();
    let claims = plan.claims(&figures, &Ending { modes, link_changes, checks_link_overhead: false });
    let record = world.0.borrow().plant.record(&plan);
    Ok(Outcome { record, figures, claims, logs: Default::default() })
}

/// Kills the owner; returns the first cycle that it did not complete.
fn kill(pair: &mut Pair<'_, Tank>, world: &SharedPlant, plan: &Plan) -> Option<u32> {
    let owner = pair.owner()?;
    let cycle = pair.votes().latest(owner)?.0 + 1;
    pair.kill(owner);
    let share = plan.strike_byte * 100 / 64;
    world.0.borrow_mut().plant.injected(cycle, Some(owner), format!("killed at {share} %"));
    Some(cycle)
}
