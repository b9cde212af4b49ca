//! A pair is upgraded from version 1 to version 2, and back from a flawed one, while it heats the tank.

use crate::thermal::{Surroundings, Thermal};
use std::cell::RefCell;
use tank::{
    Drive, Flaw, OVERFLOWS_AFTER_CYCLES, Overflowing, Reading, Refusal, Refusing, Reversed, Sound, Tank, Version2,
};
use twinstep::sim::{LineModel, Memories, Setup, UpgradePair, Version, World};
use twinstep::upgrade::{Order, Status, Step};
use twinstep::{ChannelId, Config, Cycle, Mode, Program};

const BOTH: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

type Pair<'m, F> = UpgradePair<'m, Tank, Version2<F>>;

/// The tank that the pair heats.
struct Tub {
    thermal: Thermal,
    cycle: Cycle,
    drive: Drive,
    /// From when on it has to be warm.
    warm_after: u32,
    farthest_c: f64,
}

impl Tub {
    fn new() -> RefCell<Self> {
        let thermal = Thermal::new(11, 59.0, Surroundings::QUIET);
        RefCell::new(Self { thermal, cycle: Cycle(0), drive: Tank::SAFE, warm_after: 40, farthest_c: 0.0 })
    }
}

/// The tub as the pair sees it.
struct Field<'t>(&'t RefCell<Tub>);

impl World<Tank> for Field<'_> {
    fn sample(&mut self, _: ChannelId, cycle: Cycle) -> Reading {
        let mut tub = self.0.borrow_mut();
        if cycle.0 > tub.cycle.0 {
            let drive = tub.drive;
            tub.cycle = cycle;
            tub.thermal.step(&drive);
            if cycle.0 > tub.warm_after {
                tub.farthest_c = tub.farthest_c.max((tub.thermal.tank_c - 60.0).abs());
            }
        }
        tub.thermal.sample(0.0)
    }

    fn drive(&mut self, _: ChannelId, _: Cycle, output: &Drive) {
        self.0.borrow_mut().drive = *output;
    }
}

fn setup() -> Setup {
    let config = Config {
        period_us: 20_000,
        vote_window_us: 14_000,
        retransmit_us: 2_500,
        hello_us: 10_000,
        link_delay_us: 1_000,
        trial_cycles: 50,
        copy_blocks: 8,
        probation_cycles: 3,
        ..Config::DEFAULT
    };
    // Cycles of 20 ms want 460800 baud: half a millisecond for a sample's frame, and as much until it is seen.
    let line = LineModel { baud: 460_800, latency_us: 500, ..LineModel::UART_115200 };
    Setup { seed: 3, config, line, ..Setup::default() }
}

fn run_until<F: Flaw>(pair: &mut Pair<'_, F>, periods: u32, what: &str, is_so: impl Fn(&Pair<'_, F>) -> bool) {
    for _ in 0..periods {
        if is_so(pair) {
            return;
        }
        pair.run(1);
    }
    panic!("not in {periods} periods: {what}; {:?}, {:?}", BOTH.map(|channel| pair.status(channel)), pair.report());
}

fn in_duplex<F: Flaw>(pair: &Pair<'_, F>, version: Version) -> bool {
    BOTH.iter().all(|channel| {
        pair.mode(*channel) == Some(Mode::Duplex)
            && pair.version(*channel) == Some(version)
            && pair.status(*channel).is_some_and(|status| status.step == Step::Idle && status.duty.is_none())
    })
}

fn status<F: Flaw>(pair: &Pair<'_, F>) -> Status {
    pair.status(pair.owner().unwrap()).unwrap()
}

fn order<F: Flaw>(pair: &mut Pair<'_, F>, order: Order) {
    let owner = pair.owner().unwrap();
    pair.order(owner, order).unwrap();
}

/// Brings a pair to duplex, lets it heat the tank for a while and splits it.
fn split<F: Flaw>(pair: &mut Pair<'_, F>) {
    run_until(pair, 100, "duplex", |pair| in_duplex(pair, Version::Old));
    pair.run(100);
    for channel in BOTH {
        pair.half_mut(channel).unwrap().clear_first_fault();
    }
    order(pair, Order::Prepare);
    order(pair, Order::Split);
}

