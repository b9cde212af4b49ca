//! Campaigns: each a story of faults, as a person would tell it.

use crate::divergence::{Campaign, FrameKind, Operation, Rule, Side, Site, Weather};
use Operation::{Change, Cut, Flip, Heal, Kill, KillAtFrame, Lose, Restart, Run, RunPart};
use Side::{A, B};

const RULES: [(&str, Rule); 4] = [
    ("relay", Rule::Relay),
    ("slow-relay", Rule::SlowRelay),
    ("preferred-a", Rule::PreferredA),
    ("preferred-b", Rule::PreferredB),
];

/// Returns the corpus of `divergence`.
pub fn campaigns() -> Vec<(String, Campaign)> {
    let mut campaigns = Vec::new();
    for (number, (rule_name, rule)) in (0..).zip(RULES) {
        for (story_name, operations) in stories() {
            let drift = [100 + 8 * number, 150];
            let seed = 1 + u16::from(number);
            let campaign = Campaign { seed, rule, patience: number % 3, drift, operations };
            campaigns.push((format!("{story_name}-{rule_name}"), campaign));
        }
    }
    campaigns
}

fn stories() -> Vec<(&'static str, Vec<Operation>)> {
    let quiet = Run { periods: 12 };
    let part = RunPart { part: 90 };
    vec![
        ("owner-dies", vec![quiet, part, Kill { channel: A }, quiet, Restart { channel: A }, Run { periods: 30 }]),
        ("dies-at-frame", vec![quiet, KillAtFrame { channel: B, frames: 9 }, quiet, Restart { channel: B }, quiet]),
        (
            "both-die-in-turn",
            vec![
                quiet,
                Kill { channel: A },
                quiet,
                Restart { channel: A },
                Run { periods: 20 },
                Kill { channel: B },
                quiet,
                Restart { channel: B },
                Run { periods: 20 },
            ],
        ),
        ("link-cut-and-healed", vec![quiet, part, Cut {}, quiet, Heal {}, Run { periods: 30 }]),
        ("bad-weather", vec![Change { weather: Weather::Noisy }, Run { periods: 60 }]),
        (
            "lost-frames",
            vec![
                Change { weather: Weather::Lossy },
                quiet,
                Change { weather: Weather::Late },
                quiet,
                Change { weather: Weather::Calm },
                Lose { kind: FrameKind::Vote },
                quiet,
            ],
        ),
        ("output-flips", vec![quiet, Flip { channel: B, site: Site::Output, bit: 3 }, quiet, quiet]),
        ("state-flips", vec![quiet, part, Flip { channel: A, site: Site::Working, bit: 5 }, quiet]),
        (
            "memory-rots",
            vec![
                quiet,
                Flip { channel: A, site: Site::Checkpoint, bit: 700 },
                quiet,
                Flip { channel: B, site: Site::Working, bit: 1100 },
                quiet,
                Flip { channel: B, site: Site::Digest, bit: 70 },
                quiet,
            ],
        ),
        (
            "vote-and-comparator-flip",
            vec![
                quiet,
                part,
                Flip { channel: B, site: Site::MyVote, bit: 66 },
                quiet,
                part,
                Flip { channel: A, site: Site::PeerVote, bit: 70 },
                quiet,
                Flip { channel: A, site: Site::Comparator, bit: 0 },
                quiet,
            ],
        ),
        (
            "inputs-flip",
            vec![
                quiet,
                Flip { channel: B, site: Site::AgreedInput, bit: 2 },
                quiet,
                part,
                Flip { channel: A, site: Site::MySample, bit: 4 },
                quiet,
                part,
                Flip { channel: B, site: Site::PeerSample, bit: 4 },
                quiet,
            ],
        ),
        (
            "control-and-times-flip",
            vec![
                quiet,
                Flip { channel: B, site: Site::Control, bit: 35 },
                quiet,
                Flip { channel: A, site: Site::Times, bit: 30 },
                Run { periods: 20 },
            ],
        ),
        (
            "evidence-is-lost",
            vec![
                quiet,
                Flip { channel: B, site: Site::Output, bit: 3 },
                Lose { kind: FrameKind::Evidence },
                quiet,
                quiet,
            ],
        ),
        (
            "two-flips",
            vec![
                quiet,
                Flip { channel: A, site: Site::Output, bit: 3 },
                Flip { channel: B, site: Site::Output, bit: 4 },
                quiet,
            ],
        ),
        (
            "safe-and-restarted",
            vec![
                quiet,
                Flip { channel: A, site: Site::Output, bit: 1 },
                quiet,
                Kill { channel: A },
                Kill { channel: B },
                Restart { channel: A },
                Restart { channel: B },
                quiet,
            ],
        ),
    ]
}
