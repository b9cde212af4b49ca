//! How long a frame takes to be sent.

/// How long the link took for a frame lately, by the sender's clock: in this cycle and in the one before, at most.
///
/// A donor that has no time for another frame leaves it for the next cycle. One slow send is forgotten after a cycle: it may have
/// been a stall, or a clock that was set.
#[derive(Clone, Copy, Debug)]
pub struct SendTime {
    this_cycle_us: i32,
    last_cycle_us: i32,
}

impl SendTime {
    /// Nothing was sent yet.
    pub const NONE: Self = Self { this_cycle_us: 0, last_cycle_us: 0 };

    /// A frame took so long.
    pub fn took(&mut self, us: i32) {
        self.this_cycle_us = self.this_cycle_us.max(us);
    }

    /// Another cycle begins.
    pub fn next_cycle(&mut self) {
        *self = Self { this_cycle_us: 0, last_cycle_us: self.this_cycle_us };
    }

    /// Returns the longest time.
    pub fn longest_us(&self) -> i32 {
        self.this_cycle_us.max(self.last_cycle_us)
    }
}

#[cfg(test)]
mod tests {
    use super::SendTime;

    #[test]
    fn one_slow_send_is_forgotten() {
        let mut time = SendTime::NONE;
        time.took(5);
        time.took(150_000);
        time.took(-7); // the clock was set back
        assert_eq!(time.longest_us(), 150_000);
        time.next_cycle();
        time.took(5);
        assert_eq!(time.longest_us(), 150_000, "the next cycle is careful");
        time.next_cycle();
        assert_eq!(time.longest_us(), 5);
    }
}
