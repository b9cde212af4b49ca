//! Flipped bits in the memory of a serving pair: found, mended, counted, and never driven.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Plant, Servo, sensor};
use twinstep::mirror::Mirror;
use twinstep::sim::{LinkFaults, Pair, Setup, Storage};
use twinstep::{ChannelId, Config, Faults, Mechanism, Mode};

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];
const BLOCK_BITS: usize = 8 * 64;
const BLOCKS: usize = size_of::<Plant>() / 64;

/// The log has come to block 1 or 2 when the flips come: nobody writes these meanwhile.
const QUIET: std::ops::Range<usize> = 4..BLOCKS;

type Flip = fn(&mut Mirror<'_, Plant>, usize);

/// Where bits flip: which counter must tell, and how.
const PLACES: [(&str, Flip); 3] = [
    ("working", |memory, bit| memory.flip_working_bit(bit)),
    ("checkpoint", |memory, bit| memory.flip_checkpoint_bit(bit)),
    // A digest takes a sixteenth of its block.
    ("digest", |memory, bit| memory.flip_digest_bit(bit / 16)),
];

fn repairs(pair: &mut Pair<'_, Servo>, channel: ChannelId) -> [u32; 3] {
    let counters = pair.node(channel).unwrap().counters();
    [counters.working_repairs, counters.checkpoint_repairs, counters.digest_repairs]
}

#[test]
fn any_flip_is_found_within_the_bound_and_mended() {
    let mut found = 0;
    for (place, (name, flip)) in PLACES.iter().enumerate() {
        for seed in 0..40 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let victim = CHANNELS[rng.usize(0..2)];
            let config = Config { scrub_blocks: 1 + (seed % 5) as u16, ..Config::DEFAULT };
            let setup = Setup { seed, config, ..Setup::default() };
            let mut memory = [Storage::new(), Storage::new()];
            let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(seed)).unwrap();
            pair.run(15);
            pair.run_us(rng.u64(0..100_000));
            let bit = rng.usize(QUIET.start * BLOCK_BITS..QUIET.end * BLOCK_BITS);
            let node = pair.node_mut(victim).unwrap();
            flip(node.memory(), bit);
            assert!(*name == "working" || !node.memory().verify(), "the flip does not show");
            let began = node.cycle();
            let bound = BLOCKS.div_ceil(config.scrub_blocks.into()) as u32;
            let mut latency = 0;
            while repairs(&mut pair, victim) == [0; 3] {
                assert!(latency <= bound, "{name} bit {bit} of {victim} not found within {bound} cycles, seed {seed}");
                pair.run_us(10_000);
                latency = pair.node(victim).unwrap().cycle().since(began).unsigned_abs();
            }
            let mut expected = [0; 3];
            expected[place] = 1;
            assert_eq!(repairs(&mut pair, victim), expected, "{name}, seed {seed}");
            pair.run(60);
            assert!(pair.node_mut(victim).unwrap().memory().verify());
            let report = pair.report();
            assert_eq!((report.wrong, report.missing, report.incongruent, report.diverged), (0, 0, 0, 0));
            assert_eq!((report.repairs, report.takeovers), (1, 0), "{name}, seed {seed}: {report:?}");
            assert_eq!(CHANNELS.map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2]);
            found += 1;
        }
    }
    println!("{found} flips found");
}

/// The region digest is the one number that every vote carries.
#[test]
fn a_flipped_region_digest_is_mended_before_the_next_vote() {
    for bit in 0..32 {
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(2)).unwrap();
        pair.run(15);
        pair.run_us(80_000); // between two cycles
        let node = pair.node_mut(ChannelId::B).unwrap();
        assert!(node.settled_cycle().is_some());
        node.memory().flip_digest_bit(BLOCKS * 32 + bit);
        pair.run(10);
        let report = pair.report();
        assert_eq!((report.wrong, report.missing, report.diverged, report.repairs), (0, 0, 0, 1), "{report:?}");
    }
}

/// The same flips with the scrub switched off: nothing finds them, until the log comes round to
/// the block and the votes differ.
#[test]
fn without_the_scrub_flips_stay_and_do_harm() {
    let setup = Setup { off: Some(Mechanism::Scrub), ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(1)).unwrap();
    pair.run(15);
    pair.node_mut(ChannelId::A).unwrap().memory().flip_working_bit(5 * BLOCK_BITS + 300);
    pair.run(40);
    assert_eq!(pair.report().repairs, 0);
    pair.run(80);
    assert_eq!(pair.report().diverged, 2, "{:?}", pair.report());
}

/// Flips one bit in both copies of a block, more than a channel can mend by itself.
fn damage(pair: &mut Pair<'_, Servo>, victim: ChannelId, block: usize) {
    let memory = pair.node_mut(victim).unwrap().memory();
    memory.flip_working_bit(block * BLOCK_BITS + 17);
    memory.flip_checkpoint_bit(block * BLOCK_BITS + 400);
}

