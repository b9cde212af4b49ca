//! Starting: a channel on zeroed memory.

use super::ballot::Ballot;
use super::case::Case;
use super::control::Control;
use super::copy::Copying;
#[cfg(feature = "sim")]
use super::injected::Injected;
use super::meeting::Meeting;
use super::memory::Mending;
use super::outgoing::Outgoing;
use super::record::Record;
use super::schedule::Schedule;
use super::settings::Settings;
use super::silence::Silence;
use super::stepped::Stepped;
use super::time::Time;
use super::{MayUpgrade, Node, Upgrades};
use crate::agree::Samples;
use crate::config::{Config, ConfigError};
use crate::ids::{ChannelId, Epoch, Instant};
use crate::mechanism::Mechanisms;
use crate::memory::Cells;
use crate::mirror::Mirror;
use crate::program::Program;
use crate::wire::{self, MAX_FRAME_BYTES, OVERHEAD_BYTES, SAMPLE_DIGEST_BYTES, VOTE_DIGEST_BYTES};

/// Returns the longest frame that channels of this program exchange: the least `FRAME` of a [`Node`].
///
/// ```ignore
/// let node = Node::<Heater, { frame::<Heater>() }>::new(side, memory, config)?;
/// ```
/// A program whose input or output does not fit the [longest frame](MAX_FRAME_BYTES) does not compile.
pub const fn frame<P: Program>() -> usize {
    let sample = OVERHEAD_BYTES + SAMPLE_DIGEST_BYTES + P::INPUT_BYTES;
    // Evidence carries a vote, and is longer than the vote's own frame.
    let evidence = OVERHEAD_BYTES + wire::EVIDENCE_BYTES + VOTE_DIGEST_BYTES + P::OUTPUT_BYTES;
    let block = wire::longest_block_bytes(size_of::<P::State>());
    let longest = longer(longer(sample, evidence), longer(block, wire::HELLO_FRAME_BYTES));
    assert!(longest <= MAX_FRAME_BYTES, "an input or output of the program is longer than a frame can be");
    longest
}

const fn longer(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl<'m, P: Program, const FRAME: usize> Node<'m, P, FRAME> {
    /// Starts a channel on zeroed memory.
    ///
    /// # Errors
    /// [`ConfigError`] with the figures if the configuration cannot work.
    pub fn new<M>(me: ChannelId, memory: M, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        Self::start(me, memory, config)
    }
}

impl<'m, P: Program, const FRAME: usize> Node<'m, P, FRAME, Upgrades<P>> {
    /// Starts a channel that can be upgraded while the other one serves. Both channels are of this kind, or none.
    ///
    /// # Errors
    /// As for [`new`](Node::new).
    pub fn with_upgrades<M>(me: ChannelId, memory: M, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        Self::start(me, memory, config)
    }
}

impl<'m, P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'m, P, FRAME, U> {
    fn start<M>(me: ChannelId, memory: M, config: Config) -> Result<Self, ConfigError>
    where
        M: TryInto<Cells<'m, P::State>>,
        ConfigError: From<M::Error>,
    {
        config.check()?;
        config.check_copy(crate::memory::blocks::<P::State>() as u32)?;
        const { assert!(FRAME >= frame::<P>(), "FRAME is less than `frame` of the program") }
        let control = Control::new(Settings::new(me, &config));
        Ok(Self {
            control,
            copies: [control; 2],
            mechanisms: Mechanisms::ALL_ON,
            mirror: Mirror::new(memory.try_into()?, P::init),
            meeting: Meeting::new(),
            samples: Samples::NONE,
            stepped: Stepped::NONE,
            my_vote: Ballot::NONE,
            peer_vote: Ballot::NONE,
            copying: Copying::default(),
            mending: Mending::default(),
            upgrade: U::NONE,
            drop_resend_at: Instant::from_micros(0),
            leased: Epoch::NONE,
            asked: Epoch::NONE,
            silence: Silence::default(),
            remembered: Epoch::NONE,
            time: Time::default(),
            schedule: Schedule::default(),
            outgoing: Outgoing::default(),
            record: Record::new(),
            case: Case::NONE,
            #[cfg(feature = "sim")]
            injected: Injected::default(),
        })
    }
}
