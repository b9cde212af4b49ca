//! Value faults in one channel of a pair in duplex: masked in the same cycle, by re-execution.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Servo, sensor};
use twinstep::sim::{ArbiterKind, Pair, Report, Setup, Storage};
use twinstep::{ChannelId, Config, Mechanism, Mode, Site};

const PERIOD_US: u32 = 30_000;
const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

fn config() -> Config {
    Config {
        period_us: PERIOD_US,
        vote_window_us: 21_000,
        retransmit_us: 2_500,
        hello_us: 15_000,
        link_delay_us: 1_500,
        ..Config::DEFAULT
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    site: Site,
    victim: ChannelId,
    bit: usize,
    at_us: u64,
    off: Option<Mechanism>,
}

impl Case {
    fn run(self) -> (Report, [Option<Mode>; 2], bool) {
        let setup = Setup {
            seed: self.seed,
            config: config(),
            off: self.off,
            arbiter: ArbiterKind::Relay { asks: 1 },
            ..Setup::default()
        };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(self.seed)).unwrap();
        pair.run(20);
        pair.run_us(self.at_us);
        let hit = pair.node(self.victim).unwrap().flip(self.site, self.bit);
        pair.run(60);
        if std::env::var("SHOW").is_ok() {
            for channel in CHANNELS {
                let node = pair.node(channel).unwrap();
                println!("{channel} {:?} {:?}", node.counters(), node.first_fault());
                while let Some(entry) = node.read_event() {
                    println!("   {entry:?}");
                }
            }
        }
        (pair.report(), CHANNELS.map(|channel| pair.mode(channel)), hit)
    }
}

#[test]
fn survey() {
    for site in [Site::Marks, Site::Times, Site::Copying] {
        let mut tally = std::collections::BTreeMap::<String, (u32, Case)>::new();
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let case = Case {
                seed,
                site,
                victim: CHANNELS[seed as usize % 2],
                bit: rng.usize(..),
                at_us: rng.u64(0..6000),
                off: None,
            };
            let (r, modes, hit) = case.run();
            let key = format!(
                "hit {hit} wrong {} missing {} held {} takeovers {} diverged {} safe {} excl {} modes {modes:?}",
                r.wrong, r.missing, r.held, r.takeovers, r.diverged, r.safe, r.self_exclusions
            );
            tally.entry(key).or_insert((0, case)).0 += 1;
        }
        println!("{site:?}");
        for (key, (count, case)) in tally {
            println!("   {count:4} {key}   e.g. seed {} {} bit {} at {}", case.seed, case.victim, case.bit, case.at_us);
        }
    }
}

#[test]
#[ignore = "a tool"]
fn one() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    let site = Site::ALL[std::env::var("SITE").unwrap().parse::<usize>().unwrap()];
    let mut rng = fastrand::Rng::with_seed(seed);
    let case = Case {
        seed,
        site,
        victim: CHANNELS[seed as usize % 2],
        bit: rng.usize(..),
        at_us: rng.u64(0..6000),
        off: None,
    };
    println!("{case:?} {:?}", case.run());
}
