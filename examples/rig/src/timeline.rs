//! Draws a run as text: one lane for each thing worth watching, one column for a bucket of consecutive cycles.
//!
//! A run has far more cycles than a terminal has columns, and what matters may last a single one. So a lane never shows
//! the average or the usual state of a bucket, but the worst one in it.

use crate::record::{CycleRow, Injection, Mode, Record, Span, bounds, channel_name};

/// Narrower plots say nothing: below this the drawing is wider than asked for.
const NARROWEST_PLOT: usize = 10;
/// A campaign injects thousands of faults; the list stays readable.
const LONGEST_LIST: usize = 12;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const HEATER: &str = "heater 0..100 %";
const COPY: &str = "copy 0..100 %";
/// Narrower legends break in the middle of their entries.
const NARROWEST_LEGEND: usize = 40;

/// Draws the timeline of a run, `width` characters wide where that is wide enough for the labels.
pub(crate) fn draw(record: &Record, width: usize) -> String {
    let mut lines = match record.span() {
        Some(span) => lanes(record, span, width),
        None => vec![format!("{}: no cycles", record.title())],
    };
    lines.extend(injection_list(&record.injections));
    lines.extend(legend(record, width));
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The rows that share one column.
type Bucket<'a> = Vec<&'a CycleRow>;

fn lanes(record: &Record, span: Span, width: usize) -> Vec<String> {
    let tank = bounds(record.rows.iter().map(|row| row.tank_c));
    let tank_label = match tank {
        Some((low, high)) => format!("tank {low:.1}..{high:.1} °C"),
        None => String::from("tank"),
    };
    let (low, high) = tank.unwrap_or_default();
    let gutter = tank_label.chars().count().max(HEATER.len()) + 2;
    let columns = columns(span, width.saturating_sub(gutter));
    let buckets = buckets(record, span, columns);

    let mode_lane = |channel: usize| {
        lane(&buckets, |row| row.modes.get(channel).copied().unwrap_or(Mode::Off), Mode::severity, Mode::glyph)
    };
    let (labels, rule) = axis(span, columns);
    let mut lanes = vec![("", labels), ("cycle", rule), ("A", mode_lane(0)), ("B", mode_lane(1))];
    if record.has_plant() {
        lanes.push(("drives", lane(&buckets, |row| row.driver, driver_severity, driver_glyph)));
    }
    if record.has_copies() {
        lanes.push((COPY, copy_lane(&buckets)));
    }
    if record.has_plant() {
        let valve_glyph = |open| if open { 'O' } else { '·' };
        lanes.extend([
            (HEATER, sparkline(&buckets, |row| row.duty, (0.0, 1.0))),
            (tank_label.as_str(), sparkline(&buckets, |row| row.tank_c, (low, high))),
            ("valve", lane(&buckets, |row| row.valve_open, u8::from, valve_glyph)),
            ("alarms", lane(&buckets, |row| row.alarms, |alarms| alarms, alarm_glyph)),
        ]);
    }
    if record.has_repairs() {
        lanes.push(("repair", repair_lane(&buckets)));
    }
    let marks = if record.has_plant() { "injected" } else { "events" };
    lanes.push((marks, injection_marks(&record.injections, span, columns)));
    let mut lines = vec![title(record, span, columns)];
    for (label, cells) in lanes {
        lines.push(format!("{label:<gutter$}{cells}"));
    }
    lines
}

/// How many columns to draw: never more than there are cycles, since an empty column would look like a hole in the run.
fn columns(span: Span, room: usize) -> usize {
    let cycles = usize::try_from(span.cycles()).unwrap_or(usize::MAX);
    room.max(NARROWEST_PLOT).min(cycles)
}

fn buckets(record: &Record, span: Span, columns: usize) -> Vec<Bucket<'_>> {
    let mut buckets = vec![Bucket::new(); columns];
    for row in &record.rows {
        if let Some(bucket) = buckets.get_mut(span.column(row.cycle, columns)) {
            bucket.push(row);
        }
    }
    buckets
}

fn title(record: &Record, span: Span, columns: usize) -> String {
    let cycles_a_column = span.cycles() as f64 / columns as f64;
    format!("{}: cycles {}..{}, {cycles_a_column:.1} in a column", record.title(), span.first(), span.last(),)
}

