//! When cycles start and end. Each start follows from the scheduled start before it, and from the skew that both channels measure:
//! so free-running clocks stay together, and neither a slow link nor a late `begin` costs any rate.
//!
//! Each channel takes down how long after its own start the other one's sample arrived, and tells the other one in its vote. Half
//! the sum of both is the delay, half their difference the skew. Both channels reckon with the same two numbers, so that
//! what one of them corrects is the opposite of what the other one does, whatever the numbers are.

use super::settings::Settings;
use crate::ids::Instant;
use crate::timing::Timing;
use crate::wire;

/// No start and no deadline is further ahead than this many periods: a joiner's first start is two.
const FURTHEST_PERIODS: u32 = 3;
/// The steering moves a start by at most this fraction of a period.
const LARGEST_CORRECTION: i32 = 8;
/// An estimate rises by this part of what it lacks.
const SLOWLY: i32 = 16;
/// The cycle in which the clock jumps, and the next one.
const ADRIFT_CYCLES: u8 = 2;
/// Means are of about this many cycles.
const MEAN_CYCLES: u32 = 8;

#[derive(Clone, Default)]
#[cfg_attr(feature = "sim", derive(Hash))]
pub(super) struct Schedule {
    /// A `begin` waits for its verdict.
    slot_open: bool,
    /// This channel was not polled at a deadline of the slot, and has given the other one another vote window.
    has_stalled: bool,
    /// The clock has jumped, or this channel has slept: for so many cycles the peer's starts are righter than its own.
    adrift: u8,
    /// When the slot was to start.
    slot_start: Instant,
    /// When it did.
    begun_at: Instant,
    /// When the sample of the cycle was fixed.
    sampled_at: Instant,
    deadline: Instant,
    next_start: Instant,
    /// When the last slot got its verdict.
    concluded_at: Instant,
    /// When the peer's sample of the cycle in progress arrived, by this channel's clock.
    arrived_at: Option<Instant>,
    /// When its sample of the next cycle did, if it is ahead.
    arrived_ahead_at: Option<Instant>,
    /// How long after the peer's start this channel's sample arrived there, as it says.
    reported_us: Option<i32>,
    /// How long after this channel's start the peer's arrived here, as it was told.
    told_us: Option<i32>,
    /// How long after the start this channel's sample went out first.
    departed_us: Option<i32>,
    measured: Measured,
    /// When the peer was last heard, or the first slot opened.
    heard_at: Option<Instant>,
    /// When to ask the arbiter again.
    poll_again_at: Option<Instant>,
}

/// What is only told, but for the delay.
#[derive(Clone, Default)]
struct Measured {
    delay_us: Option<u32>,
    skew_us: i32,
    /// In quarters of a microsecond, so that a mean is rounded by little: ten minutes still fit.
    period: u32,
}

const FRACTION: u32 = 4;

/// The model explores no delays.
#[cfg(feature = "sim")]
impl core::hash::Hash for Measured {
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        self.delay_us.hash(hasher);
    }
}

impl Schedule {
    /// Opens the slot of one `begin`. One that comes late leaves the schedule as it is: what a sensor or a timer takes is the same in
    /// each cycle. After three quarters of the period there would be no time left in this one: the schedule begins anew. One that comes early,
    /// since the clock has jumped meanwhile, leaves the schedule as it is, too: the peer does not begin before.
    pub(super) fn open_slot(&mut self, now: Instant, config: &Settings) {
        self.heard_at.get_or_insert(now);
        let period_us = config.period_us();
        let is_late = now > self.next_start.plus_us(period_us.saturating_sub(period_us / 4));
        let is_far = self.next_start > now.plus_us(period_us);
        self.measure_period(now, config);
        self.measured.delay_us = self.measured.delay_us.filter(|delay_us| *delay_us <= period_us); // or a bit has flipped
        self.slot_open = true;
        self.has_stalled = false;
        self.slot_start = if is_late || is_far { now } else { self.next_start };
        self.begun_at = now;
        self.next_start = self.slot_start.plus_us(period_us);
        self.deadline = now.max(self.slot_start).plus_us(config.vote_window_us()).min(self.next_start);
    }

    /// Two that begin their first cycle do not know yet when the other one starts. The schedule begins now, and each gives the other one a
    /// whole period.
    pub(super) fn wait_for_first_cycle(&mut self, now: Instant, config: &Settings) {
        (self.slot_start, self.next_start) = (now, now.plus_us(config.period_us()));
        self.deadline = self.next_start;
    }

