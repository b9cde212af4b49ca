//! MAILBOX  a link over the shared memory of two cores on one chip.

use crate::link::Link;
use twinstep::mailbox::{Coherence, Coherent, Port, ReceiveError, SendError};

/// A link over a core's end of a [`Mailbox`](twinstep::Mailbox).
///
/// Nothing wakes the other core: let an interrupt between the cores do that, or poll from a tick
/// that is short against the vote window.
///
/// ```
/// use twinstep::{ChannelId, ClaimWord, Mailbox, SharedClaim};
/// use twinstep_hal::{Link, MailboxLink};
///
/// // Both in a section that no start-up code touches, at one address in both images.
/// static FRAMES: Mailbox<16, 31> = Mailbox::new();
/// static OWNER: ClaimWord = ClaimWord::new();
///
/// // Each core, as it boots, with its own channel:
/// let mut link = MailboxLink::new(FRAMES.attach(ChannelId::A));
/// let arbiter = SharedClaim::new(&OWNER);
/// # let mut peer = MailboxLink::new(FRAMES.attach(ChannelId::B));
/// # link.send(&[1, 2, 3], 1_000).unwrap();
/// # assert_eq!(peer.receive(), Ok(Some(&[1, 2, 3][..])));
/// ```
///
/// Slots that are too short for the frames are refused by the compiler:
///
/// ```compile_fail
/// # use twinstep::{Agreement, ChannelId, Config, Cycle, Mailbox, Memory, Preferred, Program, Tracked};
/// # use twinstep_hal::{Lockstep, MailboxLink};
/// # struct P;
/// # impl Program for P {
/// #     type Input = u8; type Output = u8; type State = [u32; 4];
/// #     const SAFE: u8 = 0; const VERSION: u32 = 1;
/// #     const BUILD: twinstep::Build = twinstep::Build::new(1);
/// #     fn agree(a: &u8, _: &u8) -> Agreement<u8> { Agreement::on(*a) }
/// #     fn step(_: Cycle, _: &mut Tracked<[u32; 4]>, _: &u8) -> u8 { 0 }
/// # }
/// let frames = Mailbox::<16, 24>::new(); // 96 bytes
/// let link = MailboxLink::new(frames.attach(ChannelId::A));
/// let mut memory = Memory::<[u32; 4], 1>::new();
/// let config = Config { nonce: 1, ..Config::DEFAULT };
/// let pair = Lockstep::<P, _, _, 100>::new(ChannelId::A, &mut memory, link, Preferred(ChannelId::A), config);
/// ```
pub struct MailboxLink<'m, const SLOTS: usize, const WORDS: usize, C = Coherent> {
    port: Port<'m, SLOTS, WORDS, C>,
    /// The frame received last: what the other core writes meanwhile changes nothing in it.
    frame: [[u8; 4]; WORDS],
}

/// Why a frame did not come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MailboxError {
    /// It was not sent.
    Send(SendError),
    /// What came is none, and was dropped.
    Receive(ReceiveError),
}

impl<'m, const SLOTS: usize, const WORDS: usize, C> MailboxLink<'m, SLOTS, WORDS, C> {
    /// Makes a link of a port.
    pub const fn new(port: Port<'m, SLOTS, WORDS, C>) -> Self {
        Self { port, frame: [[0; 4]; WORDS] }
    }

    /// Returns the port.
    pub const fn port(&self) -> &Port<'m, SLOTS, WORDS, C> {
        &self.port
    }
}

impl<const SLOTS: usize, const WORDS: usize, C: Coherence> Link for MailboxLink<'_, SLOTS, WORDS, C> {
    type Error = MailboxError;
    const FRAME_BYTES: usize = WORDS * 4;

    /// Never waits.
    fn send(&mut self, frame: &[u8], _within_us: u32) -> Result<(), Self::Error> {
        match self.port.send(frame) {
            // As on a wire to a board that is off: lost, and no error of the link.
            Err(SendError::Absent) => Ok(()),
            sent => sent.map_err(MailboxError::Send),
        }
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, Self::Error> {
        let length = self.port.receive(self.frame.as_flattened_mut()).map_err(MailboxError::Receive)?;
        Ok(length.and_then(|length| self.frame.as_flattened().get(..length)))
    }
}
