//! A peer that is not us, with valid frames: none of them does more than what the README says of a peer that is wrong.

use super::two::{Taken, Two};
use std::cell::Cell;
use std::rc::Rc;
use twinstep::diagnose::Suspects;
use twinstep::digest::of_bytes;
use twinstep::wire::{EvidencePayload, Hello, Kind, Payload, Reject, Standing, VoteFrame};
use twinstep::{ChannelId, Config, Epoch, Faults, Mechanism, Mode, Site};

const SECOND_US: u64 = 1_000_000;

fn bytes_of<'b>(payload: &impl Payload<'b>) -> Vec<u8> {
    let mut bytes = vec![0; payload.payload_bytes()];
    payload.write(&mut bytes).unwrap();
    bytes
}

/// The vote with another output.
fn another_vote(vote: &[u8]) -> Vec<u8> {
    let mut vote = vote.to_vec();
    *vote.last_mut().unwrap() ^= 1;
    vote
}

/// A vote as another one, once.
fn lies_once(taken: &Taken<'_>, is_over: &Cell<bool>) -> Option<Vec<u8>> {
    if taken.header.kind != Kind::Vote || is_over.replace(true) {
        return None;
    }
    let frame = VoteFrame::parse(taken.payload).unwrap();
    Some(bytes_of(&VoteFrame { vote: &another_vote(frame.vote), ..frame }))
}

/// A sees the votes differ, and B, which settled, contradicts its own vote.
#[test]
fn a_settled_that_contradicts_its_own_vote_talks_nobody_out_of_service() {
    let mut two = Two::in_duplex(Config::DEFAULT);
    let is_over = Cell::new(false);
    two.mangle = Some(Box::new(move |taken| {
        if let Some(vote) = lies_once(taken, &is_over) {
            return vec![(Kind::Vote, taken.header.phase, vote)];
        }
        if taken.header.kind != Kind::Settled {
            return taken.as_it_is();
        }
        let evidence = EvidencePayload::parse(taken.payload).unwrap();
        let vote = another_vote(evidence.vote);
        let settled = EvidencePayload { vote: &vote, first: of_bytes(&vote), ..evidence };
        vec![(Kind::Settled, taken.header.phase, bytes_of(&settled))]
    }));
    two.run_us(SECOND_US);
    let counters = two.node(0).counters();
    assert_eq!((counters.self_exclusions, counters.unattributed), (0, 1), "{:?}", two.told);
    assert_eq!(two.modes()[0], Some(Mode::Safe), "nobody can be blamed");
}

/// One `Hello` near the end of all epochs.
#[test]
fn an_epoch_far_ahead_does_not_use_the_numbers_up() {
    let mut two = Two::new(Config::DEFAULT);
    two.mangle = Some(Box::new(|taken| {
        if taken.header.kind != Kind::Hello || taken.now_us > 3_000_000 {
            return taken.as_it_is();
        }
        let hello = Hello::parse(taken.payload).unwrap();
        let far = Epoch::new((1 << 31) - 10, taken.header.sender);
        vec![(Kind::Hello, taken.header.phase, bytes_of(&Hello { epoch: far, ..hello }))]
    }));
    two.run_us(6 * SECOND_US);
    assert!(two.node(0).counters().rejected(Reject::Epoch) > 10);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
    assert!(two.node(0).epoch().counter() < 10, "{:?}", two.node(0).epoch());
}

/// A pair that has served for years, by the numbers that it has used, with an arbiter that remembers none: the half that boots joins it.
#[test]
fn a_half_that_boots_joins_a_pair_of_any_age() {
    let mut two = Two::new(Config::DEFAULT);
    two.relays[0].0.borrow_mut().through = Some(Epoch::new(1 << 22, ChannelId::A));
    two.run_us(3 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
    assert!(two.node(0).epoch().counter() > 1 << 22, "{:?}", two.node(0).epoch());
    two.relays[0].0.borrow_mut().forgets = true;
    two.boot(1);
    two.run_us(3 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2], "{:?}", two.node(1).counters());
    assert_eq!(two.node(0).counters().copies_begun, 1);
}

/// One evidence with full buckets, and later a transient of A.
#[test]
fn a_full_bucket_in_an_evidence_bars_nobody() {
    let mut two = Two::in_duplex(Config::DEFAULT);
    let is_over = Cell::new(false);
    two.mangle = Some(Box::new(move |taken| {
        if let Some(vote) = lies_once(taken, &is_over) {
            return vec![(Kind::Vote, taken.header.phase, vote)];
        }
        if !matches!(taken.header.kind, Kind::Evidence | Kind::Settled) {
            return taken.as_it_is();
        }
        let evidence = EvidencePayload::parse(taken.payload).unwrap();
        let full = EvidencePayload { levels: [255; 5], ..evidence };
        vec![(taken.header.kind, taken.header.phase, bytes_of(&full))]
    }));
    two.run_us(SECOND_US);
    assert_eq!(two.node(0).counters().diverged, 1);
    assert!(two.node(0).buckets().level(Suspects::CHANNEL_A) <= 1, "{:?}", two.node(0).buckets());
    two.mangle = None;
    two.nodes[0].as_mut().unwrap().flip(Site::Output, 3);
    two.run_us(SECOND_US);
    assert_eq!(two.node(0).counters().diverged, 2);
    assert!(!two.node(0).is_barred(two.node(0).channel()));
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
}

