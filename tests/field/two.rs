//! Two bare nodes on a wire, polled every 100 microseconds, either of which may be left alone.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use twinstep::ids::Phase;
use twinstep::sim::Storage;
use twinstep::wire::{self, Header, Hello, Keys, Kind, MAX_FRAME_BYTES, Payload};
use twinstep::{
    Agreement, Arbiter, Build, ChannelId, Claim, Config, Confirmation, Cycle, Epoch, Faults, Grounds, Instant, Mode,
    Node, Program, Tracked,
};

pub const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
pub const TICK_US: u64 = 100;
const DELAY_US: u64 = 3_000;

/// Drives what it reads.
pub struct Echo;

impl Program for Echo {
    type Input = u32;
    type Output = u32;
    type State = [u32; 4];
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Agreement::on(*a.max(b))
    }

    fn step(_: Cycle, state: &mut Tracked<[u32; 4]>, input: &u32) -> u32 {
        state.set(|s| &s[0], *input);
        *input
    }
}

/// What a relay does and was told.
#[derive(Debug, Default)]
pub struct Contact {
    pub through: Option<Epoch>,
    /// No claim is answered.
    pub is_mute: bool,
    /// Claims of mute times are carried out all the same.
    pub is_obedient: bool,
    /// It remembers no epoch that it could tell a channel that boots.
    pub forgets: bool,
    /// One look in so many is misread: who owns does not; 0: none is.
    pub misread_every: u32,
    /// Looks at who owns.
    pub looks: u32,
    /// Nobody can be told who owns.
    pub cannot_tell: bool,
    /// Asks for the outputs, and what was released.
    pub asks: u32,
    pub released: Vec<Epoch>,
}

/// One end of a relay.
#[derive(Clone, Default)]
pub struct Relay(pub Rc<RefCell<Contact>>);

impl Arbiter for Relay {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        let mut contact = self.0.borrow_mut();
        contact.asks += 1;
        if contact.is_mute && !contact.is_obedient {
            return Claim::Pending;
        }
        if contact.through.is_none_or(|kept| to.counter() > kept.counter()) {
            contact.through = Some(to);
        }
        match contact.through == Some(to) {
            _ if contact.is_mute => Claim::Pending,
            true => Claim::Granted,
            false => Claim::Refused,
        }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        let mut contact = self.0.borrow_mut();
        contact.looks += 1;
        if contact.misread_every > 0 && contact.looks.is_multiple_of(contact.misread_every) {
            return Confirmation::No;
        }
        if contact.cannot_tell {
            return Confirmation::CannotTell;
        }
        (contact.through == Some(epoch) && epoch.owner() == me).into()
    }

    fn release(&mut self, epoch: Epoch, _: ChannelId) {
        self.0.borrow_mut().released.push(epoch);
    }

    fn remembered(&self) -> Option<Epoch> {
        let contact = self.0.borrow();
        (!contact.forgets).then(|| contact.through.unwrap_or(Epoch::NONE))
    }
}

/// An output that reached the actuator.
#[derive(Clone, Copy, Debug)]
pub struct Driven {
    pub at_us: u64,
    pub by: usize,
    pub output: u32,
}

/// What becomes of a frame of B: the frames that A gets in its place, each with its kind, phase and payload.
pub type Mangle = Box<dyn FnMut(&Taken<'_>) -> Vec<(Kind, Phase, Vec<u8>)>>;

/// A frame of B on its way.
pub struct Taken<'f> {
    pub now_us: u64,
    pub header: Header,
    pub payload: &'f [u8],
    /// Nonce and challenge that A said last.
    pub said_by_a: (u32, u32),
}

impl Taken<'_> {
    /// The frame as it is.
    pub fn as_it_is(&self) -> Vec<(Kind, Phase, Vec<u8>)> {
        vec![(self.header.kind, self.header.phase, self.payload.to_vec())]
    }
}

/// Two channels.
pub struct Two {
    pub nodes: [Option<Node<'static, Echo>>; 2],
    /// Both ends of the relay.
    pub relays: [Relay; 2],
    pub config: Config,
    pub now_us: u64,
    pub is_cut: bool,
    /// Not polled: frames wait on the wire.
    pub is_asleep: [bool; 2],
    wires: [VecDeque<(u64, Vec<u8>)>; 2],
    pub driven: Vec<Driven>,
    /// Faults that verdicts told of.
    pub told: [Faults; 2],
    boots: u32,
    nonces: [u32; 2],
    /// B is not one of us.
    pub mangle: Option<Mangle>,
    said_by_a: (u32, u32),
}

impl Two {
    pub fn new(config: Config) -> Self {
        let relay = Relay::default();
        let mut two = Self {
            nodes: [None, None],
            relays: [relay.clone(), relay],
            config,
            now_us: 1_000_000,
            is_cut: false,
            is_asleep: [false; 2],
            wires: [VecDeque::new(), VecDeque::new()],
            driven: vec![],
            told: [Faults::empty(); 2],
            boots: 0,
            nonces: [0; 2],
            mangle: None,
            said_by_a: (0, 0),
        };
        two.boot(0);
        two.boot(1);
        two
    }

