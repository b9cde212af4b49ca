//! REINTEGRATE  live state from the channel that serves to one that joins.
//!
//! ```text
//! donor                                                      joiner
//! Hello: I own                     <- fresh Hello ->         Hello: I own nothing
//! each cycle, within the budget:
//!   Block(serial, index, bytes)    ------------------->      writes it into both copies
//!                                  <-------------------      Ack(serials taken, challenge)
//!   what was lost, or written meanwhile, goes out again
//! all blocks are there, between two cycles:
//!   claims epoch e+1 for itself
//!   Cut(e+1, cycle, digest, challenge)  -------------->      checks all of its memory
//! duplex at e+1                    <-------------------      Sample(cycle + 1): duplex
//! no answer by the deadline: alone at e+2, and from the start
//! ```
//!
//! Serials rise with every block sent and are never used for another one. The joiner takes
//! only rising ones, so that an old version of a block never overwrites a newer one, and a
//! gap in its acknowledgement is a loss for certain.
//!
//! This file keeps the books of both sides; it holds no memory, no frames and no clock.

mod send_time;

#[doc(hidden)]
pub use send_time::SendTime;

use crate::ids::Instant;
use crate::marks::CopySet;
use crate::mirror::{Halving, Range};
use crate::wire::AckPayload;

/// Blocks in flight at most: as many as an acknowledgement can tell of.
const WINDOW: u16 = 32;
/// Cycles over which the dirty rate is averaged, and before which nothing is refused by it.
const RATE_CYCLES: usize = 8;
/// Cycles without any acknowledgement after which a copy is given up.
const SILENT_CYCLES: u8 = 8;
/// Cycles without a new low of what is left after which a copy does not converge, whatever the
/// budget says: the link is too slow for it, or loses too much.
const STUCK_CYCLES: u8 = 64;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CopyProgress {
    /// Blocks that the joiner has in their newest version.
    pub done_blocks: u32,
    /// Blocks in all.
    pub total_blocks: u32,
    /// Cycles since the copy began.
    pub cycles: u32,
    /// Blocks written each cycle, averaged over the last ones and rounded up.
    pub dirty_blocks: u32,
    /// Cycles still to go if nothing is lost; `None` if it does not converge at this rate.
    pub cycles_left: Option<u32>,
}

/// Why a copy was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CopyRefused {
    /// How far it was.
    pub progress: CopyProgress,
    /// Blocks sent each cycle at most.
    pub budget_blocks: u16,
    /// Cycles it may take.
    pub limit_cycles: u32,
}

impl core::fmt::Display for CopyRefused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let CopyProgress { done_blocks, total_blocks, cycles, dirty_blocks, cycles_left } = self.progress;
        write!(f, "{done_blocks} of {total_blocks} blocks copied in {cycles} cycles; ")?;
        write!(f, "{} blocks sent a cycle at most, {dirty_blocks} written; ", self.budget_blocks)?;
        match cycles_left {
            Some(left) => write!(f, "{left} cycles to go, {} allowed in all", self.limit_cycles),
            None => f.write_str("this does not converge"),
        }
    }
}

/// What outlasts one copy: serials are never used twice in one boot, and a copy that begins
/// anew in a cycle has only what is left of the budget.
#[derive(Clone, Copy, Default, Hash)]
pub(crate) struct Ledger {
    next_serial: u16,
    /// Blocks sent in this cycle.
    spent: u16,
}

impl Ledger {
    /// A new cycle, a new budget.
    pub(crate) fn begin_cycle(&mut self) {
        self.spent = 0;
    }
}

/// The donor's books.
#[derive(Clone, Hash)]
pub(crate) struct Donor {
    budget: u16,
    limit_cycles: u32,
    ledger: Ledger,
    in_flight: InFlight,
    /// When the oldest block in flight is sent again, if there is nothing else to send.
    resend_at: Instant,
    cycles: u32,
    /// Cycles since the last acknowledgement.
    silent: u8,
    /// The joiner has acknowledged something, or there is nothing to acknowledge.
    is_answered: bool,
    written: [u16; RATE_CYCLES],
    /// Of these, blocks that the joiner had: one that is written again and again counts once.
    outdated: [u16; RATE_CYCLES],
    /// The fewest blocks left at the end of a cycle, and the cycles since.
    fewest_left: u32,
    stuck: u8,
    /// Which of the blocks the joiner has from former times.
    search: Option<Search>,
    /// The epoch was raised for the cut, and nothing was agreed in it yet.
    is_epoch_fresh: bool,
}

