//! One state of the model: two real nodes, the frames between them, the arbiter, the observer.

use super::arbiter::{self, Arbiters};
use super::choice::Choice;
use super::ghost::{Ghost, Moment, Promise, Sight, Violation, is_kind};
use super::hasher::Fingerprint;
use super::program::{Tiny, sample};
use super::spare::{give_back, spare};
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use twinstep::wire::Kind;
use twinstep::{
    Begun, ChannelId, Config, Confirmation, Drive, Event, Faults, Instant, Mechanism, Mode, Node, Outcome, PairId,
    Site, Verdict,
};

pub const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
/// So short that an eighth of it is nothing: starts are not steered, and few instants are told
/// apart. The environment, not the clock, decides what comes first.
pub const PERIOD_US: u32 = 7;
pub const WINDOW_US: u32 = 5;
const RETRANSMIT_US: u32 = 4;
/// Bits that tell: of memory that is never written, of memory that is, of a vote's output, of its state digest.
const IDLE_BIT: usize = 20;
const VALUE_BIT: usize = 4;
const OUTPUT_BIT: usize = 64;
const DIGEST_BIT: usize = 32;
/// The longest `Hello`, the longest frame of this program.
const FRAME: usize = 60;

pub type TinyNode = Node<'static, Tiny, FRAME>;

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub arbiter: arbiter::Kind,
    pub patience: u8,
    pub drive: Drive,
    /// Cycles of the horizon.
    pub cycles: u32,
    /// Faults of the environment: of frames, of the link, and crashes.
    pub faults: u8,
    /// Flipped bits, and where.
    pub flips: u8,
    pub sites: &'static [Site],
    /// Timers that fire though a frame for their channel is on its way.
    pub early: u8,
    /// What is looked at.
    pub promise: Promise,
    /// Mechanism left out.
    pub off: Option<Mechanism>,
}

/// A frame on its way.
#[derive(Clone, Copy)]
pub struct Frame {
    length: u8,
    bytes: [u8; FRAME],
}

impl Frame {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }

    /// Flips a bit of its payload.
    pub fn garble(&mut self) {
        let last = usize::from(self.length).saturating_sub(5);
        self.bytes[last] ^= 1;
    }
}

/// A state of the model.
pub struct World {
    pub nodes: [Option<TinyNode>; 2],
    /// Each channel's clock; it stands still until the environment lets its next timer fire.
    pub now: [u64; 2],
    boots: [u8; 2],
    /// The cycle that was begun last, and how often.
    attempts: [(u32, u8); 2],
    /// Frames on their way, by receiver, in order.
    pub towards: [Vec<Frame>; 2],
    /// Frames held up, or repeated: they come at any time, or never.
    pub late: [Vec<Frame>; 2],
    pub is_cut: bool,
    pub arbiter: Arbiters,
    pub ghost: Ghost,
    promise: Promise,
    pub faults_left: u8,
    pub flips_left: u8,
    pub sites: &'static [Site],
    pub early_left: u8,
    /// Neither the environment nor a timer did anything out of order.
    pub is_orderly: bool,
    /// Until when timers fire.
    pub horizon: u64,
    /// Faults that verdicts told of, by channel; for the end of a run, so not part of the state.
    pub told: [Faults; 2],
    /// Outputs driven, likewise.
    pub driven: u32,
    /// The latest change of a mode since the faults were over, likewise; microseconds.
    pub changed_after_us: u64,
    /// A value fault hit a channel that served alone: nothing is promised from here on.
    pub is_out_of_promise: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().filter_map(Option::take) {
            give_back(node.into_memory());
        }
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            nodes: self.nodes.each_ref().map(|node| node.as_ref().map(|node| node.copied_onto(spare()))),
            towards: self.towards.clone(),
            late: self.late.clone(),
            ..*self
        }
    }
}

impl World {
    /// Two channels just powered up.
    pub fn booted(setup: &Setup) -> Self {
        let mut world = Self {
            nodes: [None, None],
            now: [0; 2],
            boots: [0; 2],
            attempts: [(0, 0); 2],
            towards: [Vec::new(), Vec::new()],
            late: [Vec::new(), Vec::new()],
            is_cut: false,
            arbiter: Arbiters::new(setup.arbiter),
            ghost: Ghost::new(setup.promise),
            promise: setup.promise,
            faults_left: setup.faults,
            flips_left: setup.flips,
            sites: setup.sites,
            is_orderly: true,
            early_left: setup.early,
            horizon: u64::from(setup.cycles * PERIOD_US),
            told: [Faults::empty(); 2],
            driven: 0,
            changed_after_us: 0,
            is_out_of_promise: false,
        };
        world.boot(setup, 0);
        world.boot(setup, 1);
        world
    }

