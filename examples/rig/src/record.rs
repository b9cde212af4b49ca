//! What a run saw, cycle by cycle: the one input of every renderer.
//!
//! Plain data: channels are indices here (0 = A, 1 = B), so that a record can be drawn or stored without the library
//! that produced it.

use serde::Serialize;

/// What one channel was doing in one control cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Mode {
    /// No power, or no sign of life.
    Off,
    /// Booting, or copying state from the channel that serves.
    Starting,
    /// Serving in lockstep with the other channel.
    Duplex,
    /// Serving alone.
    Simplex,
    /// Alive and not serving.
    Standby,
    /// Outputs held in the safe state.
    Safe,
}

impl Mode {
    /// Every mode, in the order in which legends list them: from healthy to worst.
    pub(crate) const ALL: [Mode; 6] =
        [Mode::Duplex, Mode::Standby, Mode::Simplex, Mode::Starting, Mode::Off, Mode::Safe];

    /// One character for a terminal lane: two strokes for two channels, one stroke for one.
    pub(crate) fn glyph(self) -> char {
        match self {
            Mode::Off => '.',
            Mode::Starting => '/',
            Mode::Duplex => '=',
            Mode::Simplex => '-',
            Mode::Standby => 's',
            Mode::Safe => '!',
        }
    }

    /// Red, green and blue, from the Okabe-Ito palette, which stays apart under every common colour blindness.
    pub(crate) fn colour(self) -> (u8, u8, u8) {
        match self {
            Mode::Off => (187, 187, 187),
            Mode::Starting => (86, 180, 233),
            Mode::Duplex => (0, 158, 115),
            Mode::Simplex => (230, 159, 0),
            Mode::Standby => (0, 114, 178),
            Mode::Safe => (213, 94, 0),
        }
    }

    /// The word for it in legends.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Starting => "starting",
            Mode::Duplex => "duplex",
            Mode::Simplex => "simplex",
            Mode::Standby => "standby",
            Mode::Safe => "safe",
        }
    }

    /// Which mode wins where only one can be shown: the higher number.
    pub(crate) fn severity(self) -> u8 {
        match self {
            Mode::Duplex => 0,
            Mode::Standby => 1,
            Mode::Simplex => 2,
            Mode::Starting => 3,
            Mode::Off => 4,
            Mode::Safe => 5,
        }
    }
}

/// One control cycle.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CycleRow {
    /// The number of the control cycle.
    pub(crate) cycle: u32,
    /// The mode of A and of B.
    pub(crate) modes: [Mode; 2],
    /// The channel that drove the outputs.
    pub(crate) driver: Option<usize>,
    /// Share of the cycle with the heater on, 0 to 1.
    pub(crate) duty: f32,
    /// Whether the valve stood open.
    pub(crate) valve_open: bool,
    /// The alarms that were raised; 0 is none.
    pub(crate) alarms: u8,
    /// Temperature of the tank, degrees Celsius.
    pub(crate) tank_c: f32,
    /// Temperature around the tank, degrees Celsius.
    pub(crate) ambient_c: f32,
}

/// Something done to the pair on purpose.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Injection {
    /// The control cycle in which it was done.
    pub(crate) cycle: u32,
    /// The channel it was done to; none for the link or the plant.
    pub(crate) channel: Option<usize>,
    /// What was done, in a few words.
    pub(crate) what: String,
}

impl Injection {
    /// What was done, and to whom.
    pub(crate) fn label(&self) -> String {
        match self.channel {
            Some(channel) => format!("{}: {}", channel_name(channel), self.what),
            None => self.what.clone(),
        }
    }
}

/// One whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// The name of the scenario.
    pub(crate) scenario: String,
    /// The seed that replays it.
    pub(crate) seed: u64,
    /// The control cycles, oldest first.
    pub(crate) rows: Vec<CycleRow>,
    /// What was done on purpose, oldest first.
    pub(crate) injections: Vec<Injection>,
}

impl Record {
    /// The cycles that the rows cover; none without rows.
    pub(crate) fn span(&self) -> Option<Span> {
        let cycles = || self.rows.iter().map(|row| row.cycle);
        Some(Span { first: cycles().min()?, last: cycles().max()? })
    }
}

/// The letter of a channel.
pub(crate) fn channel_name(channel: usize) -> &'static str {
    match channel {
        0 => "A",
        1 => "B",
        _ => "?",
    }
}