/// The labels of the cycle axis and, below them, the axis with a mark under the first digit of each.
fn axis(span: Span, columns: usize) -> (String, String) {
    let label_width = span.last().to_string().len() + 2;
    let mut labels = String::new();
    let mut rule = vec!['─'; columns];
    for tick in span.ticks(columns / label_width) {
        let column = span.column(tick, columns);
        let label = tick.to_string();
        // A label that would stick out at the right is left out; its mark stays.
        if column + label.len() <= columns {
            let missing = column.saturating_sub(labels.len());
            labels.extend(std::iter::repeat_n(' ', missing));
            labels.push_str(&label);
        }
        if let Some(mark) = rule.get_mut(column) {
            *mark = '┬';
        }
    }
    (labels, rule.into_iter().collect())
}

/// One glyph a column for a value with few states: the worst state in the column's bucket.
///
/// Where that would repeat the column before although the bucket holds another state too, the worst of the others is
/// shown. So no bucket with a change in it looks like a continuation, and the worst state of a bucket stands in its
/// column or in the one before.
fn lane<T: Copy + PartialEq>(
    buckets: &[Bucket<'_>],
    state: impl Fn(&CycleRow) -> T,
    severity: impl Fn(T) -> u8,
    glyph: impl Fn(T) -> char,
) -> String {
    let mut shown: Option<T> = None;
    let mut cells = String::new();
    for bucket in buckets {
        let worst_but = |excluded: Option<T>| {
            bucket
                .iter()
                .map(|row| state(row))
                .filter(|candidate| Some(*candidate) != excluded)
                .max_by_key(|candidate| severity(*candidate))
        };
        let worst = worst_but(None);
        shown = if worst == shown { worst_but(shown).or(worst) } else { worst };
        cells.push(shown.map_or(' ', &glyph));
    }
    cells
}

/// Nobody driving is the event to see; B before A only because the choice has to be the same each time.
fn driver_severity(driver: Option<usize>) -> u8 {
    match driver {
        Some(0) => 0,
        Some(_) => 1,
        None => 2,
    }
}

fn driver_glyph(driver: Option<usize>) -> char {
    driver.and_then(|channel| channel_name(channel).chars().next()).unwrap_or('·')
}

fn alarm_glyph(alarms: u8) -> char {
    match alarms {
        0 => '·',
        raised => char::from_digit(u32::from(raised), 16).unwrap_or('+'),
    }
}

/// The mean of each bucket as a block between the two limits.
fn sparkline(buckets: &[Bucket<'_>], reading: impl Fn(&CycleRow) -> f32, (low, high): (f32, f32)) -> String {
    let block = |bucket: &Bucket<'_>| {
        let (sum, count) = bucket
            .iter()
            .map(|row| f64::from(reading(row)))
            .filter(|reading| reading.is_finite())
            .fold((0.0_f64, 0.0_f64), |(sum, count), reading| (sum + reading, count + 1.0));
        if count == 0.0 {
            return ' ';
        }
        level(sum / count - f64::from(low), f64::from(high) - f64::from(low))
    };
    buckets.iter().map(block).collect()
}

/// How far the copy had come at the end of each bucket.
fn copy_lane(buckets: &[Bucket<'_>]) -> String {
    let block = |bucket: &Bucket<'_>| match bucket.iter().rev().find_map(|row| row.copied) {
        Some(copied) => level(copied.share(), 1.0),
        None => '·',
    };
    buckets.iter().map(block).collect()
}

/// How many repairs each bucket saw.
fn repair_lane(buckets: &[Bucket<'_>]) -> String {
    let count = |bucket: &Bucket<'_>| match bucket.iter().map(|row| u64::from(row.repaired)).sum::<u64>() {
        0 => '·',
        repairs => u32::try_from(repairs).ok().and_then(|repairs| char::from_digit(repairs, 10)).unwrap_or('+'),
    };
    buckets.iter().map(count).collect()
}

fn level(height: f64, range: f64) -> char {
    // A constant reading has no range: draw it low rather than divide by nothing.
    let share = if range > 0.0 { height / range } else { 0.0 };
    // The cast clips what lies below 0, the minimum what lies above 1.
    let step = (share * LEVELS.len() as f64) as usize;
    let highest = LEVELS.len() - 1;
    LEVELS.get(step.min(highest)).copied().unwrap_or(' ')
}

/// `▼` where one thing was injected, the number where several share a column.
fn injection_marks(injections: &[Injection], span: Span, columns: usize) -> String {
    let mut counts: Vec<u32> = vec![0; columns];
    for injection in injections {
        if let Some(count) = counts.get_mut(span.column(injection.cycle, columns)) {
            *count = count.saturating_add(1);
        }
    }
    let mark = |count: u32| match count {
        0 => ' ',
        1 => '▼',
        several => char::from_digit(several, 10).unwrap_or('+'),
    };
    counts.into_iter().map(mark).collect()
}

/// The same thing injected again and again.
struct Repeated {
    label: String,
    first: u32,
    last: u32,
    times: usize,
}

impl Repeated {
    fn line(&self) -> String {
        let Repeated { label, first, last, .. } = self;
        match self.times {
            1 => format!("  cycle {first}: {label}"),
            times if first == last => format!("  cycle {first}: {label} ({times} times)"),
            times => format!("  cycle {first}..{last}: {label} ({times} times)"),
        }
    }
}

fn injection_list(injections: &[Injection]) -> Vec<String> {
    let mut groups: Vec<Repeated> = Vec::new();
    for injection in injections {
        // One line each, whatever the text holds.
        let label = injection.label().replace(char::is_control, " ");
        if let Some(group) = groups.iter_mut().find(|group| group.label == label) {
            group.first = group.first.min(injection.cycle);
            group.last = group.last.max(injection.cycle);
            group.times += 1;
        } else {
            groups.push(Repeated { label, first: injection.cycle, last: injection.cycle, times: 1 });
        }
    }
    groups.sort_by_key(|group| group.first);
    let mut lines: Vec<String> = groups.iter().take(LONGEST_LIST).map(Repeated::line).collect();
    let unlisted: usize = groups.iter().skip(LONGEST_LIST).map(|group| group.times).sum();
    if unlisted > 0 {
        lines.push(format!("  … and {unlisted} more"));
    }
    lines
}

fn legend(record: &Record, width: usize) -> Vec<String> {
    let mut modes: Vec<String> = Mode::ALL.iter().map(|mode| format!("{} {}", mode.glyph(), mode.name())).collect();
    modes.push(String::from("(the worst in a column)"));
    let mut others = Vec::new();
    if record.has_plant() {
        others.extend(["· none or shut", "O open", "alarms in hexadecimal"]);
    }
    if record.has_repairs() {
        others.push("repairs counted (+: over 9)");
    }
    others.push(if record.has_plant() { "▼ injected (2..9, +: several)" } else { "▼ event (2..9, +: several)" });
    let mut lines = wrapped("modes: ", &modes, width);
    lines.extend(wrapped("", &others, width));
    lines
}

/// The entries side by side, as many in a line as it has room for; later lines begin below the first entry.
fn wrapped(heading: &str, entries: &[impl AsRef<str>], width: usize) -> Vec<String> {
    let width = width.max(NARROWEST_LEGEND);
    let indent = heading.chars().count();
    let mut lines: Vec<String> = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        match lines.last_mut() {
            None => lines.push(format!("{heading}{entry}")),
            Some(line) if line.chars().count() + 2 + entry.chars().count() <= width => {
                line.push_str("  ");
                line.push_str(entry);
            }
            Some(_) => lines.push(format!("{:indent$}{entry}", "")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{NARROWEST_LEGEND, buckets, draw, injection_list, injection_marks, lane, legend};
    use crate::record::made_up::{ten_rounds, ten_rounds_with_flips};
    use crate::record::{Copied, CycleRow, Injection, Mode, Record, Source};

    fn row(cycle: u32, mode: Mode) -> CycleRow {
        CycleRow {
            cycle,
            modes: [mode; 2],
            driver: Some(0),
            duty: 0.5,
            valve_open: false,
            alarms: 0,
            copied: None,
            repaired: 0,
            tank_c: 20.0,
            ambient_c: 10.0,
        }
    }

    fn record(modes: impl IntoIterator<Item = Mode>) -> Record {
        Record {
            name: String::from("test"),
            source: Source::Run { seed: 7 },
            rows: (0..).zip(modes).map(|(cycle, mode)| row(cycle, mode)).collect(),
            injections: Vec::new(),
        }
    }

    fn injection(cycle: u32, channel: Option<usize>, what: &str) -> Injection {
        Injection { cycle, channel, what: String::from(what) }
    }

    /// Runs of every length of modes that a small linear congruential generator picks.
    fn eventful(seed: u32, cycles: usize) -> Record {
        let mut state = seed;
        let mut mode = Mode::Duplex;
        record((0..cycles).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 30 == 0 {
                let pick = (state >> 16) as usize % Mode::ALL.len();
                mode = Mode::ALL.get(pick).copied().unwrap_or(mode);
            }
            mode
        }))
    }

    fn mode_lane(record: &Record, columns: usize) -> Vec<char> {
        let Some(span) = record.span() else {
            return Vec::new();
        };
        let buckets = buckets(record, span, columns);
        let cells = lane(&buckets, |row| row.modes.first().copied().unwrap_or(Mode::Off), Mode::severity, Mode::glyph);
        cells.chars().collect()
    }

    #[test]
    fn every_mode_change_in_a_bucket_is_visible() {
        for seed in 0..50 {
            let record = eventful(seed, 300);
            for columns in [1, 7, 40, 100, 300] {
                let cells = mode_lane(&record, columns);
                assert_eq!(cells.len(), columns);
                let Some(span) = record.span() else { continue };
                let mut before = None;
                for (bucket, cell) in buckets(&record, span, columns).iter().zip(cells) {
                    let modes = || bucket.iter().filter_map(|row| row.modes.first());
                    let changes = modes().zip(modes().skip(1)).any(|(one, next)| one != next);
                    if changes {
                        assert_ne!(before, Some(cell), "seed {seed}, {columns} columns");
                    }
                    let worst = modes().max_by_key(|mode| mode.severity());
                    let worst = worst.map(|mode| mode.glyph());
                    assert!(
                        worst == Some(cell) || worst == before,
                        "seed {seed}, {columns} columns: the worst mode is hidden"
                    );
                    before = Some(cell);
                }
            }
        }
    }

    #[test]
    fn one_bad_cycle_in_a_thousand_is_visible() {
        let mut record = record([Mode::Duplex; 1000]);
        record.rows.insert(500, row(500, Mode::Safe));
        assert_eq!(mode_lane(&record, 10).iter().collect::<String>(), "=====!====");
    }

    #[test]
    fn an_empty_record_is_drawn() {
        let mut record = record([]);
        record.injections.push(injection(3, Some(1), "power cut"));
        let text = draw(&record, 80);
        assert!(text.contains("no cycles"));
        assert!(text.contains("cycle 3: B: power cut"));
    }

    #[test]
    fn any_width_is_drawn() {
        let mut record = eventful(1, 500);
        record.injections.push(injection(9999, None, "link cut"));
        for width in 0..60 {
            assert!(draw(&record, width).contains("link cut"));
        }
        // Wide enough: no lane is wider than asked for.
        for width in [80, 100, 200] {
            let lanes = draw(&record, width);
            let widest = lanes.lines().take(11).map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}: {widest:?}");
        }
    }

    #[test]
    fn readings_that_are_no_numbers_are_drawn() {
        let mut record = record([Mode::Duplex; 3]);
        for row in &mut record.rows {
            row.tank_c = f32::NAN;
            row.duty = f32::INFINITY;
        }
        assert!(draw(&record, 80).contains("tank"));
    }

    #[test]
    fn an_injection_stands_in_its_column() {
        let record = record([Mode::Duplex; 100]);
        let injections = [injection(42, None, "link cut"), injection(98, None, "x"), injection(99, None, "y")];
        let marks = record.span().map(|span| injection_marks(&injections, span, 50));
        let expected = format!("{}▼{}2", " ".repeat(21), " ".repeat(27));
        assert_eq!(marks, Some(expected));
    }

    #[test]
    fn injections_are_grouped_and_capped() {
        let mut injections = vec![injection(5, Some(0), "bit flip"), injection(9, Some(0), "bit flip")];
        assert_eq!(injection_list(&injections), ["  cycle 5..9: A: bit flip (2 times)"]);
        for cycle in 10..30 {
            injections.push(injection(cycle, None, &format!("fault {cycle}")));
        }
        let lines = injection_list(&injections);
        assert_eq!(lines.len(), 13);
        assert_eq!(lines.last().map(String::as_str), Some("  … and 9 more"));
    }

    /// B is cut at cycle 8 and returns: what the reader sees, character by character.
    #[test]
    fn a_small_run_looks_like_this() {
        let mut record = record([Mode::Duplex; 24]);
        record.name = String::from("power-cut");
        for row in &mut record.rows {
            let step: u8 = row.cycle.try_into().unwrap_or(0);
            row.tank_c = 20.0 + f32::from(step) / 2.0;
            row.duty = f32::from(step) / 24.0;
            row.valve_open = row.cycle == 20;
            row.alarms = u8::from(row.cycle == 8);
            if (8..16).contains(&row.cycle) {
                let other = if row.cycle < 12 { Mode::Off } else { Mode::Starting };
                row.modes = [Mode::Simplex, other];
            }
        }
        record.injections.push(injection(8, Some(1), "power cut"));
        let expected = "\
power-cut, seed 7: cycles 0..23, 1.0 in a column
                    0    5    10   15   20
cycle               ┬────┬────┬────┬────┬───
A                   ========--------========
B                   ========....////========
drives              AAAAAAAAAAAAAAAAAAAAAAAA
heater 0..100 %     ▁▁▁▂▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇▇███
tank 20.0..31.5 °C  ▁▁▁▂▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇▇███
valve               ····················O···
alarms              ········1···············
injected                    ▼
  cycle 8: B: power cut
modes: = duplex  ~ trial  s standby  + donor  - simplex  > joining  / starting
       . off  ! safe  (the worst in a column)
· none or shut  O open  alarms in hexadecimal  ▼ injected (2..9, +: several)
";
        assert_eq!(draw(&record, 80), expected);
    }

    fn lane_named<'d>(drawing: &'d str, name: &str) -> Option<&'d str> {
        drawing.lines().find(|line| line.starts_with(name))
    }

    #[test]
    fn copy_and_repair_have_lanes_only_where_they_happen() {
        let mut record = record([Mode::Duplex; 24]);
        let drawing = draw(&record, 80);
        assert_eq!(lane_named(&drawing, "copy"), None);
        assert_eq!(lane_named(&drawing, "repair"), None);
        for row in &mut record.rows {
            if (8..16).contains(&row.cycle) {
                row.modes = [Mode::Donor, Mode::Joining];
                row.copied = Some(Copied { done_blocks: row.cycle - 8, total_blocks: 7 });
            }
            row.repaired =
                [(18, 1), (19, 9), (20, 10)].iter().find(|(cycle, _)| *cycle == row.cycle).map_or(0, |at| at.1);
        }
        let drawing = draw(&record, 80);
        assert_eq!(lane_named(&drawing, "A "), Some("A                   ========++++++++========"));
        assert_eq!(lane_named(&drawing, "B "), Some("B                   ========>>>>>>>>========"));
        assert_eq!(lane_named(&drawing, "copy"), Some("copy 0..100 %       ········▁▂▃▄▅▆▇█········"));
        assert_eq!(lane_named(&drawing, "repair"), Some("repair              ··················19+···"));
    }

    /// Ten rounds in 40 columns: each begins, copies and ends visibly, and what was injected stands above the list.
    #[test]
    fn many_rounds_stay_legible_on_a_narrow_terminal() {
        for (record, injected) in [(ten_rounds(), 20), (ten_rounds_with_flips(), 30)] {
            for width in [60, 100] {
                let drawing = draw(&record, width);
                let copy = lane_named(&drawing, "copy").unwrap_or_default();
                let copies = copy.split('·').filter(|part| part.ends_with(|end| "▁▂▃▄▅▆▇█".contains(end))).count();
                assert_eq!(copies, 10, "{drawing}");
                let marks = lane_named(&drawing, "injected").unwrap_or_default().chars().skip(8);
                let marks: u32 = marks.filter_map(|mark| if mark == '▼' { Some(1) } else { mark.to_digit(10) }).sum();
                assert_eq!(marks, injected, "{drawing}");
                let widest = drawing.lines().map(|line| line.chars().count()).max();
                assert!(widest <= Some(width), "{widest:?} of {width}: {drawing}");
            }
        }
    }

    #[test]
    fn the_legend_keeps_to_the_width() {
        for width in 0..120 {
            let lines = legend(&ten_rounds(), width);
            assert!(lines.iter().all(|line| line.chars().count() <= width.max(NARROWEST_LEGEND)), "{lines:?}");
        }
    }
}