    fn measure_period(&mut self, now: Instant, config: &Settings) {
        let took_us = now.since_us(self.begun_at);
        let period = &mut self.measured.period;
        if *period == 0 {
            *period = config.period_us().saturating_mul(FRACTION);
        } else if (0..config.period_us().cast_signed().saturating_mul(2)).contains(&took_us) {
            *period =
                (*period - *period / MEAN_CYCLES).saturating_add(took_us.unsigned_abs() / (MEAN_CYCLES / FRACTION));
        }
    }

    /// Returns what was measured.
    pub(super) fn timing(&self) -> Timing {
        let Measured { delay_us, skew_us, period } = self.measured;
        Timing { delay_us, skew_us, period_us: period / FRACTION }
    }

    /// The sample of the cycle is of this slot.
    pub(super) fn sampled(&mut self) {
        self.sampled_at = self.begun_at;
    }

    /// Returns when the sample of the cycle was fixed.
    pub(super) fn sampled_at(&self) -> Instant {
        self.sampled_at
    }

    /// The `begin` has its verdict.
    pub(super) fn close_slot(&mut self) {
        self.slot_open = false;
    }

    /// The slot has got its verdict.
    pub(super) fn concludes(&mut self, now: Instant) {
        self.concluded_at = now;
    }

    /// Whether it is still the first half of what the verdict has left of the period.
    pub(super) fn is_early(&self, now: Instant) -> bool {
        let (gone_us, left_us) = (now.since_us(self.concluded_at), self.next_start.since_us(now));
        (0..left_us).contains(&gone_us)
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

    /// Whether this channel is to blame for a deadline that has passed: it comes to look so late that it cannot tell what the other one
    /// did in time. It gives that one another vote window, once in a slot.
    pub(super) fn doubts_itself(&mut self, now: Instant, config: &Settings) -> bool {
        let rest_us = config.period_us().saturating_sub(config.vote_window_us());
        let is_late = now > self.deadline.plus_us(rest_us / 2);
        if self.has_stalled {
            return false;
        }
        if !is_late {
            // A cycle that began late leaves the other one less time than it has a right to: it is given the rest.
            let window_ends = self.begun_at.plus_us(config.vote_window_us());
            let is_short = window_ends > self.deadline;
            if is_short {
                self.deadline = window_ends;
                self.next_start = self.next_start.max(window_ends);
            }
            return is_short;
        }
        self.has_stalled = true;
        self.deadline = now.plus_us(config.vote_window_us());
        self.start_at(now.plus_us(config.period_us()));
        true
    }

    /// Whether this channel has doubted itself in the slot.
    pub(super) fn has_stalled(&self) -> bool {
        self.has_stalled
    }

    /// Returns what a frame takes from one channel to the other: as measured, or as configured until then.
    pub(super) fn delay_us(&self, config: &Settings) -> u32 {
        self.measured.delay_us.unwrap_or(config.link_delay_us())
    }

    /// Returns after what time an unacknowledged frame goes out again: not before the answer can be there.
    pub(super) fn resend_us(&self, config: &Settings) -> u32 {
        let there_and_back_us = self.measured.delay_us.unwrap_or_default().saturating_mul(2);
        let latest_us = there_and_back_us.saturating_add(there_and_back_us / 8).min(config.period_us());
        config.retransmit_us().max(latest_us)
    }

    /// Whether a frame sent now is through before the next `begin` is due.
    pub(super) fn has_time(&self, now: Instant, config: &Settings) -> bool {
        now.plus_us(self.delay_us(config)) < self.next_start
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
        self.arrived_at = self.arrived_ahead_at.take();
        (self.reported_us, self.told_us, self.departed_us) = (None, None, None);
    }

    /// Notes that the peer's sample of the cycle in progress, or of the next one, has arrived.
    /// If the clock has jumped, or this channel has slept, the peer's sample tells that the next cycle has begun.
    pub(super) fn sample_arrived(&mut self, now: Instant, ahead: bool) {
        *(if ahead { &mut self.arrived_ahead_at } else { &mut self.arrived_at }) = Some(now);
        if ahead && self.adrift > 0 && !self.slot_open {
            self.next_start = self.next_start.min(now);
        }
    }

    /// Notes that this channel's sample goes out.
    pub(super) fn sample_departs(&mut self, now: Instant) {
        self.departed_us.get_or_insert(now.since_us(self.slot_start));
    }

    /// Notes what the peer says of this channel's sample.
    pub(super) fn peer_reports(&mut self, arrival: i16, config: &Settings) {
        self.reported_us = wire::arrival_us(arrival, config.period_us());
    }

    /// Returns how long after the start of the cycle in progress the peer's sample of it arrived, negative if before, as it is sent.
    pub(super) fn arrival(&mut self, config: &Settings) -> i16 {
        let late_us = self.arrived_at.filter(|_| !self.has_stalled).map(|at| at.since_us(self.slot_start));
        let arrival = late_us.map_or(wire::ARRIVAL_UNKNOWN, |late_us| wire::arrival(late_us, config.period_us()));
        self.told_us = wire::arrival_us(arrival, config.period_us());
        arrival
    }

    /// Sets the next start halfway between this channel's and the peer's, or to the peer's where that is righter.
    pub(super) fn steer(&mut self, now: Instant, config: &Settings) {
        if self.adrift > 0 {
            self.adrift -= 1;
            if self.arrived_at.is_some() {
                self.follow(now, config);
            }
            return;
        }
        // As it is sent, so that both reckon with the same. The peer's vote may have come before this channel's has gone out.
        if self.told_us.is_none() {
            self.arrival(config);
        }
        let Some((mine_us, theirs_us)) = self.told_us.zip(self.reported_us) else { return };
        let twice_the_skew_us = mine_us.saturating_sub(theirs_us);
        let largest = config.period_us().cast_signed() / LARGEST_CORRECTION;
        // Not `clamp`, which would bring in a panic for bounds out of order.
        let correction = (twice_the_skew_us / 4).min(largest).max(-largest);
        self.next_start = self.slot_start.plus_us(config.period_us()).shifted_us(correction);
        self.measured.skew_us = twice_the_skew_us / 2;
        let delay_us = mine_us.saturating_add(theirs_us) / 2;
        self.measure_delay(delay_us.saturating_sub(self.departed_us.unwrap_or_default()).max(0));
    }

    fn measure_delay(&mut self, delay_us: i32) {
        let before = self.measured.delay_us.map_or(delay_us, u32::cast_signed);
        let more_us = delay_us.saturating_sub(before);
        // A frame that was lost and sent again tells more than the delay: what is less counts for more. The last microseconds count as well,
        // or the estimate would stay below what it is one of.
        let step = if more_us < 0 { more_us / 2 } else { more_us / SLOWLY };
        let step = if step == 0 { more_us } else { step };
        self.measured.delay_us = Some(before.saturating_add(step).max(0).cast_unsigned());
    }

    /// Sets the next start after a held cycle: with the peer, a period after it began this one; at once if it may be in the next one.
    pub(super) fn follow(&mut self, now: Instant, config: &Settings) {
        let peer_start = self.arrived_at.filter(|_| self.arrived_ahead_at.is_none());
        let delay_us = self.delay_us(config).cast_signed();
        let next = peer_start.map_or(now, |at| at.plus_us(config.period_us()).shifted_us(-delay_us));
        self.start_at(next.max(now).min(now.plus_us(config.period_us())));
    }

    /// The clock has jumped: cycles start and end by so much later. A sample is as old as it is. If this channel has slept
    /// instead, its starts are wrong by as much, and it follows its peer.
    pub(super) fn shift(&mut self, us: u32) {
        for at in [&mut self.slot_start, &mut self.deadline, &mut self.next_start, &mut self.concluded_at] {
            *at = at.plus_us(us);
        }
        for arrived in [&mut self.arrived_at, &mut self.arrived_ahead_at, &mut self.heard_at] {
            *arrived = arrived.map(|at| at.plus_us(us));
        }
        if us > 0 {
            self.adrift = ADRIFT_CYCLES;
        }
    }

    /// Sets the next start, at cut-over.
    pub(super) fn start_at(&mut self, start: Instant) {
        self.next_start = start;
        (self.arrived_at, self.arrived_ahead_at) = (None, None);
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
        if !self.is_bounded(now, config) {
            self.take_back(now, config);
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back(&mut self, now: Instant, config: &Settings) {
        let furthest = now.plus_us(config.period_us().saturating_mul(FURTHEST_PERIODS));
        if self.next_start > furthest {
            self.next_start = now.plus_us(config.period_us());
        }
        if self.deadline > furthest {
            self.deadline = now.plus_us(config.vote_window_us());
        }
    }

    /// Whether no time is further ahead than any can be.
    pub(super) fn is_bounded(&self, now: Instant, config: &Settings) -> bool {
        self.next_start.max(self.deadline) <= now.plus_us(config.period_us().saturating_mul(FURTHEST_PERIODS))
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
