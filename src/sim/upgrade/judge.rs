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

pub(super) struct TwoOracles<O: Program, N: Program> {
    old: Oracle<O>,
    /// While some half has the new version's state.
    new: Option<Oracle<N>>,
    modes: [Option<Mode>; 2],
}

impl<O, N> TwoOracles<O, N>
where
    O: Program,
    N: Successor<Input = O::Input, Output = O::Output, OldState = O::State>,
{
    pub(super) fn new() -> Self {
        Self { old: Oracle::new(), new: None, modes: [None; 2] }
    }

    pub(super) fn latest(&self) -> Cycle {
        self.old.latest()
    }

    pub(super) fn sampled(&mut self, channel: ChannelId, cycle: Cycle, sample: O::Input) {
        if let Some(new) = &mut self.new {
            new.sampled(channel, cycle, sample.clone());
        }
        self.old.sampled(channel, cycle, sample);
    }

    pub(super) fn forget_state(&mut self) -> bool {
        let had_state = self.old.forget_state();
        if had_state {
            self.new = None;
        }
        had_state
    }

    /// A half that begins a trial with a state of the new version has it from the old one's of now. A pair that is of
    /// the new version altogether and begins anew has it from nowhere.
    pub(super) fn observe(&mut self, halves: &[Option<Half<'_, O, N>>; 2]) {
        let modes = halves.each_ref().map(|half| half.as_ref().map(Half::mode));
        for (at, half) in halves.iter().enumerate() {
            let is_new = half.as_ref().is_some_and(|half| half.version() == Version::New);
            let was = self.modes[at].replace(Mode::Starting);
            if is_new && modes[at] == Some(Mode::Trial) && was == Some(Mode::Joining) {
                self.new = Some(Oracle::converted(&self.old, N::migrate));
            }
        }
        let is_all_new = halves.iter().all(|half| half.as_ref().is_none_or(|half| half.version() == Version::New));
        if self.new.is_none() && is_all_new {
            self.new = Some(Oracle::sampled_as(&self.old));
        }
        self.modes = modes;
    }

    /// Takes an output that a channel drove.
    pub(super) fn drive(
        &mut self,
        report: &mut Report,
        channel: ChannelId,
        version: Version,
        outcome: Outcome,
        (cycle, output): (Cycle, &O::Output),
        half: Option<&Half<'_, O, N>>,
    ) {
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
        let mut judgement = Judgement::Wrong;
        if let (Version::New, Some(new)) = (version, &mut self.new) {
            judgement = new.judge(channel, outcome, cycle, output);
        }
        if judgement == Judgement::Wrong {
            judgement = self.old.judge(channel, outcome, cycle, output);
        } else {
            self.old.pass(channel, outcome, cycle);
        }
        if judgement != Judgement::Wrong
            && let Some(new) = &mut self.new
        {
            new.pass(channel, outcome, cycle);
        }
        match judgement {
            Judgement::Right => report.released += 1,
            Judgement::RightAfterGap(gap) => {
                report.released += 1;
                report.missing += gap;
            }
            Judgement::Wrong => report.wrong += 1,
        }
    }
}
