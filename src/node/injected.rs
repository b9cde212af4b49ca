//! Faults from outside (feature `sim`): one bit, at a named place of a channel.

use super::control::CONTROL_BITS;
use super::{MayUpgrade, Node};
use crate::canonical;
use crate::fault::Faults;
use crate::program::Program;
use crate::wire::MAX_FRAME_BYTES;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where a bit is flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// In the output as it is computed, once: the next step.
    Output,
    /// In the output, in each step from now on: a stuck bit of an arithmetic unit.
    StuckOutput,
    /// In the output, another bit in each step from now on: a failing one.
    FailingOutput,
    /// In the agreed input, between `agree` and `step`, once.
    AgreedInput,
    /// In this channel's sample.
    MySample,
    /// In the spare copy of this channel's sample.
    SpareSample,
    /// In the peer's sample.
    PeerSample,
    /// In the peer's sample of the next cycle.
    NextSample,
    /// In the vote that was cast, as it lies in memory.
    MyVote,
    /// In the peer's vote, as it lies in memory.
    PeerVote,
    /// In the last voted output, which a takeover may drive again.
    LastOutput,
    /// In the working copy of the state.
    Working,
    /// In the checkpoint.
    Checkpoint,
    /// In a digest of a block, or in the region digest.
    Digest,
    /// In the control data: cycle, epoch, and what else must not change by itself.
    Control,
    /// In the control data, in the middle of the next step.
    ControlInStep,
    /// In the marks of blocks that were written or are to be copied, or in their summary.
    Marks,
    /// In where the scrub goes on.
    Scrub,
    /// In the times of the cycle: its start, its deadline, the next start.
    Times,
    /// In the books of a donor or a joiner.
    Copying,
    /// The next comparison reports a difference that is not there.
    Comparator,
}

impl Site {
    /// Bits of the control data that are in use; two copies of as many lie behind them.
    pub const CONTROL_BITS: usize = CONTROL_BITS;

    /// All places.
    pub const ALL: [Self; 21] = [
        Self::Output,
        Self::StuckOutput,
        Self::FailingOutput,
        Self::AgreedInput,
        Self::MySample,
        Self::SpareSample,
        Self::PeerSample,
        Self::NextSample,
        Self::MyVote,
        Self::PeerVote,
        Self::LastOutput,
        Self::Working,
        Self::Checkpoint,
        Self::Digest,
        Self::Control,
        Self::ControlInStep,
        Self::Marks,
        Self::Scrub,
        Self::Times,
        Self::Copying,
        Self::Comparator,
    ];
}

/// Faults that wait for their moment.
#[derive(Clone, Copy, Default, Hash)]
pub(super) struct Injected {
    /// The bit, and by how much it moves from step to step, if it stays.
    output: Option<(usize, Option<usize>)>,
    agreed: Option<usize>,
    control: Option<usize>,
    difference: bool,
}

impl Injected {
    /// Damages the agreed input that a step is about to use.
    pub(super) fn damage_input<I: Serialize + DeserializeOwned>(&mut self, input: &mut I) {
        if let Some(bit) = self.agreed.take() {
            flip_value(input, bit);
        }
    }

    /// Returns the difference that the comparator is to report though there is none.
    pub(super) fn report_difference(&mut self) -> Option<Faults> {
        core::mem::take(&mut self.difference).then_some(Faults::OUTPUT_DIVERGENCE)
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Flips a bit, taken modulo what there is; false if there is nothing at this place now.
    pub fn flip(&mut self, site: Site, bit: usize) -> bool {
        match site {
            Site::Output => self.injected.output = Some((bit, None)),
            Site::StuckOutput => self.injected.output = Some((bit, Some(0))),
            Site::FailingOutput => self.injected.output = Some((bit, Some(1))),
            Site::AgreedInput => self.injected.agreed = Some(bit),
            Site::MySample => return self.samples.flip(0, bit),
            Site::SpareSample => return self.samples.flip(1, bit),
            Site::PeerSample => return self.samples.flip(2, bit),
            Site::NextSample => return self.samples.flip(3, bit),
            Site::MyVote => return self.my_vote.flip_within(bit),
            Site::PeerVote => return self.peer_vote.flip_within(bit),
            Site::LastOutput => return self.stepped.last().is_some_and(|last| flip_value(last, bit)),
            Site::Working => self.mirror.flip_working_bit(bit % (size_of::<P::State>() * 8).max(1)),
            Site::Checkpoint => self.mirror.flip_checkpoint_bit(bit % (size_of::<P::State>() * 8).max(1)),
            Site::Digest => self.mirror.flip_digest_bit(bit % ((self.mirror.blocks() as usize + 1) * 32)),
            Site::Control => self.flip_control(bit),
            Site::ControlInStep => self.injected.control = Some(bit % CONTROL_BITS),
            Site::Marks => self.mirror.flip_mark_bit(bit % (self.mirror.blocks() as usize * 8 + 64)),
            Site::Scrub => self.mirror.flip_scrub_bit(bit),
            Site::Times => self.schedule.flip_bit(bit),
            Site::Copying => return self.copying.flip_bit(bit),
            Site::Comparator => self.injected.difference = true,
        }
        true
    }

    /// Damages the control data while a step is done.
    pub(super) fn damage_control(&mut self) {
        if let Some(bit) = self.injected.control.take() {
            self.flip_control(bit);
        }
    }

    /// Damages the vote as it is cast.
    pub(super) fn inject_into_vote(&mut self) {
        let Some((bit, moves)) = self.injected.output.take() else { return };
        self.my_vote.flip_output_bit(bit);
        self.injected.output = moves.map(|by| (bit.wrapping_add(by), Some(by)));
    }
}

/// Flips a bit of the value's canonical bytes, if that is still a value.
pub(crate) fn flip_value<T: Serialize + DeserializeOwned>(value: &mut T, bit: usize) -> bool {
    let mut bytes = [0; MAX_FRAME_BYTES];
    let Some(length) = canonical::encode(value, &mut bytes).filter(|length| *length > 0) else { return false };
    let Some(byte) = bytes.get_mut(bit / 8 % length) else { return false };
    *byte ^= 1 << (bit % 8);
    let flipped = bytes.get(..length).and_then(canonical::decode);
    flipped.map(|flipped| *value = flipped).is_some()
}
