//! Ways into service and out of it, but for a claim: `takeover` and `boot` have that.

use super::{MayUpgrade, Node};
use crate::ids::{Cycle, Instant, Phase, Stage};
use crate::journal::Event;
use crate::lease::Grounds;
use crate::mode::ModeEvent;
use crate::program::Program;
use crate::upgrade::StepEvent;

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Both go on from the same state, or from one and what became of it in another version, the next cycle
    /// beginning at `start`.
    pub(super) fn enter_duplex(&mut self, now: Instant, start: Instant) {
        let (mode, step) = if U::pairs(self) {
            (ModeEvent::TrialBegins, StepEvent::TrialBegan)
        } else {
            (ModeEvent::CutOver, StepEvent::Duplex)
        };
        self.change_mode(now, mode);
        U::steps_on(self, step);
        self.forget_cycle();
        self.control.standing.pair();
        self.meeting.pairs();
        self.control.suspicion.forget_lateness();
        self.silence.ends();
        self.outgoing.restart(Phase::new(self.control.turn.cycle(), Stage::Settled));
        self.schedule.start_at(start);
    }

    /// Talks to this boot of the peer from now on: what was on its way with an earlier one is void.
    pub(super) fn meet(&mut self, nonce: u32) {
        if self.control.standing.peer_nonce() != nonce {
            U::forgets_partner(self);
        }
        self.control.standing.meet(nonce);
    }

    /// Leaves service without having lost anything; an empty channel starts over instead, as does one
    /// that was found faulty: nobody is to go on from its state.
    pub(super) fn stand_by(&mut self, now: Instant, event: ModeEvent) {
        let is_faulty = self.control.suspicion.is_barred(self.control.config.me())
            || self.case.found_faulty(self.control.turn.cycle(), self.control.config.me());
        self.change_mode(now, event);
        if self.control.standing.is_empty() || is_faulty {
            self.start_over(now);
        }
    }

    /// Takes this channel out of service, its memory beyond repair or itself found faulty: the peer goes on.
    pub(super) fn exclude_myself(&mut self, now: Instant) {
        self.record.count(|counters| &mut counters.self_exclusions);
        self.happened(Event::Excluded(self.control.config.me()));
        self.start_over(now);
    }

    /// Goes back to waiting for the peer, as empty as at boot.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.change_mode(now, ModeEvent::StartOver);
        self.stop_booting();
        self.meeting.nobody_serves();
        self.copying.allow_again();
        self.case.forget_proof_test(); // cycles are counted anew
        U::starts_over(self);
        self.control.standing.start_over();
        self.silence.ends();
        self.control.turn.go_on_from(Cycle(0));
        self.forget_cycle();
        self.mirror.reset(P::init);
    }

    /// Does nothing but say `Hello`, whatever it was about to do.
    pub(super) fn stop_booting(&mut self) {
        self.meeting.listen();
        if self.control.claim.on(Grounds::First).is_some() {
            self.control.claim.end();
        }
    }

    /// Forgets what belongs to a cycle: the next one begins from the checkpoint.
    pub(super) fn forget_cycle(&mut self) {
        self.control.turn.forget();
        self.samples.clear();
        self.stepped.forget();
        self.case.close();
        self.control.suspicion.forget_health();
        self.my_vote.forget();
        self.peer_vote.forget();
    }
}
