//! Every kind of frame that carries memory, to a channel in every mode.

use crate::bench::{A, B, CHANNELS, HOME, ServoBench, memory};
use crate::frames::{Reaction, cause_of, damaged, forge_under, payload_of, with_rest};
use crate::moments::{Moment, begin_copy};
use crate::support::{Servo, sensor};
use std::collections::BTreeSet;
use twinstep::ids::{Phase, Stage};
use twinstep::wire::{AckPayload, BlockPayload, ComparePayload, Cut, Keys, Kind, Reject, SamePayload, WantPayload};
use twinstep::{Cycle, Epoch, Mode};

const KINDS: [Kind; 5] = [Kind::Block, Kind::Ack, Kind::Want, Kind::Compare, Kind::Same];

/// Returns a payload that a genuine frame of this kind could have.
fn plausible(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Block => payload_of(&BlockPayload { serial: 1, index: 2, bytes: &[0x55; 64] }),
        Kind::Ack => payload_of(&AckPayload { challenge: 5, highest: 1, taken: 3 }),
        Kind::Want => payload_of(&WantPayload { index: 2 }),
        Kind::Compare => payload_of(&ComparePayload { first: 0, exponent: 4, digest: 7 }),
        Kind::Same => payload_of(&SamePayload { first: 0, exponent: 4, is_same: true }),
        _ => panic!("{kind:?} carries no memory"),
    }
}

/// Returns what must come of a plausible frame; `None` if that depends on what it says, for
/// which there are tests of their own.
fn reaction(kind: Kind, moment: Moment) -> Option<Reaction> {
    match (kind, moment) {
        (Kind::Block, Moment::Offered | Moment::Joining)
        | (Kind::Ack, Moment::Donor | Moment::Searching)
        | (Kind::Same, Moment::Searching) => None,
        // A question, which is answered.
        (Kind::Want, Moment::Duplex) | (Kind::Compare, Moment::Joining) => Some(Reaction::Ineffective),
        // Of an epoch that this channel has no part in yet.
        (Kind::Ack, Moment::Offered | Moment::Joining) => Some(Reaction::Refused(Reject::Epoch)),
        _ => Some(Reaction::Refused(Reject::Mode)),
    }
}

/// Returns why a block of a wrong length is refused.
fn of_length(moment: Moment) -> Reject {
    match moment {
        Moment::Offered | Moment::Joining => Reject::Block,
        _ => Reject::Mode,
    }
}

#[test]
fn frames_that_carry_memory_are_refused_where_nobody_expects_them() {
    for (at, moment) in [A, B].into_iter().flat_map(|at| Moment::ALL.map(|moment| (at, moment))) {
        if moment == Moment::Unoffered {
            continue; // below
        }
        moment.with(at, |bench| {
            let (peer, epoch) = (CHANNELS[1 - at], bench.expected_epoch(at));
            let phase = bench.settled_phase(at);
            for kind in KINDS {
                let frame = bench.forge(kind, peer, epoch, phase, &plausible(kind));
                if let Some(reaction) = reaction(kind, moment) {
                    bench.meet(at, &frame, reaction);
                }
                // From this channel itself.
                let reflected = bench.forge(kind, CHANNELS[at], epoch, phase, &plausible(kind));
                bench.refuse(at, &reflected, Reject::Sender);
                // From or to another boot, or from another pair.
                let keys = Keys { epoch, ..bench.keys() };
                let [a, b] = keys.nonces;
                for nonces in [[a ^ 1, b], [a, b ^ 1], [b, a]] {
                    let foreign = forge_under(&Keys { nonces, ..keys }, kind, peer, phase, &plausible(kind));
                    bench.refuse(at, &foreign, Reject::Crc);
                }
                // Cut off anywhere, or with a rest, under a CRC that holds.
                let whole = plausible(kind);
                for length in 0..whole.len() {
                    // A block of which a part of its last word is missing is one of another length.
                    let is_other_block = kind == Kind::Block && length > whole.len() - 4;
                    let short = bench.forge(kind, peer, epoch, phase, &whole[..length]);
                    bench.refuse(at, &short, if is_other_block { of_length(moment) } else { Reject::Payload });
                }
                let long = bench.forge(kind, peer, epoch, phase, &with_rest(&whole));
                bench.refuse(at, &long, if kind == Kind::Block { of_length(moment) } else { Reject::Payload });
            }
        });
    }
}

