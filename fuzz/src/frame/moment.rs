//! A channel brought into a mode by a few frames of a real peer, over the public calls alone.

use crate::program::{Drive, Filter, Plant, sample};
use std::collections::VecDeque;
use twinstep::sim::Storage;
use twinstep::wire::MAX_FRAME_BYTES;
use twinstep::{ChannelId, Config, Cycle, Instant, Mode, Node, PairId, Preferred};

pub(super) const CONFIG: Config = Config {
    pair: PairId(0x5E21_0071),
    period_us: 3_200,
    vote_window_us: 2_000,
    retransmit_us: 500,
    hello_us: 1_000,
    link_delay_us: LINK_DELAY_US as u32,
    copy_blocks: 2,
    probation_cycles: 1,
    drive: twinstep::Drive::Both,
    ..Config::DEFAULT
};
const LINK_DELAY_US: u64 = 100;
/// Nonces of A and B, and of the second boot of either.
pub(super) const NONCES: [u32; 3] = [0xA11C_E001, 0xB0B0_0002, 0xC0DE_0003];
/// More than any moment takes to come about.
const MOST_TURNS: u32 = 400;
/// Cycles in duplex before what leads on to another mode.
const COMMON_CYCLES: u32 = 2;
/// Frames of the peer that are recorded.
const RECORDED_FRAMES: usize = 6;

/// What a channel is doing as frames come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Moment {
    Starting,
    Duplex,
    Simplex,
    Donor,
    Joining,
    Standby,
    Safe,
}

/// The channel that is tried.
pub struct Channel<'m> {
    pub(super) me: ChannelId,
    pub(super) nonce: u32,
    pub(super) peer_nonce: u32,
    pub(super) node: Node<'m, Filter>,
    pub(super) arbiter: Preferred,
    pub(super) now: Instant,
    /// What it drove last.
    pub(super) driven: Option<(Cycle, Drive)>,
}

/// A frame of the peer, and how long it came after the one before, in 32nds of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Recorded {
    pub time: u8,
    pub bytes: Vec<u8>,
}

impl Moment {
    /// All of them, in the order in which an input numbers them.
    pub const ALL: [Self; 7] =
        [Self::Starting, Self::Duplex, Self::Simplex, Self::Donor, Self::Joining, Self::Standby, Self::Safe];

    /// Returns the mode of the channel at this moment.
    pub fn mode(self) -> Mode {
        match self {
            Self::Starting => Mode::Starting,
            Self::Duplex => Mode::Duplex,
            Self::Simplex => Mode::Simplex,
            Self::Donor => Mode::Donor,
            Self::Joining => Mode::Joining,
            Self::Standby => Mode::Standby,
            Self::Safe => Mode::Safe,
        }
    }

    /// Brings a channel to this moment and hands it over, alone.
    ///
    /// # Panics
    /// If the moment does not come about.
    pub fn with(self, me: ChannelId, test: impl FnOnce(Channel<'_>)) {
        let mut memory = [Storage::new(), Storage::new(), Storage::new()];
        let mut both = Both::new(&mut memory, self, me);
        both.bring_about(self, me);
        let [a, b] = both.nodes;
        test(Channel {
            me,
            nonce: both.nonces[me.index()],
            peer_nonce: both.nonces[me.other().index()],
            node: if me == ChannelId::A { a } else { b },
            arbiter: both.arbiter,
            now: Instant::from_micros(both.now_us),
            driven: both.driven[me.index()],
        });
    }
}

/// Returns what a real peer says to a channel from a moment on.
pub fn record(moment: Moment, me: ChannelId) -> Vec<Recorded> {
    let mut memory = [Storage::new(), Storage::new(), Storage::new()];
    let mut both = Both::new(&mut memory, moment, me);
    both.bring_about(moment, me);
    both.is_cut = false;
    let (mut recorded, mut last_us) = (Vec::new(), both.now_us);
    for _ in 0..MOST_TURNS {
        let heard = both.turn();
        for bytes in heard.into_iter().filter(|(to, _)| *to == me).map(|(_, bytes)| bytes) {
            let time = (both.now_us - last_us) * 32 / u64::from(CONFIG.period_us);
            last_us = both.now_us;
            recorded.push(Recorded { time: time as u8, bytes });
        }
    }
    recorded.truncate(RECORDED_FRAMES);
    recorded
}

/// Both channels and the frames between them.
struct Both<'m> {
    nodes: [Node<'m, Filter>; 2],
    /// Of the boots of now.
    nonces: [u32; 2],
    arbiter: Preferred,
    now_us: u64,
    /// Arrival, receiver, bytes.
    in_flight: VecDeque<(u64, ChannelId, Vec<u8>)>,
    is_cut: bool,
    driven: [Option<(Cycle, Drive)>; 2],
    /// For the next boot.
    spare: Option<&'m mut Storage<Plant>>,
}

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

fn boot<'m>(me: ChannelId, memory: &'m mut Storage<Plant>, nonce: u32) -> Node<'m, Filter> {
    Node::new(me, memory.cells(), Config { nonce, ..CONFIG }).expect("a configuration that works")
}

