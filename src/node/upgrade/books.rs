//! What a node keeps of an upgrade, in four closed parts: what it knows of its versions, what the two halves told each other,
//! the orders on their way, and how it leaves.

use super::super::settings::Settings;
use crate::ids::Instant;
use crate::program::Program;
use crate::succession::Succession;
use crate::upgrade::{Candidate, Counts, Order, Refusal, Retry, Step, Trial};
use crate::wire::{OrderPayload, Part};

/// Without an upgrade under way words are exchanged more seldom, by this factor.
const IDLE_INTERVALS: u32 = 16;
/// Time after which an unconfirmed image that nobody takes for a successor goes back by itself.
const UNMET_US: u32 = 100_000_000;
/// Time after which a restart that failed is asked for once more.
const LATER_US: u32 = 10_000_000;
/// Of one that is not asked for again.
const FOR_THIS_BOOT: Instant = Instant::from_micros(u64::MAX);
/// Times that the other half may come back in the old version after the commit.
const RETURNS: u8 = 3;
/// Slots in which a channel that is about to restart says so.
const FAREWELL_SLOTS: u8 = 3;

/// A node whose other half can be upgraded while this one serves, and this one afterwards: what it keeps of that.
pub struct Upgrades<P: Program> {
    pub(in crate::node) versions: Versions<P>,
    pub(in crate::node) words: Words,
    pub(in crate::node) orders: Orders,
    pub(in crate::node) departure: Departure,
}

impl<P: Program> Upgrades<P> {
    pub(super) const fn new() -> Self {
        Self { versions: Versions::NONE, words: Words::NONE, orders: Orders::NONE, departure: Departure::NONE }
    }

    #[cfg(feature = "sim")]
    pub(super) fn copied(&self) -> Self {
        let Self { versions, words, orders, departure } = self;
        let versions = Versions { trial: versions.trial.clone(), ..*versions };
        Self { versions, words: *words, orders: *orders, departure: *departure }
    }

    /// Feeds what bears on what the channel does.
    #[cfg(feature = "sim")]
    pub(super) fn fingerprint(&self, hasher: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        let Self { versions, words, orders, departure } = self;
        let Versions { succession: _, trial, cannot_migrate: _, candidate, floor } = versions;
        (trial.counts(), candidate, floor).hash(hasher);
        let Words { partner, heard, cannot_migrate: _, serial: _, is_due, at } = words;
        (partner, heard, is_due, at).hash(hasher);
        let Orders { given, number, refused: _, answered, answer, is_due, at } = orders;
        (given, number, answered, answer, is_due, at).hash(hasher);
        departure.hash(hasher);
    }
}

/// What this channel knows of its version, of the one before it and of the one after it.
pub(in crate::node) struct Versions<P: Program> {
    succession: Option<Succession<P>>,
    trial: Trial<P>,
    cannot_migrate: Option<u16>,
    candidate: Option<Candidate>,
    /// The oldest version that may be installed; `None`: nobody keeps one.
    floor: Option<u32>,
}

impl<P: Program> Versions<P> {
    const NONE: Self = Self { succession: None, trial: Trial::NEW, cannot_migrate: None, candidate: None, floor: None };

    /// Returns what this version says of the one before it.
    pub(super) fn succession(&self) -> Option<Succession<P>> {
        self.succession
    }

    pub(super) fn succeed(&mut self, succession: Succession<P>) {
        self.succession = Some(succession);
    }

    pub(super) fn trial(&self) -> &Trial<P> {
        &self.trial
    }

    /// The books of the trial, to be written.
    pub(super) fn trial_mut(&mut self) -> &mut Trial<P> {
        &mut self.trial
    }

    pub(super) fn forget_trial(&mut self) {
        self.trial = Trial::NEW;
    }

    /// Returns why the state of the version before could not be taken over.
    pub(super) fn cannot_migrate(&self) -> Option<u16> {
        self.cannot_migrate
    }

    pub(super) fn refuse_migration(&mut self, number: u16) {
        self.cannot_migrate = Some(number);
    }

    pub(super) fn candidate(&self) -> Option<Candidate> {
        self.candidate
    }

