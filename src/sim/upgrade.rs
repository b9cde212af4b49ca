//! Two versions of a program in virtual time: a pair whose halves restart into new images and back.
//!
//! As [`Pair`](super::Pair), with what an upgrade adds: each half has images that a bootloader would choose from,
//! and a second version of the program. The oracle runs both versions beside the pair and knows which one may drive.

mod faults;
mod half;
mod images;
mod judge;
mod only;
mod traced;
mod turn;

pub use half::{Half, Version};
pub use images::{Bootloader, Image};
pub use judge::TwoOracles;
use only::OnlyHalf;

use super::arbiter::SimArbiter;
use super::checks::{Broken, Checks};
use super::clock::Clock;
use super::failure::Failure;
use super::line::Line;
use super::pair::{CHANNELS, Moment, World};
use super::report::Report;
use super::sending::{LOOK_AGAIN_US, Sending};
use super::setup::Setup;
use super::storage::Storage;
use super::trace::{Traced, TracedEvent};
use crate::config::ConfigError;
use crate::ids::{ChannelId, Cycle, Instant, PairId};
use crate::mode::Mode;
use crate::node::Site;
use crate::program::Program;
use crate::succession::Successor;
use crate::upgrade::{Duty, Order, Ordered, Refusal, Status};
use fastrand::Rng;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

/// Memory of both halves, for either version.
pub struct Memories<O: Program, N: Program> {
    old: [Storage<O::State>; 2],
    new: [Storage<N::State>; 2],
}

impl<O: Program, N: Program> Memories<O, N> {
    /// Allocates zeroed memory.
    pub fn new() -> Self {
        Self { old: [Storage::new(), Storage::new()], new: [Storage::new(), Storage::new()] }
    }
}