    fn boot(&mut self, setup: &Setup, at: usize) {
        self.boots[at] += 1;
        self.attempts[at] = (0, 0);
        self.ghost.rebooted(at);
        let config = Config {
            pair: PairId(7),
            nonce: u32::from(self.boots[at]) << 1 | at as u32,
            period_us: PERIOD_US,
            vote_window_us: WINDOW_US,
            retransmit_us: RETRANSMIT_US,
            hello_us: PERIOD_US,
            link_delay_us: 0,
            patience: setup.patience,
            claim_limit: if self.arbiter.is_fickle() { 2 } else { Config::DEFAULT.claim_limit },
            drive: setup.drive,
            probation_cycles: 0,
            ..Config::DEFAULT
        };
        let mut node = TinyNode::new(CHANNELS[at], spare(), config).unwrap();
        if let Some(mechanism) = setup.off {
            node.switch_off(mechanism);
        }
        if let Some(site) = self.ghost.channels[at].permanent {
            node.flip(site, at);
        }
        self.nodes[at] = Some(node);
    }

    pub fn mode(&self, at: usize) -> Option<Mode> {
        self.nodes[at].as_ref().map(TinyNode::mode)
    }

    pub fn modes(&self) -> [Option<Mode>; 2] {
        [self.mode(0), self.mode(1)]
    }

    /// Returns when a channel's next timer fires, by its own clock.
    pub fn wake_at(&self, at: usize) -> Option<u64> {
        let node = self.nodes[at].as_ref()?;
        let timers = node.poll_timeout().into_iter().chain([node.next_start()]);
        timers.min().map(|time| time.as_micros().max(self.now[at]))
    }

    /// Whether both are in duplex with each other: the fault to come is the first.
    fn is_redundant(&self) -> bool {
        let [Some(a), Some(b)] = &self.nodes else { return false };
        let in_duplex = [a, b].iter().all(|node| node.mode() == Mode::Duplex && !node.is_empty());
        let is_sound = in_duplex && a.epoch() == b.epoch() && !self.is_cut && self.permanent().is_none();
        is_sound && (self.owns(0) || self.owns(1))
    }

    /// Does one thing. `Ok(false)`: it cannot be done here, or is the same as another one.
    ///
    /// # Errors
    /// The invariant that broke.
    pub fn apply(&mut self, setup: &Setup, choice: Choice, log: &mut Option<String>) -> Result<bool, Violation> {
        match choice {
            Choice::Wake { at, dies } => {
                let Some(time) = self.wake_at(at) else { return Ok(false) };
                self.now[at] = time;
                self.pay(dies);
                return self.turn(at, None, dies, log);
            }
            Choice::Deliver { to, dies } => {
                let frame = self.towards[to].remove(0);
                self.pay(dies);
                return self.turn(to, Some(frame), dies, log);
            }
            Choice::DeliverLate { to } => {
                let frame = self.late[to].remove(0);
                return self.turn(to, Some(frame), false, log);
            }
            Choice::Garbled { to } => {
                let mut frame = self.towards[to].remove(0);
                frame.garble();
                self.pay(true);
                return self.turn(to, Some(frame), false, log);
            }
            Choice::HoldUp { to } => {
                let frame = self.towards[to].remove(0);
                self.late[to].push(frame);
                self.pay(true);
            }
            Choice::Repeat { to } => {
                let frame = self.towards[to].remove(0);
                self.late[to].push(frame);
                self.pay(true);
                return self.turn(to, Some(frame), false, log);
            }
            Choice::Crash { at } => {
                self.pay(true);
                self.crash(at);
            }
            Choice::Restart { at } => {
                self.now[at] = self.now[at].max(self.now[1 - at]);
                self.boot(setup, at);
            }
            Choice::Cut => {
                self.is_cut = true;
                self.towards.iter_mut().for_each(Vec::clear);
                self.pay(true);
            }
            Choice::Heal => self.is_cut = false,
            Choice::Silence => {
                self.arbiter.is_silent = true;
                self.pay(true);
            }
            Choice::Speak => self.arbiter.is_silent = false,
            Choice::Misread { at } => {
                self.arbiter.misread[at] = true;
                self.pay(true);
            }
            Choice::Flip { at, site } => {
                self.flips_left -= 1;
                self.ghost.must_keep = false;
                if !self.flip(at, site) {
                    return Ok(false);
                }
            }
        }
        self.check()?;
        Ok(true)
    }