    pub(super) fn offer(&mut self, candidate: Option<Candidate>) {
        self.candidate = candidate;
    }

    pub(super) fn floor(&self) -> Option<u32> {
        self.floor
    }

    pub(super) fn set_floor(&mut self, floor: u32) {
        self.floor = Some(floor);
    }

    /// Raises the floor to this version, if somebody keeps one.
    pub(super) fn raise_floor(&mut self) {
        self.floor = self.floor.map(|floor| floor.max(P::VERSION));
    }
}

/// What the partner said last.
#[derive(Clone, Copy, Hash)]
pub(in crate::node) struct Partner {
    pub(super) step: Step,
    pub(super) part: Part,
    pub(super) version: u32,
    pub(super) candidate: u32,
    pub(super) counts: Counts,
}

/// What the two halves tell each other.
#[derive(Clone, Copy)]
pub(in crate::node) struct Words {
    partner: Option<Partner>,
    /// Of the partner's last word, in this boot of it.
    heard: Option<u16>,
    /// Why it could not take over the state, for a person to read: it outlasts what it said besides.
    cannot_migrate: Option<u16>,
    serial: u16,
    is_due: bool,
    at: Instant,
}

impl Words {
    const NONE: Self = Self {
        partner: None,
        heard: None,
        cannot_migrate: None,
        serial: 0,
        is_due: false,
        at: Instant::from_micros(0),
    };

    pub(super) fn partner(&self) -> Option<Partner> {
        self.partner
    }

    /// Whether the partner's last word has this.
    pub(super) fn partner_is(&self, part: Part) -> bool {
        self.partner.is_some_and(|partner| partner.part.contains(part))
    }

    /// Whether a word with this serial is another one than the last, and no older.
    pub(super) fn is_news(&self, serial: u16) -> bool {
        self.heard.is_none_or(|last| serial.wrapping_sub(last).cast_signed() > 0)
    }

    pub(super) fn take(&mut self, serial: u16, partner: Partner, cannot_migrate: Option<u16>) {
        (self.partner, self.heard, self.cannot_migrate) = (Some(partner), Some(serial), cannot_migrate);
    }

    /// Returns why the partner could not take over the state of this version.
    pub(super) fn cannot_migrate(&self) -> Option<u16> {
        self.cannot_migrate
    }

    /// The partner is silent, or serves in another way: what it said holds no more.
    pub(super) fn partner_left(&mut self) {
        self.partner = None;
    }

    /// Another boot of the partner: its serials begin anew.
    pub(super) fn forget_partner(&mut self) {
        (self.partner, self.heard, self.cannot_migrate) = (None, None, None);
    }

    /// Whether something has changed of what is told.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Something has changed of what is told.
    pub(super) fn owe(&mut self) {
        self.is_due = true;
    }

    /// Returns when the next word is due, should nothing change.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn next_serial(&self) -> u16 {
        self.serial.wrapping_add(1)
    }

    /// A word went out in this step; the next one is due after a while.
    pub(super) fn sent(&mut self, now: Instant, step: Step, config: &Settings) {
        let intervals = if step == Step::Idle { IDLE_INTERVALS } else { 1 };
        (self.serial, self.is_due) = (self.next_serial(), false);
        self.at = now.plus_us(interval_us(config).saturating_mul(intervals));
    }

    /// Takes back a time that is further ahead than any can be.
    pub(super) fn bound(&mut self, now: Instant, config: &Settings) {
        self.at = self.at.min(now.plus_us(interval_us(config).saturating_mul(IDLE_INTERVALS)));
    }
}

/// Orders on their way between the halves.
#[derive(Clone, Copy)]
pub(in crate::node) struct Orders {
    /// One given here, until the partner has answered it.
    given: Option<Order>,
    number: u16,
    refused: Option<Refusal>,
    /// The partner's order that was answered last, and how.
    answered: u16,
    answer: Option<Refusal>,
    /// Something of this is new to the partner.
    is_due: bool,
    at: Instant,
}

