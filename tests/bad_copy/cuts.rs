//! Cuts that are not the one that was asked for.

use crate::bench::{A, B, CHANNELS, HOME, ServoBench};
use crate::frames::{payload_of, with_rest};
use crate::moments::Moment;
use twinstep::wire::{Cut, Hello, Keys, Kind, Payload, Reject};
use twinstep::{ChannelId, Epoch, Faults, Mode};

/// A `Cut` on its way, in its last moment.
struct Due {
    cut: Cut,
    frame: Vec<u8>,
}

/// Loses each `Cut` until the donor has cut over and the joiner has all it needs but the `Cut`.
fn lose_the_cut(bench: &mut ServoBench<'_>, joiner: usize) -> Due {
    bench.loses = vec![Kind::Cut];
    bench.run_until("the cut", 2_000, |bench| bench.mode(1 - joiner) == Mode::Duplex);
    assert_eq!(bench.mode(joiner), Mode::Joining);
    let captured = bench.captured(joiner).into_iter().rfind(|frame| frame.header.kind == Kind::Cut).unwrap();
    Due { cut: Cut::parse(&captured.payload).unwrap(), frame: captured.bytes }
}

fn forge(bench: &ServoBench<'_>, joiner: usize, cut: &Cut) -> Vec<u8> {
    bench.forge(Kind::Cut, CHANNELS[1 - joiner], cut.epoch, bench.settled_phase(1 - joiner), &payload_of(cut))
}

#[test]
fn a_cut_for_another_moment_is_stale() {
    for joiner in [A, B] {
        Moment::Joining.with(joiner, |bench| {
            let Due { cut, frame } = lose_the_cut(bench, joiner);
            let (me, donor) = (CHANNELS[joiner], CHANNELS[1 - joiner]);
            let mut stale = vec![Cut { nonce: 0, ..cut }, Cut { joiner_nonce: 0, ..cut }];
            stale.push(Cut { nonce: cut.joiner_nonce, joiner_nonce: cut.nonce, ..cut });
            for bit in 0..32 {
                stale.push(Cut { nonce: cut.nonce ^ 1 << bit, ..cut });
                stale.push(Cut { joiner_nonce: cut.joiner_nonce ^ 1 << bit, ..cut });
                stale.push(Cut { joiner_challenge: cut.joiner_challenge ^ 1 << bit, ..cut });
            }
            // All that the joiner ever had, and some that it never did.
            for challenge in (0..cut.joiner_challenge + 5).filter(|challenge| *challenge != cut.joiner_challenge) {
                stale.push(Cut { joiner_challenge: challenge, ..cut });
            }
            // The donor was in the epoch before this one as it sent the last block.
            assert_eq!((cut.epoch.owner(), cut.epoch.counter() > 2), (donor, true));
            for counter in 0..cut.epoch.counter() - 1 {
                stale.extend([me, donor].map(|owner| Cut { epoch: Epoch::new(counter, owner), ..cut }));
            }
            for counter in [cut.epoch.counter() - 1, cut.epoch.counter(), cut.epoch.counter() + 1, 0x7FFF] {
                stale.push(Cut { epoch: Epoch::new(counter, me), ..cut });
            }
            for altered in &stale {
                let forged = forge(bench, joiner, altered);
                bench.refuse(joiner, &forged, Reject::Stale);
            }
            // Another pair's; the joiner's own; cut off; with a rest.
            let phase = bench.settled_phase(1 - joiner);
            let payload = payload_of(&cut);
            let keys = Keys { epoch: cut.epoch, ..bench.keys() };
            let foreign = Keys { pair: twinstep::PairId(keys.pair.0 ^ 1), ..keys };
            let foreign = crate::frames::forge_under(&foreign, Kind::Cut, donor, phase, &payload);
            bench.refuse(joiner, &foreign, Reject::Crc);
            let own = bench.forge(Kind::Cut, me, cut.epoch, phase, &payload);
            bench.refuse(joiner, &own, Reject::Sender);
            for length in 0..payload.len() {
                let short = bench.forge(Kind::Cut, donor, cut.epoch, phase, &payload[..length]);
                bench.refuse(joiner, &short, Reject::Payload);
            }
            let long = bench.forge(Kind::Cut, donor, cut.epoch, phase, &with_rest(&payload));
            bench.refuse(joiner, &long, Reject::Payload);

            // The genuine one is good in spite of all that, and only once.
            assert_eq!(bench.accept(joiner, &frame), 0);
            assert_eq!(bench.modes(), [Mode::Duplex; 2]);
            bench.refuse(joiner, &frame, Reject::Mode);
            bench.run_cycles(2);
            assert_eq!(bench.nodes[1 - joiner].counters().copies_failed, 0);
            assert_eq!(bench.nodes[joiner].counters().joined, 1);
        });
    }
}

