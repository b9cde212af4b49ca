//! Suspicion: what speaks against a channel, in this cycle and lately.

use crate::buckets::Buckets;
use crate::diagnose::Suspects;
use crate::fault::Health;
use crate::ids::{ChannelId, Cycle};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of the control data.
#[derive(Clone, Copy, Debug, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Suspicion {
    /// The levels of the buckets.
    levels: [u8; 5],
    /// Whether A and B are barred, and whether this channel has just joined and knows less than the peer: a bit each.
    flags: u8,
    health: u8,
    /// Cycles that came a deadline late, lately.
    tardy: u8,
}

const LEARNS: u8 = 4;

const fn bar_of(channel: ChannelId) -> u8 {
    match channel {
        ChannelId::A => 1,
        ChannelId::B => 2,
    }
}

/// A cycle that is late weighs as much as so many that are not.
const TARDY: u8 = 2;
/// A peer that is late more often than this is as good as silent.
const TARDY_LIMIT: u8 = 16;

impl Suspicion {
    pub(super) const NONE: Self = Self { levels: [0; 5], flags: 0, health: 0, tardy: 0 };

    /// Returns how often whom was suspected of a transient fault lately.
    pub(super) fn buckets(&self) -> Buckets {
        Buckets::with_levels(self.levels)
    }

    pub(super) fn suspect(&mut self, suspects: Suspects) {
        self.change_buckets(|buckets| buckets.fill(suspects));
    }

    /// Takes the peer's levels where they are higher: all of them if this channel has just joined.
    pub(super) fn merge(&mut self, levels: [u8; 5], peer: ChannelId) {
        let most_more = if self.flags & LEARNS == 0 { 1 } else { u8::MAX };
        self.flags &= !LEARNS;
        self.change_buckets(|buckets| buckets.merge(levels, peer, most_more));
    }

    /// This channel has joined: the peer knows more of who was suspected.
    pub(super) fn learn(&mut self) {
        self.flags |= LEARNS;
    }

    /// A cycle was agreed on, in time or not.
    pub(super) fn note_lateness(&mut self, is_late: bool) {
        self.tardy =
            if is_late { self.tardy.saturating_add(TARDY) } else { self.tardy.saturating_sub(1) }.min(2 * TARDY_LIMIT);
    }

    /// Whether cycles are late again and again.
    pub(super) fn is_tardy(&self) -> bool {
        self.tardy >= TARDY_LIMIT
    }

    /// Nobody is waited for any more.
    pub(super) fn forget_lateness(&mut self) {
        self.tardy = 0;
    }

    /// A cycle of duplex is done: each `every` cycles one suspicion is forgotten.
    pub(super) fn leak(&mut self, cycle: Cycle, every: u32) {
        self.change_buckets(|buckets| buckets.leak(cycle, every));
    }

    /// A channel was repaired: it may take part, and nothing is held against it.
    pub(super) fn readmit(&mut self, channel: ChannelId) {
        self.change_buckets(|buckets| buckets.empty(channel));
        self.set_barred(channel, false);
    }

    fn change_buckets(&mut self, change: impl FnOnce(&mut Buckets)) {
        let mut buckets = self.buckets();
        change(&mut buckets);
        self.levels = buckets.levels();
    }

    /// Whether a channel was found faulty too often to take part.
    pub(super) fn is_barred(&self, channel: ChannelId) -> bool {
        self.flags & bar_of(channel) != 0
    }

    pub(super) fn is_any_barred(&self) -> bool {
        self.flags & !LEARNS != 0
    }

    /// A channel was found faulty too often to take part.
    pub(super) fn bar(&mut self, channel: ChannelId) {
        self.set_barred(channel, true);
    }

    fn set_barred(&mut self, channel: ChannelId, is_barred: bool) {
        self.flags = if is_barred { self.flags | bar_of(channel) } else { self.flags & !bar_of(channel) };
    }

    /// Returns what speaks against this channel in this cycle.
    pub(super) fn health(&self) -> Health {
        Health::from_bits_truncate(self.health)
    }

    pub(super) fn note_health(&mut self, health: Health) {
        self.health |= health.bits();
    }

    /// The cycle is over, and what spoke against this channel in it.
    pub(super) fn forget_health(&mut self) {
        self.health = 0;
    }
}