/// A channel that waits has no peer yet, so that nothing between two boots passes the CRC. Under
/// the nonce 0, which no peer has, it does, and is refused all the same.
#[test]
fn a_channel_without_an_offer_takes_nothing() {
    for at in [A, B] {
        Moment::Unoffered.with(at, |bench| {
            let peer = CHANNELS[1 - at];
            let mut nobody = bench.keys();
            nobody.nonces[1 - at] = 0;
            let waits = Phase::new(Cycle(0), Stage::Settled);
            for kind in KINDS {
                let genuine = bench.forge(kind, peer, Epoch::new(1, peer), waits, &plausible(kind));
                bench.refuse(at, &genuine, Reject::Crc);
                let forged = forge_under(&nobody, kind, peer, waits, &plausible(kind));
                bench.refuse(at, &forged, Reject::Mode);
            }
            let later = Phase::new(Cycle(1), Stage::Settled);
            bench.refuse(at, &forge_under(&nobody, Kind::Same, peer, later, &plausible(Kind::Same)), Reject::Phase);
            let newer = Keys { epoch: Epoch::new(1, peer), ..nobody };
            bench.refuse(at, &forge_under(&newer, Kind::Ack, peer, waits, &plausible(Kind::Ack)), Reject::Epoch);
            // And a `Cut` is stale: this channel has asked nobody for one.
            let cut = Cut {
                nonce: bench.setup.nonces[1 - at],
                joiner_nonce: bench.setup.nonces[at],
                joiner_challenge: 77,
                epoch: Epoch::new(3, peer),
                base: 40,
                region_digest: bench.nodes[at].state_digest(),
                starts_in_us: 0,
            };
            bench.refuse(at, &bench.forge(Kind::Cut, peer, cut.epoch, waits, &payload_of(&cut)), Reject::Stale);
        });
    }
}

/// Runs a reintegration of B, with the state that it had before, from its boot to its first cycles.
fn rejoin(bench: &mut ServoBench<'_>, mut each_tick: impl FnMut(&mut ServoBench<'_>)) {
    bench.boot();
    bench.run_cycles(4);
    bench.is_cut = true;
    bench.run_until("one alone", 500, |bench| bench.modes() == [Mode::Simplex, Mode::Standby]);
    bench.is_cut = false;
    let mut last = Mode::Standby;
    for _ in 0..3_000 {
        bench.tick();
        each_tick(bench);
        if last == Mode::Joining && bench.mode(B) == Mode::Duplex {
            bench.run_cycles(3);
            return;
        }
        last = bench.mode(B);
    }
    panic!("no reintegration; modes {:?}", bench.modes());
}

/// Truncated and flipped frames of each kind, at each moment of a reintegration.
#[test]
fn damaged_frames_are_refused_throughout_a_reintegration() {
    let mut twin_memory = memory::<Servo>();
    let mut twin = ServoBench::new(&mut twin_memory, HOME, sensor(12));
    rejoin(&mut twin, |_| {});
    let mut specimens = twin.specimens();
    let mut seen = BTreeSet::new();
    for (at, frames) in specimens.iter_mut().enumerate() {
        frames.retain(|frame| KINDS.contains(&frame.header.kind));
        seen.extend(frames.iter().map(|frame| (at, frame.header.kind as u8)));
    }
    let sent = [(A, Kind::Ack), (A, Kind::Same), (B, Kind::Block), (B, Kind::Compare)];
    assert_eq!(seen, BTreeSet::from(sent.map(|(at, kind)| (at, kind as u8))));

    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(12));
    let mut tried = BTreeSet::new();
    let mut last = None;
    rejoin(&mut bench, |bench| {
        let something_is_up = bench.towards.iter().any(|frames| !frames.is_empty());
        if !something_is_up && last == Some(bench.modes()) {
            return;
        }
        last = Some(bench.modes());
        for (at, frames) in specimens.iter().enumerate() {
            tried.insert(format!("{:?}", bench.mode(at)));
            for frame in frames.iter().flat_map(|frame| damaged(&frame.bytes)) {
                bench.refuse(at, &frame, cause_of(&frame));
            }
        }
    });
    assert_eq!(Vec::from_iter(&tried), ["Donor", "Duplex", "Joining", "Simplex", "Standby"]);
}

/// What a copy said to an earlier boot of the joiner, and what the joiner said to it, is
/// nothing to the next boot, whatever it is doing.
#[test]
fn frames_of_the_copy_to_an_earlier_boot_are_refused() {
    for joiner in [A, B] {
        let mut memory = memory::<Servo>();
        let mut bench = ServoBench::new(&mut memory, HOME, sensor(13));
        bench.boot();
        bench.run_cycles(4);
        begin_copy(&mut bench, joiner);
        let past = [A, B].map(|at| {
            let mut frames = bench.captured(at);
            frames.retain(|frame| KINDS.contains(&frame.header.kind));
            frames
        });
        assert!(past.iter().all(|frames| !frames.is_empty()));
        bench.reboot(joiner);
        let mut moments = BTreeSet::new();
        let mut offer = |bench: &mut ServoBench<'_>| {
            for at in [A, B] {
                // Until it hears of the joiner's new boot, the other one takes it for the old one.
                let has_heard = at == joiner || matches!(bench.mode(joiner), Mode::Joining | Mode::Duplex);
                if has_heard && moments.insert((at, format!("{:?}", bench.modes()))) {
                    for frame in &past[at] {
                        bench.refuse(at, &frame.bytes, Reject::Crc);
                    }
                }
            }
        };
        offer(&mut bench);
        while bench.modes() != [Mode::Duplex; 2] {
            assert!(bench.now_us < 10_000_000, "modes {:?}", bench.modes());
            bench.tick();
            offer(&mut bench);
        }
        bench.run_cycles(3);
        assert!(moments.len() >= 5, "{moments:?}");
    }
}
