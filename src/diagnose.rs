//! DIAGNOSE  who was wrong: a pure function of both sides' evidence.
//!
//! Votes that differ do not say who is wrong. Both channels then check the checkpoint, roll back to
//! it, step once more on the same agreed input, and exchange what they found. The first rule that
//! applies decides, and both get the same answer from the same pair:
//!
//! ```text
//! the second results                         who was wrong
//! 1  agree                                   Transient: the result is released. Suspected is who
//!                                              changed its result between first and second;
//!                                              else who recorded the other's vote as another:
//!                                              the path between them (which end, nobody knows);
//!                                              else who claimed a mismatch where there is none:
//!                                              its comparator
//!    differ, and one side had settled:       the other one, if its result changed or its checkpoint is damaged. One whose results
//!                                              are the same had voted so: who settled on another one
//!                                              has it wrong, or lies
//! 2  differ, only one checkpoint is damaged: that channel
//! 3  differ, only one result changed:        that channel
//! 4  differ, one self-test or hardware fails: that channel
//! 5  differ                                  Unattributed: a policy decides
//! ```
//!
//! That votes are for different inputs blames nobody by itself: the samples are checked before the
//! second step as before the first, and by the rules above an input that still differs is a result
//! that still differs.

use crate::fault::{Health, flags_are_named};
use crate::ids::ChannelId;
use crate::wire::{EvidencePayload, Finding};
use serde::{Deserialize, Serialize};

bitflags::bitflags! {
    /// Who or what is suspected of a transient fault.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Suspects: u8 {
        /// Channel A computed or kept a result wrongly.
        const CHANNEL_A = 1;
        /// Channel B did.
        const CHANNEL_B = 2;
        /// A vote was damaged on its way: in a transmitter, on the link, or in a receiver.
        const PATH = 4;
        /// The comparator of A saw a difference where there was none.
        const COMPARATOR_A = 8;
        /// The comparator of B did.
        const COMPARATOR_B = 16;
    }
}

impl Suspects {
    /// Returns the flag of a channel.
    pub const fn channel(channel: ChannelId) -> Self {
        match channel {
            ChannelId::A => Self::CHANNEL_A,
            ChannelId::B => Self::CHANNEL_B,
        }
    }

    /// Returns the flags of a channel and of its comparator.
    pub const fn of(channel: ChannelId) -> Self {
        Self::channel(channel).union(Self::comparator(channel))
    }

    /// Returns the flag of a channel's comparator.
    pub const fn comparator(channel: ChannelId) -> Self {
        match channel {
            ChannelId::A => Self::COMPARATOR_A,
            ChannelId::B => Self::COMPARATOR_B,
        }
    }
}

flags_are_named!(Suspects, u8);

/// What one channel found when the votes of a cycle differed. Votes are told apart by their digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Evidence {
    /// Every block of the checkpoint holds its digest, if need be after it was mended.
    pub checkpoint_holds: bool,
    /// The channel saw the votes differ, rather than hearing of it.
    pub saw_mismatch: bool,
    /// The channel saw no difference and has done the cycle: its result is final.
    pub is_settled: bool,
    /// The vote that the channel cast first.
    pub first: u32,
    /// The peer's first vote as the channel had it, if it had.
    pub peer_first: Option<u32>,
    /// The vote for what stepping once more came to.
    pub second: u32,
    /// What the channel says of its own health in this cycle.
    pub health: Health,
}

impl Evidence {
    /// Reads the evidence of a frame; `second` is the digest of the vote in it.
    pub fn of_payload(payload: &EvidencePayload<'_>, is_settled: bool, second: u32) -> Option<Self> {
        let findings = Finding::from_bits(payload.findings)?;
        Some(Self {
            checkpoint_holds: findings.contains(Finding::CHECKPOINT_HOLDS),
            saw_mismatch: findings.contains(Finding::SAW_MISMATCH),
            is_settled,
            first: payload.first,
            peer_first: findings.contains(Finding::HAD_PEER_VOTE).then_some(payload.peer_first),
            second,
            health: Health::from_bits(payload.health)?,
        })
    }

