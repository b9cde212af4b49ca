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
use super::stepped::Stepped;
use super::{MayUpgrade, Node, Upgrades};
use crate::agree::Samples;
use crate::canonical;
use crate::config::{Config, ConfigError};
use crate::ids::{ChannelId, Instant};
use crate::mechanism::Mechanisms;
use crate::memory::Cells;
use crate::mirror::Mirror;
use crate::program::Program;
use crate::wire::{self, MAX_FRAME_BYTES, OVERHEAD_BYTES, VOTE_DIGEST_BYTES};

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
        let safe_bytes = canonical::encoded_len(&P::SAFE).unwrap_or(usize::MAX - MAX_FRAME_BYTES);
        let longest = wire::HELLO_FRAME_BYTES.max(wire::longest_block_bytes(size_of::<P::State>()));
        let evidence_bytes = OVERHEAD_BYTES + wire::EVIDENCE_BYTES + VOTE_DIGEST_BYTES + safe_bytes;
        let need_bytes = evidence_bytes.max(longest);
        let have_bytes = FRAME.min(MAX_FRAME_BYTES);
        if need_bytes > have_bytes {
            return Err(ConfigError::FrameTooSmall { need_bytes, have_bytes });
        }
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
            schedule: Schedule::default(),
            outgoing: Outgoing::default(),
            record: Record::new(),
            case: Case::NONE,
            #[cfg(feature = "sim")]
            injected: Injected::default(),
        })
    }
}