    /// Flips a bit, never the same one in both; false if there is none.
    fn flip(&mut self, at: usize, site: Site) -> bool {
        let Some(node) = &mut self.nodes[at] else { return false };
        let (is_joiner, settled) = (node.mode() == Mode::Joining, node.settled_cycle().is_some());
        let done = match site {
            Site::Working if is_joiner => node.flip(Site::Checkpoint, IDLE_BIT),
            Site::Working => node.flip(Site::Working, IDLE_BIT),
            Site::Checkpoint => node.flip(site, VALUE_BIT),
            Site::MyVote => node.flip(site, OUTPUT_BIT + at),
            Site::PeerVote => true, // as it is kept
            _ => node.flip(site, at),
        };
        self.ghost.value_fault |= !is_joiner;
        let channel = &mut self.ghost.channels[at];
        channel.misreads = site == Site::PeerVote;
        // Memory that flips between two cycles is mended before the next step, as is the checkpoint. And who has the other
        // one's vote wrong cannot be told from a damage on the way.
        channel.needs_peer |= site == Site::Checkpoint;
        channel.is_guilty |= match site {
            Site::Working => !settled,
            Site::Checkpoint | Site::PeerVote => false,
            _ => true,
        };
        channel.armed = !matches!(site, Site::Working | Site::Checkpoint | Site::MyVote | Site::PeerVote);
        if matches!(site, Site::StuckOutput | Site::FailingOutput) {
            channel.permanent = Some(site);
        }
        done
    }

    /// How a channel is broken for good.
    pub fn permanent(&self) -> Option<Site> {
        self.ghost.channels.iter().find_map(|channel| channel.permanent)
    }

    /// Whether one transient flip is all that went wrong so far.
    pub fn is_single(&self) -> bool {
        self.ghost.value_fault && self.is_orderly && self.permanent().is_none()
    }

    /// Spends a timer that fires out of order.
    pub fn fires_early(&mut self) {
        self.early_left = self.early_left.saturating_sub(1);
        self.is_orderly = false;
    }

    /// Spends a fault; a survivor's duty ends with the second one.
    fn pay(&mut self, is_fault: bool) {
        if is_fault {
            self.is_orderly = false;
            self.faults_left -= 1;
            self.ghost.must_keep = false;
        }
    }

    fn crash(&mut self, at: usize) {
        let redundant = self.is_redundant();
        if let Some(node) = self.nodes[at].take() {
            give_back(node.into_memory());
        }
        self.towards[at].clear();
        self.ghost.died(at, redundant);
    }

