//! Identities that contradict each other: two boards of one name, a boot that repeats its nonce, a boot that is faster than a takeover.

use super::two::Two;
use twinstep::{ChannelId, Config, ConfigError, Faults, Instant, Mode};

const SECOND_US: u64 = 1_000_000;
const SOLO: Config = Config { solo_boot_after_us: Some(1_000_000), ..Config::DEFAULT };

#[test]
fn a_second_board_of_the_same_name_takes_nothing_from_the_first() {
    let mut two = Two::new(SOLO);
    two.nodes[1] = None;
    two.run_us(11 * SECOND_US);
    assert_eq!(two.modes()[0], Some(Mode::Simplex));
    let epoch = two.node(0).epoch();
    two.boot_as(1, ChannelId::A, 77);
    let since = two.now_us;
    two.run_us(10 * SECOND_US);
    assert_eq!((two.modes()[0], two.node(0).epoch()), (Some(Mode::Simplex), epoch));
    assert_eq!(two.modes()[1], Some(Mode::Starting));
    let [first, second] = two.driven_since(since);
    assert!(first >= 99 && second == 0, "{first} {second}");
    assert!(two.told.iter().all(|told| told.contains(Faults::IDENTITY)), "{:?}", two.told);
    // Once the first one is gone, the other one is what it says.
    two.nodes[0] = None;
    two.run_us(3 * SECOND_US);
    assert_eq!(two.modes()[1], Some(Mode::Simplex));
}

/// Two boards of one name that count their boots for a nonce come to the same number.
#[test]
fn nor_does_one_with_the_same_nonce() {
    let mut two = Two::new(SOLO);
    two.nodes[1] = None;
    two.run_us(11 * SECOND_US);
    let epoch = two.node(0).epoch();
    two.boot_as(1, ChannelId::A, 1);
    let since = two.now_us;
    two.run_us(10 * SECOND_US);
    assert_eq!((two.node(0).epoch(), two.driven_since(since)[1]), (epoch, 0));
    assert!(two.told[1].contains(Faults::IDENTITY), "{:?}", two.told);
}

/// Microseconds of its own until an empty channel starts alone, whose clock jumps by so much 300 ms after its boot.
fn starts_alone_after_us(jump_us: u64) -> u64 {
    let mut two = Two::new(SOLO);
    for us in (0..3 * SECOND_US).step_by(1_000) {
        let now = Instant::from_micros(SECOND_US + us + if us >= 300_000 { jump_us } else { 0 });
        let node = two.nodes[0].as_mut().unwrap();
        if now >= node.next_start() {
            let _ = node.begin(now, 1);
        }
        let _ = node.poll_verdict(now, &mut two.relays[0]);
        if node.mode() == Mode::Simplex {
            return us;
        }
    }
    panic!("it never starts");
}

/// The peer has its time to take over, whatever the clock shows.
#[test]
fn a_clock_that_jumps_does_not_make_a_solo_boot_faster() {
    let steady_us = starts_alone_after_us(0);
    assert!((1_000_000..1_300_000).contains(&steady_us), "{steady_us}");
    assert!(starts_alone_after_us(3_600 * SECOND_US) >= 1_000_000);
}

#[test]
fn a_boot_that_repeats_its_nonce_is_told_of() {
    for repeats in [false, true] {
        let mut two = Two::in_duplex(Config::DEFAULT);
        let owner = two.owner();
        let other = 1 - owner;
        // It has joined before, so its challenges have gone on.
        two.nodes[other] = None;
        two.run_us(SECOND_US);
        two.boot_as(other, two.node(owner).channel().other(), 55);
        two.run_us(3 * SECOND_US);
        assert_eq!(two.modes(), [Some(Mode::Duplex); 2]);
        two.told = [Faults::empty(); 2];
        two.boot_as(other, two.node(owner).channel().other(), if repeats { 55 } else { 56 });
        two.run_us(5 * SECOND_US);
        assert_eq!(two.told[owner].contains(Faults::IDENTITY), repeats, "{:?}", two.told);
        assert_eq!(two.modes(), [Some(Mode::Duplex); 2], "it serves all the same");
    }
}

#[test]
fn a_solo_boot_is_not_faster_than_a_takeover() {
    let config = |patience, us| Config { nonce: 1, patience, solo_boot_after_us: Some(us), ..Config::DEFAULT }.check();
    assert_eq!(
        config(10, 200_000),
        Err(ConfigError::SoloBootTooSoon { solo_boot_after_us: 200_000, takeover_us: 1_200_000 })
    );
    assert_eq!((config(10, 1_200_000), config(0, 200_000)), (Ok(()), Ok(())));
    assert!(config(0, 199_999).is_err());
    // Nor than another board of its own name is heard twice.
    let seldom = |hello_us| Config { nonce: 1, hello_us, ..SOLO }.check();
    assert_eq!(seldom(333_333), Ok(()));
    assert_eq!(
        seldom(333_334),
        Err(ConfigError::SoloBootTooSoon { solo_boot_after_us: 1_000_000, takeover_us: 1_000_002 })
    );
}
