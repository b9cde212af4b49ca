//! The run loop in virtual time, with the peer behind its link.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use twinstep::sim::Storage;
use twinstep::wire::MAX_FRAME_BYTES;
use twinstep::{Agreement, ChannelId, Config, ConfigError, Cycle, Instant, Mode, Node, Outcome, Preferred, Program};
use twinstep_hal::{Clock, Link, Lockstep};

struct Counter;

impl Program for Counter {
    type Input = u8;
    type Output = u32;
    type State = [u32; 256];
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);
    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(*a.max(b))
    }
    fn step(_: Cycle, state: &mut twinstep::Tracked<[u32; 256]>, input: &u8) -> u32 {
        state.try_update(|s| s.first(), |sum| sum.wrapping_add(u32::from(*input)));
        state.first().copied().unwrap_or_default()
    }
}

const CONFIG: Config = Config { nonce: 1, ..Config::DEFAULT };
const ARBITER: Preferred = Preferred(ChannelId::A);

/// Virtual time, which passes as the loop waits. A loop that never returns runs out of it.
#[derive(Clone)]
struct Time(Rc<Cell<u64>>);

impl Time {
    fn pass(&self, span_us: u64) {
        self.0.set(self.0.get() + span_us);
        assert!(self.0.get() < 20_000_000, "the loop does not come back");
    }
}

impl Clock for Time {
    fn now(&mut self) -> Instant {
        Instant::from_micros(self.0.get())
    }
    fn wait_until(&mut self, _: Instant) {
        self.pass(200);
    }
}

/// A link with the other channel at its end, which gets on whenever the link is looked at.
struct Peer<'m> {
    node: Node<'m, Counter>,
    time: Time,
    frame: [u8; MAX_FRAME_BYTES],
    is_dead: Rc<Cell<bool>>,
    boots_at_us: u64,
    /// The peer after a reboot, which comes with the next frame that it is sent.
    rebooted: Option<Node<'m, Counter>>,
    reboots: Rc<Cell<bool>>,
    /// How long the line takes for a frame.
    frame_us: u64,
}

impl Peer<'_> {
    fn is_there(&self) -> bool {
        !self.is_dead.get() && self.time.0.get() >= self.boots_at_us
    }
}

