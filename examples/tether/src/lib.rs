#![no_std]
//! The messages between the rig and an emulated board whose time is the rig's.
//!
//! The board does nothing on its own. The rig gives it a *turn*: the time, and the bytes that have arrived. The board
//! works, counts its work, says what it sends and when, and ends its turn with what it waits for. Then it sleeps until
//! its next turn. So the speed of the host has no part in what happens.
//!
//! One serial line of the emulator carries all of it. Numbers are little-endian.
//!
//! ```text
//! rig -> board    a turn:
//!                 u16 length of all that follows, u64 now in microseconds, u32 nanoseconds of a tick * 65536,
//!                 u16 bytes that the link takes now, u16 n, n bytes from the link, the rest from the field bus;
//!                 or in place of the length `GO_ON` or `RESET`, for a program that has stopped
//! board -> rig    records, the first one when it has booted, the last one of each turn `Until` or `Taken`:
//!   1 Booted
//!   2 Link        u32 ticks since the turn began, u16 n, n bytes for the link
//!   3 Field       u32 ticks, u16 n, n bytes for the field bus
//!   4 Until       u32 ticks, u64 time in microseconds: the board sleeps until then, or until a message has come
//!   5 Taken       u32 ticks: the board waits until the link has taken all that it was given
//!   6 Stopped     u32 ticks, u32 address: the program stopped before this instruction. Its counter stands until it goes on
//! ```

/// In place of a turn's length: the program goes on with the instruction that it stopped before.
pub const GO_ON: u16 = 0xFFFE;
/// In place of a turn's length: the program begins anew, as from a reset.
pub const RESET: u16 = 0xFFFF;

/// The longest turn, beside its length: a header, and what the lines bring at once.
pub const MAX_TURN_BYTES: usize = TURN_HEADER_BYTES + LINK_BYTES + FIELD_BYTES;
/// The header of a turn behind its length.
pub const TURN_HEADER_BYTES: usize = 16;
/// The most bytes that a turn brings from the link: what the board's driver buffers.
pub const LINK_BYTES: usize = 1024;
/// The most bytes that a turn brings from the field bus.
pub const FIELD_BYTES: usize = 512;

/// The numbers at the head of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnHeader {
    /// The board's time.
    pub now_us: u64,
    /// What a tick of the board's counter counts for, in nanoseconds * 65536.
    pub tick_ns_q16: u32,
    /// Bytes that the link takes without a wait.
    pub room_bytes: u16,
    /// Bytes from the link, in front of those from the field bus.
    pub link_bytes: u16,
}

impl TurnHeader {
    /// Returns the header as it is sent.
    pub fn to_bytes(self) -> [u8; TURN_HEADER_BYTES] {
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.now_us.to_le_bytes();
        let [t0, t1, t2, t3] = self.tick_ns_q16.to_le_bytes();
        let ([r0, r1], [l0, l1]) = (self.room_bytes.to_le_bytes(), self.link_bytes.to_le_bytes());
        [n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, r0, r1, l0, l1]
    }

    /// Reads a header.
    pub fn from_bytes(bytes: [u8; TURN_HEADER_BYTES]) -> Self {
        let [n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, r0, r1, l0, l1] = bytes;
        Self {
            now_us: u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            tick_ns_q16: u32::from_le_bytes([t0, t1, t2, t3]),
            room_bytes: u16::from_le_bytes([r0, r1]),
            link_bytes: u16::from_le_bytes([l0, l1]),
        }
    }

    /// Returns how many microseconds so many ticks are.
    pub fn us_of(self, ticks: u32) -> u64 {
        ns_of(ticks, self.tick_ns_q16) / 1_000
    }
}

/// Returns how many nanoseconds so many ticks are.
pub fn ns_of(ticks: u32, tick_ns_q16: u32) -> u64 {
    (u64::from(ticks) * u64::from(tick_ns_q16)) >> 16
}

/// What comes first of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// The board runs, and waits for its first turn.
    Booted = 1,
    /// Bytes for the link.
    Link = 2,
    /// Bytes for the field bus.
    Field = 3,
    /// The turn ends: until a time, or a message.
    Until = 4,
    /// The turn ends: until the link has taken all bytes.
    Taken = 5,
    /// The program has stopped.
    Stopped = 6,
}

impl Tag {
    /// Returns the tag of a number.
    pub fn of(number: u8) -> Option<Self> {
        let tags = [Self::Booted, Self::Link, Self::Field, Self::Until, Self::Taken, Self::Stopped];
        tags.into_iter().find(|tag| *tag as u8 == number)
    }

    /// Returns how many bytes follow it, before the bytes of a line.
    pub fn header_bytes(self) -> usize {
        match self {
            Self::Booted => 0,
            Self::Link | Self::Field => 6,
            Self::Until => 12,
            Self::Taken => 4,
            Self::Stopped => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header =
            TurnHeader { now_us: 0x0102_0304_0506_0708, tick_ns_q16: 5 << 16, room_bytes: 17, link_bytes: 300 };
        assert_eq!(TurnHeader::from_bytes(header.to_bytes()), header);
        assert_eq!(header.us_of(1_000), 5);
    }

    #[test]
    fn a_tag_is_known_by_its_number_and_no_other_one() {
        for number in 0..=u8::MAX {
            assert_eq!(Tag::of(number).map(|tag| tag as u8), (1..=6).contains(&number).then_some(number));
        }
    }
}