/// Both stand by their results; with its evidence B says that it is empty.
#[test]
fn a_peer_that_leaves_after_an_unattributed_difference_leaves_no_result_behind() {
    let mut two = Two::new(Config::DEFAULT);
    let greeting = Cell::new(Hello::BLANK);
    two.mangle = Some(Box::new(move |taken| {
        let mut frames = taken.as_it_is();
        if let (Kind::Hello, Ok(hello)) = (taken.header.kind, Hello::parse(taken.payload)) {
            greeting.set(hello);
        }
        let (echo_nonce, newest) = taken.said_by_a;
        let leaves = |echo_challenge| {
            let hello = Hello { echo_nonce, echo_challenge, challenge: 1_000, ..greeting.get() };
            (Kind::Hello, taken.header.phase, bytes_of(&hello.saying(Standing::EMPTY | Standing::OUTSIDE)))
        };
        match taken.header.kind {
            Kind::Sample => frames.push(leaves(0)), // a stale one, so that A says what is fresh
            Kind::Evidence => frames.push(leaves(newest)),
            _ => {}
        }
        frames
    }));
    two.run_us(3 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
    two.nodes[1].as_mut().unwrap().flip(Site::StuckOutput, 3);
    let before = two.driven.len();
    two.run_us(SECOND_US);
    assert!(two.node(0).counters().diverged > 0);
    assert_eq!((two.modes()[0], two.node(0).counters().takeovers), (Some(Mode::Safe), 0), "{:?}", two.told);
    let after: Vec<u32> = two.driven[before..].iter().map(|driven| driven.output).collect();
    assert!(after.contains(&0) && after.is_sorted_by_key(|output| *output == 0), "{after:?}");
}

/// B answers, and always a deadline late.
fn with_a_tardy_peer(off: Option<Mechanism>) -> (u32, u32, Faults) {
    let mut two = Two::in_duplex(Config { patience: 2, ..Config::DEFAULT });
    if let Some(mechanism) = off {
        two.nodes.iter_mut().flatten().for_each(|node| node.switch_off(mechanism));
    }
    let first_at = Rc::new(Cell::new((0, 0)));
    two.mangle = Some(Box::new(move |taken| {
        if taken.header.kind != Kind::Vote {
            return taken.as_it_is();
        }
        let (phase, at) = first_at.get();
        if phase != taken.header.phase.0 {
            first_at.set((taken.header.phase.0, taken.now_us));
        }
        let is_late = phase == taken.header.phase.0 && taken.now_us > at + 70_000;
        if is_late { taken.as_it_is() } else { vec![] }
    }));
    two.run_us(20 * SECOND_US);
    let counters = two.node(0).counters();
    (counters.takeovers, counters.held, two.told[0])
}

#[test]
fn a_peer_that_answers_every_other_deadline_is_gone_without() {
    let (takeovers, _, told) = with_a_tardy_peer(None);
    assert!(takeovers >= 1 && told.contains(Faults::PEER_SILENT), "{told:?}");
    let (takeovers, held, _) = with_a_tardy_peer(Some(Mechanism::Tardy));
    assert!(takeovers == 0 && held > 90, "{takeovers} {held}");
}

#[test]
fn a_stale_word_of_another_program_raises_nothing() {
    let mut two = Two::in_duplex(Config::DEFAULT);
    let words = Rc::new(Cell::new(0));
    let count = words.clone();
    two.mangle = Some(Box::new(move |taken| {
        let mut frames = taken.as_it_is();
        if taken.header.kind == Kind::Sample && count.get() < 5 {
            count.set(count.get() + 1);
            let hello = Hello { nonce: 99, challenge: 3, echo_nonce: 1, echo_challenge: 999, ..Hello::BLANK };
            frames.push((
                Kind::Hello,
                taken.header.phase,
                bytes_of(&hello.saying(Standing::EMPTY | Standing::OUTSIDE)),
            ));
        }
        frames
    }));
    two.run_us(2 * SECOND_US);
    assert_eq!((words.get(), two.node(0).counters().rejected(Reject::PeerDiffers)), (5, 5));
    assert!(!two.told[0].contains(Faults::PEER_DIFFERS) && two.node(0).first_fault().is_none());
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
}
