//! A channel that was dead or stood by comes back while the other serves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Servo, sensor};
use twinstep::sim::{ArbiterKind, Failure, LinkFaults, Pair, Report, Setup, Storage};
use twinstep::wire::{Kind, Reject};
use twinstep::{ChannelId, Config, Faults, Mechanism, Mode};

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

fn modes(pair: &Pair<'_, Servo>) -> [Option<Mode>; 2] {
    CHANNELS.map(|channel| pair.mode(channel))
}

fn in_duplex(pair: &Pair<'_, Servo>) -> bool {
    modes(pair) == [Some(Mode::Duplex); 2]
}

/// Nothing wrong, nothing missing, one owner, and not a block too many.
fn assert_sound(report: &Report, config: &Config, context: &dyn std::fmt::Debug) {
    let bad = [report.wrong, report.missing, report.incongruent, report.unvoted_in_duplex, report.damaged];
    assert_eq!(bad, [0; 5], "{context:?}: {report:?}");
    assert!(report.owners_max <= 1, "{context:?}: {report:?}");
    assert!(report.blocks_in_a_cycle_max <= config.copy_blocks.into(), "{context:?}: {report:?}");
    assert_eq!(report.restless, 0, "{context:?}: {report:?}");
}

/// No output is later than a takeover at the last deadline makes it, of an owner that died before
/// it drove what both had settled at the last deadline, too.
fn assert_no_blackout(report: &Report, config: &Config, context: &dyn std::fmt::Debug) {
    let late_us = config.vote_window_us + 2 * config.link_delay_us + config.retransmit_us;
    let longest_us = u64::from(2 * config.period_us * (1 + u32::from(config.patience)) + late_us);
    assert!(report.longest_silence_us <= longest_us, "{context:?}: {report:?}");
    assert_eq!((report.states_lost, report.went_back), (0, 0), "{context:?}: {report:?}");
}

#[test]
fn killed_restarted_and_back_in_duplex_again_and_again() {
    for victim in CHANNELS {
        let setup = Setup::default();
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(7)).unwrap();
        pair.run(20);
        let mut victim = victim;
        for round in 0..10 {
            assert!(in_duplex(&pair), "round {round}: {:?}", modes(&pair));
            pair.kill(victim);
            pair.run(3);
            pair.restart(victim);
            pair.run(25);
            victim = victim.other();
        }
        assert!(in_duplex(&pair), "{:?}", modes(&pair));
        let report = pair.report();
        assert_sound(&report, &setup.config, &victim);
        assert_no_blackout(&report, &setup.config, &victim);
        assert_eq!((report.joined, report.copies_begun, report.copies_failed, report.held), (10, 10, 0, 0));
        assert_eq!(report.states_lost, 0);
        assert!(report.released >= 290, "{report:?}");
    }
}

/// Runs until both are in duplex again; returns how many periods that took.
fn until_duplex<P: twinstep::Program>(pair: &mut Pair<'_, P>, most_periods: u32) -> Option<u32> {
    (0..=most_periods).find(|_| {
        let done = CHANNELS.iter().all(|channel| pair.mode(*channel) == Some(Mode::Duplex));
        if !done {
            pair.run(1);
        }
        done
    })
}

/// Both channels up and in duplex, then one dead for a moment and booted again.
fn restarted<'m>(setup: &Setup, memory: &'m mut [Storage<support::Plant>; 2], victim: ChannelId) -> Pair<'m, Servo> {
    let mut pair = Pair::<Servo>::new(setup, memory, sensor(setup.seed)).unwrap();
    pair.run(20);
    assert!(in_duplex(&pair));
    pair.kill(victim);
    pair.run(3);
    pair.restart(victim);
    pair
}

