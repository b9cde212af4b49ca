//! Control data: the few words that must not change by themselves, kept three times.
//!
//! Cycle, epoch, mode, the identities, the timing and the policies live as long as the channel, and a
//! flipped bit in one of them would not show as a differing vote. Each call begins by taking the
//! majority of the three and ends by writing both copies anew, so that a flip while the channel waits,
//! which is nearly all the time, does nothing; the same is done around each step, which is nearly all of a
//! call. What no call changes is not written anew: there a flip does nothing but to that call.

use super::{Node, Progress};
use crate::buckets::Buckets;
use crate::config::{Drive, Unattributed};
use crate::fault::{Faults, Health};
use crate::ids::{ChannelId, Cycle, Epoch, Instant, PairId};
use crate::journal::{Event, bump};
use crate::mechanism::Mechanism;
use crate::mode::Mode;
use crate::program::Program;

pub(super) const WORDS: usize = 18;
/// So many of them, the first ones, stay as they were configured.
const CONSTANT: usize = 9;
pub(super) type Words = [u32; WORDS];

const EMPTY: u32 = 1;
const FORK: u32 = 2;
const BARRED: [u32; 2] = [4, 8];

const DRIVES_BOTH: u32 = 1;
const IS_B: u32 = 8;
/// Of the policy for what nobody can attribute; the safe state is neither.
const PREFERS: [u32; 2] = [2, 4];

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME> {
    /// Begins a call: mends the control data, and takes back times that are further ahead than any
    /// can be, for which this channel would wait in vain.
    pub(super) fn enter(&mut self, now: Instant) {
        self.recall();
        if self.mechanisms.on(Mechanism::Control) {
            self.schedule.bound(now, &self.config);
            self.outgoing.bound(now, &self.config);
        }
    }

    /// Takes the majority of the control data and its copies.
    pub(super) fn recall(&mut self) {
        if self.has_sound_control() {
            return;
        }
        let ([b, c], a) = (&self.copies, self.control());
        let mut majority = a;
        for ((word, b), c) in majority.iter_mut().zip(b).zip(c) {
            *word = (*word & b) | (*word & c) | (b & c);
        }
        self.set_control(majority);
        self.copies = [majority; 2];
        bump(&mut self.counters.control_repairs);
        self.faults |= Faults::CONTROL_REPAIRED;
        self.health |= Health::CONTROL_REPAIRED;
        self.happened(Event::ControlRepaired);
    }

    /// Whether the control data and its copies agree.
    pub(super) fn has_sound_control(&self) -> bool {
        self.copies == [self.control(); 2] || !self.mechanisms.on(Mechanism::Control)
    }

    /// Takes the copies of a channel that was just configured.
    pub(super) fn learn(&mut self) {
        self.copies = [self.control(); 2];
    }

    /// Writes the copies anew, of what a call may have changed.
    pub(super) fn remember(&mut self) {
        let control = self.control();
        for copy in &mut self.copies {
            for (kept, word) in copy.iter_mut().zip(control).skip(CONSTANT) {
                *kept = word;
            }
        }
    }

    fn control(&self) -> Words {
        let mut flags = 0;
        let ([a, b], [barred_a, barred_b]) = (self.barred, BARRED);
        for (is_set, flag) in [(self.empty, EMPTY), (self.is_fork, FORK), (a, barred_a), (b, barred_b)] {
            flags |= if is_set { flag } else { 0 };
        }
        let progress = u32::from(self.progress as u8);
        let mode = u32::from(self.mode as u8);
        let stage = mode | progress << 8 | u32::from(self.probation) << 16;
        let config = &self.config;
        let [a, b, path, by_a, by_b] = self.buckets.levels();
        [
            config.nonce,
            config.pair.0,
            config.period_us,
            config.vote_window_us,
            config.retransmit_us,
            config.hello_us,
            config.link_delay_us,
            config.transient_leak_cycles,
            self.policy(),
            self.cycle.0,
            self.epoch.bits(),
            self.newest,
            self.peer_nonce,
            stage,
            flags,
            u32::from_le_bytes([a, b, path, by_a]),
            by_b.into(),
            self.upgrade.word(),
        ]
    }

    /// Which channel this is, and what is configured and decides who drives what.
    fn policy(&self) -> u32 {
        let config = &self.config;
        let drive = if config.drive == Drive::Both { DRIVES_BOTH } else { 0 };
        let [a, b] = PREFERS;
        let preferred = match config.unattributed {
            Unattributed::Safe => 0,
            Unattributed::Prefer(ChannelId::A) => a,
            Unattributed::Prefer(ChannelId::B) => b,
        };
        let is_b = if self.me == ChannelId::B { IS_B } else { 0 };
        u32::from(config.patience) << 16 | u32::from(config.transient_limit) << 8 | drive | preferred | is_b
    }

    fn set_policy(&mut self, policy: u32) {
        let [a, b] = PREFERS;
        self.me = if policy & IS_B == 0 { ChannelId::A } else { ChannelId::B };
        self.config.drive = if policy & DRIVES_BOTH == 0 { Drive::Owner } else { Drive::Both };
        self.config.unattributed = match policy & (a | b) {
            prefers if prefers == a => Unattributed::Prefer(ChannelId::A),
            prefers if prefers == b => Unattributed::Prefer(ChannelId::B),
            _ => Unattributed::Safe,
        };
        (self.config.patience, self.config.transient_limit) = ((policy >> 16) as u8, (policy >> 8) as u8);
    }

    fn set_control(&mut self, words: Words) {
        let [nonce, pair, period, window, retransmit, hello, delay, leak, policy, changing @ ..] = words;
        let [cycle, epoch, newest, peer_nonce, stage, flags, four, by_b, upgrade] = changing;
        (self.cycle, self.epoch, self.newest) = (Cycle(cycle), Epoch::from_bits(epoch), newest);
        (self.peer_nonce, self.config.nonce, self.config.pair) = (peer_nonce, nonce, PairId(pair));
        (self.config.period_us, self.config.vote_window_us) = (period, window);
        (self.config.retransmit_us, self.config.hello_us, self.config.link_delay_us) = (retransmit, hello, delay);
        self.config.transient_leak_cycles = leak;
        self.set_policy(policy);
        let [a, b, path, by_a] = four.to_le_bytes();
        self.buckets = Buckets::with_levels([a, b, path, by_a, by_b as u8]);
        // A number that names none cannot be the majority's.
        self.mode = Mode::ALL.get((stage & 0xFF) as usize).copied().unwrap_or(self.mode);
        self.progress = Progress::ALL.get((stage >> 8 & 0xFF) as usize).copied().unwrap_or(self.progress);
        self.probation = (stage >> 16) as u16;
        (self.empty, self.is_fork) = (flags & EMPTY != 0, flags & FORK != 0);
        self.upgrade.set_word(upgrade);
        self.barred = BARRED.map(|flag| flags & flag != 0);
    }

    /// Flips a bit of the control data or of one of its copies.
    #[cfg(feature = "sim")]
    pub(super) fn flip_control(&mut self, bit: usize) {
        let [b, c] = self.copies;
        let mut all = [self.control(), b, c];
        if let Some(word) = all.as_flattened_mut().get_mut(bit / 32 % (3 * WORDS)) {
            *word ^= 1 << (bit % 32);
        }
        let [a, b, c] = all;
        self.set_control(a);
        self.copies = [b, c];
    }
}
