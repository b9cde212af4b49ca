//! SERIAL  a link over any embedded-io byte stream, frames delimited by COBS.
//!
//! On the wire each frame is COBS-encoded and followed by a zero byte, so a receiver finds
//! the next frame after any damage (Cheshire and Baker, 1999). A frame of up to 253 bytes
//! takes two bytes more, longer ones one more for each further 254.

use crate::link::Link;
use cobs::{DecodeResult, DecoderState, max_encoding_length};
use embedded_hal::delay::DelayNs;
use embedded_io::{Read, ReadReady, Write, WriteReady};
use heapless::Vec;
use twinstep::wire::MAX_FRAME_BYTES;

/// A link over a byte stream such as a UART, full duplex. `FRAME` bounds the length of a
/// frame; take the same as for the [`Lockstep`](crate::Lockstep).
///
/// Nobody reads while the program steps or a frame is sent: `stream` must buffer what arrives, by
/// interrupt or DMA, at least two frames, and 30 bytes for each block of a copy that is sent in a
/// cycle, eight of them at most. A frame is written in pieces, at most one for each of its zeros and one more: let `stream` gather them, and
/// send on `flush` at the latest. Sending may block; its time counts against the vote window, and a
/// block takes 7.3 ms at 115200 baud.
///
/// A `write` that blocks for as long as it likes, such as one that waits for a dead peer's CTS, stops the control loop with it. Then use
/// [`polled`](Self::polled). `new` is for a stream whose `write` returns within a tenth of the period by itself.
pub struct SerialLink<S, const FRAME: usize = MAX_FRAME_BYTES, W = Blocking> {
    stream: S,
    wait: W,
    /// Brings the stream back to work after an error.
    restart: Option<fn(&mut S)>,
    decoder: DecoderState,
    incoming: Vec<u8, FRAME>,
    /// The frame in `incoming` was handed out; the next byte starts a new one.
    is_complete: bool,
    /// Nothing is kept until the next delimiter.
    is_skipping: bool,
    /// A frame may have been written in part.
    is_torn: bool,
}

/// Why a frame did not come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SerialError<E> {
    /// The stream's own error.
    Stream(E),
    /// The stream took no byte.
    Stalled,
    /// The stream was not ready for all of the frame within its time.
    TimedOut,
    /// The received bytes are no COBS frame, or a longer one than `FRAME`; they were dropped
    /// up to the next delimiter.
    Framing,
    /// The frame to be sent is longer than `FRAME`; nothing was sent.
    TooLong {
        /// Bytes of the frame.
        need_bytes: usize,
        /// Bytes a frame may have.
        have_bytes: usize,
    },
}

/// Bytes a call of `receive` reads at most, so that a babbling peer cannot hold the loop.
const READ_BYTES_AT_MOST: usize = 2 * ENCODED_BYTES;

/// The most bytes without a zero that one code stands in front of.
const LONGEST_RUN: usize = 254;

/// The longest frame as it is on the wire, with its delimiter.
const ENCODED_BYTES: usize = max_encoding_length(MAX_FRAME_BYTES) + 1;

/// Writes as the stream likes: it has a buffer, or a short time-out of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blocking;

/// Waits until the stream is ready before each write, and not beyond the frame's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Polled<D>(D);

/// How often a stream that is not ready is looked at again.
const LOOK_AGAIN_US: u32 = 20;

/// How a link waits for its stream.
pub trait Waits<S>: sealed::Sealed {
    /// Waits until the stream takes a byte, for so many microseconds at most, which are counted down; whether it does.
    #[doc(hidden)]
    fn is_ready(&mut self, stream: &mut S, left_us: &mut u32) -> bool;

    /// The frame is written: waits until it is on the line, if nothing limits the wait.
    ///
    /// # Errors
    /// The stream's.
    #[doc(hidden)]
    fn flush(&mut self, stream: &mut S) -> Result<(), S::Error>
    where
        S: Write;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Blocking {}
    impl<D> Sealed for super::Polled<D> {}
}

