//! Upsets: single bits flipped anywhere in the memory of running boards, and what was seen of each.
//!
//! Mended memory is laid to the oldest flip in that part of the board's memory, all else to the newest flip on the
//! board that it is about: a flip that shows only after the next one on the same board is laid to that one.

use serde::Serialize;
use twinstep::diagnose::{Diagnosis, Suspects};
use twinstep::journal::Event;
use twinstep::{ChannelId, Mode};

/// What was seen of a flip, from the mildest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Damage was found and mended.
    Repaired,
    /// The votes differed, and agreed when both had stepped once more.
    Masked,
    /// The board left service, and came back by itself.
    Returned,
    /// The board hung, stopped or did not come back, and was booted again.
    Restarted,
    /// Both boards went into the safe state, or lost the state; both were booted again.
    Stopped,
    /// An output reached the plant that the rig's own run of the program contradicts.
    Wrong,
}

impl Effect {
    const ALL: [Self; 7] =
        [Self::None, Self::Repaired, Self::Masked, Self::Returned, Self::Restarted, Self::Stopped, Self::Wrong];

    fn name(self) -> &'static str {
        match self {
            Self::None => "no effect",
            Self::Repaired => "mended",
            Self::Masked => "masked",
            Self::Returned => "left and returned",
            Self::Restarted => "restarted",
            Self::Stopped => "both stopped",
            Self::Wrong => "WRONG",
        }
    }
}

/// A flipped bit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Flip {
    #[serde(serialize_with = "name")]
    board: ChannelId,
    cycle: u32,
    /// The kind of memory.
    region: String,
    /// Address, symbol and bit.
    place: String,
    effect: Effect,
    /// What the boards' journals said of it, in order.
    seen: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn name<S: serde::Serializer>(board: &ChannelId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(board)
}

/// What became of the flips, for the report.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SeuFigures {
    /// All of them, in order.
    pub(crate) flips: Vec<Flip>,
    /// Boots after the first ones.
    pub(crate) restarts: u32,
    /// Times that both boards were booted again, since they had latched the safe state.
    pub(crate) safe_stops: u32,
    /// Times that both were booted again, or began anew, since neither served, had the state, or let the other one in.
    pub(crate) outages: u32,
}

impl SeuFigures {
    /// How many flips had each effect, in all and by kind of memory.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut regions: Vec<&str> = self.flips.iter().map(|flip| flip.region.as_str()).collect();
        regions.sort_unstable();
        regions.dedup();
        let count = |is_in: &dyn Fn(&Flip) -> bool| {
            let of = |effect| self.flips.iter().filter(|flip| flip.effect == effect && is_in(flip)).count();
            let counts: Vec<String> = Effect::ALL
                .into_iter()
                .filter(|effect| of(*effect) > 0)
                .map(|effect| format!("{} {}", of(effect), effect.name()))
                .collect();
            let all = self.flips.iter().filter(|flip| is_in(flip)).count();
            format!("{all} bits flipped: {}", counts.join(", "))
        };
        let mut lines: Vec<String> = regions
            .into_iter()
            .map(|region| format!("{region:>14}: {}", count(&|flip| flip.region == region)))
            .collect();
        lines.push(format!("{:>14}: {}", "all", count(&|_| true)));
        let (restarts, stops, outages) = (self.restarts, self.safe_stops, self.outages);
        lines.push(format!("{restarts} restarts of a board, {stops} safe stops, {outages} outages of both"));
        let grave = self.flips.iter().filter(|flip| flip.effect >= Effect::Stopped);
        lines.extend(
            grave.map(|flip| format!("{}: cycle {}, {}, {}", flip.effect.name(), flip.cycle, flip.board, flip.place)),
        );
        lines
    }
}

/// Follows the flips of a run.
pub(crate) struct Seu {
    wanted: u32,
    figures: SeuFigures,
}

impl Seu {
    pub(crate) fn new(wanted: u32) -> Self {
        Self { wanted, figures: SeuFigures::default() }
    }

    /// Returns the board whose turn it is.
    pub(crate) fn turn(&self) -> ChannelId {
        self.figures.flips.last().map_or(ChannelId::A, |flip| flip.board.other())
    }

    pub(crate) fn is_done(&self) -> bool {
        self.flips() >= self.wanted
    }

    pub(crate) fn flips(&self) -> u32 {
        self.figures.flips.len() as u32
    }

    pub(crate) fn flipped(&mut self, board: ChannelId, cycle: u32, region: &str, place: String) {
        let region = region.to_owned();
        self.figures.flips.push(Flip { board, cycle, region, place, effect: Effect::None, seen: Vec::new() });
    }

