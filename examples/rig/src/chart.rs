//! Draws a run as an SVG file: stacked panels over one cycle axis, with a line through all of them for each injection.
//!
//! Everything is placed in pixels rather than by the plotting library's chart builder: the panels must share the axis
//! exactly, and states are bars, for which a builder has no ready form.

mod captions;
mod series;

use captions::{Captions, KindLane, LABEL_PADDING, Label, MARK_WIDTH};
use series::{Point, Run, copies, runs, thinned};
use std::path::Path;

use anyhow::Context;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{PathElement, Polygon, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, WHITE};

use twinstep::sim::campaign::drawing::{Area, INK, Panel, bar, css_size, readable_on, text, text_width};

use crate::record::{CycleRow, Injection, Mode, Record, Span, bounds, channel_name};

const WIDTH: i32 = 1200;
/// Where the panels begin and end; names and scales stand on the left of it.
const LEFT: i32 = 130;
const RIGHT: i32 = WIDTH - 30;
/// The title and the legend.
const HEADER: i32 = 74;
const LABEL_ROW: i32 = 17;
const GAP: i32 = 12;
/// The labels of the cycle axis.
const FOOTER: i32 = 48;
/// A single cycle of a long run would be thinner than a pixel.
const THINNEST_BAR: i32 = 2;

/// More lines than this would hide what they cross; they are drawn pale.
const FEW_LINES: usize = 10;

const FAINT: RGBColor = RGBColor(225, 225, 225);
const PANEL: RGBColor = RGBColor(250, 250, 250);
const INJECTION: RGBColor = RGBColor(110, 60, 110);
// Shades of grey: every colour of the palette is a mode.
const DRIVER_A: RGBColor = RGBColor(60, 60, 60);
const DRIVER_B: RGBColor = RGBColor(150, 150, 150);
const COPY: RGBColor = RGBColor(204, 121, 167);
const HEATER: RGBColor = RGBColor(213, 94, 0);
const TANK: RGBColor = RGBColor(204, 85, 0);
const AMBIENT: RGBColor = RGBColor(0, 114, 178);
const VALVE: RGBColor = RGBColor(0, 114, 178);
const ALARM: RGBColor = RGBColor(213, 94, 0);
const REPAIR: RGBColor = RGBColor(0, 158, 115);

/// Draws the run and writes it to `path`, over what is there.
pub(crate) fn write_svg(record: &Record, path: &Path) -> anyhow::Result<()> {
    let svg = render(record).context("cannot draw the chart")?;
    std::fs::write(path, svg).with_context(|| format!("cannot write the chart to {}", path.display()))
}

fn render(record: &Record) -> anyhow::Result<String> {
    let captions = match record.span() {
        Some(span) => Captions::of(&record.injections, span),
        None => Captions::None,
    };
    let layout = Layout::below(HEADER + captions.rows() * LABEL_ROW, record);

    let mut svg = String::new();
    let size = (WIDTH.unsigned_abs(), layout.height().unsigned_abs());
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        header(&area, record)?;
        match record.span() {
            Some(span) => panels(&Plot { area: &area, span }, record, &layout, &captions)?,
            None => text(&area, "no cycles recorded", (LEFT, HEADER + 40), HPos::Left, &INK)?,
        }
        area.present()?;
    }
    Ok(svg)
}

struct Layout {
    top: i32,
    modes: [Panel; 2],
    /// Only where memory is copied.
    copy: Option<Panel>,
    /// Only where the plant is known.
    plant: Option<PlantPanels>,
    /// Only where memory is repaired.
    repairs: Option<Panel>,
    bottom: i32,
}

struct PlantPanels {
    drives: Panel,
    heater: Panel,
    temperature: Panel,
    valve: Panel,
    alarms: Panel,
}

