//! Arbiters whose answer does not come, comes late, or is misread.

use super::support::{Servo, sensor};
use super::two::Two;
use twinstep::sim::{ArbiterKind, Pair, Setup, Storage};
use twinstep::{Arbiter, Config, Faults, Mechanism, Mode, Site};

const CONFIG: Config = Config::DEFAULT;
const SECOND_US: u64 = 1_000_000;

/// The owner is gone, and the arbiter says nothing to the other one's claim.
#[test]
fn a_survivor_whose_claim_is_not_answered_stands_by_and_asks_again() {
    for is_obedient in [false, true] {
        let mut two = Two::in_duplex(CONFIG);
        let (owner, survivor) = (two.owner(), 1 - two.owner());
        two.relays[0].0.borrow_mut().is_mute = true;
        two.relays[0].0.borrow_mut().is_obedient = is_obedient;
        two.nodes[owner] = None;
        let since = two.now_us;
        two.run_us(3 * SECOND_US / 2);
        assert_eq!(two.node(survivor).mode(), Mode::Standby);
        assert!(two.told[survivor].contains(Faults::LEASE_UNANSWERED));
        let held = two.node(survivor).counters().held;
        assert!((5..=11).contains(&held), "held {held} cycles");
        assert!(!two.relays[0].0.borrow().released.is_empty(), "the claim was withdrawn");
        two.run_us(100 * SECOND_US);
        assert_eq!(two.driven_since(since), [0, 0]);
        // Half a claim in each pause of a minute: the bus is not flooded.
        two.relays[0].0.borrow_mut().is_mute = false;
        two.run_us(40 * SECOND_US); // the longest pause is 32 seconds
        assert_eq!(two.node(survivor).mode(), Mode::Simplex);
        let since = two.now_us;
        two.run_us(SECOND_US);
        assert!(two.driven_since(since)[survivor] >= 9);
    }
}

/// So many slots can just be counted.
#[test]
fn the_highest_claim_limit_is_a_limit() {
    let mut two = Two::in_duplex(Config { claim_limit: 255, ..CONFIG });
    let owner = two.owner();
    two.relays[0].0.borrow_mut().is_mute = true;
    two.nodes[owner] = None;
    two.run_us(27 * SECOND_US);
    assert!(two.told[1 - owner].contains(Faults::LEASE_UNANSWERED), "held {}", two.node(1 - owner).counters().held);
    // A lone owner goes on in its own epoch as the claim for a joiner is not answered.
    let mut two = Two::in_duplex(Config { claim_limit: 255, ..CONFIG });
    let owner = two.owner();
    two.nodes[1 - owner] = None;
    two.run_us(2 * SECOND_US);
    two.relays[0].0.borrow_mut().is_mute = true;
    two.boot(1 - owner);
    two.run_us(60 * SECOND_US);
    let since = two.now_us;
    two.run_us(30 * SECOND_US);
    assert!(two.driven_since(since)[owner] >= 270, "{:?}", two.driven_since(since));
}

#[test]
fn pauses_between_claims_grow() {
    let mut two = Two::in_duplex(CONFIG);
    let owner = two.owner();
    two.relays[0].0.borrow_mut().is_mute = true;
    two.nodes[owner] = None;
    let mut seconds = vec![];
    for second in 0..150 {
        let before = two.relays[0].0.borrow().asks;
        two.run_us(SECOND_US);
        if two.relays[0].0.borrow().asks > before {
            seconds.push(second);
        }
    }
    let pauses: Vec<i32> = seconds.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 1).collect();
    assert!(pauses.is_sorted() && pauses.last() > Some(&15), "asked in the seconds {seconds:?}");
}

