//! Control data: what must not change by itself, as plain words, kept three times.
//!
//! Cycle, epoch, mode, the identities, the timing and the policies live as long as the channel, and a
//! flipped bit in one of them would not show as a differing vote. Each call begins by comparing what is in use with the first
//! copy, takes the majority of the three if they differ, and ends by writing both copies anew, so that a flip while the
//! channel waits, which is nearly all the time, does nothing; the same is done around each step, which is nearly all of a
//! call. The configuration is not written anew: there a flip does nothing but to that call. The second copy, which only
//! a majority needs, is compared once a cycle.

use super::claim::Claim;
use super::settings::Settings;
use super::standing::Standing;
use super::suspicion::Suspicion;
use super::turn::Turn;
use super::undertaking::Undertaking;
use super::{MayUpgrade, Node};
use crate::fault::{Faults, Health};
use crate::ids::Instant;
use crate::journal::Event;
use crate::mechanism::Mechanism;
use crate::program::Program;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, transmute_mut, transmute_ref};

/// All of the control data. Each part has its own moves; a field of a part cannot be forgotten here.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Control {
    /// Stays as it was configured.
    pub(super) config: Settings,
    pub(super) standing: Standing,
    pub(super) turn: Turn,
    pub(super) claim: Claim,
    pub(super) suspicion: Suspicion,
    pub(super) undertaking: Undertaking,
}

const WORDS: usize = size_of::<Control>() / size_of::<u32>();
type Words = [u32; WORDS];
#[cfg(feature = "sim")]
pub(super) const CONTROL_BITS: usize = WORDS * 32;

impl Control {
    pub(super) const fn new(config: Settings) -> Self {
        let (standing, turn, claim) = (Standing::STARTING, Turn::NONE, Claim::NONE);
        Self { config, standing, turn, claim, suspicion: Suspicion::NONE, undertaking: Undertaking::NONE }
    }

    /// Whether this channel is the owner of its epoch.
    pub(super) fn owns(&self) -> bool {
        self.standing.epoch().owner() == self.config.me()
    }

    fn words(&self) -> &Words {
        transmute_ref!(self)
    }

    fn words_mut(&mut self) -> &mut Words {
        transmute_mut!(self)
    }

    /// Takes over what a call may have changed: not the configuration, in which a flip during the call would get into the copies.
    fn renew(&mut self, changed: &Self) {
        *self = Self { config: self.config, ..*changed };
    }

    /// Whether both are the same.
    #[inline(never)]
    fn is(&self, other: &Self) -> bool {
        let ((fours, rest), (others, other_rest)) = (self.words().as_chunks(), other.words().as_chunks());
        let of_fours = fours
            .iter()
            .zip(others)
            .fold(0, |differing, ([a, b, c, d], [e, f, g, h])| differing | (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h));
        rest.iter().zip(other_rest).fold(of_fours, |differing, (a, b)| differing | (a ^ b)) == 0
    }