/// The donor or the joiner dies with every single frame of a reintegration, from the boot of
/// the joiner to its first cycles: nothing wrong is released, and the next attempt succeeds.
#[test]
fn killed_at_every_frame() {
    let mut donors_killed = [0, 0];
    for link in [LinkFaults::NONE, LinkFaults { lose: 0.1, repeat: 0.1, ..LinkFaults::NONE }] {
        for joiner in CHANNELS {
            let setup = Setup { seed: 3, link, ..Setup::default() };
            let mut memory = [Storage::new(), Storage::new()];
            let mut pair = restarted(&setup, &mut memory, joiner);
            let first = pair.frames_sent() + 1;
            until_duplex(&mut pair, 40).unwrap();
            pair.run(u32::from(setup.config.probation_cycles) + 3);
            let last = pair.frames_sent();
            assert!(last - first > 40, "{first} to {last}: hardly any frames");
            for frame in first..=last {
                for victim in CHANNELS {
                    let mut memory = [Storage::new(), Storage::new()];
                    let mut pair = restarted(&setup, &mut memory, joiner);
                    pair.kill_at_frame(victim, frame);
                    pair.run(30);
                    assert_eq!(pair.mode(victim), None, "frame {frame} was not sent");
                    let context = format!("{victim} killed at frame {frame}, {joiner} joining, {link:?}");
                    let survivor = pair.mode(victim.other()).unwrap();
                    donors_killed[usize::from(survivor.serves())] += u32::from(victim != joiner);
                    if victim == joiner {
                        assert_no_blackout(&pair.report(), &setup.config, &context);
                        assert_eq!(pair.report().states_lost, 0, "{context}");
                        assert!(survivor.serves_alone(), "{context}: the donor is {survivor:?}");
                    }
                    pair.restart(victim);
                    let took = until_duplex(&mut pair, 60);
                    assert!(took.is_some(), "{context}: {:?}", modes(&pair));
                    let before = pair.report().released;
                    pair.run(10);
                    let report = pair.report();
                    assert_sound(&report, &setup.config, &context);
                    assert!(report.released >= before + 9, "{context}: {report:?}");
                }
            }
        }
    }
    // Without redundancy the donor's death ends service; after the probation it does not.
    assert!(donors_killed.iter().all(|count| *count > 10), "{donors_killed:?}");
}

/// All link faults at once, deaths and restarts at random moments. When the link heals, both
/// are in duplex again. While both copies were there at the death, no cycle is missing.
#[test]
fn restarts_under_all_link_faults() {
    let (mut joined, mut failed, mut taken_over, mut without_second_faults) = (0, 0, 0, 0);
    for seed in 0..400 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let arbiter = [ArbiterKind::Relay { asks: 1 }, ArbiterKind::Relay { asks: 3 }][seed as usize % 2];
        let noisy = LinkFaults { late_us: 120_000, ..LinkFaults::NOISY };
        let drift_ppm = [rng.i32(-200..200), rng.i32(-200..200)];
        let config = Config { patience: (seed % 3) as u8, ..Config::DEFAULT };
        let setup = Setup { seed, config, arbiter, drift_ppm, link: noisy, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(seed)).unwrap();
        pair.run(60);
        let mut second_faults = false;
        for _ in 0..3 {
            let victim = CHANNELS[rng.usize(0..2)];
            let serves = |mode: Option<Mode>| mode.is_some_and(Mode::serves);
            // A channel that alone has the state takes it along: the pair starts from nothing.
            second_faults |= !serves(pair.mode(victim.other()));
            pair.run_us(rng.u64(0..100_000));
            pair.kill(victim);
            pair.run(rng.u32(1..6));
            second_faults |= !serves(pair.mode(victim.other()));
            pair.restart(victim);
            pair.run(rng.u32(5..60));
        }
        pair.set_link(LinkFaults::NONE);
        let took = until_duplex(&mut pair, 120);
        let report = pair.report();
        assert!(took.is_some(), "seed {seed}: {:?} {report:?}", modes(&pair));
        assert_eq!((report.wrong, report.incongruent, report.unvoted_in_duplex), (0, 0, 0), "seed {seed}: {report:?}");
        assert!(report.owners_max <= 1 && report.blocks_in_a_cycle_max <= 4, "seed {seed}: {report:?}");
        assert_eq!(report.restless, 0, "seed {seed}: {report:?}");
        assert!(second_faults || report.missing + report.states_lost == 0, "seed {seed}: {report:?}");
        if !second_faults {
            assert_no_blackout(&report, &config, &seed);
            without_second_faults += 1;
        }
        (joined, failed, taken_over) =
            (joined + report.joined, failed + report.copies_failed, taken_over + report.takeovers);
    }
    println!("{joined} joined, {failed} copies failed, {taken_over} takeovers");
    assert!(without_second_faults > 200, "{without_second_faults} runs without a second fault");
    assert!(joined > 800 && taken_over > 400, "{joined} joined, {taken_over} takeovers");
}

