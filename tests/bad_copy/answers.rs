//! What a donor must not believe, and questions that are none.

use crate::bench::{A, B, CHANNELS, HOME, ServoBench, memory};
use crate::frames::{Reaction, payload_of};
use crate::moments::Moment;
use crate::support::{Servo, sensor};
use twinstep::ids::{Phase, Stage};
use twinstep::mirror::Range;
use twinstep::wire::{
    AckPayload, BlockPayload, ComparePayload, Header, Hello, Kind, Payload, Reject, SamePayload, Standing, WantPayload,
};
use twinstep::{Epoch, Mode};

/// Blocks that an acknowledgement can tell of.
const WINDOW: u16 = 32;

fn ack(bench: &ServoBench<'_>, donor: usize, highest: u16, taken: u32) -> Vec<u8> {
    bench.frame_to(donor, Kind::Ack, &payload_of(&AckPayload { challenge: challenge(bench, donor), highest, taken }))
}

/// Returns the newest challenge that the joiner has sent to the donor in an acknowledgement.
fn challenge(bench: &ServoBench<'_>, donor: usize) -> u32 {
    let frames = bench.captured(donor).into_iter().rev();
    let mut acks = frames.filter(|frame| frame.header.kind == Kind::Ack);
    acks.next().map_or(0, |frame| AckPayload::parse(&frame.payload).unwrap().challenge)
}

#[test]
fn acknowledgements_of_what_is_not_in_flight_are_refused() {
    for (donor, moment) in [(A, Moment::Donor), (B, Moment::Donor), (A, Moment::Searching), (B, Moment::Searching)] {
        moment.with(donor, |bench| {
            let next = bench.next_serial(1 - donor);
            // Never sent, or sent so long ago that the window has gone on.
            for ahead in [0].into_iter().chain(WINDOW + 1..500).chain((500..=u16::MAX).step_by(61)).chain([u16::MAX]) {
                let frame = ack(bench, donor, next.wrapping_sub(ahead), u32::MAX);
                bench.refuse(donor, &frame, Reject::Phase);
            }
            // Of an epoch that nobody has issued.
            let mine = bench.nodes[donor].epoch();
            let payload = payload_of(&AckPayload { challenge: 1, highest: next.wrapping_sub(1), taken: u32::MAX });
            for more in [1, 2, 100] {
                for owner in CHANNELS {
                    let newer = Epoch::new(mine.counter() + more, owner);
                    let phase = bench.settled_phase(1 - donor);
                    let frame = bench.forge(Kind::Ack, CHANNELS[1 - donor], newer, phase, &payload);
                    bench.refuse(donor, &frame, Reject::Epoch);
                }
            }
        });
    }
}

/// What was acknowledged before, once more: it says nothing of what is in flight now.
#[test]
fn acknowledgements_of_the_past_have_no_effect() {
    for donor in [A, B] {
        Moment::Donor.with(donor, |bench| {
            let mut tried = 0;
            for _ in 0..2_000 {
                if bench.mode(donor) != Mode::Donor {
                    break;
                }
                let next = bench.next_serial(1 - donor);
                let in_flight: Vec<Vec<u8>> = bench.towards[donor].clone();
                for past in bench.captured(donor) {
                    if past.header.kind != Kind::Ack || in_flight.contains(&past.bytes) {
                        continue;
                    }
                    let Ok(said) = AckPayload::parse(&past.payload) else { continue };
                    let is_recent = next.wrapping_sub(said.highest) <= WINDOW;
                    let reaction = if is_recent { Reaction::Ineffective } else { Reaction::Refused(Reject::Phase) };
                    bench.meet(donor, &past.bytes, reaction);
                    tried += 1;
                }
                bench.tick();
            }
            assert!(tried > 100, "{tried}");
            assert_eq!(bench.nodes[donor].counters().copies_failed, 0);
        });
    }
}

/// Blocks that were lost, acknowledged by a peer that lies: they are missing at the cut.
#[test]
fn a_forged_acknowledgement_is_found_at_the_cut() {
    for donor in [A, B] {
        Moment::Donor.after_cycles(260, donor, |bench| {
            let before = bench.next_serial(1 - donor);
            bench.loses = vec![Kind::Block];
            bench.run_until("blocks that are lost", 300, |bench| bench.next_serial(1 - donor) != before);
            bench.loses.clear();
            let done = bench.nodes[donor].copy_progress().unwrap().done_blocks;
            let frame = ack(bench, donor, bench.next_serial(1 - donor).wrapping_sub(1), u32::MAX);
            assert_eq!(bench.accept(donor, &frame), 0);
            assert_eq!(bench.nodes[donor].copy_progress().unwrap().done_blocks, done + 4);
            bench.expect_found_at_the_cut(1 - donor);
        });
    }
}

