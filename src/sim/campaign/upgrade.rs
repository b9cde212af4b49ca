//! One injection into an upgrade: a pair of its own, brought to a drawn step, hit, and then brought on to its end as a
//! person would.

use super::classify::Observed;
use super::done::{After, Watched};
use super::fault::{Promise, Upgrading};
use super::inject::{CHANNELS, link_disturbance};
use super::pace::Pace;
use super::simulated::Worlds;
use crate::config::Config;
use crate::ids::ChannelId;
use crate::mode::Mode;
use crate::node::Site;
use crate::program::Program;
use crate::sim::{ArbiterKind, Failure, Memories, Moment, Setup, UpgradePair, Version};
use crate::succession::Successor;
use crate::upgrade::{Order, Step};
use fastrand::Rng;
use std::format;
use std::prelude::v1::*;

const TRIAL_CYCLES: u32 = 8;

const STEPS: [Step; 8] = [
    Step::Prepare,
    Step::Split,
    Step::OldDrives,
    Step::Switchover,
    Step::NewDrives,
    Step::Commit,
    Step::Merge,
    Step::Abort,
];

/// Bits whose flip a channel in a trial finds by itself, by stepping twice.
const SITES: [Site; 8] = [
    Site::Output,
    Site::AgreedInput,
    Site::MySample,
    Site::SpareSample,
    Site::Working,
    Site::Checkpoint,
    Site::Digest,
    Site::Control,
];

/// Does the injection.
pub(super) fn inject<O, N>(
    fault: Upgrading,
    mut rng: Rng,
    setup: &Setup,
    pace: &Pace,
    worlds: &Worlds<O>,
    is_traced: bool,
) -> Watched
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    // A rule instead of hardware does not survive the owner's death in any case.
    let arbiter = match setup.arbiter {
        ArbiterKind::Preferred(_) if fault != Upgrading::Link => ArbiterKind::Relay { asks: 1 },
        arbiter => arbiter,
    };
    let config = Config { trial_cycles: TRIAL_CYCLES, probation_cycles: 0, ..setup.config };
    let setup = Setup { seed: rng.u64(..), config, arbiter, ..*setup };
    let mut memory = Memories::new();
    let seen = Observed { patience: setup.config.patience.into(), ..Observed::default() };
    let mut watched = Watched { outcome: None, seen, cycles: 0, after: After::default() };
    let pair = match UpgradePair::<O, N>::new(&setup, &mut memory, worlds(setup.seed)) {
        Ok(pair) => pair,
        Err(error) => {
            watched.after.panic = Some(format!("no pair of both versions: {error}"));
            return watched;
        }
    };
    let mut upgrade = Upgrade { pair, pace: *pace };
    upgrade.pair.check_invariants(true);
    if is_traced {
        upgrade.pair.trace();
    }
    let steps = if fault == Upgrading::Flip { &STEPS[2..5] } else { &STEPS[..] };
    let step = steps[rng.usize(0..steps.len())];
    let came_up = upgrade.bring_to(step);
    upgrade.pair.run(rng.u32(0..6));
    upgrade.pair.run_us(rng.u64(0..pace.period_us));
    let was_alone = upgrade.pair.killed_the_only();
    upgrade.hit(fault, &mut rng);
    upgrade.pair.run(20 + u32::from(setup.config.patience));
    upgrade.pair.calm();
    watched.seen.is_back = came_up && upgrade.go_on();
    let mut pair = upgrade.pair;
    pair.run(3);
    look(&pair, pace, &mut watched.seen);
    let died_alone = pair.killed_the_only() && !was_alone;
    // The state is gone, though nobody died who alone had it.
    watched.seen.is_back &= pair.report().states_lost == 0 || pair.killed_the_only();
    let outcome = watched.seen.outcome();
    // What the only half with the state dies of is no single fault; that class has its own row. What is promised
    // even then is asked of every injection.
    let is_of_class = died_alone == (fault == Upgrading::OnlyHalf);
    watched.outcome = (is_of_class || !Promise::Nothing.is_kept_by(outcome, false)).then_some(outcome);
    watched.cycles = pair.elapsed_us() / pace.period_us;
    let modes = CHANNELS.map(|channel| pair.mode(channel));
    let (trace, report) = (pair.take_trace(), pair.report());
    watched.after = After { modes, trace, report, panic: pair.take_crash(), broken: pair.take_broken() };
    watched
}

fn look<O, N>(pair: &UpgradePair<'_, O, N>, pace: &Pace, seen: &mut Observed)
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    let report = pair.report();
    (seen.wrong_outputs, seen.owners_max, seen.missing) = (report.wrong, report.owners_max, report.missing);
    (seen.damaged, seen.held, seen.went_safe) = (report.damaged, report.held, report.safe > 0);
    seen.broken_invariants = report.broken_invariants;
    seen.crashes = report.crashes;
    seen.found_values = report.masked + report.recommitted + report.control_repairs;
    seen.found_else = report.rejected + report.repeated + report.repairs;
    // In an upgrade halves leave and come back as it is; the longest silence tells whether anybody was missed. While the
    // only half with the state hangs nobody can serve, as if it had died; all else is asked of that injection, too.
    seen.silent_periods = (report.longest_idle_us / pace.period_us) as u32;
    seen.left_duplex = report.self_exclusions > 0;
}

