//! Fingerprint and copy of a channel, for a model that explores many futures of it (feature `sim`).

use super::control::Control;
use super::{MayUpgrade, Node};
use crate::memory::Cells;
use crate::program::Program;
use core::hash::{Hash, Hasher};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Copies the channel onto other memory: both copies go on from here by themselves.
    pub fn copied_onto<'n>(&self, memory: Cells<'n, P::State>) -> Node<'n, P, FRAME, U> {
        Node {
            control: self.control,
            copies: self.copies,
            mechanisms: self.mechanisms,
            mirror: self.mirror.copied_onto(memory),
            meeting: self.meeting.clone(),
            samples: self.samples.clone(),
            stepped: self.stepped.clone(),
            my_vote: self.my_vote.clone(),
            peer_vote: self.peer_vote.clone(),
            copying: self.copying.clone(),
            mending: self.mending.clone(),
            drop_resend_at: self.drop_resend_at,
            leased: self.leased,
            asked: self.asked,
            silence: self.silence.clone(),
            remembered: self.remembered,
            upgrade: self.upgrade.copied(),
            time: self.time.clone(),
            schedule: self.schedule.clone(),
            outgoing: self.outgoing.clone(),
            record: self.record.clone(),
            case: self.case.clone(),
            injected: self.injected,
        }
    }

    /// Feeds all that bears on what the channel does from here on. Left out is what it only
    /// tells: counters, faults and the record of the first one. An
    /// [`Instant`](crate::Instant) is the only thing fed as a `u64`, so that a hasher can take
    /// times relative to its own.
    pub fn fingerprint(&self, hasher: &mut impl Hasher)
    where
        P::Input: Hash,
        P::Output: Hash,
    {
        // All fields by name, so that a new one cannot be forgotten.
        let Self {
            control,
            copies: _,     // sound: nothing flips in the control data here
            mechanisms: _, // the same throughout a run
            mirror,
            meeting,
            samples,
            stepped,
            my_vote,
            peer_vote,
            copying,
            mending,
            drop_resend_at,
            leased: _, // only told to the arbiter
            asked: _,
            silence,
            remembered: _,
            upgrade,
            time: _, // where its own clock stands
            schedule,
            outgoing,
            record: _, // only told
            case,
            injected,
        } = self;
        let Control { config, standing, turn, claim, suspicion, undertaking } = control;
        (config.me(), config.nonce(), standing, turn, claim, suspicion, undertaking).hash(hasher);
        silence.hash(hasher);
        meeting.hash(hasher);
        mirror.fingerprint(hasher);
        (samples, stepped, my_vote, peer_vote).hash(hasher);
        (copying, mending).hash(hasher);
        claim.has_let_go().then_some(drop_resend_at).hash(hasher);
        upgrade.fingerprint(hasher);
        (schedule, outgoing).hash(hasher);
        (case, injected).hash(hasher);
    }
}
