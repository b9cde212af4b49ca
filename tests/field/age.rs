//! Nothing is released that comes of a sample older than `patience + 1` periods; the output of the cycle before, which a survivor drives
//! once more, one period older.

use super::two::{Driven, Two};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use twinstep::sim::{ArbiterKind, Pair, Setup, Storage, World};
use twinstep::{ChannelId, Config, Cycle, Instant, Mechanism, Mode};

use super::two::Echo;

/// The second that it is, and the second of the sample, for each output.
type Log = Rc<RefCell<Vec<(u32, u32)>>>;

struct Seconds(Rc<Cell<u32>>, Log);

impl World<Echo> for Seconds {
    fn sample(&mut self, _: ChannelId, _: Cycle) -> u32 {
        self.0.get()
    }

    fn drive(&mut self, _: ChannelId, _: Cycle, output: &u32) {
        self.1.borrow_mut().push((self.0.get(), *output));
    }
}

/// The owner by rule dies in the middle of a cycle and boots a minute later; returns the age of the oldest output, in seconds.
fn oldest_s(frame: u64, off: Option<Mechanism>) -> u32 {
    let (second, log) = (Rc::new(Cell::new(0)), Log::default());
    let mut memory = [Storage::new(), Storage::new()];
    let setup = Setup { arbiter: ArbiterKind::Preferred(ChannelId::A), off, ..Setup::default() };
    let mut pair = Pair::<Echo>::new(&setup, &mut memory, Seconds(second.clone(), log.clone())).unwrap();
    let run = |pair: &mut Pair<'_, Echo>, seconds: u32| {
        for _ in 0..seconds {
            second.set(second.get() + 1);
            pair.run(1_000_000 / setup.config.period_us);
        }
    };
    run(&mut pair, 5);
    let at = pair.frames_sent() + frame;
    pair.kill_at_frame(ChannelId::A, at);
    run(&mut pair, 60);
    pair.restart(ChannelId::A);
    run(&mut pair, 5);
    assert_eq!(pair.report().wrong, 0);
    log.borrow().iter().map(|(now, of)| now - of).max().unwrap()
}

/// Each call comes later than the longest gap after the one before. A clock that jumps once in a cycle has jumped; one that goes on and on
/// like that is read so seldom.
#[test]
fn calls_that_come_seldom_get_their_verdict() {
    for (patience, every_us) in [(0, 201_000), (0, 250_000), (1, 301_000), (3, 501_000)] {
        let mut two = Two::in_duplex(Config { patience, ..Config::DEFAULT });
        let (start, mut verdicts) = (two.now_us, 0);
        for tick in 1..=200 {
            let now = Instant::from_micros(start + tick * every_us);
            let _ = two.nodes[0].as_mut().unwrap().begin(now, 1); // before the verdict it is refused
            let node = two.nodes[0].as_mut().unwrap();
            verdicts += u32::from(node.poll_verdict(now, &mut two.relays[0]).is_some());
        }
        assert!(verdicts > 60 && two.node(0).mode() == Mode::Simplex, "{patience} {every_us}: {verdicts} verdicts");
    }
}

#[test]
fn a_channel_that_stood_by_for_a_minute_drives_nothing_of_before() {
    let ages = |off| (0..10).map(|frame| oldest_s(frame, off)).max().unwrap();
    assert!(ages(None) <= 1, "{} s", ages(None));
    assert!(ages(Some(Mechanism::Age)) >= 59, "{} s", ages(Some(Mechanism::Age)));
}

/// Both sleep, so that no deadline is missed, with a cycle begun.
#[test]
fn no_output_is_older_than_it_may_be_whoever_sleeps() {
    for patience in [0, 1, 3] {
        let config = Config { patience, ..Config::DEFAULT };
        for phase_us in (0..100_000).step_by(9_000) {
            for sleepers in [[true, false], [false, true], [true, true]] {
                for sleeps_us in [130_000, 450_000, 3_000_000] {
                    let mut two = Two::in_duplex(config);
                    two.run_us(phase_us);
                    two.is_asleep = sleepers;
                    two.run_us(sleeps_us);
                    two.is_asleep = [false; 2];
                    two.run_us(1_000_000);
                    // A sample and its output are told in milliseconds; both sensors are read within a period.
                    let limit_ms = (u64::from(patience) + 2) * 100 + 1;
                    let age_ms = |driven: &Driven| driven.at_us / 1_000 - u64::from(driven.output);
                    let oldest = two.driven.iter().max_by_key(|driven| age_ms(driven)).unwrap();
                    let context = (patience, phase_us, sleepers, sleeps_us);
                    assert!(age_ms(oldest) <= limit_ms, "{context:?}: {oldest:?}");
                }
            }
        }
    }
}
