//! MAILBOX  a link for two cores on one chip: frames through shared memory.
//!
//! Loads and stores only, no read-modify-write: some cores and memories have none. Nothing waits: a
//! peer that stalls or boots costs frames, never time, and a frame is there whole or not at all.
//! The layout is `repr(C)` and stands here completely, so that two images built apart agree on it:
//!
//! ```text
//! offset 0      control of A   what A says: its words are written by A alone
//! offset 64     control of B   likewise
//! then          SLOTS slots    frames of A to B, written by A alone, read by B alone
//! then          SLOTS slots    frames of B to A
//!
//! control, 64 bytes, three 32-bit words in the machine's byte order:
//!   greeting    0: not attached; else a hash of this layout's version, SLOTS and WORDS: `Port::layout`
//!   written     frames this core has written, modulo 2^32
//!   taken       frames of the other core that this one has read, modulo 2^32
//! slot, a multiple of 64 bytes; frame number n lies in slot n modulo SLOTS:
//!   header      (n + 1) modulo 2^16 in the high half, the frame's length in bytes in the low half
//!   words       WORDS words: four bytes of the frame in each, the first in the lowest bits
//! ```
//!
//! A frame is written into a free slot first, and counted in `written` then; a slot is free again once
//! the reader has counted the frame in `taken`. What a core writes lies in cache lines of its own,
//! and a memory protection unit can keep the other core from writing there. All zero is the state
//! before either core has booted. Memory of a real chip is anything at power-up: the core that starts first
//! writes zeros over all of it, of the arbiter's words too, if and only if the reset-cause register says power-up, and before it
//! releases the other core. No start-up code may touch it later: give it an address of its own in the linker scripts of
//! both images, as a symbol or in a section that neither initialises. What is private to a core, its mirrored
//! memory above all, stays in its `.bss` as ever.
//!
//! A core that boots attaches anew: what was written for its former life is dropped. A counter or a
//! greeting that a stray write has hit is mended by its owner's next call that finds no frame; the reader that finds
//! a counter out of range goes on behind all that waits. All this costs frames, or brings one once more; the node
//! sends again what is not acknowledged, and knows a frame that it had.

use crate::digest::mix;
use crate::ids::ChannelId;
use crate::sync::{Guarded, Order, Word, array, const_fn};
use core::sync::atomic::{AtomicU32, Ordering};

/// The layout above.
const VERSION: u32 = 1;

/// Shared memory of a link between two cores: `SLOTS` frames each way, a power of two, of up to
/// `WORDS * 4` bytes.
///
/// `WORDS * 4` is at least the `FRAME` of the node; 15, 31, 47 and so on waste nothing, since a slot is a multiple of 64
/// bytes. `SLOTS` is at least 8, for what a cycle sends, and [`copy_blocks`](crate::Config::copy_blocks): 16 for the
/// default configuration. It takes `128 + 2 * SLOTS * (4 + WORDS * 4, rounded up to 64)` bytes. For two cores
/// [`link_delay_us`](crate::Config::link_delay_us) is how long the other core may take to look.
#[repr(C)]
pub struct Mailbox<const SLOTS: usize, const WORDS: usize> {
    controls: [Control; 2],
    slots: [[Slot<WORDS>; SLOTS]; 2],
}

/// What one core says of itself.
#[repr(C, align(64))]
struct Control {
    greeting: Word,
    written: Word,
    taken: Word,
}

/// One frame.
#[repr(C, align(64))]
struct Slot<const WORDS: usize>(Guarded<Frame<WORDS>>);

/// Atomic, so that a core that writes where it must not makes frames wrong, which the CRC finds, and nothing worse.
#[repr(C)]
struct Frame<const WORDS: usize> {
    header: AtomicU32,
    words: [AtomicU32; WORDS],
}

impl Control {
    const_fn! {
        fn starting_at(number: u32) -> Self {
            Self { greeting: Word::new(0), written: Word::new(number), taken: Word::new(number) }
        }
    }
}

impl<const WORDS: usize> Slot<WORDS> {
    const_fn! {
        fn new() -> Self {
            Self(Guarded::new(Frame { header: AtomicU32::new(0), words: [const { AtomicU32::new(0) }; WORDS] }))
        }
    }
}

impl<const SLOTS: usize, const WORDS: usize> Default for Mailbox<SLOTS, WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SLOTS: usize, const WORDS: usize> Mailbox<SLOTS, WORDS> {
    const SOUND: () = {
        assert!(SLOTS.is_power_of_two() && SLOTS <= 1 << 15, "frames are numbered across the wrap of their counter");
        assert!(WORDS > 0 && WORDS * 4 <= u16::MAX as usize, "a frame's length has 16 bits");
    };

    /// What both images must agree on; never 0.
    const GREETING: u32 = {
        let () = Self::SOUND;
        let bytes = size_of::<Frame<WORDS>>() as u32;
        mix(mix(mix(mix(VERSION, SLOTS as u32), WORDS as u32), bytes), align_of::<Control>() as u32) | 1
    };

