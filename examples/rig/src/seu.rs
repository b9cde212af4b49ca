//! Upsets: single bits flipped anywhere in the memory of running boards, and what was seen of each.
//!
//! Mended memory is laid to the oldest flip in that part of the board's memory, all else to the newest flip on the
//! board that it is about: a flip that shows only after the next one on the same board is laid to that one.

use crate::journal::{Logged, in_words};
use serde::{Deserialize, Serialize};
use twinstep::diagnose::{Diagnosis, Suspects};
use twinstep::journal::Event;
use twinstep::{ChannelId, Mode};

/// What was seen of a flip, from the mildest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// A cycle brought the plant no output.
    Lost,
    /// The owner drove nothing any more, though both served, until it was booted again.
    Mute,
    /// Both boards went into the safe state, or lost the state; both were booted again.
    Stopped,
    /// A wrong output reached the plant, damaged by the fault after the check of its seal: what nothing covers.
    Uncovered,
    /// An output reached the plant that the rig's own run of the program contradicts.
    Wrong,
}

/// What is hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Bits of memory.
    #[default]
    Memory,
    /// Registers, and instructions that are skipped, anywhere in the program.
    Registers,
    /// Each instruction from the peer's vote to the actuator, skipped once.
    EveryInstruction {
        /// Which share of them, from 1 on.
        shard: u32,
        /// How many shares there are.
        of: u32,
    },
}

impl Effect {
    pub(crate) const ALL: [Self; 10] = [
        Self::None,
        Self::Repaired,
        Self::Masked,
        Self::Returned,
        Self::Restarted,
        Self::Lost,
        Self::Mute,
        Self::Stopped,
        Self::Uncovered,
        Self::Wrong,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no effect",
            Self::Repaired => "mended",
            Self::Masked => "masked",
            Self::Returned => "left and returned",
            Self::Restarted => "restarted",
            Self::Lost => "output missing",
            Self::Mute => "outputs stopped, restarted",
            Self::Stopped => "both stopped",
            Self::Uncovered => "wrong, behind the seal",
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
    /// The processor was hit behind the check of the seal, on the way to the actuator.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_behind_seal: bool,
    /// Where the run's journal stood.
    #[serde(skip)]
    journal_from: usize,
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
    /// Wrong outputs of faults behind the seal.
    pub(crate) uncovered_outputs: u32,
    /// Faults aimed at instructions that no board came by in time.
    pub(crate) not_reached: u32,
    /// Instructions from the peer's vote to the actuator, how many different ones, and how many are in this share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stretch: Option<[usize; 3]>,
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
            format!("{all} hit: {}", counts.join(", "))
        };
        let mut lines: Vec<String> = regions
            .into_iter()
            .map(|region| format!("{region:>19}: {}", count(&|flip| flip.region == region)))
            .collect();
        lines.push(format!("{:>19}: {}", "all", count(&|_| true)));
        let (restarts, stops, outages) = (self.restarts, self.safe_stops, self.outages);
        lines.push(format!("{restarts} restarts of a board, {stops} safe stops, {outages} outages of both"));
        if let Some([all, different, _]) = self.stretch {
            lines.push(format!("{all} instructions from the vote to the actuator, {different} different ones"));
        }
        if self.not_reached > 0 {
            lines.push(format!("{} faults aimed at what no board came by in time", self.not_reached));
        }
        let grave = (1..).zip(&self.flips).filter(|(_, flip)| flip.effect >= Effect::Lost);
        lines.extend(grave.map(|(number, Flip { effect, cycle, board, place, .. })| {
            format!("{}, as --replay {number} shows: cycle {cycle}, {board}, {place}", effect.name())
        }));
        lines
    }
}

