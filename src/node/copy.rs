//! Reintegration in the node: donating, joining, and the cut that ends both.

mod again;
mod join;

use self::again::Again;
use super::lineage::{Answer, newest_of};
use super::meeting::Cutting;
use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::ids::{Instant, Phase, Stage};
use crate::lease::{Arbiter, Grounds};
use crate::mechanism::Mechanism;
use crate::mirror::Range;
use crate::mode::{Mode, ModeEvent};
use crate::program::Program;
use crate::reintegrate::{CopyProgress, CopyRefused, Donor, Joiner, Ledger, Search};
use crate::upgrade::VersionRelation;
use crate::verdict::{Outcome, Unbound};
use crate::wire::{
    AckPayload, BlockPayload, BufferTooSmall, ComparePayload, Cut, Header, Hello, Kind, Reject, SamePayload, Standing,
};
use core::ops::ControlFlow;

/// Periods without a word of the donor after which a joiner starts over.
const SILENT_PERIODS: u32 = 10;
/// A start further ahead than this many periods is none.
const FURTHEST_START_PERIODS: u32 = 2;

/// Time after which a refused copy is tried again, and the longest pause between two copies.
const RETRY_US: u32 = 100_000_000;

/// A joiner that was refused.
#[derive(Clone, Hash)]
struct Refused {
    nonce: u32,
    /// No other copy to this boot of the peer is begun before.
    until: Instant,
    refused: CopyRefused,
}

/// What a node keeps of reintegration, as the donor or as the joiner.
#[derive(Clone, Default, Hash)]
pub(super) struct Copying {
    donor: Option<Donor>,
    joiner: Option<Joiner>,
    /// The verdict of the cycle was taken, so what is left of the period is for the copy, as long
    /// as a frame gets through before the next cycle.
    is_open: bool,
    /// What outlasts one copy.
    ledger: Ledger,
    refused: Option<Refused>,
    /// Whether copies are begun one after another.
    pub(super) again: Again,
    same_due: Option<(Phase, SamePayload)>,
    /// What is written in duplex, so that a copy that would be refused is known of before it is needed.
    rate: Rate,
}

/// Blocks written in a cycle: a mean of the last ones.
#[derive(Clone, Copy, Default, Hash)]
struct Rate {
    /// In sixteenths.
    blocks: u32,
    cycles: u8,
    is_too_high: bool,
}

/// Cycles before a rate says something, and of about which it is a mean.
const RATE_CYCLES: u8 = 16;

impl Rate {
    fn note(&mut self, written: u32) {
        let (before, more) = (self.blocks, written.wrapping_mul(RATE_CYCLES.into()));
        if self.cycles < RATE_CYCLES {
            self.cycles += 1;
        }
        // Rounded up, so that what is the same in each cycle is told as it is.
        self.blocks = if self.cycles == 1 {
            more
        } else if more > before {
            before.wrapping_add((more - before).div_ceil(RATE_CYCLES.into()))
        } else {
            before - (before - more) / u32::from(RATE_CYCLES)
        };
    }

    /// Returns the blocks that a cycle writes, rounded; `None` before there were enough of them.
    fn blocks(&self) -> Option<u32> {
        let half = u32::from(RATE_CYCLES) / 2;
        (self.cycles == RATE_CYCLES).then(|| self.blocks.saturating_add(half) / u32::from(RATE_CYCLES))
    }
}

/// A copy that would be refused, as far as duplex tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CopyForecast {
    /// Blocks written in a cycle, as a mean of the last ones.
    pub written_blocks: u32,
    /// Blocks sent in a cycle at most: more are needed than are written.
    pub budget_blocks: u16,
}

impl core::fmt::Display for CopyForecast {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { written_blocks, budget_blocks } = self;
        write!(f, "a copy would not converge: {budget_blocks} blocks sent a cycle at most, {written_blocks} written")
    }
}

impl Copying {
    /// Whether the joiner has answered the copy.
    pub(super) fn is_answered(&self) -> bool {
        self.donor.as_ref().is_some_and(Donor::is_answered)
    }