    /// Returns the payload that says this, with the bucket levels and the second vote.
    pub fn payload<'b>(&self, levels: [u8; 5], vote: &'b [u8]) -> EvidencePayload<'b> {
        let mut findings = Finding::empty();
        findings.set(Finding::CHECKPOINT_HOLDS, self.checkpoint_holds);
        findings.set(Finding::SAW_MISMATCH, self.saw_mismatch);
        findings.set(Finding::HAD_PEER_VOTE, self.peer_first.is_some());
        EvidencePayload {
            findings: findings.bits(),
            health: self.health.bits(),
            first: self.first,
            peer_first: self.peer_first.unwrap_or_default(),
            levels,
            vote,
        }
    }

    /// Whether the channel's self-test failed or its hardware reported an error. Memory that was mended
    /// speaks against nobody: the second result is from mended memory.
    pub const fn is_impeached(&self) -> bool {
        self.health.intersects(Health::SELF_TEST_FAILED.union(Health::HARDWARE))
    }

    /// Whether something of its own speaks against its result.
    const fn is_in_doubt(&self) -> bool {
        self.is_unstable() || !self.checkpoint_holds
    }

    /// Whether stepping once more gave another result.
    pub const fn is_unstable(&self) -> bool {
        self.first != self.second
    }
}

/// Why a channel counts as faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// The other channel had settled, and stepping once more did not arrive at its result.
    Settled,
    /// Its checkpoint is damaged.
    Checkpoint,
    /// It gave two results for the same input from the same state.
    Unstable,
    /// Its self-test failed, or its hardware reported an error.
    Health,
    /// It was suspected too often.
    TooOften,
    /// Nothing proves anything; the policy prefers the other channel.
    Policy,
}

/// What came of the evidence, and what is left to be done:
///
/// | diagnosis | what the pair has done | what a person does |
/// |---|---|---|
/// | `Transient` | released the right output in its cycle | nothing; watch [`buckets`](crate::Node::buckets): which suspect fills |
/// | `Faulty`, `Settled` to `Health` | went on without that channel, which joins again as an empty one | looks at that channel's memory, processor, sensors |
/// | `Faulty`, `TooOften` | the same, and barred it | repairs it, then [`readmit`](crate::Node::readmit) |
/// | `Faulty`, `Policy` | went on with the preferred one | finds out which is right: nothing proves it |
/// | `Unattributed` | both in the safe state, until they are booted anew | reads both black boxes first: a reboot of both begins from `init`. Suspects the program |
///
/// [`hint`](Self::hint) says the third column in a line of text.
///
/// A suspect `PATH` is the link and both its ends, a comparator its channel's processor or memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Diagnosis {
    /// Stepping once more, both agree: that result is released.
    Transient(Suspects),
    /// This channel is faulty; the other one goes on.
    Faulty(ChannelId, Reason),
    /// Both stand by their results, and nothing speaks against either.
    Unattributed,
}

impl Diagnosis {
    /// Returns what to look at first, for a log or a display. What is known without the evidence;
    /// [`FirstFault::hint`](crate::journal::FirstFault::hint) knows more.
    ///
    /// ```
    /// use twinstep::Diagnosis;
    /// assert!(Diagnosis::Unattributed.hint().starts_with("suspect the program"));
    /// ```
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Transient(suspects) if suspects.contains(Suspects::CHANNEL_A.union(Suspects::CHANNEL_B)) => {
                "suspect the program: both channels changed their result"
            }
            Self::Transient(_) => "masked: watch which suspect comes again",
            Self::Faulty(_, Reason::TooOften) => "repair that channel, then readmit it",
            Self::Faulty(_, Reason::Policy) | Self::Unattributed => {
                "suspect the program: nothing speaks against one channel alone"
            }
            Self::Faulty(..) => "look at that channel: memory, processor, supply",
        }
    }

    /// Returns what to look at first, from the evidence of A and B as far as it is there.
    pub const fn hint_from(self, evidence: &[Option<Evidence>; 2]) -> &'static str {
        if !matches!(self, Self::Unattributed | Self::Faulty(_, Reason::Policy)) {
            return self.hint();
        }
        let [Some(a), Some(b)] = evidence else {
            return "look at the link: the evidence of a channel did not come in time";
        };
        if !a.checkpoint_holds && !b.checkpoint_holds {
            return "look at what both channels share, such as the supply: both checkpoints are damaged";
        }
        if a.is_impeached() && b.is_impeached() {
            return "look at what both channels share, such as the supply: neither is healthy";
        }
        match (a.is_unstable(), b.is_unstable()) {
            (false, false) => "suspect the program: both channels stand by their results (try check_pure)",
            (true, true) => "suspect the program: both channels changed their result (try check_pure)",
            _ => self.hint(),
        }
    }
}