    /// One call of a channel and all that follows from it; it may die before it drives.
    fn turn(
        &mut self,
        at: usize,
        frame: Option<Frame>,
        dies: bool,
        log: &mut Option<String>,
    ) -> Result<bool, Violation> {
        let now = Instant::from_micros(self.now[at]);
        let wakes = frame.is_none();
        let Some(node) = &mut self.nodes[at] else { return Ok(true) };
        let mut evidence = None;
        if let Some(frame) = frame {
            let handled = node.handle_frame(now, frame.bytes());
            if handled.is_ok() {
                self.ghost.took(at, frame.bytes());
                evidence = Moment::of_evidence(frame.bytes());
                if self.ghost.channels[at].misreads && is_kind(frame.bytes(), &[Kind::Vote]) {
                    self.ghost.channels[at].misreads = false;
                    node.flip(Site::PeerVote, DIGEST_BIT + at);
                }
            }
            note(log, || {
                format!(
                    " {} {}",
                    kind(frame.bytes()),
                    handled.map_or_else(|cause| cause.to_string(), |()| "taken".into())
                )
            });
        }
        self.read_journal(at, evidence, log)?;
        let Some(node) = &mut self.nodes[at] else { return Ok(true) };
        let mut verdicts = [node.poll_verdict(now, &mut self.arbiter.end(at)).map(Verdict::unbind), None];
        if wakes && now >= node.next_start() {
            let cycle = if node.settled_cycle().is_some() { node.cycle().next().0 } else { node.cycle().0 };
            let attempts = &mut self.attempts[at];
            *attempts = (cycle, if attempts.0 == cycle { attempts.1.saturating_add(1) } else { 0 });
            let sample = sample(at, cycle, attempts.1);
            let begun = node.begin(now, sample).map_err(|_| "a sample does not fit")?;
            note(log, || format!(" begins {begun:?}"));
            if let Begun::New(cycle) = begun {
                self.ghost.sampled(at, cycle.0, sample);
            }
            verdicts[1] = node.poll_verdict(now, &mut self.arbiter.end(at)).map(Verdict::unbind);
        }
        let withheld: Vec<_> = std::iter::from_fn(|| node.take_withheld()).collect();
        let verdicts = verdicts.map(|verdict| verdict.map(|verdict| Drawn::of(verdict.bind(&self.arbiter.end(at)))));
        for drawn in verdicts.iter().flatten() {
            let cycle = drawn.outputs.iter().flatten().last().map_or(0, |(cycle, _)| *cycle);
            if self.ghost.is_unprotected(at, drawn.outcome, cycle) {
                self.is_out_of_promise = true;
                return Ok(false);
            }
        }
        self.arbiter.misread[at] = false;
        self.transmit(at, now, log);
        self.read_journal(at, None, log)?;
        if verdicts.iter().flatten().any(|drawn| drawn.outcome == Outcome::Held) {
            if self.is_single() {
                return Err("one transient fault held a cycle");
            }
            if !self.arbiter.is_fickle() {
                self.ghost.held(at)?; // what an arbiter did not confirm in this slot may be held
            }
        }
        let drives = verdicts.iter().flatten().any(|drawn| drawn.outputs.iter().any(Option::is_some));
        if dies && !drives {
            return Ok(false); // the same as a crash after the event
        }
        for drawn in verdicts.into_iter().flatten() {
            self.told[at] |= drawn.faults;
            self.ghost.is_unanswered |= self.arbiter.is_fickle() && drawn.is_any_shut;
            note(log, || format!(" -> {:?} {:?}", drawn.outcome, drawn.faults));
            for (outcome, cycle, output) in withheld.iter().filter(|(outcome, ..)| *outcome == drawn.outcome) {
                note(log, || format!(" withholds {cycle}={output:#06x}"));
                self.ghost.drive(at, *outcome, drawn.epoch, cycle.0, *output)?;
            }
            for (cycle, output) in drawn.outputs.into_iter().flatten().filter(|_| !dies) {
                note(log, || format!(" DRIVES {cycle}={output:#06x}"));
                if drawn.outcome != Outcome::Safe {
                    self.driven += 1;
                    self.ghost.drive(at, drawn.outcome, drawn.epoch, cycle, output)?;
                }
            }
        }
        if dies {
            note(log, || " and dies before it drives".into());
            self.look(at)?;
            self.crash(at);
        }
        self.check()?;
        Ok(true)
    }

    fn transmit(&mut self, at: usize, now: Instant, log: &mut Option<String>) {
        let Some(node) = &mut self.nodes[at] else { return };
        let mut frame = Frame { length: 0, bytes: [0; FRAME] };
        while let Some(length) = node.poll_transmit(now, &mut frame.bytes).unwrap() {
            frame.length = length as u8;
            note(log, || format!(" sends {}", kind(frame.bytes())));
            self.ghost.sent(at, now.as_micros() as u32, frame.bytes());
            let towards = &mut self.towards[1 - at];
            // A repetition of what is still on its way tells nothing new.
            let is_new = towards.iter().all(|other| other.bytes() != frame.bytes());
            if is_new && !self.is_cut {
                towards.push(frame);
            }
        }
    }