impl Layout {
    fn below(top: i32, record: &Record) -> Self {
        let mut free = top;
        let mut next = |height: i32| {
            let panel = Panel { top: free, bottom: free + height };
            free += height + GAP;
            panel
        };
        let modes = [next(28), next(28)];
        let drives = record.has_plant().then(|| next(20));
        let copy = record.has_copies().then(|| next(44));
        let plant = drives.map(|drives| PlantPanels {
            drives,
            heater: next(100),
            temperature: next(170),
            valve: next(20),
            alarms: next(20),
        });
        let repairs = record.has_repairs().then(|| next(20));
        Layout { top, modes, copy, plant, repairs, bottom: free - GAP }
    }

    fn height(&self) -> i32 {
        self.bottom + FOOTER
    }

    fn all(&self) -> impl Iterator<Item = Panel> {
        let plant = self
            .plant
            .iter()
            .flat_map(|plant| [plant.drives, plant.heater, plant.temperature, plant.valve, plant.alarms]);
        self.modes.into_iter().chain(plant).chain(self.copy).chain(self.repairs)
    }
}

fn header(area: &Area<'_>, record: &Record) -> anyhow::Result<()> {
    let title =
        ("sans-serif", css_size(20.0), FontStyle::Bold).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(&record.title(), &title, (16, 24))?;

    let mut left = LEFT;
    for mode in Mode::ALL {
        let swatch = Panel { top: 46, bottom: 60 };
        bar(area, (left, left + 14), swatch, mode_colour(mode))?;
        text(area, mode.name(), (left + 20, swatch.middle()), HPos::Left, &INK)?;
        left += 20 + text_width(mode.name()) + 22;
    }
    Ok(())
}

fn panels(plot: &Plot<'_, '_>, record: &Record, layout: &Layout, captions: &Captions) -> anyhow::Result<()> {
    let rows = &record.rows;
    plot.background(layout)?;

    let [modes_a, modes_b] = layout.modes;
    plot.name(modes_a, "A", &INK)?;
    plot.bars(modes_a, rows, |row| row.modes.first().copied(), mode_bar)?;
    plot.name(modes_b, "B", &INK)?;
    plot.bars(modes_b, rows, |row| row.modes.last().copied(), mode_bar)?;

    if let Some(panel) = layout.copy {
        plot.name(panel, "copy 0..100 %", &COPY)?;
        plot.copies(panel, rows)?;
    }
    if let Some(panels) = &layout.plant {
        plant(plot, rows, panels)?;
    }
    if let Some(panel) = layout.repairs {
        plot.name(panel, "repairs", &REPAIR)?;
        plot.repairs(panel, rows)?;
    }

    plot.injections(&record.injections, captions, layout)
}

fn plant(plot: &Plot<'_, '_>, rows: &[CycleRow], panels: &PlantPanels) -> anyhow::Result<()> {
    plot.name(panels.drives, "drives", &INK)?;
    plot.bars(panels.drives, rows, |row| row.driver, driver_bar)?;

    let duty = Scale { low: 0.0, high: 100.0, step: 50.0 };
    plot.scale(panels.heater, duty, "%")?;
    plot.name(panels.heater, "heater", &HEATER)?;
    plot.line(panels.heater, duty, rows, |row| row.duty * 100.0, HEATER)?;

    let readings = rows.iter().flat_map(|row| [row.tank_c, row.ambient_c]);
    let temperature = Scale::around(bounds(readings));
    plot.scale(panels.temperature, temperature, "°C")?;
    let middle = panels.temperature.middle();
    plot.name_at(middle - 10, "tank", &TANK)?;
    plot.name_at(middle + 10, "ambient", &AMBIENT)?;
    plot.line(panels.temperature, temperature, rows, |row| row.ambient_c, AMBIENT)?;
    plot.line(panels.temperature, temperature, rows, |row| row.tank_c, TANK)?;

    plot.name(panels.valve, "valve", &VALVE)?;
    plot.bars(panels.valve, rows, |row| row.valve_open, valve_bar)?;
    plot.name(panels.alarms, "alarms", &ALARM)?;
    plot.bars(panels.alarms, rows, |row| row.alarms != 0, alarm_bar)
}

/// How one state looks as a bar.
struct Paint {
    colour: RGBColor,
    name: &'static str,
    /// Of two bars on the same pixel, the one with the higher number is seen.
    severity: u8,
}

