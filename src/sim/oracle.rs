//! Runs the program a third time and judges every released output.

use super::Storage;
use super::recent::{Recent, Reuse, Strings};
use crate::canonical;
use crate::ids::{ChannelId, Cycle};
use crate::marks::{Marks, Summary};
use crate::memory::blocks;
use crate::mirror::Mirror;
use crate::program::Program;
use crate::tracked::Tracked;
use crate::verdict::Outcome;
use serde::Serialize;
use std::boxed::Box;
use std::vec::Vec;
use zerocopy::{FromZeros, IntoBytes};

/// What the oracle says of a released output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The program computes it from a legitimate input of that cycle.
    Right,
    /// It is right, and some cycles before it never reached the actuator.
    RightAfterGap(u32),
    /// The program does not compute it.
    Wrong,
}

/// The oracle: knows the samples of both channels, and from them which outputs are right.
///
/// In duplex only the agreed input is legitimate. A channel that takes over may have had
/// the peer's sample or not, so both of its inputs are, until its output tells.
pub struct Oracle<P: Program> {
    /// Of each cycle and channel, the newest last.
    samples: Recent<[Vec<P::Input>; 2]>,
    /// States after the last judged cycle that are consistent with all outputs so far.
    states: Vec<Vec<u8>>,
    /// Outputs of the recent cycles, which may be driven a second time. Of a cycle that was passed there may be several.
    outputs: Recent<Strings>,
    latest: Cycle,
    bench: Bench<P>,
    /// States that were replaced last: their memory is used again.
    replaced: Vec<Vec<u8>>,
}

/// Cycles for which samples and outputs are kept.
const MEMORY_CYCLES: u32 = 16;

/// States kept in mind at once; a takeover leaves two until the outputs tell.
const MOST_STATES: usize = 64;

/// A larger jump of the cycle number is wrong in itself: the inputs of each missed cycle
/// are unknown, and the states they may have led to would multiply.
const LARGEST_GAP_CYCLES: u32 = 4;

impl<P: Program> Oracle<P> {
    /// Starts from the program's initial state.
    pub fn new() -> Self {
        let mut storage = Storage::<P::State>::new();
        let mirror = Mirror::new(storage.cells(), P::init);
        let states = [mirror.state().as_bytes().to_vec()].into();
        Self {
            samples: Recent::default(),
            states,
            outputs: Recent::default(),
            latest: Cycle(0),
            bench: Bench::new(),
            replaced: Vec::new(),
        }
    }

    /// Nobody has the state any more, and the first cycle begins anew. Returns whether there
    /// was any state to forget. What was sampled for that cycle stays.
    pub fn forget_state(&mut self) -> bool {
        let had_state = self.latest != Cycle(0);
        if had_state {
            let samples = std::mem::take(&mut self.samples);
            *self = Self { samples, ..Self::new() };
        }
        had_state
    }

    /// The pair goes on from the state of a channel that stood by, older than what the dead one
    /// drove last: the older state is the right one from here on.
    pub fn go_back(&mut self, cycle: Cycle, state: &P::State, output: &P::Output) {
        self.states = [state.as_bytes().to_vec()].into();
        self.outputs.keep(0);
        self.outputs.entry(cycle.0).add(&encoded(output));
        self.latest = cycle;
    }

    /// Notes that a channel fixed its sample. Standing by it may do so again in the same cycle: the newest
    /// is its own, but one of those before may be what the other channel has.
    pub fn sampled(&mut self, channel: ChannelId, cycle: Cycle, sample: P::Input) {
        self.samples.entry(cycle.0)[channel.index()].push(sample);
        let oldest = cycle.0.saturating_sub(MEMORY_CYCLES);
        self.samples.drop_before(oldest);
        self.outputs.drop_before(oldest);
    }

    /// Returns whether the state is one that the program may be in after that cycle.
    pub fn holds(&self, state: &P::State) -> bool {
        self.states.iter().any(|right| *right == state.as_bytes())
    }

    /// The states after the last judged cycle that are consistent with all outputs so far.
    pub(super) fn states(&self) -> &[Vec<u8>] {
        &self.states
    }

