//! A flipped bit that makes an output longer than a frame: masked like any other.

use crate::bench::{A, B, Bench, CHANNELS, HOME, memory};
use twinstep::diagnose::Suspects;
use twinstep::{Agreement, Cycle, Diagnosis, Event, Mode, Program, Site, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Six times the same number: 6 bytes as long as it is small, 30 of a large one.
struct Six;

/// The shortest that this program can have: 25 bytes of output.
const FRAME: usize = 60;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Number(u32);

impl Program for Six {
    type Input = u8;
    type Output = [u32; 6];
    type State = Number;
    const SAFE: [u32; 6] = [0; 6];
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);
    const OUTPUT_BYTES: usize = 25; // of numbers that are right

    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(*a.min(b))
    }

    fn step(_: Cycle, state: &mut Tracked<Number>, input: &u8) -> [u32; 6] {
        let before = state.0;
        state.set(|s| &s.0, u32::from(*input));
        [before; 6]
    }
}

/// Flips a bit of the state just before a step, in these channels.
fn with_hit(hit: &[usize], then: impl FnOnce(&mut Bench<'_, Six, FRAME>)) {
    let mut memory = memory::<Six>();
    let mut bench = Bench::<Six, FRAME>::new(&mut memory, HOME, |_, cycle| cycle.0 as u8 % 100);
    bench.boot();
    bench.run_cycles(3);
    bench.run_until("both in a cycle", 300, |bench| bench.nodes.iter().all(|node| node.settled_cycle().is_none()));
    for at in hit {
        assert!(bench.nodes[*at].flip(Site::Working, 31));
    }
    then(&mut bench);
}

#[test]
fn an_output_that_a_flip_makes_too_long_is_masked_in_its_cycle() {
    for at in [A, B] {
        with_hit(&[at], |bench| {
            bench.run_cycles_after_divergence(3);
            assert_eq!(bench.modes(), [Mode::Duplex; 2]);
            let found = Diagnosis::Transient(Suspects::channel(CHANNELS[at]));
            for node in &mut bench.nodes {
                let events: Vec<_> = std::iter::from_fn(|| node.read_event()).map(|entry| entry.event).collect();
                assert!(events.contains(&Event::Diagnosed(found)), "{events:?}");
                assert_eq!((node.counters().masked, node.counters().held), (1, 0));
            }
        });
    }
}

/// The same in both is a program whose outputs do not fit: it ends in the safe state, as it must. A flip in
/// both, of a state that both agreed on, is only the way to get there.
#[test]
fn one_that_is_too_long_for_good_is_the_safe_state() {
    with_hit(&[A, B], |bench| {
        for node in &mut bench.nodes {
            assert!(node.flip(Site::Checkpoint, 31));
        }
        (0..300).for_each(|_| bench.tick());
        assert_eq!(bench.modes(), [Mode::Safe; 2]);
    });
}
