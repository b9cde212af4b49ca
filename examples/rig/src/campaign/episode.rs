//! An episode: one pair, and one injection after the other into it.

use super::classify::{Observed, Outcome, classify};
use super::fault::{Class, Fault, Promise};
use super::inject::{Aftercare, CHANNELS, Injector, SHORT};
use super::plan::{EPISODE_CYCLES, MOST_INJECTIONS, PERIOD_US, PROBATION_CYCLES, Plan};
use super::program::{Mill, sensor};
use super::upgrade;
use anyhow::{Result, anyhow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use twinstep::sim::{Pair, Report, Setup, Storage, Traced};
use twinstep::{ChannelId, Mode, Site};

/// One injection, done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) index: u64,
    /// The place in [`Class::ALL`].
    pub(crate) class: usize,
    /// `None` if there was nothing at the place of the fault.
    pub(crate) outcome: Option<Outcome>,
    /// Periods until something was noticed.
    pub(crate) latency: Option<u32>,
    /// Votes differed.
    pub(crate) diverged: bool,
    pub(crate) seen: Observed,
}

/// What a pair was like after an injection, to be read by a person.
pub(crate) struct After {
    pub(crate) modes: [Option<Mode>; 2],
    /// What both channels did, if this was asked for.
    pub(crate) trace: Vec<Traced>,
    /// What the pair came to since its boot.
    pub(crate) report: Report,
}

/// Does all injections of an episode, and hands each one out; `false` from there ends it. The injection of index `traced`
/// leaves a trace. Returns how many cycles the pair was simulated for.
pub(crate) fn run(
    plan: &Plan,
    number: u64,
    traced: Option<u64>,
    mut done: impl FnMut(&Done, After) -> bool,
) -> Result<u64> {
    let setup = plan.setup(number);
    let (mut cycles, mut place) = (0, 0);
    while cycles < EPISODE_CYCLES && place < MOST_INJECTIONS {
        let setup = Setup { seed: setup.seed.wrapping_add(place), ..setup };
        let mut memory = [Storage::new(), Storage::new()];
        let pair = Pair::<Mill>::new(&setup, &mut memory, sensor(setup.seed)).map_err(|error| anyhow!("{error}"))?;
        let mut episode = Episode { pair, setup, is_new: true, beside: 0, after_upgrade: None, is_traced: false };
        let mut is_spoiled = false;
        while !is_spoiled && cycles + episode.cycles() < EPISODE_CYCLES && place < MOST_INJECTIONS {
            let index = number * MOST_INJECTIONS + place;
            if plan.without.has(plan.class(index)) {
                place += 1;
                continue;
            }
            if traced == Some(index) {
                episode.trace();
            }
            let injected = episode.inject_or_panic(plan, index);
            if !done(&injected, episode.after()) {
                return Ok(cycles + episode.cycles());
            }
            is_spoiled = injected.spoils_the_pair();
            place += 1;
        }
        cycles += episode.cycles();
    }
    Ok(cycles)
}

impl Done {
    /// Whether the pair may show traces of it later. After a jump of a clock the starts come together by an eighth of a
    /// period a cycle, and until then less of the vote window is left for what comes next.
    fn spoils_the_pair(&self) -> bool {
        let is_clock = |class: &Class| matches!(class.fault, Fault::Jump | Fault::Drift | Fault::Flip(Site::Times));
        let is_worse = |class: &Class| matches!(class.promise, Promise::Nothing | Promise::Safe) || is_clock(class);
        let is_bad = self.outcome.is_some_and(Outcome::spoils_the_pair);
        is_bad || Class::ALL.get(self.class).is_some_and(is_worse)
    }
}

const PERIOD: u64 = PERIOD_US as u64;
/// Periods after which whoever is not in duplex is restarted by hand, and periods after which nobody waits any more.
const HELPED_IN: u32 = 40;
const GIVEN_UP_IN: u32 = 120;

/// Eighths of periods that a channel that has joined is on probation for, and some more.
const ON_PROBATION: u32 = 8 * (PROBATION_CYCLES as u32 + 2);

struct Episode<'m> {
    pair: Pair<'m, Mill>,
    setup: Setup,
    /// A channel has joined since the last injection.
    is_new: bool,
    /// Cycles of other pairs, whose upgrades were hit.
    beside: u64,
    /// What the last of these pairs was like.
    after_upgrade: Option<After>,
    is_traced: bool,
}

