//! Clocks that jump by hours, either way, and clocks of 32 bits.

use super::program::{CONFIG, Relay, channel};
use super::time::{Around, both};
use std::sync::Arc;
use twinstep::{Config, Mode};

const HOUR_US: i64 = 3_600_000_000;
/// The last microsecond before a counter of 32 bits wraps in the middle of a run.
const WRAPS_AT_US: u64 = 4_000_000;

/// What a channel's clock shows, by virtual time.
type Shows = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

fn steady() -> Shows {
    Arc::new(|now| now + 1_000_000)
}

fn jumps_by(jump_us: i64) -> Shows {
    jumps_at(WRAPS_AT_US, jump_us, 20 * HOUR_US)
}

/// A clock that jumps at this time, and at first has shown so much more than that.
fn jumps_at(at_us: u64, jump_us: i64, age_us: i64) -> Shows {
    Arc::new(move |now| {
        let jump_us = if now > at_us { jump_us } else { 0 };
        (age_us + now as i64 + jump_us) as u64
    })
}

fn counts_32_bits() -> Shows {
    Arc::new(|now| u64::from((now as u32).wrapping_sub(WRAPS_AT_US as u32)))
}

#[derive(Debug)]
struct End {
    mode: Mode,
    agreed: u32,
    takeovers: u32,
    is_clear: bool,
    gaps: u32,
    joined: u32,
}

/// B dies after 70 cycles and boots again if `reboots`.
fn run(shows: [Shows; 2], config: Config, reboots: bool) -> [End; 2] {
    let relay = Relay::default();
    // Some ticks a period: what passes between two looks at a clock that goes back is lost.
    let around = shows.map(|shows| Around { shows, nap_us: 4_000, ..Around::usual() });
    both(around, |mut port| {
        let is_b = port.me.index() == 1;
        let lives = if is_b && reboots { vec![(2, 70), (4, 80)] } else { vec![(1 + u32::from(is_b), 140)] };
        let mut end = None;
        for (nonce, cycles) in lives {
            let mut pair = channel(&port, relay.clone(), nonce, config);
            for cycle in 0..cycles {
                let before = port.now_us();
                let _ = pair.cycle(&mut port, || 1).unwrap();
                assert!(port.now_us() - before <= 2 * u64::from(config.period_us), "a cycle takes its time");
                if cycle + 10 != cycles {
                    continue; // one of both ends first, and then the other one is alone
                }
                let (node, counters) = (pair.node(), pair.node().counters());
                end = Some(End {
                    mode: node.mode(),
                    agreed: counters.agreed,
                    takeovers: counters.takeovers,
                    is_clear: node.first_fault().is_none(),
                    gaps: counters.gaps,
                    joined: counters.joined,
                });
            }
        }
        end.unwrap()
    })
}

#[test]
fn a_clock_of_either_that_jumps_by_hours_costs_no_redundancy() {
    for jump_us in [1_000_000, HOUR_US, 10 * HOUR_US, -1_000_000, -HOUR_US, -10 * HOUR_US, -1, -50_000, 50_000] {
        for shows in
            [[jumps_by(jump_us), steady()], [steady(), jumps_by(jump_us)], [jumps_by(jump_us), jumps_by(-jump_us)]]
        {
            let ends = run(shows, CONFIG, false);
            for end in &ends {
                let seen = (end.mode, end.takeovers, end.is_clear);
                assert_eq!(seen, (Mode::Duplex, 0, true), "{jump_us}: {ends:?}");
                assert!(end.agreed >= 125, "{jump_us}: {ends:?}");
            }
        }
    }
}

/// At each moment of a cycle, between two as well; and a clock that has not run for longer than a counter of 32 bits.
#[test]
fn a_clock_may_jump_at_any_moment_of_a_cycle() {
    for jump_us in [HOUR_US, -1, -HOUR_US] {
        for age_us in [20 * HOUR_US, HOUR_US + 10_000_000] {
            for moment_us in (0..100_000).step_by(8_000) {
                let jumps = jumps_at(WRAPS_AT_US + moment_us, jump_us, age_us);
                for shows in [[jumps.clone(), steady()], [steady(), jumps]] {
                    let ends = run(shows, CONFIG, false);
                    for end in &ends {
                        let seen = (end.mode, end.takeovers, end.is_clear);
                        let what = format!("{jump_us} of {age_us} at {moment_us}");
                        assert_eq!(seen, (Mode::Duplex, 0, true), "{what}: {ends:?}");
                        assert!(end.agreed >= 125, "{what}: {ends:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_counter_of_32_bits_wraps_unnoticed() {
    for shows in [[counts_32_bits(), steady()], [steady(), counts_32_bits()], [counts_32_bits(), counts_32_bits()]] {
        let ends = run(shows, CONFIG, false);
        for end in &ends {
            let seen = (end.mode, end.takeovers, end.is_clear, end.gaps);
            assert_eq!(seen, (Mode::Duplex, 0, true, 0), "{ends:?}");
            assert!(end.agreed >= 130, "{ends:?}");
        }
    }
}

/// The wait for another channel's word, the silence of a donor, the pause before a copy: none is waited out in a jump, and none for hours.
#[test]
fn a_channel_joins_again_whatever_the_clocks_do() {
    for jump_us in [HOUR_US, -HOUR_US] {
        // The jump falls into the copy.
        let at_copy = move |offset: i64| -> Shows {
            Arc::new(move |now| (20 * HOUR_US + now as i64 + if now > 8_200_000 { offset } else { 0 }) as u64)
        };
        for shows in
            [[at_copy(jump_us), steady()], [steady(), at_copy(jump_us)], [jumps_by(jump_us), at_copy(-jump_us)]]
        {
            let config = Config { solo_boot_after_us: Some(2_000_000), ..CONFIG };
            let [a, b] = run(shows, config, true);
            assert_eq!((a.mode, b.mode), (Mode::Duplex, Mode::Duplex), "{jump_us}: {a:?} {b:?}");
            assert_eq!((a.takeovers, b.joined), (1, 1), "{jump_us}: {a:?} {b:?}");
        }
    }
}
