//! Parcels: what the user sends to the other half over the cross link, in the time that a cycle leaves. An image, for
//! instance. They may be lost, and nothing here waits for them.

use super::{MayUpgrade, Node};
use crate::ids::{Instant, Phase, Stage};
use crate::mode::Mode;
use crate::program::Program;
use crate::wire::{self, BufferTooSmall, Kind, MAX_FRAME_BYTES, OVERHEAD_BYTES, Reject};

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// The longest parcel.
    pub const PARCEL_BYTES: usize = {
        let frame = if FRAME < MAX_FRAME_BYTES { FRAME } else { MAX_FRAME_BYTES };
        frame.saturating_sub(OVERHEAD_BYTES)
    };

    /// Whether a parcel sent now takes nothing away from the cycle: in duplex, after the verdict, as long as a frame gets
    /// through before the next start.
    pub fn has_time_for_parcel(&self, now: Instant) -> bool {
        self.is_free_for_parcel(self.time.at(now, &self.control.config))
    }

    fn is_free_for_parcel(&self, now: Instant) -> bool {
        let is_between = self.is_between_cycles();
        self.control.standing.mode() == Mode::Duplex
            && is_between
            && !self.meeting.is_cutting()
            && self.schedule.has_time(now, &self.control.config)
    }

    /// Writes a parcel's frame into the front of `buffer` and returns its length; `None` if there is no time, or `write`
    /// had nothing to send. It fills what it is given and says how many bytes it wrote.
    ///
    /// # Errors
    /// [`BufferTooSmall`] if there is no room for a frame at all.
    pub fn transmit_parcel(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<Option<usize>, BufferTooSmall> {
        let now = self.enter(now);
        if !self.is_free_for_parcel(now) {
            return Ok(None);
        }
        let have_bytes = buffer.len();
        let too_small = BufferTooSmall { need_bytes: OVERHEAD_BYTES + 1, have_bytes };
        let room = have_bytes.checked_sub(OVERHEAD_BYTES).filter(|room| *room > 0).ok_or(too_small)?;
        let room = room.min(Self::PARCEL_BYTES);
        let header = self.header(Kind::Parcel, Phase::new(self.control.turn.committed(), Stage::Settled));
        let mut is_empty = false;
        let built = wire::build(buffer, &header, &self.keys(), room, |room| {
            let written = write(room).filter(|written| (1..=room.len()).contains(written));
            is_empty = written.is_none();
            written
        });
        if is_empty { Ok(None) } else { built.map(Some) }
    }

    /// Returns what is in a parcel's frame, as it came from the link; `None` if it is a frame of another kind, for
    /// [`handle_frame`](Self::handle_frame).
    ///
    /// # Errors
    /// [`Reject`]: why it was dropped. It is counted.
    pub fn open_parcel<'b>(&mut self, now: Instant, frame: &'b [u8]) -> Option<Result<&'b [u8], Reject>> {
        if Kind::of_frame(frame)? == Kind::Parcel {
            self.within_at(now, |node, now| node.take_parcel(now, frame))
        } else {
            None
        }
    }

    pub(super) fn take_parcel<'b>(&mut self, now: Instant, frame: &'b [u8]) -> Option<Result<&'b [u8], Reject>> {
        if Kind::of_frame(frame) != Some(Kind::Parcel) {
            return None;
        }
        let opened = self.opened(now, frame);
        if let Err(cause) = opened {
            self.reject(cause);
        }
        Some(opened)
    }

    fn opened<'b>(&mut self, now: Instant, frame: &'b [u8]) -> Result<&'b [u8], Reject> {
        let (header, payload) = wire::parse(frame, &self.keys())?;
        if header.sender == self.control.config.me() {
            return Err(Reject::Sender);
        }
        self.schedule.heard(now);
        if header.epoch != self.control.standing.epoch() {
            return Err(Reject::Epoch);
        }
        if self.control.standing.mode() == Mode::Duplex { Ok(payload) } else { Err(Reject::Mode) }
    }
}
