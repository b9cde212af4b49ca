//! Suspicion: what speaks against a channel, in this cycle and lately.

use crate::buckets::Buckets;
use crate::fault::Health;
use crate::ids::ChannelId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of the control data.
#[derive(Clone, Copy, Debug, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Suspicion {
    /// How often whom was suspected of a transient fault lately.
    pub(super) buckets: Buckets,
    barred: [u8; 2],
    health: u8,
}

impl Suspicion {
    pub(super) const NONE: Self = Self { buckets: Buckets::with_levels([0; 5]), barred: [0; 2], health: 0 };

    /// Whether a channel was found faulty too often to take part.
    pub(super) fn is_barred(&self, channel: ChannelId) -> bool {
        self.barred.get(channel.index()).is_some_and(|barred| *barred != 0)
    }

    pub(super) fn is_any_barred(&self) -> bool {
        self.barred != [0; 2]
    }

    pub(super) fn bar(&mut self, channel: ChannelId, is_barred: bool) {
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
