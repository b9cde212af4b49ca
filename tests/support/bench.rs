//! Two nodes driven by hand, their frames carried by the test, and judged by the program run a
//! third time.

#![allow(dead_code, unreachable_pub)]

use super::frames::{Captured, bytes_of};
use super::support::Servo;
use std::collections::BTreeMap;
use twinstep::memory::Cells;
use twinstep::mirror::Mirror;
use twinstep::sim::Storage;
use twinstep::wire::{BufferTooSmall, Keys, Kind, MAX_FRAME_BYTES};
use twinstep::{
    Arbiter, Begun, ChannelId, Config, Cycle, Drive, Epoch, Instant, Mode, Node, Outcome, PairId, Preferred, Program,
};

pub const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
pub const A: usize = 0;
pub const B: usize = 1;
/// A frame takes one tick to the other channel.
pub const TICK_US: u64 = 1_000;

/// What a bench is made of.
#[derive(Clone, Copy)]
pub struct Setup {
    pub pair: PairId,
    pub nonces: [u32; 2],
    pub config: Config,
}

/// Both channels release, so that both outputs can be judged.
pub const HOME: Setup = Setup {
    pair: PairId(0x5E21_0071),
    nonces: [0xA11C_E001, 0xB0B0_0002],
    config: Config { link_delay_us: TICK_US as u32, drive: Drive::Both, ..Config::DEFAULT },
};

/// Two nodes, the frames between them, and the program run a third time.
pub struct Bench<'m, P: Program, const FRAME: usize, R: Arbiter = Preferred> {
    /// With the nonces of the boots of now.
    pub setup: Setup,
    pub now_us: u64,
    pub nodes: [Node<'m, P, FRAME>; 2],
    pub arbiters: [R; 2],
    /// Frames in flight, by receiver.
    pub towards: [Vec<Vec<u8>>; 2],
    /// All frames sent so far, by receiver.
    pub sent: [Vec<Vec<u8>>; 2],
    pub is_cut: bool,
    /// Frames of these kinds are lost.
    pub loses: Vec<Kind>,
    /// How often each frame arrives.
    pub copies: usize,
    /// Each frame is offered to all shorter buffers before it is sent.
    pub is_stingy: bool,
    /// Not judged is what two channels drive that both serve alone.
    pub is_judged: bool,
    sensor: Box<dyn FnMut(ChannelId, Cycle) -> P::Input>,
    /// By cycle and channel; one that stands by may take a younger one.
    samples: BTreeMap<u32, [Vec<P::Input>; 2]>,
    /// What both agreed on, by channel and cycle.
    released: [BTreeMap<u32, Driven>; 2],
    /// What one channel drove alone, by cycle.
    alone: BTreeMap<u32, (usize, Driven)>,
    reference: Mirror<'m, P::State>,
    /// The last cycle that was judged.
    judged: Cycle,
    /// Memory for the next boot.
    spare: Option<Cells<'m, P::State>>,
    /// The nonces of all pairs of boots so far.
    boots: Vec<[u32; 2]>,
}

pub type ServoBench<'m> = Bench<'m, Servo, MAX_FRAME_BYTES>;

/// What a channel stepped on and drove, as canonical bytes.
#[derive(Debug, PartialEq)]
struct Driven {
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Memory of A, of B, of the third run, and of the next boot.
pub fn memory<P: Program>() -> [Storage<P::State>; 4] {
    [Storage::new(), Storage::new(), Storage::new(), Storage::new()]
}

fn new_node<'m, P: Program, const FRAME: usize>(
    at: usize,
    cells: Cells<'m, P::State>,
    setup: &Setup,
) -> Node<'m, P, FRAME> {
    let config = Config { pair: setup.pair, nonce: setup.nonces[at], ..setup.config };
    Node::<'m, P, FRAME>::new(CHANNELS[at], cells, config).unwrap()
}

impl<'m, P: Program, const FRAME: usize> Bench<'m, P, FRAME> {
    /// A pair of which A owns first, and only the owner may go on alone.
    pub fn new(
        memory: &'m mut [Storage<P::State>; 4],
        setup: Setup,
        sensor: impl FnMut(ChannelId, Cycle) -> P::Input + 'static,
    ) -> Self {
        Self::with_arbiters(memory, setup, [Preferred(ChannelId::A); 2], sensor)
    }
}

impl<'m, P: Program, const FRAME: usize, R: Arbiter> Bench<'m, P, FRAME, R> {
    pub fn with_arbiters(
        memory: &'m mut [Storage<P::State>; 4],
        setup: Setup,
        arbiters: [R; 2],
        sensor: impl FnMut(ChannelId, Cycle) -> P::Input + 'static,
    ) -> Self {
        let [a, b, third, spare] = memory;
        Self {
            setup,
            now_us: 0,
            nodes: [new_node(A, a.cells(), &setup), new_node(B, b.cells(), &setup)],
            arbiters,
            towards: [Vec::new(), Vec::new()],
            sent: [Vec::new(), Vec::new()],
            is_cut: false,
            loses: Vec::new(),
            copies: 1,
            is_stingy: false,
            is_judged: true,
            sensor: Box::new(sensor),
            samples: BTreeMap::new(),
            released: [BTreeMap::new(), BTreeMap::new()],
            alone: BTreeMap::new(),
            reference: Mirror::new(third.cells(), P::init),
            judged: Cycle(0),
            spare: Some(spare.cells()),
            boots: vec![setup.nonces],
        }
    }

