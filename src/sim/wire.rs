//! A serial line as it is in time: bytes leave one after the other, and arrive some time later.

/// What a serial line does to time: bytes leave one after the other, and who sends waits until the UART has taken them.
///
/// ```
/// use twinstep::sim::{LineModel, bytes_on_line};
/// let line = LineModel { baud: 921_600, ..LineModel::UART_115200 };
/// // A block of memory takes 84 bytes.
/// assert_eq!(line.transfer_us(84) - u64::from(line.latency_us), 912);
/// assert_eq!(bytes_on_line(22), 24);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineModel {
    /// Bits a second. A byte takes ten of them: a start bit, eight data bits, a stop bit. An SPI has eight: say 10/8 of its clock, and as
    /// latency the longest time until the master asks.
    pub baud: u32,
    /// Bytes that the sender's UART takes at once. Who has more to send waits until there is room.
    /// A driver that sends by interrupt or DMA counts as a UART with its buffer's size.
    pub fifo_bytes: u32,
    /// Time from the end of a byte's last bit to the moment at which the receiver has it, in microseconds.
    ///
    /// This is what the line does. [`Config::link_delay_us`](crate::Config::link_delay_us) is what the channels believe
    /// that it does: the two may differ, to try a line that is slower or faster than the configuration says.
    pub latency_us: u32,
}

impl LineModel {
    /// A line so fast, with a buffer so large, that its time does not matter.
    pub const INSTANT: Self = Self { baud: u32::MAX, fifo_bytes: u32::MAX, latency_us: 0 };

    /// A UART as [`Config::DEFAULT`](crate::Config::DEFAULT) is made for: 115200 baud and a FIFO of 16 bytes. A sample's
    /// frame of 22 bytes is there after `link_delay_us`, 3 ms: 2.1 ms on the line, and 0.9 ms until the receiver's driver
    /// looks.
    pub const UART_115200: Self = Self { baud: 115_200, fifo_bytes: 16, latency_us: 900 };

    /// Returns how long a byte takes on the line, in nanoseconds; a line of no baud counts as one of 1 baud.
    pub const fn byte_ns(&self) -> u64 {
        let baud = if self.baud == 0 { 1 } else { self.baud };
        BITS_A_BYTE * NS_A_SECOND / baud as u64
    }

    /// Returns how long so many bytes take, from the first bit until the receiver has the last byte, in microseconds.
    pub const fn transfer_us(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(self.byte_ns()).div_ceil(NS_A_US) + self.latency_us as u64
    }
}

/// Returns how many bytes a frame takes on the line at most: COBS adds one to each 254 begun, and a delimiter follows.
pub const fn bytes_on_line(frame_bytes: usize) -> u64 {
    const DELIMITER: u64 = 1;
    let frame_bytes = frame_bytes as u64;
    frame_bytes + 1 + frame_bytes / 254 + DELIMITER
}

const BITS_A_BYTE: u64 = 10;
const NS_A_SECOND: u64 = 1_000_000_000;
const NS_A_US: u64 = 1_000;

/// One direction of a serial line. Times are true time in nanoseconds, and do not go back.
#[derive(Clone, Debug)]
pub struct Wire {
    model: LineModel,
    /// When the last byte that was sent has left the sender.
    free_at_ns: u64,
}

/// When a byte is where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteTimes {
    /// The sender's UART takes it: until then, the sender waits.
    pub accepted_ns: u64,
    /// Its last bit has left the sender. A sender that stops earlier does not send it.
    pub left_ns: u64,
    /// The receiver has it.
    pub arrives_ns: u64,
}

impl Wire {
    /// Makes an idle line.
    pub const fn new(model: LineModel) -> Self {
        Self { model, free_at_ns: 0 }
    }

    /// Sends a byte at `now_ns`, behind all that were sent before.
    pub fn send(&mut self, now_ns: u64) -> ByteTimes {
        let byte_ns = self.model.byte_ns();
        // The byte that is being shifted out is in the FIFO no longer.
        let waiting_ns = u64::from(self.model.fifo_bytes).saturating_add(1).saturating_mul(byte_ns);
        let begins_ns = self.free_at_ns.max(now_ns);
        let left_ns = begins_ns + byte_ns;
        self.free_at_ns = left_ns;
        ByteTimes {
            accepted_ns: left_ns.saturating_sub(waiting_ns).max(now_ns),
            left_ns,
            arrives_ns: left_ns + u64::from(self.model.latency_us) * NS_A_US,
        }
    }