impl Orders {
    const NONE: Self = Self {
        given: None,
        number: 0,
        refused: None,
        answered: 0,
        answer: None,
        is_due: false,
        at: Instant::from_micros(0),
    };

    pub(super) fn given(&self) -> Option<Order> {
        self.given
    }

    pub(super) fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    /// Passes an order on; false if another one is on its way.
    pub(super) fn pass_on(&mut self, order: Order) -> bool {
        match self.given {
            Some(other) if other != order => return false,
            Some(_) => {}
            None => self.number = self.number.wrapping_add(1).max(1),
        }
        (self.given, self.refused, self.is_due) = (Some(order), None, true);
        true
    }

    /// The partner has answered the order of this number.
    pub(super) fn was_answered(&mut self, number: u16, refused: Option<Refusal>) {
        if self.given.is_some() && number == self.number {
            (self.given, self.refused) = (None, refused);
        }
    }

    /// Whether the partner's order of this number is above the one answered last.
    pub(super) fn is_new(&self, number: u16) -> bool {
        self.answered == 0 || number.wrapping_sub(self.answered).cast_signed() > 0
    }

    /// Answers the partner's order of this number.
    pub(super) fn answer_with(&mut self, number: u16, answer: Option<Refusal>) {
        (self.answered, self.answer) = (number, answer);
    }

    /// The partner is to hear how things stand.
    pub(super) fn owe(&mut self) {
        self.is_due = true;
    }

    /// Returns when something is to be sent.
    pub(super) fn due_at(&self) -> Option<Instant> {
        if self.is_due { Some(Instant::from_micros(0)) } else { self.given.map(|_| self.at) }
    }

    pub(super) fn payload(&self) -> OrderPayload {
        let (refusal, detail) = self.answer.map_or((0, 0), Refusal::encoded);
        OrderPayload {
            number: if self.given.is_some() { self.number } else { 0 },
            order: self.given.map_or(0, Order::code),
            refusal,
            answered: self.answered,
            detail,
        }
    }

    /// It was sent; an order goes out again after a while.
    pub(super) fn sent(&mut self, now: Instant, config: &Settings) {
        (self.is_due, self.at) = (false, now.plus_us(interval_us(config)));
    }

    /// Takes back a time that is further ahead than any can be.
    pub(super) fn bound(&mut self, now: Instant, config: &Settings) {
        self.at = self.at.min(now.plus_us(interval_us(config)));
    }

    /// An order that was passed on is for the channel that owned then. It is lost unless the pair is past it: then it was carried out, and
    /// this is what came of it.
    pub(super) fn drop_given(&mut self, step: Step) {
        if self.given.take().is_some_and(|order| !step.is_past(order)) {
            self.refused = Some(Refusal::Lost);
        }
    }

    /// The partner has booted anew, or is another one.
    pub(super) fn forget_partner(&mut self, step: Step) {
        self.drop_given(step);
        (self.answered, self.answer, self.is_due) = (0, None, false);
    }
}

/// Returns how often words and orders are repeated: once a period at most.
fn interval_us(config: &Settings) -> u32 {
    config.hello_us().max(config.period_us())
}

/// How this channel leaves to be restarted, and what may make it.
#[derive(Clone, Copy, Hash)]
pub(in crate::node) struct Departure {
    /// Slots until it does, in which the peer is to hear of it.
    farewell: u8,
    /// It could not be restarted as asked, and does not try again before then.
    stays_until: Option<Instant>,
    /// How long it has not met anybody.
    unmet_us: u32,
    /// Times that the other half came back in the old version after the commit.
    returns: u8,
}

impl Departure {
    const NONE: Self = Self { farewell: 0, stays_until: None, unmet_us: 0, returns: 0 };

    /// Leaves, after the peer has been told.
    pub(super) fn begin(&mut self) {
        self.farewell = FAREWELL_SLOTS;
    }

    /// Another slot of the farewell is over.
    pub(super) fn slot_is_over(&mut self) {
        self.farewell = self.farewell.saturating_sub(1);
    }

    /// The peer was heard: one more word of this channel's reaches it.
    pub(super) fn met(&mut self) {
        (self.unmet_us, self.farewell) = (0, self.farewell.min(1));
    }

