//! Buckets in a running pair: both fill, forget and merge alike.

use crate::case::{CHANNELS, Case, LINE, config, to_next_start};
use crate::support::{Servo, sensor};
use twinstep::diagnose::{Reason, Suspects};
use twinstep::sim::{ArbiterKind, Pair, Setup, Storage};
use twinstep::{ChannelId, Config, Event, Mode, Site};

fn levels(pair: &mut Pair<'_, Servo>) -> [[u8; 5]; 2] {
    CHANNELS.map(|channel| pair.node(channel).unwrap().buckets().levels())
}

/// Makes a channel err in its next cycle, and lets that cycle pass.
fn err(pair: &mut Pair<'_, Servo>, channel: ChannelId) {
    to_next_start(pair, channel);
    pair.node_mut(channel).unwrap().flip(Site::Output, 9);
    pair.run_us(12_000);
}

#[test]
fn what_does_not_come_again_is_forgotten_by_both_in_the_same_cycle() {
    for every in [1, 10, 0] {
        let config = Config { transient_leak_ms: every * config().period_us / 1_000, transient_limit: 9, ..config() };
        let setup = Setup { seed: 3, config, line: LINE, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(3)).unwrap();
        pair.run(10);
        for _ in 0..3 {
            err(&mut pair, ChannelId::B);
        }
        let filled = levels(&mut pair)[0][1];
        // One is forgotten each cycle as fast as it comes.
        assert!(if every == 1 { filled <= 1 } else { filled >= 2 }, "every {every}: {filled}");
        for _ in 0..40 {
            to_next_start(&mut pair, ChannelId::A);
            pair.run_us(12_000);
            let [a, b] = levels(&mut pair);
            assert_eq!(a, b, "every {every}");
        }
        let left = if every == 0 { 3 } else { 0 };
        assert_eq!(levels(&mut pair), [[0, left, 0, 0, 0]; 2], "every {every}");
    }
}

/// The innocent one was booted anew and remembers nothing; the evidence tells it.
#[test]
fn a_channel_that_has_joined_comes_to_the_same_verdict() {
    let case = Case { arbiter: ArbiterKind::Preferred(ChannelId::A), ..Case::of_seed(4, Site::Output) };
    case.with_clean_pair(|pair| {
        for _ in 0..2 {
            err(pair, ChannelId::A);
        }
        assert_eq!(levels(pair), [[2, 0, 0, 0, 0]; 2]);
        pair.kill(ChannelId::B);
        pair.run(5);
        pair.restart(ChannelId::B);
        pair.run(40);
        assert_eq!(CHANNELS.map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2]);
        assert_eq!(levels(pair), [[2, 0, 0, 0, 0], [0; 5]]);
        err(pair, ChannelId::A);
        assert_eq!(levels(pair), [[3, 0, 0, 0, 0]; 2]);
        err(pair, ChannelId::A);
        assert_eq!(levels(pair), [[4, 0, 0, 0, 0]; 2]);
        let found = Event::Diagnosed(twinstep::Diagnosis::Faulty(ChannelId::A, Reason::TooOften));
        for channel in CHANNELS {
            let node = pair.node_mut(channel).unwrap();
            assert!(node.is_barred(ChannelId::A));
            assert_eq!(node.buckets().level(Suspects::CHANNEL_A), 4);
            assert!(std::iter::from_fn(|| node.read_event()).any(|entry| entry.event == found), "{channel}");
        }
        pair.run(40);
        let report = pair.report();
        assert_eq!((report.wrong, report.missing), (0, 0));
        assert_eq!(CHANNELS.map(|channel| pair.mode(channel)), [Some(Mode::Starting), Some(Mode::Simplex)]);
    });
}
