//! One injection into an upgrade: a pair of its own, brought to a drawn step, hit, and then brought on to its end as a
//! person would.

use super::classify::{Observed, Outcome, classify};
use super::episode::After;
use super::fault::{Promise, Upgrading};
use super::inject::{CHANNELS, link_disturbance};
use super::plan::PERIOD_US;
use super::program::{Mill, MillV2, sensor};
use super::tally::keeps;
use fastrand::Rng;
use twinstep::sim::{ArbiterKind, Failure, Memories, Moment, Report, Setup, UpgradePair, Version};
use twinstep::upgrade::{Order, Step};
use twinstep::{ChannelId, Config, Mode, Site};

type Pair<'m> = UpgradePair<'m, Mill, MillV2>;

const TRIAL_CYCLES: u32 = 8;
/// Periods after which nobody waits any more, for a step and for the end.
const STEP_IN: u32 = 150;
const GIVEN_UP_IN: u32 = 500;

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

/// What was seen of an injection.
pub(super) struct Watched {
    /// `None` if it is not of its class: what it hit was no half of that sort.
    pub(super) outcome: Option<Outcome>,
    pub(super) seen: Observed,
    /// Cycles that were simulated for it.
    pub(super) cycles: u64,
    pub(super) after: After,
}

/// Does the injection.
pub(super) fn inject(fault: Upgrading, mut rng: Rng, setup: &Setup, is_traced: bool) -> Watched {
    // A rule instead of hardware does not survive the owner's death in any case.
    let arbiter = match setup.arbiter {
        ArbiterKind::Preferred(_) if fault != Upgrading::Link => ArbiterKind::Relay { asks: 1 },
        arbiter => arbiter,
    };
    let config = Config { trial_cycles: TRIAL_CYCLES, probation_cycles: 0, ..setup.config };
    let setup = Setup { seed: rng.u64(..), config, arbiter, ..*setup };
    let mut memory = Memories::new();
    let seen = Observed { patience: setup.config.patience.into(), ..Observed::default() };
    let after = After { modes: [None; 2], trace: Vec::new(), report: Report::default() };
    let mut watched = Watched { outcome: None, seen, cycles: 0, after };
    if let Ok(mut pair) = Pair::new(&setup, &mut memory, sensor(setup.seed)) {
        if is_traced {
            pair.trace();
        }
        let steps = if fault == Upgrading::Flip { &STEPS[2..5] } else { &STEPS[..] };
        let step = steps[rng.usize(0..steps.len())];
        let came_up = bring_to(&mut pair, step);
        pair.run(rng.u32(0..6));
        pair.run_us(rng.u64(0..u64::from(PERIOD_US)));
        let was_alone = pair.killed_the_only();
        hit(&mut pair, fault, &mut rng);
        pair.run(20 + u32::from(setup.config.patience));
        pair.calm();
        watched.seen.is_back = came_up && go_on(&mut pair);
        pair.run(3);
        look(&pair, &mut watched.seen);
        let died_alone = pair.killed_the_only() && !was_alone;
        // The state is gone, though nobody died who alone had it.
        watched.seen.is_back &= pair.report().states_lost == 0 || pair.killed_the_only();
        let outcome = classify(&watched.seen);
        // What the only half with the state dies of is no single fault; that class has its own row. What is promised
        // even then is asked of every injection.
        let is_of_class = died_alone == (fault == Upgrading::OnlyHalf);
        watched.outcome = (is_of_class || !keeps(Promise::Nothing, outcome, false)).then_some(outcome);
        watched.cycles = pair.elapsed_us() / u64::from(PERIOD_US);
        let modes = CHANNELS.map(|channel| pair.mode(channel));
        watched.after = After { modes, trace: pair.take_trace(), report: pair.report() };
    }
    watched
}

