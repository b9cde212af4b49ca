//! Where a board is plugged in: its lines, its clock, and what has arrived for its next turn.

use tether::{FIELD_BYTES, LINK_BYTES};
use twinstep::sim::{LineModel, Wire};

/// The place of one board.
pub(super) struct Seat {
    pub(super) is_alive: bool,
    /// Counts the boards that were plugged in here.
    pub(super) life: u32,
    /// Counts turns: what was due for an earlier one is not due any more.
    pub(super) generation: u64,
    pub(super) busy_until_ns: u64,
    pub(super) wakes_on_bytes: bool,
    /// The ticks of its turn after which the program stopped.
    pub(super) stopped_after: u32,
    pub(super) link_out: Wire,
    pub(super) bus_out: Wire,
    pub(super) bus_in: Wire,
    /// When the clock was set last, and what it showed then.
    set_ns: u64,
    showed_ns: i128,
    drift_ppm: i32,
    link: Vec<u8>,
    field: Vec<u8>,
}

const MILLION: i128 = 1_000_000;
const NS_A_US: i128 = 1_000;

impl Seat {
    pub(super) fn new(link: LineModel, bus: LineModel, drift_ppm: i32) -> Self {
        Self {
            is_alive: false,
            life: 0,
            generation: 0,
            busy_until_ns: 0,
            wakes_on_bytes: false,
            stopped_after: 0,
            link_out: Wire::new(link),
            bus_out: Wire::new(bus),
            bus_in: Wire::new(bus),
            set_ns: 0,
            showed_ns: 0,
            drift_ppm,
            link: Vec::new(),
            field: Vec::new(),
        }
    }

    pub(super) fn boot(&mut self, now_ns: u64) {
        self.kill();
        self.is_alive = true;
        self.life += 1;
        self.generation += 1;
        (self.set_ns, self.showed_ns, self.busy_until_ns) = (now_ns, BOOT_SHOWS_NS, now_ns);
    }

    pub(super) fn kill(&mut self) {
        self.is_alive = false;
        self.wakes_on_bytes = false;
        self.link.clear();
        self.field.clear();
        for wire in [&mut self.link_out, &mut self.bus_out, &mut self.bus_in] {
            wire.reset();
        }
    }

    /// The board's processor has stopped: nothing that is due for it is its turn any more.
    pub(super) fn stop(&mut self) {
        self.generation += 1;
        self.wakes_on_bytes = false;
    }

    /// A byte has arrived on the link; returns whether it ends a message. One that finds the driver's buffer full is lost.
    pub(super) fn hears_link(&mut self, byte: u8) -> bool {
        if self.is_alive && self.link.len() < LINK_BYTES {
            self.link.push(byte);
        }
        byte == 0
    }

    pub(super) fn hears_bus(&mut self, bytes: &[u8]) {
        let room = FIELD_BYTES.saturating_sub(self.field.len());
        self.field.extend(bytes.iter().take(room));
    }

    /// A turn begins: takes what has arrived on link and field bus.
    pub(super) fn begin_turn(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.generation += 1;
        self.wakes_on_bytes = false;
        (std::mem::take(&mut self.link), std::mem::take(&mut self.field))
    }

    /// A turn ends.
    pub(super) fn rest(&mut self, ends_ns: u64, wakes_on_bytes: bool) {
        self.busy_until_ns = ends_ns;
        self.wakes_on_bytes = wakes_on_bytes;
    }

    /// Lets the clock run at another rate from now on, and jump; it does not show less than zero.
    pub(super) fn set_clock(&mut self, now_ns: u64, drift_ppm: i32, jump_us: i64) {
        let shown_ns = self.shown_ns(now_ns) + i128::from(jump_us) * NS_A_US;
        (self.set_ns, self.showed_ns, self.drift_ppm) = (now_ns, shown_ns.max(0), drift_ppm);
    }

    fn shown_ns(&self, now_ns: u64) -> i128 {
        let since = i128::from(now_ns.saturating_sub(self.set_ns));
        self.showed_ns + since * (MILLION + i128::from(self.drift_ppm)) / MILLION
    }

    /// Returns what the board's clock shows.
    pub(super) fn clock_us(&self, now_ns: u64) -> u64 {
        u64::try_from(self.shown_ns(now_ns) / NS_A_US).unwrap_or(0)
    }

    /// Returns the first time at which the board's clock shows so much.
    pub(super) fn true_ns(&self, clock_us: u64) -> u64 {
        let rate = MILLION + i128::from(self.drift_ppm);
        let ahead_ns = i128::from(clock_us) * NS_A_US - self.showed_ns;
        let since = (ahead_ns * MILLION + rate - 1).div_euclid(rate);
        self.set_ns.saturating_add(u64::try_from(since.max(0)).unwrap_or(u64::MAX))
    }
}

/// What a clock shows when its board boots.
const BOOT_SHOWS_NS: i128 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_board_has_come_when_its_clock_shows_it_and_not_before() {
        for drift_ppm in [-200, 0, 50, 10_000] {
            let mut seat = Seat::new(LineModel::INSTANT, LineModel::INSTANT, drift_ppm);
            seat.boot(1_234_567);
            for us in [0, 1, 99_999, 100_000, 86_400_000_000] {
                let at = seat.true_ns(us);
                assert_eq!(seat.clock_us(at), us, "{drift_ppm}");
                assert!(us == 0 || seat.clock_us(at - 1) < us, "{drift_ppm} {us}");
            }
            assert_eq!(seat.true_ns(u64::MAX), u64::MAX, "for ever");
        }
    }

    #[test]
    fn a_board_that_was_killed_hears_nothing() {
        let mut seat = Seat::new(LineModel::INSTANT, LineModel::INSTANT, 0);
        seat.boot(0);
        assert!(!seat.hears_link(1) && seat.hears_link(0));
        seat.kill();
        seat.hears_link(2);
        seat.boot(0);
        assert_eq!(seat.begin_turn(), (vec![], vec![]));
    }
}