/// The search for what the joiner has already: one question at a time, while blocks go out as
/// well, so it spares what it comes to before the blocks do.
#[derive(Clone, Hash)]
pub(crate) struct Search {
    halving: Halving,
    /// When the question is due.
    ask_at: Instant,
}

impl Donor {
    /// Starts a copy of all blocks.
    pub(crate) fn new(mut set: CopySet<'_>, budget: u16, limit_cycles: u32, ledger: Ledger) -> Self {
        set.begin();
        Self {
            budget,
            limit_cycles,
            ledger,
            in_flight: InFlight::NONE,
            resend_at: Instant::from_micros(0),
            cycles: 0,
            silent: 0,
            is_answered: set.left() == 0,
            written: [0; RATE_CYCLES],
            outdated: [0; RATE_CYCLES],
            fewest_left: u32::MAX,
            stuck: 0,
            search: None,
            is_epoch_fresh: false,
        }
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// The copy is over: returns what outlasts it.
    pub(crate) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// Asks for what the joiner has already.
    pub(crate) fn begin_search(&mut self, blocks: u32, now: Instant) {
        self.search = Some(Search::new(blocks, now));
    }

    pub(crate) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    pub(crate) fn search_mut(&mut self) -> Option<&mut Search> {
        self.search.as_mut()
    }

    /// Whether the epoch was raised for the cut, and nothing was agreed in it yet.
    pub(crate) fn is_epoch_fresh(&self) -> bool {
        self.is_epoch_fresh
    }

    /// The epoch was raised for the cut.
    pub(crate) fn epoch_was_raised(&mut self) {
        self.is_epoch_fresh = true;
    }

    /// Flips a bit of the books, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn flip_bit(&mut self, bit: usize) {
        let (which, bit) = (bit / 16, bit % 16);
        match which % (usize::from(WINDOW) + 6) {
            0 => self.ledger.next_serial ^= 1 << bit,
            1 => self.ledger.spent ^= 1 << bit,
            2 => self.silent ^= 1 << (bit % 8),
            3 => self.is_answered = !self.is_answered,
            place @ (4 | 5) => self.in_flight.places ^= 1 << (bit + (place - 4) * 16),
            place => {
                let serial = (place - 6) as u16;
                if let Some(index) = self.in_flight.take(serial) {
                    self.in_flight.put(serial, index ^ (1 << bit));
                }
            }
        }
    }

    /// A new cycle. Returns whether the joiner still answers.
    #[must_use]
    pub(crate) fn begin_cycle(&mut self) -> bool {
        self.ledger.begin_cycle();
        self.silent = self.silent.saturating_add(1);
        self.silent <= SILENT_CYCLES
    }

    /// Notes how many blocks a cycle wrote, and how many of them the joiner had; an error if the copy cannot end in time.
    pub(crate) fn committed(
        &mut self,
        [written, outdated]: [u32; 2],
        set: &CopySet<'_>,
        total: u32,
    ) -> Result<(), CopyRefused> {
        let place = self.cycles as usize % RATE_CYCLES;
        self.cycles = self.cycles.saturating_add(1);
        for (rates, count) in [(&mut self.written, written), (&mut self.outdated, outdated)] {
            if let Some(place) = rates.get_mut(place) {
                *place = count.min(u16::MAX.into()) as u16;
            }
        }
        let mut progress = self.progress(set.left(), total);
        self.stuck = if set.left() < self.fewest_left { 0 } else { self.stuck.saturating_add(1) };
        self.fewest_left = self.fewest_left.min(set.left());
        let is_stuck = self.stuck > STUCK_CYCLES;
        if is_stuck {
            progress.cycles_left = None;
        }
        let fits_one_cycle = set.left() <= self.budget.into();
        let in_time = match progress.cycles_left {
            None if is_stuck => false,
            _ if (self.cycles as usize) < RATE_CYCLES => self.cycles < self.limit_cycles,
            Some(left) => self.cycles.saturating_add(left) <= self.limit_cycles,
            None => fits_one_cycle,
        };
        if in_time {
            return Ok(());
        }
        Err(CopyRefused { progress, budget_blocks: self.budget, limit_cycles: self.limit_cycles })
    }

    /// Sends more blocks a cycle from now on; less than before changes nothing.
    pub(crate) fn raise_budget(&mut self, budget: u16) {
        self.budget = self.budget.max(budget);
    }