/// A challenge that the joiner never had makes the `Cut` stale; the joiner says the right one.
#[test]
fn an_acknowledgement_with_a_wrong_challenge_delays_the_cut() {
    for donor in [A, B] {
        Moment::Donor.with(donor, |bench| {
            let is_stale = |bench: &ServoBench<'_>| bench.nodes[1 - donor].counters().rejected(Reject::Stale) > 0;
            while !is_stale(bench) {
                assert!(bench.mode(1 - donor) == Mode::Joining && bench.now_us < 4_000_000, "{:?}", bench.modes());
                // Right behind each acknowledgement comes another one that is wrong in nothing else.
                for frame in bench.towards[donor].clone() {
                    let genuine = bench.capture(&frame);
                    if let Ok(said) = AckPayload::parse(&genuine.payload) {
                        let payload = payload_of(&AckPayload { challenge: said.challenge ^ 0xDEAD, ..said });
                        let Header { kind, sender, epoch, phase, .. } = genuine.header;
                        let forged = bench.forge(kind, sender, epoch, phase, &payload);
                        bench.towards[donor].push(forged);
                    }
                }
                bench.tick();
            }
            bench.boot();
            assert_eq!(bench.nodes[donor].counters().copies_failed, 0);
        });
    }
}

#[test]
fn a_joiner_never_becomes_the_donor() {
    for joiner in [A, B] {
        Moment::Joining.with(joiner, |bench| {
            let (donor, phase) = (CHANNELS[1 - joiner], bench.settled_phase(joiner));
            let serving = bench.expected_epoch(joiner).counter();
            for (counter, owner) in (0..serving + 3).flat_map(|counter| CHANNELS.map(|owner| (counter, owner))) {
                for highest in [0, 1, bench.next_serial(joiner).wrapping_sub(1), u16::MAX] {
                    let payload = payload_of(&AckPayload { challenge: 1, highest, taken: u32::MAX });
                    let frame = bench.forge(Kind::Ack, donor, Epoch::new(counter, owner), phase, &payload);
                    // Its own epoch is none at all.
                    let cause = if counter == 0 { Reject::Mode } else { Reject::Epoch };
                    bench.refuse(joiner, &frame, cause);
                }
                for is_same in [false, true] {
                    let same = payload_of(&SamePayload { first: 0, exponent: 4, is_same });
                    let frame = bench.forge(Kind::Same, donor, Epoch::new(counter, owner), phase, &same);
                    bench.refuse(joiner, &frame, Reject::Mode);
                }
            }
        });
    }
}

/// The donor itself asks for a copy, with an echo that is fresh: it no longer serves, so there is
/// nothing more to be had of it, and the joiner starts over.
#[test]
fn a_joiner_has_nothing_for_a_donor_that_no_longer_serves() {
    let standings = [Standing::OUTSIDE, Standing::OUTSIDE | Standing::EMPTY];
    for (joiner, standing) in [A, B].into_iter().flat_map(|at| standings.map(|standing| (at, standing))) {
        Moment::Joining.with(joiner, |bench| {
            let (donor, phase) = (CHANNELS[1 - joiner], bench.settled_phase(joiner));
            let fresh = fresh_hello(bench, joiner);
            assert_eq!((fresh.nonce, fresh.epoch.owner()), (bench.setup.nonces[1 - joiner], donor));
            let hello = payload_of(&fresh.saying(standing));
            let frame = bench.forge(Kind::Hello, donor, fresh.epoch, phase, &hello);
            assert_eq!(bench.accept(joiner, &frame), 0);
            bench.poll(joiner);
            assert_eq!(bench.mode(joiner), Mode::Starting, "{standing:?}");
            assert!(bench.nodes[joiner].is_empty() && bench.nodes[joiner].copy_progress().is_none());
        });
    }
}

