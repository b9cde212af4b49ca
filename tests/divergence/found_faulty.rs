//! What is on record of a channel that was found faulty, and that nobody goes on from its state.

use crate::bench::{A, B, Bench, CHANNELS, HOME, ServoBench, Setup, memory};
use crate::by_hand::with_bench;
use crate::frames::{forge_acknowledging, payload_of};
use crate::support::{Servo, sensor};
use twinstep::diagnose::Reason;
use twinstep::ids::{Phase, Stage};
use twinstep::wire::{EvidencePayload, Kind, MAX_FRAME_BYTES};
use twinstep::{ClaimWord, Config, Diagnosis, Event, Mode, SharedClaim, Site};

/// A channel errs too often, and a frame is lost, so that it may hear of the other one's takeover
/// from the arbiter before it has left by itself.
fn excluded(victim: usize, lost: u32, then: impl FnOnce(&mut Bench<'_, Servo, MAX_FRAME_BYTES, SharedClaim<'_>>)) {
    let word = ClaimWord::new();
    let mut memory = memory::<Servo>();
    let setup = Setup { config: Config { transient_limit: 1, ..HOME.config }, ..HOME };
    let mut bench = Bench::with_arbiters(&mut memory, setup, [SharedClaim::new(&word); 2], sensor(7));
    bench.boot();
    bench.run_cycles(4);
    for _ in 0..2 {
        bench.nodes[victim].flip(Site::Output, 3);
        let mut count = 0;
        for _ in 0..120 {
            bench.tick();
            for frames in &mut bench.towards {
                frames.retain(|_| {
                    count += 1;
                    count != lost
                });
            }
        }
    }
    (0..300).for_each(|_| bench.tick());
    then(&mut bench);
}

#[test]
fn nobody_goes_on_from_the_state_of_a_channel_that_was_found_faulty() {
    for (victim, lost) in [A, B].into_iter().flat_map(|victim| (0..14).map(move |lost| (victim, lost))) {
        excluded(victim, lost, |bench| {
            let (node, other) = (&bench.nodes[victim], 1 - victim);
            assert!(node.is_barred(CHANNELS[victim]), "frame {lost}");
            assert_eq!((node.mode(), node.is_empty()), (Mode::Starting, true), "frame {lost}");
            assert!(bench.mode(other).serves(), "frame {lost}");
            // Not even if the other one's state is lost.
            bench.reboot(other);
            for _ in 0..2_000 {
                bench.tick();
            }
            assert!(!bench.mode(victim).serves(), "frame {lost}");
        });
    }
}

/// The other channel had settled the cycle, and begun the next one, before it heard of the difference.
#[test]
fn the_record_is_of_the_cycle_that_differed() {
    for at in [A, B] {
        with_bench(HOME, 3, |bench: &mut ServoBench<'_>| {
            bench.run_until("the next cycle", 300, |bench| bench.nodes[at].settled_cycle().is_none());
            let (peer, now) = (CHANNELS[1 - at], bench.now());
            let cycle = bench.nodes[at].cycle().previous();
            // A second vote that is another one, and no first one that was seen.
            let vote = [1, 2, 3, 4, 5, 6, 7, 8, 20, 0];
            let of_peer =
                EvidencePayload { findings: 3, health: 0, first: 1, peer_first: 0, levels: [0; 5], vote: &vote };
            let phase = Phase::new(cycle, Stage::Evidence);
            let phases = [phase, Phase(phase.0 - 1)]; // it asks for what this channel has
            let frame = forge_acknowledging(&bench.keys(), Kind::Evidence, peer, phases, &payload_of(&of_peer));
            bench.nodes[at].handle_frame(now, &frame).unwrap();
            let found = Diagnosis::Faulty(peer, Reason::Settled);
            let first = bench.nodes[at].first_fault().unwrap();
            assert_eq!((first.cycle, first.diagnosis), (cycle, Some(found)));
            assert!(first.evidence.iter().all(Option::is_some) && first.votes.iter().all(Option::is_some), "{first:?}");
            let diagnosed =
                std::iter::from_fn(|| bench.nodes[at].read_event()).find(|e| e.event == Event::Diagnosed(found));
            assert_eq!(diagnosed.map(|entry| entry.cycle), Some(cycle));
        });
    }
}
