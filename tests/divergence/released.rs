//! An output damaged between vote and actuator does not open: a fault, not a movement.

use crate::case::{Case, Ending};
use twinstep::sim::ArbiterKind;
use twinstep::{ChannelId, Mechanism, Site};

const SEEDS: u64 = 120;

fn damaged_on_its_way(seed: u64, off: Option<Mechanism>) -> Ending {
    let case = Case { off, ..Case::of_seed(seed, Site::Output) };
    case.with_clean_pair(|pair| {
        let owner = pair.owner().unwrap();
        let bit = case.bit % 32;
        pair.damage_next_release(owner, move |drive| drive.torque ^= 1 << bit);
        pair.run(4);
        Ending::of(pair, true)
    })
}

#[test]
fn an_output_damaged_after_the_vote_is_not_driven() {
    for seed in 0..SEEDS {
        let Ending { report, .. } = damaged_on_its_way(seed, None);
        // It is driven by nobody: the other channel holds no lease.
        assert_eq!((report.damaged, report.wrong, report.missing), (1, 0, 1), "seed {seed}: {report:?}");
    }
}

#[test]
fn without_the_seal_it_is() {
    for seed in 0..SEEDS {
        let Ending { report, .. } = damaged_on_its_way(seed, Some(Mechanism::Seal));
        assert_eq!((report.damaged, report.wrong), (0, 1), "seed {seed}: {report:?}");
    }
}

/// The dead owner's last cycle, damaged while it was kept for a takeover.
#[test]
fn an_output_damaged_while_it_is_kept_is_not_driven() {
    for seed in 0..SEEDS {
        for off in [None, Some(Mechanism::Seal)] {
            let arbiter = ArbiterKind::Relay { asks: 1 };
            // Settled, and the next cycle has not begun.
            let at_us = 10_000 + seed * 100;
            let case = Case { off, arbiter, at_us, victim: ChannelId::B, ..Case::of_seed(seed, Site::LastOutput) };
            let (hit, report) = case.with_pair(|pair, hit| {
                pair.kill(ChannelId::A);
                pair.run(4);
                (hit, pair.report())
            });
            let counted = (report.takeovers, report.damaged, report.wrong, report.missing);
            match off {
                None => assert_eq!(counted, (1, u32::from(hit), 0, 0), "{case:?}"),
                Some(_) => assert_eq!(counted, (1, 0, u32::from(hit), 0), "{case:?}"),
            }
        }
    }
}
