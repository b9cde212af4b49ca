//! Two nodes in virtual time.

mod faults;
mod going_back;
mod hook;
mod rest;
mod sample_times;
mod traced;
mod turn;

pub use faults::Moment;
pub use hook::CallPoint;

pub(super) use faults::flip_if_due;

use super::arbiter::SimArbiter;
use super::checks::{Broken, Checks};
use super::clock::Clock;
use super::failure::{Failure, Hung};
use super::line::Line;
use super::oracle::Oracle;
use super::report::{Report, count};
use super::sending::Sending;
use super::setup::Setup;
use super::storage::Storage;
use super::trace::Traced;
use super::votes::VoteTap;
use crate::config::{Config, ConfigError};
use crate::ids::{ChannelId, Cycle, Instant, PairId};
use crate::mechanism::Mechanism;
use crate::memory::Cells;
use crate::mode::Mode;
use crate::node::{Node, Site};
use crate::program::Program;
use crate::wire::{Kind, MAX_FRAME_BYTES};
use fastrand::Rng;
use hook::Hook;
use rest::Rest;
use sample_times::SampleTimes;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

/// A simulated pair: two real nodes, a link, an arbiter, and the oracle.
pub struct Pair<'m, P: Program> {
    setup: Setup,
    rng: Rng,
    /// True time in microseconds.
    now: u64,
    nodes: [Option<Node<'m, P>>; 2],
    arbiters: [SimArbiter; 2],
    clocks: [Clock; 2],
    line: Line,
    is_cut: bool,
    oracle: Oracle<P>,
    votes: VoteTap,
    /// The modes when they were last looked at.
    modes: [Option<Mode>; 2],
    /// Memory of dead channels.
    spare: [Option<Cells<'m, P::State>>; 2],
    /// The channel that dies with this frame.
    doomed: Option<(ChannelId, u64)>,
    /// Bytes that a channel still sends before it stops.
    failing: [Option<(u64, Failure)>; 2],
    hung: [Option<Hung<P::Output>>; 2],
    /// What is left of a turn whose channel waits for its UART.
    sending: [Option<Sending<P::Output>>; 2],
    /// How a channel waits, as far as that is known.
    rests: [Option<Rest>; 2],
    /// The bit to be flipped within a channel's turn.
    flipping: [Option<(Moment, Site, usize)>; 2],
    hook: Option<Hook<'m, P>>,
    nonces: [u32; 2],
    trace: Option<Vec<Traced>>,
    frames_sent: u64,
    /// A frame of this kind is lost next.
    losing: Option<Kind>,
    /// What is done to the next output that a channel releases, between vote and actuator.
    damage: [Option<Damage<'m, P>>; 2],
    /// When each channel began its cycle.
    started_at: [u64; 2],
    /// When each channel fixed its sample of a cycle, of the last cycles.
    sampled_at: [SampleTimes; 2],
    /// What the program said as it panicked last.
    last_crash: Option<String>,
    /// Looks at the channels after each of their calls.
    checks: Option<Box<Checks>>,
    /// When an output last reached the actuator.
    driven_at: Option<u64>,
    /// Memory for the canonical bytes of an output, and for a frame.
    driven: Vec<u8>,
    buffer: Box<[u8; MAX_FRAME_BYTES]>,
    /// Blocks that a channel sent in a cycle.
    blocks_sent: [(u32, u32); 2],
    pair: PairId,
    report: Report,
    world: Box<dyn World<P> + 'm>,
}

type Damage<'m, P> = Box<dyn Fn(&mut <P as Program>::Output) + 'm>;

/// What a pair samples and drives. A closure `|channel, cycle| -> Input` is a world in
/// which outputs have no effect.
///
/// A loop is closed by a plant that the outputs move and the samples read: here a tank whose drain is held by the program,
/// and whose level stays within its limits though a channel dies.
///
/// ```
/// use std::cell::Cell;
/// use twinstep::sim::{Pair, Setup, Storage, World};
/// use twinstep::{Agreement, Build, ChannelId, ConfigError, Cycle, Program, Tracked};
///
/// struct Drain;
///
/// impl Program for Drain {
///     type Input = i32; // the level, in millimetres
///     type Output = i32; // how far the drain is open, in per mille
///     type State = i32; // the sum of all errors
///     const SAFE: i32 = 1_000;
///     const VERSION: u32 = 1;
///     const BUILD: Build = Build::new(1);
///
///     fn agree(a: &i32, b: &i32) -> Agreement<i32> {
///         Agreement::on(i32::midpoint(*a, *b))
///     }
///
///     fn step(_: Cycle, sum: &mut Tracked<i32>, level: &i32) -> i32 {
///         let error = level - 500;
///         sum.update(|s| s, |sum| (sum + error).clamp(-4_000, 4_000));
///         (4 * error + **sum / 4).clamp(0, 1_000)
///     }
/// }
///
/// struct Tank<'c> {
///     cycle: Cycle,
///     level: i32,
///     drain: i32,
///     /// The lowest and the highest level so far.
///     range: &'c Cell<(i32, i32)>,
/// }
///
/// impl World<Drain> for Tank<'_> {
///     fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> i32 {
///         // Both channels sample in a cycle; in each one 12 mm flow in, and up to 20 mm flow out.
///         if cycle.since(self.cycle) > 0 {
///             self.cycle = cycle;
///             self.level += 12 - self.drain / 50;
///             let (lowest, highest) = self.range.get();
///             self.range.set((lowest.min(self.level), highest.max(self.level)));
///         }
///         self.level + channel.index() as i32 // two sensors are never quite alike
///     }
///
///     fn drive(&mut self, _: ChannelId, _: Cycle, drain: &i32) {
///         self.drain = *drain;
///     }
/// }
///
/// let range = Cell::new((400, 400));
/// let mut memory = [Storage::new(), Storage::new()];
/// let tank = Tank { cycle: Cycle(0), level: 400, drain: 0, range: &range };
/// let mut pair = Pair::<Drain>::new(&Setup::default(), &mut memory, tank)?;
/// pair.run(200);
/// range.set((500, 500));
/// pair.kill(ChannelId::A);
/// pair.run(100);
/// pair.restart(ChannelId::A);
/// pair.run(100);
/// let (lowest, highest) = range.get();
/// assert!(lowest >= 480 && highest <= 520, "{lowest} mm to {highest} mm");
/// assert_eq!((pair.report().wrong, pair.report().missing, pair.report().takeovers), (0, 0, 1));
/// # Ok::<(), ConfigError>(())
/// ```
pub trait World<P: Program> {
    /// Returns what `channel` reads at the start of `cycle`. Each channel is asked at its own time, also one that does not serve.
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> P::Input;

    /// Takes a voted output that `channel` drives. A cycle may come twice. When nobody has the state any more, cycles begin with 1
    /// again. In the safe state, and where an output is found damaged, nothing comes.
    fn drive(&mut self, channel: ChannelId, cycle: Cycle, output: &P::Output) {
        let _ = (channel, cycle, output);
    }
}

impl<P: Program, F: FnMut(ChannelId, Cycle) -> P::Input> World<P> for F {
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> P::Input {
        self(channel, cycle)
    }
}

impl<P: Program> World<P> for Box<dyn World<P>> {
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> P::Input {
        (**self).sample(channel, cycle)
    }

    fn drive(&mut self, channel: ChannelId, cycle: Cycle, output: &P::Output) {
        (**self).drive(channel, cycle, output);
    }
}

pub(super) const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

fn boot<'m, P: Program>(
    me: ChannelId,
    cells: Cells<'m, P::State>,
    setup: &Setup,
    pair: PairId,
    nonce: u32,
) -> Result<Node<'m, P>, ConfigError> {
    let config = Config { pair, nonce, ..setup.config };
    let mut node = Node::new(me, cells, config)?;
    if let Some(mechanism) = setup.off {
        node.switch_off(mechanism);
    }
    Ok(node)
}