impl<S> Waits<S> for Blocking {
    fn is_ready(&mut self, _: &mut S, _: &mut u32) -> bool {
        true
    }

    fn flush(&mut self, stream: &mut S) -> Result<(), S::Error>
    where
        S: Write,
    {
        stream.flush()
    }
}

impl<S: WriteReady, D: DelayNs> Waits<S> for Polled<D> {
    fn is_ready(&mut self, stream: &mut S, left_us: &mut u32) -> bool {
        loop {
            // One that cannot tell says so as it is written to.
            if stream.write_ready().unwrap_or(true) {
                return true;
            }
            if *left_us < LOOK_AGAIN_US {
                return false;
            }
            *left_us -= LOOK_AGAIN_US;
            self.0.delay_us(LOOK_AGAIN_US);
        }
    }

    // What the stream has taken goes out by itself. To wait for it has no limit: the peer may hold the line for good.
    fn flush(&mut self, _: &mut S) -> Result<(), S::Error>
    where
        S: Write,
    {
        Ok(())
    }
}

impl<S, const FRAME: usize> SerialLink<S, FRAME> {
    /// Makes a link over `stream`.
    pub const fn new(stream: S) -> Self {
        Self::waiting(stream, Blocking)
    }
}

impl<S, const FRAME: usize, D: DelayNs> SerialLink<S, FRAME, Polled<D>> {
    /// Makes a link over `stream` that gives a frame up, with [`SerialError::TimedOut`], once it has waited for so long as `send` was given until
    /// the stream was ready. The [`Lockstep`](crate::Lockstep) gives it the time until the vote is due, or until the next start. Only the wait is
    /// limited: a `write` that blocks though the stream is ready is not. The stream is not flushed: what it has taken must go out by itself, as
    /// from the FIFO or the ring buffer of a UART.
    pub const fn polled(stream: S, delay: D) -> Self {
        Self::waiting(stream, Polled(delay))
    }
}

impl<S, const FRAME: usize, W> SerialLink<S, FRAME, W> {
    /// Calls this after each error of the stream, to bring it back to work: a receiver, say, that stays deaf after an overrun until its
    /// flag is cleared, or a driver that has to be started anew.
    #[must_use]
    pub const fn restarted_by(mut self, restart: fn(&mut S)) -> Self {
        self.restart = Some(restart);
        self
    }

    const fn waiting(stream: S, wait: W) -> Self {
        Self {
            stream,
            wait,
            restart: None,
            decoder: DecoderState::Idle,
            incoming: Vec::new(),
            is_complete: false,
            is_skipping: false,
            is_torn: false,
        }
    }

    /// Returns the stream, to look at what only its own type knows.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Returns the stream, to clear an error flag or to change the baud rate. Bytes of a frame that are read or written past the link
    /// are missing from it.
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Takes one byte off the wire; `true` if it completes a frame.
    fn feed(&mut self, byte: u8) -> Result<bool, ()> {
        if core::mem::take(&mut self.is_complete) {
            self.incoming.clear();
        }
        if self.is_skipping {
            self.is_skipping = byte != 0;
            return Ok(false);
        }
        let fed = self.decoder.feed(byte);
        let kept = match fed {
            Ok(DecodeResult::DataStart) => {
                self.incoming.clear();
                Ok(())
            }
            Ok(DecodeResult::NoData) => Ok(()),
            Ok(DecodeResult::DataContinue(data)) => self.incoming.push(data).map_err(|_| ()),
            Ok(DecodeResult::DataComplete) => {
                self.is_complete = true;
                return Ok(true);
            }
            Err(_) => Err(()),
        };
        if kept.is_err() {
            self.decoder = DecoderState::Idle;
            self.incoming.clear();
            // A decoding error comes with the delimiter itself.
            self.is_skipping = byte != 0;
        }
        kept.map(|()| false)
    }
}

