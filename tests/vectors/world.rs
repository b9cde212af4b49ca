//! Two nodes on a wire that takes a millisecond, and what they say to each other.

use super::programs::{Level, Opening};
use super::reader::{Reader, in_hex};
use twinstep::sim::Storage;
use twinstep::upgrade::{Candidate, Order};
use twinstep::wire::Keys;
use twinstep::{
    ChannelId, Config, Epoch, Instant, MayUpgrade, Mode, Node, PairId, Preferred, Program, Site, Successor, Upgrades,
};

pub const PAIR: PairId = PairId(0x5EED_CAFE);
pub const NONCES: [u32; 2] = [0x0A0A_0001, 0x0B0B_0002];
const FRAME: usize = 100;
const FIRST_OWNER: ChannelId = ChannelId::A;

pub const CONFIG: Config = Config { pair: PAIR, link_delay_us: 1_000, trial_cycles: 3, ..Config::DEFAULT };

/// What the world asks of a node, whatever program it runs.
pub trait Half {
    /// Lets a millisecond pass: takes what has arrived, returns what is to be sent.
    fn turn(&mut self, now: Instant, arrived: &[Vec<u8>]) -> Vec<Vec<u8>>;
    fn mode(&self) -> Mode;
    fn committed(&self) -> u32;
    fn flip(&mut self, site: Site, bit: usize);
    fn order(&mut self, now: Instant, order: Order);
    fn is_ready(&self) -> bool;
}

struct Running<P: Program + 'static, U: MayUpgrade<P> + 'static> {
    node: Node<'static, P, FRAME, U>,
    me: ChannelId,
    order: fn(&mut Node<'static, P, FRAME, U>, Instant, Order),
    is_ready: fn(&Node<'static, P, FRAME, U>) -> bool,
}

fn memory<P: Program>() -> &'static mut Storage<P::State> {
    Box::leak(Box::new(Storage::new()))
}

fn config(nonce: u32) -> Config {
    Config { nonce, ..CONFIG }
}

/// A channel that is not upgraded.
pub fn plain<P: Program<Input = Level, Output = Opening> + 'static>(me: ChannelId, nonce: u32) -> Box<dyn Half> {
    let node = Node::<P, FRAME>::new(me, memory::<P>().cells(), config(nonce)).unwrap();
    Box::new(Running { node, me, order: |_, _, _| panic!("no orders here"), is_ready: |_| false })
}

type Upgradable<P> = Node<'static, P, FRAME, Upgrades<P>>;

fn with_upgrades<P>(me: ChannelId, nonce: u32, prepare: impl FnOnce(&mut Upgradable<P>)) -> Box<dyn Half>
where
    P: Program<Input = Level, Output = Opening> + 'static,
{
    let mut node = Upgradable::<P>::with_upgrades(me, memory::<P>().cells(), config(nonce)).unwrap();
    prepare(&mut node);
    let order = |node: &mut Upgradable<P>, now: Instant, order| assert!(node.order(now, order).is_ok());
    Box::new(Running { node, me, order, is_ready: |node| node.upgrade().is_ready })
}

/// A channel of the version before, with an image of the next one at hand.
pub fn before<O, N>(me: ChannelId, nonce: u32) -> Box<dyn Half>
where
    O: Program<Input = Level, Output = Opening> + 'static,
    N: Successor,
{
    let candidate =
        Candidate { version: N::VERSION, takes_version: N::OLD_VERSION, takes_layout: N::OLD_LAYOUT, floor: 0 };
    with_upgrades::<O>(me, nonce, |node| node.offer_candidate(Some(candidate)))
}

/// A channel of the next version, on trial.
pub fn after<N>(me: ChannelId, nonce: u32) -> Box<dyn Half>
where
    N: Successor<Input = Level, Output = Opening> + 'static,
{
    with_upgrades::<N>(me, nonce, |node| node.succeed(twinstep::Succession::new()))
}

impl<P: Program<Input = Level, Output = Opening>, U: MayUpgrade<P>> Running<P, U> {
    fn poll(&mut self, now: Instant) {
        while let Some(verdict) = self.node.poll_verdict(now, &mut Preferred(FIRST_OWNER)) {
            let _ = verdict;
        }
    }
}