    /// Reads what a channel found; `about`: from a frame of that cycle, else of its own.
    fn read_journal(&mut self, at: usize, about: Option<Moment>, log: &mut Option<String>) -> Result<(), Violation> {
        let is_single = self.is_single();
        let Some(node) = &mut self.nodes[at] else { return Ok(()) };
        while let Some(entry) = node.read_event() {
            if let Event::Diagnosed(diagnosis) = entry.event {
                note(log, || format!(" finds {diagnosis:?}"));
                let about = about.unwrap_or(Moment::new(entry.epoch, entry.cycle.0));
                self.ghost.found(at, about, diagnosis, is_single)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, at: usize) -> Result<(), Violation> {
        let is_single = self.is_single();
        let Some(node) = &self.nodes[at] else { return Ok(()) };
        let settled = node.settled_cycle().map(|cycle| cycle.0);
        let moment = Moment::new(node.epoch(), node.cycle().0);
        let (mode, value, empty) = (node.mode(), node.state().value, node.is_empty());
        let now = self.now[at] as u32;
        let sight = Sight { mode, settled, value, empty, at: moment, now, is_single };
        self.ghost.look(at, &sight)
    }

    /// The invariants of a state.
    fn check(&mut self) -> Result<(), Violation> {
        self.look(0)?;
        self.look(1)?;
        if self.promise == Promise::Lineages {
            return Ok(());
        }
        let owners = (0..2).filter(|at| self.owns(*at)).count();
        if owners > 1 {
            return Err("I2: two channels own the outputs");
        }
        if let [Some(a), Some(b)] = &self.nodes {
            let settled = a.settled_cycle().is_some() && a.settled_cycle() == b.settled_cycle();
            let in_duplex = a.mode() == Mode::Duplex && b.mode() == Mode::Duplex && a.epoch() == b.epoch();
            if settled && in_duplex && a.state_digest() != b.state_digest() {
                return Err("I7: both settled one cycle with two states");
            }
        }
        Ok(())
    }

    /// Whether a channel owns the outputs and the arbiter says so too.
    pub fn owns(&self, at: usize) -> bool {
        self.nodes[at].as_ref().is_some_and(|node| {
            let claims = node.mode().serves() && node.epoch().owner() == CHANNELS[at];
            claims && self.arbiter.confirms(node.epoch(), CHANNELS[at]) == Confirmation::Yes
        })
    }

    /// Returns a number that tells this state from all others.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Fingerprint::new();
        for (node, now) in self.nodes.iter().zip(self.now) {
            hasher.now = now;
            hasher.write_u32(now as u32);
            hasher.write_u8(node.is_some().into());
            if let Some(node) = node {
                node.fingerprint(&mut hasher);
            }
        }
        for frames in self.towards.iter().chain(&self.late) {
            hasher.write_usize(frames.len());
            for frame in frames {
                hasher.write(frame.bytes());
            }
        }
        (self.boots, self.attempts, self.is_cut, self.arbiter, self.ghost).hash(&mut hasher);
        (self.faults_left, self.flips_left, self.early_left).hash(&mut hasher);
        hasher.finish()
    }
}

/// A verdict, opened.
struct Drawn {
    outcome: Outcome,
    epoch: twinstep::Epoch,
    faults: Faults,
    outputs: [Option<(u32, u16)>; 2],
    /// An output did not open: the arbiter denies the lease, or does not answer.
    is_any_shut: bool,
}

impl Drawn {
    fn of(verdict: Verdict<'_, u16>) -> Self {
        let (outcome, epoch, faults) = (verdict.outcome(), verdict.epoch(), verdict.fault().unwrap_or_default());
        let (mut outputs, mut is_any_shut) = ([None; 2], false);
        for (place, voted) in outputs.iter_mut().zip(verdict.release()) {
            let cycle = voted.cycle().0;
            *place = voted.open().ok().map(|output| (cycle, output));
            is_any_shut |= place.is_none();
        }
        Self { outcome, epoch, faults, outputs, is_any_shut }
    }
}

fn note(log: &mut Option<String>, text: impl FnOnce() -> String) {
    if let Some(log) = log {
        let _ = write!(log, "{}", text());
    }
}

/// What a frame is, for a trace.
pub fn kind(frame: &[u8]) -> String {
    let name = Kind::of_frame(frame).map_or("?".to_owned(), |kind| format!("{kind:?}"));
    let epoch = u16::from_le_bytes([frame[1], frame[2]]);
    let cycle = u32::from_le_bytes([frame[3], frame[4], frame[5], frame[6]]) >> 2;
    format!("{name}({cycle}, {}{})", epoch >> 1, if epoch & 1 == 0 { "A" } else { "B" })
}
