//! Finds programs that are not pure, by running them more than once.

mod fields;
mod impurity;
mod place;
mod runner;

pub(super) use fields::readable;
pub use impurity::{Impurity, SeenIn, Suspect, Symptom};

use super::pair::{CHANNELS, World};
use crate::canonical;
use crate::digest::BLOCK_BYTES;
use crate::ids::{ChannelId, Cycle};
use crate::program::{Message, Program};
use place::Place;
use runner::{Encoded, Runner};
use std::boxed::Box;
use std::panic::resume_unwind;
use std::thread;
use std::vec::Vec;

/// Where the state of each run lies in a page, in blocks. Each bit of the address differs between two of them.
const OFFSETS: [usize; 3] = [0b00_0000, 0b01_0101, 0b10_1010];

/// Checks that a program is a pure function: that `init`, `agree` and `step` depend on their arguments only.
///
/// Runs the program three times from `init`, on the same samples of both channels, and compares after each cycle the agreed
/// input, the output and the state:
/// 1. The first run samples `world` and drives its outputs there, as channel A, so that a closed loop works.
/// 2. The second run is in the same thread. It calls `agree` and `step` a second time in each cycle, from the same state.
/// 3. The third run is in a new thread: thread locals are new, and so are the keys of each `HashMap`.
///
/// In each run the state lies at another address, and the stack holds other bytes before each call. The time it takes is that of
/// four steps a cycle; the blocks that each cycle changes are kept until the end.
///
/// It finds statics and thread locals that change, addresses, the order of a `HashMap`, and clocks that tick meanwhile. It does not
/// find what is the same throughout a process, such as the address of a static, an environment variable, or a value that is computed
/// once; nor what the samples of these cycles do not reach.
///
/// # Errors
/// [`Impurity`]: the first difference, or a panic of the program. The panic is not printed. Where panics abort, it aborts.
///
/// # Panics
/// If `world` does, or if the system gives no thread.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use twinstep::sim::{Suspect, Symptom, check_pure};
/// use twinstep::{Agreement, Build, ChannelId, Cycle, Program, Tracked};
///
/// static CALLS: AtomicU32 = AtomicU32::new(0);
///
/// struct Counter;
/// impl Program for Counter {
///     type Input = u8;
///     type Output = (u32, bool);
///     type State = u32;
///     const SAFE: (u32, bool) = (0, false);
///     const VERSION: u32 = 1;
///     const BUILD: Build = Build::new(1);
///     fn agree(a: &u8, b: &u8) -> Agreement<u8> {
///         Agreement::on(*a.max(b))
///     }
///     fn step(_: Cycle, state: &mut Tracked<u32>, input: &u8) -> (u32, bool) {
///         state.update(|s| s, |sum| sum.wrapping_add(u32::from(*input)));
///         let calls = CALLS.fetch_add(1, Ordering::Relaxed); // not pure
///         (**state, calls % 8 == 0)
///     }
/// }
///
/// let sensor = |_: ChannelId, cycle: Cycle| cycle.0 as u8;
/// let impurity = check_pure::<Counter>(sensor, 100).unwrap_err();
/// assert_eq!(impurity.suspect, Suspect::Step);
/// assert!(matches!(&impurity.symptom, Symptom::Field { path, .. } if path == "1"));
/// println!("{impurity}");
/// ```
pub fn check_pure<P: Program>(world: impl World<P>, cycles: u32) -> Result<(), Impurity> {
    // All three at once, so that no address comes twice.
    let [mut first, mut second, mut third] = OFFSETS.map(Place::new::<P::State>);
    let recording = Recording::of::<P>(world, cycles, &mut first)?;
    recording.compare::<P>(&mut second, SeenIn::SecondRun)?;
    thread::scope(|scope| {
        let third = scope.spawn(|| recording.compare::<P>(&mut third, SeenIn::NewThread));
        third.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// What the first run came to, in bytes: values of the program need not go to another thread.
struct Recording {
    initial: Vec<u8>,
    cycles: Vec<Recorded>,
}

/// One cycle of it.
struct Recorded {
    samples: [Vec<u8>; 2],
    agreed: Vec<u8>,
    discrepancy: bool,
    output: Vec<u8>,
    /// The blocks that it changed; the last one of a state may be shorter.
    changed: Vec<(usize, Box<[u8]>)>,
}

impl Recording {
    /// Makes the first run.
    fn of<P: Program>(mut world: impl World<P>, cycles: u32, place: &mut Place) -> Result<Self, Impurity> {
        let seen_in = SeenIn::FirstRun;
        let mut runner = Runner::<P>::start(place, seen_in)?;
        let initial = runner.state().to_vec();
        let mut before = initial.clone();
        let mut recorded = Vec::new();
        for cycle in (1..=cycles).map(Cycle) {
            let samples = CHANNELS.map(|channel| Encoded::new(world.sample(channel, cycle)));
            let [Some(a), Some(b)] = samples else {
                return Err(Impurity { cycle, suspect: Suspect::Agree, seen_in, symptom: Symptom::NoEncoding });
            };
            let samples = [a.bytes, b.bytes];
            let agreed = runner.agree(cycle, &samples)?;
            let output = runner.step(cycle, &agreed.input.value)?;
            world.drive(ChannelId::A, cycle, &output.value);
            recorded.push(Recorded {
                samples,
                agreed: agreed.input.bytes,
                discrepancy: agreed.discrepancy,
                output: output.bytes,
                changed: changed_blocks(&before, runner.state()),
            });
            before.copy_from_slice(runner.state());
        }
        Ok(Self { initial, cycles: recorded })
    }

    /// Runs again, and compares.
    fn compare<P: Program>(&self, place: &mut Place, seen_in: SeenIn) -> Result<(), Impurity> {
        let mut runner = Runner::<P>::start(place, seen_in)?;
        let mut expected = self.initial.clone();
        if let Some(symptom) = state_symptom(&expected, runner.state()) {
            return Err(Impurity { cycle: Cycle(0), suspect: Suspect::Init, seen_in, symptom });
        }
        let mut before = expected.clone();
        for (cycle, recorded) in (1..).map(Cycle).zip(&self.cycles) {
            for (block, bytes) in &recorded.changed {
                expected[block * BLOCK_BYTES..][..bytes.len()].copy_from_slice(bytes);
            }
            recorded.compare(cycle, &mut runner, &expected)?;
            if seen_in == SeenIn::SecondRun {
                runner.put_back(&before);
                runner.seen_in = SeenIn::Repetition;
                recorded.compare(cycle, &mut runner, &expected)?;
                runner.seen_in = seen_in;
            }
            before.copy_from_slice(&expected);
        }
        Ok(())
    }
}

impl Recorded {
    /// Runs this cycle again, from the same state.
    fn compare<P: Program>(&self, cycle: Cycle, runner: &mut Runner<P>, expected: &[u8]) -> Result<(), Impurity> {
        let impurity = |suspect, seen_in, symptom| Impurity { cycle, suspect, seen_in, symptom };
        let agreed = runner.agree(cycle, &self.samples)?;
        let is_other = agreed.discrepancy != self.discrepancy;
        let symptom = value_symptom(&self.agreed, &agreed.input)
            .or(is_other.then_some(Symptom::Discrepancy { first: self.discrepancy }));
        if let Some(symptom) = symptom {
            return Err(impurity(Suspect::Agree, runner.seen_in, symptom));
        }
        let output = runner.step(cycle, &agreed.input.value)?;
        match value_symptom(&self.output, &output).or_else(|| state_symptom(expected, runner.state())) {
            Some(symptom) => Err(impurity(Suspect::Step, runner.seen_in, symptom)),
            None => Ok(()),
        }
    }
}

fn changed_blocks(before: &[u8], after: &[u8]) -> Vec<(usize, Box<[u8]>)> {
    let pairs = before.chunks(BLOCK_BYTES).zip(after.chunks(BLOCK_BYTES)).enumerate();
    pairs.filter(|(_, (before, after))| before != after).map(|(block, (_, after))| (block, after.into())).collect()
}

/// Returns the first byte in which two states differ.
fn state_symptom(first: &[u8], again: &[u8]) -> Option<Symptom> {
    let (byte, (first, again)) = first.iter().zip(again).enumerate().find(|(_, (first, again))| first != again)?;
    let (block, byte_in_block) = (byte / BLOCK_BYTES, byte % BLOCK_BYTES);
    Some(Symptom::State { block, byte_in_block, byte, first: *first, again: *again })
}

/// Returns the first field in which a value differs from the one that had these bytes.
fn value_symptom<T: Message>(first: &[u8], again: &Encoded<T>) -> Option<Symptom> {
    let byte = (0..first.len().max(again.bytes.len())).find(|at| first.get(*at) != again.bytes.get(*at))?;
    let value = canonical::decode::<T>(first);
    let difference = value.and_then(|first| fields::first_difference(&first, &again.value));
    Some(match difference {
        Some(fields::Difference { path, first, again }) => Symptom::Field { path, first, again },
        None => Symptom::Encoding { byte, first: first.get(byte).copied(), again: again.bytes.get(byte).copied() },
    })
}