/// A pair in the course of an upgrade.
struct Upgrade<'m, O: Program, N: Program> {
    pair: UpgradePair<'m, O, N>,
    pace: Pace,
}

impl<'m, O, N> Upgrade<'m, O, N>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    fn hit(&mut self, fault: Upgrading, rng: &mut Rng) {
        let (pair, period_us) = (&mut self.pair, self.pace.period_us);
        let (drawn, byte) = (CHANNELS[rng.usize(0..2)], rng.u64(0..200));
        let [a, b] = CHANNELS.map(|channel| pair.half(channel).is_some_and(|half| !half.is_empty()));
        let only = match [a, b] {
            [true, false] => Some(ChannelId::A),
            [false, true] => Some(ChannelId::B),
            _ => None,
        };
        let spared = only.map_or(drawn, ChannelId::other);
        match fault {
            Upgrading::Stop => pair.fail_at_byte(spared, byte, Failure::Dies),
            Upgrading::OnlyHalf => pair.fail_at_byte(only.unwrap_or(drawn), byte, Failure::Dies),
            Upgrading::Hang => {
                let for_us = Some(rng.u64(1_000..1_001.max(20 * period_us)));
                pair.fail_at_byte(spared, byte, Failure::Hangs { for_us, hears: true });
            }
            Upgrading::Link => pair.disturb(drawn, link_disturbance(rng, period_us)),
            Upgrading::Flip => {
                let (site, moment) = (SITES[rng.usize(0..SITES.len())], Moment::ALL[rng.usize(0..Moment::ALL.len())]);
                pair.flip_within_turn(drawn, moment, site, rng.usize(..));
            }
        }
    }

    /// Orders what leads to the beginning of a step; false if that did not come about.
    fn bring_to(&mut self, to: Step) -> bool {
        let in_duplex = |pair: &UpgradePair<'m, O, N>| is_at_end(pair, Version::Old);
        if !self.reaches(in_duplex) {
            return false;
        }
        self.pair.run(4);
        for channel in CHANNELS {
            if let Some(half) = self.pair.half_mut(channel) {
                half.clear_first_fault();
            }
        }
        let Some(owner) = self.pair.owner() else { return false };
        let new = owner.other();
        let step_of =
            |channel: ChannelId| move |pair: &UpgradePair<'m, O, N>| pair.status(channel).map(|status| status.step);
        let is_ready = |pair: &UpgradePair<'m, O, N>| pair.status(owner).is_some_and(|status| status.is_ready);
        let mut way = vec![
            (Step::Prepare, owner, Order::Prepare),
            (Step::Split, owner, Order::Split),
            (Step::Switchover, owner, Order::Switchover),
        ];
        way.push(if to == Step::Abort { (to, new, Order::Abort) } else { (Step::Commit, new, Order::Commit) });
        for (step, channel, order) in way {
            let waits = match step {
                Step::Switchover => {
                    let began = self.reaches(|pair| step_of(owner)(pair) == Some(Step::OldDrives));
                    if to == Step::OldDrives || !began {
                        return began;
                    }
                    self.reaches(is_ready)
                }
                Step::Commit | Step::Abort => {
                    let owns = self.reaches(|pair| step_of(new)(pair) == Some(Step::NewDrives));
                    if to == Step::NewDrives || !owns {
                        return owns;
                    }
                    true
                }
                _ => true,
            };
            if !waits || self.pair.order(channel, order).is_err() {
                return false;
            }
            if step == to {
                return true;
            }
        }
        self.reaches(|pair| step_of(new)(pair) == Some(Step::Merge))
    }

    fn reaches(&mut self, is_so: impl Fn(&UpgradePair<'m, O, N>) -> bool) -> bool {
        let step_in = self.pace.given_up_in + STEP_TAKES;
        (0..step_in).any(|_| {
            let reached = is_so(&self.pair);
            if !reached {
                self.pair.run(1);
            }
            reached
        })
    }

    /// Goes on as a person would: forward if there is a way, else back; true once both are in duplex on one version.
    fn go_on(&mut self) -> bool {
        let pair = &mut self.pair;
        for _ in 0..self.pace.helped_in * 25 / 2 {
            if is_at_end(pair, Version::Old) || is_at_end(pair, Version::New) {
                return true;
            }
            if let Some((owner, status)) = pair.owner().and_then(|owner| Some((owner, pair.status(owner)?))) {
                let is_tried = pair.mode(owner) != Some(Mode::Trial) || status.counts.cycles > 3;
                let order = match status.step {
                    Step::Prepare => Some(Order::Abort),
                    Step::OldDrives if status.has_failed => Some(Order::Abort),
                    Step::OldDrives if status.is_ready => Some(Order::Switchover),
                    Step::NewDrives if is_tried => Some(Order::Commit),
                    _ => None,
                };
                // One that is refused is given again.
                let _ = order.map(|order| pair.order(owner, order));
            }
            pair.run(1);
        }
        false
    }
}

fn is_at_end<O, N>(pair: &UpgradePair<'_, O, N>, version: Version) -> bool
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    CHANNELS.into_iter().all(|channel| {
        let is_idle = pair.status(channel).is_some_and(|status| status.step == Step::Idle && status.duty.is_none());
        pair.mode(channel) == Some(Mode::Duplex) && pair.version(channel) == Some(version) && is_idle
    })
}

/// Periods that a step takes beside the copies in it.
const STEP_TAKES: u32 = 30;