impl Link for Peer<'_> {
    type Error = Infallible;
    const FRAME_BYTES: usize = MAX_FRAME_BYTES;

    fn send(&mut self, frame: &[u8], _: u32) -> Result<(), Infallible> {
        self.time.pass(self.frame_us);
        if self.reboots.get() {
            self.node = self.rebooted.take().unwrap_or_else(|| panic!("reboots once"));
            self.reboots.set(false);
            self.is_dead.set(false);
        }
        if self.is_there() {
            let _ = self.node.handle_frame(self.time.now(), frame);
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, Infallible> {
        if !self.is_there() {
            return Ok(None);
        }
        let now = self.time.now();
        let _ = self.node.poll_verdict(now, &mut ARBITER.clone());
        if now >= self.node.next_start() {
            let _ = self.node.begin(now, 2).unwrap();
            let _ = self.node.poll_verdict(now, &mut ARBITER.clone());
        }
        let length = self.node.poll_transmit(now, &mut self.frame).unwrap();
        Ok(length.and_then(|length| self.frame.get(..length)))
    }
}

/// Runs both channels with a sensor that takes `sensor_us` to read; `me` runs in the loop.
fn run(me: ChannelId, sensor_us: u64, boots_at_us: u64, kill_peer: bool) -> (Mode, u32, u32) {
    let periods = 40;
    let time = Time(Rc::new(Cell::new(0)));
    let is_dead = Rc::new(Cell::new(false));
    let (mut mine, mut theirs) = (Storage::new(), Storage::new());
    let node = Node::new(me.other(), theirs.cells(), Config { nonce: 2, ..CONFIG }).unwrap();
    let frame = [0; MAX_FRAME_BYTES];
    let (rebooted, reboots) = (None, Rc::default());
    let peer =
        Peer { node, time: time.clone(), frame, is_dead: is_dead.clone(), boots_at_us, rebooted, reboots, frame_us: 0 };
    let mut pair = Lockstep::<Counter, _, _>::new(me, mine.cells(), peer, ARBITER, CONFIG).unwrap();
    let (mut agreed, mut alone) = (0, 0);
    for period in 0..periods {
        is_dead.set(kill_peer && period >= periods / 2);
        let before = time.0.get();
        let verdict = pair
            .cycle(&mut time.clone(), || {
                time.pass(sensor_us);
                1
            })
            .unwrap();
        agreed += u32::from(verdict.outcome() == Outcome::Agreed);
        alone += u32::from(matches!(verdict.outcome(), Outcome::Alone | Outcome::TookOver));
        let took = time.0.get() - before;
        assert!(took <= 2 * u64::from(CONFIG.period_us), "a cycle took {took} us");
    }
    (pair.node().mode(), agreed, alone)
}

/// A slow sensor makes frames wait in the link between `begin` and the first look at them,
/// also the one that cuts over.
#[test]
fn the_loop_reaches_duplex_however_long_the_sensor_takes() {
    for me in [ChannelId::A, ChannelId::B] {
        for sensor_us in [0, 1_000, 20_000] {
            // The peer boots around the start of one of this channel's periods.
            for boots_at_us in (198_000..202_000).step_by(50) {
                let (mode, agreed, _) = run(me, sensor_us, boots_at_us, false);
                let case = format!("{me}, sensor takes {sensor_us} us, peer boots at {boots_at_us} us");
                assert_eq!(mode, Mode::Duplex, "{case}");
                assert!(agreed >= 30, "{case}: {agreed} cycles agreed");
            }
        }
    }
}

#[test]
fn the_owner_goes_on_alone_and_the_other_stands_by() {
    let (mode, agreed, alone) = run(ChannelId::A, 1_000, 0, true);
    assert_eq!(mode, Mode::Simplex);
    assert!(agreed >= 15 && alone >= 19, "{agreed} agreed, {alone} alone");
    let (mode, _, alone) = run(ChannelId::B, 1_000, 0, true);
    assert_eq!((mode, alone), (Mode::Standby, 0));
}

/// On a line that takes 7 ms for a frame the blocks of a copy take most of the period. They go out
/// when the outputs were handed out, and the next cycle begins in time all the same.
#[test]
fn a_copy_delays_neither_the_outputs_nor_the_cycle() {
    copy_on_a_slow_line(0);
}

/// The same with outputs that take more than half of the period to be driven: what is left is
/// enough for the copy, and for the claim at its end.
#[test]
fn a_copy_ends_though_the_outputs_take_long() {
    copy_on_a_slow_line(55_000);
}

fn copy_on_a_slow_line(drive_us: u64) {
    const FRAME_US: u64 = 7_000;
    let config = Config { copy_blocks: 8, ..CONFIG };
    let time = Time(Rc::new(Cell::new(0)));
    let (is_dead, reboots) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let [mut mine, mut theirs, mut after] = [Storage::new(), Storage::new(), Storage::new()];
    let node = Node::new(ChannelId::B, theirs.cells(), Config { nonce: 2, ..config }).unwrap();
    let rebooted = Some(Node::new(ChannelId::B, after.cells(), Config { nonce: 3, ..config }).unwrap());
    let peer = Peer {
        node,
        time: time.clone(),
        frame: [0; MAX_FRAME_BYTES],
        is_dead: is_dead.clone(),
        boots_at_us: 0,
        rebooted,
        reboots: reboots.clone(),
        frame_us: FRAME_US,
    };
    let mut pair = Lockstep::<Counter, _, _>::new(ChannelId::A, mine.cells(), peer, ARBITER, config).unwrap();
    let (mut donated, mut latest_begin_us, mut began_us) = (0, 0, 0);
    for period in 0..60 {
        is_dead.set(is_dead.get() || period == 10);
        reboots.set(period == 15);
        let mut begin_us = 0;
        let verdict = pair
            .cycle(&mut time.clone(), || {
                begin_us = time.0.get();
                1
            })
            .unwrap();
        let (mode, outcome, took_us) = (verdict.mode(), verdict.outcome(), time.0.get() - begin_us);
        if mode == Mode::Donor {
            donated += 1;
            assert_eq!(outcome, Outcome::Alone);
            assert!(took_us <= FRAME_US, "the output was {took_us} us late");
            latest_begin_us = latest_begin_us.max(begin_us - began_us);
        }
        began_us = begin_us;
        drop(verdict);
        time.pass(drive_us);
    }
    assert_eq!(pair.node().mode(), Mode::Duplex);
    assert!(donated >= 2, "the copy took {donated} cycles");
    let latest_us = u64::from(config.period_us) + 1_000;
    assert!(latest_begin_us <= latest_us, "{latest_begin_us} us from one cycle to the next");
    assert!(pair.node().counters().blocks_sent >= 16);
}

#[test]
fn solo_boot_is_refused_without_an_arbiter_that_remembers() {
    let mut memory = Storage::new();
    let time = Time(Rc::new(Cell::new(0)));
    let mut other = Storage::new();
    let node = Node::new(ChannelId::B, other.cells(), CONFIG).unwrap();
    let (frame, is_dead, reboots) = ([0; MAX_FRAME_BYTES], Rc::default(), Rc::default());
    let peer = Peer { node, time, frame, is_dead, boots_at_us: 0, rebooted: None, reboots, frame_us: 0 };
    let config = Config { solo_boot_after_us: Some(1_000_000), ..CONFIG };
    let pair = Lockstep::<Counter, _, _>::new(ChannelId::A, memory.cells(), peer, ARBITER, config);
    assert_eq!(pair.err(), Some(ConfigError::SoloBootNeedsArbiter));
}

/// A receiver that reports one overrun and is deaf until its flag is cleared.
struct Overrun<'m> {
    peer: Peer<'m>,
    receives: u32,
    is_deaf: bool,
    is_mended: bool,
    /// The least and the most time that a frame was given.
    within_us: (u32, u32),
}