    const_fn! {
        /// Makes a mailbox that nobody has attached to: all zero.
        pub fn new() -> Self {
            Self::starting_at(0)
        }
    }

    const_fn! {
        /// Makes one whose counters begin at `number`, to test across their wrap.
        pub fn starting_at(number: u32) -> Self {
            let () = Self::SOUND;
            Self {
                controls: [Control::starting_at(number), Control::starting_at(number)],
                slots: array![array![Slot::new(); SLOTS]; 2],
            }
        }
    }

    /// Attaches a core that boots, as channel `me`, whose caches are coherent with the other core's.
    ///
    /// One port a channel at a time: what an earlier one does after this can cost frames.
    pub fn attach(&self, me: ChannelId) -> Port<'_, SLOTS, WORDS> {
        self.attach_with(me, Coherent)
    }

    /// Attaches a core whose data cache the other core does not see.
    pub fn attach_with<C: Coherence>(&self, me: ChannelId, coherence: C) -> Port<'_, SLOTS, WORDS, C> {
        let [control_a, control_b] = &self.controls;
        let [slots_a, slots_b] = &self.slots;
        let (a, b) = ((control_a, slots_a), (control_b, slots_b));
        let ((mine, out), (theirs, incoming)) = match me {
            ChannelId::A => (a, b),
            ChannelId::B => (b, a),
        };
        coherence.fetch(place_of(mine));
        coherence.fetch(place_of(theirs));
        let written = mine.written.load(Order::Plain);
        // What waits there was for the life before.
        let taken = theirs.written.load(Order::FrameSeen);
        let port = Port { mine, theirs, out, incoming, written, taken, coherence };
        port.publish();
        port
    }
}

/// One core's end of a [`Mailbox`].
pub struct Port<'m, const SLOTS: usize, const WORDS: usize, C = Coherent> {
    mine: &'m Control,
    theirs: &'m Control,
    out: &'m [Slot<WORDS>; SLOTS],
    incoming: &'m [Slot<WORDS>; SLOTS],
    /// This core's counters: the shared ones are copies for the other core.
    written: u32,
    taken: u32,
    coherence: C,
}

/// Why a frame was not sent; it counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SendError {
    /// The frame is longer than a slot: take more `WORDS`.
    TooLong {
        /// Bytes of the frame.
        need_bytes: usize,
        /// Bytes a slot has.
        have_bytes: usize,
    },
    /// The peer has not attached yet: it is off, or still booting.
    Absent,
    /// The peer's image has another layout: build both with the same `SLOTS`, `WORDS` and version.
    LayoutDiffers {
        /// This image's hash.
        mine: u32,
        /// The peer's.
        theirs: u32,
    },
    /// The peer has not read what was sent before: it has stalled or stopped, or `SLOTS` are too few.
    Full,
}

/// Why what was received is no frame; it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReceiveError {
    /// The peer's counter is out of range: its memory began anew, or was hit. Goes on with what comes next.
    Skipped,
    /// A slot does not hold the frame that its place in the order asks for.
    Damaged,
    /// The frame is longer than the buffer.
    TooLong {
        /// Bytes of the frame.
        need_bytes: usize,
        /// Bytes the buffer has.
        have_bytes: usize,
    },
    /// The peer's image has another layout: nothing can be received.
    LayoutDiffers {
        /// This image's hash.
        mine: u32,
        /// The peer's.
        theirs: u32,
    },
}