    /// Returns how far the copy is with so many blocks left.
    pub(crate) fn progress(&self, left: u32, total: u32) -> CopyProgress {
        let seen = self.cycles.clamp(1, RATE_CYCLES as u32);
        let sum =
            |counts: &[u16; RATE_CYCLES]| counts.iter().fold(0_u32, |sum, count| sum.saturating_add((*count).into()));
        let written = sum(&self.written);
        // Not `div_ceil`, which would bring in a panic for a divisor of zero.
        let dirty_blocks = written.saturating_add(seen - 1).checked_div(seen).unwrap_or(written);
        // What a cycle writes has to be sent in one cycle in the end.
        let converges = dirty_blocks < u32::from(self.budget);
        // Of as many cycles as were seen, so that nothing is rounded.
        let sent = u32::from(self.budget).saturating_mul(seen);
        let gain = if converges { sent.saturating_sub(sum(&self.outdated)) } else { 0 };
        let to_send = left.saturating_mul(seen);
        let cycles_left = to_send.saturating_add(gain).saturating_sub(1).checked_div(gain).map(|cycles| cycles + 1);
        CopyProgress {
            done_blocks: total.saturating_sub(left),
            total_blocks: total,
            cycles: self.cycles,
            dirty_blocks,
            cycles_left,
        }
    }

    /// Returns the next block to be sent now, with its serial.
    ///
    /// An acknowledgement tells what was lost before it; only when nothing else is left to be
    /// sent, or the window is full, the oldest block in flight goes out once more to ask for one.
    pub(crate) fn next(&mut self, set: &mut CopySet<'_>, now: Instant) -> Option<(u16, u16)> {
        let serial = self.ledger.next_serial;
        if !self.has_budget() {
            return None;
        }
        let has_room = self.in_flight.of(serial).is_none();
        if let Some(block) = has_room.then(|| set.next()).flatten() {
            return Some((serial, block as u16));
        }
        if now < self.resend_at {
            return None;
        }
        let mut serials = (1..=WINDOW).rev().map(|back| serial.wrapping_sub(back));
        let oldest = serials.find_map(|serial| self.in_flight.take(serial))?;
        set.lost(oldest.into());
        Some((serial, oldest))
    }

    fn has_budget(&self) -> bool {
        self.ledger.spent < self.budget
    }

    /// Notes that [`next`](Self::next) was sent.
    pub(crate) fn sent(&mut self, set: &mut CopySet<'_>, index: u16, resend_at: Instant) {
        // What is in flight of an older version no longer counts.
        self.in_flight.forget(index);
        self.in_flight.put(self.ledger.next_serial, index);
        set.sent(index.into());
        self.ledger.next_serial = self.ledger.next_serial.wrapping_add(1);
        self.ledger.spent += 1;
        self.resend_at = resend_at;
    }

    /// Takes an acknowledgement; false if it is of serials that are not in flight.
    pub(crate) fn acknowledged(&mut self, set: &mut CopySet<'_>, ack: &AckPayload, resend_at: Instant) -> bool {
        let ahead = self.ledger.next_serial.wrapping_sub(ack.highest);
        if ahead == 0 || ahead > WINDOW {
            return false;
        }
        for back in 0..=WINDOW - ahead {
            let serial = ack.highest.wrapping_sub(back);
            let Some(index) = self.in_flight.take(serial) else { continue };
            if (ack.taken >> back) & 1 == 1 {
                set.arrived(index.into());
            } else {
                set.lost(index.into());
            }
        }
        (self.silent, self.resend_at, self.is_answered) = (0, resend_at, true);
        true
    }

    /// Returns when a block in flight may go out once more, if any may.
    pub(crate) fn resend_at(&self) -> Option<Instant> {
        let waits = self.has_budget() && !self.in_flight.is_empty();
        waits.then_some(self.resend_at)
    }
}

/// Which block went out with a serial, for the last [`WINDOW`] of these.
#[derive(Clone, Hash)]
struct InFlight {
    /// At the serial modulo the window.
    blocks: [u16; WINDOW as usize],
    /// A bit for each place that is taken.
    places: u32,
}

impl InFlight {
    const NONE: Self = Self { blocks: [0; WINDOW as usize], places: 0 };

    fn is_empty(&self) -> bool {
        self.places == 0
    }

    /// Returns the block that went out with a serial.
    fn of(&self, serial: u16) -> Option<u16> {
        let place = serial % WINDOW;
        self.blocks.get(usize::from(place)).copied().filter(|_| (self.places >> place) & 1 == 1)
    }