/// What the pair was like before an injection, and what was seen since.
struct Watch {
    before: Report,
    latest: u32,
    silent: u32,
    periods: u32,
    latency: Option<u32>,
    seen: Observed,
}

impl Episode<'_> {
    /// Cycles that the pair was simulated for.
    fn cycles(&self) -> u64 {
        self.pair.elapsed_us() / PERIOD + self.beside
    }

    /// Keeps from now on what the channels do.
    fn trace(&mut self) {
        self.is_traced = true;
        self.pair.trace();
    }

    /// Returns what the pair was like that was injected into last.
    fn after(&mut self) -> After {
        let of_the_pair = |pair: &mut Pair<'_, Mill>| After {
            modes: CHANNELS.map(|channel| pair.mode(channel)),
            trace: pair.take_trace(),
            report: pair.report(),
        };
        self.after_upgrade.take().unwrap_or_else(|| of_the_pair(&mut self.pair))
    }

    fn inject_or_panic(&mut self, plan: &Plan, index: u64) -> Done {
        let class = plan.class(index);
        let injected = catch_unwind(AssertUnwindSafe(|| self.inject(plan, index, class)));
        let seen = Observed { panicked: true, ..Observed::default() };
        let panicked = Done { index, class, outcome: Some(Outcome::Panic), latency: None, diverged: false, seen };
        injected.unwrap_or(panicked)
    }

    fn inject(&mut self, plan: &Plan, index: u64, class: usize) -> Done {
        let fault = Class::ALL.get(class).map_or(Fault::Sealed, |class| class.fault);
        if let Fault::Upgrade(upgrading) = fault {
            let watched = upgrade::inject(upgrading, plan.chance(index), &self.setup, self.is_traced);
            self.beside += watched.cycles;
            self.after_upgrade = Some(watched.after);
            let (outcome, seen) = (watched.outcome, watched.seen);
            return Done { index, class, outcome, latency: None, diverged: false, seen };
        }
        let is_boot = fault == Fault::OlderEpoch;
        let came_up = is_boot || self.settles();
        let mut injector = Injector::new(fault, plan.chance(index), &self.setup, self.pair.owner());
        if !is_boot {
            injector.approach(&mut self.pair);
        }
        injector.prepare(&mut self.pair);
        let mut watch = Watch::new(&self.pair, self.setup.config.patience);
        let aftercare = injector.apply(&mut self.pair);
        if aftercare.is_none() && !self.is_at_rest() {
            self.help(); // all for nothing
        }
        self.watch(&mut watch, aftercare.as_ref().unwrap_or(&SHORT), &injector);
        let diverged = watch.finish(&mut self.pair);
        watch.seen.is_back &= came_up;
        let seen = watch.seen;
        self.is_new = seen.left_duplex;
        Done { index, class, outcome: aftercare.map(|_| classify(&seen)), latency: watch.latency, diverged, seen }
    }

    /// Both in duplex, and what they drove last settled.
    fn is_at_rest(&self) -> bool {
        CHANNELS.iter().all(|channel| self.pair.mode(*channel) == Some(Mode::Duplex) && self.pair.is_at_rest(*channel))
    }

    /// Runs until the pair is in duplex, and any probation is over.
    fn settles(&mut self) -> bool {
        let mut clean = 0;
        for _ in 0..u64::from(GIVEN_UP_IN) * 8 {
            let in_duplex = CHANNELS.iter().all(|channel| self.pair.mode(*channel) == Some(Mode::Duplex));
            clean = if in_duplex { clean + 1 } else { 0 };
            if self.is_at_rest() && (clean > ON_PROBATION || !self.is_new) {
                self.is_new = false;
                return true;
            }
            self.pair.run_us(PERIOD / 8);
        }
        false
    }

    /// Runs until the pair is in duplex again, doing what is to be done meanwhile.
    fn watch(&mut self, watch: &mut Watch, aftercare: &Aftercare, injector: &Injector) {
        for period in 0..GIVEN_UP_IN {
            for channel in CHANNELS {
                if aftercare.restart[channel.index()] == Some(period) {
                    self.replace(channel);
                }
            }
            if aftercare.calm_in == Some(period) {
                self.pair.calm();
                for channel in CHANNELS {
                    self.pair.set_clock(channel, injector.drift(channel), 0);
                }
            }
            let is_safe = CHANNELS.iter().any(|channel| self.pair.mode(*channel) == Some(Mode::Safe));
            if period == HELPED_IN || (is_safe && period % 8 == 4) {
                self.help();
            }
            self.pair.run(1);
            watch.look(&self.pair);
            if period + 1 >= aftercare.watch && (0..8).any(|_| self.rests_or_runs_on()) {
                watch.seen.is_back = true;
                break;
            }
        }
        self.pair.calm();
    }

    fn rests_or_runs_on(&mut self) -> bool {
        let in_duplex = CHANNELS.iter().all(|channel| self.pair.mode(*channel) == Some(Mode::Duplex));
        let is_at_rest = self.is_at_rest();
        if in_duplex && !is_at_rest {
            self.pair.run_us(PERIOD / 8);
        }
        is_at_rest
    }

    /// Restarts whoever does not serve, as a person would; after the safe state both.
    fn help(&mut self) {
        let serves = |mode: Option<Mode>| mode.is_some_and(Mode::serves);
        let nobody = !CHANNELS.iter().any(|channel| serves(self.pair.mode(*channel)));
        let is_safe = CHANNELS.iter().any(|channel| self.pair.mode(*channel) == Some(Mode::Safe));
        for channel in CHANNELS {
            if nobody || is_safe || !serves(self.pair.mode(channel)) || self.pair.hangs(channel) {
                self.replace(channel);
            }
        }
    }

    /// Puts a new channel in the place of one.
    fn replace(&mut self, channel: ChannelId) {
        self.pair.kill(channel);
        if let Some(peer) = self.pair.node(channel.other()).filter(|peer| peer.is_barred(channel)) {
            peer.readmit(channel);
        }
        self.pair.restart(channel);
    }
}

