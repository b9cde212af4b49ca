//! Two nodes in virtual time.

mod faults;
mod going_back;
mod traced;

pub use faults::Moment;

pub(super) use faults::flip_if_due;

use super::arbiter::{ArbiterKind, SimArbiter};
use super::clock::Clock;
use super::disturbance::Secrets;
use super::failure::{Failure, Hung};
use super::line::Line;
use super::link::LinkFaults;
use super::oracle::{Judgement, Oracle, encoded};
use super::report::{Report, count};
use super::storage::Storage;
use super::trace::{Traced, TracedEvent};
use super::votes::VoteTap;
use crate::config::{Config, ConfigError};
use crate::ids::{ChannelId, Cycle, Instant, PairId};
use crate::mechanism::Mechanism;
use crate::memory::Cells;
use crate::mode::Mode;
use crate::node::{Begun, Node, Site};
use crate::program::Program;
use crate::verdict::{Outcome, Verdict};
use crate::vote::OpenError;
use crate::wire::{Kind, MAX_FRAME_BYTES};
use fastrand::Rng;
use std::boxed::Box;
use std::vec::Vec;

/// What a simulated pair is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// All chance comes from it.
    pub seed: u64,
    /// Timing and policy; pair and nonces are filled in.
    pub config: Config,
    /// What the link does.
    pub link: LinkFaults,
    /// Who decides on the outputs.
    pub arbiter: ArbiterKind,
    /// The clocks' deviations from true time, in millionths.
    pub drift_ppm: [i32; 2],
    /// A mechanism switched off in both channels, as a negative control.
    pub off: Option<Mechanism>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 0,
            config: Config::DEFAULT,
            link: LinkFaults::NONE,
            arbiter: ArbiterKind::Relay { asks: 1 },
            drift_ppm: [50, -50],
            off: None,
        }
    }
}

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
    /// The bit to be flipped within a channel's turn.
    flipping: [Option<(Moment, Site, usize)>; 2],
    nonces: [u32; 2],
    trace: Option<Vec<Traced>>,
    frames_sent: u64,
    /// A frame of this kind is lost next.
    losing: Option<Kind>,
    /// What is done to the next output that a channel releases, between vote and actuator.
    damage: [Option<Damage<'m, P>>; 2],
    /// When an output last reached the actuator.
    driven_at: Option<u64>,
    /// Blocks that a channel sent in a cycle.
    blocks_sent: [(u32, u32); 2],
    pair: PairId,
    report: Report,
    world: Box<dyn World<P> + 'm>,
}

type Damage<'m, P> = Box<dyn Fn(&mut <P as Program>::Output) + 'm>;

/// What a pair samples and drives. A closure `|channel, cycle| -> Input` is a world in
/// which outputs have no effect.
pub trait World<P: Program> {
    /// Returns what `channel` reads at the start of `cycle`.
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> P::Input;

    /// Takes an output that `channel` drives; a cycle may come twice.
    fn drive(&mut self, channel: ChannelId, cycle: Cycle, output: &P::Output) {
        let _ = (channel, cycle, output);
    }
}

