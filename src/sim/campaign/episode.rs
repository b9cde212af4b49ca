//! An episode: one pair, and one injection after the other into it.

use super::classify::{Observed, Outcome};
use super::done::{After, Done};
use super::fault::{Class, Fault, Promise};
use super::inject::{Aftercare, CHANNELS, Injector};
use super::pace::Pace;
use super::plan::{MOST_INJECTIONS, Plan};
use super::shape::Shape;
use super::target::{Act, Bench, Target};
use super::watch::Watch;
use crate::mode::Mode;
use crate::node::Site;
use crate::sim::Setup;
use crate::sim::hush::catch;
use std::prelude::v1::*;

/// What all injections of an episode have in common.
#[derive(Clone, Copy)]
pub(super) struct Stage<'s> {
    pub(super) bench: &'s dyn Bench,
    pub(super) plan: &'s Plan,
    /// Drawn for the episode.
    pub(super) setup: Setup,
    pub(super) pace: Pace,
    pub(super) shape: &'s Shape,
    /// The injection that leaves a trace.
    pub(super) traced: Option<u64>,
}

/// Does all injections of an episode, and hands each one out; `false` from there ends it. Returns how many cycles the pair was
/// simulated for.
pub(super) fn run(stage: &Stage<'_>, number: u64, mut done: impl FnMut(&Done, After) -> bool) -> Result<u64, String> {
    let (mut cycles, mut place) = (0, 0);
    let (plan, mut is_over) = (stage.plan, false);
    while !is_over && cycles < plan.episode_cycles && place < MOST_INJECTIONS {
        let setup = Setup { seed: stage.setup.seed.wrapping_add(place), ..stage.setup };
        let stage = Stage { setup, ..*stage };
        let mut spent = 0;
        stage.bench.lend(&setup, &mut |pair| {
            let mut episode = Episode { stage, pair, is_new: true, beside: 0, after_upgrade: None, is_traced: false };
            let mut is_spoiled = false;
            while !is_spoiled && cycles + episode.cycles() < plan.episode_cycles && place < MOST_INJECTIONS {
                let index = number * MOST_INJECTIONS + place;
                if plan.without.has(plan.class(index)) {
                    place += 1;
                    continue;
                }
                if stage.traced == Some(index) {
                    episode.trace();
                }
                let (injected, panic) = episode.inject_or_panic(index);
                let mut after = episode.after();
                after.panic = panic.or(after.panic);
                is_over = !done(&injected, after);
                is_spoiled = is_over || spoils_the_pair(&injected);
                place += 1;
            }
            spent = episode.cycles();
        })?;
        cycles += spent;
    }
    Ok(cycles)
}

/// Whether the pair may show traces of an injection later. After a jump of a clock the starts come together by an eighth of a
/// period a cycle, and until then less of the vote window is left for what comes next.
fn spoils_the_pair(done: &Done) -> bool {
    let is_clock = |class: &Class| matches!(class.fault, Fault::Jump | Fault::Drift | Fault::Flip(Site::Times));
    let is_worse = |class: &Class| matches!(class.promise, Promise::Nothing | Promise::Safe) || is_clock(class);
    let is_bad = done.outcome.is_some_and(Outcome::spoils_the_pair);
    is_bad || Class::ALL.get(done.class).is_some_and(is_worse)
}

struct Episode<'e, 's> {
    stage: Stage<'s>,
    pair: &'e mut dyn Target,
    /// A channel has joined since the last injection.
    is_new: bool,
    /// Cycles of other pairs, whose upgrades were hit.
    beside: u64,
    /// What the last of these pairs was like.
    after_upgrade: Option<After>,
    is_traced: bool,
}

impl Episode<'_, '_> {
    /// Cycles that the pair was simulated for.
    fn cycles(&self) -> u64 {
        self.pair.view().elapsed_us / self.stage.pace.period_us + self.beside
    }

    /// Keeps from now on what the channels do.
    fn trace(&mut self) {
        self.is_traced = true;
        self.pair.trace();
    }

    /// Returns what the pair was like that was injected into last.
    fn after(&mut self) -> After {
        let pair = &mut self.pair;
        self.after_upgrade.take().unwrap_or_else(|| After {
            modes: pair.view().modes,
            trace: pair.take_trace(),
            report: pair.report(),
            panic: pair.take_crash(),
            broken: pair.take_broken(),
        })
    }

