//! When a hang excuses a silence: while it is of the only half that has the state, and no longer.

use super::successor::SOUND;
use super::*;
use twinstep::sim::{Failure, Traced, TracedEvent};

const PERIOD_US: u64 = 20_000;
const HUNG_US: u64 = 10 * PERIOD_US;

/// Brings a pair to a step, and returns it with its owner.
fn at<'m>(memory: &'m mut Memories<Servo, ServoV2<SOUND>>, step: Step) -> (Pair<'m, SOUND>, ChannelId) {
    let mut pair = Pair::<SOUND>::new(&setup(5), memory, sensor(5)).unwrap();
    bring_to(&mut pair, step);
    let owner = pair.owner().unwrap();
    (pair, owner)
}

/// Lets a half hang, and runs until it does.
fn hang(pair: &mut Pair<'_, SOUND>, channel: ChannelId) {
    pair.trace();
    pair.fail_at_byte(channel, 0, Failure::Hangs { for_us: Some(HUNG_US), hears: true });
    let hangs = |traced: &Traced| matches!(&traced.what, TracedEvent::Became(what) if what.starts_with("hung"));
    let is_hung = (0..100).any(|_| {
        pair.run_us(PERIOD_US / 20);
        pair.take_trace().iter().any(hangs)
    });
    assert!(is_hung);
}

#[test]
fn a_half_hangs_while_the_other_one_is_off() {
    let mut memory = Memories::new();
    let (mut pair, owner) = at(&mut memory, Step::Split);
    run_until(&mut pair, 20, "off", |pair| pair.mode(owner.other()).is_none());
    hang(&mut pair, owner);
    pair.run(20);
    let report = pair.report();
    assert!(pair.hung_the_only() && !pair.killed_the_only());
    assert!(report.longest_silence_us >= HUNG_US, "{}", describe(&pair));
    assert!(report.longest_idle_us < 2 * PERIOD_US, "{}", describe(&pair));
    assert_flawless(&pair);
}

/// The other one takes over: it is missed for not longer than any other half, and nothing is excused.
#[test]
fn a_half_hangs_while_the_other_one_has_the_state() {
    for hangs_owner in [true, false] {
        let mut memory = Memories::new();
        let (mut pair, owner) = at(&mut memory, Step::OldDrives);
        pair.run(3);
        hang(&mut pair, if hangs_owner { owner } else { owner.other() });
        pair.run(20);
        let report = pair.report();
        assert!(!pair.hung_the_only(), "{}", describe(&pair));
        assert_eq!(report.longest_idle_us, report.longest_silence_us, "{}", describe(&pair));
        assert_flawless(&pair);
    }
}

/// Two faults: the first one was no hang of the only half.
#[test]
fn a_half_that_loses_the_state_later_excuses_nothing() {
    for later in [0, 3] {
        let mut memory = Memories::new();
        let (mut pair, owner) = at(&mut memory, Step::OldDrives);
        pair.run(3);
        hang(&mut pair, owner);
        pair.run(later);
        pair.kill(owner.other(), None);
        pair.run(20);
        let report = pair.report();
        assert!(!pair.hung_the_only() && !pair.killed_the_only(), "{later} periods later: {}", describe(&pair));
        assert_eq!(report.longest_idle_us, report.longest_silence_us, "{}", describe(&pair));
    }
}
