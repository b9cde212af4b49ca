//! A link that does to frames what links do.

use fastrand::Rng;
use std::collections::VecDeque;
use std::vec::Vec;

/// How often the link does what; probabilities per frame, but `flip` per byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkFaults {
    /// The frame is lost.
    pub lose: f64,
    /// A byte has one bit flipped.
    pub flip: f64,
    /// The frame comes twice, the second time up to `late_us` later.
    pub repeat: f64,
    /// The frame is up to `late_us` late, and so out of order.
    pub delay: f64,
    /// The frame loses its end.
    pub truncate: f64,
    /// Random bytes come as a frame of their own.
    pub insert: f64,
    /// The frame also comes back to its sender.
    pub reflect: f64,
    /// The longest lateness.
    pub late_us: u64,
}

impl LinkFaults {
    /// Does nothing.
    pub const NONE: Self =
        Self { lose: 0.0, flip: 0.0, repeat: 0.0, delay: 0.0, truncate: 0.0, insert: 0.0, reflect: 0.0, late_us: 0 };

    /// Every kind of fault, often.
    pub const NOISY: Self = Self {
        lose: 0.05,
        flip: 0.001,
        repeat: 0.05,
        delay: 0.03,
        truncate: 0.01,
        insert: 0.02,
        reflect: 0.02,
        late_us: 400_000,
    };
}

/// One direction of the link.
pub(super) struct Direction {
    in_flight: VecDeque<(u64, Vec<u8>)>,
    /// Memory of frames that have arrived, for the next ones.
    spare: Vec<Vec<u8>>,
}

/// Frames whose memory is kept.
const MOST_SPARE: usize = 8;

impl Direction {
    pub(super) fn new() -> Self {
        Self { in_flight: VecDeque::new(), spare: Vec::new() }
    }

    /// Copies a frame into memory that is to be given back.
    pub(super) fn copy(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(frame);
        copy
    }

    /// Takes the memory of a frame back.
    pub(super) fn give_back(&mut self, frame: Vec<u8>) {
        if self.spare.len() < MOST_SPARE {
            self.spare.push(frame);
        }
    }

    pub(super) fn deliver_at(&mut self, at: u64, bytes: Vec<u8>) {
        let place = self.in_flight.iter().take_while(|(other, _)| *other <= at).count();
        self.in_flight.insert(place, (at, bytes));
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        self.in_flight.front().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self, now: u64) -> Option<Vec<u8>> {
        self.next_at().filter(|at| *at <= now)?;
        self.in_flight.pop_front().map(|(_, bytes)| bytes)
    }

    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
    }
}

/// Sends a frame through the faults: to `there`, and perhaps back to its sender. Returns how
/// many of its bytes were flipped.
pub(super) fn send(
    rng: &mut Rng,
    faults: &LinkFaults,
    arrival: u64,
    frame: &[u8],
    there: &mut Direction,
    back: &mut Direction,
) -> u64 {
    if *faults == LinkFaults::NONE {
        let copy = there.copy(frame);
        there.deliver_at(arrival, copy);
        return 0;
    }
    let late = |rng: &mut Rng| arrival + rng.u64(0..=faults.late_us);
    let mut flipped = 0;
    let mut bytes = frame.to_vec();
    for byte in &mut bytes {
        if rng.f64() < faults.flip {
            *byte ^= 1 << rng.u32(0..8);
            flipped += 1;
        }
    }
    if rng.f64() < faults.truncate {
        bytes.truncate(rng.usize(0..=bytes.len()));
    }
    if rng.f64() < faults.insert {
        let noise = (0..rng.usize(0..80)).map(|_| rng.u8(..)).collect();
        there.deliver_at(late(rng), noise);
    }
    if rng.f64() < faults.reflect {
        back.deliver_at(arrival, frame.to_vec());
    }
    if rng.f64() < faults.repeat {
        there.deliver_at(late(rng), bytes.clone());
    }
    if rng.f64() < faults.lose {
        return flipped;
    }
    let at = if rng.f64() < faults.delay { late(rng) } else { arrival };
    there.deliver_at(at, bytes);
    flipped
}