    /// Returns how many bytes the sender's UART takes at `now_ns` without a wait.
    pub fn room_bytes(&self, now_ns: u64) -> u32 {
        let queued = self.free_at_ns.saturating_sub(now_ns).div_ceil(self.model.byte_ns());
        let room = u64::from(self.model.fifo_bytes).saturating_add(1).saturating_sub(queued);
        u32::try_from(room).unwrap_or(u32::MAX)
    }

    /// Sends so many bytes at `now_ns`, each as soon as the UART takes it; returns when the last one is where. No bytes
    /// take no time.
    pub fn send_all(&mut self, now_ns: u64, bytes: u64) -> ByteTimes {
        let Some(before_last) = bytes.checked_sub(1) else {
            return ByteTimes { accepted_ns: now_ns, left_ns: now_ns, arrives_ns: now_ns };
        };
        // The UART takes each byte before the one ahead of it has left: they leave without a gap, and the last one as if it
        // had been waited for alone.
        self.free_at_ns = self.free_at_ns.max(now_ns) + before_last * self.model.byte_ns();
        self.send(now_ns)
    }

    /// The sender has stopped: what it had queued is gone.
    pub fn reset(&mut self) {
        self.free_at_ns = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const LINE: LineModel = LineModel { baud: 115_200, fifo_bytes: 16, latency_us: 100 };

    #[test]
    fn bytes_follow_one_another_at_the_baud_rate() {
        let mut wire = Wire::new(LINE);
        let sent: Vec<ByteTimes> = (0..30).map(|_| wire.send(1_000)).collect();
        let byte_ns = LINE.byte_ns();
        assert_eq!(byte_ns, 86_805);
        for (place, times) in (1..).zip(&sent) {
            assert_eq!(times.left_ns, 1_000 + place * byte_ns);
            assert_eq!(times.arrives_ns, times.left_ns + 100_000);
        }
        // 30 bytes take 2.6 ms, and the sender of the last one waited for 13 of them to leave.
        assert_eq!(LINE.transfer_us(30), 2_605 + 100);
        assert_eq!(sent[29].accepted_ns, 1_000 + 13 * byte_ns);
    }

    #[test]
    fn a_sender_waits_only_for_what_the_fifo_does_not_take() {
        let mut wire = Wire::new(LINE);
        let accepted = |wire: &mut Wire, now| wire.send(now).accepted_ns;
        // One is shifted out at once, sixteen wait in the FIFO.
        assert_eq!(wire.room_bytes(0), 17);
        assert!((0..17).all(|_| accepted(&mut wire, 0) == 0));
        assert_eq!(wire.room_bytes(0), 0);
        assert_eq!(accepted(&mut wire, 0), LINE.byte_ns());
        assert_eq!((wire.room_bytes(LINE.byte_ns()), wire.room_bytes(3 * LINE.byte_ns())), (0, 2));
        // Later there is room again.
        let later = 18 * LINE.byte_ns();
        assert_eq!(accepted(&mut wire, later), later);
    }

    #[test]
    fn a_frame_takes_as_long_as_its_bytes_one_by_one() {
        let fifos = [0, 1, 16, u32::MAX];
        for (fifo_bytes, baud) in fifos.into_iter().flat_map(|fifo| [(fifo, 0), (fifo, 115_200), (fifo, u32::MAX)]) {
            let model = LineModel { baud, fifo_bytes, ..LINE };
            let (mut at_once, mut by_bytes) = (Wire::new(model), Wire::new(model));
            for (now_ns, bytes) in
                [(0, 0), (1_000, 40), (2_000, 1), (50_000_000, 7), (50_000_000, 90), (60_000_000, 17)]
            {
                let nothing = ByteTimes { accepted_ns: now_ns, left_ns: now_ns, arrives_ns: now_ns };
                let last = (0..bytes).fold(nothing, |before, _| by_bytes.send(before.accepted_ns));
                assert_eq!(at_once.send_all(now_ns, bytes), last, "{model:?}, {bytes} bytes at {now_ns}");
            }
        }
    }

    #[test]
    fn an_instant_line_takes_no_time_to_speak_of() {
        let mut wire = Wire::new(LineModel::INSTANT);
        let last = (0..1_000).map(|_| wire.send(5)).last();
        assert!(last.is_some_and(|times| times.accepted_ns == 5 && times.arrives_ns < 5 + 3_000));
        assert!(LineModel { baud: 0, ..LINE }.byte_ns() == 10_000_000_000, "no division by zero");
    }
}