    /// Returns the last cycle whose output was judged right.
    pub fn latest(&self) -> Cycle {
        self.latest
    }

    /// Judges an output that a channel released.
    pub fn judge(&mut self, channel: ChannelId, outcome: Outcome, cycle: Cycle, output: &P::Output) -> Judgement {
        self.judge_bytes(channel, outcome, cycle, &encoded(output))
    }

    /// The same of an output's canonical bytes.
    pub(super) fn judge_bytes(
        &mut self,
        channel: ChannelId,
        outcome: Outcome,
        cycle: Cycle,
        bytes: &[u8],
    ) -> Judgement {
        let ahead = cycle.since(self.latest);
        if ahead <= 0 {
            let again = self.outputs.get(cycle.0).is_some_and(|outputs| outputs.has(bytes));
            return if again { Judgement::Right } else { Judgement::Wrong };
        }
        let gap = ahead.unsigned_abs() - 1;
        if gap > LARGEST_GAP_CYCLES {
            return Judgement::Wrong;
        }
        let before = (gap > 0).then(|| self.states.clone());
        for missed in 1..=gap {
            self.pass_over(Cycle(self.latest.0.wrapping_add(missed)));
        }
        let inputs = self.inputs(channel, outcome, cycle);
        let [states, _] = self.successors(cycle, &inputs, Some(bytes));
        if states.is_empty() {
            self.states = before.unwrap_or(core::mem::take(&mut self.states));
            return Judgement::Wrong;
        }
        self.replaced = core::mem::replace(&mut self.states, states);
        self.latest = cycle;
        self.drove(cycle, &[bytes]);
        if gap == 0 { Judgement::Right } else { Judgement::RightAfterGap(gap) }
    }

    /// Steps through cycles whose output another version of the program has driven, up to this one.
    pub fn pass(&mut self, channel: ChannelId, outcome: Outcome, cycle: Cycle) {
        let ahead = cycle.since(self.latest);
        if !(1..=LARGEST_GAP_CYCLES.cast_signed() + 1).contains(&ahead) {
            return;
        }
        for _ in 1..ahead {
            self.latest = self.latest.next();
            self.pass_over(self.latest);
        }
        let inputs = self.inputs(channel, outcome, cycle);
        let outputs;
        [self.states, outputs] = self.successors(cycle, &inputs, None);
        self.drove(cycle, &outputs);
        self.latest = cycle;
    }

    /// Notes what may be driven once more in a cycle.
    fn drove(&mut self, cycle: Cycle, outputs: &[impl AsRef<[u8]>]) {
        let strings = self.outputs.entry(cycle.0);
        strings.empty();
        outputs.iter().for_each(|output| strings.add(output.as_ref()));
    }

    /// Goes on from this cycle, whatever became of the state.
    pub(super) fn set_latest(&mut self, cycle: Cycle) {
        self.latest = cycle;
    }

    /// Starts from the initial state, and knows the samples that another version's oracle knows.
    pub fn sampled_as<Other: Program<Input = P::Input>>(other: &Oracle<Other>) -> Self {
        Self { samples: other.samples.clone(), ..Self::new() }
    }

    /// Starts from the states of another version's oracle, as far as they can be converted.
    pub fn converted<Old: Program<Input = P::Input>, E>(
        other: &Oracle<Old>,
        convert: impl Fn(&Old::State, &mut P::State) -> Result<(), E>,
    ) -> Self {
        Self::converted_at(other, (other.latest, &other.states), convert)
    }

    /// The same from the states after an earlier cycle.
    pub(super) fn converted_at<Old: Program<Input = P::Input>, E>(
        other: &Oracle<Old>,
        (after, states): (Cycle, &[Vec<u8>]),
        convert: impl Fn(&Old::State, &mut P::State) -> Result<(), E>,
    ) -> Self {
        let mut oracle = Self { samples: other.samples.clone(), latest: after, ..Self::new() };
        oracle.states.clear();
        for bytes in states {
            let (mut old, mut new) = (Box::new(Old::State::new_zeroed()), Box::new(P::State::new_zeroed()));
            old.as_mut_bytes().copy_from_slice(bytes);
            if convert(&old, &mut new).is_ok() {
                oracle.states.push(new.as_bytes().to_vec());
            }
        }
        oracle
    }