impl<const SLOTS: usize, const WORDS: usize, C: Coherence> Port<'_, SLOTS, WORDS, C> {
    /// Sends a frame. Does not wait.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), SendError> {
        let (need_bytes, have_bytes) = (frame.len(), WORDS * 4);
        if need_bytes > have_bytes {
            return Err(SendError::TooLong { need_bytes, have_bytes });
        }
        self.coherence.fetch(place_of(self.theirs));
        let (mine, theirs) = (Mailbox::<SLOTS, WORDS>::GREETING, self.theirs.greeting.load(Order::Plain));
        if theirs == 0 {
            return Err(SendError::Absent);
        }
        if theirs != mine {
            return Err(SendError::LayoutDiffers { mine, theirs });
        }
        let taken = self.theirs.taken.load(Order::SlotSeen);
        let is_free = self.written.wrapping_sub(taken) < SLOTS as u32; // and not if `taken` is out of range
        let slot = self.out.get(self.written as usize % SLOTS).filter(|_| is_free);
        let Some(slot) = slot else { return Err(SendError::Full) };
        slot.0.write(|place| place.set(self.written, frame));
        self.coherence.write_back(place_of(slot));
        self.written = self.written.wrapping_add(1);
        self.mine.written.store(self.written, Order::FrameWritten);
        self.coherence.write_back(place_of(self.mine));
        Ok(())
    }

    /// Copies the next frame into `buffer` and returns its length; `None` if there is none. Does not wait.
    ///
    /// # Errors
    /// [`ReceiveError`]; what was there is dropped, and the next call goes on behind it.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ReceiveError> {
        self.coherence.fetch(place_of(self.theirs));
        let (mine, theirs) = (Mailbox::<SLOTS, WORDS>::GREETING, self.theirs.greeting.load(Order::Plain));
        if theirs == 0 {
            self.mend();
            return Ok(None);
        }
        if theirs != mine {
            self.mend(); // the words stand where every layout has them
            return Err(ReceiveError::LayoutDiffers { mine, theirs });
        }
        let written = self.theirs.written.load(Order::FrameSeen);
        let waiting = written.wrapping_sub(self.taken);
        if waiting == 0 {
            self.mend();
            return Ok(None);
        }
        let slot = self.incoming.get(self.taken as usize % SLOTS).filter(|_| waiting <= SLOTS as u32);
        let Some(slot) = slot else {
            self.give_back(written);
            return Err(ReceiveError::Skipped);
        };
        self.coherence.fetch(place_of(slot));
        let received = slot.0.read(|place| place.get(self.taken, buffer));
        self.give_back(self.taken.wrapping_add(1));
        received.map(Some)
    }

    /// Gives the slots up to a number back to the writer.
    fn give_back(&mut self, taken: u32) {
        self.taken = taken;
        self.mine.taken.store(taken, Order::SlotReturned);
        self.coherence.write_back(place_of(self.mine));
    }

    /// Returns the hash of the layout that the peer has attached with, 0 if it has not, to be compared
    /// with [`layout`](Self::layout).
    pub fn peer_layout(&self) -> u32 {
        self.coherence.fetch(place_of(self.theirs));
        self.theirs.greeting.load(Order::Plain)
    }

    /// Returns the hash of this image's layout.
    pub fn layout(&self) -> u32 {
        Mailbox::<SLOTS, WORDS>::GREETING
    }

    /// Says how far this core is.
    fn publish(&self) {
        self.mine.taken.store(self.taken, Order::SlotReturned);
        self.mine.written.store(self.written, Order::FrameWritten);
        self.mine.greeting.store(self.layout(), Order::Plain);
        self.coherence.write_back(place_of(self.mine));
    }

    /// Says it again if a stray write or a start-up code has hit the words.
    fn mend(&self) {
        let mine = self.mine;
        self.coherence.fetch(place_of(mine));
        let shared = [&mine.greeting, &mine.written, &mine.taken].map(|word| word.load(Order::Plain));
        if shared != [self.layout(), self.written, self.taken] {
            self.publish();
        }
    }
}

impl<const WORDS: usize> Frame<WORDS> {
    fn set(&self, number: u32, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        let mut last = [0; 4];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        for (place, word) in self.words.iter().zip(words.iter().chain([&last])) {
            place.store(u32::from_le_bytes(*word), Ordering::Relaxed);
        }
        self.header.store(header(number) | bytes.len() as u32, Ordering::Relaxed);
    }

    fn get(&self, number: u32, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        let header_word = self.header.load(Ordering::Relaxed);
        let need_bytes = (header_word & 0xFFFF) as usize;
        if header_word & !0xFFFF != header(number) || need_bytes > WORDS * 4 {
            return Err(ReceiveError::Damaged);
        }
        let have_bytes = buffer.len();
        let Some(bytes) = buffer.get_mut(..need_bytes) else {
            return Err(ReceiveError::TooLong { need_bytes, have_bytes });
        };
        for (bytes, word) in bytes.chunks_mut(4).zip(&self.words) {
            for (place, byte) in bytes.iter_mut().zip(word.load(Ordering::Relaxed).to_le_bytes()) {
                *place = byte;
            }
        }
        Ok(need_bytes)
    }
}

/// The high half of a slot's header. Memory that was never written is none of the first frames'.
const fn header(number: u32) -> u32 {
    number.wrapping_add(1) << 16
}

/// What a core must do so that the other one sees what it wrote, where the caches do not by themselves.
///
/// Both calls get whole lines of 64 bytes, and return once it is done: on Arm after a `DSB`.
/// An alternative is to map the mailbox as uncached.
pub trait Coherence {
    /// Writes these bytes back to memory; they were just written.
    fn write_back(&self, place: Place);

    /// Drops what is cached of these bytes; they are about to be read. Nothing in them is dirty
    /// but words of this core that were written back.
    fn fetch(&self, place: Place);
}

/// Part of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it begins; a multiple of 64.
    pub address: usize,
    /// Its length, a multiple of 64.
    pub bytes: usize,
}

fn place_of<T>(part: &T) -> Place {
    Place { address: core::ptr::from_ref(part).addr(), bytes: size_of::<T>() }
}

/// For cores that see each other's writes, and for memory that is not cached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coherent;

impl Coherence for Coherent {
    fn write_back(&self, _: Place) {}

    fn fetch(&self, _: Place) {}
}