    pub fn now(&self) -> Instant {
        Instant::from_micros(self.now_us)
    }

    pub fn mode(&self, at: usize) -> Mode {
        self.nodes[at].mode()
    }

    pub fn modes(&self) -> [Mode; 2] {
        [self.mode(A), self.mode(B)]
    }

    /// Lets a tick pass: what was in flight arrives, and both channels take their turns.
    pub fn tick(&mut self) {
        self.now_us += TICK_US;
        let arrived = std::mem::take(&mut self.towards);
        for (at, frames) in arrived.iter().enumerate() {
            let now = self.now();
            for frame in frames {
                for _ in 0..self.copies {
                    let _ = self.nodes[at].handle_frame(now, frame);
                    self.poll(at);
                }
            }
            self.poll(at);
            if now >= self.nodes[at].next_start() {
                self.begin(at);
                self.poll(at);
            }
            while let Some(frame) = self.next_frame(at) {
                let is_lost = self.loses.iter().any(|kind| Some(*kind) == Kind::of_frame(&frame));
                if !self.is_cut && !is_lost {
                    self.towards[1 - at].push(frame.clone());
                }
                self.sent[1 - at].push(frame);
            }
        }
        if self.is_judged {
            self.judge();
        }
    }

    fn begin(&mut self, at: usize) {
        let next = self.nodes[at].cycle().next();
        let sample = (self.sensor)(CHANNELS[at], next);
        let now = self.now();
        if let Begun::New(cycle) = self.nodes[at].begin(now, sample.clone()).unwrap() {
            self.samples.entry(cycle.0).or_default()[at].push(sample);
        }
    }

    pub fn poll(&mut self, at: usize) {
        let now = self.now();
        let Some(verdict) = self.nodes[at].poll_verdict(now, &mut self.arbiters[at]) else { return };
        let outcome = verdict.outcome();
        let opened = verdict.release().map(|voted| (voted.cycle(), bytes_of(&voted.open().unwrap()))).collect();
        self.take(at, outcome, opened);
    }

    fn take(&mut self, at: usize, outcome: Outcome, opened: Vec<(Cycle, Vec<u8>)>) {
        for (cycle, output) in opened {
            let node = &self.nodes[at];
            let is_this_cycle = cycle == node.cycle();
            match outcome {
                Outcome::Agreed => {
                    let input = bytes_of(node.agreed_input().unwrap());
                    self.released[at].insert(cycle.0, Driven { input, output });
                }
                Outcome::Alone | Outcome::TookOver if is_this_cycle => {
                    let input = bytes_of(node.agreed_input().unwrap());
                    self.alone.insert(cycle.0, (at, Driven { input, output }));
                }
                Outcome::TookOver => {
                    // The dead owner's last cycle once more.
                    let before = self.released[at].get(&cycle.0).map(|driven| &driven.output);
                    assert_eq!(before, Some(&output), "cycle {cycle}");
                }
                Outcome::Alone | Outcome::Tried | Outcome::Held | Outcome::Waiting => {
                    panic!("{outcome:?} drives cycle {cycle}")
                }
                Outcome::Safe => {}
            }
        }
    }

    pub fn next_frame(&mut self, at: usize) -> Option<Vec<u8>> {
        let now = self.now();
        let mut buffer = [0; MAX_FRAME_BYTES];
        if self.is_stingy {
            return self.next_frame_past_short_buffers(at);
        }
        let length = self.nodes[at].poll_transmit(now, &mut buffer).unwrap()?;
        Some(buffer[..length].to_vec())
    }

    fn next_frame_past_short_buffers(&mut self, at: usize) -> Option<Vec<u8>> {
        let now = self.now();
        let node = &mut self.nodes[at];
        let need_bytes = match node.poll_transmit(now, &mut []) {
            Ok(None) => return None,
            Ok(Some(length)) => panic!("a frame of {length} bytes in no room at all"),
            Err(error) => error.need_bytes,
        };
        let mut buffer = [0; MAX_FRAME_BYTES];
        for have_bytes in 0..need_bytes {
            let sent = node.poll_transmit(now, &mut buffer[..have_bytes]);
            assert_eq!(sent, Err(BufferTooSmall { need_bytes, have_bytes }));
        }
        let sent = node.poll_transmit(now, &mut buffer[..need_bytes]);
        assert_eq!(sent, Ok(Some(need_bytes)), "the frame is still due and takes what was said");
        Some(buffer[..need_bytes].to_vec())
    }