    /// Another copy may begin at once, whatever became of those before.
    pub(super) fn allow_again(&mut self) {
        (self.refused, self.again) = (None, Again::default());
    }

    /// The period is for the cycle again.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    /// Whether this channel keeps the books of a donor, and those of a joiner.
    #[cfg(feature = "sim")]
    pub(super) fn books(&self) -> [bool; 2] {
        [self.donor.is_some(), self.joiner.is_some()]
    }

    /// Flips a bit of the books; false if there are none.
    #[cfg(feature = "sim")]
    pub(super) fn flip_bit(&mut self, bit: usize) -> bool {
        match (&mut self.donor, &mut self.joiner) {
            (Some(donor), _) => donor.flip_bit(bit),
            (None, Some(joiner)) => joiner.flip_bit(bit),
            (None, None) => return false,
        }
        true
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Returns how far the copy to a joining peer is; `None` unless this channel is the donor.
    pub fn copy_progress(&self) -> Option<CopyProgress> {
        let donor = self.copying.donor.as_ref()?;
        Some(donor.progress(self.mirror.uncopied_blocks(), self.mirror.blocks()))
    }

    /// Returns why the copy to the peer was refused, if it was; another one to this boot of the
    /// peer is begun after 100 seconds, or on [`retry_copy`](Self::retry_copy).
    pub fn copy_refused(&self) -> Option<&CopyRefused> {
        self.copying.refused.as_ref().map(|refused| &refused.refused)
    }

    /// Returns why a copy would be refused if the peer had to join again now; `None` if it would not, or in the first cycles of duplex. To
    /// be looked at while both serve: then there is time to [raise the budget](Self::raise_copy_budget).
    pub fn copy_forecast(&self) -> Option<CopyForecast> {
        let budget_blocks = self.control.config.copy_blocks();
        let written_blocks = self.copying.rate.blocks()?;
        let converges = written_blocks < budget_blocks.into() || self.mirror.blocks() <= budget_blocks.into();
        (!converges).then_some(CopyForecast { written_blocks, budget_blocks })
    }

    /// Raises [`copy_blocks`](crate::Config::copy_blocks), until the next boot; less than there is changes nothing. A refused copy is tried
    /// again.
    pub fn raise_copy_budget(&mut self, copy_blocks: u16) {
        self.within(|node| {
            node.reconfigure(|config| config.raise_copy_blocks(copy_blocks));
            node.copying.allow_again();
            if let Some(donor) = &mut node.copying.donor {
                donor.raise_budget(copy_blocks);
            }
        });
    }

    /// Another cycle of duplex is done.
    pub(super) fn forecast_copy(&mut self) {
        self.copying.rate.note(self.mirror.written_blocks());
        let is_too_high = self.copy_forecast().is_some();
        if is_too_high && !self.copying.rate.is_too_high {
            self.fault(Faults::COPY_FORECAST);
        }
        self.copying.rate.is_too_high = is_too_high;
    }

    /// Lets a copy begin at once, though one was refused, or those before came to nothing.
    pub fn retry_copy(&mut self) {
        self.copying.allow_again();
    }

    /// Gives up the state of a channel that stands by, so that it joins as an empty one: a
    /// person's decision after a split brain. Returns whether it did.
    pub fn discard_state(&mut self, now: Instant) -> bool {
        self.within(|node| {
            let stands_by = node.control.standing.mode() == Mode::Standby;
            if stands_by {
                node.start_over(now);
            }
            stands_by
        })
    }

    // The donor.

    /// Begins a copy to a peer that owns nothing, on its fresh word.
    pub(super) fn donate(&mut self, now: Instant, hello: &Hello, standing: Standing) {
        let is_refused = self.copying.refused.as_ref().is_some_and(|refused| {
            let left_us = refused.until.since_us(now);
            refused.nonce == hello.nonce && (1..=RETRY_US.cast_signed()).contains(&left_us)
        });
        // A claim on its way has to be seen through: the arbiter may have moved on already.
        let is_claiming = self.control.claim.is_under_way();
        let is_under_way =
            self.control.standing.mode() == Mode::Donor && self.control.standing.peer_nonce() == hello.nonce;
        let is_newer =
            !standing.contains(Standing::EMPTY) && hello.epoch.counter() > self.control.standing.epoch().counter();
        if !U::may_donate(self, hello, standing) {
            return;
        }
        if is_refused
            || is_claiming
            || !self.silence.may_ask()
            || is_under_way
            || is_newer
            || self.control.suspicion.is_barred(self.control.config.me().other())
        {
            return;
        }
        let (may_begin, waits) = self.copying.again.asks(now, self.control.config.period_us(), RETRY_US);
        if waits {
            self.fault(Faults::COPY_FAILED); // again and again
        }
        if !may_begin {
            return;
        }
        self.copying.again.begins();
        self.end_copy(); // to an earlier boot of the peer
        self.meet(hello.nonce);
        self.change_mode(now, ModeEvent::Donates);
        let (budget, limit) = (self.control.config.copy_blocks(), self.control.config.copy_limit_cycles());
        let mut donor = Donor::new(self.mirror.copy_set(), budget, limit, self.copying.ledger);
        if !self.mechanisms.on(Mechanism::Resend) {
            self.mirror.copy_set().ignore_writes();
        }
        if !standing.contains(Standing::EMPTY) && self.version_relation() == VersionRelation::Same {
            donor.begin_search(self.mirror.blocks(), now);
        }
        self.copying.donor = Some(donor);
        self.copying.refused = None;
        self.record.count(|counters| &mut counters.copies_begun);
    }

    /// A donor's cycle begins: a new budget, unless the joiner no longer answers.
    pub(super) fn donor_begins_cycle(&mut self, now: Instant) {
        self.copying.ledger.begin_cycle();
        let answers = self.copying.donor.as_mut().is_none_or(Donor::begin_cycle);
        if !answers && self.control.standing.mode() == Mode::Donor && !self.control.claim.is_under_way() {
            self.fault(Faults::COPY_FAILED);
            self.change_mode(now, ModeEvent::CopyEnded);
        }
    }

    /// A donor has committed a cycle: what it wrote has to be sent again.
    pub(super) fn donor_committed(&mut self, now: Instant) {
        let (written, total) = (self.mirror.written_blocks(), self.mirror.blocks());
        let outdated = self.mirror.outdated_blocks();
        let Some(donor) = &mut self.copying.donor else { return };
        if let Err(refused) = donor.committed([written, outdated], &self.mirror.copy_set(), total) {
            self.fault(Faults::COPY_REFUSED);
            self.copying.refused =
                Some(Refused { nonce: self.control.standing.peer_nonce(), until: now.plus_us(RETRY_US), refused });
            self.change_mode(now, ModeEvent::CopyEnded);
        }
    }

    /// Forgets a copy, as donor and as joiner.
    pub(super) fn end_copy(&mut self) {
        if self.copying.donor.is_some() {
            self.finish_copy();
            self.record.count(|counters| &mut counters.copies_failed);
        }
        (self.copying.joiner, self.copying.same_due) = (None, None);
    }

    fn finish_copy(&mut self) {
        if let Some(donor) = self.copying.donor.take() {
            self.copying.ledger = donor.into_ledger();
            self.mirror.copy_set().end();
        }
    }

    /// Claims the epoch that the joiner is to be cut over in. `Break`: the slot has this verdict, or none, and nothing follows.
    pub(super) fn claim_for_joiner<A: Arbiter>(
        &mut self,
        now: Instant,
        arbiter: &mut A,
    ) -> ControlFlow<Option<Unbound<P::Output>>> {
        let left = self.mirror.uncopied_blocks();
        // The arbiter is asked when the rest will be there within the cycle, and early in it, so
        // that its answer is there before the next one.
        let is_nearly_done = self.schedule.is_early(now) && left <= self.control.config.copy_blocks().into();
        let is_done = left == 0 && self.schedule.has_time(now, &self.control.config);
        let donor = self.copying.donor.as_ref();
        let is_due = donor.is_some_and(|donor| !donor.is_epoch_fresh() && donor.is_answered());
        if self.is_between_cycles() && (is_nearly_done || is_done) && is_due && !self.control.claim.is_under_way() {
            let is_trial = self.version_relation() != VersionRelation::Same;
            let to = if is_trial { self.next_block() } else { self.next_epoch() };
            self.control.claim.begin(to, Grounds::PeerJoins);
        }
        let Some(to) = self.control.claim.on(Grounds::PeerJoins) else { return ControlFlow::Continue(()) };
        // Its outputs open in the new epoch only from the moment of the grant, whose time
        // nobody knows: nothing is released while the answer is on its way.
        match self.ask(now, arbiter, to, Grounds::PeerJoins) {
            Answer::Granted => {
                self.control.standing.adopt(to);
                self.control.claim.end();
                if let Some(donor) = &mut self.copying.donor {
                    donor.epoch_was_raised();
                }
            }
            // It asked only for the joiner: it goes on as before.
            Answer::Unanswered => {
                self.change_mode(now, ModeEvent::CopyEnded);
            }
            Answer::Refused => {
                self.control.standing.saw(newest_of(arbiter).counter());
                self.fault(Faults::LEASE_LOST);
                self.stand_by(now, ModeEvent::LeaseLost);
                let is_open = self.schedule.is_open();
                return ControlFlow::Break(is_open.then(|| self.verdict(Outcome::Waiting, [None, None], None)));
            }
            Answer::Pending if self.schedule.is_open() && self.schedule.slot_is_over(now) => {
                return ControlFlow::Break(Some(self.hold()));
            }
            Answer::Pending => self.schedule.poll_again_soon(now, &self.control.config),
        }
        ControlFlow::Continue(())
    }

    /// Gives what is left of the period to the copy, and cuts over once all blocks are there. From then on the donor is in
    /// duplex: the joiner's first frame is the answer, and without one by the deadline of the next cycle the donor goes on
    /// alone in yet another epoch.
    pub(super) fn go_on_copying(&mut self, now: Instant) {
        self.copying.is_open = self.schedule.has_time(now, &self.control.config);
        let is_fresh = self.copying.donor.as_ref().is_some_and(Donor::is_epoch_fresh);
        let is_done = self.mirror.uncopied_blocks() == 0 && is_fresh && self.copying.is_open;
        if self.is_between_cycles() && is_done {
            let start = self.schedule.next_start();
            self.finish_copy();
            self.enter_duplex(now, start);
            self.meeting.cut(now, self.control.standing.peer_nonce());
        }
    }

    pub(super) fn handle_ack(&mut self, now: Instant, header: &Header, ack: &AckPayload) -> Result<(), Reject> {
        if header.epoch.counter() > self.control.standing.epoch().counter() {
            return Err(Reject::Epoch);
        }
        let resend_at = self.block_is_overdue_at(now);
        match &mut self.copying.donor {
            Some(donor) if self.control.standing.mode() == Mode::Donor => {
                if !donor.acknowledged(&mut self.mirror.copy_set(), ack, resend_at) {
                    return Err(Reject::Phase);
                }
            }
            _ if self.meeting.is_cutting() => {}
            _ => return Err(Reject::Mode),
        }
        self.meeting.hear_challenge(self.control.standing.peer_nonce(), ack.challenge);
        Ok(())
    }

    pub(super) fn handle_same(&mut self, now: Instant, header: &Header, same: &SamePayload) -> Result<(), Reject> {
        // An answer about another cycle's memory says nothing of this one's.
        if header.phase != Phase::new(self.control.turn.committed(), Stage::Settled) {
            return Err(Reject::Phase);
        }
        let search = self.copying.donor.as_mut().and_then(Donor::search_mut);
        let search = search.filter(|_| self.control.standing.mode() == Mode::Donor).ok_or(Reject::Mode)?;
        let blocks = 1_u32.checked_shl(same.exponent.into()).ok_or(Reject::Payload)?;
        let asked = Range { first: same.first.into(), blocks };
        let was_asked = search.answered(&mut self.mirror.copy_set(), asked, same.is_same, now);
        if was_asked { Ok(()) } else { Err(Reject::Phase) }
    }

    /// Sends the next block, or the next question of the search.
    pub(super) fn transmit_copy(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        if self.control.standing.mode() != Mode::Donor {
            return Ok(None);
        }
        self.copying.is_open &= self.is_between_cycles() && self.schedule.has_time(now, &self.control.config);
        if !self.copying.is_open {
            return Ok(None);
        }
        let Some(mut donor) = self.copying.donor.take() else { return Ok(None) };
        let sent = self.transmit_for(&mut donor, now, buffer);
        self.copying.donor = Some(donor);
        sent
    }

    fn transmit_for(
        &mut self,
        donor: &mut Donor,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, BufferTooSmall> {
        let phase = Phase::new(self.control.turn.committed(), Stage::Settled);
        let again_at = self.block_is_overdue_at(now);
        if let Some((serial, index)) = donor.next(&mut self.mirror.copy_set(), now) {
            if self.mechanisms.on(Mechanism::Scrub) {
                let found = self.mirror.scrub_one(index.into()); // damage is not to be handed on
                self.note(&found);
                if found.beyond_repair.is_some() {
                    self.wants(now, index);
                    self.copying.is_open = false;
                    return Ok(None);
                }
            }
            let bytes = self.mirror.block(index.into()).unwrap_or_default();
            let block = BlockPayload { serial, index, bytes };
            let length = self.transmit(Kind::Block, phase, buffer, &block)?;
            donor.sent(&mut self.mirror.copy_set(), index, again_at);
            self.record.count(|counters| &mut counters.blocks_sent);
            return Ok(Some(length));
        }
        let due = donor.search_mut().filter(|search| now >= search.ask_at());
        let asked = due.and_then(|search| search.range().map(|range| (search, range)));
        let Some((search, range)) = asked else { return Ok(None) };
        let digest = self.mirror.range_digest(range);
        let (first, exponent) = (range.first as u16, range.blocks.trailing_zeros() as u8);
        let length = self.transmit(Kind::Compare, phase, buffer, &ComparePayload { first, exponent, digest })?;
        search.asked(again_at);
        Ok(Some(length))
    }

    /// Returns when the answer to what is sent now should be there: the way there and back is part
    /// of it, since the link carries block after block meanwhile.
    fn block_is_overdue_at(&self, now: Instant) -> Instant {
        now.plus_us(
            self.schedule
                .delay_us(&self.control.config)
                .saturating_mul(2)
                .saturating_add(self.control.config.retransmit_us()),
        )
    }

    pub(super) fn copy_timeout(&self) -> Option<Instant> {
        let donor = self.copying.donor.as_ref().filter(|_| self.copying.is_open)?;
        let search = donor.search().filter(|search| search.range().is_some());
        donor.resend_at().into_iter().chain(search.map(Search::ask_at)).min()
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Returns when the `Cut` goes out again.
    pub(super) fn cut_timeout(&self) -> Option<Instant> {
        self.meeting.waiting_cut().map(|cut| cut.resend_at)
    }

    pub(super) fn transmit_cut(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let due = self.meeting.waiting_cut().filter(|cut| now >= cut.resend_at);
        let Some(Cutting { joiner_nonce, .. }) = due else { return Ok(None) };
        let base = self.control.turn.committed();
        // At boot both start at once, and in a cycle that has begun the joiner is late already.
        let is_ahead = self.control.standing.mode().is_paired() && self.control.turn.is_settled();
        let starts_in_us = if is_ahead { self.schedule.next_start().since_us(now).max(0) } else { 0 };
        let cut = Cut {
            nonce: self.control.config.nonce(),
            joiner_nonce,
            joiner_challenge: self.meeting.heard_challenge(),
            epoch: self.control.standing.epoch(),
            base: base.0,
            region_digest: self.mirror.committed_digest(),
            starts_in_us: starts_in_us.cast_unsigned(),
        };
        let length = self.transmit(Kind::Cut, Phase::new(base, Stage::Settled), buffer, &cut)?;
        self.meeting.cut_again(now.plus_us(self.control.config.retransmit_us()));
        Ok(Some(length))
    }
}
