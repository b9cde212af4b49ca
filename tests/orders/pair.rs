//! A pair whose channel A is called in any order, and whose channel B is used as it should be.

use super::arbiter::{Arbiters, Kind};
use super::program::{FIRST, Tiny, agreed, next, sample};
use super::spare::{give_back, spare};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use twinstep::{Begun, ChannelId, Config, Cycle, Drive, Instant, Mechanism, Mode, Node, Outcome, PairId};

pub const A: usize = 0;
pub const B: usize = 1;
const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
const PERIOD_US: u32 = Config::DEFAULT.period_us;
/// The longest `Hello`, the longest frame of this program.
pub const FRAME: usize = 60;

pub type TinyNode = Node<'static, Tiny, FRAME>;

/// Both channels at one moment, and what they drove. A frame takes no time: what is tried is the order of calls, not the link.
pub struct Pair {
    /// A and B; a list, so that their memory can be used again.
    pub nodes: Vec<TinyNode>,
    pub now_us: u64,
    pub arbiters: Arbiters,
    /// Frames on their way, by receiver.
    pub towards: [Vec<Vec<u8>>; 2],
    /// The last frame that A took.
    pub last: Vec<u8>,
    /// When A was called with an instant before the present one.
    pub past: Vec<u64>,
    /// The samples that began cycles, by cycle and channel.
    samples: BTreeMap<u32, [Vec<u8>; 2]>,
    /// What was driven, by cycle: the first of both, which the other one must equal.
    driven: BTreeMap<u32, u16>,
}

impl Clone for Pair {
    fn clone(&self) -> Self {
        Self {
            nodes: self.nodes.iter().map(|node| node.copied_onto(spare())).collect(),
            towards: self.towards.clone(),
            last: self.last.clone(),
            past: self.past.clone(),
            samples: self.samples.clone(),
            driven: self.driven.clone(),
            ..*self
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.nodes.drain(..).for_each(|node| give_back(node.into_memory()));
    }
}

impl Pair {
    /// Two channels just powered up.
    pub fn booted(off: Option<Mechanism>) -> Self {
        let nodes = CHANNELS.map(|me| {
            let nonce = 1 + me as u32;
            let config = Config { pair: PairId(7), nonce, link_delay_us: 0, drive: Drive::Both, ..Config::DEFAULT };
            let mut node = TinyNode::new(me, spare(), config).unwrap();
            if let Some(mechanism) = off {
                node.switch_off(mechanism);
            }
            node
        });
        Self {
            nodes: nodes.into(),
            now_us: 1_000_000,
            arbiters: Arbiters::new(Kind::Relay { asks: 1 }),
            towards: Default::default(),
            last: Vec::new(),
            past: Vec::new(),
            samples: BTreeMap::new(),
            driven: BTreeMap::new(),
        }
    }

    pub fn now(&self) -> Instant {
        Instant::from_micros(self.now_us)
    }

    pub fn is_in_duplex(&self) -> bool {
        self.nodes.iter().all(|node| node.mode() == Mode::Duplex)
    }

    /// Tells states apart.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.nodes.iter().for_each(|node| node.fingerprint(&mut hasher));
        (self.now_us, &self.arbiters, &self.towards, &self.last, &self.past, &self.samples, &self.driven)
            .hash(&mut hasher);
        hasher.finish()
    }

    /// Lets a channel begin, as it may at any time.
    pub fn begin(&mut self, at: usize) -> Result<Begun, String> {
        let now = self.now();
        let (before, serves) = (self.nodes[at].cycle(), self.nodes[at].mode().serves());
        let attempts = self.samples.get(&before.next().0).map_or(0, |samples| samples[at].len());
        let sample = sample(at, before.next().0, attempts as u8);
        let begun = self.nodes[at].begin(now, sample).map_err(|error| error.to_string())?;
        match begun {
            // A channel that takes a state over begins the cycle after it, which it may have begun before.
            Begun::New(cycle) if cycle.0 > before.next().0 => return Err(format!("{begun:?} after cycle {before}")),
            Begun::New(cycle) => self.samples.entry(cycle.0).or_default()[at].push(sample),
            Begun::VerdictDue(cycle) | Begun::Continuing(cycle) if cycle != before => {
                return Err(format!("{begun:?} in cycle {before}"));
            }
            Begun::Idle if serves && self.nodes[at].mode().serves() => return Err("idle in service".into()),
            Begun::VerdictDue(_) | Begun::Continuing(_) | Begun::Idle => {}
        }
        Ok(begun)
    }