fn mode_colour(mode: Mode) -> RGBColor {
    let (red, green, blue) = mode.colour();
    RGBColor(red, green, blue)
}

fn mode_bar(mode: Option<Mode>) -> Option<Paint> {
    mode.map(|mode| Paint { colour: mode_colour(mode), name: mode.name(), severity: mode.severity() })
}

/// Nobody driving is a gap in the bar; it is what the eye finds first.
fn driver_bar(driver: Option<usize>) -> Option<Paint> {
    driver.map(|channel| Paint {
        colour: if channel == 0 { DRIVER_A } else { DRIVER_B },
        name: channel_name(channel),
        severity: u8::from(channel != 0),
    })
}

fn valve_bar(open: bool) -> Option<Paint> {
    open.then_some(Paint { colour: VALVE, name: "open", severity: 0 })
}

fn alarm_bar(raised: bool) -> Option<Paint> {
    raised.then_some(Paint { colour: ALARM, name: "raised", severity: 0 })
}

/// The shared cycle axis, and the surface under it.
struct Plot<'p, 's> {
    area: &'p Area<'s>,
    span: Span,
}

impl Plot<'_, '_> {
    fn background(&self, layout: &Layout) -> anyhow::Result<()> {
        for panel in layout.all() {
            bar(self.area, (LEFT, RIGHT), panel, PANEL)?;
        }
        for cycle in self.span.ticks(12) {
            let x = x_of(self.span, u64::from(cycle));
            for panel in layout.all() {
                stroke(self.area, vec![(x, panel.top), (x, panel.bottom)], FAINT, 1)?;
            }
            let at = (x, layout.bottom + 14);
            text(self.area, &cycle.to_string(), at, HPos::Center, &INK)?;
        }
        let at = ((LEFT + RIGHT) / 2, layout.bottom + 34);
        Ok(text(self.area, "control cycle", at, HPos::Center, &INK)?)
    }

    fn name(&self, panel: Panel, name: &str, colour: &RGBColor) -> anyhow::Result<()> {
        self.name_at(panel.middle(), name, colour)
    }

    fn name_at(&self, y: i32, name: &str, colour: &RGBColor) -> anyhow::Result<()> {
        Ok(text(self.area, name, (16, y), HPos::Left, colour)?)
    }

    /// Horizontal lines and their labels.
    fn scale(&self, panel: Panel, scale: Scale, unit: &str) -> anyhow::Result<()> {
        for value in scale.marks() {
            let y = scale.y_of(value, panel);
            stroke(self.area, vec![(LEFT, y), (RIGHT, y)], FAINT, 1)?;
            let decimals = usize::from(scale.step < 1.0);
            let label = format!("{value:.decimals$} {unit}");
            text(self.area, &label, (LEFT - 8, y), HPos::Right, &INK)?;
        }
        Ok(())
    }

    /// One bar for each run of equal states, with its name inside where there is room.
    fn bars<T: Copy + PartialEq>(
        &self,
        panel: Panel,
        rows: &[CycleRow],
        state: impl Fn(&CycleRow) -> T,
        paint: impl Fn(T) -> Option<Paint>,
    ) -> anyhow::Result<()> {
        let mut bars: Vec<(Run<T>, Paint)> =
            runs(rows, state).into_iter().filter_map(|run| paint(run.state).map(|paint| (run, paint))).collect();
        bars.sort_by_key(|(_, paint)| paint.severity);
        for (run, paint) in bars {
            let left = x_of(self.span, run.from);
            let right = x_of(self.span, run.until).max(left + THINNEST_BAR);
            bar(self.area, (left, right), panel, paint.colour)?;
            if right - left > text_width(paint.name) + 8 {
                let at = ((left + right) / 2, panel.middle());
                let colour = readable_on(paint.colour);
                text(self.area, paint.name, at, HPos::Center, &colour)?;
            }
        }
        Ok(())
    }

