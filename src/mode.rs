//! MODE  what a channel is doing, and the one function that changes it.

/// What a channel is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// Waits for the peer with a state from `init`.
    Starting,
    /// Serves in lockstep with the peer.
    Duplex,
    /// Serves alone.
    Simplex,
    /// Healthy, but not allowed to own the outputs.
    Standby,
    /// Drives the safe output. Latched: only a reboot leaves it. After a divergence both
    /// channels are here, and both are to be restarted; save the first-fault record before.
    Safe,
}

/// What changes a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ModeEvent {
    /// Both channels start from the same empty state.
    CutOver,
    /// An empty channel starts over: its first cycle did not come about.
    BootFailed,
    /// The arbiter granted the outputs to this channel alone.
    Granted,
    /// The arbiter refused them.
    Refused,
    /// The arbiter took them away.
    LeaseLost,
    /// The pair went on without this channel, which holds no lease.
    Overtaken,
    /// A fault that cannot be allotted to a channel, or a second one.
    Fatal,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Duplex, Self::Simplex, Self::Standby, Self::Safe];

    /// Returns the mode after `event`, or `None` if it changes nothing here.
    ///
    /// In particular no frame makes a channel stand by that holds the lease alone.
    pub const fn after(self, event: ModeEvent) -> Option<Self> {
        use Mode::{Duplex, Safe, Simplex, Standby, Starting};
        use ModeEvent::{BootFailed, CutOver, Fatal, Granted, LeaseLost, Overtaken, Refused};
        match (self, event) {
            (Starting, CutOver) => Some(Duplex),
            (Duplex | Standby, BootFailed) => Some(Starting),
            (Starting | Duplex | Standby, Granted) => Some(Simplex),
            (Duplex, Refused | LeaseLost | Overtaken) => Some(Standby),
            (Simplex, LeaseLost) => Some(Standby),
            (Starting | Duplex | Simplex | Standby, Fatal) => Some(Safe),
            (Starting, BootFailed | Refused | LeaseLost | Overtaken)
            | (Duplex, CutOver)
            | (Simplex, CutOver | BootFailed | Granted | Refused | Overtaken)
            | (Standby, CutOver | Refused | LeaseLost | Overtaken)
            | (Safe, _) => None,
        }
    }
}

impl ModeEvent {
    /// All events.
    pub const ALL: [Self; 7] =
        [Self::CutOver, Self::BootFailed, Self::Granted, Self::Refused, Self::LeaseLost, Self::Overtaken, Self::Fatal];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every mode with every event; `.` where nothing changes.
    #[test]
    fn transition_table() {
        let glyph = |mode: Option<Mode>| match mode {
            None => '.',
            Some(Mode::Starting) => 's',
            Some(Mode::Duplex) => 'D',
            Some(Mode::Simplex) => 'S',
            Some(Mode::Standby) => 'b',
            Some(Mode::Safe) => '!',
        };
        let rows: std::vec::Vec<std::string::String> = Mode::ALL
            .iter()
            .map(|mode| ModeEvent::ALL.iter().map(|event| glyph(mode.after(*event))).collect())
            .collect();
        // cut over, boot failed, granted, refused, lease lost, overtaken, fatal
        assert_eq!(
            rows,
            [
                "D.S...!", // Starting
                ".sSbbb!", // Duplex
                "....b.!", // Simplex
                ".sS...!", // Standby
                ".......", // Safe
            ]
        );
    }
}
