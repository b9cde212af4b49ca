//! Operations and faults over the simulated pair, judged by its oracle.

mod operation;
mod promise;

pub use operation::{FrameKind, Operation, Side, Site, Weather};

use crate::program::{Filter, Plant, sample};
use crate::seed::Seed;
use crate::seeded;
use arbitrary::Arbitrary;
use promise::Promise;
use twinstep::sim::{ArbiterKind, LineModel, Pair, Report, Setup, Storage};
use twinstep::{ChannelId, Config, Mechanism};

/// Periods in which the pair gets into duplex on a link without faults.
const BOOT_PERIODS: u32 = 6;
/// Periods that an execution may take beside these, however many its operations ask for.
const FUEL_PERIODS: u32 = 100;
const MOST_OPERATIONS: usize = 48;

const PERIOD_US: u32 = 30_000;
const CONFIG: Config = Config {
    period_us: PERIOD_US,
    vote_window_us: 21_000,
    retransmit_us: 2_500,
    hello_us: 10_000,
    link_delay_us: 1_500,
    scrub_blocks: 2,
    probation_cycles: 2,
    ..Config::DEFAULT
};

/// Cycles of 30 ms want 230400 baud: 1 ms for a sample's frame, and half a millisecond until it is seen.
const LINE: LineModel = LineModel { baud: 230_400, latency_us: 450, ..LineModel::UART_115200 };

seeded! {
    /// Who decides on the outputs.
    pub enum Rule {
        /// A relay that answers at once.
        Relay,
        /// A relay that answers at the third ask.
        SlowRelay,
        /// Only the epoch's owner may go alone; A is the first one.
        PreferredA,
        /// The same with B.
        PreferredB,
    }
}

impl From<Rule> for ArbiterKind {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Relay => Self::Relay { asks: 1 },
            Rule::SlowRelay => Self::Relay { asks: 3 },
            Rule::PreferredA => Self::Preferred(ChannelId::A),
            Rule::PreferredB => Self::Preferred(ChannelId::B),
        }
    }
}

/// One execution: a pair, and what happens to it.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Draws nonces, clock offsets, and what the link does.
    pub seed: u16,
    /// Who decides on the outputs.
    pub rule: Rule,
    /// Held cycles that are borne, modulo 3.
    pub patience: u8,
    /// How fast both clocks go: 128 is right, and a step is two millionths.
    pub drift: [u8; 2],
    /// What happens, in order.
    pub operations: Vec<Operation>,
}

impl Seed for Campaign {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.seed.write(bytes);
        self.rule.write(bytes);
        self.patience.write(bytes);
        self.drift.iter().for_each(|drift| drift.write(bytes));
        self.operations.write(bytes);
    }
}

impl Campaign {
    /// Runs it, as a negative control without one of the mechanisms; returns what is not as it should be, if anything.
    pub fn complaint(&self, off: Option<Mechanism>) -> Option<String> {
        let setup = Setup {
            seed: self.seed.into(),
            config: Config { patience: self.patience % 3, ..CONFIG },
            line: LINE,
            arbiter: self.rule.into(),
            drift_ppm: self.drift.map(|drift| (i32::from(drift) - 128) * 2),
            off,
            ..Setup::default()
        };
        let mut memory = [Storage::<Plant>::new(), Storage::new()];
        let pair = match Pair::<Filter>::new(&setup, &mut memory, sample) {
            Ok(pair) => pair,
            Err(error) => return Some(error.to_string()),
        };
        let mut run = Run { pair, promise: Promise::default(), fuel: FUEL_PERIODS };
        for _ in 0..BOOT_PERIODS {
            run.period();
        }
        for operation in self.operations.iter().take(MOST_OPERATIONS) {
            operation.apply(&mut run);
        }
        // What was done last has its consequences.
        for _ in 0..promise::QUIET_PERIODS {
            run.period();
        }
        let (report, promise) = (run.pair.report(), run.promise);
        let complaint = complaint(&report, &promise)?;
        Some(format!("{complaint}\n{report:?}\n{promise:?}"))
    }
}

/// A campaign under way.
struct Run<'m> {
    pair: Pair<'m, Filter>,
    promise: Promise,
    fuel: u32,
}

impl Run<'_> {
    /// Runs for a whole period.
    fn period(&mut self) {
        self.pair.run(1);
        self.promise.observe(&self.pair, true);
    }

    /// Runs for so many 256ths of a period: the next operation comes at any moment of a cycle.
    fn part_of_period(&mut self, part: u8) {
        self.pair.run_us(u64::from(PERIOD_US) * u64::from(part) / 256);
        self.promise.observe(&self.pair, false);
    }

    /// Takes fuel for so many periods, or what is left; returns how many.
    fn burn(&mut self, periods: u32) -> u32 {
        let burnt = periods.min(self.fuel);
        self.fuel -= burnt;
        burnt
    }
}

fn complaint(report: &Report, promise: &Promise) -> Option<&'static str> {
    if report.owners_max > 1 {
        Some("two channels owned the outputs")
    } else if report.restless > 0 {
        Some("a channel wanted to be asked again at once")
    } else if promise.wrong > 0 {
        Some("a wrong output was released")
    } else if report.unvoted_in_duplex > 0 {
        Some("an output was released in duplex that not both had voted for")
    } else if !promise.had_value_fault && report.diverged > 0 {
        Some("another fault was taken for a value fault")
    } else if !promise.had_value_fault && report.incongruent > 0 {
        Some("the states of two settled channels differ")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::corpus::campaigns;
    use twinstep::Mechanism;

    #[test]
    fn the_corpus_has_nothing_to_complain_of() {
        for (name, campaign) in campaigns() {
            assert_eq!(campaign.complaint(None), None, "{name}");
        }
    }

    /// The negative control: the judge fails on the corpus as soon as a mechanism is missing.
    #[test]
    fn without_a_mechanism_the_corpus_has() {
        for (off, expected) in [
            (Mechanism::Vote, "a wrong output"),
            (Mechanism::Lease, "two channels owned"),
            (Mechanism::Crc, "another fault was taken"),
            (Mechanism::Phase, "another fault was taken"),
        ] {
            let complaints: Vec<_> =
                campaigns().into_iter().filter_map(|(_, campaign)| campaign.complaint(Some(off))).collect();
            assert!(complaints.iter().any(|complaint| complaint.starts_with(expected)), "{off:?}: {complaints:#?}");
        }
    }
}
