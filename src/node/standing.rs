//! Standing: what this channel is to the pair. Its mode, its lineage, whom it is paired with, and whether it has a state.

use crate::ids::Epoch;
use crate::mode::Mode;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of the control data.
#[derive(Clone, Copy, Debug, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Standing {
    epoch: u32,
    newest: u32,
    peer_nonce: u32,
    probation: u16,
    mode: u8,
    has_state: u8,
    is_fork: u32,
}

impl Standing {
    /// Of a channel that boots.
    pub(super) const STARTING: Self = Self {
        epoch: Epoch::NONE.bits(),
        newest: 0,
        peer_nonce: 0,
        probation: 0,
        mode: Mode::Starting as u8,
        has_state: 0,
        is_fork: 0,
    };

    // Asked everywhere: a copy at each place is more code.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn mode(&self) -> Mode {
        // A number that names none is no mode to serve in.
        Mode::ALL.get(usize::from(self.mode)).copied().unwrap_or(Mode::Safe)
    }

    /// Returns the lineage of this channel's state.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch::from_bits(self.epoch)
    }

    /// Returns the highest epoch counter seen or issued; no number is issued twice.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// Returns the peer's nonce in this pair of boots.
    pub(super) fn peer_nonce(&self) -> u32 {
        self.peer_nonce
    }

    /// Returns how many clean cycles are to go before a channel that has joined may own.
    pub(super) fn probation(&self) -> u16 {
        self.probation
    }

    /// Whether no cycle was committed since boot.
    pub(super) fn is_empty(&self) -> bool {
        self.has_state == 0
    }

    /// Whether this channel has committed alone since it was last in duplex, so that a peer that did as well has another
    /// lineage.
    pub(super) fn is_fork(&self) -> bool {
        self.is_fork != 0
    }

    /// Changes the mode. A probation ends with it.
    pub(super) fn change_to(&mut self, mode: Mode) {
        (self.mode, self.probation) = (mode as u8, 0);
    }

    /// Goes on in an epoch: one that was granted, or the peer's.
    pub(super) fn adopt(&mut self, epoch: Epoch) {
        self.epoch = epoch.bits();
        self.saw(epoch.counter());
    }

    /// Notes an epoch counter that was issued.
    pub(super) fn saw(&mut self, counter: u32) {
        self.newest = self.newest.max(counter);
    }

    /// Pairs with this boot of the peer.
    pub(super) fn meet(&mut self, nonce: u32) {
        self.peer_nonce = nonce;
    }

    pub(super) fn begin_probation(&mut self, cycles: u16) {
        self.probation = cycles;
    }

    /// A cycle was committed in time.
    pub(super) fn serve_probation(&mut self) {
        self.probation = self.probation.saturating_sub(1);
    }

    /// The memory has a state that was agreed on, or copied.
    pub(super) fn take_state(&mut self) {
        self.has_state = 1;
    }

    /// What the memory has is of no use: the peer's state replaces it.
    pub(super) fn give_up_state(&mut self) {
        self.has_state = 0;
    }

    /// A cycle was committed by this channel alone.
    pub(super) fn went_alone(&mut self) {
        self.is_fork = 1;
    }

    /// Both channels go on from one state.
    pub(super) fn pair(&mut self) {
        self.is_fork = 0;
    }

    /// Begins as at boot, but for the numbers that were seen.
    pub(super) fn start_over(&mut self) {
        (self.epoch, self.has_state, self.is_fork) = (Epoch::NONE.bits(), 0, 0);
    }
}
