//! One flipped bit anywhere in one channel: masked in the same cycle, and nobody else is suspected.

use crate::case::{ARBITERS, CHANNELS, Case, Ending, LINK_DELAY_US};
use crate::knob::knob;
use twinstep::diagnose::Suspects;
use twinstep::wire::Kind;
use twinstep::{Diagnosis, Site};

/// Who may be suspected of a flip at a place, if anybody is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blame {
    Channel,
    Path,
    Comparator,
    /// It is mended before it does anything.
    Nobody,
}

/// The places, whom a divergence is blamed on, and of [`OF`] cases how many at least must lead to a
/// divergence and how many to something mended on the spot.
const PLACES: [(Site, Blame, [u32; 2]); 15] = [
    (Site::Output, Blame::Channel, [1_200, 0]),
    (Site::AgreedInput, Blame::Channel, [400, 0]),
    (Site::MySample, Blame::Nobody, [0, 120]),
    (Site::SpareSample, Blame::Nobody, [0, 0]),
    (Site::PeerSample, Blame::Nobody, [0, 0]),
    (Site::NextSample, Blame::Nobody, [0, 0]),
    (Site::MyVote, Blame::Channel, [200, 0]),
    (Site::PeerVote, Blame::Path, [0, 0]),
    (Site::LastOutput, Blame::Nobody, [0, 0]),
    (Site::Working, Blame::Channel, [50, 1_000]),
    (Site::Checkpoint, Blame::Nobody, [0, 1_000]),
    (Site::Digest, Blame::Channel, [40, 1_000]),
    (Site::Control, Blame::Nobody, [0, 950]),
    (Site::ControlInStep, Blame::Nobody, [0, 1_000]),
    (Site::Comparator, Blame::Comparator, [1_200, 0]),
];

/// The same with a frame lost: now samples and votes that have arrived can be damaged before they
/// are used. (That a next sample can be is in `by_hand`: for that a channel must be a cycle behind.)
const PLACES_WHILE_ONE_WAITS: [(Site, Blame, [u32; 2]); 15] = [
    (Site::Output, Blame::Channel, [1_200, 0]),
    (Site::AgreedInput, Blame::Channel, [400, 0]),
    (Site::MySample, Blame::Nobody, [0, 120]),
    (Site::SpareSample, Blame::Nobody, [0, 0]),
    (Site::PeerSample, Blame::Nobody, [0, 0]),
    (Site::NextSample, Blame::Nobody, [0, 0]),
    (Site::MyVote, Blame::Channel, [200, 0]),
    (Site::PeerVote, Blame::Path, [50, 0]),
    (Site::LastOutput, Blame::Nobody, [0, 0]),
    (Site::Working, Blame::Channel, [50, 1_000]),
    (Site::Checkpoint, Blame::Nobody, [0, 1_000]),
    (Site::Digest, Blame::Channel, [40, 1_000]),
    (Site::Control, Blame::Nobody, [0, 950]),
    (Site::ControlInStep, Blame::Nobody, [0, 1_000]),
    (Site::Comparator, Blame::Comparator, [1_200, 0]),
];

const OF: u32 = 1_200;

/// Flips in each place: `FLIPS=100000 cargo test --release --test divergence transient`.
fn flips() -> u32 {
    knob("FLIPS", 240)
}

/// Of so many flips, what [`OF`] must lead to at least.
fn least_of(flips: u32, least: [u32; 2]) -> [u32; 2] {
    least.map(|least| (u64::from(least) * u64::from(flips) / u64::from(OF)) as u32)
}

#[derive(Debug, Default)]
struct Tally {
    hits: u32,
    diverged: u32,
    mended: u32,
}

impl Tally {
    fn check(&mut self, case: &Case, blame: Blame) {
        let ending = case.run();
        ending.assert_masked(case);
        check_blame(case, &ending, blame);
        self.hits += u32::from(ending.hit);
        self.diverged += u32::from(ending.report.diverged > 0);
        self.mended += u32::from(ending.side(case.victim).mended() > 0);
    }

