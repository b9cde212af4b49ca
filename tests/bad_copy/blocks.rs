//! Blocks that a joining channel must not take, and what becomes of those that it cannot tell.

use crate::bench::{A, B, Bench, CHANNELS, HOME, ServoBench, memory};
use crate::frames::{Copies, Reaction, Snapshot, payload_of};
use crate::moments::{Moment, begin_copy};
use crate::support::{Servo, sensor};
use twinstep::wire::{BlockPayload, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES, Reject};
use twinstep::{Agreement, ChannelId, Cycle, Epoch, Faults, Mode, Program, Tracked};

/// Of the state of `Servo`.
const BLOCKS: u16 = 16;
const EACH_JOINS: [(usize, Moment); 4] =
    [(A, Moment::Offered), (A, Moment::Joining), (B, Moment::Offered), (B, Moment::Joining)];

#[test]
fn blocks_out_of_range_or_of_a_wrong_length_are_refused() {
    for (joiner, moment) in EACH_JOINS {
        moment.with(joiner, |bench| {
            let serial = bench.next_serial(joiner);
            for index in [BLOCKS, BLOCKS + 1, 0x7FFF, 0x8000, u16::MAX] {
                let frame = bench.block_to(joiner, serial, index, &[0xEE; 64]);
                bench.refuse(joiner, &frame, Reject::Block);
            }
            // Up to what fits a frame, under a mask that says so.
            let longest = MAX_FRAME_BYTES - OVERHEAD_BYTES - 6;
            for length in (0..=longest).filter(|length| *length != 64) {
                for index in [0, 7, BLOCKS - 1] {
                    let frame = bench.block_to(joiner, serial, index, &vec![0xEE; length]);
                    bench.refuse(joiner, &frame, Reject::Block);
                }
            }
            // One whose mask claims a word less than it has.
            let mut claims = payload_of(&BlockPayload { serial, index: 0, bytes: &[0; 64] });
            claims[4] = 0xFE;
            let frame = bench.frame_to(joiner, Kind::Block, &claims);
            bench.refuse(joiner, &frame, Reject::Payload);
        });
    }
}

/// A state of two blocks and a bit.
struct Odd;

impl Program for Odd {
    type Input = u8;
    type Output = u8;
    type State = [u8; 150];
    const SAFE: u8 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(*a.max(b))
    }

    fn step(_: Cycle, state: &mut Tracked<[u8; 150]>, input: &u8) -> u8 {
        state.update(|s| &s[149], |sum: u8| sum.wrapping_add(*input));
        state[149]
    }
}

#[test]
fn the_last_block_is_as_long_as_the_rest_of_the_state() {
    for joiner in [A, B] {
        let mut memory = memory::<Odd>();
        let mut bench = Bench::<Odd, MAX_FRAME_BYTES>::new(&mut memory, HOME, |channel, cycle| {
            cycle.0 as u8 ^ channel.index() as u8
        });
        bench.boot();
        bench.run_cycles(4);
        bench.loses = vec![Kind::Ack];
        bench.reboot(joiner);
        bench.run_until("a joiner", 1_500, |bench| bench.mode(joiner) == Mode::Joining);
        let serial = bench.next_serial(joiner);
        for (index, need_bytes) in [(0, 64), (1, 64), (2, 22)] {
            for length in (0..=65).filter(|length| *length != need_bytes) {
                let frame = bench.block_to(joiner, serial, index, &vec![0xEE; length]);
                bench.refuse(joiner, &frame, Reject::Block);
            }
        }
        let sent = bench.blocks_to(joiner).iter().map(|block| (block.index, block.bytes.len())).max();
        assert_eq!(sent, Some((2, 22)));
        bench.loses.clear();
        bench.boot();
        bench.run_cycles(3);
    }
}

#[test]
fn blocks_of_an_older_epoch_or_of_one_that_the_joiner_owns_are_refused() {
    for (joiner, moment) in EACH_JOINS {
        moment.with(joiner, |bench| {
            let (me, donor) = (CHANNELS[joiner], CHANNELS[1 - joiner]);
            let now = bench.expected_epoch(joiner);
            assert_eq!(now.owner(), donor);
            assert!(now.counter() > 1);
            let serial = bench.next_serial(joiner);
            let payload = payload_of(&BlockPayload { serial, index: 3, bytes: &[0xEE; 64] });
            let older = (0..now.counter()).flat_map(|counter| [me, donor].map(|owner| Epoch::new(counter, owner)));
            let mine = [0, 1, 5].map(|more| Epoch::new(now.counter() + more, me));
            for epoch in older.chain(mine) {
                let frame = bench.forge(Kind::Block, donor, epoch, bench.settled_phase(1 - joiner), &payload);
                bench.refuse(joiner, &frame, Reject::Epoch);
            }
        });
    }
}