/// The other one is gone, and the arbiter says nothing to the owner's claim to go on alone.
#[test]
fn an_owner_whose_claim_is_not_answered_drives_what_is_safe() {
    let mut two = Two::in_duplex(CONFIG);
    let owner = two.owner();
    two.relays[0].0.borrow_mut().is_mute = true;
    two.nodes[1 - owner] = None;
    two.run_us(3 * SECOND_US);
    assert!(two.told[owner].contains(Faults::LEASE_UNANSWERED));
    assert_eq!(two.node(owner).mode(), Mode::Duplex, "it still owns, and waits");
    let since = two.now_us;
    two.run_us(2 * SECOND_US);
    let safe = two.driven.iter().filter(|driven| driven.at_us >= since && driven.output == 0).count();
    assert!(safe >= 19 && two.driven_since(since)[owner] == safe, "{safe} of 20");
    // The service comes back by itself, be it with the answer or with the peer.
    let mut with_peer = 0;
    for comes_back in ["the arbiter", "the peer"] {
        match comes_back {
            "the arbiter" => two.relays[0].0.borrow_mut().is_mute = false,
            _ => two.boot(1 - owner),
        }
        two.run_us(40 * SECOND_US);
        let since = two.now_us;
        two.run_us(SECOND_US);
        let right = two.driven.iter().filter(|driven| driven.at_us >= since && driven.output > 0).count();
        assert!(right >= 9, "{comes_back}: {right}");
        with_peer = right;
    }
    assert_eq!((two.modes(), with_peer >= 9), ([Some(Mode::Duplex); 2], true));
}