impl<P: Program<Input = Level, Output = Opening>, U: MayUpgrade<P>> Half for Running<P, U> {
    fn turn(&mut self, now: Instant, arrived: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for frame in arrived {
            let _ = self.node.handle_frame(now, frame);
            self.poll(now);
        }
        self.poll(now);
        if now >= self.node.next_start() {
            let cycle = self.node.cycle().next().0 as i16;
            let is_full = [None, Some(false), Some(true)][cycle as usize % 3];
            let level = Level { mm: 300 - 7 * cycle - self.me.index() as i16, is_full };
            let _ = self.node.begin(now, level).unwrap();
            self.poll(now);
        }
        let mut sent = Vec::new();
        let mut buffer = [0; FRAME];
        while let Some(length) = self.node.poll_transmit(now, &mut buffer).unwrap() {
            sent.push(buffer[..length].to_vec());
        }
        sent
    }

    fn mode(&self) -> Mode {
        self.node.mode()
    }

    fn committed(&self) -> u32 {
        self.node.settled_cycle().map_or(0, |cycle| cycle.0)
    }

    fn flip(&mut self, site: Site, bit: usize) {
        assert!(self.node.flip(site, bit));
    }

    fn order(&mut self, now: Instant, order: Order) {
        (self.order)(&mut self.node, now, order);
    }

    fn is_ready(&self) -> bool {
        (self.is_ready)(&self.node)
    }
}

pub struct World {
    now_us: u64,
    pub halves: [Box<dyn Half>; 2],
    nonces: [u32; 2],
    towards: [Vec<Vec<u8>>; 2],
    reader: Reader,
    /// A frame a line; nothing while it is quiet.
    pub lines: Vec<String>,
    pub is_quiet: bool,
}

impl World {
    pub fn new(halves: [Box<dyn Half>; 2]) -> Self {
        let mut reader = Reader::of(&keys(NONCES));
        for nonces in [[NONCES[0], 0], [0, NONCES[1]]] {
            reader.reads(&keys(nonces)); // one that has not met the other
        }
        Self {
            now_us: 0,
            halves,
            nonces: NONCES,
            towards: Default::default(),
            reader,
            lines: Vec::new(),
            is_quiet: false,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.now_us)
    }

    pub fn order(&mut self, at: usize, order: Order) {
        let now = self.now();
        self.halves[at].order(now, order);
    }

    /// Another boot of a channel takes its place.
    pub fn restart(&mut self, at: usize, nonce: u32, half: Box<dyn Half>) {
        self.halves[at] = half;
        self.nonces[at] = nonce;
        self.towards[at].clear();
        let mut unmet = self.nonces;
        unmet[1 - at] = 0;
        self.reader.reads(&keys(self.nonces));
        self.reader.reads(&keys(unmet));
    }

    pub fn tick(&mut self) {
        self.now_us += 1_000;
        let now = self.now();
        let arrived = std::mem::take(&mut self.towards);
        for (at, frames) in arrived.iter().enumerate() {
            for frame in self.halves[at].turn(now, frames) {
                if !self.is_quiet {
                    let told = self.reader.tell(&frame);
                    self.lines.push(format!("{:5} ms | {} | {told}\n", self.now_us / 1_000, in_hex(&frame)));
                }
                self.towards[1 - at].push(frame);
            }
        }
    }

    pub fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..20_000 {
            self.tick();
            if done(self) {
                return;
            }
        }
        panic!("{what}: not within 20 s");
    }

    pub fn modes(&self) -> [Mode; 2] {
        self.halves.each_ref().map(|half| half.mode())
    }

    /// Runs until both have settled this many further cycles.
    pub fn run_cycles(&mut self, count: u32) {
        let last = self.halves[0].committed() + count;
        self.run_until("cycles", |world| world.halves.iter().all(|half| half.committed() >= last));
    }
}

fn keys(nonces: [u32; 2]) -> Keys {
    Keys { pair: PAIR, epoch: Epoch::NONE, nonces }
}
