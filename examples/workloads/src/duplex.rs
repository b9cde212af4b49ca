//! A pair in duplex, each node called as the run loop calls it: what a cycle takes of one of them, and a turn in which nothing
//! comes.

use crate::reference::{Reference, Signals, State};
use core::hint::black_box;
use crc::{CRC_32_ISCSI, Crc, Table};
use twinstep::memory::{Cells, MemoryMismatch};
use twinstep::{ChannelId, Config, ConfigError, Instant, Node, Outcome, Preferred};

/// The longest frame of the program.
pub(crate) const FRAME: usize = 96;
const SIDES: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
const ARBITER: Preferred = Preferred(ChannelId::A);
/// Cycles until the pair is in duplex for certain.
/// Less than the unit in which channels tell each other of arrivals.
const CANNOT_TELL_US: i32 = 4;
const BOOT_CYCLES: u32 = 50;
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// Frames on their way to one channel, each with its length.
#[derive(Default)]
struct Queue {
    frames: [Frame; 8],
    count: usize,
}

#[derive(Clone, Copy)]
struct Frame {
    length: usize,
    bytes: [u8; FRAME],
}

impl Default for Frame {
    fn default() -> Self {
        Self { length: 0, bytes: [0; FRAME] }
    }
}

/// Two nodes and the frames between them, which take no time.
pub(crate) struct Pair<'m> {
    nodes: [Node<'m, Reference, FRAME>; 2],
    queues: [Queue; 2],
    /// When each of them is to be looked at next, should nothing come.
    wakes_at: [Instant; 2],
    now: Instant,
    number: u8,
    /// Outputs that were opened.
    opened: u32,
}

impl<'m> Pair<'m> {
    /// Boots a pair and lets it run until it is in duplex.
    pub(crate) fn in_duplex(memories: [Cells<'m, State>; 2]) -> Result<Self, ConfigError> {
        let [a, b] = memories;
        let config = |nonce| Config { nonce, ..Config::DEFAULT };
        let nodes = [Node::new(ChannelId::A, a, config(1))?, Node::new(ChannelId::B, b, config(2))?];
        let queues = [Queue::default(), Queue::default()];
        let mut pair = Self {
            nodes,
            queues,
            wakes_at: [Instant::from_micros(0); 2],
            now: Instant::from_micros(0),
            number: 0,
            opened: 0,
        };
        for _ in 0..BOOT_CYCLES {
            pair.cycle();
        }
        Ok(pair)
    }

    /// Returns how many outputs were opened, for a proof that the pair has served.
    pub(crate) fn opened(&self) -> u32 {
        self.opened
    }

    /// Runs until both have come to a verdict: a cycle of each, once they are in step.
    fn cycle(&mut self) {
        let mut waits = [true; 2];
        while waits != [false; 2] {
            let has_frame = self.queues.each_ref().map(|queue| queue.count > 0);
            if has_frame == [false; 2] {
                let [a, b] = self.wakes_at;
                // Nothing to do before the first of them wakes. Starts that the channels cannot tell apart are one.
                let due = if a.since_us(b).abs() < CANNOT_TELL_US { a.max(b) } else { a.min(b) };
                self.now = due.max(self.now.plus_us(1));
            }
            for ((side, has_frame), wakes_at) in SIDES.into_iter().zip(has_frame).zip(self.wakes_at) {
                let has_verdict = (has_frame || wakes_at <= self.now) && self.turn(side);
                if let Some(waits) = waits.get_mut(side.index()) {
                    *waits &= !has_verdict;
                }
            }
        }
    }

    /// Begins a cycle if one is due, takes frames, looks at the cycle and sends what is due; true if that came to a verdict.
    fn turn(&mut self, side: ChannelId) -> bool {
        let [a, b] = &mut self.nodes;
        let [to_a, to_b] = &mut self.queues;
        let [wakes_a, wakes_b] = &mut self.wakes_at;
        let (node, inbox, outbox, wakes_at) = match side {
            ChannelId::A => (a, to_a, to_b, wakes_a),
            ChannelId::B => (b, to_b, to_a, wakes_b),
        };
        let now = self.now;
        if now >= node.next_start() {
            self.number = self.number.wrapping_add(1);
            let _ = node.begin(now, Signals::numbered(self.number));
        }
        let mut calls = node.calls(now);
        for Frame { length, bytes } in inbox.frames.iter().take(core::mem::take(&mut inbox.count)) {
            let frame = bytes.get(..*length).unwrap_or_default();
            if calls.open_parcel(now, frame).is_none() {
                let _ = calls.handle_frame(now, frame);
            }
        }
        let mut arbiter = ARBITER;
        let verdict = calls.poll_verdict(now, &mut arbiter);
        while let Some(frame) = outbox.frames.get_mut(outbox.count)
            && let Ok(Some(length)) = calls.poll_transmit(now, &mut frame.bytes)
        {
            drop(calls); // while the frame goes out
            (frame.length, outbox.count) = (length, outbox.count + 1);
            calls = node.calls(now);
        }
        let timeout = calls.poll_timeout();
        drop(calls);
        *wakes_at = timeout.map_or(node.next_start(), |at| at.min(node.next_start()));
        let Some(verdict) = verdict else { return false };
        let is_agreed = verdict.outcome() == Outcome::Agreed;
        for voted in verdict.release() {
            self.opened += u32::from(is_agreed && black_box(voted.open()).is_ok());
        }
        true
    }
}

/// A cycle of both nodes a repetition.
#[inline(never)]
pub(crate) fn cycle(pair: &mut Pair<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(&mut *pair).cycle();
    }
}

/// A turn in which nothing comes.
#[inline(never)]
pub(crate) fn idle_turn(pair: &mut Pair<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *pair).turn(ChannelId::A));
    }
}

#[inline(never)]
pub(crate) fn nothing(pair: &mut Pair<'_>, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(&mut *pair);
    }
}

/// What a pair does that is made without a library: each cycle all of the state is encoded, checked and compared.
pub(crate) struct ByHand {
    state: State,
    encoded: [[u8; 5 * crate::reference::WORDS]; 2],
}

impl ByHand {
    /// Returns the same state on both sides.
    pub(crate) const fn new() -> Self {
        Self { state: [0xDEAD_BEEF; crate::reference::WORDS], encoded: [[0; 5 * crate::reference::WORDS]; 2] }
    }

    fn cycle(&mut self) -> Option<(u32, bool)> {
        let [mine, theirs] = &mut self.encoded;
        let encoded = postcard::to_slice(&Words(black_box(&self.state)), mine).ok()?;
        let length = encoded.len();
        let crc = CRC.checksum(encoded);
        Some((crc, black_box(mine.get(..length)?) == black_box(theirs.get(..length)?)))
    }
}

/// A state as postcard takes it: a sequence of words.
struct Words<'w>(&'w [u32]);

impl serde::Serialize for Words<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

/// Encodes, checks and compares all of the state.
#[inline(never)]
pub(crate) fn by_hand(made: &mut ByHand, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(black_box(&mut *made).cycle());
    }
}

#[inline(never)]
pub(crate) fn nothing_by_hand(made: &mut ByHand, repetitions: u32) {
    for _ in 0..repetitions {
        black_box(&mut *made);
    }
}

/// What does not fit is an error of the memory: its size is that of the program.
pub(crate) fn run_pair<'m>(a: Cells<'m, State>, b: Cells<'m, State>) -> Result<Pair<'m>, MemoryMismatch> {
    Pair::in_duplex([a, b]).map_err(|_| MemoryMismatch { have_blocks: 0, need_blocks: 0 })
}