    fn line(
        &self,
        panel: Panel,
        scale: Scale,
        rows: &[CycleRow],
        reading: impl Fn(&CycleRow) -> f32,
        colour: RGBColor,
    ) -> anyhow::Result<()> {
        let points: Vec<Point> = rows
            .iter()
            .map(|row| (u64::from(row.cycle), f64::from(reading(row))))
            .filter(|(_, reading)| reading.is_finite())
            .map(|(cycle, reading)| (x_of(self.span, cycle), scale.y_of(reading, panel)))
            .collect();
        stroke(self.area, thinned(&points), colour, 2)
    }

    /// The progress of each copy as a filled staircase, on a pale ground as long as it runs, and beside it how far it
    /// came.
    fn copies(&self, panel: Panel, rows: &[CycleRow]) -> anyhow::Result<()> {
        let scale = Scale { low: 0.0, high: 1.0, step: 1.0 };
        let copies = copies(rows);
        for (index, copy) in copies.iter().enumerate() {
            let (Some(first), Some(last)) = (copy.first(), copy.last()) else { continue };
            let left = x_of(self.span, first.0);
            let right = x_of(self.span, last.0 + 1).max(left + THINNEST_BAR);
            let ground = Rectangle::new([(left, panel.top), (right, panel.bottom)], COPY.mix(0.25).filled());
            self.area.draw(&ground)?;
            let ends = copy.iter().skip(1).map(|next| x_of(self.span, next.0)).chain([right]);
            let mut outline = vec![(left, panel.bottom)];
            for ((cycle, copied), end) in copy.iter().zip(ends) {
                let y = scale.y_of(copied.share(), panel);
                outline.extend([(x_of(self.span, *cycle), y), (end, y)]);
            }
            outline.push((right, panel.bottom));
            self.area.draw(&Polygon::new(thinned(&outline), COPY.filled()))?;

            let share = format!("{:.0} %", (last.1.share() * 100.0).floor());
            let next = copies.get(index + 1).and_then(|next| next.first());
            // At the right edge there is the margin.
            let free = next.map_or(WIDTH, |next| x_of(self.span, next.0)) - right;
            if free > text_width(&share) + 8 {
                text(self.area, &share, (right + 4, panel.middle()), HPos::Left, &INK)?;
            }
        }
        Ok(())
    }

    fn repairs(&self, panel: Panel, rows: &[CycleRow]) -> anyhow::Result<()> {
        let mut columns: Vec<i32> =
            rows.iter().filter(|row| row.repaired > 0).map(|row| x_of(self.span, u64::from(row.cycle))).collect();
        columns.dedup();
        for x in columns {
            stroke(self.area, vec![(x, panel.top), (x, panel.bottom)], REPAIR, 2)?;
        }
        Ok(())
    }

    fn injections(&self, injections: &[Injection], captions: &Captions, layout: &Layout) -> anyhow::Result<()> {
        let mut columns: Vec<i32> =
            injections.iter().map(|injection| x_of(self.span, u64::from(injection.cycle))).collect();
        // A campaign puts many injections on one pixel; one line is enough.
        columns.sort_unstable();
        columns.dedup();
        let strength = if injections.len() > FEW_LINES { 0.35 } else { 0.8 };
        let pale = INJECTION.mix(strength);
        for x in columns {
            let path = vec![(x, layout.top - GAP / 2), (x, layout.bottom)];
            self.area.draw(&PathElement::new(path, pale))?;
        }
        match captions {
            Captions::Labels(labels) => self.labels(labels, layout),
            Captions::Lanes(lanes) => self.kind_lanes(lanes, layout),
            Captions::None => Ok(()),
        }
    }

    fn labels(&self, labels: &[Label], layout: &Layout) -> anyhow::Result<()> {
        for label in labels {
            let y = HEADER + label.row * LABEL_ROW;
            let stem = vec![(label.x, y), (label.x, layout.top - GAP / 2)];
            stroke(self.area, stem, INJECTION, 1)?;
        }
        // The texts last, each on a white ground: stems of the rows above run through them.
        for label in labels {
            let y = HEADER + label.row * LABEL_ROW;
            let ground = Panel { top: y - 7, bottom: y + 7 };
            bar(self.area, (label.left, label.right), ground, WHITE)?;
            let at = (label.left + LABEL_PADDING, y);
            text(self.area, &label.text, at, HPos::Left, &INJECTION)?;
        }
        Ok(())
    }