/// Tells who was wrong from the evidence of A and B. `agree`: the voter accepts the second results.
pub fn diagnose(a: &Evidence, b: &Evidence, agree: bool) -> Diagnosis {
    if agree {
        return Diagnosis::Transient(suspects(a, b));
    }
    let only = |of_a: bool, of_b: bool| match (of_a, of_b) {
        (true, false) => Some(ChannelId::A),
        (false, true) => Some(ChannelId::B),
        _ => None,
    };
    let rules = [
        (only(b.is_settled && a.is_in_doubt(), a.is_settled && b.is_in_doubt()), Reason::Settled),
        (only(!a.checkpoint_holds, !b.checkpoint_holds), Reason::Checkpoint),
        (only(a.is_unstable(), b.is_unstable()), Reason::Unstable),
        (only(a.is_impeached(), b.is_impeached()), Reason::Health),
    ];
    let found = rules.into_iter().find_map(|(channel, proof)| Some((channel?, proof)));
    found.map_or(Diagnosis::Unattributed, |(channel, proof)| Diagnosis::Faulty(channel, proof))
}

fn suspects(a: &Evidence, b: &Evidence) -> Suspects {
    let misread = |by: &Evidence, of: &Evidence| by.peer_first.is_some_and(|seen| seen != of.first);
    let mut suspects = Suspects::empty();
    suspects.set(Suspects::CHANNEL_A, a.is_unstable());
    suspects.set(Suspects::CHANNEL_B, b.is_unstable());
    if suspects.is_empty() && (misread(a, b) || misread(b, a)) {
        suspects = Suspects::PATH;
    }
    if suspects.is_empty() {
        suspects.set(Suspects::COMPARATOR_A, a.saw_mismatch);
        suspects.set(Suspects::COMPARATOR_B, b.saw_mismatch);
    }
    suspects
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChannelId::{A, B};
    use Diagnosis::{Faulty, Transient, Unattributed};
    use std::collections::BTreeMap;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    /// The first votes, as digests. That they differ is no matter here: who claims it is.
    const FIRST: [u32; 2] = [0xA0, 0xB0];

    /// What a channel has of the other one's first vote.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Record {
        None,
        Right,
        Wrong,
    }

    /// Evidence as it reads in a row of the table.
    #[derive(Clone, Copy, Debug)]
    struct Row {
        holds: bool,
        unstable: bool,
        ill: bool,
        record: Record,
        saw: bool,
        settled: bool,
    }

    /// A channel against which nothing speaks.
    const CLEAN: Row =
        Row { holds: true, unstable: false, ill: false, record: Record::Right, saw: true, settled: false };

    impl Row {
        fn all() -> Vec<Self> {
            let mut rows = Vec::new();
            for bits in 0..32_u32 {
                let [holds, unstable, ill, saw, settled] = [1, 2, 4, 8, 16].map(|bit| bits & bit != 0);
                for record in [Record::None, Record::Right, Record::Wrong] {
                    rows.push(Self { holds, unstable, ill, record, saw, settled });
                }
            }
            rows
        }

        fn evidence(self, first: u32, of_peer: u32) -> Evidence {
            Evidence {
                checkpoint_holds: self.holds,
                saw_mismatch: self.saw,
                is_settled: self.settled,
                first,
                peer_first: match self.record {
                    Record::None => None,
                    Record::Right => Some(of_peer),
                    Record::Wrong => Some(of_peer ^ 1),
                },
                second: first ^ u32::from(self.unstable),
                health: if self.ill { Health::HARDWARE } else { Health::empty() },
            }
        }
    }

    fn diagnosis(a: Row, b: Row, agree: bool) -> Diagnosis {
        let [first_a, first_b] = FIRST;
        diagnose(&a.evidence(first_a, first_b), &b.evidence(first_b, first_a), agree)
    }

    /// The specification, written another way: what speaks against a channel is a number, the
    /// weightier charge in the higher bit, and the highest bit in which the two differ decides.
    fn specified(a: Row, b: Row, agree: bool) -> Diagnosis {
        if agree {
            let wrong_record = a.record == Record::Wrong || b.record == Record::Wrong;
            return Transient(match (a.unstable, b.unstable) {
                (true, true) => Suspects::CHANNEL_A | Suspects::CHANNEL_B,
                (true, false) => Suspects::CHANNEL_A,
                (false, true) => Suspects::CHANNEL_B,
                (false, false) if wrong_record => Suspects::PATH,
                (false, false) => match (a.saw, b.saw) {
                    (true, true) => Suspects::COMPARATOR_A | Suspects::COMPARATOR_B,
                    (true, false) => Suspects::COMPARATOR_A,
                    (false, true) => Suspects::COMPARATOR_B,
                    (false, false) => Suspects::empty(),
                },
            });
        }
        let charges = |own: Row, other: Row| {
            let settled_on = other.settled && (own.unstable || !own.holds);
            let weights = [(settled_on, 8), (!own.holds, 4), (own.unstable, 2), (own.ill, 1)];
            weights.iter().map(|(applies, weight)| if *applies { *weight } else { 0 }).sum::<u8>()
        };
        let (against_a, against_b) = (charges(a, b), charges(b, a));
        let faulty = if against_a > against_b { A } else { B };
        match against_a ^ against_b {
            0 => Unattributed,
            8.. => Faulty(faulty, Reason::Settled),
            4.. => Faulty(faulty, Reason::Checkpoint),
            2.. => Faulty(faulty, Reason::Unstable),
            1 => Faulty(faulty, Reason::Health),
        }
    }

    fn each_pair(mut look: impl FnMut(Row, Row, bool)) {
        for a in Row::all() {
            for b in Row::all() {
                for agree in [false, true] {
                    look(a, b, agree);
                }
            }
        }
    }

    #[test]
    fn truth_table() {
        let mut tally = BTreeMap::<String, u32>::new();
        each_pair(|a, b, agree| {
            let found = diagnosis(a, b, agree);
            assert_eq!(found, specified(a, b, agree), "agree {agree}\nA {a:?}\nB {b:?}");
            *tally.entry(format!("{found:?}")).or_default() += 1;
        });
        let tally: Vec<_> = tally.iter().map(|(found, count)| (found.as_str(), *count)).collect();
        // Of 96 * 96 pairs that do not agree, fewer than half differ in the weightiest charge, of the rest half in the next one, and so on
        // down; of as many that do, a quarter each has A, B, both or neither unstable.
        assert_eq!(
            tally,
            [
                ("Faulty(A, Checkpoint)", 1152),
                ("Faulty(A, Health)", 360),
                ("Faulty(A, Settled)", 2160),
                ("Faulty(A, Unstable)", 576),
                ("Faulty(B, Checkpoint)", 1152),
                ("Faulty(B, Health)", 360),
                ("Faulty(B, Settled)", 2160),
                ("Faulty(B, Unstable)", 576),
                ("Transient(Suspects(0x0))", 256),
                ("Transient(Suspects(CHANNEL_A | CHANNEL_B))", 2304),
                ("Transient(Suspects(CHANNEL_A))", 2304),
                ("Transient(Suspects(CHANNEL_B))", 2304),
                ("Transient(Suspects(COMPARATOR_A | COMPARATOR_B))", 256),
                ("Transient(Suspects(COMPARATOR_A))", 256),
                ("Transient(Suspects(COMPARATOR_B))", 256),
                ("Transient(Suspects(PATH))", 1280),
                ("Unattributed", 720),
            ]
        );
    }

    /// Where nothing speaks against one side alone, the program is suspected, unless both sides are damaged.
    #[test]
    fn the_hint_suspects_the_program_where_the_hardware_is_sound() {
        let policy = Faulty(A, Reason::Policy);
        each_pair(|a, b, agree| {
            if agree || diagnosis(a, b, agree) != Unattributed {
                return;
            }
            let [first_a, first_b] = FIRST;
            let evidence = [Some(a.evidence(first_a, first_b)), Some(b.evidence(first_b, first_a))];
            let is_sound = (a.holds || b.holds) && !(a.ill && b.ill);
            for found in [Unattributed, policy] {
                let hint = found.hint_from(&evidence);
                assert_eq!(hint.starts_with("suspect the program"), is_sound, "{hint}\nA {a:?}\nB {b:?}");
            }
        });
        let [first_a, first_b] = FIRST;
        let evidence = CLEAN.evidence(first_a, first_b);
        for missing in [[None, Some(evidence)], [Some(evidence), None], [None; 2]] {
            assert!(Unattributed.hint_from(&missing).starts_with("look at the link"));
        }
        assert!(Unattributed.hint().starts_with("suspect the program"));
        assert!(policy.hint().starts_with("suspect the program"));
        let both = Transient(Suspects::CHANNEL_A | Suspects::CHANNEL_B);
        assert!(both.hint().starts_with("suspect the program"));
        for other in [Transient(Suspects::CHANNEL_A), Faulty(B, Reason::Unstable), Faulty(A, Reason::TooOften)] {
            assert_eq!(other.hint(), other.hint_from(&[Some(evidence); 2]));
            assert!(!other.hint().contains("program"), "{other:?}");
        }
    }

    #[test]
    fn a_and_b_are_treated_alike() {
        let mirrored = |found| match found {
            Faulty(channel, proof) => Faulty(channel.other(), proof),
            Unattributed => Unattributed,
            Transient(suspects) => Transient(suspects.iter().fold(Suspects::empty(), |mirrored, suspect| {
                mirrored
                    | match suspect {
                        Suspects::CHANNEL_A => Suspects::CHANNEL_B,
                        Suspects::CHANNEL_B => Suspects::CHANNEL_A,
                        Suspects::COMPARATOR_A => Suspects::COMPARATOR_B,
                        Suspects::COMPARATOR_B => Suspects::COMPARATOR_A,
                        other => other,
                    }
            })),
        };
        each_pair(|a, b, agree| {
            assert_eq!(diagnosis(b, a, agree), mirrored(diagnosis(a, b, agree)), "agree {agree}\nA {a:?}\nB {b:?}");
        });
    }

    /// Rule 1.
    #[test]
    fn who_changed_its_result_was_wrong() {
        let flipped = Row { unstable: true, ..CLEAN };
        assert_eq!(diagnosis(flipped, CLEAN, true), Transient(Suspects::CHANNEL_A));
        assert_eq!(diagnosis(CLEAN, flipped, true), Transient(Suspects::CHANNEL_B));
        assert_eq!(diagnosis(flipped, flipped, true), Transient(Suspects::CHANNEL_A | Suspects::CHANNEL_B));
        // A wrong record beside it is the other one's second word against a known culprit.
        let misled = Row { record: Record::Wrong, ..CLEAN };
        assert_eq!(diagnosis(flipped, misled, true), Transient(Suspects::CHANNEL_A));
    }

    /// Rule 1, nobody having changed its result.
    #[test]
    fn a_vote_recorded_as_another_is_the_path_whoever_recorded_it() {
        let misled = Row { record: Record::Wrong, ..CLEAN };
        let settled = Row { saw: false, settled: true, ..CLEAN };
        for (a, b) in [(misled, settled), (settled, misled), (misled, misled), (misled, CLEAN)] {
            assert_eq!(diagnosis(a, b, true), Transient(Suspects::PATH));
        }
    }

    /// Rule 1, both votes and both records being the same.
    #[test]
    fn a_mismatch_where_there_is_none_is_the_claimants_comparator() {
        let silent = Row { saw: false, ..CLEAN };
        assert_eq!(diagnosis(CLEAN, silent, true), Transient(Suspects::COMPARATOR_A));
        assert_eq!(diagnosis(silent, CLEAN, true), Transient(Suspects::COMPARATOR_B));
        // A channel that never had the other's vote cannot have seen it differ, and says so.
        let late = Row { record: Record::None, ..silent };
        assert_eq!(diagnosis(CLEAN, late, true), Transient(Suspects::COMPARATOR_A));
        assert_eq!(diagnosis(silent, silent, true), Transient(Suspects::empty()));
    }

    /// Agreement comes first: nobody is excluded whose result was confirmed.
    #[test]
    fn who_agrees_in_the_end_is_not_faulty() {
        let worst = Row { holds: false, unstable: true, ill: true, ..CLEAN };
        assert_eq!(diagnosis(worst, CLEAN, true), Transient(Suspects::CHANNEL_A));
    }

    #[test]
    fn who_cannot_arrive_at_what_the_other_settled_on_is_faulty() {
        let settled = Row { saw: false, settled: true, ..CLEAN };
        for doubtful in [Row { unstable: true, ..CLEAN }, Row { holds: false, ..CLEAN }] {
            assert_eq!(diagnosis(doubtful, settled, false), Faulty(A, Reason::Settled));
            assert_eq!(diagnosis(settled, doubtful, false), Faulty(B, Reason::Settled));
        }
    }

    /// Who settles on something else than both votes said is no witness: a peer that is not right is not to talk a healthy channel out of
    /// service.
    #[test]
    fn a_channel_that_stands_by_its_result_is_not_contradicted_by_one_that_settled() {
        let settled = Row { saw: false, settled: true, ..CLEAN };
        assert_eq!(diagnosis(CLEAN, settled, false), Unattributed);
        assert_eq!(diagnosis(settled, CLEAN, false), Unattributed);
    }

    /// Rule 2.
    #[test]
    fn the_one_damaged_checkpoint_is_the_fault() {
        let damaged = Row { holds: false, ..CLEAN };
        assert_eq!(diagnosis(damaged, CLEAN, false), Faulty(A, Reason::Checkpoint));
        assert_eq!(diagnosis(CLEAN, damaged, false), Faulty(B, Reason::Checkpoint));
        assert_eq!(diagnosis(damaged, damaged, false), Unattributed);
    }

    /// Rule 3.
    #[test]
    fn the_one_with_two_results_for_one_question_is_faulty() {
        let unstable = Row { unstable: true, ..CLEAN };
        assert_eq!(diagnosis(unstable, CLEAN, false), Faulty(A, Reason::Unstable));
        assert_eq!(diagnosis(CLEAN, unstable, false), Faulty(B, Reason::Unstable));
        assert_eq!(diagnosis(unstable, unstable, false), Unattributed);
    }

    /// Rule 4.
    #[test]
    fn the_one_in_doubt_of_itself_is_faulty() {
        let ill = Row { ill: true, ..CLEAN };
        assert_eq!(diagnosis(ill, CLEAN, false), Faulty(A, Reason::Health));
        assert_eq!(diagnosis(CLEAN, ill, false), Faulty(B, Reason::Health));
        assert_eq!(diagnosis(ill, ill, false), Unattributed);
        // Each flag counts that is not of something mended, and more of them do not count more.
        let [first_a, first_b] = FIRST;
        let of_b = CLEAN.evidence(first_b, first_a);
        let mended = Health::MEMORY_REPAIRED | Health::CONTROL_REPAIRED;
        for health in Health::all().iter() {
            let of_a = Evidence { health, ..CLEAN.evidence(first_a, first_b) };
            let expected = if mended.contains(health) { Unattributed } else { Faulty(A, Reason::Health) };
            assert_eq!(diagnose(&of_a, &of_b, false), expected, "{health}");
            if !mended.contains(health) {
                let of_b = Evidence { health: Health::all(), ..of_b };
                assert_eq!(diagnose(&of_a, &of_b, false), Unattributed, "{health}");
            }
        }
    }

    /// Rule 5.
    #[test]
    fn two_channels_that_stand_by_their_results_are_told_apart_by_nothing() {
        assert_eq!(diagnosis(CLEAN, CLEAN, false), Unattributed);
        // Neither what was recorded nor who claimed the mismatch is evidence of a result.
        let misled = Row { record: Record::Wrong, saw: false, ..CLEAN };
        assert_eq!(diagnosis(misled, CLEAN, false), Unattributed);
    }

    #[test]
    fn the_rules_apply_in_their_order() {
        let settled = Row { saw: false, settled: true, ..CLEAN };
        let damaged = Row { holds: false, ..CLEAN };
        let unstable = Row { unstable: true, ..CLEAN };
        let ill = Row { ill: true, ..CLEAN };
        // B has everything against it that weighs less than what A has.
        let worse = |row: Row| Row { unstable: true, ill: true, ..row };
        assert_eq!(diagnosis(unstable, Row { holds: false, ..worse(settled) }, false), Faulty(A, Reason::Settled));
        assert_eq!(diagnosis(damaged, worse(CLEAN), false), Faulty(A, Reason::Checkpoint));
        assert_eq!(diagnosis(unstable, ill, false), Faulty(A, Reason::Unstable));
        // What both have against them decides nothing, and the next rule applies.
        assert_eq!(diagnosis(damaged, Row { unstable: true, ..damaged }, false), Faulty(B, Reason::Unstable));
        assert_eq!(diagnosis(unstable, Row { ill: true, ..unstable }, false), Faulty(B, Reason::Health));
    }

    #[test]
    fn evidence_is_the_same_on_both_ends_of_the_link() {
        let [first_a, first_b] = FIRST;
        for row in Row::all() {
            let sent = row.evidence(first_a, first_b);
            let payload = sent.payload([1, 2, 3, 4, 5], b"vote");
            assert_eq!((payload.levels, payload.vote), ([1, 2, 3, 4, 5], &b"vote"[..]));
            assert_eq!(Evidence::of_payload(&payload, row.settled, sent.second), Some(sent));
            // A byte of flags that no version of this code sends is no evidence.
            assert_eq!(Evidence::of_payload(&EvidencePayload { findings: 8, ..payload }, false, 0), None);
            assert_eq!(Evidence::of_payload(&EvidencePayload { health: 16, ..payload }, false, 0), None);
        }
    }
}