/// A channel that stood by behind a cut link gets only the blocks that differ.
#[test]
fn after_a_partition_only_what_differs_is_copied() {
    let setup = Setup::default();
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(5)).unwrap();
    pair.run(300); // the whole log is written
    pair.cut(true);
    pair.run(5);
    let owner = pair.owner().unwrap();
    assert_eq!(pair.mode(owner.other()), Some(Mode::Standby));
    pair.cut(false);
    let took = until_duplex(&mut pair, 20);
    assert!(took.is_some(), "{:?}", modes(&pair));
    let sent = pair.node(owner).unwrap().counters().blocks_sent;
    println!("{sent} blocks sent in {took:?} periods");
    assert!((1..12).contains(&sent), "{sent} of 16 blocks sent");
    pair.run(10);
    assert_sound(&pair.report(), &setup.config, &"partition");
}

/// A peer that reboots says so, and the survivor goes alone in that very cycle: by the peer's
/// word, not by its silence, which this pair would bear for two more cycles.
#[test]
fn a_reboot_is_noticed_in_the_same_cycle() {
    for victim in CHANNELS {
        for at_us in (0..100_000).step_by(5_000) {
            let config = Config { patience: 2, hello_us: 5_000, ..Config::DEFAULT };
            let setup = Setup { config, ..Setup::default() };
            let mut memory = [Storage::new(), Storage::new()];
            let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(1)).unwrap();
            pair.run(15);
            pair.run_us(at_us);
            pair.kill(victim);
            pair.restart(victim);
            let cycle = pair.node(victim.other()).unwrap().cycle();
            pair.run_us(100_000);
            let survivor = pair.node(victim.other()).unwrap();
            assert!(survivor.mode().serves_alone(), "{at_us}: {:?}", survivor.mode());
            assert!(survivor.cycle().since(cycle) <= 1);
            pair.run(30);
            let report = pair.report();
            assert_sound(&report, &setup.config, &at_us);
            assert_eq!((report.held, report.takeovers, report.joined), (0, 1, 1), "{at_us}: {report:?}");
        }
    }
}