    /// Runs the cycles a third time that were released, and compares.
    fn judge(&mut self) {
        loop {
            let cycle = self.judged.next();
            let [a, b] = self.released.each_ref().map(|released| released.get(&cycle.0));
            let alone = self.alone.get(&cycle.0);
            // A channel that completes a cycle late releases it only if it owns.
            let is_over = self.nodes.iter().all(|node| node.cycle().since(cycle) > 0);
            let is_complete = alone.is_some() || a.is_some() && b.is_some() || is_over;
            let (Some(first), true) = (alone.map(|(_, driven)| driven).or(a).or(b), is_complete) else { return };
            let [samples_a, samples_b] = &self.samples[&cycle.0];
            let both = samples_a.iter().flat_map(|a| samples_b.iter().map(move |b| P::agree(a, b).input));
            let own = alone.map_or(&[][..], |(at, _)| &self.samples[&cycle.0][*at]);
            let own = own.iter().map(|own| P::agree(own, own).input);
            let input = own.chain(both).find(|input| bytes_of(input) == first.input);
            let input = input.unwrap_or_else(|| panic!("cycle {cycle}: stepped on what nobody sampled"));
            let output = bytes_of(&P::step(cycle, &mut self.reference.tracked(), &input));
            let right = Driven { input: bytes_of(&input), output };
            for driven in a.into_iter().chain(b).chain([first]) {
                assert_eq!(*driven, right, "cycle {cycle}");
            }
            let digest = self.reference.pending_digest();
            self.reference.commit(digest).unwrap();
            self.judged = cycle;
        }
    }

    #[track_caller]
    pub fn run_until(&mut self, what: &str, ticks: u32, done: impl Fn(&Self) -> bool) {
        for _ in 0..ticks {
            self.tick();
            if done(self) {
                return;
            }
        }
        panic!("{what}: not within {ticks} ticks; modes {:?}", self.modes());
    }

    /// Runs until both channels are in duplex, be it from nothing or from wherever they are.
    #[track_caller]
    pub fn boot(&mut self) {
        self.run_until("duplex", 5_000, |bench| bench.modes() == [Mode::Duplex; 2]);
    }

    /// Restarts a channel with another nonce on other memory; what was in flight to it is lost.
    pub fn reboot(&mut self, at: usize) {
        self.setup.nonces[at] = self.setup.nonces[at].wrapping_add(0x0101);
        self.boots.push(self.setup.nonces);
        let fresh = new_node(at, self.spare.take().unwrap(), &self.setup);
        let dead = std::mem::replace(&mut self.nodes[at], fresh);
        self.spare = Some(dead.into_memory());
        self.towards[at].clear();
    }

    /// Whether both have settled the same cycle and nothing is in flight.
    pub fn is_quiet(&self) -> bool {
        let settled = self.nodes[A].settled_cycle();
        let in_flight = self.towards.iter().any(|frames| !frames.is_empty());
        self.modes() == [Mode::Duplex; 2] && settled.is_some() && settled == self.nodes[B].settled_cycle() && !in_flight
    }

    /// Runs this many cycles to their quiet end, and asserts that both channels and the third run agree.
    #[track_caller]
    pub fn run_cycles(&mut self, count: u32) {
        self.run_cycles_after_divergence(count);
        for node in &self.nodes {
            assert_eq!(node.counters().diverged, 0);
        }
    }

    /// As [`run_cycles`](Self::run_cycles), in a pair whose votes have differed.
    #[track_caller]
    pub fn run_cycles_after_divergence(&mut self, count: u32) {
        for _ in 0..count {
            let next = self.nodes[A].cycle().next();
            self.run_until("a further cycle", 300, |bench| bench.is_quiet() && bench.nodes[A].cycle() == next);
        }
        for node in &self.nodes {
            assert_eq!(node.settled_cycle(), Some(self.judged), "each cycle was released");
            assert_eq!(node.state_digest(), self.reference.committed_digest());
        }
    }

    /// Cuts the link and runs until both are in a cycle in which neither has heard the other.
    pub fn cut_in_mid_cycle(&mut self) {
        self.is_cut = true;
        self.run_until("both in a cycle", 300, |bench| bench.nodes.iter().all(|node| node.settled_cycle().is_none()));
    }

    pub fn keys(&self) -> Keys {
        let newest = CHANNELS.map(|channel| self.nodes[channel.index()].epoch()).into_iter().max();
        Keys { pair: self.setup.pair, epoch: newest.unwrap_or(Epoch::NONE), nonces: self.setup.nonces }
    }

    /// Returns all frames sent to a channel so far, and what they are.
    pub fn captured(&self, at: usize) -> Vec<Captured> {
        self.sent[at].iter().map(|bytes| self.capture(bytes)).collect()
    }

    /// Takes a frame apart, of whichever boots it is.
    pub fn capture(&self, bytes: &[u8]) -> Captured {
        let of_boots = |nonces: &[u32; 2]| Captured::new(bytes, &Keys { nonces: *nonces, ..self.keys() });
        self.boots.iter().rev().find_map(of_boots).unwrap()
    }

    /// Returns the last frame of each kind sent to each channel.
    pub fn specimens(&self) -> [Vec<Captured>; 2] {
        [A, B].map(|at| {
            let by_kind: BTreeMap<u8, Captured> =
                self.captured(at).into_iter().map(|frame| (frame.header.kind as u8, frame)).collect();
            by_kind.into_values().collect()
        })
    }
}