impl<O: Program, N: Program> Default for Memories<O, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A simulated pair of two versions `O` and `N` of one program. `J` is what the new version should be, by which outputs
/// are judged: another one than `N` if that has a mistake.
pub struct UpgradePair<'m, O: Program, N: Program, J: Program = N> {
    setup: Setup,
    rng: Rng,
    pair: PairId,
    /// True time in microseconds.
    now: u64,
    halves: [Option<Half<'m, O, N>>; 2],
    memory: [half::Spare<'m, O, N>; 2],
    loaders: [Bootloader; 2],
    arbiters: [SimArbiter; 2],
    clocks: [Clock; 2],
    line: Line,
    is_cut: bool,
    nonces: [u32; 2],
    /// When a half that is off boots again by itself.
    boots_at: [Option<u64>; 2],
    /// Bytes that a channel still sends before it stops.
    failing: [Option<(u64, Failure)>; 2],
    hung_until: [Option<u64>; 2],
    /// What is left of a turn whose channel waits for its UART.
    sending: [Option<Sending<O::Output>>; 2],
    /// How often each half died at a byte.
    deaths: [u32; 2],
    flipping: [Option<(Moment, Site, usize)>; 2],
    /// Time a restart takes.
    restart_us: u64,
    /// Time it takes to mark an image, and since when a half waits for it.
    marking_us: u64,
    marking_since: [Option<u64>; 2],
    /// A half that cannot start its candidate: the bootloader falls back.
    has_bad_image: [bool; 2],
    oracle: TwoOracles<O, J>,
    driven_at: Option<u64>,
    only: OnlyHalf,
    trace: Option<Vec<Traced>>,
    /// What the program said as it panicked last.
    last_crash: Option<String>,
    /// Looks at the halves after each of their calls.
    checks: Option<Box<Checks>>,
    /// Each cycle that was driven and by which version, the last ones.
    driven: Vec<(Cycle, ChannelId, Version)>,
    report: Report,
    world: Box<dyn World<O> + 'm>,
}

impl<'m, O, N, J> UpgradePair<'m, O, N, J>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
    J: Successor<Input = O::Input, Output = O::Output, OldState = O::State, State = N::State>,
{
    /// Makes a pair that runs the old version on both halves, with the new one as the candidate of each.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`Node::new`](crate::Node::new).
    pub fn new(setup: &Setup, memory: &'m mut Memories<O, N>, world: impl World<O> + 'm) -> Result<Self, ConfigError> {
        let mut rng = Rng::with_seed(setup.seed);
        let pair = PairId(rng.u32(..));
        let ([old_a, old_b], [new_a, new_b]) = (&mut memory.old, &mut memory.new);
        let mut made = Self {
            setup: *setup,
            pair,
            now: 0,
            halves: [None, None],
            memory: [half::Spare::new(old_a.cells(), new_a.cells()), half::Spare::new(old_b.cells(), new_b.cells())],
            loaders: [Bootloader::new(O::VERSION); 2],
            arbiters: SimArbiter::pair(setup.arbiter),
            clocks: setup.drift_ppm.map(|drift_ppm| Clock::new(rng.u64(0..1 << 40), drift_ppm)),
            line: Line::new(setup.line),
            is_cut: false,
            nonces: [0; 2],
            boots_at: [None; 2],
            failing: [None; 2],
            hung_until: [None; 2],
            sending: [None, None],
            deaths: [0; 2],
            flipping: [None; 2],
            restart_us: 3 * u64::from(setup.config.period_us),
            marking_us: 0,
            marking_since: [None; 2],
            has_bad_image: [false; 2],
            oracle: TwoOracles::new(),
            driven_at: None,
            only: OnlyHalf::default(),
            trace: None,
            last_crash: None,
            checks: None,
            driven: Vec::new(),
            report: Report::default(),
            world: Box::new(world),
            rng,
        };
        for channel in CHANNELS {
            made.boot(channel)?;
        }
        Ok(made)
    }

    /// Runs for this many periods of true time.
    pub fn run(&mut self, periods: u32) {
        self.run_until(self.now + u64::from(periods) * u64::from(self.setup.config.period_us));
    }

    /// Runs for a time.
    pub fn run_us(&mut self, span_us: u64) {
        self.run_until(self.now + span_us);
    }

    /// Returns a living half, to look at it.
    pub fn half(&self, channel: ChannelId) -> Option<&Half<'m, O, N>> {
        self.halves[channel.index()].as_ref()
    }

    /// Returns a living half, for instance to hand it a frame.
    pub fn half_mut(&mut self, channel: ChannelId) -> Option<&mut Half<'m, O, N>> {
        if let Some(checks) = &mut self.checks {
            checks.suspect(channel); // whoever holds it may damage it
        }
        self.halves[channel.index()].as_mut()
    }

    /// Returns a channel's mode; `None` if it is dead.
    pub fn mode(&self, channel: ChannelId) -> Option<Mode> {
        self.halves[channel.index()].as_ref().map(Half::mode)
    }

    /// Returns the version that runs; `None` if the half is off.
    pub fn version(&self, channel: ChannelId) -> Option<Version> {
        self.halves[channel.index()].as_ref().map(Half::version)
    }

    /// Returns how the upgrade stands on a half.
    pub fn status(&self, channel: ChannelId) -> Option<Status> {
        self.halves[channel.index()].as_ref().map(Half::status)
    }

    /// Gives an order on a half.
    ///
    /// # Errors
    /// [`Refusal`], also if the half is off.
    pub fn order(&mut self, channel: ChannelId, order: Order) -> Result<Ordered, Refusal> {
        let now = self.local_time(channel);
        self.halves[channel.index()].as_mut().map_or(Err(Refusal::NoOwner), |half| half.order(now, order))
    }

    /// Returns the channel that owns the outputs, if any.
    pub fn owner(&self) -> Option<ChannelId> {
        CHANNELS.into_iter().find(|channel| self.owns(*channel))
    }

    /// Returns the last cycle that reached the actuator.
    pub fn latest(&self) -> Cycle {
        self.oracle.latest()
    }

    /// Returns the last cycles that were driven, and by whom.
    pub fn driven(&self) -> &[(Cycle, ChannelId, Version)] {
        &self.driven
    }

    /// Returns a half's bootloader.
    pub fn loader(&self, channel: ChannelId) -> &Bootloader {
        &self.loaders[channel.index()]
    }

    /// Says that the candidate of a half does not start: its bootloader falls back.
    pub fn spoil_candidate(&mut self, channel: ChannelId) {
        self.has_bad_image[channel.index()] = true;
    }

    /// Says how long it takes to mark an image as confirmed, or older ones as refused; at first no time at all.
    pub fn let_marking_take(&mut self, us: u64) {
        self.marking_us = us;
    }

    /// Hands out what the program said as it panicked last.
    pub fn take_crash(&mut self) -> Option<String> {
        self.last_crash.take()
    }

    /// Looks at a half after each of its calls for what must hold of it, from now on or no longer.
    pub fn check_invariants(&mut self, is_on: bool) {
        self.checks = is_on.then(Box::default);
    }

    /// Hands out the first invariant that was broken since the last time.
    pub fn take_broken(&mut self) -> Option<Broken> {
        self.checks.as_mut()?.take()
    }

    /// Returns what the run came to so far.
    pub fn report(&self) -> Report {
        let mut report = self.report;
        report.broken_invariants = self.checks.as_ref().map_or(0, |checks| checks.count);
        for half in self.halves.iter().flatten() {
            half.count(&mut report);
        }
        report
    }

    /// Returns the true time since the pair was made.
    pub fn elapsed_us(&self) -> u64 {
        self.now
    }

    /// Returns what a channel's clock shows.
    pub fn local_time(&self, channel: ChannelId) -> Instant {
        self.clocks[channel.index()].shows(self.now)
    }

    /// Boots a half that is off, in the image that its bootloader chooses.
    fn boot(&mut self, channel: ChannelId) -> Result<(), ConfigError> {
        let at = channel.index();
        self.nonces[at] = self.rng.u32(1..);
        let starts = !self.has_bad_image[at];
        let version = self.loaders[at].choose(starts);
        self.memory[at].scramble(|| self.rng.u8(..));
        let half =
            self.memory[at].boot(channel, version, &self.setup, self.pair, self.nonces[at], &self.loaders[at])?;
        self.halves[at] = Some(half);
        if let Some(checks) = &mut self.checks {
            checks.forget(channel);
        }
        self.trace_it(channel, || TracedEvent::Became(std::format!("on, in the {version:?} version")));
        Ok(())
    }

    fn run_until(&mut self, end: u64) {
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            for channel in CHANNELS {
                let at = channel.index();
                if self.boots_at[at].take_if(|boots_at| self.now >= *boots_at).is_some() {
                    self.boot(channel).expect("it was configured alike before");
                }
                self.turn(channel);
                self.do_duty(channel);
            }
            self.observe();
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<u64> {
        let of = |channel: ChannelId| {
            let at = channel.index();
            let Some(half) = &self.halves[at] else { return self.boots_at[at] };
            if let Some(until) = self.hung_until[at] {
                return Some(until.max(self.now + 1));
            }
            if let Some(sending) = &self.sending[at] {
                return sending.busy_until();
            }
            let soonest = self.now + if self.is_late(channel) { LOOK_AGAIN_US } else { 1 };
            let wake = half.poll_timeout().map(|wake| self.clocks[at].true_time(wake).max(soonest));
            let start = self.clocks[at].true_time(half.next_start()).max(self.now + 1);
            [wake, Some(start), self.line.towards[at].next_at()].into_iter().flatten().min()
        };
        CHANNELS.into_iter().filter_map(of).min()
    }

    /// Does what a half asks its firmware for.
    fn do_duty(&mut self, channel: ChannelId) {
        let (at, local) = (channel.index(), self.local_time(channel));
        if self.hung_until[at].is_some() || self.sending[at].is_some() {
            return;
        }
        let Some(half) = self.halves[at].as_mut() else { return };
        let duty = half.duty();
        if matches!(duty, Some(Duty::Confirm | Duty::RaiseFloor)) {
            let since = *self.marking_since[at].get_or_insert(self.now);
            if self.now < since + self.marking_us {
                return;
            }
        }
        self.marking_since[at] = None;
        match duty {
            None => return,
            Some(Duty::Confirm) => {
                self.loaders[at].confirm();
                return half.image_confirmed();
            }
            Some(Duty::RaiseFloor) => {
                self.loaders[at].raise_floor();
                return half.floor_raised();
            }
            Some(Duty::RestartIntoNew) if !self.loaders[at].mark(N::VERSION) => return half.restart_failed(local),
            Some(Duty::RestartIntoNew) => {}
            Some(Duty::RestartIntoOld) if !self.loaders[at].revert() => return half.restart_failed(local),
            Some(Duty::RestartIntoOld) => {}
        }
        // The word that this channel leaves is out by now.
        if half.transmit_is_done(local) {
            let failing = self.failing[at];
            self.trace_journal(channel);
            self.switch_off(channel);
            self.failing[at] = failing;
            self.boots_at[at] = Some(self.now + self.restart_us);
        }
    }

    /// Looks at both halves for what must never be.
    fn observe(&mut self) {
        CHANNELS.into_iter().for_each(|channel| self.trace_journal(channel));
        self.look_for_the_only();
        let living = || self.halves.iter().flatten();
        let begins = living().any(|half| half.mode().serves()) && living().all(Half::is_empty);
        if begins && self.oracle.forget_state() {
            self.report.states_lost += 1;
            self.driven_at = None;
        }
        let owners = CHANNELS.into_iter().filter(|channel| self.owns(*channel)).count();
        self.report.owners_max = self.report.owners_max.max(owners as u32);
        self.oracle.observe(&self.halves);
    }

    fn owns(&self, channel: ChannelId) -> bool {
        let at = channel.index();
        self.halves[at].as_ref().is_some_and(|half| {
            let epoch = half.epoch();
            half.has_sound_control() && half.leads() && self.arbiters[at].lets_through(epoch, channel)
        })
    }
}