impl<'m, P: Program> Pair<'m, P> {
    /// Makes a pair whose channels read their samples from `world`.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`Node::new`].
    pub fn new(
        setup: &Setup,
        memory: &'m mut [Storage<P::State>; 2],
        world: impl World<P> + 'm,
    ) -> Result<Self, ConfigError> {
        let mut rng = Rng::with_seed(setup.seed);
        let pair = PairId(rng.u32(..));
        let [a, b] = memory;
        let nonces = [rng.u32(1..), rng.u32(1..)];
        let nodes = [
            Some(boot(ChannelId::A, a.cells(), setup, pair, nonces[0])?),
            Some(boot(ChannelId::B, b.cells(), setup, pair, nonces[1])?),
        ];
        Ok(Self {
            setup: *setup,
            nodes,
            modes: [None; 2],
            spare: [None, None],
            doomed: None,
            frames_sent: 0,
            losing: None,
            damage: [None, None],
            started_at: [0; 2],
            sampled_at: [SampleTimes::default(); 2],
            last_crash: None,
            checks: None,
            driven_at: None,
            driven: Vec::new(),
            buffer: Box::new([0; MAX_FRAME_BYTES]),
            blocks_sent: [(0, 0); 2],
            pair,
            now: 0,
            arbiters: SimArbiter::pair(setup.arbiter),
            clocks: setup.drift_ppm.map(|drift_ppm| Clock::new(rng.u64(0..1 << 40), drift_ppm)),
            line: Line::new(setup.line),
            failing: [None; 2],
            hung: [None, None],
            sending: [None, None],
            rests: [None; 2],
            flipping: [None; 2],
            hook: None,
            nonces,
            trace: None,
            is_cut: false,
            oracle: Oracle::new(),
            votes: VoteTap::default(),
            report: Report::default(),
            world: Box::new(world),
            rng,
        })
    }