impl SeuFigures {
    /// The last flip, and what both boards noted from then on.
    pub(crate) fn last_lines(&self, journal: &[Logged]) -> Vec<String> {
        let Some(flip) = self.flips.last() else { return vec!["nothing was hit".into()] };
        let Flip { board, cycle, region, place, effect, seen, journal_from, .. } = flip;
        let mut lines = vec![format!("{board} in cycle {cycle}: {region}, {place}: {}", effect.name())];
        lines.extend(seen.iter().map(|seen| format!("  {seen}")));
        lines.extend(journal.iter().skip(*journal_from).map(|logged| {
            format!("  {} in cycle {}: {}", logged.channel, logged.entry.cycle, in_words(&logged.entry.event))
        }));
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

    /// Notes a fault that was injected; the run's journal has so many entries by then.
    pub(crate) fn flipped(&mut self, board: ChannelId, cycle: u32, region: &str, place: String, journal_from: usize) {
        let (region, effect, seen) = (region.to_owned(), Effect::None, Vec::new());
        self.figures.flips.push(Flip {
            board,
            cycle,
            region,
            place,
            effect,
            seen,
            is_behind_seal: false,
            journal_from,
        });
    }

    /// The fault noted last is behind the check of the seal, on the way to the actuator.
    pub(crate) fn is_behind_seal(&mut self) {
        if let Some(flip) = self.figures.flips.last_mut() {
            flip.is_behind_seal = true;
        }
    }

    /// A fault was aimed at what no board came by.
    pub(crate) fn not_reached(&mut self) {
        self.figures.not_reached += 1;
    }

    /// So many instructions are between vote and actuator, of which so many are to be skipped.
    pub(crate) fn follows(&mut self, all: usize, different: usize, wanted: usize) {
        self.figures.stretch = Some([all, different, wanted]);
        self.wanted = self.wanted.min(wanted as u32);
    }

    /// Nothing is left to be hit.
    pub(crate) fn end(&mut self) {
        self.wanted = self.flips();
    }

    /// Takes what a board has noted.
    pub(crate) fn happened(&mut self, board: ChannelId, event: &Event, in_words: String) {
        let (about, effect) = match event {
            Event::Repaired { working, checkpoint, digests } => {
                for (region, count) in [("working state", working), ("checkpoint", checkpoint), ("digests", digests)] {
                    let laid = (0..*count).take_while(|_| self.repaired(board, region, &in_words)).count();
                    if laid < usize::from(*count) {
                        self.saw(Some(board), Effect::Repaired, in_words.clone());
                    }
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

    /// So many cycles brought the plant no output.
    pub(crate) fn lost(&mut self, cycles: u32) {
        self.saw(None, Effect::Lost, format!("outputs of {cycles} cycles missing"));
    }

    /// The owner drives nothing any more.
    pub(crate) fn was_mute(&mut self, owner: ChannelId) {
        self.saw(Some(owner), Effect::Mute, format!("{owner} owned and drove nothing"));
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

    /// A wrong output reached the plant from a board, as the output of cycle `due` was to come.
    /// Returns whether the newest fault on the board excuses it: it hit behind the check of the seal, in that cycle. What
    /// the board says of its cycle may be damaged.
    pub(crate) fn wrong(&mut self, board: Option<ChannelId>, due: u32, what: String) -> bool {
        let is_uncovered = self.newest(board).is_some_and(|flip| flip.is_behind_seal && flip.cycle == due);
        self.figures.uncovered_outputs += u32::from(is_uncovered);
        self.saw(board, if is_uncovered { Effect::Uncovered } else { Effect::Wrong }, what);
        is_uncovered
    }

    /// Lays a repair of one block or digest to a flip that it can be of; returns whether there is one.
    fn repaired(&mut self, board: ChannelId, region: &str, what: &str) -> bool {
        let mut flips = self.figures.flips.iter_mut();
        let mine = flips.find(|flip| flip.board == board && flip.region == region && flip.effect == Effect::None);
        let Some(flip) = mine else { return false };
        flip.effect = Effect::Repaired;
        flip.seen.push(what.to_owned());
        true
    }

    /// Lays something to the newest flip on a board, or to the newest of all.
    fn saw(&mut self, about: Option<ChannelId>, effect: Effect, what: String) {
        if let Some(flip) = self.newest(about) {
            flip.effect = flip.effect.max(effect);
            flip.seen.push(what);
        }
    }

    fn newest(&mut self, on: Option<ChannelId>) -> Option<&mut Flip> {
        self.figures.flips.iter_mut().rev().find(|flip| on.is_none_or(|board| flip.board == board))
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
        seu.flipped(A, 10, "working state", "0x20000000".into(), 0);
        assert_eq!(seu.turn(), B);
        seu.flipped(B, 12, "stack", "0x2000ff00".into(), 0);
        tell(&mut seu, B, Event::Diagnosed(Diagnosis::Transient(Suspects::CHANNEL_A)));
        tell(&mut seu, A, Event::ControlRepaired);
        seu.restarted(B, "silent");
        assert!(!seu.is_done());
        seu.flipped(A, 14, "stack", "0x2000ff04".into(), 0);
        assert!(seu.is_done());
        tell(&mut seu, A, Event::Repaired { working: 1, checkpoint: 0, digests: 0 });
        tell(&mut seu, A, Event::Rejected(twinstep::wire::Reject::Crc));
        let figures = seu.into_figures();
        let effects: Vec<Effect> = figures.flips.iter().map(|flip| flip.effect).collect();
        assert_eq!(effects, [Effect::Masked, Effect::Restarted, Effect::Repaired]);
        assert_eq!(
            figures.lines(),
            [
                "              stack: 2 hit: 1 mended, 1 restarted",
                "      working state: 1 hit: 1 masked",
                "                all: 3 hit: 1 mended, 1 masked, 1 restarted",
                "1 restarts of a board, 0 safe stops, 0 outages of both",
            ]
        );
    }

    #[test]
    fn a_count_that_is_damaged_is_laid_to_a_flip_once() {
        let mut seu = Seu::new(1);
        seu.flipped(A, 10, "core register", "r0".into(), 0);
        tell(&mut seu, A, Event::Repaired { working: 40_000, checkpoint: 0, digests: 1 });
        let figures = seu.into_figures();
        assert_eq!((figures.flips[0].effect, figures.flips[0].seen.len()), (Effect::Repaired, 2));
    }

    #[test]
    fn a_missing_output_is_laid_to_the_newest_flip_and_is_worse_than_a_restart() {
        let mut seu = Seu::new(2);
        seu.flipped(A, 10, "core register", "r0".into(), 0);
        seu.flipped(B, 12, "core register", "r1".into(), 0);
        seu.lost(1);
        seu.restarted(B, "silent");
        let effects = seu.into_figures().flips.into_iter().map(|flip| flip.effect).collect::<Vec<_>>();
        assert_eq!(effects, [Effect::None, Effect::Lost]);
    }

    #[test]
    fn a_fault_that_missed_takes_no_place_of_one_that_hits() {
        let mut seu = Seu::new(u32::MAX);
        seu.follows(9, 9, 2);
        seu.not_reached();
        seu.flipped(A, 10, "instruction skipped", "0x200".into(), 0);
        assert!(!seu.is_done());
        seu.flipped(A, 12, "instruction skipped", "0x202".into(), 0);
        assert!(seu.is_done());
    }

    #[test]
    fn a_wrong_output_is_uncovered_only_if_the_fault_was_behind_the_seal() {
        let mut seu = Seu::new(2);
        seu.flipped(A, 10, "core register", "r0".into(), 0);
        seu.wrong(Some(A), 10, "wrong".into());
        seu.flipped(B, 12, "core register", "r1".into(), 0);
        seu.is_behind_seal();
        seu.wrong(Some(B), 12, "wrong".into());
        let figures = seu.into_figures();
        let effects: Vec<Effect> = figures.flips.iter().map(|flip| flip.effect).collect();
        assert_eq!((effects, figures.uncovered_outputs), (vec![Effect::Wrong, Effect::Uncovered], 1));
    }

    #[test]
    fn what_is_grave_is_named_with_its_place() {
        let mut seu = Seu::new(1);
        seu.flipped(A, 10, "stack", "0x2000ff00 bit 3".into(), 0);
        seu.safe_stop();
        assert!(
            seu.into_figures()
                .lines()
                .contains(&"both stopped, as --replay 1 shows: cycle 10, A, 0x2000ff00 bit 3".into())
        );
    }
}
