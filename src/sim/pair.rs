//! Two nodes in virtual time.

use super::arbiter::{ArbiterKind, SimArbiter};
use super::link::{Direction, LinkFaults, send};
use super::oracle::{Judgement, Oracle};
use super::storage::Storage;
use super::votes::VoteTap;
use crate::config::{Config, ConfigError};
use crate::ids::{ChannelId, Cycle, Instant, PairId};
use crate::journal::Counters;
use crate::lease::Arbiter;
use crate::mechanism::Mechanism;
use crate::memory::Cells;
use crate::mode::Mode;
use crate::node::{Begun, Node};
use crate::program::Program;
use crate::verdict::{Outcome, Verdict};
use crate::vote::OpenError;
use crate::wire::{Kind, MAX_FRAME_BYTES};
use fastrand::Rng;
use std::boxed::Box;

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

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cycles whose output reached the actuator.
    pub released: u32,
    /// Cycle numbers that never reached it, though a later one did.
    pub missing: u32,
    /// Released outputs that the oracle contradicts.
    pub wrong: u32,
    /// Outputs released in duplex for which not both channels had sent that vote.
    pub unvoted_in_duplex: u32,
    /// The largest number of channels that owned the outputs at one time.
    pub owners_max: u32,
    /// Settled duplex cycles in which the two states differed.
    pub incongruent: u32,
    /// Takeovers of both channels.
    pub takeovers: u32,
    /// Cycles in which votes differed, counted in both channels.
    pub diverged: u32,
    /// Held deadlines of both channels.
    pub held: u32,
    /// Frames dropped by both channels.
    pub rejected: u32,
    /// Releases of the safe output.
    pub safe: u32,
    /// Outputs found damaged as they were opened.
    pub damaged: u32,
    /// Outputs that did not open since their channel had lost the lease.
    pub cut_off: u32,
    /// The longest time between two outputs that reached the actuator.
    pub longest_silence_us: u64,
    /// Times that no channel had the state any more.
    pub states_lost: u32,
    /// Times that the pair went on from an older state, since the channel with the newest one
    /// died while the other one stood by.
    pub went_back: u32,
    /// Times that a channel, asked for all it had to say, wanted to be asked again at once.
    pub restless: u32,
    /// Times a channel joined a serving one.
    pub joined: u32,
    /// Copies that were begun, and those of them that failed.
    pub copies_begun: u32,
    /// Copies that were given up, refused, or ended without an answer.
    pub copies_failed: u32,
    /// Blocks of memory that donors sent, repetitions included.
    pub blocks_sent: u32,
    /// The most blocks of memory that a channel sent in one cycle.
    pub blocks_in_a_cycle_max: u32,
    /// Repairs of memory in both channels.
    pub repairs: u32,
    /// Times a channel took itself out of service.
    pub self_exclusions: u32,
    /// Bytes that the link carried.
    pub carried_bytes: u64,
    /// Bytes that the link flipped.
    pub damaged_bytes: u64,
}

