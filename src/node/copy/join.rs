//! The joiner's side of reintegration: the state of the peer, block by block, in this version's layout or, to be
//! converted, in that of the version before.

use super::{FURTHEST_START_PERIODS, SILENT_PERIODS};
use crate::fault::Faults;
use crate::ids::{Cycle, Instant, Phase, Stage};
use crate::mechanism::Mechanism;
use crate::mirror::{self, Range};
use crate::mode::{Mode, ModeEvent};
use crate::node::{MayUpgrade, Node};
use crate::program::Program;
use crate::reintegrate::{Joiner, Serial};
use crate::succession::CannotMigrate;
use crate::upgrade::VersionRelation;
use crate::verdict::{Outcome, Unbound};
use crate::wire::{BlockPayload, BufferTooSmall, ComparePayload, Cut, Header, Hello, Kind, Reject, SamePayload};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Notes that the peer serves, by its fresh word: this channel may join it.
    pub(in crate::node) fn offered(&mut self, now: Instant, hello: &Hello) {
        // A channel without a state takes any; one with a state none that is older.
        let is_older = !self.control.standing.is_empty() && hello.epoch.counter() < self.control.standing.newest();
        if is_older || self.control.suspicion.is_barred(self.control.config.me()) || self.leaves() {
            return;
        }
        if self.control.standing.mode() == Mode::Joining && hello.nonce != self.control.standing.peer_nonce() {
            self.start_over(now);
        }
        self.stop_booting();
        self.silence.ends(); // nothing is to be asked of the arbiter any more
        self.meeting.peer_serves(hello.epoch);
        self.meet(hello.nonce);
    }

    /// Takes a block from the donor.
    pub(in crate::node) fn handle_block(
        &mut self,
        now: Instant,
        header: &Header,
        block: &BlockPayload<'_>,
    ) -> Result<(), Reject> {
        let serving = self.meeting.serving().ok_or(Reject::Mode)?;
        if self.version_relation() == VersionRelation::Newer || self.leaves() {
            return Err(Reject::Mode);
        }
        if !matches!(self.control.standing.mode(), Mode::Starting | Mode::Standby | Mode::Joining) {
            return Err(Reject::Mode);
        }
        let is_older = header.epoch.counter() < serving.counter();
        // A state is given up for a newer lineage only.
        let is_no_newer = self.control.standing.mode() == Mode::Standby
            && header.epoch.counter() <= self.control.standing.epoch().counter();
        if is_older || is_no_newer || header.epoch.owner() == self.control.config.me() {
            return Err(Reject::Epoch);
        }
        let before = U::predecessor(self);
        let is_block = match before {
            Some(before) => mirror::is_block_of(before.state_bytes, block.index.into(), block.bytes.len()),
            None => self.mirror.check_block(block.index.into(), block.bytes.len()).is_ok(),
        };
        if !is_block {
            return Err(Reject::Block);
        }
        if self.control.standing.mode() != Mode::Joining {
            self.join(now, block.serial);
        }
        self.meeting.peer_serves(header.epoch);
        self.control.standing.saw(header.epoch.counter());
        let Some(joiner) = &mut self.copying.joiner else { return Err(Reject::Mode) };
        joiner.heard(now);
        match joiner.judge(block.serial) {
            Serial::New => joiner.take(block.serial),
            Serial::Repetition => {
                self.record.count(|counters| &mut counters.repeated);
                return Ok(());
            }
            Serial::Late => return Err(Reject::Phase),
        }
        if before.is_some() {
            self.mirror.land_block(block.index.into(), block.bytes);
            return Ok(());
        }
        self.mirror.put_block(block.index.into(), block.bytes).map_err(|_| Reject::Block)
    }

    /// Whether the memory is being filled with the state of another version.
    pub(in crate::node) fn is_landing(&self) -> bool {
        self.control.standing.mode() == Mode::Joining && self.version_relation() == VersionRelation::Older
    }

    /// Gives up whatever state this channel had: the peer's replaces it from here on.
    fn join(&mut self, now: Instant, serial: u16) {
        let serving = self.meeting.serving();
        self.change_mode(now, ModeEvent::Joins);
        self.forget_cycle();
        self.control.standing.give_up_state();
        self.mirror.rollback();
        if let Some(epoch) = serving {
            self.meeting.peer_serves(epoch);
        }
        self.copying.joiner = Some(Joiner::new(serial, now));
    }

    pub(in crate::node) fn handle_compare(&mut self, header: &Header, asked: &ComparePayload) -> Result<(), Reject> {
        if self.control.standing.mode() != Mode::Joining || self.is_landing() {
            return Err(Reject::Mode);
        }
        let blocks = 1_u32.checked_shl(asked.exponent.into()).ok_or(Reject::Payload)?;
        if u32::from(asked.first) >= self.mirror.blocks() {
            return Err(Reject::Block);
        }
        let mine = self.mirror.range_digest(Range { first: asked.first.into(), blocks });
        let is_same = mine == asked.digest;
        let same = SamePayload { first: asked.first, exponent: asked.exponent, is_same };
        self.copying.same_due = Some((header.phase, same));
        Ok(())
    }

    /// Joins the peer that serves, if its `Cut` is meant for this boot and the copied state is the
    /// one it speaks of.
    pub(in crate::node) fn handle_joining_cut(&mut self, now: Instant, cut: &Cut) -> Result<(), Reject> {
        let meant = cut.nonce == self.control.standing.peer_nonce()
            && self.is_for_this_boot(cut)
            && self.meeting.serving().is_some_and(|serving| cut.epoch.counter() >= serving.counter())
            && (self.control.standing.mode() != Mode::Standby
                || cut.epoch.counter() > self.control.standing.epoch().counter())
            && cut.epoch.owner() != self.control.config.me();
        if !meant {
            if let Some(joiner) = &mut self.copying.joiner {
                joiner.owe_ack(); // with the newest challenge
            } else {
                self.meeting.owe_answer();
            }
            return Err(Reject::Stale);
        }
        let sound = match U::predecessor(self) {
            Some(before) if self.mirror.holds_landed(before.state_bytes, cut.region_digest) => {
                match self.mirror.migrate(before.migrate) {
                    Ok(is_same) => is_same,
                    Err(CannotMigrate(number)) => {
                        U::refuses_migration(self, now, number);
                        return Err(Reject::Digest);
                    }
                }
            }
            Some(_) => false,
            None => self.mirror.adopt(cut.region_digest) || !self.mechanisms.on(Mechanism::CutDigest),
        };
        if !sound {
            self.fault(Faults::COPY_FAILED);
            if self.control.standing.mode() != Mode::Standby {
                self.start_over(now); // one that stands by has given nothing up yet
            }
            return Err(Reject::Digest);
        }
        self.control.standing.adopt(cut.epoch);
        self.control.turn.go_on_from(Cycle(cut.base));
        self.control.standing.take_state();
        self.control.suspicion.learn();
        self.record.count(|counters| &mut counters.joined);
        let furthest = self.control.config.period_us().saturating_mul(FURTHEST_START_PERIODS);
        let starts_in_us = cut.starts_in_us.saturating_sub(self.schedule.delay_us(&self.control.config)).min(furthest);
        self.enter_duplex(now, now.plus_us(starts_in_us));
        self.control.standing.begin_probation(self.control.config.probation_cycles());
        Ok(())
    }

    pub(in crate::node) fn poll_joining(&mut self, now: Instant) -> Option<Unbound<P::Output>> {
        let silence_us = self.control.config.period_us().saturating_mul(SILENT_PERIODS);
        let heard = self.copying.joiner.as_ref().map(Joiner::heard_at);
        if heard.is_none_or(|heard| now >= heard.plus_us(silence_us)) {
            self.start_over(now);
        }
        self.schedule.is_open().then(|| self.verdict(Outcome::Waiting, [None, None], None))
    }

    /// Sends what the joiner owes: an acknowledgement, an answer.
    pub(in crate::node) fn transmit_answers(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, BufferTooSmall> {
        let challenge = self.meeting.challenge();
        if let Some(joiner) = self.copying.joiner.as_ref().filter(|joiner| joiner.owes_ack()) {
            let phase = Phase::new(self.control.turn.committed(), Stage::Settled);
            let length = self.transmit(Kind::Ack, phase, buffer, &joiner.ack(challenge))?;
            if let Some(joiner) = &mut self.copying.joiner {
                joiner.acknowledged();
            }
            return Ok(Some(length));
        }
        let Some((phase, same)) = self.copying.same_due else { return Ok(None) };
        let length = self.transmit(Kind::Same, phase, buffer, &same)?;
        self.copying.same_due = None;
        Ok(Some(length))
    }
}
