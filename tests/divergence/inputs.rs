//! Votes for different inputs: a fault of agreement, cured by stepping once more on the samples.

use crate::bench::{A, B, CHANNELS, HOME, ServoBench, memory};
use crate::by_hand::is_kind;
use crate::support::{Sample, Servo};
use twinstep::diagnose::Suspects;
use twinstep::wire::Kind;
use twinstep::{ChannelId, Cycle, Diagnosis, Event, Faults};

/// Further apart than the program expects: a discrepancy in each cycle.
fn apart(channel: ChannelId, cycle: Cycle) -> Sample {
    Sample { position: cycle.0 as i16 + 500 * channel.index() as i16, limit: None }
}

/// A vote whose input digest was damaged in the sender's memory before it went out.
#[test]
fn differing_inputs_are_cured_by_the_second_step() {
    for (victim, bit) in [A, B].into_iter().flat_map(|victim| (0..32).map(move |bit| (victim, bit))) {
        let mut memory = memory::<Servo>();
        let mut bench = ServoBench::new(&mut memory, HOME, apart);
        bench.boot();
        bench.run_cycles(3);
        // The first votes are lost, so that the damaged one is sent.
        bench.loses = vec![Kind::Vote];
        let sent = [A, B].map(|at| bench.sent[at].len());
        let votes = |bench: &ServoBench<'_>, at: usize| {
            bench.sent[at][sent[at]..].iter().any(|bytes| is_kind(bytes, Kind::Vote))
        };
        bench.run_until("both have voted", 200, |bench| votes(bench, A) && votes(bench, B));
        bench.loses.clear();
        assert!(bench.nodes[victim].flip(twinstep::Site::MyVote, bit));
        bench.run_cycles_after_divergence(1);
        let found = Diagnosis::Transient(Suspects::channel(CHANNELS[victim]));
        for at in [A, B] {
            let node = &mut bench.nodes[at];
            let counters = *node.counters();
            assert_eq!((counters.diverged, counters.masked, counters.inputs_differed), (1, 1, 1), "bit {bit}");
            // The second step settles on the input once more, which is no second discrepancy.
            assert_eq!(counters.discrepancies, node.cycle().0, "bit {bit}");
            assert_eq!(node.buckets().level(Suspects::channel(CHANNELS[victim])), 1);
            let first = *node.first_fault().unwrap();
            assert_eq!((first.faults, first.diagnosis), (Faults::INPUT_DIVERGENCE, Some(found)), "bit {bit}");
            let [of_a, of_b] = first.votes.map(|vote| vote.unwrap().input_digest);
            assert_eq!(of_a ^ of_b, 1 << bit, "both votes are kept as they were");
            let events: Vec<_> = std::iter::from_fn(|| node.read_event()).map(|entry| entry.event).collect();
            assert!(events.contains(&Event::Discrepancy) && events.contains(&Event::Diagnosed(found)), "{events:?}");
        }
    }
}
