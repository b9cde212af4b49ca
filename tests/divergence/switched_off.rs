//! Negative controls: with its mechanism switched off, what masks a fault no longer does.

use crate::case::{Case, Ending, LINK_DELAY_US};
use twinstep::wire::Kind;
use twinstep::{Mechanism, Site};

const SEEDS: u64 = 120;

/// Returns how many of the cases end otherwise than a masked fault does, and in what.
fn complaints(site: Site, loses: Option<Kind>, off: Option<Mechanism>) -> (u32, Vec<&'static str>) {
    let ending = |seed| {
        let mut case = Case { loses, off, ..Case::of_seed(seed, site) };
        if site == Site::Control {
            case.bit %= Site::CONTROL_BITS; // a flip of a copy that nobody looks at does nothing
        }
        case.run().unmasked(&case)
    };
    let mut found: Vec<_> = (0..SEEDS).filter_map(ending).collect();
    let count = found.len() as u32;
    found.sort_unstable();
    found.dedup();
    (count, found)
}

#[test]
fn a_mechanism_that_is_off_is_missed() {
    let (wrong, safe) = ("a wrong output was released", "the safe output was released");
    let (held, took_over) = ("a cycle was held", "a channel took over");
    // With the fewest complaints there must be, and one that must be among them.
    let controls = [
        (Mechanism::Vote, Site::Output, None, 40, wrong),
        (Mechanism::Reexecution, Site::Output, None, SEEDS as u32, safe),
        (Mechanism::Settled, Site::Comparator, None, SEEDS as u32, held),
        (Mechanism::Settled, Site::PeerVote, Some(Kind::Sample), 3, held),
        (Mechanism::Samples, Site::MySample, None, 5, safe),
        (Mechanism::Control, Site::Control, None, 14, took_over),
        (Mechanism::Control, Site::MyVote, Some(Kind::Vote), 3, took_over),
        (Mechanism::Scrub, Site::Working, None, 60, "memory differs"),
        (Mechanism::Scrub, Site::Checkpoint, None, 60, "memory differs"),
    ];
    for (off, site, loses, least, what) in controls {
        assert_eq!(complaints(site, loses, None).0, 0, "{site:?} with everything on");
        let (count, found) = complaints(site, loses, Some(off));
        println!("{off:?} off, {site:?}, {loses:?} lost: {count} of {SEEDS} complain: {found:?}");
        assert!(count >= least && found.contains(&what), "{off:?} can be switched off unnoticed: {count}, {found:?}");
    }
}

/// A flip in a block of the checkpoint that the cycle does not write, just before it is rolled back to.
fn roll_back_to_damage(off: Option<Mechanism>) -> (u32, u32) {
    let (mut unmasked, mut damaged) = (0, 0);
    for seed in 0..SEEDS {
        let case = Case { off, ..Case::of_seed(seed, Site::Output) };
        case.with_clean_pair(|pair| {
            let blocks = 8..16; // the log has not come to them
            let block = blocks.start + case.bit % blocks.len();
            pair.run_us(LINK_DELAY_US / 2); // the scrub of this cycle is over
            let node = pair.node_mut(case.victim).unwrap();
            node.flip(Site::Checkpoint, block * 512 + case.bit % 512);
            node.flip(Site::Output, case.bit);
            pair.run_us(5 * LINK_DELAY_US);
            let ending = Ending::of(pair, true);
            let [a, b] = &ending.sides;
            unmasked += u32::from(ending.unmasked(&case).is_some_and(|what| what != "memory differs"));
            damaged += u32::from(a.memory != b.memory);
        });
    }
    (unmasked, damaged)
}

#[test]
fn a_checkpoint_is_checked_before_it_is_rolled_back_to() {
    assert_eq!(roll_back_to_damage(None), (0, 0));
    let (unmasked, damaged) = roll_back_to_damage(Some(Mechanism::Checkpoint));
    println!("Checkpoint off: {damaged} of {SEEDS} have damaged memory, {unmasked} end otherwise");
    assert_eq!(damaged, SEEDS as u32);
}