    #[track_caller]
    fn assert_at_least(&self, site: Site, [diverged, mended]: [u32; 2]) {
        println!("{site:?}: {self:?}");
        assert!(self.diverged >= diverged && self.mended >= mended, "does nothing: {site:?}: {self:?}");
    }
}

fn check_blame(case: &Case, ending: &Ending, blame: Blame) {
    let suspect = match blame {
        Blame::Channel => Suspects::channel(case.victim),
        Blame::Path => Suspects::PATH,
        Blame::Comparator => Suspects::comparator(case.victim),
        Blame::Nobody => Suspects::empty(),
    };
    let [victim, other] = [case.victim, case.victim.other()].map(|channel| ending.side(channel));
    let found = victim.diagnoses();
    assert_eq!(other.diagnoses(), found, "{case:?}");
    if ending.report.diverged > 0 {
        assert_eq!(found, [Diagnosis::Transient(suspect)], "{case:?}");
        // A channel that had settled before it heard of it has nothing to mask.
        assert_eq!((victim.counters.diverged, other.counters.diverged), (1, 1), "{case:?}");
        assert_eq!((victim.counters.masked, other.counters.masked.max(1)), (1, 1), "{case:?}");
    } else {
        assert_eq!(found, [], "{case:?}");
    }
    // What a channel finds wrong with itself between vote and commit is its own affair, and travels
    // with the next evidence.
    let [divergences, recommits] = [u32::from(ending.report.diverged > 0), victim.counters.recommitted];
    let level = |count: u32| {
        [Suspects::CHANNEL_A, Suspects::CHANNEL_B, Suspects::PATH, Suspects::COMPARATOR_A, Suspects::COMPARATOR_B]
            .map(|of| if of == suspect { count as u8 } else { 0 })
    };
    assert_eq!(victim.levels, level(divergences + recommits), "{case:?}");
    assert_eq!(other.levels, level(divergences), "{case:?}");
    assert_eq!(other.mended(), 0, "{case:?}");
}

#[test]
fn at_any_moment_of_a_cycle() {
    for (site, blame, least) in PLACES {
        let mut tally = Tally::default();
        for seed in 0..u64::from(flips()) {
            tally.check(&Case::of_seed(seed, site), blame);
        }
        tally.assert_at_least(site, least_of(flips(), least));
    }
}

/// The samples cross, the votes cross, the evidence crosses: each microsecond around each of these.
#[test]
fn at_every_microsecond_around_the_exchange() {
    for (site, blame, least) in PLACES {
        let mut tally = Tally::default();
        for exchange in 0..4 {
            let around = (exchange * LINK_DELAY_US).saturating_sub(30)..exchange * LINK_DELAY_US + 60;
            for at_us in around {
                for victim in CHANNELS {
                    let picked = Case::of_seed(at_us * 2 + victim.index() as u64, site);
                    let arbiter = ARBITERS[at_us as usize % 3];
                    tally.check(&Case { at_us, victim, arbiter, ..picked }, blame);
                }
            }
        }
        tally.assert_at_least(site, least.map(|least| least / 2));
    }
}

/// One frame less, and votes and samples lie in memory for longer: a vote that is sent again was
/// damaged meanwhile, and a vote that overtook its sample waits.
#[test]
fn while_a_lost_frame_is_sent_again() {
    for (site, blame, least) in PLACES_WHILE_ONE_WAITS {
        let mut tally = Tally::default();
        for seed in 0..u64::from(flips()) {
            let kinds = [Kind::Sample, Kind::Vote, Kind::Evidence];
            let case = Case { loses: Some(kinds[seed as usize / 6 % 3]), ..Case::of_seed(seed, site) };
            tally.check(&case, blame);
        }
        tally.assert_at_least(site, least_of(flips(), least));
    }
}
