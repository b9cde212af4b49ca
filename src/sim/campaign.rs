//! A fault campaign over any program: thousands of injections into pairs of real nodes, each classified by what became of it.
//!
//! ```text
//! plan, fault    which fault is injected into which pair, drawn from the seed and an index
//! target         what is injected into: this, and nothing else, is known of it
//! simulated      the simulated pair as a target
//! inject         does an injection
//! episode        one pair, one injection after the other; watch: what is seen of it
//! upgrade        one injection into an upgrade, for which there is a pair of its own
//! classify       what became of an injection: a pure function of what was observed
//! tally          counts; shards add up exactly
//! claims         what must hold of the counts
//! shape, pace    figures of the program, and how long things take with them
//! results        the counts as a file, and files merged; table: to be looked at
//! replay         one injection again, with all that both channels did
//! workers        threads
//! json, chart, junit, cli  the results as files: to be merged, drawn, and read by a CI server; a `main` (feature `report`)
//! ```

#[cfg(feature = "report")]
pub mod chart;
mod claims;
mod classify;
#[cfg(feature = "report")]
pub mod cli;
mod done;
#[cfg(feature = "report")]
#[doc(hidden)]
pub mod drawing;
mod episode;
mod fault;
mod inject;
#[cfg(feature = "report")]
mod json;
#[cfg(feature = "report")]
pub mod junit;
pub mod mechanisms;
mod pace;
mod plan;
mod replay;
mod results;
mod shape;
mod simulated;
mod table;
mod tally;
mod target;
mod upgrade;
mod watch;
mod without;
mod workers;

pub use claims::Claim;
pub use classify::{Observed, Outcome};
pub use done::{After, Done, Watched};
pub use fault::{Class, Fault, LinkFault, Promise, Second, Upgrading};
pub use pace::Pace;
pub use plan::{BadShard, Shard};
pub use replay::Replay;
pub use results::{Results, ResultsError};
pub use shape::Shape;
pub use table::columns;
pub use tally::{Row, Tally, never_seen_bound};
pub use target::{Act, Bench, Inspection, Target, View};
pub use without::UnknownClass;

use super::{ArbiterKind, LineModel, LinkFaults, Pair, Setup, Storage, World, bytes_on_line};
use crate::config::Config;
use crate::digest::of_bytes;
use crate::ids::ChannelId;
use crate::mechanism::Mechanism;
use crate::node::Site;
use crate::program::Program;
use crate::sim::hush::catch;
use crate::succession::Successor;
use episode::Stage;
use fastrand::Rng;
use plan::{MOST_INJECTIONS, Plan};
use simulated::Simulation;
use std::format;
use std::prelude::v1::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use without::Without;
use workers::Work;

/// A fault campaign over a program.
///
/// Build it, [`run`](Self::run) it, and let it [`assert_claims`](Results::assert_claims). The same seed gives the same results,
/// however many threads and shards there are.
///
/// ```
/// use twinstep::sim::Campaign;
/// # use twinstep::{Agreement, ChannelId, Config, Cycle, Program, Tracked};
/// # struct Counter;
/// # impl Program for Counter {
/// #     type Input = u8;
/// #     type Output = u32;
/// #     type State = [u32; 64];
/// #     const SAFE: u32 = 0;
/// #     const VERSION: u32 = 1;
/// #     const BUILD: twinstep::Build = twinstep::Build::new(1);
/// #     fn agree(a: &u8, b: &u8) -> Agreement<u8> { Agreement::on(*a.max(b)) }
/// #     fn step(_: Cycle, state: &mut Tracked<[u32; 64]>, input: &u8) -> u32 {
/// #         state.update(|s| &s[0], |count| count.wrapping_add(u32::from(*input)));
/// #         state[0]
/// #     }
/// # }
/// let sensor = |seed: u64| move |_: ChannelId, cycle: Cycle| (u64::from(cycle.0) ^ seed) as u8;
/// let results = Campaign::<Counter>::new(Config::DEFAULT, sensor).cycles(60_000).run();
/// results.assert_claims();
/// println!("{results}");
/// ```
pub struct Campaign<P: Program> {
    plan: Plan,
    setup: Setup,
    vary: Option<Arc<Vary>>,
    simulation: Simulation<P>,
    /// What is injected into, if that is not simulated.
    bench: Option<Arc<dyn Bench + Send + Sync>>,
    shape: Shape,
    /// Why nothing can be simulated.
    unfit: Option<String>,
    has_controls: bool,
    threads: Option<usize>,
    seconds: Option<u32>,
    command: Option<String>,
    is_arbiter_fixed: bool,
}

