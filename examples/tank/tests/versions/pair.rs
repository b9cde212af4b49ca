//! Two channels in lockstep hold the set point through the death of one.

use crate::bench::Version;
use crate::thermal::{Surroundings, Thermal};
use std::cell::RefCell;
use tank::{Drive, ReversedTank, Tank, TankV2};
use twinstep::sim::{LinkFaults, Pair, Report, Setup, Storage};
use twinstep::{ChannelId, Config, Cycle};

/// Returns the coldest and the hottest the tank was once it should have been warm.
fn run<P: Version>() -> (f64, f64, Report) {
    let thermal = RefCell::new(Thermal::new(42, 8.0, Surroundings::QUIET));
    let sensor = |_: ChannelId, _: Cycle| thermal.borrow_mut().sample(0.0);
    let config = Config { retransmit_us: 6_000, ..Config::DEFAULT };
    let setup = Setup { seed: 7, config, link: LinkFaults::NOISY, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<P>::new(&setup, &mut memory, sensor).unwrap();

    let mut drive = P::SAFE;
    let (mut coldest_c, mut hottest_c) = (f64::MAX, f64::MIN);
    for period in 0..500 {
        if period == 150 {
            let owner = pair.owner().unwrap_or(ChannelId::A);
            pair.kill(owner);
        }
        pair.run(1);
        // Nobody drives: the actuator holds its level.
        if let Some(owner) = pair.owner() {
            let latest = pair.node(owner).and_then(|node| P::latest(node.state()));
            drive = latest.map_or(drive, |entry| Drive { heater_permille: entry.heater_permille, ..drive });
        }
        let mut thermal = thermal.borrow_mut();
        thermal.step(&drive);
        if period >= 300 {
            coldest_c = thermal.tank_c.min(coldest_c);
            hottest_c = thermal.tank_c.max(hottest_c);
        }
    }
    let report = pair.report();
    (coldest_c, hottest_c, report)
}

#[test]
fn a_pair_reaches_the_set_point_and_holds_it_through_a_death() {
    for (coldest_c, hottest_c, report) in [run::<Tank>(), run::<TankV2>()] {
        assert!(coldest_c >= 59.0 && hottest_c <= 61.0, "{coldest_c} to {hottest_c} °C");
        assert_eq!((report.wrong, report.incongruent, report.owners_max, report.takeovers), (0, 0, 1, 1));
    }
}

#[test]
fn control_a_reversed_heater_holds_nothing() {
    let (coldest_c, ..) = run::<ReversedTank>();
    assert!(coldest_c < 50.0, "{coldest_c} °C");
}