    fn put(&mut self, serial: u16, block: u16) {
        let place = serial % WINDOW;
        if let Some(at) = self.blocks.get_mut(usize::from(place)) {
            (*at, self.places) = (block, self.places | 1 << place);
        }
    }

    /// Returns the block that went out with a serial, and forgets that it did.
    fn take(&mut self, serial: u16) -> Option<u16> {
        let block = self.of(serial)?;
        self.clear(usize::from(serial % WINDOW));
        Some(block)
    }

    /// Forgets a block, whatever serial it went out with.
    fn forget(&mut self, block: u16) {
        for place in 0..usize::from(WINDOW) {
            if self.blocks.get(place) == Some(&block) {
                self.clear(place);
            }
        }
    }

    fn clear(&mut self, place: usize) {
        if let Some(at) = self.blocks.get_mut(place) {
            (*at, self.places) = (0, self.places & !(1 << place));
        }
    }
}

impl Search {
    /// Starts to search all blocks.
    pub(crate) fn new(blocks: u32, now: Instant) -> Self {
        Self { halving: Halving::new(blocks), ask_at: now }
    }

    /// Returns when the question is due.
    pub(crate) fn ask_at(&self) -> Instant {
        self.ask_at
    }

    /// The question was sent; it is due again at this time.
    pub(crate) fn asked(&mut self, again_at: Instant) {
        self.ask_at = again_at;
    }

    /// Returns the range to be asked about.
    pub(crate) fn range(&self) -> Option<Range> {
        self.halving.range()
    }

    /// Takes the answer to a question; the blocks that are the same need not be sent.
    pub(crate) fn answered(&mut self, set: &mut CopySet<'_>, asked: Range, is_same: bool, now: Instant) -> bool {
        if self.range() != Some(asked) {
            return false;
        }
        if is_same {
            for block in (asked.first..).take(asked.blocks as usize) {
                set.spare(block as usize);
            }
        }
        self.halving = self.halving.after(is_same);
        self.ask_at = now;
        true
    }
}

/// The joiner's books.
#[derive(Clone, Hash)]
pub(crate) struct Joiner {
    highest: u16,
    taken: u32,
    /// When the donor was last heard.
    heard_at: Instant,
    /// An acknowledgement is due.
    ack_due: bool,
}

/// What a serial is to the joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serial {
    /// Newer than all before.
    New,
    /// Taken before.
    Repetition,
    /// Overtaken by newer ones: the donor sends the block again.
    Late,
}

impl Joiner {
    /// Starts before the first block, whose serial is `first`.
    pub(crate) fn new(first: u16, now: Instant) -> Self {
        Self { highest: first.wrapping_sub(1), taken: 0, heard_at: now, ack_due: false }
    }

    /// Returns when the donor was last heard.
    pub(crate) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// The donor was heard, and is to hear of it.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.owe_ack();
    }

    pub(crate) fn owes_ack(&self) -> bool {
        self.ack_due
    }

    /// An acknowledgement is due.
    pub(crate) fn owe_ack(&mut self) {
        self.ack_due = true;
    }

    /// The acknowledgement was sent.
    pub(crate) fn acknowledged(&mut self) {
        self.ack_due = false;
    }

    /// Returns what a serial is.
    pub(crate) fn judge(&self, serial: u16) -> Serial {
        let ahead = serial.wrapping_sub(self.highest).cast_signed();
        if ahead > 0 {
            return Serial::New;
        }
        let back = u32::from(ahead.unsigned_abs());
        if self.taken.checked_shr(back).unwrap_or(0) & 1 == 1 { Serial::Repetition } else { Serial::Late }
    }

    /// Notes that a new serial was taken.
    pub(crate) fn take(&mut self, serial: u16) {
        let ahead = u32::from(serial.wrapping_sub(self.highest));
        self.taken = self.taken.checked_shl(ahead).unwrap_or(0) | 1;
        self.highest = serial;
    }

    /// Flips a bit of the books, for fault injection.
    #[cfg(feature = "sim")]
    pub(crate) fn flip_bit(&mut self, bit: usize) {
        if bit & 1 == 0 {
            self.highest ^= 1 << (bit / 2 % 16);
        } else {
            self.taken ^= 1 << (bit / 2 % 32);
        }
    }

    /// Returns the acknowledgement.
    pub(crate) fn ack(&self, challenge: u32) -> AckPayload {
        AckPayload { challenge, highest: self.highest, taken: self.taken }
    }
}
