//! Channels that nobody polls for a while.

use super::two::{TICK_US, Two};
use twinstep::{Config, Mechanism, Mode};

const CONFIG: Config = Config::DEFAULT;

/// Both sleep for so long from this moment of the cycle on, and the other one so much longer than `first`.
fn both_asleep([for_us, more_us]: [u64; 2], first: usize, phase_us: u64, off: Option<Mechanism>) -> Two {
    let mut two = Two::in_duplex(CONFIG);
    if let Some(mechanism) = off {
        two.nodes.iter_mut().flatten().for_each(|node| node.switch_off(mechanism));
    }
    two.run_us(phase_us);
    two.is_asleep = [true; 2];
    two.run_us(for_us);
    two.is_asleep[first] = false;
    two.run_us(more_us);
    two.is_asleep = [false; 2];
    two.run_us(3_000_000);
    two
}

fn takeovers(two: &Two) -> u32 {
    two.nodes.iter().flatten().map(|node| node.counters().takeovers).sum()
}

#[test]
fn both_unpolled_for_three_periods_go_on_in_duplex() {
    let (mut stalls, mut without) = (0, 0);
    // Time of its own to a channel are two periods. Of more nobody knows whether it passed.
    for (for_us, first) in [(300_000, 0), (300_000, 1), (180_000, 0), (180_000, 1)] {
        for phase_us in (0..100_000).step_by(2_500) {
            let two = both_asleep([for_us, TICK_US], first, phase_us, None);
            let faults = two.nodes.iter().flatten().filter_map(|node| node.first_fault()).count();
            assert_eq!(
                (two.modes(), takeovers(&two), faults),
                ([Some(Mode::Duplex); 2], 0, 0),
                "{for_us} {first} {phase_us}"
            );
            stalls += two.nodes.iter().flatten().map(|node| node.counters().stalls).sum::<u32>();
            without += takeovers(&both_asleep([for_us, TICK_US], first, phase_us, Some(Mechanism::Doubt)));
        }
    }
    println!("{stalls} own stalls in 160 runs; without the doubt {without} takeovers");
    assert!(stalls > 0 && without > 0, "{stalls} {without}");
}

/// One takes it for a stall, since it slept for less than the longest gap, and the other one for a clock that has jumped.
#[test]
fn both_asleep_about_as_long_as_the_longest_gap_go_on_in_duplex() {
    for first in 0..2 {
        for phase_us in (0..100_000).step_by(2_500) {
            for [for_us, more_us] in [[197_900, 5_000], [190_000, 20_000], [199_800, 200]] {
                let two = both_asleep([for_us, more_us], first, phase_us, None);
                let faults = two.nodes.iter().flatten().filter_map(|node| node.first_fault()).count();
                let gaps: u32 = two.nodes.iter().flatten().map(|node| node.counters().gaps).sum();
                let seen = (two.modes(), takeovers(&two), faults, gaps);
                assert_eq!(seen, ([Some(Mode::Duplex); 2], 0, 0, 1), "{for_us} + {more_us} {first} {phase_us}");
            }
        }
    }
}

/// The one that sleeps is an owner, and the other one takes over meanwhile.
#[test]
fn an_owner_that_slept_opens_nothing_once_the_other_one_owns() {
    for phase_us in (0..100_000).step_by(7_000) {
        let mut two = Two::in_duplex(CONFIG);
        two.run_us(phase_us);
        let owner = two.owner();
        two.is_asleep[owner] = true;
        let since = two.now_us;
        two.run_us(300_000);
        assert!(two.driven_since(since)[1 - owner] > 0, "{phase_us}");
        two.is_asleep[owner] = false;
        let woke = two.now_us;
        two.run_us(200_000);
        assert_eq!(two.driven_since(woke)[owner], 0, "{phase_us}");
        two.run_us(5_000_000);
        assert_eq!(two.modes(), [Some(Mode::Duplex); 2], "{phase_us}");
    }
}
