//! What a target is like before an injection, and what is seen of it since.

use super::classify::Observed;
use super::target::Target;
use crate::mode::Mode;
use crate::sim::Report;

/// A target under observation.
pub(super) struct Watch {
    before: Report,
    latest: u32,
    silent: u32,
    periods: u32,
    /// Both were restarted by hand: the state is gone on purpose.
    pub(super) was_helped: bool,
    /// Periods until something was noticed.
    pub(super) latency: Option<u32>,
    pub(super) seen: Observed,
}

impl Watch {
    pub(super) fn new(pair: &dyn Target, patience: u8) -> Self {
        let seen = Observed { patience: patience.into(), ..Observed::default() };
        Self {
            before: pair.report(),
            latest: pair.view().latest,
            silent: 0,
            periods: 0,
            was_helped: false,
            latency: None,
            seen,
        }
    }

    /// Looks at the pair once a period.
    pub(super) fn look(&mut self, pair: &dyn Target) {
        let view = pair.view();
        self.silent = if view.latest == self.latest { self.silent + 1 } else { 0 };
        self.latest = view.latest;
        self.seen.silent_periods = self.seen.silent_periods.max(self.silent);
        self.seen.went_safe |= view.is_safe();
        self.seen.left_duplex |= view.modes.iter().any(|mode| *mode != Some(Mode::Duplex));
        if self.latency.is_none() && (noticed(&pair.report()) > noticed(&self.before) || self.seen.left_duplex) {
            self.latency = Some(self.periods);
        }
        self.periods += 1;
    }

    /// Takes the sums; returns whether votes differed.
    pub(super) fn finish(&mut self, pair: &mut dyn Target) -> bool {
        let (before, after) = (self.before, pair.report());
        let seen = &mut self.seen;
        seen.wrong_outputs = after.wrong - before.wrong + after.unvoted_in_duplex - before.unvoted_in_duplex;
        seen.wrong_outputs += after.too_old - before.too_old;
        seen.owners_max = after.owners_max;
        seen.missing = after.missing - before.missing;
        seen.damaged = after.damaged - before.damaged;
        seen.went_safe |= after.safe > before.safe;
        seen.left_duplex |= after.mode_changes > before.mode_changes;
        seen.broken_invariants = after.broken_invariants - before.broken_invariants;
        seen.crashes = after.crashes - before.crashes;
        seen.held = after.held - before.held;
        seen.found_values = values(&after) - values(&before);
        seen.found_else = noticed(&after) - noticed(&before);
        // Nobody restarted both, and yet nobody has the state any more, or an older one goes on.
        // A survivor whose memory was beyond repair has left, and they begin anew: it has stopped for good reason.
        let has_left = after.self_exclusions > before.self_exclusions && after.states_lost > before.states_lost;
        seen.went_safe |= has_left && !self.was_helped;
        let is_lost = !has_left && after.states_lost > before.states_lost || after.went_back > before.went_back;
        seen.is_back &= self.was_helped || !is_lost;
        if seen.is_back {
            let found = pair.inspect();
            (seen.wrong_state, seen.left_damage) = (!found.is_right, !found.is_sound);
        }
        after.diverged > before.diverged
    }
}

/// Values found wrong or damaged in a cycle.
fn values(report: &Report) -> u32 {
    report.diverged + report.recommitted + report.control_repairs
}

/// All that is ever noticed.
fn noticed(report: &Report) -> u32 {
    let link = report.rejected + report.repeated;
    let service = report.held + report.takeovers + report.refused + report.safe + report.damaged + report.cut_off;
    values(report) + link + service + report.repairs + report.self_exclusions + report.mode_changes
}