    /// Asks a channel for its verdict, and drives what it releases, or drops it.
    pub fn poll(&mut self, at: usize, now: Instant, drives: bool) -> Result<(), String> {
        let mut arbiter = self.arbiters.end(at);
        let Some(verdict) = self.nodes[at].poll_verdict(now, &mut arbiter) else { return Ok(()) };
        if !drives {
            return Ok(());
        }
        let outcome = verdict.outcome();
        let opened: Vec<_> = verdict.release().filter_map(|voted| Some((voted.cycle(), voted.open().ok()?))).collect();
        for (cycle, output) in opened {
            match outcome {
                Outcome::Safe if output == u16::MAX => {}
                Outcome::Safe => return Err(format!("{output:#06x} is not the safe output")),
                _ => self.judge(cycle, output)?,
            }
        }
        Ok(())
    }

    /// Whether the output of a cycle comes of the one before and of samples of that cycle.
    fn judge(&mut self, cycle: Cycle, output: u16) -> Result<(), String> {
        let known = *self.driven.entry(cycle.0).or_insert(output);
        if known != output {
            return Err(format!("cycle {cycle} drives {output:#06x} after {known:#06x}"));
        }
        let before = if cycle.0 == 1 { Some(FIRST) } else { self.driven.get(&(cycle.0 - 1)).copied() };
        let (Some(before), Some([a, b])) = (before, self.samples.get(&cycle.0)) else { return Ok(()) };
        let of_both = a.iter().flat_map(|a| b.iter().map(|b| agreed(*a, *b)));
        let of_one = a.iter().chain(b).map(|own| agreed(*own, *own));
        if of_both.chain(of_one).any(|input| next(before, cycle.0, input) == output) {
            return Ok(());
        }
        Err(format!("cycle {cycle} drives {output:#06x}, which comes of no sample"))
    }

    /// Takes a frame of a channel, if it has one to send.
    pub fn send(&mut self, at: usize) -> bool {
        let (now, mut buffer) = (self.now(), [0; FRAME]);
        let Ok(Some(length)) = self.nodes[at].poll_transmit(now, &mut buffer) else { return false };
        self.towards[1 - at].push(buffer[..length].to_vec());
        true
    }

    /// Uses a channel as it should be used, at this instant.
    pub fn turn(&mut self, at: usize) -> Result<(), String> {
        let now = self.now();
        for frame in std::mem::take(&mut self.towards[at]) {
            let _ = self.nodes[at].handle_frame(now, &frame);
            self.poll(at, now, true)?;
        }
        self.poll(at, now, true)?;
        if now >= self.nodes[at].next_start() {
            let _: Begun = self.begin(at)?;
            self.poll(at, now, true)?;
        }
        while self.send(at) {}
        Ok(())
    }

    /// Lets time pass until the next thing is due; what is overdue stays so.
    pub fn wait(&mut self) {
        let due = self.nodes.iter().flat_map(|node| node.poll_timeout().into_iter().chain([node.next_start()]));
        let next = due.map(Instant::as_micros).filter(|due| *due > self.now_us).min();
        self.now_us = next.unwrap_or(self.now_us + u64::from(PERIOD_US));
    }

    /// Lets a period pass, in which A does nothing.
    pub fn wait_without_a(&mut self) -> Result<(), String> {
        let end_us = self.now_us + u64::from(PERIOD_US);
        while self.now_us < end_us {
            self.turn(B)?;
            self.wait();
        }
        Ok(())
    }

    /// Uses both as they should be used, until so many further cycles were driven in duplex; returns the periods that took.
    pub fn serve(&mut self, cycles: u32, most_periods: u64) -> Result<u64, String> {
        let period_us = u64::from(PERIOD_US);
        let (began_us, mut first) = (self.now_us, None);
        while self.now_us - began_us <= most_periods * period_us {
            for at in [A, B, A, B] {
                self.turn(at)?;
            }
            let last = self.driven.keys().last().copied().unwrap_or(0);
            let first = *first.get_or_insert(last);
            if self.is_in_duplex() && last >= first + cycles {
                return Ok((self.now_us - began_us).div_ceil(period_us));
            }
            self.wait();
        }
        Err(format!("does not serve in duplex again: {:?}", self.nodes.iter().map(Node::mode).collect::<Vec<_>>()))
    }
}
