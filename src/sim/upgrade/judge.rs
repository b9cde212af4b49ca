//! Runs both versions beside the pair and judges every released output.
//!
//! The old version is followed from the first cycle on. The new one is followed from each migration on, which the
//! oracle does itself. What a half drives has to be what its version makes of the cycle's input, or what the other one
//! does, if that is the old one: in a trial the old version's output is right at any time.

use super::half::{Half, Version};
use crate::ids::{ChannelId, Cycle};
use crate::mode::Mode;
use crate::program::Program;
use crate::sim::oracle::{Judgement, Oracle};
use crate::sim::report::Report;
use crate::succession::Successor;
use crate::verdict::Outcome;
use std::collections::VecDeque;
use std::vec::Vec;

/// The oracle of a pair that runs two versions: it knows the samples of both channels and when the new version took
/// the state over, and from that which outputs are right.
pub struct TwoOracles<O: Program, N: Program> {
    old: Oracle<O>,
    /// While some half has the new version's state.
    new: Option<Oracle<N>>,
    /// The last judged cycles, the oldest first.
    past: VecDeque<Past>,
    /// The new version has taken over the state after a cycle that was not judged yet.
    due: Option<Cycle>,
    modes: [Option<Mode>; 2],
}

/// A cycle that was judged: who drove, and the old version's states after it.
struct Past {
    cycle: Cycle,
    channel: ChannelId,
    outcome: Outcome,
    states: Vec<Vec<u8>>,
}

/// Cycles after a migration within which one may hear of it.
const PAST_CYCLES: usize = 12;

impl<O, N> TwoOracles<O, N>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    /// Starts from the old version's initial state.
    pub fn new() -> Self {
        Self { old: Oracle::new(), new: None, past: VecDeque::new(), due: None, modes: [None; 2] }
    }

    /// Returns the last cycle whose output was judged right.
    pub fn latest(&self) -> Cycle {
        self.old.latest()
    }

    /// Whether this is a state that the old version may be in after the last judged cycle.
    pub fn holds_old(&self, state: &O::State) -> bool {
        self.old.holds(state)
    }

    /// Notes that a channel fixed its sample.
    pub fn sampled(&mut self, channel: ChannelId, cycle: Cycle, sample: O::Input) {
        if let Some(new) = &mut self.new {
            new.sampled(channel, cycle, sample.clone());
        }
        self.old.sampled(channel, cycle, sample);
    }

    /// Notes that the new version has taken over the old one's state as it was after a cycle, whether the output of that
    /// has been judged or will be.
    pub fn migrated(&mut self, after: Cycle) {
        self.due = None;
        if after.since(self.old.latest()) > 0 {
            self.due = Some(after);
            return;
        }
        let Some(at) = self.past.iter().position(|past| past.cycle == after) else {
            self.new = Some(Oracle::converted(&self.old, N::migrate));
            return;
        };
        let mut new = Oracle::converted_at(&self.old, (after, &self.past[at].states), N::migrate);
        for past in self.past.iter().skip(at + 1) {
            new.pass(past.channel, past.outcome, past.cycle);
        }
        self.new = Some(new);
    }

    /// Notes that a pair of the new version altogether begins with a state of its own.
    pub fn begin_new(&mut self) {
        self.new.get_or_insert_with(|| Oracle::sampled_as(&self.old));
    }

    /// Nobody has the state any more, and the first cycle begins anew. Returns whether there was any state to forget.
    pub fn forget_state(&mut self) -> bool {
        let had_state = self.old.forget_state();
        if had_state {
            (self.new, self.due) = (None, None);
            self.past.clear();
        }
        had_state
    }

    /// Judges an output that a channel released which runs this version.
    pub fn judge(
        &mut self,
        channel: ChannelId,
        version: Version,
        outcome: Outcome,
        cycle: Cycle,
        output: &O::Output,
    ) -> Judgement {
        let mut judgement = Judgement::Wrong;
        if let (Version::New, Some(new)) = (version, &mut self.new) {
            judgement = new.judge(channel, outcome, cycle, output);
        }
        let is_tried = matches!(outcome, Outcome::Tried | Outcome::TookOver);
        if judgement != Judgement::Wrong {
            self.old.pass(channel, outcome, cycle);
        } else if version == Version::Old || is_tried {
            judgement = self.old.judge(channel, outcome, cycle, output);
        }
        if judgement != Judgement::Wrong
            && let Some(new) = &mut self.new
        {
            new.pass(channel, outcome, cycle);
        }
        self.remember(channel, outcome);
        judgement
    }

    fn remember(&mut self, channel: ChannelId, outcome: Outcome) {
        let cycle = self.old.latest();
        if self.past.back().is_some_and(|past| past.cycle == cycle) {
            return;
        }
        self.past.push_back(Past { cycle, channel, outcome, states: self.old.states().to_vec() });
        if self.past.len() > PAST_CYCLES {
            self.past.pop_front();
        }
        if let Some(after) = self.due.filter(|after| cycle.since(*after) >= 0) {
            self.migrated(after);
        }
    }

    /// A half that begins a trial with a state of the new version has it from the old one's of now. A pair that is of
    /// the new version altogether and begins anew has it from nowhere.
    pub(super) fn observe<F>(&mut self, halves: &[Option<Half<'_, O, F>>; 2])
    where
        F: Program<Input = O::Input, Output = O::Output>,
    {
        let modes = halves.each_ref().map(|half| half.as_ref().map(Half::mode));
        for (at, half) in halves.iter().enumerate() {
            let is_new = half.as_ref().is_some_and(|half| half.version() == Version::New);
            let was = self.modes[at].replace(Mode::Starting);
            if is_new && modes[at] == Some(Mode::Trial) && was == Some(Mode::Joining) {
                self.migrated(self.old.latest());
            }
        }
        let is_all_new = halves.iter().all(|half| half.as_ref().is_none_or(|half| half.version() == Version::New));
        if is_all_new {
            self.begin_new();
        }
        self.modes = modes;
    }

    /// Takes an output that a channel drove, which may be of a version `F` that is not what it should be.
    pub(super) fn drive<F>(
        &mut self,
        report: &mut Report,
        channel: ChannelId,
        version: Version,
        outcome: Outcome,
        (cycle, output): (Cycle, &O::Output),
        half: Option<&Half<'_, O, F>>,
    ) where
        F: Program<Input = O::Input, Output = O::Output, State = N::State>,
    {
        let stood_by = self.modes[channel.index()] == Some(Mode::Standby) && outcome == Outcome::TookOver;
        let is_behind = cycle.since(self.old.latest()) <= 0;
        if let (Some(half), true) = (half.filter(|half| half.cycle() == cycle), stood_by && is_behind) {
            report.went_back += 1;
            match half {
                Half::Old(node) => self.old.go_back(cycle, node.state(), output),
                Half::New(node) => {
                    let new = self.new.get_or_insert_with(Oracle::new);
                    new.go_back(cycle, node.state(), output);
                    self.old.set_latest(cycle);
                }
            }
            report.released += 1;
            return;
        }
        match self.judge(channel, version, outcome, cycle, output) {
            Judgement::Right => report.released += 1,
            Judgement::RightAfterGap(gap) => {
                report.released += 1;
                report.missing += gap;
            }
            Judgement::Wrong => report.wrong += 1,
        }
    }
}

impl<O, N> Default for TwoOracles<O, N>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    fn default() -> Self {
        Self::new()
    }
}
