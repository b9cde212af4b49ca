//! When cycles start and end, steered so that free-running clocks stay together.

use super::settings::Settings;
use crate::ids::Instant;

/// No start is further ahead than this many periods: a joiner's first one is two.
const FURTHEST_START_PERIODS: u32 = 3;
/// The steering moves a start by at most this fraction of a period.
const LARGEST_CORRECTION: i32 = 8;

#[derive(Clone, Default, Hash)]
pub(super) struct Schedule {
    /// A `begin` waits for its verdict.
    slot_open: bool,
    slot_start: Instant,
    deadline: Instant,
    next_start: Instant,
    /// When the peer started the cycle in progress, by this channel's clock.
    peer_start: Option<Instant>,
    /// When the peer started the next cycle, if it is ahead.
    peer_start_ahead: Option<Instant>,
    /// When the peer was last heard, or the first slot opened.
    heard_at: Option<Instant>,
    /// When to ask the arbiter again.
    poll_again_at: Option<Instant>,
}

impl Schedule {
    /// Opens the slot of one `begin`.
    pub(super) fn open_slot(&mut self, now: Instant, config: &Settings) {
        self.heard_at.get_or_insert(now);
        self.slot_open = true;
        self.slot_start = now;
        self.deadline = now.plus_us(config.vote_window_us());
        self.next_start = now.plus_us(config.period_us());
    }

    /// The `begin` has its verdict.
    pub(super) fn close_slot(&mut self) {
        self.slot_open = false;
    }

    /// Whether a `begin` waits for its verdict.
    pub(super) fn is_open(&self) -> bool {
        self.slot_open
    }

    /// Returns when the vote of the cycle is due.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Gives the other channel the first half of what is left of the period behind the vote window.
    pub(super) fn postpone_deadline(&mut self, config: &Settings) {
        let rest_us = config.period_us().saturating_sub(config.vote_window_us());
        self.deadline = self.deadline.plus_us(rest_us / 2);
    }

    /// Returns when the next `begin` is due.
    pub(super) fn next_start(&self) -> Instant {
        self.next_start
    }

    /// Whether a frame sent now is through before the next `begin` is due.
    pub(super) fn has_time(&self, now: Instant, config: &Settings) -> bool {
        now.plus_us(config.link_delay_us()) < self.next_start
    }

    /// Returns when another poll was asked for.
    pub(super) fn poll_again(&self) -> Option<Instant> {
        self.poll_again_at
    }

    /// The channel is being polled.
    pub(super) fn polled(&mut self) {
        self.poll_again_at = None;
    }

    /// Asks for another poll at once: what it waits for is done by then.
    pub(super) fn poll_again_at_once(&mut self, now: Instant) {
        self.poll_again_at = Some(now.plus_us(1));
    }

    /// Opens a new cycle in the slot.
    pub(super) fn open_cycle(&mut self) {
        self.peer_start = self.peer_start_ahead.take();
    }

    /// Notes when the peer's sample of the cycle in progress, or of the next one, arrived.
    pub(super) fn peer_started(&mut self, arrival: Instant, ahead: bool, config: &Settings) {
        let start = arrival.shifted_us(-config.link_delay_us().cast_signed());
        *(if ahead { &mut self.peer_start_ahead } else { &mut self.peer_start }) = Some(start);
    }

    /// Returns how long after the start of the cycle in progress the peer's sample of it arrived, negative if before.
    pub(super) fn peer_sample_late_us(&self, config: &Settings) -> Option<i32> {
        let start = self.peer_start?;
        Some(start.since_us(self.slot_start).saturating_add(config.link_delay_us().cast_signed()))
    }

    /// Sets the next start halfway between this channel's and the peer's.
    pub(super) fn steer(&mut self, config: &Settings) {
        let Some(peer_start) = self.peer_start else { return };
        let largest = config.period_us().cast_signed() / LARGEST_CORRECTION;
        // Not `clamp`, which would bring in a panic for bounds out of order.
        let correction = (peer_start.since_us(self.slot_start) / 2).min(largest).max(-largest);
        self.next_start = self.slot_start.plus_us(config.period_us()).shifted_us(correction);
    }

    /// Sets the next start: at cut-over, and at once to catch up after a held cycle.
    pub(super) fn start_at(&mut self, start: Instant) {
        self.next_start = start;
        (self.peer_start, self.peer_start_ahead) = (None, None);
    }

    /// Notes that the peer is there.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// Whether the peer has been silent for as long as a solo boot waits.
    pub(super) fn alone_since_is_past(&self, now: Instant, config: &Settings) -> bool {
        let since = self.heard_at.zip(config.solo_boot_after_us());
        since.is_some_and(|(heard, wait_us)| now >= heard.plus_us(wait_us))
    }

    /// Whether the slot has run to its end.
    pub(super) fn slot_is_over(&self, now: Instant) -> bool {
        now >= self.next_start
    }

    /// Takes back times that are further ahead than any can be.
    pub(super) fn bound(&mut self, now: Instant, config: &Settings) {
        if self.next_start > now.plus_us(config.period_us().saturating_mul(FURTHEST_START_PERIODS)) {
            self.next_start = now.plus_us(config.period_us());
        }
        if self.deadline > now.plus_us(config.period_us()) {
            self.deadline = now.plus_us(config.vote_window_us());
        }
    }

    /// Whether no time is further ahead than any can be.
    #[cfg(feature = "sim")]
    pub(super) fn is_bounded(&self, now: Instant, config: &Settings) -> bool {
        let furthest_start = now.plus_us(config.period_us().saturating_mul(FURTHEST_START_PERIODS));
        self.next_start <= furthest_start && self.deadline <= now.plus_us(config.period_us())
    }

    /// Flips a bit of one of the times, for fault injection.
    #[cfg(feature = "sim")]
    pub(super) fn flip_bit(&mut self, bit: usize) {
        let (which, bit) = (bit / 40 % 3, bit % 40); // 40 bits: two weeks
        let flipped = |at: Instant| Instant::from_micros(at.as_micros() ^ 1 << bit);
        match which {
            0 => self.next_start = flipped(self.next_start),
            1 => self.deadline = flipped(self.deadline),
            _ => self.slot_start = flipped(self.slot_start),
        }
    }

    /// Asks for another poll soon, for an answer that does not come as a frame.
    pub(super) fn poll_again_soon(&mut self, now: Instant, config: &Settings) {
        self.poll_again_at = Some(now.plus_us(config.retransmit_us() / 8 + 1));
    }
}