/// A channel that has just joined does not own when the other falls silent; later it does. With
/// the probation switched off it would at once.
#[test]
fn a_channel_on_probation_does_not_own() {
    let survivor_after = |cycles: u32, off: Option<Mechanism>| {
        let setup = Setup { off, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = restarted(&setup, &mut memory, ChannelId::B);
        until_duplex(&mut pair, 40).unwrap();
        pair.run(cycles);
        pair.kill(ChannelId::A);
        pair.run(5);
        let (mode, report) = (pair.mode(ChannelId::B).unwrap(), pair.report());
        assert_eq!((report.wrong, report.missing), (0, 0), "{report:?}");
        mode
    };
    let probation = u32::from(Config::DEFAULT.probation_cycles);
    assert_eq!(survivor_after(probation / 2, None), Mode::Standby);
    assert_eq!(survivor_after(probation / 2, Some(Mechanism::Probation)), Mode::Simplex);
    assert_eq!(survivor_after(probation + 2, None), Mode::Simplex);
}

/// Blocks that are written after they were sent and not sent again: the digest at the cut tells,
/// every time, and the pair does not come together.
#[test]
fn without_sending_again_what_was_written_nobody_joins() {
    let setup = Setup { off: Some(Mechanism::Resend), ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = restarted(&setup, &mut memory, ChannelId::B);
    assert_eq!(until_duplex(&mut pair, 60), None);
    let report = pair.report();
    assert!(report.copies_failed > 3 && report.joined == 0, "{report:?}");
    assert_sound(&report, &setup.config, &"no resend");
    let rejected = pair.node(ChannelId::B).unwrap().counters().rejected(Reject::Digest);
    assert!(rejected > 3, "{rejected}");
}

/// Memory of the joiner that is damaged during the copy: the check at the cut finds it, and the
/// next copy succeeds. With the check switched off it joins with a wrong state.
#[test]
fn damage_of_the_joiner_during_the_copy_is_found_at_the_cut() {
    for off in [None, Some(Mechanism::CutDigest)] {
        let setup = Setup { off, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = restarted(&setup, &mut memory, ChannelId::B);
        while pair.node(ChannelId::A).unwrap().copy_progress().is_none_or(|copy| copy.done_blocks < 6) {
            pair.run_us(1_000);
        }
        assert_eq!(pair.mode(ChannelId::B), Some(Mode::Joining));
        // Of the blocks that are there, one that nobody writes now.
        let (joiner, bit) = (pair.node_mut(ChannelId::B).unwrap().memory(), 3 * 512 + 7);
        joiner.flip_working_bit(bit);
        joiner.flip_checkpoint_bit(bit);
        pair.run(40);
        let report = pair.report();
        if off.is_none() {
            assert!(in_duplex(&pair), "{:?}", modes(&pair));
            assert_sound(&report, &setup.config, &"damaged");
            assert_eq!((report.copies_failed, report.joined), (1, 1), "{report:?}");
            assert_eq!(pair.node(ChannelId::B).unwrap().counters().rejected(Reject::Digest), 1);
        } else {
            assert!(report.diverged > 0 || report.repairs > 0 || report.self_exclusions > 0, "{report:?}");
        }
    }
}

/// One lost `Cut`, one lost acknowledgement, one lost block: the copy does not fail for it.
#[test]
fn a_lost_frame_costs_no_copy() {
    for kind in [Kind::Block, Kind::Ack, Kind::Cut, Kind::Hello] {
        let setup = Setup::default();
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = restarted(&setup, &mut memory, ChannelId::B);
        pair.lose_next(kind);
        let took = until_duplex(&mut pair, 20);
        pair.run(10);
        let report = pair.report();
        assert!(took.is_some_and(|periods| periods < 12), "{kind:?}: {took:?}");
        assert_eq!((report.joined, report.copies_failed), (1, 0), "{kind:?}: {report:?}");
        assert_sound(&report, &setup.config, &kind);
        assert_no_blackout(&report, &setup.config, &kind);
    }
}

/// A channel that joined and then became the only one: its own probation does not keep it from
/// serving on when the next one to join dies before that has answered the `Cut`.
#[test]
fn a_probation_ends_with_the_peer() {
    let setup = Setup::default();
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = restarted(&setup, &mut memory, ChannelId::B);
    until_duplex(&mut pair, 40).unwrap();
    pair.run(2); // B is on probation, and A reboots
    pair.kill(ChannelId::A);
    pair.restart(ChannelId::A);
    until_duplex(&mut pair, 40).unwrap();
    assert_eq!(pair.owner(), Some(ChannelId::B));
    pair.kill(ChannelId::A);
    pair.run(5);
    assert_eq!(pair.mode(ChannelId::B), Some(Mode::Simplex));
    let report = pair.report();
    assert_sound(&report, &setup.config, &"probation");
    assert_no_blackout(&report, &setup.config, &"probation");
    assert_eq!(report.states_lost, 0);
}

/// An arbiter that takes long to answer, and a joiner that reboots just then: the donor does not
/// lose the outputs, which the arbiter has moved on already.
#[test]
fn a_joiner_that_reboots_during_the_claim_costs_nothing() {
    for reboot_us in (0..160_000).step_by(2_000) {
        let arbiter = ArbiterKind::Relay { asks: 8 };
        let setup = Setup { arbiter, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = restarted(&setup, &mut memory, ChannelId::B);
        while pair.node(ChannelId::A).unwrap().copy_progress().is_none_or(|copy| copy.done_blocks < 12) {
            pair.run_us(1_000);
        }
        pair.run_us(reboot_us);
        pair.kill(ChannelId::B);
        pair.restart(ChannelId::B);
        let took = until_duplex(&mut pair, 40);
        assert!(took.is_some(), "{reboot_us}: {:?}", modes(&pair));
        let report = pair.report();
        assert_sound(&report, &setup.config, &reboot_us);
        assert_eq!((report.cut_off, report.states_lost), (0, 0), "{reboot_us}: {report:?}");
        assert!(report.longest_silence_us < 200_000, "{reboot_us}: {report:?}");
        let first = pair.node(ChannelId::A).unwrap().first_fault().copied();
        assert!(first.is_none_or(|first| !first.faults.contains(Faults::LEASE_LOST)), "{reboot_us}: {first:?}");
    }
}

/// The rule without hardware: the other one comes back, the owner's death ends service, and its
/// reboot brings the pair back, whoever joins whom.
#[test]
fn with_the_rule_preferred_the_pair_comes_back_too() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let arbiter = ArbiterKind::Preferred(CHANNELS[rng.usize(0..2)]);
        let setup = Setup { seed, arbiter, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(seed)).unwrap();
        pair.run(20);
        for round in 0..4 {
            let owner = pair.owner().unwrap_or_else(|| panic!("seed {seed}, round {round}: {:?}", modes(&pair)));
            let victim = if rng.bool() { owner } else { owner.other() };
            pair.run_us(rng.u64(0..100_000));
            pair.kill(victim);
            pair.run(rng.u32(1..6));
            pair.restart(victim);
            let took = until_duplex(&mut pair, 60);
            assert!(took.is_some(), "seed {seed}, round {round}: {:?} {:?}", modes(&pair), pair.report());
            pair.run(rng.u32(0..12));
        }
        let report = pair.report();
        assert_eq!((report.wrong, report.incongruent, report.states_lost), (0, 0, 0), "seed {seed}: {report:?}");
        assert!(report.owners_max <= 1, "seed {seed}: {report:?}");
    }
}

/// Everything dies in every order, within few cycles, again and again: whatever is left of the
/// pair is in duplex again when the deaths end.
#[test]
fn deaths_in_any_order_are_survived() {
    let (mut lost, mut joined, mut went_back) = (0, 0, 0);
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xDEAD);
        let arbiters = [
            ArbiterKind::Relay { asks: 1 },
            ArbiterKind::Relay { asks: 6 },
            ArbiterKind::Preferred(ChannelId::A),
            ArbiterKind::Preferred(ChannelId::B),
        ];
        let arbiter = arbiters[seed as usize % arbiters.len()];
        let link = LinkFaults { lose: 0.05, repeat: 0.1, delay: 0.05, late_us: 150_000, ..LinkFaults::NONE };
        let setup = Setup { seed, arbiter, link, ..Setup::default() };
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(seed)).unwrap();
        pair.run(10);
        for _ in 0..12 {
            let victim = CHANNELS[rng.usize(0..2)];
            match rng.u8(0..4) {
                0 => pair.kill(victim),
                1 => pair.cut(rng.bool()),
                _ => {
                    pair.kill(victim);
                    pair.run_us(rng.u64(0..200_000));
                    pair.restart(victim);
                }
            }
            pair.run_us(rng.u64(0..1_000_000));
            for channel in CHANNELS {
                pair.restart(channel);
            }
        }
        pair.cut(false);
        pair.set_link(LinkFaults::NONE);
        let took = until_duplex(&mut pair, 150);
        let report = pair.report();
        assert!(took.is_some(), "seed {seed}: {:?} {report:?}", modes(&pair));
        assert_eq!((report.wrong, report.incongruent, report.unvoted_in_duplex), (0, 0, 0), "seed {seed}: {report:?}");
        assert!(report.owners_max <= 1 && report.restless == 0, "seed {seed}: {report:?}");
        (lost, joined, went_back) = (lost + report.states_lost, joined + report.joined, went_back + report.went_back);
    }
    println!("{joined} joined, {lost} times the state was lost, {went_back} times an older one went on");
    assert!(joined > 500 && lost > 100 && went_back > 5);
}