    /// Runs for this many periods of true time.
    pub fn run(&mut self, periods: u32) {
        let end = self.now + u64::from(periods) * u64::from(self.setup.config.period_us);
        self.run_until(end);
    }

    /// Runs for a time.
    pub fn run_us(&mut self, span_us: u64) {
        self.run_until(self.now + span_us);
    }

    /// Whether a living channel hangs.
    pub fn hangs(&self, channel: ChannelId) -> bool {
        self.hung[channel.index()].is_some()
    }

    /// Whether a channel has settled the cycle that reached the actuator last.
    pub fn is_at_rest(&self, channel: ChannelId) -> bool {
        let node = self.nodes[channel.index()].as_ref();
        node.is_some_and(|node| node.settled_cycle() == Some(self.oracle.latest()))
    }

    /// Whether the state of a channel at rest is the one that the program makes of all inputs so far.
    pub fn has_right_state(&self, channel: ChannelId) -> bool {
        self.nodes[channel.index()].as_ref().is_some_and(|node| self.oracle.holds(node.state()))
    }

    /// Whether the memory of a channel at rest is undamaged: both copies, their digests and the sum.
    pub fn has_sound_memory(&mut self, channel: ChannelId) -> bool {
        self.nodes[channel.index()].as_mut().is_some_and(|node| node.memory().is_sound())
    }

    /// Looks at a channel after each of its calls for what must hold of it, from now on or no longer.
    pub fn check_invariants(&mut self, is_on: bool) {
        self.checks = is_on.then(Box::default);
    }

    /// Hands out the first invariant that was broken since the last time.
    pub fn take_broken(&mut self) -> Option<Broken> {
        self.checks.as_mut()?.take()
    }

    fn suspect(&mut self, channel: ChannelId) {
        if let Some(checks) = &mut self.checks {
            checks.suspect(channel);
        }
    }

    /// Returns the true time since the pair was made.
    pub fn elapsed_us(&self) -> u64 {
        self.now
    }

    /// Returns the true time until a channel's next start.
    pub fn until_start_us(&self, channel: ChannelId) -> Option<u64> {
        let start = self.nodes[channel.index()].as_ref()?.next_start();
        Some(self.clocks[channel.index()].true_time(start).saturating_sub(self.now))
    }

    /// Returns the last cycle that reached the actuator.
    pub fn latest(&self) -> Cycle {
        self.oracle.latest()
    }

    /// Returns how many bytes a channel has given to its UART, with the framing.
    pub fn sent_bytes(&self, channel: ChannelId) -> u64 {
        self.line.sent_bytes[channel.index()]
    }

    /// Returns how many frames both channels have sent.
    pub fn frames_sent(&self) -> u64 {
        self.frames_sent
    }