/// A later boot of the donor asks for a copy: one that has a state gets none, of one that has none
/// there is nothing more to be had, and with one that serves the copy starts over.
#[test]
fn a_joiner_has_nothing_for_a_donor_that_comes_back() {
    let standings = [
        (Standing::OUTSIDE, Mode::Starting),
        (Standing::OUTSIDE | Standing::EMPTY, Mode::Starting),
        (Standing::OUTSIDE | Standing::OWNS, Mode::Starting),
    ];
    for (joiner, (standing, mode)) in [A, B].into_iter().flat_map(|at| standings.map(|case| (at, case))) {
        Moment::Joining.with(joiner, |bench| {
            let fresh = fresh_hello(bench, joiner);
            let later_boot = Hello { nonce: fresh.nonce ^ 1, ..fresh };
            let hello = payload_of(&later_boot.saying(standing));
            let phase = bench.settled_phase(1 - joiner);
            let frame = bench.forge(Kind::Hello, CHANNELS[1 - joiner], fresh.epoch, phase, &hello);
            assert_eq!(bench.accept(joiner, &frame), 0);
            bench.poll(joiner);
            assert_eq!(bench.mode(joiner), mode, "{standing:?}");
            assert!(bench.nodes[joiner].is_empty());
        });
    }
}

/// Returns what the donor said last to a joiner, with an echo that is fresh.
fn fresh_hello(bench: &ServoBench<'_>, joiner: usize) -> Hello {
    let said = bench.captured(joiner).into_iter().rfind(|frame| frame.header.kind == Kind::Hello).unwrap();
    let said = Hello::parse(&said.payload).unwrap();
    let echo_challenge = challenge(bench, 1 - joiner);
    Hello { echo_nonce: bench.setup.nonces[joiner], echo_challenge, ..said }
}

#[test]
fn answers_to_what_was_not_asked_are_refused() {
    for donor in [A, B] {
        Moment::Searching.with(donor, |bench| {
            let now = bench.settled_phase(donor);
            let same_of = |bench: &ServoBench<'_>, phase, same: SamePayload| {
                bench.forge(Kind::Same, CHANNELS[1 - donor], bench.expected_epoch(donor), phase, &payload_of(&same))
            };
            // Asked is about all sixteen blocks.
            for is_same in [false, true] {
                for (first, exponent) in
                    [0, 1, 8, 15, 16, u16::MAX].into_iter().flat_map(|f| (0..=u8::MAX).map(move |e| (f, e)))
                {
                    let cause = if exponent < 32 { Reject::Phase } else { Reject::Payload };
                    if (first, exponent) != (0, 4) {
                        let frame = same_of(bench, now, SamePayload { first, exponent, is_same });
                        bench.refuse(donor, &frame, cause);
                    }
                }
                // The right one at a wrong time.
                let right = SamePayload { first: 0, exponent: 4, is_same };
                for away in [1, 2, 3, 4, 8, 0x1000, 0x8000_0000_u32] {
                    for phase in [Phase(now.0.wrapping_add(away)), Phase(now.0.wrapping_sub(away))] {
                        let frame = same_of(bench, phase, right);
                        bench.refuse(donor, &frame, Reject::Phase);
                    }
                }
            }
            // And repeated.
            let right = same_of(bench, now, SamePayload { first: 0, exponent: 4, is_same: false });
            assert_eq!(bench.accept(donor, &right), 0);
            bench.refuse(donor, &right, Reject::Phase);
        });
    }
}

/// An answer that spares blocks which differ: they are missing at the cut.
#[test]
fn a_forged_answer_is_found_at_the_cut() {
    for donor in [A, B] {
        Moment::Searching.with(donor, |bench| {
            let same = payload_of(&SamePayload { first: 0, exponent: 4, is_same: true });
            let phase = bench.settled_phase(donor);
            let frame = bench.forge(Kind::Same, CHANNELS[1 - donor], bench.expected_epoch(donor), phase, &same);
            let done = bench.nodes[donor].copy_progress().unwrap().done_blocks;
            assert_eq!(bench.accept(donor, &frame), 0);
            assert!(bench.nodes[donor].copy_progress().unwrap().done_blocks >= done + 12);
            bench.expect_found_at_the_cut(1 - donor);
        });
    }
}

