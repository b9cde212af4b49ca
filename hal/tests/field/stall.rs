//! A channel that was not polled, by a flash erase or a debugger, doubts itself before it blames the other one.

use super::program::{CONFIG, Relay, channel};
use super::time::{Around, both};
use twinstep::{Config, Faults, Mode};

/// How a channel ended.
#[derive(Debug)]
struct End {
    mode: Mode,
    takeovers: u32,
    /// All that its verdicts told of, if there is a first one.
    fault: Option<Faults>,
}

/// A and B do nothing for so long, once, between two cycles.
fn after_stalls(config: Config, stalls_us: [u64; 2]) -> [End; 2] {
    let relay = Relay::default();
    both([Around::usual(), Around::usual()], |mut port| {
        let me = port.me.index();
        let mut pair = channel(&port, relay.clone(), 1 + me as u32, config);
        let (mut end, mut told) = (None, Faults::empty());
        for cycle in 0..90 {
            let verdict = pair.cycle(&mut port, || 1).unwrap();
            told |= if cycle > 20 && cycle < 80 { verdict.fault().unwrap_or_default() } else { Faults::empty() };
            if cycle == 40 {
                port.pass(stalls_us[me]);
            }
            // One of both ends first, and then the other one is alone.
            if cycle == 80 {
                let node = pair.node();
                let (mode, counters) = (node.mode(), node.counters());
                let fault = node.first_fault().map(|first| first.faults | told);
                end = Some(End { mode, takeovers: counters.takeovers, fault });
            }
        }
        end.unwrap()
    })
}

#[test]
fn a_stall_that_the_other_one_bears_costs_no_redundancy() {
    // 60 ms of vote window, 100 ms of period: a stall of 150 ms ends within the window of the next cycle.
    let patient = Config { patience: 2, ..CONFIG };
    for (config, stall_us) in [(CONFIG, 150_000), (patient, 150_000), (patient, 250_000), (patient, 300_000)] {
        for stalls_us in [[stall_us, 0], [0, stall_us], [stall_us; 2]] {
            let ends = after_stalls(config, stalls_us);
            for end in &ends {
                assert_eq!((end.mode, end.takeovers, end.fault), (Mode::Duplex, 0, None), "{stalls_us:?}: {ends:?}");
            }
        }
    }
}

/// One that the other one does not bear looks to it like a death: it goes on alone, and the channel that stalled joins again. That one
/// has taken nothing over and blames nobody.
#[test]
fn whoever_stalled_for_longer_takes_nothing_over_and_blames_nobody() {
    for stalls_us in [[250_000, 0], [0, 250_000], [1_000_000, 0], [0, 1_000_000]] {
        let ends = after_stalls(CONFIG, stalls_us);
        let at = usize::from(stalls_us[0] == 0);
        assert_eq!(ends[1 - at].takeovers, 1, "{ends:?}");
        assert_eq!(ends[at].takeovers, 0, "{ends:?}");
        let blames = Faults::PEER_SILENT | Faults::PEER_FAULTY | Faults::PEER_LEFT;
        assert!(!ends[at].fault.unwrap_or_default().intersects(blames), "{ends:?}");
        assert!(ends.iter().all(|end| end.mode == Mode::Duplex), "{ends:?}");
    }
}

/// However long it was: also if it comes back just after the other one took over, in time for a deadline of its own.
#[test]
fn whoever_stalled_blames_nobody() {
    for stall_us in (100_000..460_000).step_by(3_000) {
        for who in [0, 1] {
            let ends = after_stalls(CONFIG, if who == 0 { [stall_us, 0] } else { [0, stall_us] });
            let fault = ends[who].fault.unwrap_or_default();
            let blames = Faults::PEER_SILENT | Faults::PEER_FAULTY | Faults::PEER_LEFT;
            assert!(ends[who].takeovers == 0 && !fault.intersects(blames), "{who} for {stall_us} us: {ends:?}");
        }
    }
}

/// Both at once, for about as long as the longest gap: what is a stall to the one is a clock that has jumped to the other one.
#[test]
fn two_that_stalled_about_as_long_as_the_longest_gap_go_on_in_duplex() {
    for a_us in (185_000..=212_000).step_by(3_000) {
        for b_us in (185_000..=212_000).step_by(2_000) {
            let ends = after_stalls(CONFIG, [a_us, b_us]);
            for end in &ends {
                assert_eq!((end.mode, end.takeovers, end.fault), (Mode::Duplex, 0, None), "{a_us} {b_us}: {ends:?}");
            }
        }
    }
}

/// Both at once, whoever wakes first, and wherever in the cycle they were.
#[test]
fn two_that_stalled_at_once_go_on_in_duplex() {
    for stall_us in [90_000_u64, 150_000, 300_000, 1_000_000] {
        for later_us in [0, 1, 100, 3_000] {
            for stalls_us in [[stall_us, stall_us + later_us], [stall_us + later_us, stall_us]] {
                let ends = after_stalls(CONFIG, stalls_us);
                for end in &ends {
                    let seen = (end.mode, end.takeovers, end.fault);
                    assert_eq!(seen, (Mode::Duplex, 0, None), "{stalls_us:?}: {ends:?}");
                }
            }
        }
    }
}

/// Longest time between two outputs of A, whose sensor takes so long in each cycle, as B dies; and how many cycles A served alone.
fn longest_silence_us(sensor_us: u64) -> (u64, u32) {
    let relay = Relay::default();
    let [a, _] = both([Around::usual(), Around::usual()], |mut port| {
        let me = port.me.index();
        let mut pair = channel(&port, relay.clone(), 1 + me as u32, CONFIG);
        let (mut longest_us, mut driven_at, mut alone) = (0, None, 0);
        for _ in 0..if me == 0 { 80 } else { 40 } {
            let inner = port.clone();
            let verdict = pair.cycle(&mut port, || {
                inner.pass(sensor_us);
                1
            });
            if verdict.unwrap().release().count() > 0 {
                let since_us = driven_at.replace(port.now_us()).map_or(0, |at| port.now_us() - at);
                longest_us = longest_us.max(since_us);
            }
            alone = pair.node().counters().alone;
        }
        (longest_us, alone)
    });
    a
}

/// A cycle that began late gives its peer the rest of a vote window, not another period.
#[test]
fn a_slow_sensor_costs_a_survivor_no_period() {
    for sensor_us in [0, 30_000, 45_000, 50_000] {
        let (longest_us, alone) = longest_silence_us(sensor_us);
        assert!(longest_us <= 170_000 && alone > 20, "{sensor_us} us: {longest_us} us, {alone} alone");
    }
}