impl<P: Program, F: FnMut(ChannelId, Cycle) -> P::Input> World<P> for F {
    fn sample(&mut self, channel: ChannelId, cycle: Cycle) -> P::Input {
        self(channel, cycle)
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

fn kind_of(frame: &[u8]) -> u8 {
    frame.first().map_or(0, |first| (first >> 1) & 0xF)
}

/// Counts the blocks of memory that a channel sends in one cycle; returns how many so far.
fn blocks_in_cycle((cycle, blocks): &mut (u32, u32), frame: &[u8]) -> u32 {
    let Some([_, _, _, p0, p1, p2, p3, ..]) = frame.first_chunk::<8>() else { return 0 };
    if kind_of(frame) == Kind::Block as u8 {
        let of = u32::from_le_bytes([*p0, *p1, *p2, *p3]);
        *blocks = if *cycle == of { *blocks + 1 } else { 1 };
        *cycle = of;
    }
    *blocks
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
            driven_at: None,
            blocks_sent: [(0, 0); 2],
            pair,
            now: 0,
            arbiters: SimArbiter::pair(setup.arbiter),
            clocks: setup.drift_ppm.map(|drift_ppm| Clock::new(rng.u64(0..1 << 40), drift_ppm)),
            line: Line::new(),
            failing: [None; 2],
            hung: [None, None],
            flipping: [None; 2],
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

    /// Returns how many frames both channels have sent.
    pub fn frames_sent(&self) -> u64 {
        self.frames_sent
    }

    /// Returns a living channel, for instance to inject a fault.
    pub fn node(&mut self, channel: ChannelId) -> Option<&mut Node<'m, P>> {
        self.nodes[channel.index()].as_mut()
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
    fn next_event(&self) -> Option<u64> {
        let mut next: Option<u64> = None;
        for channel in CHANNELS {
            let Some(node) = &self.nodes[channel.index()] else { continue };
            if let Some(hung) = &self.hung[channel.index()] {
                let wake = hung.until.map(|at| at.max(self.now + 1));
                next = [next, wake].into_iter().flatten().min();
                continue;
            }
            let wake = node.poll_timeout().into_iter().chain([node.next_start()]).min();
            let wake = wake.map(|at| self.clocks[channel.index()].true_time(at).max(self.now + 1));
            let frame = self.line.towards[channel.index()].next_at();
            next = [next, wake, frame].into_iter().flatten().min();
        }
        next
    }

    /// One channel's turn: frames in, the cycle on, frames out.
    fn turn(&mut self, channel: ChannelId) {
        if !self.wakes(channel) {
            return;
        }
        let (at, local) = (channel.index(), self.local_time(channel));
        let arrival = self.now + u64::from(self.setup.config.link_delay_us);
        if self.nodes[at].is_none() {
            self.line.towards[at].clear();
        }
        let Some(mut node) = self.nodes[at].as_mut() else { return };
        while let Some(frame) = self.line.towards[at].take_due(self.now) {
            let _ = node.handle_frame(local, &frame); // counted by the node
        }
        flip_if_due(node, &mut self.flipping[at], Moment::Received);
        let mut verdicts = [node.poll_verdict(local, &mut self.arbiters[at]), None];
        if local >= node.next_start() {
            let next = match node.mode() {
                Mode::Starting | Mode::Joining | Mode::Safe => node.cycle(),
                _ => node.cycle().next(),
            };
            let sample = self.world.sample(channel, next);
            let begun = node.begin(local, sample.clone()).expect("samples fit a frame");
            if let Begun::New(cycle) = begun {
                self.oracle.sampled(channel, cycle, sample);
            }
            flip_if_due(node, &mut self.flipping[at], Moment::Begun);
            verdicts[1] = node.poll_verdict(local, &mut self.arbiters[at]);
        }
        flip_if_due(node, &mut self.flipping[at], Moment::Polled);
        let mut buffer = [0; MAX_FRAME_BYTES];
        while let Some(length) = node.poll_transmit(local, &mut buffer).expect("the buffer is the largest") {
            self.votes.observe(channel, &buffer[..length]);
            self.report.blocks_in_a_cycle_max =
                self.report.blocks_in_a_cycle_max.max(blocks_in_cycle(&mut self.blocks_sent[at], &buffer[..length]));
            self.frames_sent += 1;
            let is_lost = self.losing.is_some_and(|kind| kind_of(&buffer[..length]) == kind as u8);
            let epoch = node.epoch();
            let failure = self.failing[at].take_if(|(left, _)| *left < length as u64);
            let sent = failure.map_or(length, |(left, _)| left as usize);
            if let Some((left, _)) = &mut self.failing[at] {
                *left -= length as u64;
            }
            self.line.note(channel, &buffer[..length]);
            if is_lost {
                self.losing = None;
            } else if !self.is_cut && sent > 0 {
                let secrets = Secrets { pair: self.pair, epoch, nonces: self.nonces };
                let times = [self.now, arrival];
                self.line.carry(&mut self.rng, &self.setup.link, times, channel, &buffer[..sent], &secrets);
            }
            match failure {
                Some((_, Failure::Dies)) => return self.kill(channel),
                Some((_, Failure::Hangs { for_us, hears })) => return self.hang(channel, for_us, hears, verdicts),
                None => {}
            }
            if let Some((doomed, frame)) = self.doomed
                && self.frames_sent >= frame
            {
                self.doomed = None;
                self.kill(doomed);
                if doomed == channel {
                    return;
                }
            }
            let Some(living) = &mut self.nodes[at] else { return };
            node = living;
            flip_if_due(node, &mut self.flipping[at], Moment::Sent);
        }
        self.report.restless += u32::from(node.poll_timeout().is_some_and(|at| at <= local));
        // What is released is driven after the channel's own vote went out, as on a board.
        for verdict in verdicts.into_iter().flatten() {
            self.take(channel, verdict);
        }
    }

    /// Drives what a verdict releases, in front of the oracle.
    fn take(&mut self, channel: ChannelId, verdict: Verdict<P::Output>) {
        let outcome = verdict.outcome();
        if self.trace.is_some() {
            let (cycle, mode, diagnosis) = (verdict.cycle(), verdict.mode(), verdict.diagnosis());
            let faults = verdict.fault().unwrap_or_default();
            self.trace_it(channel, || TracedEvent::Verdict { cycle, outcome, mode, faults, diagnosis });
        }
        let arbiter = self.arbiters[channel.index()].clone(); // the same relay
        for voted in verdict.release(&arbiter) {
            let voted = match self.damage[channel.index()].take() {
                Some(damage) => voted.damaged_by(damage),
                None => voted,
            };
            let cycle = voted.cycle();
            match voted.open() {
                Ok(_) if outcome == Outcome::Safe => self.report.safe += 1,
                Ok(output) => self.drive(channel, outcome, cycle, &output),
                Err(OpenError::Damaged) => self.report.damaged += 1,
                Err(OpenError::LeaseLost) => self.report.cut_off += 1,
            }
        }
    }

    fn drive(&mut self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &P::Output) {
        self.world.drive(channel, cycle, output);
        if outcome == Outcome::Agreed && !self.votes.both_voted(cycle, output) {
            self.report.unvoted_in_duplex += 1;
        }
        let silence_us = self.driven_at.replace(self.now).map_or(0, |at| self.now - at);
        self.report.longest_silence_us = self.report.longest_silence_us.max(silence_us);
        self.report.longest_idle_us = self.report.longest_silence_us;
        if self.goes_back(channel, outcome, cycle)
            && let Some(node) = &self.nodes[channel.index()]
        {
            self.report.went_back += 1;
            self.oracle.go_back(cycle, node.state(), output);
        }
        if self.is_old_vote(channel, outcome, cycle, output) {
            return;
        }
        let judgement = self.oracle.judge(channel, outcome, cycle, output);
        if self.trace.is_some() {
            let what = std::format!("cycle {cycle}, {} bytes: {judgement:?}", encoded(output).len());
            self.trace_it(channel, || TracedEvent::Drove(what));
        }
        match judgement {
            Judgement::Right => self.report.released += 1,
            Judgement::RightAfterGap(gap) => {
                self.report.released += 1;
                self.report.missing += gap;
            }
            Judgement::Wrong => self.report.wrong += 1,
        }
    }

    /// Looks at both channels for what must never be.
    fn observe(&mut self) {
        self.modes = CHANNELS.map(|channel| self.mode(channel));
        // A channel that serves its first cycle though the pair was further: it begins anew.
        let living = || self.nodes.iter().flatten();
        let begins = living().any(|node| node.mode().serves()) && living().all(Node::is_empty);
        if begins && self.oracle.forget_state() {
            self.report.states_lost += 1;
            self.driven_at = None;
        }
        let owners = CHANNELS.into_iter().filter(|channel| self.owns(*channel)).count();
        self.report.owners_max = self.report.owners_max.max(owners as u32);
        if let [Some(a), Some(b)] = &self.nodes {
            let settled = a.settled_cycle().is_some() && a.settled_cycle() == b.settled_cycle();
            let duplex = a.mode() == Mode::Duplex && b.mode() == Mode::Duplex && a.epoch() == b.epoch();
            self.report.incongruent += u32::from(duplex && settled && a.state_digest() != b.state_digest());
        }
    }

    fn owns(&self, channel: ChannelId) -> bool {
        let at = channel.index();
        self.nodes[at].as_ref().is_some_and(|node| {
            let serves = node.mode().serves();
            let unchecked = self.setup.off == Some(Mechanism::Lease);
            serves
                && node.epoch().owner() == channel
                && (unchecked || self.arbiters[at].lets_through(node.epoch(), channel))
        })
    }

    /// Returns what a channel's clock shows.
    pub fn local_time(&self, channel: ChannelId) -> Instant {
        self.clocks[channel.index()].shows(self.now)
    }
}