type Vary = dyn Fn(&mut Rng, &mut Setup) + Send + Sync;

/// Cycles of a campaign of which nothing else is said; more, if in so many not every class comes.
const FEWEST_CYCLES: u64 = 200_000;
/// Cycles of the calm pair that is looked at before any fault.
const CALM_PERIODS: u32 = 60;

impl<P: Program + 'static> Campaign<P> {
    /// Makes a campaign of a program in this configuration. `world` makes what a pair samples and drives; it is called with another
    /// seed for each pair. The program's step takes no virtual time.
    ///
    /// If nothing else is said, 200,000 cycles of seed 1 are simulated, more where a scrub or a copy takes long. One of four
    /// [arbiters](Self::arbiter) is drawn for each pair, and clocks are up to 200 millionths off. Say your [`line`](Self::line): the default, [`LineModel::UART_115200`],
    /// is too slow for periods below some 20 ms.
    ///
    /// Injections come far more often than faults do. So a transient is forgotten after three periods here, whatever
    /// `transient_leak_ms` says; else they would add up, and a channel would be barred for them.
    ///
    /// A fault takes about as many cycles as a scrub of all memory, and five to ten more. The first line of the table says how many
    /// there were.
    ///
    /// Panics must unwind: with `panic = "abort"` in the profile the first one ends the process.
    ///
    /// Up to 1,000 cycles are run here for the [figures](Shape) of the program.
    pub fn new<W: World<P> + 'static>(config: Config, world: impl Fn(u64) -> W + Send + Sync + 'static) -> Self {
        let soon_ms = (3 * u64::from(config.period_us) / 1_000).clamp(1, u32::MAX.into()) as u32;
        let transient_leak_ms = config.transient_leak_ms.min(soon_ms);
        let nonce = if config.nonce == 0 { 1 } else { config.nonce };
        let config = Config { nonce, transient_leak_ms, ..config };
        let simulation: Simulation<P> =
            Simulation { worlds: Arc::new(move |seed| Box::new(world(seed))), into_upgrade: None };
        let shape = catch(|| Shape::of::<P>((simulation.worlds)(0)));
        let unfit = shape
            .as_ref()
            .err()
            .map(|caught| format!("without any fault the program or its world panics: {}", caught.text()));
        let shape = shape.unwrap_or_default();
        let pace = Pace::new(&config, &shape);
        let plan = Plan {
            seed: 1,
            cycles: FEWEST_CYCLES.max(workers::LEAST_EPISODES * pace.episode_cycles),
            shard: Shard::WHOLE,
            off: None,
            without: Without::NOTHING,
            episode_cycles: pace.episode_cycles,
        };
        let setup = Setup { config, ..Setup::default() };
        Self {
            plan,
            setup,
            vary: None,
            simulation,
            bench: None,
            shape,
            unfit,
            has_controls: false,
            threads: None,
            seconds: None,
            command: None,
            is_arbiter_fixed: false,
        }
    }

    /// Cycles to be simulated, over all shards.
    #[must_use]
    pub fn cycles(mut self, cycles: u64) -> Self {
        self.plan.cycles = cycles;
        self
    }

    /// Begins no more episodes once this time is up. How many cycles that came to stands in the results, to repeat them. At least
    /// 120 episodes are run, so that every class of faults occurs.
    #[must_use]
    pub fn seconds(mut self, seconds: u32) -> Self {
        (self.seconds, self.plan.cycles) = (Some(seconds), u64::MAX / 4);
        self
    }

    /// All chance comes from it: the same seed gives the same results. Results of different seeds do not merge; to inject more, raise
    /// [`cycles`](Self::cycles).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// Does only this share of the episodes: the `number`-th `of` so many, counted from 1. [`Results::merge`] adds them up.
    #[must_use]
    pub fn shard(mut self, number: u32, of: u32) -> Self {
        self.plan.shard = Shard { number, of };
        self
    }

    /// The line between the channels.
    #[must_use]
    pub fn line(mut self, line: LineModel) -> Self {
        self.setup.line = line;
        self
    }

    /// The arbiter of every pair. If none is said, each pair has a relay that answers at once, one that answers late, or a rule that
    /// prefers A or B.
    #[must_use]
    pub fn arbiter(mut self, arbiter: ArbiterKind) -> Self {
        (self.setup.arbiter, self.is_arbiter_fixed) = (arbiter, true);
        self
    }

    /// Lets `vary` change the configuration of each episode by the chance that it is given. Seed and drift are drawn after it.
    #[must_use]
    pub fn vary(mut self, vary: impl Fn(&mut Rng, &mut Setup) + Send + Sync + 'static) -> Self {
        self.vary = Some(Arc::new(vary));
        self
    }

    /// Another version of the program: faults are also injected into upgrades to it.
    #[must_use]
    pub fn successor<N>(mut self) -> Self
    where
        N: Successor<Input = P::Input, Output = P::Output, OldState = P::State>,
    {
        self.simulation.into_upgrade = Some(upgrade::inject::<P, N>);
        self
    }

    /// Injects nothing of a class, by its name in [`Class::ALL`], such as `"clock jump"`. All others are drawn as before.
    ///
    /// # Errors
    /// [`UnknownClass`], which names them all.
    pub fn without(mut self, class: &str) -> Result<Self, UnknownClass> {
        self.plan.without.add(without::named(class)?);
        Ok(self)
    }

    /// Injects into targets of this bench instead of simulated pairs. [`Bench::lend`] is called by as many threads as there are
    /// [`threads`](Self::threads).
    #[must_use]
    pub fn on(mut self, bench: impl Bench + Send + 'static) -> Self {
        self.bench = Some(Arc::new(bench));
        self
    }

    /// Switches a mechanism off: a negative control, whose claims must fail.
    #[must_use]
    pub fn off(mut self, mechanism: Mechanism) -> Self {
        self.plan.off = Some(mechanism);
        self
    }

    /// Runs the campaign again with each mechanism switched off in turn, until a claim fails. If no claim fails without a mechanism, the
    /// campaign itself fails: the faults that it is for do not occur, or nobody looks.
    ///
    /// These are up to 19 more runs, most of them short. They are for a test of some 60,000 cycles, not for millions of them.
    #[must_use]
    pub fn controls(mut self) -> Self {
        self.has_controls = true;
        self
    }

    /// Threads; all cores if not given.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The command line that runs this campaign, for the results' title and for how to replay an injection.
    #[must_use]
    pub fn command(mut self, command: &str) -> Self {
        self.command = Some(command.to_owned());
        self
    }

    /// Runs it.
    pub fn run(&self) -> Results {
        self.run_with(&|_| {})
    }

    /// Runs it, and says on the way how many cycles were simulated so far.
    pub fn run_with(&self, progress: &(dyn Fn(u64) + Sync)) -> Results {
        let mut shape = self.shape.clone();
        let absent = self.absent();
        let mut plan = self.plan;
        absent.iter().for_each(|class| plan.without.add(*class));
        let until = self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
        let ran = match self.calm(&mut shape) {
            Some(why) => Err(why),
            None => self.tally(&plan, (self.thread_count(), until), &|_| false, progress),
        };
        let (tally, unfit) = ran.map_or_else(|why| (Tally::default(), Some(why)), |tally| (tally, None));
        if self.seconds.is_some() {
            plan = plan.of_episodes(tally.episodes * u64::from(plan.shard.of));
        }
        let named = Plan { without: self.plan.without, ..plan };
        let mut results = Results::new(&named, core::any::type_name::<P>(), tally);
        results.made_of = self.made_of();
        results.absent =
            absent.iter().filter_map(|class| Class::ALL.get(*class)).map(|of| of.name.to_owned()).collect();
        (results.shape, results.unfit, results.command) = (shape, unfit, self.command.clone());
        (results.copy_cycles, results.scrub_cycles) = {
            let (shape, config) = (&results.shape, &self.setup.config);
            (shape.copy_cycles(config), shape.scrub_cycles(config))
        };
        // What fails with all mechanisms on would tell nothing.
        if self.has_controls && results.passed() {
            results.controls = self.missed(&results, &plan);
        }
        results
    }

    /// Does one injection, after those before it in its episode. The campaign must be the same: seed, configuration, line, arbiter,
    /// `vary`, successor, `without` and `off`. Cycles, shard and threads make no difference.
    pub fn replay(&self, index: u64) -> Replay {
        let mut replay = Replay::default();
        let number = index / MOST_INJECTIONS;
        let mut plan = self.plan;
        self.absent().into_iter().for_each(|class| plan.without.add(class));
        let stage = Stage { traced: Some(index), ..self.stage(&plan, number) };
        replay.text = format!("episode {number}: {:?}\n", stage.setup);
        let ran = episode::run(&stage, number, |done, after| {
            replay.add(done, &after, index);
            done.index < index
        });
        if let Err(why) = ran {
            replay.text += &why;
        } else if replay.kept.is_none() {
            replay.text += "the episode ends before that injection, or it is of a class that is left out\n";
        }
        replay
    }

    /// Runs one episode, counted from 0 over all shards, and hands out each injection; `false` from there ends it. Returns how many
    /// cycles were simulated.
    ///
    /// # Errors
    /// A text, if the pair cannot be simulated.
    pub fn episode(&self, number: u64, done: impl FnMut(&Done, After) -> bool) -> Result<u64, String> {
        let mut plan = self.plan;
        self.absent().into_iter().for_each(|class| plan.without.add(class));
        episode::run(&self.stage(&plan, number), number, done)
    }

    /// Returns the class of an injection.
    pub fn class(&self, index: u64) -> Option<&'static Class> {
        Class::ALL.get(self.plan.class(index))
    }

    /// What must be the same for shards to belong together, as a number.
    fn made_of(&self) -> u32 {
        let Self { setup, is_arbiter_fixed, shape, simulation, .. } = self;
        let (build, layout, upgrades) = (P::BUILD.number(), P::LAYOUT, simulation.into_upgrade.is_some());
        of_bytes(format!("{build} {layout} {setup:?} {is_arbiter_fixed} {upgrades} {shape:?}").as_bytes())
    }

    fn bench(&self) -> &dyn Bench {
        match &self.bench {
            Some(bench) => &**bench,
            None => &self.simulation,
        }
    }

    /// The places of classes that there are not for this program, or on this bench.
    fn absent(&self) -> Vec<usize> {
        let has_cold = !self.shape.never_written.is_empty();
        let is_absent = |class: &Class| match class.fault {
            Fault::Upgrade(_) if self.bench.is_none() && self.simulation.into_upgrade.is_none() => true,
            Fault::Latent if !has_cold => true,
            Fault::Misread | Fault::Unread | Fault::Mute
                if self.is_arbiter_fixed && matches!(self.setup.arbiter, ArbiterKind::Preferred(_)) =>
            {
                true
            }
            Fault::Flip(site) | Fault::Permanent(site) if self.has_nothing_at(site) => true,
            Fault::Sealed if P::OUTPUT_BYTES == 0 => true,
            _ => !self.bench().can(class),
        };
        (0..).zip(&Class::ALL).filter(|(_, class)| is_absent(class)).map(|(place, _)| place).collect()
    }

    fn has_nothing_at(&self, site: Site) -> bool {
        use Site::{AgreedInput, Checkpoint, Digest, FailingOutput, LastOutput, Marks, MySample, NextSample, Output};
        use Site::{PeerSample, Scrub, SpareSample, StuckOutput, Working};
        match site {
            Output | StuckOutput | FailingOutput | LastOutput => P::OUTPUT_BYTES == 0,
            AgreedInput | MySample | SpareSample | PeerSample | NextSample => P::INPUT_BYTES == 0,
            Working | Checkpoint | Digest | Marks | Scrub => self.shape.blocks == 0,
            _ => false,
        }
    }

    fn stage<'s>(&'s self, plan: &'s Plan, number: u64) -> Stage<'s> {
        let setup = self.setup_of(plan, number);
        let pace = Pace::new(&setup.config, &self.shape);
        Stage { bench: self.bench(), plan, setup, pace, shape: &self.shape, traced: None }
    }

    /// Draws the configuration of an episode.
    fn setup_of(&self, plan: &Plan, episode: u64) -> Setup {
        let mut rng = plan.chance_of_setup(episode);
        let drawn = match rng.u32(0..6) {
            0..3 => ArbiterKind::Relay { asks: 1 },
            3 => ArbiterKind::Relay { asks: 3 },
            4 => ArbiterKind::Preferred(ChannelId::A),
            _ => ArbiterKind::Preferred(ChannelId::B),
        };
        let arbiter = if self.is_arbiter_fixed { self.setup.arbiter } else { drawn };
        let mut setup = Setup { arbiter, link: LinkFaults::NONE, off: plan.off, ..self.setup };
        if let Some(vary) = &self.vary {
            vary(&mut rng, &mut setup);
        }
        setup.drift_ppm = [rng.i32(-200..=200), rng.i32(-200..=200)];
        Setup { seed: rng.u64(..), ..setup }
    }

    /// Looks at a pair without faults; says why there is no point in going on.
    fn calm(&self, shape: &mut Shape) -> Option<String> {
        if self.unfit.is_some() {
            return self.unfit.clone();
        }
        if !self.plan.shard.is_sound() {
            return Some(BadShard.to_string());
        }
        let mut memory = [Storage::new(), Storage::new()];
        let setup = Setup { drift_ppm: [50, -50], arbiter: ArbiterKind::Relay { asks: 1 }, ..self.setup };
        let mut pair = match Pair::<P>::new(&setup, &mut memory, (self.simulation.worlds)(self.plan.seed)) {
            Ok(pair) => pair,
            Err(error) => return Some(error.to_string()),
        };
        pair.run(CALM_PERIODS);
        let (report, view) = (pair.report(), Target::view(&pair));
        shape.exchange_us = report.longest_exchange_us;
        shape.window_left_us = i64::from(setup.config.vote_window_us) - report.longest_exchange_us.cast_signed();
        if view.is_in_duplex() {
            return None;
        }
        let sample = setup.line.transfer_us(bytes_on_line(shape.longest_frame_bytes));
        Some(format!(
            "without any fault it is not in duplex after {CALM_PERIODS} periods, but in {:?}; the longest frame takes {sample} us on \
             this line, and link_delay_us is {}",
            view.modes, setup.config.link_delay_us
        ))
    }

    fn thread_count(&self) -> usize {
        self.threads.or_else(|| Some(std::thread::available_parallelism().ok()?.get())).unwrap_or(1)
    }

    fn tally(
        &self,
        plan: &Plan,
        (threads, until): (usize, Option<Instant>),
        is_enough: &(dyn Fn(&Tally) -> bool + Sync),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Tally, String> {
        let work = Work {
            of_shard: &|at| plan.of_shard(at),
            episode: &|number, done| episode::run(&self.stage(plan, number), number, done),
            until,
            is_enough,
            progress,
        };
        workers::run(&work, threads)
    }

    /// Runs the controls; returns which claims failed with each mechanism off.
    fn missed(&self, results: &Results, plan: &Plan) -> std::collections::BTreeMap<String, Vec<String>> {
        let is_tried = |off: &Mechanism| {
            let needs_upgrades = *off == Mechanism::StepTwice;
            !mechanisms::is_for_second_faults(*off) && (!needs_upgrades || self.simulation.into_upgrade.is_some())
        };
        let failed_of = |tally: &Tally| {
            let results = Results { tally: tally.clone(), ..results.clone() };
            let failed = claims::harmless(&results).into_iter().filter(|claim| !claim.held);
            failed.map(|claim| claim.claim).collect::<Vec<_>>()
        };
        let control = |off: Mechanism| {
            let plan = Plan { off: Some(off), ..*plan };
            let is_enough = |tally: &Tally| tally.broken_total > 0 && !failed_of(tally).is_empty();
            // One thread, so that it ends with the same episode each time.
            let tally = self.tally(&plan, (1, None), &is_enough, &|_| {}).unwrap_or_default();
            (mechanisms::name(off), failed_of(&tally))
        };
        let tried: Vec<Mechanism> = mechanisms::ALL.into_iter().filter(is_tried).collect();
        let (next, found) = (AtomicUsize::new(0), Mutex::new(std::collections::BTreeMap::new()));
        std::thread::scope(|scope| {
            for _ in 0..self.thread_count() {
                scope.spawn(|| {
                    while let Some(off) = tried.get(next.fetch_add(1, Relaxed)) {
                        let (name, failed) = control(*off);
                        found.lock().unwrap_or_else(PoisonError::into_inner).insert(name, failed);
                    }
                });
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
