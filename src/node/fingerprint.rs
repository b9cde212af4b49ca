//! Fingerprint and copy of a channel, for a model that explores many futures of it (feature `sim`).

use super::Node;
use crate::memory::Cells;
use crate::program::Program;
use core::hash::{Hash, Hasher};

impl<P: Program, const FRAME: usize> Node<'_, P, FRAME> {
    /// Copies the channel onto other memory: both copies go on from here by themselves.
    pub fn copied_onto<'n>(&self, memory: Cells<'n, P::State>) -> Node<'n, P, FRAME> {
        Node {
            me: self.me,
            config: self.config,
            mechanisms: self.mechanisms,
            mirror: self.mirror.copied_onto(memory),
            mode: self.mode,
            epoch: self.epoch,
            newest: self.newest,
            handshake: self.handshake.clone(),
            peer_nonce: self.peer_nonce,
            boot: self.boot,
            cycle: self.cycle,
            progress: self.progress,
            empty: self.empty,
            samples: self.samples.clone(),
            agreed: self.agreed.clone(),
            my_vote: self.my_vote.clone(),
            peer_vote: self.peer_vote.clone(),
            last: self.last.clone(),
            held: self.held,
            pressing: self.pressing,
            copying: self.copying.clone(),
            cut: self.cut,
            mending: self.mending.clone(),
            probation: self.probation,
            is_fork: self.is_fork,
            upgrade: self.upgrade.copied(),
            schedule: self.schedule.clone(),
            outgoing: self.outgoing.clone(),
            faults: self.faults,
            first_fault: self.first_fault,
            counters: self.counters,
            journal: self.journal.clone(),
            health: self.health,
            examination: self.examination,
            diagnosis: self.diagnosis,
            buckets: self.buckets,
            barred: self.barred,
            is_proof_test_due: self.is_proof_test_due,
            proof_tested_in: self.proof_tested_in,
            copies: self.copies,
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
            me,
            config,
            mechanisms: _, // the same throughout a run
            mirror,
            mode,
            epoch,
            newest,
            handshake,
            peer_nonce,
            boot,
            cycle,
            progress,
            empty,
            samples,
            agreed,
            my_vote,
            peer_vote,
            last,
            held,
            pressing,
            copying,
            cut,
            mending,
            probation,
            is_fork,
            upgrade,
            schedule,
            outgoing,
            faults: _,
            first_fault: _,
            counters: _,
            journal: _,
            health,
            examination,
            diagnosis: _,
            buckets,
            barred,
            is_proof_test_due,
            proof_tested_in: _,
            copies: _, // sound: nothing flips in the control data here
            injected,
        } = self;
        (me, config.nonce, mode, epoch, newest, handshake, peer_nonce, boot).hash(hasher);
        mirror.fingerprint(hasher);
        (cycle, progress, empty, samples, agreed, my_vote, peer_vote, last).hash(hasher);
        (held, pressing, copying, cut, mending, probation, is_fork).hash(hasher);
        upgrade.fingerprint(hasher);
        (schedule, outgoing).hash(hasher);
        (health, examination, buckets, barred, is_proof_test_due, injected).hash(hasher);
    }
}
