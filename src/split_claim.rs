//! SPLIT CLAIM  the arbiter of two cores without a compare-and-swap: words that one core each writes.
//!
//! Each core has two words: what it *intends* to claim and what it *holds*. The pair's epoch is the
//! newer of the two that are held, so a core takes over by one write of its own word, and fences
//! the other one off by it, even one that has stopped.
//!
//! To claim number n: say the intent; look whether the other core intends n or more; hold n; look
//! whether the other one holds n or more. Before each look stands a fence, so of two cores that do
//! this at once at least one sees the other (Dekker's algorithm; Dijkstra, EWD 123). The second look is what
//! makes it safe: no number is granted twice. The first spares the owner the claims that fail. Of two
//! that intend the same, B takes its intent back and A waits, and either goes on once the other one's
//! intent has stood still: with loads and stores alone nobody can tell a core that has stopped between
//! two instructions from a slow one (Herlihy 1991), so who is slow there may be refused.

use crate::ids::{ChannelId, Epoch};
use crate::lease::{Arbiter, Claim, Grounds};
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
/// A claim is answered at once unless the other core is claiming the same at that moment. What a
/// core wrote to shared memory before its claim is there for the other one once that sees the new
/// epoch. The words must not be cached, or the caches be coherent.
pub struct SplitClaim<'m> {
    words: &'m ClaimWords,
    me: ChannelId,
    /// The other core's intent that stands in the way, and how often it was seen so.
    rival: u32,
    seen: u8,
}

/// An intent that stands so many times stands for good: its core has stopped. The node asks again
/// after an eighth of [`retransmit_us`](crate::Config::retransmit_us).
const STANDS_AFTER: u8 = 3;

impl<'m> SplitClaim<'m> {
    /// Makes the arbiter of core `me` as it boots: an intent of its former life is taken back.
    pub fn new(words: &'m ClaimWords, me: ChannelId) -> Self {
        let claim = Self { words, me, rival: 0, seen: 0 };
        claim.withdraw();
        claim
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
            self.seen = 0;
            return Claim::Granted;
        }
        self.seen = if self.rival == rival { self.seen.saturating_add(1) } else { 1 };
        self.rival = rival;
        if self.seen > STANDS_AFTER { Claim::Granted } else { Claim::Pending }
    }

    /// Takes the intent back.
    fn withdraw(&self) {
        self.words.of(self.me).intended.store(0, Order::Plain);
    }
}

impl Arbiter for SplitClaim<'_> {
    fn claim(&mut self, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        let (mine, theirs) = (self.words.of(self.me), self.words.of(self.me.other()));
        let (number, before) = (to.counter(), mine.held.load(Order::Plain));
        if self.newest() == to {
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
        Claim::Granted
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> bool {
        epoch != Epoch::NONE && epoch.owner() == me && self.newest() == epoch
    }

    /// Of equal numbers, which are there only while one of them is being taken back, A's counts.
    fn newest(&self) -> Epoch {
        let [a, b] = [ChannelId::A, ChannelId::B].map(|channel| {
            let held = self.words.of(channel).held.load(Order::HeldSeen);
            Epoch::new(held, channel)
        });
        if b.counter() > a.counter() { b } else { a }
    }

    fn allows_solo_boot(&self) -> bool {
        true
    }
}