impl<'m> Both<'m> {
    fn new(memory: &'m mut [Storage<Plant>; 3], moment: Moment, me: ChannelId) -> Self {
        let [a, b, spare] = memory;
        // Only the owner may go on alone.
        let owner = if moment == Moment::Standby { me.other() } else { me };
        Self {
            nodes: [boot(ChannelId::A, a, NONCES[0]), boot(ChannelId::B, b, NONCES[1])],
            nonces: [NONCES[0], NONCES[1]],
            arbiter: Preferred(owner),
            now_us: 1,
            in_flight: VecDeque::new(),
            is_cut: false,
            driven: [None, None],
            spare: Some(spare),
        }
    }

    fn bring_about(&mut self, moment: Moment, me: ChannelId) {
        if moment == Moment::Starting {
            return;
        }
        self.until(|both| both.nodes.iter().all(|node| node.settled_cycle() == Some(Cycle(COMMON_CYCLES))));
        match moment {
            Moment::Starting | Moment::Duplex => {}
            Moment::Simplex | Moment::Standby => self.is_cut = true,
            Moment::Donor => self.reboot(me.other()),
            Moment::Joining => self.reboot(me),
            Moment::Safe => {
                // The last one that serves, with memory beyond repair.
                self.is_cut = true;
                self.until(|both| both.nodes[me.index()].mode() == Mode::Simplex);
                let memory = self.nodes[me.index()].memory();
                memory.flip_working_bit(0);
                memory.flip_checkpoint_bit(1);
            }
        }
        self.until(|both| both.nodes[me.index()].mode() == moment.mode());
    }

    fn reboot(&mut self, channel: ChannelId) {
        let memory = self.spare.take().expect("one reboot");
        self.nodes[channel.index()] = boot(channel, memory, NONCES[2]);
        self.nonces[channel.index()] = NONCES[2];
        self.in_flight.clear();
    }

    fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..MOST_TURNS {
            if is_done(self) {
                return;
            }
            self.turn();
        }
        panic!("not within {MOST_TURNS} turns; modes {:?}", self.nodes.each_ref().map(Node::mode));
    }

    /// Goes on to the next thing that happens; returns the frames that arrived.
    fn turn(&mut self) -> Vec<(ChannelId, Vec<u8>)> {
        let wakes = self.nodes.iter().flat_map(|node| node.poll_timeout().into_iter().chain([node.next_start()]));
        let wakes = wakes.map(|at| at.as_micros().max(self.now_us + 1));
        let arrival = self.in_flight.front().map(|(at, ..)| *at);
        self.now_us = wakes.chain(arrival).min().unwrap_or(self.now_us + 1);
        let now = Instant::from_micros(self.now_us);
        let mut heard = Vec::new();
        while let Some((_, to, bytes)) = self.in_flight.pop_front_if(|(at, ..)| *at <= self.now_us) {
            let _ = self.nodes[to.index()].handle_frame(now, &bytes); // counted by the node
            heard.push((to, bytes));
        }
        for me in CHANNELS {
            self.poll(me, now);
            let node = &mut self.nodes[me.index()];
            if now >= node.next_start() {
                let _ = node.begin(now, sample(me, node.cycle().next())).expect("samples fit a frame");
                self.poll(me, now);
            }
            let mut buffer = [0; MAX_FRAME_BYTES];
            let node = &mut self.nodes[me.index()];
            while let Some(length) = node.poll_transmit(now, &mut buffer).expect("the buffer is the largest") {
                if !self.is_cut {
                    let frame = buffer[..length].to_vec();
                    self.in_flight.push_back((self.now_us + LINK_DELAY_US, me.other(), frame));
                }
            }
        }
        heard
    }

    fn poll(&mut self, me: ChannelId, now: Instant) {
        let Some(verdict) = self.nodes[me.index()].poll_verdict(now, &mut self.arbiter) else { return };
        for voted in verdict.release() {
            let cycle = voted.cycle();
            self.driven[me.index()] = voted.open().ok().map(|output| (cycle, output));
        }
    }
}