/// The lowest and the highest of some readings; none if no reading is a finite number.
pub(crate) fn bounds(readings: impl Iterator<Item = f32>) -> Option<(f32, f32)> {
    readings.filter(|reading| reading.is_finite()).fold(None, |found, reading| match found {
        Some((low, high)) => Some((reading.min(low), reading.max(high))),
        None => Some((reading, reading)),
    })
}

/// The cycle axis, which all lanes and panels share: `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    first: u32,
    last: u32,
}

impl Span {
    /// The first cycle.
    pub(crate) fn first(self) -> u32 {
        self.first
    }

    /// The last cycle.
    pub(crate) fn last(self) -> u32 {
        self.last
    }

    /// How many cycles it covers, at least one.
    pub(crate) fn cycles(self) -> u64 {
        u64::from(self.last) - u64::from(self.first) + 1
    }

    /// Which of `columns` equal columns a cycle falls in. A cycle outside the span falls on the nearer edge: an
    /// injection before the first or after the last recorded cycle is still shown.
    pub(crate) fn column(self, cycle: u32, columns: usize) -> usize {
        let offset = u64::from(cycle.clamp(self.first, self.last) - self.first);
        (offset.saturating_mul(columns as u64) / self.cycles()) as usize
    }

    /// How far along the span a cycle begins, 0 to 1. The end of a cycle is the beginning of the next one, hence the
    /// wider type.
    pub(crate) fn share(self, cycle: u64) -> f64 {
        let offset = cycle.saturating_sub(u64::from(self.first));
        (offset as f64 / self.cycles() as f64).min(1.0)
    }

    /// Cycles to label: the multiples of a round number, at most `most` of them.
    pub(crate) fn ticks(self, most: usize) -> Vec<u32> {
        let step = round_step(self.cycles(), most);
        let first = u64::from(self.first).div_ceil(step) * step;
        (first..=u64::from(self.last))
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .filter_map(|cycle| u32::try_from(cycle).ok())
            .collect()
    }
}

/// The smallest of 1, 2, 5, 10, 20, 50, … that cuts `cycles` into at most `most` pieces.
fn round_step(cycles: u64, most: usize) -> u64 {
    let most = (most as u64).max(1);
    let mut decade: u64 = 1;
    // Ends: once the step reaches `cycles`, one piece is left, and `most` is at least one.
    loop {
        for factor in [1, 2, 5] {
            let step = decade * factor;
            if cycles.div_ceil(step) <= most {
                return step;
            }
        }
        decade *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, Span, bounds, round_step};

    #[test]
    fn the_legend_order_is_the_severity_order() {
        assert!(Mode::ALL.is_sorted_by_key(|mode| mode.severity()));
    }

    #[test]
    fn glyphs_and_colours_tell_the_modes_apart() {
        for (index, mode) in Mode::ALL.iter().enumerate() {
            for other in Mode::ALL.iter().skip(index + 1) {
                assert_ne!(mode.glyph(), other.glyph());
                assert_ne!(mode.colour(), other.colour());
            }
        }
    }

    #[test]
    fn a_cycle_falls_in_its_column() {
        let span = Span { first: 100, last: 199 };
        assert_eq!(span.column(100, 50), 0);
        assert_eq!(span.column(142, 50), 21);
        assert_eq!(span.column(143, 50), 21);
        assert_eq!(span.column(199, 50), 49);
        assert_eq!(span.column(7, 50), 0, "before the span: the left edge");
        assert_eq!(span.column(u32::MAX, 50), 49, "after the span: the right edge");
    }

    #[test]
    fn the_longest_span_overflows_nothing() {
        let span = Span { first: 0, last: u32::MAX };
        assert_eq!(span.column(u32::MAX, 80), 79);
        assert_eq!(span.ticks(4), [0, 2_000_000_000, 4_000_000_000], "4.3e9 cycles in at most four pieces");
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(round_step(20, 8), 5);
        assert_eq!(round_step(1, 0), 1);
        let span = Span { first: 13, last: 47 };
        assert_eq!(span.ticks(4), [20, 30, 40]);
    }

    #[test]
    fn bounds_ignore_what_is_no_number() {
        assert_eq!(bounds([f32::NAN, 2.0, f32::INFINITY, 1.0].into_iter()), Some((1.0, 2.0)));
        assert_eq!(bounds([f32::NAN].into_iter()), None);
    }
}
