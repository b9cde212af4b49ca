//! Frames of evidence that are not the peer's word of now: refused by their cause, counted, and without
//! an effect, in every mode; and random ones, which pass the CRC, in a pair in duplex.

use crate::bench::{A, B, CHANNELS, ServoBench};
use crate::by_hand::with_bench;
use crate::frames::{Reaction, forge_under, payload_of};
use crate::moments::Moment;
use twinstep::ids::{Phase, Stage};
use twinstep::wire::{EvidencePayload, Keys, Kind, Payload, Reject, VoteFrame};
use twinstep::{Cycle, Mode};

const KINDS: [(Kind, Stage); 2] = [(Kind::Evidence, Stage::Evidence), (Kind::Settled, Stage::Settled)];

const VOTE: [u8; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 20, 0];

fn plausible() -> EvidencePayload<'static> {
    EvidencePayload { findings: 7, health: 0, first: 1, peer_first: 2, levels: [0, 1, 0, 0, 0], vote: &VOTE }
}

/// Hands a frame over that must be refused; in a mode without a cycle by the mode, else by this.
#[track_caller]
fn refuse_as(bench: &mut ServoBench<'_>, at: usize, frame: &[u8], cause: Reject) {
    let cause = match bench.mode(at) {
        Mode::Duplex | Mode::Safe => cause,
        // Of the epoch of the one that serves, in which this one has no part yet.
        Mode::Starting | Mode::Joining => Reject::Epoch,
        Mode::Simplex | Mode::Donor | Mode::Standby | Mode::Trial => Reject::Mode,
    };
    bench.refuse(at, frame, cause);
}

#[test]
fn evidence_out_of_place_is_refused() {
    for (at, moment) in [A, B].into_iter().flat_map(|at| Moment::ALL.map(|moment| (at, moment))) {
        if moment == Moment::Unoffered {
            continue; // no frame of the peer passes the CRC
        }
        moment.with(at, |bench| {
            let (peer, epoch) = (CHANNELS[1 - at], bench.expected_epoch(at));
            let cycle = bench.nodes[at].cycle();
            for (kind, stage) in KINDS {
                let of = |bench: &ServoBench<'_>, cycle: Cycle, payload: &[u8]| {
                    bench.forge(kind, peer, epoch, Phase::new(cycle, stage), payload)
                };
                let whole = payload_of(&plausible());
                for far in [2_u32, 3, 100, u32::MAX / 8] {
                    for other in [cycle.0.wrapping_add(far), cycle.0.wrapping_sub(far)] {
                        let frame = of(bench, Cycle(other), &whole);
                        refuse_as(bench, at, &frame, Reject::Phase);
                    }
                }
                let next = of(bench, cycle.next(), &whole);
                refuse_as(bench, at, &next, Reject::Phase);
                // The stage of another kind.
                for wrong in [Stage::Sample, Stage::Vote, Stage::Evidence, Stage::Settled] {
                    if wrong as u32 != stage as u32 {
                        let frame = bench.forge(kind, peer, epoch, Phase::new(cycle, wrong), &whole);
                        refuse_as(bench, at, &frame, Reject::Phase);
                    }
                }
                // What is behind its numbers is the vote, and one that makes no sense agrees with nothing.
                for length in 0..whole.len() - plausible().vote.len() {
                    let short = of(bench, cycle, &whole[..length]);
                    refuse_as(bench, at, &short, Reject::Payload);
                }
                for bit in 3..8 {
                    let unknown = EvidencePayload { findings: 1 << bit, ..plausible() };
                    let frame = of(bench, cycle, &payload_of(&unknown));
                    refuse_as(bench, at, &frame, Reject::Payload);
                }
                for bit in 4..8 {
                    let unknown = EvidencePayload { health: 1 << bit, ..plausible() };
                    let frame = of(bench, cycle, &payload_of(&unknown));
                    refuse_as(bench, at, &frame, Reject::Payload);
                }
                let reflected = bench.forge(kind, CHANNELS[at], epoch, Phase::new(cycle, stage), &whole);
                bench.refuse(at, &reflected, Reject::Sender);
                let keys = Keys { epoch, ..bench.keys() };
                let [a, b] = keys.nonces;
                for nonces in [[a ^ 1, b], [a, b ^ 1], [b, a]] {
                    let foreign = forge_under(&Keys { nonces, ..keys }, kind, peer, Phase::new(cycle, stage), &whole);
                    bench.refuse(at, &foreign, Reject::Crc);
                }
                if matches!(moment, Moment::Duplex | Moment::Safe) {
                    let older = Keys { epoch: twinstep::Epoch::new(epoch.counter() - 1, epoch.owner()), ..keys };
                    let frame = forge_under(&older, kind, peer, Phase::new(cycle, stage), &whole);
                    bench.refuse(at, &frame, Reject::Epoch);
                }
                // Of this cycle and the last one, where nobody is in a cycle.
                if !matches!(moment, Moment::Duplex | Moment::Safe) {
                    for cycle in [cycle, cycle.previous()] {
                        let frame = of(bench, cycle, &whole);
                        refuse_as(bench, at, &frame, Reject::Mode);
                    }
                }
            }
        });
    }
}