/// The same frames but for their epoch are taken: it is nothing else that they are refused for.
#[test]
fn a_block_of_the_right_epoch_is_taken() {
    for (joiner, moment) in EACH_JOINS {
        moment.with(joiner, |bench| {
            let serial = bench.next_serial(joiner);
            let frame = bench.block_to(joiner, serial, 3, &[0xEE; 64]);
            assert_eq!(bench.accept(joiner, &frame), 0);
            assert_eq!(bench.mode(joiner), Mode::Joining);
            assert_eq!(Copies::of(&mut bench.nodes[joiner]).working[3 * 64..4 * 64], [0xEE; 64]);
        });
    }
}

#[test]
fn blocks_that_come_again_are_recognised() {
    for joiner in [A, B] {
        Moment::Joining.with(joiner, |bench| {
            let sent = bench.blocks_to(joiner);
            let has_arrived = sent.len() - bench.towards[joiner].len();
            assert!(has_arrived >= 4);
            for block in sent.iter().take(has_arrived) {
                for _ in 0..3 {
                    bench.meet(joiner, &block.frame, Reaction::Repeated);
                }
            }
        });
        // On a link that delivers every frame three times.
        let mut memory = memory::<Servo>();
        let mut bench = ServoBench::new(&mut memory, HOME, sensor(14));
        bench.copies = 3;
        bench.boot();
        bench.run_cycles(20);
        begin_copy(&mut bench, joiner);
        bench.boot();
        bench.run_cycles(3);
        let counters = bench.nodes[joiner].counters();
        assert!(counters.repeated >= 32, "{counters:?}");
        assert_eq!(bench.nodes[1 - joiner].counters().copies_failed, 0);
    }
}

/// A block that was overtaken by a newer version of itself, for as long as the joiner joins, and
/// as its negative control the same bytes under a new serial.
#[test]
fn a_late_block_never_overwrites_a_newer_one() {
    for (joiner, is_control) in [(A, false), (B, false), (A, true), (B, true)] {
        Moment::Joining.with(joiner, |bench| {
            bench.loses = vec![Kind::Block];
            let first = bench.next_serial(joiner);
            bench.run_until("blocks that are lost", 600, |bench| {
                bench.blocks_to(joiner).iter().any(|block| block.serial >= first && block.index == 0)
            });
            let late = bench.blocks_to(joiner).into_iter().rfind(|block| block.index == 0).unwrap();
            bench.loses.clear();
            let is_newer = |bench: &ServoBench<'_>| {
                let mut blocks = bench.blocks_to(joiner).into_iter();
                blocks.any(|block| block.index == 0 && block.serial > late.serial && block.bytes != late.bytes)
            };
            bench.run_until("a newer version", 500, is_newer);
            bench.tick();
            assert_eq!(bench.mode(joiner), Mode::Joining);
            let kept = Copies::of(&mut bench.nodes[joiner]).checkpoint[..64].to_vec();
            assert_ne!(kept, late.bytes);
            if is_control {
                let renewed = bench.block_to(joiner, bench.next_serial(joiner), 0, &late.bytes);
                assert_eq!(bench.accept(joiner, &renewed), 0);
                assert_eq!(Copies::of(&mut bench.nodes[joiner]).checkpoint[..64], late.bytes);
                return;
            }
            for _ in 0..200 {
                if bench.mode(joiner) != Mode::Joining {
                    break;
                }
                // Late by its serial, and by its epoch once that was raised for the cut.
                let (now, before) = (bench.now(), Copies::of(&mut bench.nodes[joiner]));
                let refused = bench.nodes[joiner].handle_frame(now, &late.frame);
                assert!(matches!(refused, Err(Reject::Phase | Reject::Epoch)), "{refused:?}");
                assert_eq!(Copies::of(&mut bench.nodes[joiner]), before);
                bench.tick();
            }
            bench.boot();
            assert_eq!(bench.nodes[1 - joiner].counters().copies_failed, 0, "the first copy succeeds");
        });
    }
}

/// All blocks of one cycle in reverse: only the newest is taken, and the others are sent again.
#[test]
fn blocks_in_reverse_order_are_sent_again() {
    for joiner in [A, B] {
        Moment::Offered.with(joiner, |bench| {
            bench.loses.clear();
            let mut late = 0;
            while bench.modes() != [Mode::Duplex; 2] {
                assert!(bench.now_us < 6_000_000, "modes {:?}", bench.modes());
                bench.tick();
                bench.towards[joiner].reverse();
                late = bench.nodes[joiner].counters().rejected(Reject::Phase);
            }
            assert!(late >= 12, "{late} blocks came late");
            assert_eq!(bench.nodes[joiner].counters().rejected(Reject::Digest), 0);
        });
    }
}

