//! Programs that are no pure functions: their channels differ, nothing speaks against either, and the program is suspected.

use crate::case::{CHANNELS, LINE, config};
use std::sync::atomic::{AtomicU32, Ordering};
use twinstep::sim::{Pair, Setup, Storage, TracedEvent};
use twinstep::{
    Agreement, Build, ChannelId, Config, Cycle, Diagnosis, FirstFault, Mode, Program, Tracked, Unattributed,
};

/// What a program adds to its output.
trait Flaw {
    fn of(state: &u64) -> u64;
}

struct Flawed<F>(F);

/// The first cycle with the flaw.
const FROM: Cycle = Cycle(20);

impl<F: Flaw> Program for Flawed<F> {
    type Input = u64;
    type Output = u64;
    type State = u64;
    const SAFE: u64 = 0;
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn agree(a: &u64, b: &u64) -> Agreement<u64> {
        Agreement::on(*a.max(b))
    }

    fn step(cycle: Cycle, state: &mut Tracked<u64>, input: &u64) -> u64 {
        state.update(|s| s, |sum| sum.wrapping_add(*input));
        let flaw = if cycle.since(FROM) >= 0 { F::of(state) } else { 0 };
        state.wrapping_add(flaw)
    }
}

/// Each channel has another one, and always the same.
struct Address;

impl Flaw for Address {
    fn of(state: &u64) -> u64 {
        core::ptr::from_ref(state).addr() as u64
    }
}

/// Each call has another one.
struct Calls;

impl Flaw for Calls {
    fn of(_: &u64) -> u64 {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        CALLS.fetch_add(1, Ordering::Relaxed).into()
    }
}

struct Ending {
    first_faults: [FirstFault; 2],
    modes: [Option<Mode>; 2],
    /// What each verdict said.
    diagnoses: Vec<Diagnosis>,
    is_unvoted: bool,
}

fn run<F: Flaw>(unattributed: Unattributed) -> Ending {
    let config = Config { unattributed, ..config() };
    let setup = Setup { config, line: LINE, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Flawed<F>>::new(&setup, &mut memory, |_: ChannelId, cycle: Cycle| cycle.0.into()).unwrap();
    pair.run(15);
    assert_eq!((pair.report().diverged, pair.report().wrong), (0, 0));
    pair.trace();
    pair.run(15);
    let diagnoses = pair.take_trace().into_iter().filter_map(|traced| match traced.what {
        TracedEvent::Verdict { diagnosis, .. } => diagnosis,
        _ => None,
    });
    Ending {
        diagnoses: diagnoses.collect(),
        first_faults: CHANNELS.map(|channel| *pair.node(channel).unwrap().first_fault().unwrap()),
        modes: CHANNELS.map(|channel| pair.mode(channel)),
        is_unvoted: pair.report().unvoted_in_duplex > 0,
    }
}

fn suspects_the_program(hint: &str) -> bool {
    hint.starts_with("suspect the program")
}

/// Both checkpoints hold, and both channels stand by their results.
#[test]
fn a_program_that_depends_on_an_address_is_suspected() {
    let ending = run::<Address>(Unattributed::Safe);
    assert_eq!(ending.modes, [Some(Mode::Safe); 2]);
    assert!(!ending.is_unvoted);
    for first in ending.first_faults {
        assert_eq!((first.cycle, first.diagnosis), (FROM, Some(Diagnosis::Unattributed)), "{first:?}");
        let is_clean = |evidence: twinstep::diagnose::Evidence| evidence.checkpoint_holds && !evidence.is_unstable();
        assert!(first.evidence.iter().all(|evidence| evidence.is_some_and(is_clean)), "{first:?}");
        let hint = first.hint().unwrap();
        println!("{hint}");
        assert!(suspects_the_program(hint) && hint.contains("stand by"), "{hint}");
    }
    assert_eq!(ending.diagnoses, [Diagnosis::Unattributed; 2]);
    assert!(suspects_the_program(ending.diagnoses[0].hint()));
}

/// The policy goes on with a channel, and the hint is the same.
#[test]
fn it_is_suspected_where_a_policy_decides_as_well() {
    let ending = run::<Address>(Unattributed::Prefer(ChannelId::B));
    assert!(ending.modes.contains(&Some(Mode::Simplex)) || ending.modes.contains(&Some(Mode::Duplex)));
    for first in ending.first_faults {
        if let Some(hint) = first.hint() {
            assert!(suspects_the_program(hint), "{hint}: {first:?}");
        }
    }
    assert!(ending.diagnoses.iter().any(|found| suspects_the_program(found.hint())), "{:?}", ending.diagnoses);
}

/// Both channels change their results.
#[test]
fn a_program_with_a_hidden_static_is_suspected() {
    let ending = run::<Calls>(Unattributed::Safe);
    assert!(!ending.is_unvoted);
    for first in ending.first_faults {
        let hint = first.hint().unwrap();
        println!("{hint}");
        assert!(suspects_the_program(hint) && hint.contains("changed their result"), "{hint}: {first:?}");
    }
}