/// A simulated pair: two real nodes, a link, an arbiter, and the oracle.
pub struct Pair<'m, P: Program> {
    setup: Setup,
    rng: Rng,
    /// True time in microseconds.
    now: u64,
    nodes: [Option<Node<'m, P>>; 2],
    arbiters: [SimArbiter; 2],
    clock_offsets: [u64; 2],
    towards: [Direction; 2],
    is_cut: bool,
    oracle: Oracle<P>,
    votes: VoteTap,
    /// The modes when they were last looked at.
    modes: [Option<Mode>; 2],
    /// Memory of dead channels.
    spare: [Option<Cells<'m, P::State>>; 2],
    /// The channel that dies with this frame.
    doomed: Option<(ChannelId, u64)>,
    frames_sent: u64,
    /// A frame of this kind is lost next.
    losing: Option<Kind>,
    /// What is done to the next output that a channel releases, between vote and actuator.
    damage: Option<(ChannelId, Damage<'m, P>)>,
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

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

fn boot<'m, P: Program>(
    me: ChannelId,
    cells: Cells<'m, P::State>,
    setup: &Setup,
    pair: PairId,
    rng: &mut Rng,
) -> Result<Node<'m, P>, ConfigError> {
    let config = Config { pair, nonce: rng.u32(1..), ..setup.config };
    let mut node = Node::new(me, cells, config)?;
    if let Some(mechanism) = setup.off {
        node.switch_off(mechanism);
    }
    Ok(node)
}

/// Adds what one channel counted.
fn count(report: &mut Report, counters: &Counters) {
    report.takeovers += counters.takeovers;
    report.diverged += counters.diverged;
    report.held += counters.held;
    report.rejected += counters.rejected_total();
    report.joined += counters.joined;
    report.copies_begun += counters.copies_begun;
    report.blocks_sent += counters.blocks_sent;
    report.copies_failed += counters.copies_failed;
    report.repairs += counters.repairs();
    report.self_exclusions += counters.self_exclusions;
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
        let nodes = [
            Some(boot(ChannelId::A, a.cells(), setup, pair, &mut rng)?),
            Some(boot(ChannelId::B, b.cells(), setup, pair, &mut rng)?),
        ];
        Ok(Self {
            setup: *setup,
            nodes,
            modes: [None; 2],
            spare: [None, None],
            doomed: None,
            frames_sent: 0,
            losing: None,
            damage: None,
            driven_at: None,
            blocks_sent: [(0, 0); 2],
            pair,
            now: 0,
            arbiters: SimArbiter::pair(setup.arbiter),
            clock_offsets: [rng.u64(0..1 << 40), rng.u64(0..1 << 40)],
            towards: [Direction::new(), Direction::new()],
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

    /// Stops a channel dead.
    pub fn kill(&mut self, channel: ChannelId) {
        let at = channel.index();
        let Some(node) = self.nodes[at].take() else { return };
        count(&mut self.report, node.counters());
        self.spare[at] = Some(node.into_memory());
        self.towards[at].clear();
    }

    /// Stops a channel dead right after the link took the frame of this number, counted over
    /// both directions as [`frames_sent`](Self::frames_sent) does.
    pub fn kill_at_frame(&mut self, channel: ChannelId, frame: u64) {
        self.doomed = Some((channel, frame));
    }

    /// Loses the next frame of this kind.
    pub fn lose_next(&mut self, kind: Kind) {
        self.losing = Some(kind);
    }

    /// Damages the next output that a channel releases, after the vote.
    pub fn damage_next_release(&mut self, channel: ChannelId, damage: impl Fn(&mut P::Output) + 'm) {
        self.damage = Some((channel, Box::new(damage)));
    }

    /// Returns how many frames both channels have sent.
    pub fn frames_sent(&self) -> u64 {
        self.frames_sent
    }

    /// Boots a dead channel again, with another nonce and memory full of noise.
    pub fn restart(&mut self, channel: ChannelId) {
        let Some(mut cells) = self.spare[channel.index()].take() else { return };
        cells.scramble(|| self.rng.u8(..));
        let node = boot(channel, cells, &self.setup, self.pair, &mut self.rng);
        self.nodes[channel.index()] = node.ok(); // it was configured alike before
    }

    /// Cuts or heals the link; what is in flight is lost.
    pub fn cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
        for direction in &mut self.towards {
            direction.clear();
        }
    }

    /// Sets what the link does from now on.
    pub fn set_link(&mut self, link: LinkFaults) {
        self.setup.link = link;
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
            let wake = node.poll_timeout().into_iter().chain([node.next_start()]).min();
            let wake = wake.map(|at| self.true_time(channel, at).max(self.now + 1));
            let frame = self.towards[channel.index()].next_at();
            next = [next, wake, frame].into_iter().flatten().min();
        }
        next
    }

    /// One channel's turn: frames in, the cycle on, frames out.
    fn turn(&mut self, channel: ChannelId) {
        let (at, local) = (channel.index(), self.local_time(channel));
        let arrival = self.now + u64::from(self.setup.config.link_delay_us);
        if self.nodes[at].is_none() {
            self.towards[at].clear();
        }
        let Some(mut node) = self.nodes[at].as_mut() else { return };
        while let Some(frame) = self.towards[at].take_due(self.now) {
            let _ = node.handle_frame(local, &frame); // counted by the node
        }
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
            verdicts[1] = node.poll_verdict(local, &mut self.arbiters[at]);
        }
        let mut buffer = [0; MAX_FRAME_BYTES];
        while let Some(length) = node.poll_transmit(local, &mut buffer).expect("the buffer is the largest") {
            self.votes.observe(channel, &buffer[..length]);
            self.report.blocks_in_a_cycle_max =
                self.report.blocks_in_a_cycle_max.max(blocks_in_cycle(&mut self.blocks_sent[at], &buffer[..length]));
            self.frames_sent += 1;
            let is_lost = self.losing.is_some_and(|kind| kind_of(&buffer[..length]) == kind as u8);
            if is_lost {
                self.losing = None;
            } else if !self.is_cut {
                let [a, b] = &mut self.towards;
                let (there, back) = if at == 0 { (b, a) } else { (a, b) };
                self.report.carried_bytes += length as u64;
                self.report.damaged_bytes +=
                    send(&mut self.rng, &self.setup.link, arrival, &buffer[..length], there, back);
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
        let arbiter = self.arbiters[channel.index()].clone(); // the same relay
        for voted in verdict.release(&arbiter) {
            let voted = match self.damage.take_if(|(of, _)| *of == channel) {
                Some((_, damage)) => voted.damaged_by(damage),
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
        if self.goes_back(channel, outcome, cycle)
            && let Some(node) = &self.nodes[channel.index()]
        {
            self.report.went_back += 1;
            self.oracle.go_back(cycle, node.state(), output);
        }
        if self.is_old_vote(channel, outcome, cycle, output) {
            return;
        }
        match self.oracle.judge(channel, outcome, cycle, output) {
            Judgement::Right => self.report.released += 1,
            Judgement::RightAfterGap(gap) => {
                self.report.released += 1;
                self.report.missing += gap;
            }
            Judgement::Wrong => self.report.wrong += 1,
        }
    }

    /// Whether a channel takes over that stood by and is behind, the other one being dead or empty.
    fn goes_back(&self, channel: ChannelId, outcome: Outcome, cycle: Cycle) -> bool {
        let stood_by = self.modes[channel.index()] == Some(Mode::Standby) && outcome == Outcome::TookOver;
        let is_own_cycle = self.nodes[channel.index()].as_ref().is_some_and(|node| node.cycle() == cycle);
        let is_behind = is_own_cycle && cycle.since(self.oracle.latest()) <= 0;
        let other = &self.nodes[channel.other().index()];
        stood_by && is_behind && other.as_ref().is_none_or(Node::is_empty)
    }

    /// Whether a channel that goes back to its older state first drives, once more, what was voted
    /// last before it stood by: the oracle need not remember so far back.
    fn is_old_vote(&self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &P::Output) -> bool {
        let stood_by = self.modes[channel.index()] == Some(Mode::Standby) && outcome == Outcome::TookOver;
        let is_before = self.nodes[channel.index()].as_ref().is_some_and(|node| node.cycle() == cycle.next());
        stood_by && is_before && cycle.since(self.oracle.latest()) < 0 && self.votes.both_voted(cycle, output)
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
                && (unchecked || self.arbiters[at].confirms(node.epoch(), channel))
        })
    }

    /// Returns what a channel's clock shows.
    pub fn local_time(&self, channel: ChannelId) -> Instant {
        let drift = i64::from(self.setup.drift_ppm[channel.index()]);
        let gained = self.now.cast_signed() * drift / 1_000_000;
        let offset = self.clock_offsets[channel.index()];
        Instant::from_micros((offset + self.now).saturating_add_signed(gained))
    }

    /// Returns the first true time at which a channel's clock shows `at`.
    fn true_time(&self, channel: ChannelId, at: Instant) -> u64 {
        let drift = i64::from(self.setup.drift_ppm[channel.index()]);
        let local = at.as_micros().saturating_sub(self.clock_offsets[channel.index()]).cast_signed();
        (local - local * drift / 1_000_000).max(0).cast_unsigned()
    }
}
