//! What stands above the panels about the injections: labels, or a lane of marks for each kind.

use super::{WIDTH, text_width, x_of};
use crate::record::{Injection, Span, channel_name};

/// More labels than this would cover the chart: a lane of marks for each kind of injection instead.
const MOST_LABELS: usize = 20;
/// Labels in more rows than this are read only where lanes would need even more.
const EASY_ROWS: i32 = 3;
const LONGEST_LABEL: usize = 32;
/// More marks than this are a campaign: lines alone.
const MOST_MARKS: usize = 200;
const MOST_KINDS: usize = 8;
const LONGEST_KIND: usize = 16;
pub(super) const LABEL_PADDING: i32 = 3;
pub(super) const MARK_WIDTH: i32 = 10;

/// What stands above the panels about the injections, as much as can be read.
pub(super) enum Captions {
    Labels(Vec<Label>),
    Lanes(Vec<KindLane>),
    None,
}

impl Captions {
    pub(super) fn of(injections: &[Injection], span: Span) -> Self {
        let labels = Captions::Labels(place_labels(injections, span));
        let lanes = kind_lanes(injections, span).map(Captions::Lanes);
        if injections.len() > MOST_LABELS {
            return lanes.unwrap_or(Captions::None);
        }
        match lanes {
            Some(lanes) if labels.rows() > EASY_ROWS && lanes.rows() < labels.rows() => lanes,
            _ => labels,
        }
    }

    pub(super) fn rows(&self) -> i32 {
        match self {
            Captions::Labels(labels) => labels.iter().map(|label| label.row + 1).max().unwrap_or(0),
            Captions::Lanes(lanes) => i32::try_from(lanes.len()).unwrap_or(0),
            Captions::None => 0,
        }
    }
}

/// All injections of one kind: its name on the left, the letter of the channel at each of them.
pub(super) struct KindLane {
    pub(super) kind: String,
    pub(super) marks: Vec<Mark>,
}

pub(super) struct Mark {
    pub(super) x: i32,
    pub(super) letter: &'static str,
}

/// One lane for each kind, in the order in which they first happen; none where they are too many to read.
///
/// A mark that would cover the one before is left out: its line stays.
fn kind_lanes(injections: &[Injection], span: Span) -> Option<Vec<KindLane>> {
    let mut lanes: Vec<KindLane> = Vec::new();
    if injections.len() > MOST_MARKS {
        return None;
    }
    for injection in injections {
        let kind = kind(&injection.what);
        let mark =
            Mark { x: x_of(span, u64::from(injection.cycle)), letter: injection.channel.map_or("×", channel_name) };
        match lanes.iter_mut().find(|lane| lane.kind == kind) {
            Some(lane) if lane.marks.iter().all(|other| other.x.abs_diff(mark.x) >= MARK_WIDTH.unsigned_abs()) => {
                lane.marks.push(mark);
            }
            Some(_) => {}
            None => lanes.push(KindLane { kind, marks: vec![mark] }),
        }
    }
    (lanes.len() <= MOST_KINDS).then_some(lanes)
}

/// What was done, without the moment or the place of this once: the words before `at`, and no figures.
fn kind(what: &str) -> String {
    let is_figure = |word: &str| word.contains(|character: char| character.is_ascii_digit());
    let words = what.split_whitespace().take_while(|word| *word != "at").filter(|word| !is_figure(word));
    let words = words.collect::<Vec<_>>().join(" ");
    if words.is_empty() { String::from("injected") } else { shortened(&words, LONGEST_KIND) }
}

/// The text of an injection, beside the upper end of its line.
pub(super) struct Label {
    pub(super) x: i32,
    pub(super) left: i32,
    pub(super) right: i32,
    /// Counted from the top.
    pub(super) row: i32,
    pub(super) text: String,
}

/// Puts each label into the first row in which it covers no other; no labels at all where they are too many to read.
fn place_labels(injections: &[Injection], span: Span) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    if injections.len() > MOST_LABELS {
        return labels;
    }
    for injection in injections {
        let text = shortened(&injection.label(), LONGEST_LABEL);
        let x = x_of(span, u64::from(injection.cycle));
        let width = text_width(&text) + 2 * LABEL_PADDING;
        let left = if x + width > WIDTH { x - width } else { x + 1 };
        let right = left + width;
        let mut row = 0;
        while labels.iter().any(|other| other.row == row && left < other.right && other.left < right) {
            row += 1;
        }
        labels.push(Label { x, left, right, row, text });
    }
    labels
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return String::from(text);
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::made_up::{ten_rounds, ten_rounds_with_flips};

    /// A span of about 400 cycles.
    fn span() -> Option<Span> {
        ten_rounds().span()
    }

    fn injection(cycle: u32) -> Injection {
        Injection { cycle, channel: Some(1), what: String::from("power cut") }
    }

    #[test]
    fn labels_cover_no_other() {
        let Some(span) = span() else { panic!("no rows") };
        let mut injections: Vec<_> = (0..20).map(|index| injection(index * 20)).collect();
        let labels = place_labels(&injections, span);
        assert_eq!(labels.len(), 20);
        for (index, one) in labels.iter().enumerate() {
            for other in labels.iter().skip(index + 1) {
                let apart = one.right <= other.left || other.right <= one.left;
                assert!(one.row != other.row || apart);
            }
        }
        injections.push(injection(399));
        assert!(place_labels(&injections, span).is_empty());
    }

    /// Two or three injections in each of ten rounds: every one has its mark, and none covers another.
    #[test]
    fn many_injections_stay_legible() {
        for (record, injected, kinds) in [(ten_rounds(), 20, 2), (ten_rounds_with_flips(), 30, 3)] {
            let Some(span) = record.span() else { panic!("no rows") };
            let Captions::Lanes(lanes) = Captions::of(&record.injections, span) else { panic!("no lanes") };
            assert_eq!(lanes.len(), kinds);
            assert_eq!(lanes.iter().map(|lane| lane.marks.len()).sum::<usize>(), injected);
            for lane in &lanes {
                let apart = lane.marks.windows(2).all(|pair| pair[0].x + MARK_WIDTH <= pair[1].x);
                assert!(apart, "{}", lane.kind);
            }
        }
    }

    #[test]
    fn few_injections_keep_their_whole_text() {
        let Some(span) = span() else { panic!("no rows") };
        let injections = [injection(160), injection(168), injection(176)];
        assert!(matches!(Captions::of(&injections, span), Captions::Labels(labels) if labels.len() == 3));
    }

    #[test]
    fn marks_on_one_another_are_drawn_once_and_too_many_kinds_not_at_all() {
        let Some(span) = span() else { panic!("no rows") };
        let marks = |injections: &[Injection]| {
            kind_lanes(injections, span).map(|lanes| lanes.iter().map(|lane| lane.marks.len()).collect::<Vec<_>>())
        };
        assert_eq!(marks(&[injection(40), injection(41), injection(60)]), Some(vec![2]));
        let kinds: Vec<Injection> =
            ('a'..='z').map(|what| Injection { what: what.to_string(), ..injection(1) }).collect();
        assert_eq!(marks(&kinds), None);
    }

    #[test]
    fn a_kind_is_what_repeats() {
        assert_eq!(kind("killed at byte 21"), "killed");
        assert_eq!(kind("bit 3 flipped"), "bit flipped");
        assert_eq!(kind("link healed"), "link healed");
        assert_eq!(kind("memory of the tank damaged"), "memory of the t…");
        assert_eq!(kind("at 0x2000"), "injected");
    }
}