    /// Takes the majority of the three, bit by bit.
    fn take_majority(&mut self, [b, c]: &[Self; 2]) {
        for ((word, b), c) in self.words_mut().iter_mut().zip(b.words()).zip(c.words()) {
            *word = (*word & b) | (*word & c) | (b & c);
        }
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Begins a call: mends the control data, and reads the time.
    #[inline(never)]
    pub(super) fn enter(&mut self, shown: Instant) -> Instant {
        self.recall();
        self.read_time(shown)
    }

    /// Takes back times that are further ahead than any can be, for which this channel would wait in vain.
    #[inline(never)]
    pub(super) fn bound_times(&mut self, now: Instant) {
        if self.mechanisms.on(Mechanism::Control) {
            self.schedule.bound(now, &self.control.config);
            self.outgoing.bound(now, &self.control.config);
            self.upgrade.bound(now, &self.control.config);
            self.bound_handover(now);
        }
    }

    /// Takes what the clock shows, and returns this channel's own time.
    pub(super) fn read_time(&mut self, shown: Instant) -> Instant {
        let (now, jumped_us) = self.time.read(shown, &self.control.config);
        if let Some(jumped_us) = jumped_us {
            self.clock_jumped(jumped_us);
        }
        now
    }

    #[cold]
    #[inline(never)]
    fn clock_jumped(&mut self, us: u32) {
        self.schedule.shift(us);
        self.record.count(|counters| &mut counters.gaps);
        self.happened(Event::Gap);
    }

    /// Takes the majority of the control data and its copies.
    #[inline(never)]
    pub(super) fn recall(&mut self) {
        if !self.has_sound_control() {
            self.mend_control();
        }
    }

    /// Compares the second copy as well, once a cycle.
    pub(super) fn mend_copies(&mut self) {
        let [_, second] = &self.copies;
        if self.mechanisms.on(Mechanism::Control) && !self.control.is(second) {
            self.mend_control();
        }
    }

    fn mend_control(&mut self) {
        self.control.take_majority(&self.copies);
        self.control.suspicion.note_health(Health::CONTROL_REPAIRED);
        self.copies = [self.control; 2];
        self.record.count(|counters| &mut counters.control_repairs);
        self.record.bear(Faults::CONTROL_REPAIRED);
        self.happened(Event::ControlRepaired);
    }

    /// Whether the control data and its first copy are the same.
    pub(crate) fn has_sound_control(&self) -> bool {
        let [first, _] = &self.copies;
        self.control.is(first) || !self.mechanisms.on(Mechanism::Control)
    }

    /// Writes the copies anew, of what a call may have changed.
    #[inline(never)]
    pub(super) fn remember(&mut self) {
        for copy in &mut self.copies {
            copy.renew(&self.control);
        }
    }

    /// Changes the configuration, on purpose, in all copies.
    pub(super) fn reconfigure(&mut self, change: impl Fn(&mut Settings)) {
        change(&mut self.control.config);
        for copy in &mut self.copies {
            copy.config = self.control.config;
        }
    }

    /// Flips a bit of the control data or of one of its copies.
    #[cfg(feature = "sim")]
    pub(super) fn flip_control(&mut self, bit: usize) {
        let [b, c] = &mut self.copies;
        let mut all = [&mut self.control, b, c].into_iter().flat_map(Control::words_mut);
        if let Some(word) = all.nth(bit / 32 % (3 * WORDS)) {
            *word ^= 1 << (bit % 32);
        }
    }

    /// Does one thing between a check of the control data and new copies of it.
    pub(super) fn within<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        self.recall();
        let changed = change(self);
        self.remember();
        changed
    }

    /// Does the same when the clock shows this, at this channel's own time.
    pub(super) fn within_at<R>(&mut self, shown: Instant, change: impl FnOnce(&mut Self, Instant) -> R) -> R {
        let now = self.enter(shown);
        let changed = change(self, now);
        self.remember();
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::ids::ChannelId;

    fn control() -> Control {
        Control::new(Settings::new(ChannelId::B, &Config { nonce: 7, ..Config::DEFAULT }))
    }

    #[test]
    fn each_bit_of_each_of_the_three_is_seen_and_mended() {
        let sound = *control().words();
        for bit in 0..3 * WORDS * 32 {
            let mut three = [control(); 3];
            let words = three.iter_mut().flat_map(Control::words_mut);
            words.enumerate().filter(|(at, _)| *at == bit / 32).for_each(|(_, word)| *word ^= 1 << (bit % 32));
            let [mut a, b, c] = three;
            assert!(!a.is(&b) || !a.is(&c), "bit {bit}");
            a.take_majority(&[b, c]);
            assert_eq!(*a.words(), sound, "bit {bit}");
        }
        assert!(control().is(&control()));
    }

    #[test]
    fn a_flip_of_the_configuration_in_a_call_does_not_get_into_the_copies() {
        let config_words = size_of::<Settings>() / size_of::<u32>();
        for at in 0..WORDS {
            let (mut live, mut copy) = (control(), control());
            live.words_mut()[at] ^= 1;
            copy.renew(&live);
            let is_taken_over = copy.words()[at] == live.words()[at];
            assert_eq!(is_taken_over, at >= config_words, "word {at}");
        }
    }
}