impl<S: Write, const FRAME: usize, W: Waits<S>> SerialLink<S, FRAME, W> {
    fn write_all(&mut self, mut bytes: &[u8], left_us: &mut u32) -> Result<(), SerialError<S::Error>> {
        while !bytes.is_empty() {
            if !self.wait.is_ready(&mut self.stream, left_us) {
                return Err(SerialError::TimedOut);
            }
            let written = self.stream.write(bytes).map_err(SerialError::Stream)?;
            bytes = match bytes.get(written..) {
                Some(unsent) if written > 0 => unsent,
                _ => return Err(SerialError::Stalled),
            };
        }
        Ok(())
    }
}

impl<S: Read + ReadReady + Write, const FRAME: usize, W: Waits<S>> Link for SerialLink<S, FRAME, W> {
    type Error = SerialError<S::Error>;
    const FRAME_BYTES: usize = FRAME;

    /// Keeps to `within_us` if it was given a delay ([`polled`](SerialLink::polled)). Else it takes as long as the stream's `write` does.
    fn send(&mut self, frame: &[u8], within_us: u32) -> Result<(), Self::Error> {
        let mut left_us = within_us;
        let too_long = SerialError::TooLong { need_bytes: frame.len(), have_bytes: FRAME.min(MAX_FRAME_BYTES) };
        if frame.len() > FRAME.min(MAX_FRAME_BYTES) {
            return Err(too_long);
        }
        if core::mem::take(&mut self.is_torn) {
            self.write_all(&[0], &mut left_us)?; // ends what was written of the frame before
        }
        // Run by run, since a buffer for the encoded frame would be the largest thing on the stack.
        let mut rest = frame;
        loop {
            let run_bytes = rest.iter().take(LONGEST_RUN).take_while(|byte| **byte != 0).count();
            let (run, behind) = rest.split_at_checked(run_bytes).unwrap_or_default();
            self.write_all(&[run_bytes as u8 + 1], &mut left_us)?;
            self.write_all(run, &mut left_us)?;
            rest = match behind {
                [] => break,
                [0, behind @ ..] if run_bytes < LONGEST_RUN => behind, // the code stands for it
                _ => behind,
            };
        }
        self.write_all(&[0], &mut left_us)?;
        self.wait.flush(&mut self.stream).map_err(SerialError::Stream)
    }

