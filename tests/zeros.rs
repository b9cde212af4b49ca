//! Which counters of a report are zero after which fault: the table in the documentation of `sim`, held by runs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

#[path = "zeros/fault.rs"]
mod fault;
mod support;
#[path = "zeros/table.rs"]
mod table;

use fastrand::Rng;
use fault::Scene;
use support::{Servo, sensor};
use table::{COLUMNS, Cell, ROWS, Row};
use twinstep::sim::{Disturbance, Pair, Report, Setup, Storage};
use twinstep::{ChannelId, Config, Mechanism, Mode};

/// Their remainders by three are all patiences. The last two reach what is rare: a takeover on a noisy link, and a flip in
/// the digest of all state.
const SEEDS: [u64; 4] = [0, 2, 18, 46];
/// Of each seed.
const MOMENTS: u64 = 40;
/// Cycles until a pair is in duplex, with frames to be replayed.
const BOOT: u32 = 12;

type Counts = [u32; COLUMNS.len()];

/// All that a pair counts when it notices anything.
fn noticed(report: &Report) -> u32 {
    let Report { rejected, repeated, repairs, control_repairs, recommitted, masked, damaged, .. } = report;
    let Report { held, takeovers, cut_off, safe, .. } = report;
    rejected + repeated + repairs + control_repairs + recommitted + masked + damaged + held + takeovers + cut_off + safe
}

/// Faults that no counter shows, for the most part.
const UNNOTICED: [&str; 3] = ["nothing", "`flip_within_turn`: books", "`set_clock`: drift"];

/// What came of a fault.
struct Ending {
    counts: Counts,
    is_noticed: bool,
    /// There was something at the place of the fault.
    is_hit: bool,
}

/// Runs a fault at one moment.
fn run(row: &Row, seed: u64, moment: u64, off: Option<Mechanism>) -> Ending {
    let config = Config { patience: (seed % 3) as u8, ..Config::DEFAULT };
    let setup = Setup { seed, config, off, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(seed)).unwrap();
    pair.run(BOOT);
    assert_eq!([ChannelId::A, ChannelId::B].map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2]);
    let before = pair.report();
    assert_eq!(COLUMNS.map(|(_, count)| count(&before)), Counts::default());
    let mut rng = Rng::with_seed(seed << 32 | moment);
    let victim = [ChannelId::A, ChannelId::B][rng.usize(0..2)];
    let mut scene = Scene { pair: &mut pair, rng, victim, setup, is_hit: true };
    scene.approach();
    (row.fault)(&mut scene);
    scene.end();
    let is_hit = scene.is_hit;
    let report = pair.report();
    assert!(off.is_some() || report.missing <= report.damaged, "{}: {report:?}", row.name);
    let is_noticed = noticed(&report) > noticed(&before);
    Ending { counts: COLUMNS.map(|(_, count)| count(&report)), is_noticed, is_hit }
}

/// What is wrong with a row of the table.
fn complaints_about(row: &Row) -> Vec<String> {
    let mut complaints = Vec::new();
    let (mut most, mut times_hit, mut times_noticed) = (Counts::default(), 0, 0);
    for (seed, moment) in SEEDS.into_iter().flat_map(|seed| (0..MOMENTS).map(move |moment| (seed, moment))) {
        let Ending { counts, is_noticed, is_hit } = run(row, seed, moment, None);
        (times_hit, times_noticed) = (times_hit + u32::from(is_hit), times_noticed + u32::from(is_noticed));
        for ((count, cell), (name, _)) in counts.into_iter().zip(row.cells).zip(COLUMNS) {
            if count > 0 && cell != Cell::Any {
                complaints.push(format!("{}: {name} is {count} at moment {moment} of seed {seed}", row.name));
            }
        }
        most = core::array::from_fn(|at| most[at].max(counts[at]));
    }
    println!("{:<42} {most:?}, hit {times_hit} times, noticed {times_noticed} times", row.name);
    if times_hit < MOMENTS as u32 || (times_noticed == 0) != UNNOTICED.contains(&row.name) {
        complaints.push(format!("{}: hit {times_hit} times, noticed {times_noticed} times", row.name));
    }
    for ((most, cell), (name, _)) in most.into_iter().zip(row.cells).zip(COLUMNS) {
        if most == 0 && cell == Cell::Any {
            complaints.push(format!("{}: {name} is always zero", row.name));
        }
    }
    complaints
}

#[track_caller]
fn assert_held(rows: &[Row]) {
    let complaints: Vec<String> = rows.iter().flat_map(complaints_about).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_upper_half_of_the_table_holds() {
    assert_held(&ROWS[..ROWS.len() / 2]);
}

#[test]
fn the_lower_half_of_the_table_holds() {
    assert_held(&ROWS[ROWS.len() / 2..]);
}

/// The control: without the vote, a flipped value is driven.
#[test]
fn without_the_vote_the_table_does_not_hold() {
    let row = ROWS.iter().find(|row| row.name.ends_with(": a value")).unwrap();
    let is_wrong = |moment| run(row, 0, moment, Some(Mechanism::Vote)).counts[0] > 0;
    assert!((0..MOMENTS).any(is_wrong));
}

#[test]
fn each_disturbance_has_a_row() {
    let (late_us, for_us, frames, bits) = (1, 1, 1, 1);
    let all = [
        Disturbance::Repetition { late_us },
        Disturbance::Loss { frames },
        Disturbance::Delay { late_us },
        Disturbance::Insertion,
        Disturbance::Masquerade,
        Disturbance::IncorrectAddressing,
        Disturbance::IncorrectSequence,
        Disturbance::Corruption { bits },
        Disturbance::AsymmetricInformation { frames },
        Disturbance::Subset { for_us },
        Disturbance::Stalled { for_us },
        Disturbance::Slow { by_us: 1, for_us },
        Disturbance::Blocked { for_us },
    ];
    for disturbance in all {
        let name = fault::disturbance_row(disturbance);
        assert_eq!(ROWS.iter().filter(|row| row.name == name).count(), 1, "{name}");
    }
    assert_eq!(ROWS.iter().filter(|row| row.name.starts_with("`disturb`")).count(), all.len());
}

/// Writes the table as it stands in the documentation.
fn in_markdown() -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let named = |name: &str| match name.split_once(' ') {
        Some((counter, rest)) => format!("`{counter}` {rest}"),
        None => format!("`{name}`"),
    };
    let mut head = vec!["fault".to_owned()];
    head.extend(COLUMNS.iter().map(|(name, _)| named(name)));
    let mut text = line(&head) + &"|---".repeat(head.len()) + "|\n";
    for row in ROWS {
        let mut cells = vec![row.name.to_owned()];
        cells.extend(row.cells.iter().map(|cell| cell.text().to_owned()));
        text += &line(&cells);
    }
    text
}

#[test]
fn the_documentation_has_the_same_table() {
    let documented = include_str!("../src/sim/zeros.md");
    let expected = in_markdown();
    assert!(documented.contains(&expected), "src/sim/zeros.md must have this table:\n{expected}");
    for (at, row) in ROWS.iter().enumerate() {
        assert!(!ROWS[..at].iter().any(|other| other.name == row.name), "{} is there twice", row.name);
    }
}