    /// A pair that has been in duplex for a while.
    pub fn in_duplex(config: Config) -> Self {
        let mut two = Self::new(config);
        two.run_us(3_000_000);
        assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
        two
    }

    pub fn boot(&mut self, at: usize) {
        self.boots += 1;
        self.boot_as(at, CHANNELS[at], self.boots);
    }

    /// Boots a board as this channel, with this nonce.
    pub fn boot_as(&mut self, at: usize, channel: ChannelId, nonce: u32) {
        self.nonces[at] = nonce;
        let memory: &'static mut Storage<[u32; 4]> = Box::leak(Box::new(Storage::new()));
        let config = Config { nonce, ..self.config };
        self.nodes[at] = Some(Node::new(channel, memory.cells(), config).unwrap());
    }

    pub fn owner(&self) -> usize {
        self.nodes.iter().flatten().find(|node| node.leads()).map_or(0, |node| node.channel().index())
    }

    pub fn node(&self, at: usize) -> &Node<'static, Echo> {
        self.nodes[at].as_ref().unwrap()
    }

    pub fn modes(&self) -> [Option<Mode>; 2] {
        self.nodes.each_ref().map(|node| node.as_ref().map(Node::mode))
    }

    pub fn run_us(&mut self, us: u64) {
        let end = self.now_us + us;
        while self.now_us < end {
            self.now_us += TICK_US;
            (0..2).for_each(|at| self.turn(at));
        }
    }

    /// What was driven since a time, by each.
    pub fn driven_since(&self, since_us: u64) -> [usize; 2] {
        [0, 1].map(|of| self.driven.iter().filter(|driven| driven.at_us >= since_us && driven.by == of).count())
    }

    fn turn(&mut self, at: usize) {
        let now = Instant::from_micros(self.now_us);
        if self.is_asleep[at] {
            return;
        }
        let Some(node) = &mut self.nodes[at] else { return self.wires[at].clear() };
        while self.wires[at].front().is_some_and(|(due, _)| *due <= self.now_us) {
            let _ = node.handle_frame(now, &self.wires[at].pop_front().unwrap().1);
        }
        for begins in [false, true] {
            if begins && now < node.next_start() {
                break;
            }
            if begins {
                // The time in milliseconds, so that an output tells how old it is.
                let _ = node.begin(now, (self.now_us / 1_000) as u32).unwrap();
            }
            let Some(verdict) = node.poll_verdict(now, &mut self.relays[at]) else { continue };
            self.told[at] |= verdict.fault().unwrap_or_default();
            for voted in verdict.release() {
                if let Ok(output) = voted.open() {
                    self.driven.push(Driven { at_us: self.now_us, by: at, output });
                }
            }
        }
        let mut frames = vec![];
        let mut buffer = [0; MAX_FRAME_BYTES];
        while let Some(length) = node.poll_transmit(now, &mut buffer).unwrap() {
            frames.push(buffer[..length].to_vec());
        }
        for frame in frames {
            for frame in self.mangled(at, frame) {
                if !self.is_cut {
                    self.wires[1 - at].push_back((self.now_us + DELAY_US, frame));
                }
            }
        }
    }

    /// What A gets in place of a frame of B.
    fn mangled(&mut self, at: usize, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(node) = &self.nodes[at] else { return vec![frame] };
        let nonces = self.nonces;
        let keys = Keys { pair: self.config.pair, epoch: node.epoch(), nonces };
        let Ok((header, payload)) = wire::parse(&frame, &keys) else { return vec![frame] };
        if at == 0 {
            if let (Kind::Hello, Ok(hello)) = (header.kind, Hello::parse(payload)) {
                self.said_by_a = (hello.nonce, hello.challenge);
            }
            return vec![frame];
        }
        let Some(mangle) = &mut self.mangle else { return vec![frame] };
        let said_by_a = self.said_by_a;
        let taken = Taken { now_us: self.now_us, header, payload, said_by_a };
        let forge = |(kind, phase, payload): (Kind, Phase, Vec<u8>)| {
            let header = Header { kind, phase, ..header };
            let mut buffer = [0; MAX_FRAME_BYTES];
            let length = wire::build(&mut buffer, &header, &keys, payload.len(), |room| {
                room.copy_from_slice(&payload);
                Some(payload.len())
            });
            buffer[..length.unwrap()].to_vec()
        };
        mangle(&taken).into_iter().map(forge).collect()
    }
}