/// A peer that holds the key and lies is outside of what is promised, except that nothing it put
/// into the joiner's memory gets into duplex.
#[test]
fn a_forged_block_is_found_at_the_cut() {
    for joiner in [A, B] {
        for index in 0..BLOCKS {
            Moment::Joining.with(joiner, |bench| {
                // Nothing is left to be sent that could overwrite it: the last moment before the cut.
                bench.run_until("all sent", 3_000, |bench| {
                    let progress = bench.nodes[1 - joiner].copy_progress();
                    progress.is_some_and(|progress| progress.done_blocks + 1 >= progress.total_blocks)
                });
                let serial = bench.next_serial(joiner);
                let frame = bench.block_to(joiner, serial, index, &[0xEE; 64]);
                let donors = Copies::of(&mut bench.nodes[1 - joiner]);
                assert_eq!(bench.accept(joiner, &frame), 0);
                assert_eq!(Copies::of(&mut bench.nodes[1 - joiner]), donors);
                bench.expect_found_at_the_cut(joiner);
            });
        }
    }
}

/// A serial far ahead makes all genuine ones late: nothing is acknowledged any more, the donor
/// gives up, says so, and begins anew.
#[test]
fn a_forged_serial_far_ahead_ends_only_this_copy() {
    for (joiner, ahead) in [(A, 100), (B, 100), (A, 0x7FF0), (B, 0x7FF0)] {
        Moment::Joining.with(joiner, |bench| {
            let serial = bench.next_serial(joiner).wrapping_add(ahead);
            let frame = bench.block_to(joiner, serial, 3, &[0xEE; 64]);
            bench.nodes[1 - joiner].clear_first_fault(); // of the joiner's reboot
            bench.accept(joiner, &frame);
            bench.run_until("given up", 3_000, |bench| bench.nodes[1 - joiner].counters().copies_failed == 1);
            assert!(bench.nodes[joiner].counters().rejected(Reject::Phase) > 0, "late blocks");
            let first_fault = bench.nodes[1 - joiner].first_fault().unwrap();
            assert!(first_fault.faults.contains(Faults::COPY_FAILED), "{first_fault:?}");
            bench.boot();
            assert_eq!(bench.nodes[joiner].counters().joined, 1);
        });
    }
}

/// A block of the copy by which a channel once joined, repeated by the link long after: the
/// channel stands by with a state that may be the newest there is, and keeps it.
#[test]
fn a_block_of_the_past_takes_no_state_from_a_channel_that_stands_by() {
    let mut memory = memory::<Servo>();
    let mut bench = ServoBench::new(&mut memory, HOME, sensor(15));
    bench.boot();
    bench.run_cycles(4);
    begin_copy(&mut bench, B);
    bench.boot();
    bench.run_cycles(12); // and its probation is over
    let past = bench.blocks_to(B);
    let cut = bench.specimens()[B].iter().find(|frame| frame.header.kind == Kind::Cut).unwrap().bytes.clone();
    for frame in past.iter().map(|block| &block.frame) {
        bench.refuse(B, frame, Reject::Mode);
    }
    bench.is_cut = true;
    bench.run_until("B stands by", 500, |bench| bench.mode(B) == Mode::Standby);
    assert!(!bench.nodes[B].is_empty());
    let before = Snapshot::of(&mut bench.nodes[B]);
    for block in &past {
        bench.refuse(B, &block.frame, Reject::Mode);
    }
    let newer = past.last().map(|block| Epoch::new(block.epoch.counter() + 5, ChannelId::A)).unwrap();
    for serial in [0, bench.next_serial(B)] {
        let payload = payload_of(&BlockPayload { serial, index: 3, bytes: &[0xEE; 64] });
        let forged = bench.forge(Kind::Block, ChannelId::A, newer, bench.settled_phase(B), &payload);
        bench.refuse(B, &forged, Reject::Mode);
    }
    bench.refuse(B, &cut, Reject::Mode);
    assert_eq!(Snapshot::of(&mut bench.nodes[B]), before);
    assert!(!bench.nodes[B].first_fault().is_some_and(|first| first.faults.contains(Faults::MEMORY_DAMAGED)));
    bench.is_cut = false;
    bench.boot();
    bench.run_cycles(3);
}