/// A bit that flipped in the donor's checkpoint is mended before the block is sent. Unmended, the
/// joiner would get it, and the digest at the cut would cost a whole copy.
#[test]
fn damage_of_the_donor_is_not_handed_on() {
    for off in [None, Some(Mechanism::Scrub)] {
        let mut failed = 0;
        for block in 4..16 {
            let setup = Setup { off, ..Setup::default() };
            let mut memory = [Storage::new(), Storage::new()];
            let mut pair = restarted(&setup, &mut memory, ChannelId::B);
            while pair.mode(ChannelId::A) != Some(Mode::Donor) {
                pair.run_us(1_000);
            }
            pair.node_mut(ChannelId::A).unwrap().memory().flip_checkpoint_bit(block * 512 + 33);
            pair.run(30);
            let report = pair.report();
            assert_eq!((report.wrong, report.missing, report.diverged), (0, 0, 0), "block {block}: {report:?}");
            failed += report.copies_failed;
            if off.is_none() {
                assert_eq!((report.joined, report.repairs), (1, 1), "block {block}: {report:?}");
            }
        }
        assert_eq!(failed > 0, off.is_some(), "{failed} copies failed");
    }
}

/// A channel hangs in the middle of a send, longer than a period. Later it is the donor, and has time to send.
#[test]
fn one_slow_send_ends_no_reintegration() {
    for donor in CHANNELS {
        let setup = Setup::default();
        let mut memory = [Storage::new(), Storage::new()];
        let mut pair = Pair::<Servo>::new(&setup, &mut memory, sensor(5)).unwrap();
        pair.run(20);
        let for_us = Some(3 * u64::from(setup.config.period_us));
        pair.fail_at_byte(donor, 5, Failure::Hangs { for_us, hears: true });
        pair.run(30);
        assert!(in_duplex(&pair) && pair.report().takeovers == 1, "it hung, and is back: {:?}", pair.report());
        pair.kill(donor.other());
        pair.run(5);
        pair.restart(donor.other());
        pair.run(40);
        assert!(in_duplex(&pair), "{donor} as the donor: {:?}", modes(&pair));
    }
}
