//! Calls the functions of a program, one cycle after the other.

use super::impurity::{Impurity, SeenIn, Suspect, Symptom};
use super::place::{Place, litter_stack};
use crate::canonical;
use crate::ids::Cycle;
use crate::marks::{Marks, Summary};
use crate::memory::blocks;
use crate::program::{Agreement, Program};
use crate::sim::hush::{Caught, catch};
use crate::tracked::Tracked;
use serde::Serialize;
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes;

/// A program with a state. Panics are returned as errors.
pub(super) struct Runner<'p, P: Program> {
    state: &'p mut P::State,
    /// Where a step puts its marks, which mean nothing here.
    marks: Vec<u8>,
    /// What the calls are told as.
    pub(super) seen_in: SeenIn,
}

/// A value and its canonical bytes.
pub(super) struct Encoded<T> {
    pub(super) value: T,
    pub(super) bytes: Vec<u8>,
}

impl<T: Serialize> Encoded<T> {
    /// `None` if the value cannot be encoded.
    pub(super) fn new(value: T) -> Option<Self> {
        let mut bytes = vec![0; canonical::encoded_len(&value)?];
        canonical::encode(&value, &mut bytes)?;
        Some(Self { value, bytes })
    }
}

/// What `agree` returned.
pub(super) struct Agreed<I> {
    pub(super) input: Encoded<I>,
    pub(super) discrepancy: bool,
}

impl<'p, P: Program> Runner<'p, P> {
    /// Calls `init` on zeroed memory.
    pub(super) fn start(place: &'p mut Place, seen_in: SeenIn) -> Result<Self, Impurity> {
        let runner = Self { state: place.state(), marks: vec![0; blocks::<P::State>()], seen_in };
        let state = &mut *runner.state;
        let pattern = pattern(seen_in);
        caught(Cycle(0), Suspect::Init, seen_in, || {
            litter_stack(pattern);
            P::init(state);
            Some(())
        })?;
        Ok(runner)
    }

    /// Calls `agree` on the samples of both channels, which are decoded as they are by a node.
    pub(super) fn agree(&self, cycle: Cycle, samples: &[Vec<u8>; 2]) -> Result<Agreed<P::Input>, Impurity> {
        let pattern = pattern(self.seen_in);
        caught(cycle, Suspect::Agree, self.seen_in, || {
            let [a, b] = samples;
            let (a, b) = (canonical::decode(a)?, canonical::decode(b)?);
            litter_stack(pattern);
            let Agreement { input, discrepancy } = P::agree(&a, &b);
            Some(Agreed { input: Encoded::new(input)?, discrepancy })
        })
    }

    /// Calls `step`.
    pub(super) fn step(&mut self, cycle: Cycle, input: &P::Input) -> Result<Encoded<P::Output>, Impurity> {
        let pattern = pattern(self.seen_in);
        let mut summary = Summary::default();
        let mut tracked =
            Tracked::<P::State>::new(&mut *self.state, Marks { map: &mut self.marks, summary: &mut summary });
        caught(cycle, Suspect::Step, self.seen_in, || {
            litter_stack(pattern);
            Encoded::new(P::step(cycle, &mut tracked, input))
        })
    }

    /// Returns the bytes of the state.
    pub(super) fn state(&self) -> &[u8] {
        self.state.as_bytes()
    }

    /// Puts back a state from before.
    pub(super) fn put_back(&mut self, state: &[u8]) {
        self.state.as_mut_bytes().copy_from_slice(state);
    }
}

/// What the stack is filled with before a call.
fn pattern(seen_in: SeenIn) -> u8 {
    match seen_in {
        SeenIn::FirstRun => 0x00,
        SeenIn::SecondRun => 0xA5,
        SeenIn::Repetition => 0x5A,
        SeenIn::NewThread => 0xFF,
    }
}

/// Calls a function of the program. `None` means that a value has no encoding.
fn caught<T>(
    cycle: Cycle,
    suspect: Suspect,
    seen_in: SeenIn,
    function: impl FnOnce() -> Option<T>,
) -> Result<T, Impurity> {
    let symptom = match catch(function) {
        Ok(Some(result)) => return Ok(result),
        Ok(None) => Symptom::NoEncoding,
        Err(Caught { message, file, line }) => Symptom::Panicked { message, file, line },
    };
    Err(Impurity { cycle, suspect, seen_in, symptom })
}
