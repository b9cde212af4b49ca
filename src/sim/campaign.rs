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

use super::{ArbiterKind, LineModel, LinkFaults, Pair, Setup, Storage, World};
use crate::config::Config;
use crate::ids::ChannelId;
use crate::mechanism::Mechanism;
use crate::program::Program;
use crate::succession::Successor;
use episode::Stage;
use fastrand::Rng;
use plan::{MOST_INJECTIONS, Plan};
use simulated::Simulation;
use std::format;
use std::prelude::v1::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use without::Without;
use workers::Work;

/// A fault campaign over a program.
///
/// Build it, [`run`](Self::run) it, and let it [`assert_claims`](Results::assert_claims). The same seed gives the same results,
/// however many threads and shards there are.
///
/// ```
/// use twinstep::sim::{Campaign, LineModel};
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
/// let campaign = Campaign::<Counter>::new(Config::DEFAULT, sensor).cycles(2_000).seed(7);
/// let results = campaign.run();
/// assert_eq!(results.tally.row(&twinstep::sim::campaign::Class::ALL[0]).count(twinstep::sim::campaign::Outcome::Wrong), 0);
/// ```
pub struct Campaign<P: Program> {
    plan: Plan,
    setup: Setup,
    vary: Option<Arc<Vary>>,
    simulation: Simulation<P>,
    /// What is injected into, if that is not simulated.
    bench: Option<Arc<dyn Bench + Send + Sync>>,
    shape: Shape,
    has_controls: bool,
    threads: Option<usize>,
    seconds: Option<u32>,
    command: Option<String>,
    is_arbiter_fixed: bool,
}

type Vary = dyn Fn(&mut Rng, &mut Setup) + Send + Sync;

/// Cycles of the calm pair that is looked at before any fault.
const CALM_PERIODS: u32 = 60;

impl<P: Program + 'static> Campaign<P> {
    /// Makes a campaign of a program in this configuration. `world` makes what a pair samples and drives, of its seed.
    ///
    /// 200,000 cycles of seed 1 are simulated if nothing else is said, on [`LineModel::UART_115200`], with one of the simulation's
    /// arbiters drawn for each pair, and clocks up to 200 millionths off.
    pub fn new<W: World<P> + 'static>(config: Config, world: impl Fn(u64) -> W + Send + Sync + 'static) -> Self {
        let config = Config { nonce: if config.nonce == 0 { 1 } else { config.nonce }, ..config };
        let simulation: Simulation<P> =
            Simulation { worlds: Arc::new(move |seed| Box::new(world(seed))), into_upgrade: None };
        let shape = Shape::of::<P>(&config, (simulation.worlds)(0));
        let plan = Plan {
            seed: 1,
            cycles: 200_000,
            shard: Shard::WHOLE,
            off: None,
            without: Without::NOTHING,
            episode_cycles: Pace::new(&config, &shape).episode_cycles,
        };
        let setup = Setup { config, ..Setup::default() };
        Self {
            plan,
            setup,
            vary: None,
            simulation,
            bench: None,
            shape,
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

    /// Begins no more episodes once this time is up. How many cycles that came to stands in the results, to repeat them. So many
    /// are run in any case that every class of faults comes.
    #[must_use]
    pub fn seconds(mut self, seconds: u32) -> Self {
        (self.seconds, self.plan.cycles) = (Some(seconds), u64::MAX / 4);
        self
    }

    /// All chance comes from it.
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

    /// The arbiter of every pair.
    #[must_use]
    pub fn arbiter(mut self, arbiter: ArbiterKind) -> Self {
        (self.setup.arbiter, self.is_arbiter_fixed) = (arbiter, true);
        self
    }

    /// Lets `vary` change the configuration of each episode by the chance that it is given.
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

    /// Injects nothing of a class, by its name in the table. All others are drawn as before.
    ///
    /// # Errors
    /// [`UnknownClass`], which names them all.
    pub fn without(mut self, class: &str) -> Result<Self, UnknownClass> {
        self.plan.without.add(without::named(class)?);
        Ok(self)
    }

    /// Injects into targets of this bench instead of simulated pairs.
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

    /// Runs the campaign again with each mechanism switched off in turn, until a claim fails. One of which none fails is a failed
    /// claim of the whole: its faults do not come about, or nobody looks.
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
        let ran = match self.calm(&mut shape) {
            Some(why) => Err(why),
            None => self.tally(&plan, &|_| false, progress),
        };
        let (tally, unfit) = ran.map_or_else(|why| (Tally::default(), Some(why)), |tally| (tally, None));
        if self.seconds.is_some() {
            plan = plan.of_episodes(tally.episodes);
        }
        let named = Plan { without: self.plan.without, ..plan };
        let mut results = Results::new(&named, core::any::type_name::<P>(), tally);
        results.absent =
            absent.iter().filter_map(|class| Class::ALL.get(*class)).map(|of| of.name.to_owned()).collect();
        (results.shape, results.unfit, results.command) = (shape, unfit, self.command.clone());
        if self.has_controls && results.unfit.is_none() {
            results.controls = self.missed(&results, &plan);
        }
        results
    }

    /// Does one injection, after those before it in its episode.
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
            Fault::Upgrade(_) if self.simulation.into_upgrade.is_none() => true,
            Fault::Latent if !has_cold => true,
            _ => !self.bench().can(class),
        };
        (0..).zip(&Class::ALL).filter(|(_, class)| is_absent(class)).map(|(place, _)| place).collect()
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
        (!view.is_in_duplex()).then(|| {
            format!("without any fault it is not in duplex after {CALM_PERIODS} periods, but in {:?}", view.modes)
        })
    }

    fn tally(
        &self,
        plan: &Plan,
        is_enough: &(dyn Fn(&Tally) -> bool + Sync),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Tally, String> {
        let threads = self.threads.or_else(|| Some(std::thread::available_parallelism().ok()?.get())).unwrap_or(1);
        let until = self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
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
        let failed_of = |tally: Tally| {
            let results = Results { tally, controls: std::collections::BTreeMap::new(), ..results.clone() };
            // That it injects less is no proof.
            let is_harm = |claim: &String| !claim.starts_with("every class") && !claim.starts_with("faults were");
            results.failed().into_iter().filter(is_harm).collect::<Vec<_>>()
        };
        let control = |off: Mechanism| {
            let plan = Plan { off: Some(off), ..*plan };
            let is_enough = |tally: &Tally| tally.broken_total > 0 && !failed_of(tally.clone()).is_empty();
            let tally = self.tally(&plan, &is_enough, &|_| {}).unwrap_or_default();
            (mechanisms::name(off), failed_of(tally))
        };
        mechanisms::ALL.into_iter().filter(is_tried).map(control).collect()
    }
}