    /// Whether the peer has been told.
    pub(super) fn is_told(&self) -> bool {
        self.farewell == 0
    }

    /// Stays for a while, or for this boot.
    pub(super) fn stay(&mut self, now: Instant, retry: Retry) {
        self.stays_until = Some(match retry {
            Retry::Later => now.plus_us(LATER_US),
            Retry::Never => FOR_THIS_BOOT,
        });
    }

    pub(super) fn stays(&self, now: Instant) -> bool {
        self.stays_until.is_some_and(|until| now < until)
    }

    /// Takes back a time that is further ahead than any can be.
    pub(super) fn bound(&mut self, now: Instant) {
        if self.stays_until != Some(FOR_THIS_BOOT) {
            self.stays_until = self.stays_until.map(|until| until.min(now.plus_us(LATER_US)));
        }
    }

    /// Counts a slot in which an image on trial has not met anybody; true if that has been so for too long.
    pub(super) fn count_unmet(&mut self, is_unmet: bool, config: &Settings) -> bool {
        self.unmet_us = if is_unmet { self.unmet_us.saturating_add(config.period_us()) } else { 0 };
        self.unmet_us > UNMET_US
    }

    /// The other half came back in the old version; true if it did too often.
    pub(super) fn count_return(&mut self) -> bool {
        self.returns = self.returns.saturating_add(1);
        self.returns > RETURNS
    }

    /// An order was carried out: returns are counted anew.
    pub(super) fn forget_returns(&mut self) {
        self.returns = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_that_failed_is_asked_for_again_later_or_not_in_this_boot() {
        let (now, after_us) = (Instant::from_micros(5), |us| Instant::from_micros(5).plus_us(us));
        let mut later = Departure::NONE;
        assert!(!later.stays(now));
        later.stay(now, Retry::Later);
        assert!(later.stays(now) && later.stays(after_us(LATER_US - 1)) && !later.stays(after_us(LATER_US)));
        // A time that a flipped bit has moved away is taken back.
        later.stays_until = Some(Instant::from_micros(1 << 50));
        later.bound(now);
        assert!(!later.stays(after_us(LATER_US)));
        let mut never = Departure::NONE;
        never.stay(now, Retry::Never);
        never.bound(now);
        assert!(never.stays(Instant::from_micros(1 << 60)));
    }

    #[test]
    fn an_order_that_is_dropped_is_not_taken_for_done() {
        let mut orders = Orders::NONE;
        // Not come to it yet, and gone elsewhere.
        let lost = [(Order::Split, Step::Prepare), (Order::Split, Step::Idle), (Order::Commit, Step::Abort)];
        for (order, step) in lost {
            assert!(orders.pass_on(order));
            orders.drop_given(step);
            assert_eq!((orders.given(), orders.refused()), (None, Some(Refusal::Lost)), "{order:?} in {step}");
        }
        assert!(orders.pass_on(Order::Split));
        orders.drop_given(Step::Split);
        assert_eq!((orders.given(), orders.refused()), (None, None), "the pair has split");
        assert!(orders.pass_on(Order::Switchover));
        orders.was_answered(5, None);
        orders.drop_given(Step::OldDrives);
        assert_eq!((orders.given(), orders.refused()), (None, None), "it was answered before");
    }

    #[test]
    fn a_word_of_before_is_no_news_though_the_partner_left_since() {
        let (part, counts) = (Part::empty(), Counts::default());
        let partner = Partner { step: Step::Idle, part, version: 1, candidate: 0, counts };
        let mut words = Words::NONE;
        assert!(words.is_news(7));
        words.take(7, partner, Some(3));
        words.partner_left();
        assert!(words.partner().is_none() && words.cannot_migrate() == Some(3));
        assert!(
            !words.is_news(7) && !words.is_news(6) && !words.is_news(7_u16.wrapping_sub(20_000)) && words.is_news(8)
        );
        words.forget_partner();
        assert!(words.is_news(6) && words.cannot_migrate().is_none(), "another boot counts anew");
    }
}