#[test]
fn a_block_beyond_local_repair_comes_from_the_peer() {
    for link in [LinkFaults::NONE, LinkFaults { lose: 0.1, repeat: 0.1, flip: 0.001, ..LinkFaults::NONE }] {
        for victim in CHANNELS {
            for block in QUIET {
                let setup = Setup { seed: block as u64, link, ..Setup::default() };
                let mut memory = [Storage::new(), Storage::new()];
                let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(4)).unwrap();
                pair.run(15);
                damage(&mut pair, victim, block);
                pair.run(10);
                let counters = *pair.node(victim).unwrap().counters();
                let report = pair.report();
                let context = format!("block {block} of {victim}: {report:?}");
                assert_eq!((report.wrong, report.missing, report.diverged), (0, 0, 0), "{context}");
                // Several blocks damaged at once come one after the other.
                assert_eq!((counters.peer_repairs, counters.self_exclusions), (1, 0), "{context}");
                assert_eq!(CHANNELS.map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2], "{context}");
                let first = pair.node(victim).unwrap().first_fault().copied();
                assert!(first.is_some_and(|first| first.faults.contains(Faults::MEMORY_DAMAGED)));
            }
        }
    }
}

#[test]
fn several_damaged_blocks_all_come_from_the_peer() {
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(4)).unwrap();
    pair.run(15);
    for block in [4, 5, 9, 15] {
        damage(&mut pair, ChannelId::A, block);
    }
    pair.run(10);
    let counters = *pair.node(ChannelId::A).unwrap().counters();
    let report = pair.report();
    assert_eq!((report.wrong, report.missing, counters.peer_repairs), (0, 0, 4), "{report:?}");
}

/// Two digests damaged at once, which no sum can tell apart: the peer's blocks say that the copies
/// are right.
#[test]
fn several_damaged_digests_are_mended_with_the_peers_word() {
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(4)).unwrap();
    pair.run(15);
    for block in [6, 11] {
        pair.node_mut(ChannelId::A).unwrap().memory().flip_digest_bit(block * 32 + 9);
    }
    pair.run(10);
    let counters = *pair.node(ChannelId::A).unwrap().counters();
    let report = pair.report();
    assert_eq!((report.wrong, report.missing, report.takeovers), (0, 0, 0), "{report:?}");
    assert_eq!(counters.peer_repairs + counters.digest_repairs, 2, "{report:?}");
    assert!(pair.node_mut(ChannelId::A).unwrap().memory().verify());
}

/// Not even the peer's block matches the digest held: the channel lets go, the peer goes on in the
/// same cycle, and the excluded one comes back by a copy. Both deadlines are one skew apart, here less than 50 us: if
/// the peer's comes first, it takes over before the channel lets go.
#[test]
fn a_channel_that_nobody_can_mend_excludes_itself_and_rejoins() {
    let mut let_go = 0;
    for victim in CHANNELS {
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(4)).unwrap();
        pair.run(15);
        damage(&mut pair, victim, 9);
        pair.node_mut(victim).unwrap().memory().flip_digest_bit(9 * 32 + 5);
        pair.run(40);
        let report = pair.report();
        assert_eq!((report.wrong, report.missing, report.owners_max), (0, 0, 1), "{report:?}");
        assert_eq!((report.takeovers, report.joined), (1, 1), "{report:?}");
        assert_eq!(CHANNELS.map(|channel| pair.mode(channel)), [Some(Mode::Duplex); 2]);
        let_go += report.self_exclusions;
    }
    assert_eq!(let_go, 1, "the one whose deadline comes first");
}

/// Alone there is nobody to ask: the safe state, and nothing wrong before it.
#[test]
fn alone_a_block_beyond_repair_leads_to_the_safe_state() {
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(4)).unwrap();
    pair.run(15);
    pair.kill(ChannelId::B);
    pair.run(5);
    damage(&mut pair, ChannelId::A, 9);
    pair.run(10);
    let report = pair.report();
    assert_eq!((report.wrong, report.missing), (0, 0), "{report:?}");
    assert!(report.safe > 0, "{report:?}");
    assert_eq!(pair.mode(ChannelId::A), Some(Mode::Safe));
}

/// The same, with a peer that asks to join in the moment between the scrub and the step, or that
/// is being copied to already.
#[test]
fn a_joiner_does_not_make_a_channel_step_on_memory_beyond_repair() {
    let (mut simplex, mut donor) = (0, 0);
    for at_us in (0..300_000).step_by(1_000) {
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&Setup::default(), &mut memory, sensor(4)).unwrap();
        pair.run(15);
        pair.kill(ChannelId::B);
        pair.run(5);
        pair.restart(ChannelId::B);
        pair.run_us(at_us);
        match pair.mode(ChannelId::A) {
            Some(Mode::Simplex) => simplex += 1,
            Some(Mode::Donor) => donor += 1,
            mode => panic!("{at_us}: {mode:?}"),
        }
        for block in QUIET {
            damage(&mut pair, ChannelId::A, block);
        }
        pair.run(5);
        let report = pair.report();
        assert_eq!((report.wrong, report.restless), (0, 0), "{at_us}: {report:?}");
        assert_eq!(pair.mode(ChannelId::A), Some(Mode::Safe), "{at_us}: {report:?}");
    }
    assert!(simplex > 3 && donor > 100, "{simplex} in simplex, {donor} as the donor");
}