    fn kind_lanes(&self, lanes: &[KindLane], layout: &Layout) -> anyhow::Result<()> {
        for (row, lane) in (0..).zip(lanes) {
            let y = HEADER + row * LABEL_ROW;
            self.name_at(y, &lane.kind, &INJECTION)?;
            for mark in &lane.marks {
                let stem = vec![(mark.x, y), (mark.x, layout.top - GAP / 2)];
                self.area.draw(&PathElement::new(stem, INJECTION.mix(0.35)))?;
            }
        }
        for (row, lane) in (0..).zip(lanes) {
            let y = HEADER + row * LABEL_ROW;
            for mark in &lane.marks {
                let ground = Panel { top: y - 7, bottom: y + 7 };
                bar(self.area, (mark.x - MARK_WIDTH / 2, mark.x + MARK_WIDTH / 2), ground, WHITE)?;
                text(self.area, mark.letter, (mark.x, y), HPos::Center, &INJECTION)?;
            }
        }
        Ok(())
    }
}

/// The vertical axis of a line panel.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Round limits around the readings, about five steps apart.
    fn around(readings: Option<(f32, f32)>) -> Self {
        let (low, high) = readings.unwrap_or((0.0, 1.0));
        let (low, high) = (f64::from(low), f64::from(high));
        // A constant reading still needs a range to be drawn in.
        let range = (high - low).max(1.0);
        let decade = 10.0_f64.powf((range / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0]
            .into_iter()
            .map(|factor| factor * decade)
            .find(|step| *step >= range / 5.0)
            .unwrap_or(10.0 * decade);
        let low = (low / step).floor() * step;
        Scale { low, high: ((high / step).ceil() * step).max(low + step), step }
    }

    fn marks(self) -> impl Iterator<Item = f64> {
        let steps = ((self.high - self.low) / self.step).round().min(20.0) as u32;
        (0..=steps).map(move |index| self.low + f64::from(index) * self.step)
    }

    fn y_of(self, value: f64, panel: Panel) -> i32 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        panel.bottom - (share * f64::from(panel.bottom - panel.top)).round() as i32
    }
}

/// The pixel at which a cycle begins.
fn x_of(span: Span, cycle: u64) -> i32 {
    LEFT + (span.share(cycle) * f64::from(RIGHT - LEFT)).round() as i32
}