#[test]
fn comparisons_of_any_range_change_nothing() {
    for joiner in [A, B] {
        Moment::Joining.with(joiner, |bench| {
            for first in [0, 5, 15, 16, 17, 0x8000, u16::MAX] {
                for exponent in 0..=u8::MAX {
                    let reaction = match (first, exponent) {
                        (_, 32..) => Reaction::Refused(Reject::Payload),
                        (16.., _) => Reaction::Refused(Reject::Block),
                        _ => Reaction::Ineffective,
                    };
                    let payload = payload_of(&ComparePayload { first, exponent, digest: 0 });
                    let frame = bench.frame_to(joiner, Kind::Compare, &payload);
                    bench.meet(joiner, &frame, reaction);
                }
            }
            // Whatever is asked, the answer is true.
            for (first, exponent, wrong) in [(0, 4, 0), (0, 4, 1), (3, 0, 0), (3, 0, 8), (12, 31, 0), (12, 31, 2)] {
                let range = Range { first: first.into(), blocks: 1 << exponent };
                let digest = bench.nodes[joiner].memory().range_digest(range) ^ wrong;
                let payload = payload_of(&ComparePayload { first, exponent, digest });
                let frame = bench.frame_to(joiner, Kind::Compare, &payload);
                assert_eq!(bench.let_pass(joiner, &frame), 0);
                let answers = std::iter::from_fn(|| bench.next_frame(joiner)).last().unwrap();
                let answer = bench.capture(&answers);
                let same = SamePayload { first, exponent, is_same: wrong == 0 };
                assert_eq!((answer.header.kind, answer.payload), (Kind::Same, payload_of(&same)));
            }
        });
    }
}

#[test]
fn a_block_asked_for_is_sent_and_no_other() {
    for at in [A, B] {
        Moment::Duplex.with(at, |bench| {
            for index in [16, 17, 0x8000, u16::MAX] {
                let frame = bench.frame_to(at, Kind::Want, &payload_of(&WantPayload { index }));
                bench.refuse(at, &frame, Reject::Block);
                assert_eq!(bench.next_frame(at), None);
            }
            for index in 0..16 {
                let frame = bench.frame_to(at, Kind::Want, &payload_of(&WantPayload { index }));
                bench.meet(at, &frame, Reaction::Ineffective);
                let answer = bench.next_frame(at).unwrap();
                let bytes = bench.nodes[at].memory().block(index.into()).unwrap().to_vec();
                let expected = payload_of(&BlockPayload { serial: 0, index, bytes: &bytes });
                assert_eq!(bench.capture(&answer).payload, expected);
                assert_eq!(bench.next_frame(at), None);
                // Nobody has asked for it, so it is refused, be it ever so right.
                bench.refuse(1 - at, &answer, Reject::Mode);
            }
        });
    }
}

#[test]
fn only_the_block_wanted_mends_and_only_if_it_is_right() {
    const DAMAGED: u16 = 9;
    for at in [A, B] {
        let mut memory = memory::<Servo>();
        let mut bench = ServoBench::new(&mut memory, HOME, sensor(16));
        bench.boot();
        bench.run_cycles(4);
        let right = bench.nodes[at].memory().block(DAMAGED.into()).unwrap().to_vec();
        bench.nodes[at].memory().flip_working_bit(usize::from(DAMAGED) * 512 + 3);
        bench.nodes[at].memory().flip_checkpoint_bit(usize::from(DAMAGED) * 512 + 77);
        bench.loses = vec![Kind::Block];
        let wants = |bench: &ServoBench<'_>| bench.captured(1 - at).iter().any(|frame| frame.header.kind == Kind::Want);
        bench.run_until("a damaged block found", 500, wants);
        let block = |bench: &ServoBench<'_>, index, bytes: &[u8]| bench.block_to(at, 0, index, bytes);
        for index in (0..=20).filter(|index| *index != DAMAGED) {
            let frame = block(&bench, index, &right);
            bench.refuse(at, &frame, Reject::Mode);
        }
        for length in (0..=130).filter(|length| *length != 64) {
            let frame = block(&bench, DAMAGED, &vec![0; length]);
            bench.refuse(at, &frame, Reject::Block);
        }
        for bit in 0..512 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            if bit != 77 {
                let frame = block(&bench, DAMAGED, &wrong);
                bench.refuse(at, &frame, Reject::Digest);
            }
        }
        assert_eq!(bench.nodes[at].counters().peer_repairs, 0);
        let frame = block(&bench, DAMAGED, &right);
        assert_eq!(bench.accept(at, &frame), 0);
        assert_eq!(bench.nodes[at].counters().peer_repairs, 1);
        assert!(bench.nodes[at].memory().verify());
        bench.loses.clear();
        bench.run_cycles(5);
        let phase = Phase::new(bench.nodes[at].cycle(), Stage::Settled);
        assert_eq!(bench.settled_phase(at), phase);
    }
}
