//! What a run saw, cycle by cycle: the one input of every renderer.
//!
//! Plain data: channels are indices here (0 = A, 1 = B), so that a record can be drawn or stored without the library
//! that produced it.

use serde::Serialize;

/// What one channel was doing in one control cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No power, or no sign of life.
    Off,
    /// Booting.
    Starting,
    /// Alive, its memory being filled by the channel that serves.
    Joining,
    /// Serving in lockstep with the other channel.
    Duplex,
    /// Serving alone.
    Simplex,
    /// Serving alone, and copying its memory to the other channel.
    Donor,
    /// Serving beside the other channel, which runs another version.
    Trial,
    /// Alive and not serving.
    Standby,
    /// Outputs held in the safe state.
    Safe,
}

impl Mode {
    /// Every mode, in the order in which legends list them: from healthy to worst.
    pub(crate) const ALL: [Mode; 9] = [
        Mode::Duplex,
        Mode::Trial,
        Mode::Standby,
        Mode::Donor,
        Mode::Simplex,
        Mode::Joining,
        Mode::Starting,
        Mode::Off,
        Mode::Safe,
    ];

    /// One character for a terminal lane: two strokes for two channels, one stroke for one; `+` gives its memory,
    /// `>` takes it, `~` for two channels that are not alike.
    pub(crate) fn glyph(self) -> char {
        match self {
            Mode::Off => '.',
            Mode::Starting => '/',
            Mode::Joining => '>',
            Mode::Duplex => '=',
            Mode::Simplex => '-',
            Mode::Donor => '+',
            Mode::Trial => '~',
            Mode::Standby => 's',
            Mode::Safe => '!',
        }
    }

    /// Red, green and blue, from the Okabe-Ito palette, which stays apart under every common colour blindness.
    pub(crate) fn colour(self) -> (u8, u8, u8) {
        match self {
            Mode::Off => (187, 187, 187),
            Mode::Starting => (86, 180, 233),
            Mode::Joining => (204, 121, 167),
            Mode::Duplex => (0, 158, 115),
            Mode::Simplex => (230, 159, 0),
            Mode::Donor => (240, 228, 66),
            Mode::Trial => (0, 0, 0),
            Mode::Standby => (0, 114, 178),
            Mode::Safe => (213, 94, 0),
        }
    }

    /// The word for it in legends.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Starting => "starting",
            Mode::Joining => "joining",
            Mode::Duplex => "duplex",
            Mode::Simplex => "simplex",
            Mode::Donor => "donor",
            Mode::Trial => "trial",
            Mode::Standby => "standby",
            Mode::Safe => "safe",
        }
    }

    /// Which mode wins where only one can be shown: the higher number.
    pub(crate) fn severity(self) -> u8 {
        match self {
            Mode::Duplex => 0,
            Mode::Trial => 1,
            Mode::Standby => 2,
            Mode::Donor => 3,
            Mode::Simplex => 4,
            Mode::Joining => 5,
            Mode::Starting => 6,
            Mode::Off => 7,
            Mode::Safe => 8,
        }
    }
}

/// How far the copy of one channel's memory to the other has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The blocks that the joining channel holds.
    pub(crate) done_blocks: u32,
    /// The blocks that it needs.
    pub(crate) total_blocks: u32,
}

impl Copied {
    /// The share that is done, 0 to 1. Where there is nothing to copy, all of it is done.
    pub(crate) fn share(self) -> f64 {
        if self.total_blocks == 0 {
            return 1.0;
        }
        (f64::from(self.done_blocks) / f64::from(self.total_blocks)).min(1.0)
    }
}

/// One control cycle.
#[derive(Clone, Debug)]
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
    /// How far the copy to the other channel has come, as the channel that copies reports it; none without a copy.
    pub(crate) copied: Option<Copied>,
    /// How many repairs of memory the channels reported in this cycle.
    pub(crate) repaired: u32,
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

/// What a record was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A run: its seed replays it.
    Run {
        /// The seed.
        seed: u64,
    },
    /// The channels' journals: they tell nothing of the plant, and what stands for the injections are events.
    Journal,
}

