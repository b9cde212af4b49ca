//! Peers that never get so far, and links that break again and again: no copy after copy, and a fault that says so.

use super::two::Two;
use twinstep::wire::Kind;
use twinstep::{Config, Faults, Mode};

const SECOND_US: u64 = 1_000_000;

/// A pair whose B starts over beside an A that serves alone.
fn with_a_joiner() -> Two {
    let mut two = Two::in_duplex(Config::DEFAULT);
    two.nodes[1] = None;
    two.run_us(SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Simplex), None]);
    two
}

#[test]
fn a_joiner_that_never_acknowledges_is_tried_ever_more_rarely() {
    let mut two = with_a_joiner();
    two.mangle = Some(Box::new(|taken| if taken.header.kind == Kind::Ack { vec![] } else { taken.as_it_is() }));
    two.boot(1);
    let mut begun = vec![];
    for _ in 0..4 {
        let before = two.node(0).counters().copies_begun;
        two.run_us(60 * SECOND_US);
        begun.push(two.node(0).counters().copies_begun - before);
    }
    assert!(begun[0] >= 5, "{begun:?}");
    assert!(begun[1] <= 2 && begun[3] <= 1, "{begun:?}");
    assert!(two.told[0].contains(Faults::COPY_FAILED));
    // By the time the longest pause is over, or at once if a person says so.
    two.mangle = None;
    let mut later = 0;
    while two.modes() != [Some(Mode::Duplex); 2] {
        later += 1;
        assert!(later < 110, "a pause has an end");
        two.run_us(SECOND_US);
    }
    two.mangle = Some(Box::new(|taken| if taken.header.kind == Kind::Ack { vec![] } else { taken.as_it_is() }));
    two.boot(1);
    two.run_us(100 * SECOND_US);
    two.mangle = None;
    let node = two.nodes[0].as_mut().unwrap();
    node.retry_copy();
    two.run_us(3 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
}

#[test]
fn a_link_that_flaps_is_told_of_and_joined_ever_more_rarely() {
    let mut two = Two::in_duplex(Config::DEFAULT);
    let mut begun = vec![];
    for _ in 0..4 {
        let before = two.node(0).counters().copies_begun + two.node(1).counters().copies_begun;
        for _ in 0..30 {
            two.is_cut = true;
            two.run_us(SECOND_US);
            two.is_cut = false;
            two.run_us(SECOND_US);
        }
        begun.push(two.node(0).counters().copies_begun + two.node(1).counters().copies_begun - before);
    }
    assert!(begun[0] >= 5, "{begun:?}");
    assert!(begun[1] <= 3 && begun[3] <= 2, "{begun:?}");
    assert!(two.told.iter().any(|told| told.contains(Faults::COPY_FAILED)));
    // One copy that lasts, and the pauses are short again.
    two.run_us(300 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
    let owner = two.owner();
    two.nodes[1 - owner] = None;
    two.run_us(SECOND_US);
    two.boot(1 - owner);
    two.run_us(2 * SECOND_US);
    assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
}