    /// Takes what a board has noted.
    pub(crate) fn happened(&mut self, board: ChannelId, event: &Event, in_words: String) {
        let (about, effect) = match event {
            Event::Repaired { working, checkpoint, digests } => {
                for (region, count) in [("working state", working), ("checkpoint", checkpoint), ("digests", digests)] {
                    (0..*count).for_each(|_| self.repaired(board, region, &in_words));
                }
                return;
            }
            Event::RepairedByPeer(_) | Event::SampleRepaired | Event::ControlRepaired | Event::Recommitted => {
                (Some(board), Effect::Repaired)
            }
            Event::Diagnosed(Diagnosis::Transient(suspects)) => (suspected(*suspects), Effect::Masked),
            Event::Diagnosed(Diagnosis::Faulty(channel, _)) => (Some(*channel), Effect::Returned),
            Event::ModeChanged { from: Mode::Duplex, to: Mode::Starting | Mode::Standby, .. } => {
                (Some(board), Effect::Returned)
            }
            // The other one fell silent, and will be seen to have.
            Event::ModeChanged { .. } | Event::Rejected(_) | Event::Readmitted(_) => return,
            _ => (None, Effect::None),
        };
        self.saw(about, effect, in_words);
    }

    /// A board was booted again.
    pub(crate) fn restarted(&mut self, board: ChannelId, why: &str) {
        self.figures.restarts += 1;
        self.saw(Some(board), Effect::Restarted, format!("{board} booted again: {why}"));
    }

    /// Both boards had latched the safe state, and are booted again.
    pub(crate) fn safe_stop(&mut self) {
        self.figures.safe_stops += 1;
        self.saw(None, Effect::Stopped, "both in the safe state".into());
    }

    /// The pair begins anew: neither board serves, has the state, or lets the other one in.
    pub(crate) fn outage(&mut self, why: &str) {
        self.figures.outages += 1;
        self.saw(None, Effect::Stopped, why.into());
    }

    /// A wrong output reached the plant from a board.
    pub(crate) fn wrong(&mut self, board: Option<ChannelId>, what: String) {
        self.saw(board, Effect::Wrong, what);
    }

    /// Lays a repair of one block or digest to a flip that it can be of.
    fn repaired(&mut self, board: ChannelId, region: &str, what: &str) {
        let mut flips = self.figures.flips.iter_mut();
        let mine = flips.find(|flip| flip.board == board && flip.region == region && flip.effect == Effect::None);
        match mine {
            Some(flip) => {
                flip.effect = Effect::Repaired;
                flip.seen.push(what.to_owned());
            }
            None => self.saw(Some(board), Effect::Repaired, what.to_owned()),
        }
    }

    /// Lays something to the newest flip on a board, or to the newest of all.
    fn saw(&mut self, about: Option<ChannelId>, effect: Effect, what: String) {
        let newest = self.figures.flips.iter_mut().rev().find(|flip| about.is_none_or(|board| flip.board == board));
        if let Some(flip) = newest {
            flip.effect = flip.effect.max(effect);
            flip.seen.push(what);
        }
    }

    pub(crate) fn into_figures(self) -> SeuFigures {
        self.figures
    }
}

/// Returns the one board that is suspected, if it is one.
pub(crate) fn suspected(suspects: Suspects) -> Option<ChannelId> {
    let is = |channel| suspects.intersects(Suspects::channel(channel) | Suspects::comparator(channel));
    match (is(ChannelId::A), is(ChannelId::B)) {
        (true, false) => Some(ChannelId::A),
        (false, true) => Some(ChannelId::B),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};

    fn tell(seu: &mut Seu, board: ChannelId, event: Event) {
        seu.happened(board, &event, String::new());
    }

    #[test]
    fn each_flip_is_laid_what_its_board_shows_and_the_worst_counts() {
        let mut seu = Seu::new(3);
        assert_eq!(seu.turn(), A);
        seu.flipped(A, 10, "working state", "0x20000000".into());
        assert_eq!(seu.turn(), B);
        seu.flipped(B, 12, "stack", "0x2000ff00".into());
        tell(&mut seu, B, Event::Diagnosed(Diagnosis::Transient(Suspects::CHANNEL_A)));
        tell(&mut seu, A, Event::ControlRepaired);
        seu.restarted(B, "silent");
        assert!(!seu.is_done());
        seu.flipped(A, 14, "stack", "0x2000ff04".into());
        assert!(seu.is_done());
        tell(&mut seu, A, Event::Repaired { working: 1, checkpoint: 0, digests: 0 });
        tell(&mut seu, A, Event::Rejected(twinstep::wire::Reject::Crc));
        let figures = seu.into_figures();
        let effects: Vec<Effect> = figures.flips.iter().map(|flip| flip.effect).collect();
        assert_eq!(effects, [Effect::Masked, Effect::Restarted, Effect::Repaired]);
        assert_eq!(
            figures.lines(),
            [
                "         stack: 2 bits flipped: 1 mended, 1 restarted",
                " working state: 1 bits flipped: 1 masked",
                "           all: 3 bits flipped: 1 mended, 1 masked, 1 restarted",
                "1 restarts of a board, 0 safe stops, 0 outages of both",
            ]
        );
    }

    #[test]
    fn what_is_grave_is_named_with_its_place() {
        let mut seu = Seu::new(1);
        seu.flipped(A, 10, "stack", "0x2000ff00 bit 3".into());
        seu.safe_stop();
        assert!(seu.into_figures().lines().contains(&"both stopped: cycle 10, A, 0x2000ff00 bit 3".into()));
    }
}
