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
    barred: [u8; 2],
    health: u8,
}

impl Suspicion {
    pub(super) const NONE: Self = Self { levels: [0; 5], barred: [0; 2], health: 0 };

    /// Returns how often whom was suspected of a transient fault lately.
    pub(super) fn buckets(&self) -> Buckets {
        Buckets::with_levels(self.levels)
    }

    pub(super) fn suspect(&mut self, suspects: Suspects) {
        self.change_buckets(|buckets| buckets.fill(suspects));
    }

    /// Takes the peer's levels where they are higher.
    pub(super) fn merge(&mut self, peer: [u8; 5]) {
        self.change_buckets(|buckets| buckets.merge(peer));
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
        self.barred.get(channel.index()).is_some_and(|barred| *barred != 0)
    }

    pub(super) fn is_any_barred(&self) -> bool {
        self.barred != [0; 2]
    }

    /// A channel was found faulty too often to take part.
    pub(super) fn bar(&mut self, channel: ChannelId) {
        self.set_barred(channel, true);
    }

    fn set_barred(&mut self, channel: ChannelId, is_barred: bool) {
        if let Some(barred) = self.barred.get_mut(channel.index()) {
            *barred = is_barred.into();
        }
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