impl Watch {
    fn new(pair: &Pair<'_, Mill>, patience: u8) -> Self {
        let seen = Observed { patience: patience.into(), ..Observed::default() };
        Self { before: pair.report(), latest: pair.latest().0, silent: 0, periods: 0, latency: None, seen }
    }

    /// Looks at the pair once a period.
    fn look(&mut self, pair: &Pair<'_, Mill>) {
        let latest = pair.latest().0;
        self.silent = if latest == self.latest { self.silent + 1 } else { 0 };
        self.latest = latest;
        self.seen.silent_periods = self.seen.silent_periods.max(self.silent);
        self.seen.went_safe |= CHANNELS.iter().any(|channel| pair.mode(*channel) == Some(Mode::Safe));
        self.seen.left_duplex |= CHANNELS.iter().any(|channel| pair.mode(*channel) != Some(Mode::Duplex));
        if self.latency.is_none() && (noticed(&pair.report()) > noticed(&self.before) || self.seen.left_duplex) {
            self.latency = Some(self.periods);
        }
        self.periods += 1;
    }

    /// Takes the sums.
    fn finish(&mut self, pair: &mut Pair<'_, Mill>) -> bool {
        let (before, after) = (self.before, pair.report());
        let seen = &mut self.seen;
        seen.wrong_outputs = after.wrong - before.wrong + after.unvoted_in_duplex - before.unvoted_in_duplex;
        seen.owners_max = after.owners_max;
        seen.missing = after.missing - before.missing;
        seen.damaged = after.damaged - before.damaged;
        seen.went_safe |= after.safe > before.safe;
        seen.left_duplex |= after.mode_changes > before.mode_changes;
        seen.held = after.held - before.held;
        seen.found_values = values(&after) - values(&before);
        seen.found_else = noticed(&after) - noticed(&before);
        if seen.is_back {
            seen.wrong_state = !CHANNELS.iter().all(|channel| pair.has_right_state(*channel));
            seen.left_damage = !CHANNELS.iter().all(|channel| pair.has_sound_memory(*channel));
        }
        after.diverged > before.diverged
    }
}

/// Values found wrong or damaged in a cycle.
fn values(report: &Report) -> u32 {
    report.diverged + report.recommitted + report.control_repairs
}

/// All that is ever noticed.
fn noticed(report: &Report) -> u32 {
    let link = report.rejected + report.repeated;
    let service = report.held + report.takeovers + report.refused + report.safe + report.damaged + report.cut_off;
    values(report) + link + service + report.repairs + report.self_exclusions + report.mode_changes
}