#[test]
fn a_link_that_heals_while_the_arbiter_is_silent_brings_the_service_back() {
    let mut two = Two::in_duplex(CONFIG);
    let owner = two.owner();
    two.relays[0].0.borrow_mut().is_mute = true;
    two.is_cut = true;
    two.run_us(3 * SECOND_US);
    two.is_cut = false;
    two.run_us(40 * SECOND_US);
    let since = two.now_us;
    two.run_us(SECOND_US);
    let right = two.driven.iter().filter(|driven| driven.at_us >= since && driven.output > 0).count();
    let _ = owner;
    println!("{:?}, {right} of 10 with a mute arbiter", two.modes());
    two.relays[0].0.borrow_mut().is_mute = false;
    two.run_us(40 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
}

/// The owner asks only to go on with a joiner: it goes on without.
#[test]
fn an_owner_goes_on_alone_though_its_claim_for_a_joiner_is_not_answered() {
    let mut two = Two::in_duplex(CONFIG);
    let owner = two.owner();
    two.nodes[1 - owner] = None;
    two.run_us(2 * SECOND_US);
    two.relays[0].0.borrow_mut().is_mute = true;
    let epoch = two.node(owner).epoch();
    two.boot(1 - owner);
    two.run_us(10 * SECOND_US);
    assert!(two.told[owner].contains(Faults::LEASE_UNANSWERED));
    let since = two.now_us;
    two.run_us(30 * SECOND_US);
    let driven = two.driven_since(since)[owner];
    assert!(driven >= 270, "{driven} of 300");
    let safe = two.driven.iter().filter(|driven| driven.at_us >= since && driven.output == 0).count();
    assert_eq!(safe, 0, "it served well without a joiner");
    assert_eq!(two.node(owner).epoch(), epoch);
    two.relays[0].0.borrow_mut().is_mute = false;
    two.run_us(70 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
}

/// Without the limit the same survivor holds for ever.
#[test]
fn without_the_limit_a_claim_waits_for_ever() {
    let mut two = Two::in_duplex(CONFIG);
    let owner = two.owner();
    two.nodes.iter_mut().flatten().for_each(|node| node.switch_off(Mechanism::ClaimLimit));
    two.relays[0].0.borrow_mut().is_mute = true;
    two.nodes[owner] = None;
    two.run_us(100 * SECOND_US);
    assert_eq!(
        (two.node(1 - owner).mode(), two.told[1 - owner].contains(Faults::LEASE_UNANSWERED)),
        (Mode::Duplex, false)
    );
    assert!(two.node(1 - owner).counters().held >= 990);
}

/// Nobody can tell the owner whether it owns: it leaves the outputs to the other one, and if there is none, it takes them up again.
#[test]
fn an_owner_that_nobody_confirms_stands_by_and_comes_back() {
    for is_alone in [false, true] {
        let mut two = Two::in_duplex(CONFIG);
        let owner = two.owner();
        if is_alone {
            two.nodes[1 - owner] = None;
            two.run_us(2 * SECOND_US);
        }
        // The owner's own end is deaf; the other one's is not.
        let deaf = super::two::Relay::default();
        *deaf.0.borrow_mut() = super::two::Contact { cannot_tell: true, ..Default::default() };
        let sound = two.relays[owner].clone();
        two.relays[owner] = deaf;
        two.run_us(SECOND_US / 2);
        assert!(two.node(owner).mode().serves(), "a while costs nothing");
        two.run_us(20 * SECOND_US);
        assert!(two.told[owner].contains(Faults::LEASE_UNKNOWN));
        let since = two.now_us;
        two.run_us(SECOND_US);
        let driven = two.driven_since(since);
        assert_eq!(driven[owner], 0);
        assert!(is_alone || driven[1 - owner] >= 9, "{driven:?} {:?}", two.modes());
        two.relays[owner] = sound;
        two.run_us(40 * SECOND_US);
        let since = two.now_us;
        two.run_us(SECOND_US);
        assert!(two.driven_since(since).iter().sum::<usize>() >= 9, "{:?}", two.modes());
    }
}

fn after_misreads(times: u32, off: Option<Mechanism>) -> (u32, Mode) {
    let mut memory = [Storage::new(), Storage::new()];
    let setup = Setup { off, ..Setup::default() };
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(1)).unwrap();
    pair.run(50);
    let owner = pair.owner().unwrap();
    pair.kill(owner.other());
    pair.run(5);
    let before = pair.report().released;
    pair.arbiter(owner).misread(times);
    pair.run(600);
    (pair.report().released - before, pair.mode(owner).unwrap())
}

#[test]
fn misreads_do_not_end_the_service_of_a_lone_channel() {
    for times in [1, 2, 7] {
        let (released, mode) = after_misreads(times, None);
        assert!(released >= 595 && mode == Mode::Simplex, "{released} of 600 after {times}");
    }
    // Even if it lasts for so long that the channel stands by.
    let (released, mode) = after_misreads(100, None);
    assert!(released >= 450 && mode == Mode::Simplex, "{released} of 600");
    // Without the mechanism a single one makes it leave: it comes back by itself, later.
    let [(with, _), (without, _)] = [None, Some(Mechanism::Misread)].map(|off| after_misreads(1, off));
    assert!(without + 8 < with, "{without} of {with}");
}

/// A contact that is noisy: in each period a few of many looks at it are wrong, and it has no memory that could tell.
#[test]
fn looks_that_are_misread_in_each_period_cost_a_lone_channel_no_lease() {
    for is_noisy in [false, true] {
        let mut two = Two::in_duplex(CONFIG);
        let owner = two.owner();
        two.nodes[1 - owner] = None;
        two.run_us(2 * SECOND_US);
        {
            let mut contact = two.relays[0].0.borrow_mut();
            (contact.forgets, contact.misread_every) = (true, if is_noisy { 97 } else { 0 });
        }
        let since = two.now_us;
        two.run_us(10 * SECOND_US);
        assert_eq!(two.node(owner).mode(), Mode::Simplex);
        assert!(!two.told[owner].contains(Faults::LEASE_LOST));
        let driven = two.driven_since(since)[owner];
        assert!(driven >= if is_noisy { 90 } else { 99 }, "{driven} of 100");
    }
}

/// One block of both copies.
fn damage(pair: &mut Pair<'_, Servo>, channel: twinstep::ChannelId) {
    let node = pair.node_mut(channel).unwrap();
    assert!(node.flip(Site::Working, 2005) && node.flip(Site::Checkpoint, 2006));
}

#[test]
fn a_channel_granted_the_outputs_and_found_damaged_drives_what_is_safe() {
    let mut memory = [Storage::new(), Storage::new()];
    let setup = Setup { arbiter: ArbiterKind::Relay { asks: 4 }, ..Setup::default() };
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(1)).unwrap();
    pair.run(60);
    let owner = pair.owner().unwrap();
    let other = owner.other();
    pair.kill(owner);
    while pair.arbiter(other).remembered().is_none_or(|newest| newest.owner() != other) {
        pair.run_us(200);
    }
    damage(&mut pair, other);
    pair.run(50);
    assert_eq!(pair.mode(other), Some(Mode::Safe));
    assert!(pair.report().safe >= 45, "{:?}", pair.report());
    assert_eq!(pair.report().wrong, 0);
}

#[test]
fn a_survivor_damaged_before_its_claim_leaves_the_pair_to_begin_anew() {
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(1)).unwrap();
    pair.run(60);
    let owner = pair.owner().unwrap();
    pair.kill(owner);
    damage(&mut pair, owner.other());
    pair.run(5);
    let fault = pair.node(owner.other()).unwrap().first_fault().unwrap().faults;
    assert!(fault.intersects(Faults::PEER_SILENT | Faults::CHECKPOINT_DAMAGED), "{fault:?}");
    pair.restart(owner);
    let before = pair.report().released;
    pair.run(300);
    assert!(pair.report().released - before >= 290, "{:?}", pair.report());
}