    /// Steps through a cycle whose output was never seen, with any input it may have had.
    fn pass_over(&mut self, cycle: Cycle) {
        let mut inputs = Vec::new();
        for channel in [ChannelId::A, ChannelId::B] {
            inputs.extend(self.inputs(channel, Outcome::TookOver, cycle));
        }
        [self.states, _] = self.successors(cycle, &inputs, None);
    }

    /// Returns the inputs on which a channel may have stepped.
    fn inputs(&self, channel: ChannelId, outcome: Outcome, cycle: Cycle) -> Vec<P::Input> {
        let Some(samples) = self.samples.get(cycle.0) else { return Vec::new() };
        let [a, b] = samples;
        let newest = a.last().zip(b.last()).map(|(a, b)| P::agree(a, b).input);
        let (mine, theirs) = if channel == ChannelId::A { (a.last(), b) } else { (b.last(), a) };
        let own = mine.map(|own| P::agree(own, own).input);
        let with = |theirs: &P::Input| {
            let [a, b] = channel.in_order(mine?, theirs);
            Some(P::agree(a, b).input)
        };
        match outcome {
            Outcome::Agreed | Outcome::Tried => newest.into_iter().collect(),
            Outcome::Alone => own.into_iter().collect(),
            Outcome::TookOver => theirs.iter().filter_map(with).chain(own).collect(),
            Outcome::Held | Outcome::Waiting | Outcome::Safe => Vec::new(),
        }
    }

    /// Returns the states after a cycle, and the outputs on the way there, unless it is known already.
    fn successors(&mut self, cycle: Cycle, inputs: &[P::Input], output: Option<&[u8]>) -> [Vec<Vec<u8>>; 2] {
        let (mut successors, mut outputs) = (Vec::<Vec<u8>>::new(), Vec::new());
        for state in &self.states {
            for input in inputs {
                let (computed, next) = self.bench.run(cycle, state, input);
                let fits = output.is_none_or(|output| output == computed);
                if fits && successors.len() < MOST_STATES && !successors.iter().any(|known| known == next) {
                    let mut memory = self.replaced.pop().unwrap_or_default();
                    memory.clear();
                    memory.extend_from_slice(next);
                    successors.push(memory);
                    if output.is_none() {
                        outputs.push(computed.to_vec());
                    }
                }
            }
        }
        [successors, outputs]
    }
}

impl<P: Program> Default for Oracle<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where steps are run: memory for one state and one output, used again and again.
struct Bench<P: Program> {
    state: Box<P::State>,
    output: Vec<u8>,
    /// Where a step puts its marks, which mean nothing here.
    marks: Vec<u8>,
}

impl<P: Program> Bench<P> {
    fn new() -> Self {
        Self { state: Box::new(P::State::new_zeroed()), output: Vec::new(), marks: std::vec![0; blocks::<P::State>()] }
    }

    /// Runs one step on a copy of a state; returns the output's bytes and the next state.
    fn run(&mut self, cycle: Cycle, state: &[u8], input: &P::Input) -> (&[u8], &[u8]) {
        self.state.as_mut_bytes().copy_from_slice(state);
        let mut summary = Summary::default();
        let marks = Marks { map: &mut self.marks, summary: &mut summary };
        let output = P::step(cycle, &mut Tracked::new(&mut *self.state, marks), input);
        encode(&output, &mut self.output);
        (&self.output, self.state.as_bytes())
    }
}

/// Returns the canonical bytes of a value.
pub(super) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

/// Writes the canonical bytes of a value over `bytes`; none if it cannot be encoded.
pub(super) fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    bytes.resize(bytes.capacity().max(ROOM_BYTES), 0);
    let length = canonical::encode(value, bytes).unwrap_or_else(|| {
        bytes.resize(canonical::encoded_len(value).unwrap_or(0), 0);
        canonical::encode(value, bytes).unwrap_or(0)
    });
    bytes.truncate(length);
}

/// Most values are shorter.
const ROOM_BYTES: usize = 64;
