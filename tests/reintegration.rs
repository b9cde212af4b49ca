//! A channel that was dead or stood by comes back while the other serves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Servo, sensor};
use twinstep::sim::{ArbiterKind, LinkFaults, Pair, Report, Setup, Storage};
use twinstep::{ChannelId, Config, Mode};

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

fn modes(pair: &Pair<'_, Servo>) -> [Option<Mode>; 2] {
    CHANNELS.map(|channel| pair.mode(channel))
}

fn in_duplex(pair: &Pair<'_, Servo>) -> bool {
    modes(pair) == [Some(Mode::Duplex); 2]
}

/// Nothing wrong, nothing missing, one owner, and not a block too many.
fn assert_sound(report: &Report, config: &Config, context: &dyn std::fmt::Debug) {
    let bad = [report.wrong, report.missing, report.incongruent, report.unvoted_in_duplex, report.damaged];
    assert_eq!(bad, [0; 5], "{context:?}: {report:?}");
    assert!(report.owners_max <= 1, "{context:?}: {report:?}");
    assert!(report.blocks_in_a_cycle_max <= config.copy_blocks.into(), "{context:?}: {report:?}");
}

#[test]
fn killed_restarted_and_back_in_duplex_again_and_again() {
    for victim in CHANNELS {
        let setup = Setup::default();
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(7)).unwrap();
        pair.run(20);
        let mut victim = victim;
        for round in 0..10 {
            assert!(in_duplex(&pair), "round {round}: {:?}", modes(&pair));
            pair.kill(victim);
            pair.run(3);
            pair.restart(victim);
            pair.run(25);
            victim = victim.other();
        }
        assert!(in_duplex(&pair), "{:?}", modes(&pair));
        let report = pair.report();
        assert_sound(&report, &setup.config, &victim);
        assert_eq!((report.joined, report.copies_begun, report.copies_failed, report.held), (10, 10, 0, 0));
        assert!(report.released >= 290, "{report:?}");
    }
}