#[test]
fn a_cut_with_a_wrong_digest_starts_the_copy_over() {
    for (joiner, flip) in (0..32).flat_map(|bit| [(A, 1 << bit), (B, 1 << bit)]) {
        Moment::Joining.with(joiner, |bench| {
            let Due { cut, frame } = lose_the_cut(bench, joiner);
            bench.nodes[joiner].clear_first_fault();
            let forged = forge(bench, joiner, &Cut { region_digest: cut.region_digest ^ flip, ..cut });
            bench.drop_for(joiner, &forged, Reject::Digest);
            assert_eq!((bench.mode(joiner), bench.nodes[joiner].is_empty()), (Mode::Starting, true));
            let first_fault = bench.nodes[joiner].first_fault().unwrap();
            assert_eq!(first_fault.faults, Faults::COPY_FAILED);
            // The genuine one is too late now, at any time, and the donor gets no answer.
            while bench.modes() != [Mode::Duplex; 2] {
                assert!(bench.now_us < 8_000_000, "{:?}", bench.modes());
                bench.refuse(joiner, &frame, Reject::Stale);
                bench.loses.clear();
                bench.tick();
            }
            bench.refuse(joiner, &frame, Reject::Mode);
            assert_eq!(bench.nodes[1 - joiner].counters().copies_failed, 1);
            assert_eq!(bench.nodes[joiner].counters().joined, 1);
        });
    }
}

/// Whatever the `Cut` says of the start, it is at most two periods away; should the joiner miss
/// its first cycle, the donor goes on without it, and the joiner joins once more.
#[test]
fn an_absurd_start_is_none() {
    for joiner in [A, B] {
        for starts_in_us in [0, 1, 150_000, 1_000_000, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
            Moment::Joining.with(joiner, |bench| {
                let Due { cut, .. } = lose_the_cut(bench, joiner);
                let forged = forge(bench, joiner, &Cut { starts_in_us, ..cut });
                assert_eq!(bench.accept(joiner, &forged), 0);
                assert_eq!(bench.mode(joiner), Mode::Duplex);
                let start_us = bench.nodes[joiner].next_start().since_us(bench.now());
                let furthest_us = 2 * HOME.config.period_us.cast_signed();
                assert!((0..=furthest_us).contains(&start_us), "{start_us}");
                bench.loses.clear();
                // Once, whether it was in time or not.
                for _ in 0..400 {
                    bench.tick();
                }
            });
        }
    }
}

#[test]
fn a_cut_where_nobody_joins_is_refused() {
    let nobody_joins =
        [Moment::Donor, Moment::Searching, Moment::Duplex, Moment::Simplex, Moment::Standby, Moment::Safe];
    for (at, moment) in [A, B].into_iter().flat_map(|at| nobody_joins.map(|moment| (at, moment))) {
        moment.with(at, |bench| {
            let newest = bench.nodes[A].epoch().max(bench.nodes[B].epoch()).counter();
            for (more, owner) in (0..3).flat_map(|more| CHANNELS.map(|owner| (more, owner))) {
                for joiner_challenge in 0..20 {
                    let cut = Cut {
                        nonce: bench.setup.nonces[1 - at],
                        joiner_nonce: bench.setup.nonces[at],
                        joiner_challenge,
                        epoch: Epoch::new(newest + more, owner),
                        base: bench.nodes[at].cycle().0,
                        region_digest: bench.nodes[at].state_digest(),
                        starts_in_us: 0,
                    };
                    let forged = forge(bench, at, &cut);
                    bench.refuse(at, &forged, Reject::Mode);
                }
            }
        });
    }
}

/// A `Cut` that comes before any block: what the channel has is not the state it speaks of.
#[test]
fn a_cut_without_a_copy_is_refused() {
    for joiner in [A, B] {
        Moment::Offered.with(joiner, |bench| {
            let said = bench.captured(1 - joiner).into_iter().rfind(|frame| frame.header.kind == Kind::Hello).unwrap();
            let said = Hello::parse(&said.payload).unwrap();
            let donor: ChannelId = CHANNELS[1 - joiner];
            let node = &bench.nodes[1 - joiner];
            let cut = Cut {
                nonce: bench.setup.nonces[1 - joiner],
                joiner_nonce: bench.setup.nonces[joiner],
                joiner_challenge: 0,
                epoch: node.epoch().successor(donor),
                base: node.cycle().0,
                region_digest: node.state_digest(),
                starts_in_us: 1_000,
            };
            assert_ne!(cut.region_digest, bench.nodes[joiner].state_digest());
            // The newest challenge is the one that the joiner said last, or the next one if the
            // donor has used that up.
            let mut is_found = false;
            for joiner_challenge in said.challenge.saturating_sub(3)..said.challenge + 3 {
                let forged = forge(bench, joiner, &Cut { joiner_challenge, ..cut });
                let (now, stale) = (bench.now(), bench.nodes[joiner].counters().rejected(Reject::Stale));
                match bench.nodes[joiner].handle_frame(now, &forged) {
                    Err(Reject::Stale) => assert_eq!(bench.nodes[joiner].counters().rejected(Reject::Stale), stale + 1),
                    Err(Reject::Digest) if !is_found => is_found = true,
                    other => panic!("{other:?}"),
                }
                assert_eq!((bench.mode(joiner), bench.nodes[joiner].is_empty()), (Mode::Starting, true));
            }
            assert!(is_found);
        });
    }
}
