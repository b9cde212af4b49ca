//! Settings: which channel this is, and its configuration, as words that stay as they are.

use crate::config::{Config, Drive, Unattributed};
use crate::ids::{ChannelId, PairId};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of the control data. The fields are those of [`Config`]; its milliseconds are cycles here.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Settings {
    nonce: u32,
    pair: u32,
    /// Of what both channels must have in common.
    hash: u32,
    period_us: u32,
    vote_window_us: u32,
    retransmit_us: u32,
    hello_us: u32,
    link_delay_us: u32,
    copy_limit_cycles: u32,
    transient_leak_cycles: u32,
    solo_boot_after_us: u32,
    trial_cycles: u32,
    trial_differences: u32,
    scrub_blocks: u16,
    copy_blocks: u16,
    probation_cycles: u16,
    patience: u8,
    transient_limit: u8,
    drives_both: u8,
    prefers: u8,
    claim_limit: u8,
    is_b: u8,
}

/// The policy for what nobody can attribute.
const PREFERS_NONE: u8 = 0;
const PREFERS_A: u8 = 1;
const PREFERS_B: u8 = 2;

impl Settings {
    pub(super) fn new(me: ChannelId, config: &Config) -> Self {
        let Config { nonce, period_us, vote_window_us, retransmit_us, hello_us, link_delay_us, .. } = *config;
        let Config { trial_cycles, trial_differences, .. } = *config;
        let Config { scrub_blocks, copy_blocks, probation_cycles, patience, transient_limit, .. } = *config;
        Self {
            nonce,
            pair: config.pair.0,
            hash: config.hash(),
            period_us,
            vote_window_us,
            // Not more often than a frame takes to get there.
            retransmit_us: if retransmit_us > link_delay_us { retransmit_us } else { link_delay_us },
            hello_us,
            link_delay_us,
            copy_limit_cycles: config.cycles_in(config.copy_limit_ms),
            transient_leak_cycles: config.leak_cycles(),
            solo_boot_after_us: config.solo_boot_after_us.unwrap_or_default(),
            trial_cycles,
            trial_differences,
            scrub_blocks,
            copy_blocks,
            probation_cycles,
            patience,
            transient_limit,
            drives_both: (config.drive == Drive::Both).into(),
            prefers: match config.unattributed {
                Unattributed::Safe => PREFERS_NONE,
                Unattributed::Prefer(ChannelId::A) => PREFERS_A,
                Unattributed::Prefer(ChannelId::B) => PREFERS_B,
            },
            is_b: (me == ChannelId::B).into(),
            claim_limit: config.claim_limit,
        }
    }

    pub(super) fn me(&self) -> ChannelId {
        if self.is_b == 0 { ChannelId::A } else { ChannelId::B }
    }

    pub(super) fn nonce(&self) -> u32 {
        self.nonce
    }

    pub(super) fn pair(&self) -> PairId {
        PairId(self.pair)
    }

    pub(super) fn hash(&self) -> u32 {
        self.hash
    }

    pub(super) fn period_us(&self) -> u32 {
        self.period_us
    }

    pub(super) fn vote_window_us(&self) -> u32 {
        self.vote_window_us
    }

    pub(super) fn retransmit_us(&self) -> u32 {
        self.retransmit_us
    }

    pub(super) fn hello_us(&self) -> u32 {
        self.hello_us
    }

    pub(super) fn link_delay_us(&self) -> u32 {
        self.link_delay_us
    }

    pub(super) fn copy_limit_cycles(&self) -> u32 {
        self.copy_limit_cycles
    }

    pub(super) fn transient_leak_cycles(&self) -> u32 {
        self.transient_leak_cycles
    }

    pub(super) fn solo_boot_after_us(&self) -> Option<u32> {
        (self.solo_boot_after_us != 0).then_some(self.solo_boot_after_us) // it is two periods at least
    }

    /// Returns how long a channel may be left alone between two calls. If it is longer, or its clock jumps, no more than that has passed.
    pub(super) fn longest_gap_us(&self) -> u32 {
        let held_us = self.period_us.saturating_mul(u32::from(self.patience).saturating_add(2));
        held_us.max(self.hello_us.saturating_mul(2))
    }

    /// Returns after what time at most an unacknowledged frame goes out again.
    pub(super) fn longest_resend_us(&self) -> u32 {
        self.period_us.max(self.retransmit_us)
    }

    /// Returns how old a sample may be from whose cycle an output is released.
    pub(super) fn oldest_sample_us(&self) -> u32 {
        self.period_us.saturating_mul(u32::from(self.patience).saturating_add(1))
    }

    pub(super) fn trial_cycles(&self) -> u32 {
        self.trial_cycles
    }

    pub(super) fn trial_differences(&self) -> u32 {
        self.trial_differences
    }

    pub(super) fn scrub_blocks(&self) -> u16 {
        self.scrub_blocks
    }

    /// More blocks may be copied in a cycle.
    pub(super) fn raise_copy_blocks(&mut self, copy_blocks: u16) {
        self.copy_blocks = self.copy_blocks.max(copy_blocks);
    }

    pub(super) fn copy_blocks(&self) -> u16 {
        self.copy_blocks
    }

    pub(super) fn probation_cycles(&self) -> u16 {
        self.probation_cycles
    }

    pub(super) fn patience(&self) -> u16 {
        self.patience.into()
    }

    pub(super) fn claim_limit(&self) -> u8 {
        self.claim_limit
    }

    pub(super) fn transient_limit(&self) -> u8 {
        self.transient_limit
    }

    /// Whether only the owner drives.
    pub(super) fn drives_as_owner(&self) -> bool {
        self.drives_both == 0
    }

    pub(super) fn unattributed(&self) -> Unattributed {
        match self.prefers {
            PREFERS_A => Unattributed::Prefer(ChannelId::A),
            PREFERS_B => Unattributed::Prefer(ChannelId::B),
            _ => Unattributed::Safe,
        }
    }
}