fn hit(pair: &mut Pair<'_>, fault: Upgrading, rng: &mut Rng) {
    let (drawn, byte) = (CHANNELS[rng.usize(0..2)], rng.u64(0..200));
    let has_state = |pair: &mut Pair<'_>, channel| pair.half(channel).is_some_and(|half| !half.is_empty());
    let [a, b] = CHANNELS.map(|channel| has_state(pair, channel));
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
            let for_us = Some(rng.u64(1_000..20 * u64::from(PERIOD_US)));
            pair.fail_at_byte(spared, byte, Failure::Hangs { for_us, hears: true });
        }
        Upgrading::Link => pair.disturb(drawn, link_disturbance(rng)),
        Upgrading::Flip => {
            let (site, moment) = (SITES[rng.usize(0..SITES.len())], Moment::ALL[rng.usize(0..Moment::ALL.len())]);
            pair.flip_within_turn(drawn, moment, site, rng.usize(..));
        }
    }
}

fn look(pair: &Pair<'_>, seen: &mut Observed) {
    let report = pair.report();
    (seen.wrong_outputs, seen.owners_max, seen.missing) = (report.wrong, report.owners_max, report.missing);
    (seen.damaged, seen.held, seen.went_safe) = (report.damaged, report.held, report.safe > 0);
    seen.found_values = report.masked + report.recommitted + report.control_repairs;
    seen.found_else = report.rejected + report.repeated + report.repairs;
    // In an upgrade halves leave and come back as it is; the longest silence tells whether anybody was missed. While the
    // only half with the state hangs nobody can serve, as if it had died; all else is asked of that injection, too.
    seen.silent_periods = (report.longest_idle_us / u64::from(PERIOD_US)) as u32;
    seen.left_duplex = report.self_exclusions > 0;
}

/// Orders what leads to the beginning of a step; false if that did not come about.
fn bring_to(pair: &mut Pair<'_>, to: Step) -> bool {
    let in_duplex = |pair: &Pair<'_>| is_at_end(pair, Version::Old);
    if !reaches(pair, in_duplex) {
        return false;
    }
    pair.run(4);
    for channel in CHANNELS {
        if let Some(half) = pair.half(channel) {
            half.clear_first_fault();
        }
    }
    let Some(owner) = pair.owner() else { return false };
    let new = owner.other();
    let step_of = |channel: ChannelId| move |pair: &Pair<'_>| pair.status(channel).map(|status| status.step);
    let is_ready = |pair: &Pair<'_>| pair.status(owner).is_some_and(|status| status.is_ready);
    let mut way = vec![
        (Step::Prepare, owner, Order::Prepare),
        (Step::Split, owner, Order::Split),
        (Step::Switchover, owner, Order::Switchover),
    ];
    way.push(if to == Step::Abort { (to, new, Order::Abort) } else { (Step::Commit, new, Order::Commit) });
    for (step, channel, order) in way {
        let waits = match step {
            Step::Switchover => {
                let began = reaches(pair, |pair| step_of(owner)(pair) == Some(Step::OldDrives));
                if to == Step::OldDrives || !began {
                    return began;
                }
                reaches(pair, is_ready)
            }
            Step::Commit | Step::Abort => {
                let owns = reaches(pair, |pair| step_of(new)(pair) == Some(Step::NewDrives));
                if to == Step::NewDrives || !owns {
                    return owns;
                }
                true
            }
            _ => true,
        };
        if !waits || pair.order(channel, order).is_err() {
            return false;
        }
        if step == to {
            return true;
        }
    }
    reaches(pair, |pair| step_of(new)(pair) == Some(Step::Merge))
}

fn reaches(pair: &mut Pair<'_>, is_so: impl Fn(&Pair<'_>) -> bool) -> bool {
    (0..STEP_IN).any(|_| {
        let reached = is_so(pair);
        if !reached {
            pair.run(1);
        }
        reached
    })
}

fn is_at_end(pair: &Pair<'_>, version: Version) -> bool {
    CHANNELS.into_iter().all(|channel| {
        let is_idle = pair.status(channel).is_some_and(|status| status.step == Step::Idle && status.duty.is_none());
        pair.mode(channel) == Some(Mode::Duplex) && pair.version(channel) == Some(version) && is_idle
    })
}

/// Goes on as a person would: forward if there is a way, else back; true once both are in duplex on one version.
fn go_on(pair: &mut Pair<'_>) -> bool {
    for _ in 0..GIVEN_UP_IN {
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