/// One whole run.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The name of the scenario, or of the file.
    pub(crate) name: String,
    /// What it was made of.
    pub(crate) source: Source,
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

    /// What it is called.
    pub(crate) fn title(&self) -> String {
        match self.source {
            Source::Run { seed } => format!("{}, seed {seed}", self.name),
            Source::Journal => self.name.clone(),
        }
    }

    /// Whether it knows the plant.
    pub(crate) fn has_plant(&self) -> bool {
        self.source != Source::Journal
    }

    /// Whether memory was copied from one channel to the other.
    pub(crate) fn has_copies(&self) -> bool {
        self.rows.iter().any(|row| row.copied.is_some())
    }

    /// Whether memory was repaired.
    pub(crate) fn has_repairs(&self) -> bool {
        self.rows.iter().any(|row| row.repaired > 0)
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

/// Made-up runs for the tests of the renderers.
#[cfg(test)]
pub(crate) mod made_up {
    use super::{Copied, CycleRow, Injection, Mode, Record, Source};

    /// The cycles of one round.
    const ROUND: u32 = 40;
    const BLOCKS: u32 = 48;

    /// Ten rounds in 400 cycles, the channels by turns: killed, started, its memory copied, duplex. The copy of the
    /// fourth round ends half way; in every third round memory is repaired.
    pub(crate) fn ten_rounds() -> Record {
        let mut injections = Vec::new();
        for round in 0..10 {
            let (begin, victim) = (round * ROUND, victim(round));
            let what = format!("killed at byte {}", 3 + round * 6);
            injections.push(Injection { cycle: begin + 6, channel: Some(victim), what });
            injections.push(Injection { cycle: begin + 12, channel: Some(victim), what: String::from("restarted") });
        }
        let rows = (0..10 * ROUND).map(row).collect();
        Record { name: String::from("rounds"), source: Source::Run { seed: 7 }, rows, injections }
    }

    /// As `ten_rounds`, with a third injection in each round.
    pub(crate) fn ten_rounds_with_flips() -> Record {
        let mut record = ten_rounds();
        for round in 0..10 {
            let what = String::from("bit flipped in memory");
            let flip = Injection { cycle: round * ROUND + 36, channel: Some(victim(round + 1)), what };
            record.injections.push(flip);
        }
        record.injections.sort_by_key(|injection| injection.cycle);
        record
    }

    fn victim(round: u32) -> usize {
        round as usize % 2
    }

    fn row(cycle: u32) -> CycleRow {
        let (round, step) = (cycle / ROUND, cycle % ROUND);
        let victim = victim(round);
        let fails = round == 3;
        let (victims, others, copied) = match step {
            6..12 => (Mode::Off, Mode::Simplex, None),
            12..16 => (Mode::Starting, Mode::Simplex, None),
            16..28 if !fails || step < 22 => {
                (Mode::Joining, Mode::Donor, Some(Copied { done_blocks: (step - 15) * 4, total_blocks: BLOCKS }))
            }
            16..30 if fails => (Mode::Standby, Mode::Simplex, None),
            _ => (Mode::Duplex, Mode::Duplex, None),
        };
        let modes = if victim == 0 { [victims, others] } else { [others, victims] };
        let driver = if modes == [Mode::Duplex; 2] { round as usize % 2 } else { 1 - victim };
        let wave = (cycle as f32 / 30.0).sin();
        CycleRow {
            cycle,
            modes,
            driver: Some(driver),
            duty: 0.5 + 0.4 * wave,
            valve_open: step == 33,
            alarms: u8::from(step == 6),
            copied,
            repaired: u32::from(round % 3 == 0 && step == 37) * (1 + round / 3),
            tank_c: 50.0 + 5.0 * wave,
            ambient_c: 12.0 + cycle as f32 / 200.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Copied, Mode, Span, bounds, round_step};

    #[test]
    fn a_copy_is_never_more_than_done() {
        let share = |done_blocks, total_blocks| Copied { done_blocks, total_blocks }.share();
        assert_eq!(share(0, 48), 0.0);
        assert_eq!(share(12, 48), 0.25);
        assert_eq!(share(50, 48), 1.0, "blocks written meanwhile are copied again");
        assert_eq!(share(0, 0), 1.0);
    }

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
