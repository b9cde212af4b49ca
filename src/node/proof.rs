//! Proof test: the comparator is shown differences on purpose, to see that it still reports them.
//!
//! A comparator that always says "equal" looks like one that works, until it matters. Both votes of
//! a cycle are there and equal byte for byte; a bit of each part of either is flipped, the comparator
//! asked, and the bit flipped back; the next test takes the next bit. Then the votes are compared as ever: the cycle completes with the
//! right output.

use super::{MayUpgrade, Node};
use crate::fault::Faults;
use crate::journal::Event;
use crate::mechanism::Mechanism;
use crate::program::Program;
use crate::vote;
use crate::wire::VOTE_DIGEST_BYTES;
use core::hint::black_box;

/// In which part of a vote's payload a bit is flipped, and what is to be reported then.
#[derive(Clone, Copy)]
enum Shown {
    Input,
    State,
    Output,
}

impl Shown {
    const ALL: [Self; 3] = [Self::Input, Self::State, Self::Output];

    /// Returns the bit that is flipped this time, each in its turn; an empty output has none, and cannot differ.
    fn bit(self, turn: u32, payload_bytes: usize) -> Option<usize> {
        let (first, bits) = match self {
            Self::Input => (0, 32),
            Self::State => (32, 32),
            Self::Output => (VOTE_DIGEST_BYTES * 8, payload_bytes.saturating_sub(VOTE_DIGEST_BYTES) * 8),
        };
        Some(first + (turn as usize).checked_rem(bits)?)
    }

    fn reported_as(self) -> Faults {
        match self {
            Self::Input => Faults::INPUT_DIVERGENCE,
            Self::State => Faults::STATE_DIVERGENCE,
            Self::Output => Faults::OUTPUT_DIVERGENCE,
        }
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Asks for a proof test of the comparator, in the next cycle in which both votes are equal byte
    /// for byte. Its result is an event, and if it fails a fault. It is of this channel's comparator, so
    /// both channels ask; nothing is tested while one serves alone.
    pub fn request_proof_test(&mut self) {
        self.case.ask_for_proof_test();
    }

    /// Asks for a proof test if the last one was so many seconds ago, or there was none since this channel's boot. Call it in each
    /// cycle; once a day, 86,400 seconds, is usual.
    pub fn request_proof_test_every(&mut self, seconds: u32) {
        let period_us = u64::from(self.control.config.period_us());
        let is_due =
            self.proof_test_age().is_none_or(|age| u64::from(age) * period_us >= u64::from(seconds) * 1_000_000);
        if is_due {
            self.request_proof_test();
        }
    }

    /// Returns how many cycles ago the comparator last passed a proof test; `None` if it has not
    /// since this channel's boot, which counts as overdue. Right for 2^31 cycles: 24 days of 1 ms.
    pub fn proof_test_age(&self) -> Option<u32> {
        let passed_in = self.case.proof_tested_in()?;
        Some(self.control.turn.cycle().since(passed_in).unsigned_abs())
    }

    /// Does the proof test, on votes that are equal; false if the comparator failed it.
    pub(super) fn prove_comparator(&mut self) -> bool {
        self.case.begin_proof_test();
        let passed = Shown::ALL.into_iter().all(|shown| self.reports(shown, true) && self.reports(shown, false));
        self.happened(Event::ProofTested { passed });
        if passed {
            self.record.count(|counters| &mut counters.proof_tests);
            self.case.passed_proof_test(self.control.turn.cycle());
        } else {
            self.latch(Faults::PROOF_TEST_FAILED);
        }
        passed
    }

    /// Whether the comparator reports a flipped bit of this channel's vote, or of the peer's.
    fn reports(&mut self, shown: Shown, in_mine: bool) -> bool {
        let is_on = self.mechanisms.on(Mechanism::Vote);
        let turn = self.record.counters().proof_tests;
        let ballot = if in_mine { &mut self.my_vote } else { &mut self.peer_vote };
        let Some(bit) = shown.bit(turn, ballot.length()) else { return true };
        ballot.flip_bit(bit);
        let votes = black_box(&self.my_vote)
            .of(self.control.turn.cycle())
            .zip(black_box(&self.peer_vote).of(self.control.turn.cycle()));
        let reported = votes.map(|(mine, theirs)| vote::difference(&mine, &theirs, is_on));
        let ballot = if in_mine { &mut self.my_vote } else { &mut self.peer_vote };
        ballot.flip_bit(bit);
        reported == Some(shown.reported_as())
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, VOTE_DIGEST_BYTES};
    use std::collections::BTreeSet;

    #[test]
    fn each_bit_of_a_vote_has_its_turn() {
        for output_bytes in [0, 1, 5] {
            let payload_bytes = VOTE_DIGEST_BYTES + output_bytes;
            let shown = |turn| Shown::ALL.into_iter().filter_map(move |shown| shown.bit(turn, payload_bytes));
            let all: BTreeSet<usize> = (0..64).flat_map(shown).collect();
            assert!(all.into_iter().eq(0..payload_bytes * 8), "{output_bytes} bytes of output");
        }
    }
}