#[derive(Debug)]
struct Overran;

const OVERRUN_AT: u32 = 4_000;

impl Link for Overrun<'_> {
    type Error = Overran;
    const FRAME_BYTES: usize = MAX_FRAME_BYTES;

    fn send(&mut self, frame: &[u8], within_us: u32) -> Result<(), Overran> {
        self.within_us = (self.within_us.0.min(within_us), self.within_us.1.max(within_us));
        self.peer.send(frame, within_us).map_err(|never| match never {})
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, Overran> {
        self.receives += 1;
        if self.receives == OVERRUN_AT {
            self.is_deaf = true;
            return Err(Overran);
        }
        let frame = self.peer.receive().map_err(|never| match never {})?;
        Ok(frame.filter(|_| !self.is_deaf))
    }

    fn recover(&mut self, Overran: Overran) {
        self.is_deaf &= !self.is_mended;
    }
}

/// Runs a channel whose receiver overruns once; returns its mode, and the least and the most time that a frame was given.
fn run_with_overrun(is_mended: bool) -> (Mode, u32, (u32, u32)) {
    let time = Time(Rc::new(Cell::new(0)));
    let (mut mine, mut theirs) = (Storage::new(), Storage::new());
    let node = Node::new(ChannelId::B, theirs.cells(), Config { nonce: 2, ..CONFIG }).unwrap();
    let peer = Peer {
        node,
        time: time.clone(),
        frame: [0; MAX_FRAME_BYTES],
        is_dead: Rc::default(),
        boots_at_us: 0,
        rebooted: None,
        reboots: Rc::default(),
        frame_us: 0,
    };
    let link = Overrun { peer, receives: 0, is_deaf: false, is_mended, within_us: (u32::MAX, 0) };
    let mut pair = Lockstep::<Counter, _, _>::new(ChannelId::A, mine.cells(), link, ARBITER, CONFIG).unwrap();
    for _ in 0..60 {
        let _ = pair.cycle(&mut time.clone(), || 1).unwrap();
    }
    assert!(pair.link().receives > OVERRUN_AT, "{}", pair.link().receives);
    assert_eq!(pair.link_mut().is_deaf, !is_mended);
    (pair.node().mode(), pair.link_errors(), pair.link().within_us)
}

#[test]
fn a_link_is_brought_back_after_an_error() {
    let (mode, errors, (least_us, most_us)) = run_with_overrun(true);
    assert_eq!((mode, errors), (Mode::Duplex, 1));
    assert!(least_us > 0 && most_us <= CONFIG.period_us, "{least_us} to {most_us} us for a frame");
    // Control: one that stays deaf costs the pair.
    let (mode, errors, _) = run_with_overrun(false);
    assert_eq!((mode, errors), (Mode::Simplex, 1));
}