    fn inject_or_panic(&mut self, index: u64) -> (Done, Option<String>) {
        let class = self.stage.plan.class(index);
        match catch(|| self.inject(index, class)) {
            Ok(injected) => (injected, None),
            Err(caught) => {
                let seen = Observed { panicked: true, ..Observed::default() };
                let outcome = Some(Outcome::Panic);
                (Done { index, class, outcome, latency: None, diverged: false, seen }, Some(caught.text()))
            }
        }
    }

    fn inject(&mut self, index: u64, class: usize) -> Done {
        let Stage { bench, plan, setup, pace, shape, .. } = self.stage;
        let fault = Class::ALL.get(class).map_or(Fault::Sealed, |class| class.fault);
        if let Fault::Upgrade(upgrading) = fault {
            let watched = bench.upgrade(upgrading, plan.chance(index), &setup, &pace, self.is_traced);
            let (outcome, seen) = watched.map_or((None, Observed::default()), |watched| {
                self.beside += watched.cycles;
                self.after_upgrade = Some(watched.after);
                (watched.outcome, watched.seen)
            });
            return Done { index, class, outcome, latency: None, diverged: false, seen };
        }
        let is_boot = fault == Fault::OlderEpoch;
        let came_up = is_boot || self.settles();
        let mut injector = Injector::new(fault, plan.chance(index), &setup, (pace, shape), self.pair.view().owner);
        if !is_boot {
            injector.approach(self.pair);
        }
        let is_prepared = injector.prepare(self.pair);
        let mut watch = Watch::new(self.pair, setup.config.patience);
        let aftercare = if is_prepared { injector.apply(self.pair) } else { None };
        if aftercare.is_none() && !self.pair.view().is_at_rest() {
            self.help(); // all for nothing
            watch.was_helped = true;
        }
        self.watch(&mut watch, aftercare.as_ref().unwrap_or(&Aftercare::short(&pace)));
        let diverged = watch.finish(self.pair);
        watch.seen.is_back &= came_up;
        let seen = watch.seen;
        self.is_new = seen.left_duplex;
        Done { index, class, outcome: aftercare.map(|_| seen.outcome()), latency: watch.latency, diverged, seen }
    }

    /// Runs until the pair is in duplex, and any probation is over.
    fn settles(&mut self) -> bool {
        let pace = self.stage.pace;
        let mut clean = 0;
        for _ in 0..u64::from(pace.given_up_in) * 8 {
            let view = self.pair.view();
            clean = if view.is_in_duplex() { clean + 1 } else { 0 };
            if view.is_at_rest() && (clean > pace.on_probation || !self.is_new) {
                self.is_new = false;
                return true;
            }
            self.pair.run_us(pace.period_us / 8);
        }
        false
    }

    /// Runs until the pair is in duplex again, doing what is to be done meanwhile.
    fn watch(&mut self, watch: &mut Watch, aftercare: &Aftercare) {
        let pace = self.stage.pace;
        // Not before whoever is to be restarted was.
        let last_restart = aftercare.restart.into_iter().flatten().max().unwrap_or_default();
        for period in 0..pace.given_up_in {
            for channel in CHANNELS {
                if aftercare.restart[channel.index()] == Some(period) {
                    self.pair.act(Act::Replace(channel));
                }
            }
            if aftercare.calm_in == Some(period) {
                self.pair.act(Act::Calm);
                for channel in CHANNELS {
                    self.pair.act(Act::Clock(channel, self.stage.setup.drift_ppm[channel.index()], 0));
                }
            }
            if period == pace.helped_in || (self.pair.view().is_safe() && period % 8 == 4) {
                self.help();
                watch.was_helped = true;
            }
            self.pair.run_us(pace.period_us);
            watch.look(self.pair);
            if period + 1 >= aftercare.watch && period >= last_restart && (0..8).any(|_| self.rests_or_runs_on()) {
                watch.seen.is_back = true;
                break;
            }
        }
        self.pair.act(Act::Calm);
    }

    fn rests_or_runs_on(&mut self) -> bool {
        let view = self.pair.view();
        if view.is_in_duplex() && !view.is_at_rest() {
            self.pair.run_us(self.stage.pace.period_us / 8);
        }
        view.is_at_rest()
    }

    /// Restarts whoever does not serve, as a person would; after the safe state both.
    fn help(&mut self) {
        let serves = |mode: Option<Mode>| mode.is_some_and(Mode::serves);
        let view = self.pair.view();
        let nobody = !view.modes.into_iter().any(serves);
        for channel in CHANNELS {
            // The first one's end may have changed what the other one does.
            let (mode, hangs) = (self.pair.view().mode(channel), self.pair.view().hang[channel.index()]);
            if nobody || view.is_safe() || !serves(mode) || hangs {
                self.pair.act(Act::Replace(channel));
            }
        }
    }
}