    /// Returns a living channel, to look at it.
    pub fn node(&self, channel: ChannelId) -> Option<&Node<'m, P>> {
        self.nodes[channel.index()].as_ref()
    }

    /// Returns a living channel, for instance to inject a fault.
    pub fn node_mut(&mut self, channel: ChannelId) -> Option<&mut Node<'m, P>> {
        self.rests[channel.index()] = None;
        self.suspect(channel); // whoever holds it may damage it
        self.nodes[channel.index()].as_mut()
    }

    /// Hands out what the program said as it panicked last.
    pub fn take_crash(&mut self) -> Option<String> {
        self.last_crash.take()
    }

    /// Returns the cycle that a channel is in; `None` if it is dead.
    pub fn cycle(&self, channel: ChannelId) -> Option<Cycle> {
        self.nodes[channel.index()].as_ref().map(Node::cycle)
    }

    /// Returns a channel's mode; `None` if it is dead.
    pub fn mode(&self, channel: ChannelId) -> Option<Mode> {
        self.nodes[channel.index()].as_ref().map(Node::mode)
    }

    /// Returns the votes that were sent.
    pub fn votes(&self) -> &VoteTap {
        &self.votes
    }

    /// Returns the channel that owns the outputs, if any.
    pub fn owner(&self) -> Option<ChannelId> {
        CHANNELS.into_iter().find(|channel| self.owns(*channel))
    }

    /// Returns what the run came to so far.
    pub fn report(&self) -> Report {
        let mut report = self.report;
        for node in self.nodes.iter().flatten() {
            count(&mut report, node.counters());
        }
        report.broken_invariants = self.checks.as_ref().map_or(0, |checks| checks.count);
        (report.carried_bytes, report.damaged_bytes) = (self.line.carried, self.line.damaged);
        report
    }

    fn run_until(&mut self, end: u64) {
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            for channel in CHANNELS {
                self.turn(channel);
            }
            self.observe();
        }
        self.now = end;
    }

    /// Returns the true time of the next thing to happen.
    fn next_event(&mut self) -> Option<u64> {
        let mut next = u64::MAX;
        for channel in CHANNELS {
            let at = channel.index();
            let wake = match (&self.nodes[at], &self.hung[at], &self.sending[at]) {
                (None, ..) => None,
                (_, Some(hung), _) => hung.until.map(|until| until.max(self.now + 1)),
                (_, None, Some(sending)) => sending.busy_until(),
                (_, None, None) => self.wakes_at(channel),
            };
            next = wake.map_or(next, |wake| wake.min(next));
        }
        (next < u64::MAX).then_some(next)
    }

    /// Looks at both channels for what must never be.
    fn observe(&mut self) {
        // A channel in the middle of a turn has yet to drive what it decided on in the mode before.
        for channel in CHANNELS.into_iter().filter(|channel| self.sending[channel.index()].is_none()) {
            self.modes[channel.index()] = self.mode(channel);
        }
        // A channel that serves its first cycle though the pair was further: it begins anew.
        let living = || self.nodes.iter().flatten();
        let begins = living().any(|node| node.mode().serves()) && living().all(Node::is_empty);
        if begins && self.oracle.forget_state() {
            self.report.states_lost += 1;
            self.driven_at = None;
        }
        // What a flipped bit says of the epoch is mended before anything is driven by it.
        if CHANNELS.into_iter().filter(|channel| self.seems_to_own(*channel)).count() > self.report.owners_max as usize
        {
            let owners = CHANNELS.into_iter().filter(|channel| self.owns(*channel)).count();
            self.report.owners_max = self.report.owners_max.max(owners as u32);
        }
        if let [Some(a), Some(b)] = &self.nodes {
            let settled = a.settled_cycle().is_some() && a.settled_cycle() == b.settled_cycle();
            let duplex = a.mode() == Mode::Duplex && b.mode() == Mode::Duplex && a.epoch() == b.epoch();
            self.report.incongruent += u32::from(duplex && settled && a.state_digest() != b.state_digest());
        }
    }

    fn owns(&self, channel: ChannelId) -> bool {
        self.seems_to_own(channel) && self.nodes[channel.index()].as_ref().is_some_and(Node::has_sound_control)
    }

    /// Whether a channel owns by what it says of itself, which a bit may have flipped in.
    fn seems_to_own(&self, channel: ChannelId) -> bool {
        let at = channel.index();
        self.nodes[at].as_ref().is_some_and(|node| {
            let unchecked = self.setup.off == Some(Mechanism::Lease);
            node.epoch().owner() == channel
                && node.mode().serves()
                && (unchecked || self.arbiters[at].lets_through(node.epoch(), channel))
        })
    }

    /// Returns what a channel's clock shows.
    pub fn local_time(&self, channel: ChannelId) -> Instant {
        self.clocks[channel.index()].shows(self.now)
    }
}