fn stroke(area: &Area<'_>, path: Vec<Point>, colour: RGBColor, width_px: u32) -> anyhow::Result<()> {
    area.draw(&PathElement::new(path, colour.stroke_width(width_px)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Panel, Scale, copies, render, runs, thinned};
    use crate::record::made_up::ten_rounds;
    use crate::record::{Copied, CycleRow, Injection, Mode, Record, Source};

    fn record(cycles: u32) -> Record {
        let rows = (0..cycles).map(|cycle| CycleRow {
            cycle,
            modes: if cycle == 40 { [Mode::Simplex, Mode::Off] } else { [Mode::Duplex; 2] },
            driver: (cycle != 40).then_some(0),
            duty: 0.25,
            valve_open: cycle % 50 == 7,
            alarms: 0,
            copied: None,
            repaired: 0,
            tank_c: 21.5,
            ambient_c: 12.0,
        });
        let (name, source) = (String::from("cut & return"), Source::Run { seed: 42 });
        Record { name, source, rows: rows.collect(), injections: Vec::new() }
    }

    fn injection(cycle: u32) -> Injection {
        Injection { cycle, channel: Some(1), what: String::from("power cut") }
    }

    #[test]
    fn a_run_becomes_a_whole_svg_with_its_texts_escaped() -> anyhow::Result<()> {
        let mut record = record(100);
        record.injections.push(injection(40));
        let svg = render(&record)?;
        assert!(svg.starts_with("<svg"));
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("cut &amp; return, seed 42"));
        assert!(svg.contains("B: power cut"));
        Ok(())
    }

    #[test]
    fn odd_records_are_drawn() -> anyhow::Result<()> {
        assert!(render(&record(0))?.contains("no cycles"));
        assert!(render(&record(1))?.contains("</svg>"));
        let mut odd = record(3);
        odd.rows.reverse();
        for row in &mut odd.rows {
            row.tank_c = f32::NAN;
            row.ambient_c = f32::MAX;
            row.duty = f32::NEG_INFINITY;
        }
        odd.injections.push(injection(u32::MAX));
        assert!(render(&odd)?.contains("</svg>"));
        Ok(())
    }

    #[test]
    fn a_long_run_stays_a_small_file() -> anyhow::Result<()> {
        let mut long = record(100_000);
        for (row, wobble) in long.rows.iter_mut().zip([20.0, 22.0, 21.0].into_iter().cycle()) {
            row.tank_c = wobble;
        }
        long.injections = (0..2000).map(injection).collect();
        let svg = render(&long)?;
        assert!(!svg.contains("power cut"), "no labels for so many");
        assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
        Ok(())
    }

    #[test]
    fn a_run_ends_where_the_next_begins() {
        let mut holes = record(100);
        holes.rows.retain(|row| row.cycle != 39 && row.cycle != 41);
        let runs: Vec<(u64, u64)> =
            runs(&holes.rows, |row| row.driver).iter().map(|run| (run.from, run.until)).collect();
        assert_eq!(runs, [(0, 40), (40, 42), (42, 100)]);
    }

    #[test]
    fn thinning_keeps_the_spikes() {
        let points = [(1, 5), (1, 9), (1, 2), (1, 5), (2, 5), (3, 6)];
        assert_eq!(thinned(&points), [(1, 5), (1, 2), (1, 9), (1, 5), (2, 5), (3, 6)]);
        assert!(thinned(&[]).is_empty());
    }

    #[test]
    fn scales_are_round_and_hold_the_readings() {
        let scale = Scale::around(Some((11.2, 23.9)));
        assert_eq!(scale.marks().collect::<Vec<_>>(), [10.0, 15.0, 20.0, 25.0]);
        let panel = Panel { top: 100, bottom: 200 };
        assert_eq!(scale.y_of(10.0, panel), 200);
        assert_eq!(scale.y_of(25.0, panel), 100);
        let constant = Scale::around(Some((20.0, 20.0)));
        assert!(constant.high > constant.low);
        assert!(Scale::around(None).marks().count() > 1);
    }

    #[test]
    fn copies_and_repairs_have_panels_only_where_they_happen() -> anyhow::Result<()> {
        let without = render(&record(100))?;
        for word in ["copy", "repairs", "<polygon"] {
            assert!(!without.contains(word), "{word}");
        }
        let rounds = render(&ten_rounds())?;
        assert!(rounds.contains("copy 0..100 %") && rounds.contains("repairs"));
        assert_eq!(rounds.matches("<polygon").count(), 10, "one copy in each round");
        let ends = |share: &str| rounds.lines().filter(|line| line.trim() == share).count();
        // The scale of the heater has one of each too.
        assert_eq!((ends("100 %"), ends("50 %")), (9 + 1, 1 + 1));
        Ok(())
    }

    #[test]
    fn a_copy_ends_where_its_progress_is_missing_or_its_size_changes() {
        let mut odd = record(10);
        for row in &mut odd.rows {
            row.copied = match row.cycle {
                1..=3 => Some(Copied { done_blocks: 9 - row.cycle, total_blocks: 8 }),
                5 | 6 => Some(Copied { done_blocks: 0, total_blocks: 8 }),
                7 => Some(Copied { done_blocks: 7, total_blocks: 0 }),
                _ => None,
            };
        }
        let cycles: Vec<Vec<u64>> =
            copies(&odd.rows).iter().map(|copy| copy.iter().map(|(cycle, _)| *cycle).collect()).collect();
        assert_eq!(cycles, [vec![1, 2, 3], vec![5, 6], vec![7]]);
        assert!(render(&odd).is_ok());
        odd.rows.reverse();
        assert!(render(&odd).is_ok());
    }
}