    /// Begins the next frame with a delimiter, so that a part of one that got onto the line costs no other one, and restarts the stream if it
    /// is known how.
    fn recover(&mut self, from: Self::Error) {
        self.is_torn = true;
        if let (SerialError::Stream(_), Some(restart)) = (from, self.restart) {
            restart(&mut self.stream);
        }
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, Self::Error> {
        for _ in 0..READ_BYTES_AT_MOST {
            if !self.stream.read_ready().map_err(SerialError::Stream)? {
                return Ok(None);
            }
            let mut byte = [0];
            if self.stream.read(&mut byte).map_err(SerialError::Stream)? == 0 {
                return Ok(None);
            }
            let [byte] = byte;
            match self.feed(byte) {
                Ok(true) => return Ok(Some(&self.incoming)),
                Ok(false) => {}
                Err(()) => return Err(SerialError::Framing),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use embedded_io::{ErrorKind, ErrorType};
    use std::collections::VecDeque;
    use std::vec::Vec as Bytes;

    /// A wire that gives back what was written, a few bytes at a time.
    #[derive(Default)]
    struct Wire {
        bytes: VecDeque<u8>,
        takes_at_once: usize,
        fails: bool,
    }

    impl ErrorType for Wire {
        type Error = ErrorKind;
    }
    impl Read for Wire {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
            let Some(byte) = self.bytes.pop_front() else { return Ok(0) };
            buffer[0] = byte;
            Ok(1)
        }
    }
    impl ReadReady for Wire {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(!self.bytes.is_empty())
        }
    }
    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            if self.fails {
                return Err(ErrorKind::Other);
            }
            let taken = bytes.len().min(self.takes_at_once);
            self.bytes.extend(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    fn link() -> SerialLink<Wire> {
        SerialLink::new(Wire { takes_at_once: 7, ..Wire::default() })
    }

    fn received<const N: usize>(link: &mut SerialLink<Wire, N>) -> Bytes<Result<Bytes<u8>, ()>> {
        let mut frames = Bytes::new();
        loop {
            match link.receive() {
                Ok(Some(frame)) => frames.push(Ok(frame.to_vec())),
                Ok(None) => return frames,
                Err(_) => frames.push(Err(())),
            }
        }
    }

    #[test]
    fn frames_of_every_length_come_back() {
        for length in 1..=655_usize {
            // Zeros, no zeros, and a mixture: the three cases of the encoding.
            for byte in [|_| 0, |_| 255, |i| (i % 3) as u8, |i| (i % 255) as u8] {
                let frame: Bytes<u8> = (0..length).map(byte).collect();
                let mut link = link();
                link.send(&frame, 1_000).unwrap();
                assert!(received(&mut link) == [Ok(frame)], "length {length}");
            }
        }
    }

    #[test]
    fn a_short_frame_takes_two_bytes_more() {
        let mut link = link();
        link.send(&[0; 40], 1_000).unwrap();
        assert_eq!(link.stream.bytes.len(), 42);
    }

    #[test]
    fn after_any_damage_the_next_frame_but_one_comes_through() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let mut link = link();
            for frame in 0..4_u8 {
                link.send(&[frame, 0, frame, 1], 1_000).unwrap();
            }
            // Each frame takes six bytes; damage those of the first.
            match rng.u8(0..3) {
                0 => link.stream.bytes[rng.usize(0..6)] ^= 1 << rng.u8(0..8),
                1 => drop(link.stream.bytes.remove(rng.usize(0..6))),
                _ => link.stream.bytes.insert(rng.usize(0..6), rng.u8(..)),
            }
            let frames = received(&mut link);
            assert!(frames.ends_with(&[Ok([2, 0, 2, 1].to_vec()), Ok([3, 0, 3, 1].to_vec())]), "{frames:?}");
        }
    }

    /// A frame that was written in part is lost, and no other one.
    #[test]
    fn after_a_torn_frame_the_next_one_comes_through() {
        for recovers in [true, false] {
            let mut link = link();
            link.stream.bytes.extend([5, 1, 2]);
            if recovers {
                link.recover(SerialError::Stalled);
            }
            link.send(&[9, 8], 1_000).unwrap();
            link.send(&[7], 1_000).unwrap();
            let frames = received(&mut link);
            assert_eq!(frames.contains(&Ok([9, 8].to_vec())), recovers, "{frames:?}");
            assert!(frames.ends_with(&[Ok([7].to_vec())]), "{frames:?}");
        }
    }

    #[test]
    fn too_long_is_refused_both_ways() {
        let mut link = SerialLink::<Wire, 8>::new(Wire { takes_at_once: 99, ..Wire::default() });
        assert_eq!(link.send(&[1; 9], 1_000), Err(SerialError::TooLong { need_bytes: 9, have_bytes: 8 }));
        assert!(link.stream.bytes.is_empty(), "nothing was sent");
        link.stream.bytes.extend([11, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        link.send(&[5; 8], 1_000).unwrap();
        assert_eq!(received(&mut link), [Err(()), Ok([5; 8].to_vec())]);
    }

    #[test]
    fn the_streams_errors_are_reported() {
        let mut link = link();
        link.stream.fails = true;
        assert_eq!(link.send(&[1], 1_000), Err(SerialError::Stream(ErrorKind::Other)));
        link.stream = Wire::default();
        assert_eq!(link.send(&[1], 1_000), Err(SerialError::Stalled));
    }

    #[test]
    fn a_babbling_peer_cannot_hold_the_loop() {
        struct Babble;
        impl ErrorType for Babble {
            type Error = ErrorKind;
        }
        impl Read for Babble {
            fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
                buffer.fill(0);
                Ok(buffer.len())
            }
        }
        impl ReadReady for Babble {
            fn read_ready(&mut self) -> Result<bool, ErrorKind> {
                Ok(true)
            }
        }
        impl Write for Babble {
            fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> Result<(), ErrorKind> {
                Ok(())
            }
        }
        assert_eq!(SerialLink::<Babble>::new(Babble).receive(), Ok(None));
    }
}