/// … and lets the new version drive.
fn switch_over<F: Flaw>(pair: &mut Pair<'_, F>) {
    split(pair);
    run_until(pair, 300, "ready", |pair| status(pair).is_ready);
    order(pair, Order::Switchover);
    run_until(pair, 20, "switchover", |pair| status(pair).step == Step::NewDrives);
}

/// No cycle without its output, none wrong, and the tank as warm as it should be.
fn assert_flawless<F: Flaw>(pair: &Pair<'_, F>, tub: &RefCell<Tub>) {
    let report = pair.report();
    assert_eq!((report.wrong, report.missing, report.states_lost, report.safe), (0, 0, 0, 0), "{report:?}");
    assert_eq!(report.owners_max, 1);
    let farthest_c = tub.borrow().farthest_c;
    assert!(farthest_c < 0.5, "{farthest_c} °C from the set point");
}

#[test]
fn from_version_1_to_version_2_while_the_tank_is_heated() {
    let tub = Tub::new();
    let mut memory = Memories::new();
    let mut pair = Pair::<Sound>::new(&setup(), &mut memory, Field(&tub)).unwrap();
    switch_over(&mut pair);
    pair.run(300);
    let counts = status(&pair).counts;
    // Tolerated, and not by being the same: the outputs do differ.
    assert!(counts.cycles > 250 && counts.tolerated > 100 && counts.differing == 0, "{counts:?}");
    order(&mut pair, Order::Commit);
    run_until(&mut pair, 300, "duplex of version 2", |pair| in_duplex(pair, Version::New));
    pair.run(300);
    assert!(in_duplex(&pair, Version::New));
    assert_flawless(&pair, &tub);
}

#[test]
fn the_reversed_one_is_found_in_its_trial_and_never_drives() {
    let tub = Tub::new();
    let mut memory = Memories::new();
    let mut pair = Pair::<Reversed>::new(&setup(), &mut memory, Field(&tub)).unwrap();
    split(&mut pair);
    run_until(&mut pair, 300, "a failed trial", |pair| status(pair).has_failed);
    let cycles = status(&pair).counts.cycles;
    println!("found after {cycles} cycles of the trial");
    assert!(cycles <= 8, "{cycles}");
    order(&mut pair, Order::Abort);
    run_until(&mut pair, 300, "duplex of version 1", |pair| in_duplex(pair, Version::Old));
    assert!(pair.driven().iter().all(|(_, _, version)| *version == Version::Old));
    assert_flawless(&pair, &tub);
}

#[test]
fn the_overflowing_one_drives_until_it_is_wrong_and_not_a_cycle_longer() {
    let tub = Tub::new();
    let mut memory = Memories::new();
    let mut pair = Pair::<Overflowing>::new(&setup(), &mut memory, Field(&tub)).unwrap();
    switch_over(&mut pair);
    run_until(&mut pair, 300, "duplex of version 1", |pair| in_duplex(pair, Version::Old));
    let driven = pair.driven().iter().filter(|(_, _, version)| *version == Version::New).count();
    println!("version 2 drove {driven} cycles");
    assert!((50..OVERFLOWS_AFTER_CYCLES as usize).contains(&driven), "{driven}");
    assert_flawless(&pair, &tub);
}

#[test]
fn the_refusing_one_leaves_version_1_alone() {
    let tub = Tub::new();
    let mut memory = Memories::new();
    let mut pair = Pair::<Refusing>::new(&setup(), &mut memory, Field(&tub)).unwrap();
    split(&mut pair);
    run_until(&mut pair, 300, "a refusal", |pair| status(pair).cannot_migrate.is_some());
    assert_eq!(status(&pair).cannot_migrate, Some(Refusal::Unwilling as u16));
    run_until(&mut pair, 300, "duplex of version 1", |pair| in_duplex(pair, Version::Old));
    assert_flawless(&pair, &tub);
}