/// A `Settled` to a channel that has asked nothing, and evidence to one that has not voted, have no
/// effect: they are counted as repetitions.
#[test]
fn an_answer_to_a_question_not_asked_has_no_effect() {
    for at in [A, B] {
        with_bench(crate::bench::HOME, 50, |bench| {
            let (peer, whole) = (CHANNELS[1 - at], payload_of(&plausible()));
            let epoch = bench.nodes[at].epoch();
            for cycle in [bench.nodes[at].cycle(), bench.nodes[at].cycle().previous()] {
                let settled = bench.forge(Kind::Settled, peer, epoch, Phase::new(cycle, Stage::Settled), &whole);
                bench.meet(at, &settled, Reaction::Repeated);
            }
            bench.loses = vec![Kind::Sample];
            bench.run_until("a cycle", 200, |bench| bench.nodes[at].settled_cycle().is_none());
            let cycle = bench.nodes[at].cycle();
            for (kind, stage) in KINDS {
                let frame = bench.forge(kind, peer, epoch, Phase::new(cycle, stage), &whole);
                bench.meet(at, &frame, Reaction::Repeated);
            }
            bench.loses.clear();
            bench.run_cycles(3);
            assert_eq!(bench.nodes[at].buckets().levels(), [0; 5]);
        });
    }
}

/// Evidence that lies, under a CRC that holds, at any moment of a cycle: what is released stays right,
/// whatever becomes of the redundancy.
#[test]
fn random_evidence_releases_nothing_wrong() {
    let (mut taken, mut masked, mut ended) = (0, 0, 0);
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        with_bench(crate::bench::HOME, seed, |bench| {
            bench.run_until("a cycle", 200, |bench| bench.nodes.iter().any(|node| node.settled_cycle().is_none()));
            for _ in 0..rng.u32(0..5) {
                bench.tick();
            }
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(0..2);
                let (kind, stage) = KINDS[rng.usize(0..2)];
                let node = &bench.nodes[at];
                let cycle = if rng.u32(0..4) == 0 { node.cycle().previous() } else { node.cycle() };
                // Sometimes with a vote that was really cast.
                let sent = bench.captured(at);
                let real = sent.iter().rev().find(|frame| frame.header.kind == Kind::Vote);
                let noise: Vec<u8> = (0..rng.usize(0..40)).map(|_| rng.u8(..)).collect();
                let vote = match real {
                    Some(real) if rng.bool() => VoteFrame::parse(&real.payload).unwrap().vote,
                    _ => &noise[..],
                };
                let payload = EvidencePayload {
                    findings: rng.u8(0..8),
                    health: rng.u8(0..16),
                    first: rng.u32(..),
                    peer_first: rng.u32(..),
                    levels: std::array::from_fn(|_| rng.u8(0..3)),
                    vote,
                };
                let (epoch, now) = (node.epoch(), bench.now());
                let frame = bench.forge(kind, CHANNELS[1 - at], epoch, Phase::new(cycle, stage), &payload_of(&payload));
                let before = bench.nodes[at].counters().rejected_total();
                let handled = bench.nodes[at].handle_frame(now, &frame);
                assert_eq!(bench.nodes[at].counters().rejected_total() - before, u32::from(handled.is_err()));
                taken += u32::from(handled.is_ok());
                bench.tick();
            }
            for _ in 0..1_500 {
                bench.tick(); // judged, cycle by cycle
            }
            masked += u32::from(bench.nodes.iter().any(|node| node.counters().masked > 0));
            ended += u32::from(bench.modes() != [Mode::Duplex; 2]);
        });
    }
    println!("{taken} taken, {masked} runs masked it, {ended} of 300 were not in duplex in the end");
    assert!(taken > 100 && masked > 5, "{taken} taken, {masked} masked");
}
