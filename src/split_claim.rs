//! SPLIT CLAIM  the arbiter of two cores without a compare-and-swap: words that one core each writes.
//!
//! Each core has two words: what it *intends* to claim and what it *holds*. A core owns while it was granted what it holds and
//! the other one holds nothing newer: so a core takes over by one write of its own word, and fences the other
//! one off by it, even one that has stopped.
//!
//! To claim number n: say the intent; look whether the other core intends n or more; hold n; look
//! whether the other one holds n or more. Before each look stands a fence, so of two cores that do
//! this at once at least one sees the other (Dekker's algorithm; Dijkstra, EWD 123). The second look is what
//! makes it safe: no number is granted twice. The first lets one of two that claim at once through. Of two
//! that intend the same, B takes its intent back and A waits, and either goes on once the other one's
//! intent has stood for several looks: with loads and stores alone nobody can tell a core that has stopped
//! between two instructions from a slow one (Herlihy 1991), so who is slow there may be refused, which
//! harms nobody else. A core that stops right after it has written what it was not granted leaves a number
//! that nobody owns; the one that was granted it owns on.

use crate::ids::{ChannelId, Epoch, Instant};
use crate::lease::{Arbiter, Claim, Confirmation, Grounds};
use crate::sync::{Order, Word, array, const_fn, fence};

/// The words of both cores, in shared memory: one for the pair.
///
/// All zero is the state before anyone has owned. Zero it as the [mailbox](crate::mailbox), once at power-up; afterwards no
/// start-up code may touch it: zeroed while the other core owns, it may let both own. It is the arbiter
/// itself: of memory with parity or error correction give it that. Laid out as two 32-bit words of A, intended and held number, and
/// padding to 64 bytes; then those of B.
#[repr(C)]
pub struct ClaimWords([CoreWords; 2]);

/// Written by one core alone; numbers, without the owner, which is that core.
#[repr(C, align(64))]
struct CoreWords {
    intended: Word,
    held: Word,
}

impl Default for ClaimWords {
    fn default() -> Self {
        Self::new()
    }
}

impl ClaimWords {
    const_fn! {
        /// Makes the words of a pair that nobody has owned yet.
        pub fn new() -> Self {
            Self(array![CoreWords { intended: Word::new(0), held: Word::new(0) }; 2])
        }
    }

    fn of(&self, channel: ChannelId) -> &CoreWords {
        let [a, b] = &self.0;
        if channel == ChannelId::A { a } else { b }
    }
}

/// One core's view of the words: loads and stores only, for any target.
///
/// A claim is answered at once unless the other core intends the same at that moment. It cuts nothing off by itself: the
/// other core's outputs no longer open from then on, and a write that it has already begun still lands. What a
/// core wrote to shared memory before its claim is there for the other one once that sees the new
/// epoch. The words must not be cached, or the caches be coherent.
pub struct SplitClaim<'m> {
    words: &'m ClaimWords,
    me: ChannelId,
    /// The number granted last in this life.
    granted: u32,
    /// What is being claimed, the other core's intent in its way, and how often that was seen to stand.
    claimed: u32,
    rival: u32,
    looks: u8,
    looks_at_most: u8,
}

/// Looks at an intent that stands, after which its core counts as stopped.
const LOOKS: u8 = 16;

impl<'m> SplitClaim<'m> {
    /// Makes the arbiter of core `me` as it boots: an intent of its former life is taken back.
    pub fn new(words: &'m ClaimWords, me: ChannelId) -> Self {
        let (mine, theirs) = (words.of(me), words.of(me.other()));
        if mine.held.load(Order::Plain) == theirs.held.load(Order::Plain) {
            mine.held.store(0, Order::Plain); // if it was granted that, it is so no longer
        }
        let claim = Self { words, me, granted: 0, claimed: 0, rival: 0, looks: 0, looks_at_most: LOOKS };
        claim.withdraw();
        claim
    }

    /// Takes an intent of the other core that stands for so many looks for that of a core that has stopped; 16 if not said
    /// otherwise. A node looks at each poll: at each frame, and after an eighth of
    /// [`retransmit_us`](crate::Config::retransmit_us) at the latest. More spare a core that is held up in the middle of a
    /// claim, by an interrupt for instance, from being refused; fewer let the other one go on earlier if it has stopped there.
    #[must_use]
    pub fn with_looks(self, looks_at_most: u8) -> Self {
        Self { looks_at_most, ..self }
    }

    /// Looks for an intent of the other core that stands in the way of `number`: granted if there is none, or if it has
    /// stood still for long; refused if that core holds the lease already.
    fn look(&mut self, number: u32) -> Claim {
        let theirs = self.words.of(self.me.other());
        let rival = theirs.intended.load(Order::Plain);
        if theirs.held.load(Order::HeldSeen) >= number {
            return Claim::Refused;
        }
        if rival < number {
            return Claim::Granted;
        }
        let is_known = (self.claimed, self.rival) == (number, rival);
        self.looks = if is_known { self.looks.saturating_add(1) } else { 1 };
        (self.claimed, self.rival) = (number, rival);
        if self.looks > self.looks_at_most { Claim::Granted } else { Claim::Pending }
    }

    /// Whether this core was granted a number and nobody has gone beyond it.
    fn owns(&self, number: u32) -> bool {
        let held = self.words.of(self.me).held.load(Order::Plain);
        let is_mine = number != 0 && self.granted == number && held == number;
        is_mine && self.words.of(self.me.other()).held.load(Order::HeldSeen) <= number
    }

    /// Returns the epoch that owns. Of equal numbers, of which at most one was granted, A's is named.
    fn newest(&self) -> Epoch {
        let [a, b] = [ChannelId::A, ChannelId::B].map(|channel| {
            let held = self.words.of(channel).held.load(Order::HeldSeen);
            Epoch::new(held, channel)
        });
        if b.counter() > a.counter() { b } else { a }
    }

    /// Takes the intent back.
    fn withdraw(&self) {
        self.words.of(self.me).intended.store(0, Order::Plain);
    }
}

impl Arbiter for SplitClaim<'_> {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        let (mine, theirs) = (self.words.of(self.me), self.words.of(self.me.other()));
        let (number, before) = (to.counter(), mine.held.load(Order::Plain));
        if to.owner() == self.me && self.owns(number) {
            return Claim::Granted;
        }
        if number <= self.newest().counter() || to.owner() != self.me {
            self.withdraw();
            return Claim::Refused;
        }
        mine.intended.store(number, Order::Plain);
        fence(Order::Intent);
        let found = self.look(number);
        if found == Claim::Refused || found == Claim::Pending && self.me == ChannelId::B {
            self.withdraw();
        }
        if found != Claim::Granted {
            return found;
        }
        mine.held.store(number, Order::Plain);
        fence(Order::Held);
        if theirs.held.load(Order::HeldSeen) >= number {
            mine.held.store(before, Order::Plain);
            self.withdraw();
            return Claim::Refused;
        }
        self.granted = number;
        Claim::Granted
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        (me == self.me && epoch.owner() == me && self.owns(epoch.counter())).into()
    }

    /// The words stay as they are until the next claim.
    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        Some(self.newest())
    }
}
