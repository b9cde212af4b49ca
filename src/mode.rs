//! MODE  what a channel is doing, and the one function that changes it.
//!
//! What a peer's fault looks like from both sides, with the outcome of the cycles:
//!
//! ```text
//! event             the one that serves on                  the other one
//! peer reboots      Duplex, Simplex (TookOver, Alone),      Starting, Joining (Waiting),
//!                   Donor (Alone), Duplex (Agreed)          Duplex, owning nothing
//! cut and healed    Held as long as patience lasts, then    Standby (Waiting), Joining,
//!                   Simplex, Donor, Duplex                  Duplex
//! both reboot       Starting, Duplex: the state is lost and begins from `init`, on both
//! an upgrade        Duplex, Simplex (TookOver, Alone),      restarts: Starting, Joining (Waiting),
//!                   Donor (Alone), Trial (Tried)            Trial (Tried), driving nothing
//! votes differ      Duplex (Agreed): stepping once more, both agree; or the faulty one leaves as
//!                   at a reboot, and the other one serves on; or, if nobody knows which one it
//!                   is, Safe on both until both are restarted, from `init` (`Config::unattributed`)
//! ```

use serde::{Deserialize, Serialize};

/// What a channel is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// Waits for the peer with a state from `init`: that of an agreed cycle it does not have.
    Starting,
    /// Serves in lockstep with the peer.
    Duplex,
    /// Serves alone.
    Simplex,
    /// Serves alone, as `Simplex`, and copies its state to the peer, which joins.
    Donor,
    /// Takes over the state of the peer, which serves; has none of its own.
    Joining,
    /// Healthy, but not allowed to own the outputs.
    Standby,
    /// Releases the safe output if it owns the outputs, or if both channels drive; else nothing. The arbiter is told one poll later that
    /// the lease is released, so one that denies it from then on is [`LeaseLost`](crate::OpenError::LeaseLost) in each further cycle.
    /// Entered when the votes differ and nobody can be blamed, or the peer's evidence does not come in
    /// time; when memory is damaged beyond repair while this channel serves alone; and when an output
    /// does not fit its frame. Latched: only a reboot leaves it. `cycle` goes on returning: read the
    /// journal, the first-fault record and the counters, then reboot. After a divergence reboot both:
    /// the state is lost, and the pair begins anew from `init`.
    Safe,
    /// Serves beside the peer, which runs another version of the program: the owner drives, the outputs are
    /// compared. See [`upgrade`](crate::upgrade).
    Trial,
}

/// What changes a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ModeEvent {
    /// Both channels go on from the same state.
    CutOver,
    /// A channel starts over as empty: its first cycle or its joining did not come about, its memory
    /// is beyond repair, or it was found faulty.
    StartOver,
    /// The first block of the peer's state is there.
    Joins,
    /// A peer wants to join.
    Donates,
    /// The copy was given up.
    CopyEnded,
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
    /// Both channels go on, in two versions of the program.
    TrialBegins,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Duplex,
        Self::Simplex,
        Self::Donor,
        Self::Joining,
        Self::Standby,
        Self::Safe,
        Self::Trial,
    ];

    /// Whether the channel takes part in the cycle.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Duplex | Self::Simplex | Self::Donor | Self::Trial)
    }

    /// Whether both channels step on each cycle.
    pub const fn is_paired(self) -> bool {
        matches!(self, Self::Duplex | Self::Trial)
    }

    /// Whether the channel serves without the peer.
    pub const fn serves_alone(self) -> bool {
        matches!(self, Self::Simplex | Self::Donor)
    }

    /// Returns the mode after `event`, or `None` if it changes nothing here.
    ///
    /// In particular no frame makes a channel stand by that holds the lease alone, and a
    /// joining channel never becomes the donor.
    pub const fn after(self, event: ModeEvent) -> Option<Self> {
        use Mode::{Donor, Duplex, Joining, Safe, Simplex, Standby, Starting, Trial};
        use ModeEvent::{
            CopyEnded, CutOver, Donates, Fatal, Granted, Joins, LeaseLost, Overtaken, Refused, StartOver, TrialBegins,
        };
        match (self, event) {
            (Starting | Donor | Joining | Standby, CutOver) => Some(Duplex),
            (Donor | Joining, TrialBegins) => Some(Trial),
            (Duplex | Trial | Joining | Standby, StartOver) => Some(Starting),
            (Starting | Standby, Joins) => Some(Joining),
            (Simplex, Donates) => Some(Donor),
            (Donor, CopyEnded) => Some(Simplex),
            (Starting | Duplex | Trial | Standby, Granted) => Some(Simplex),
            (Duplex | Trial, Refused | Overtaken) => Some(Standby),
            (Duplex | Trial | Simplex | Donor, LeaseLost) => Some(Standby),
            (Starting | Duplex | Simplex | Donor | Joining | Trial | Standby, Fatal) => Some(Safe),
            (Starting, StartOver | TrialBegins | Donates | CopyEnded | Refused | LeaseLost | Overtaken)
            | (Duplex | Trial, CutOver | TrialBegins | Joins | Donates | CopyEnded)
            | (Simplex, CutOver | TrialBegins | StartOver | Joins | CopyEnded | Granted | Refused | Overtaken)
            | (Donor, StartOver | Joins | Donates | Granted | Refused | Overtaken)
            | (Joining, Joins | Donates | CopyEnded | Granted | Refused | LeaseLost | Overtaken)
            | (Standby, TrialBegins | Donates | CopyEnded | Refused | LeaseLost | Overtaken)
            | (Safe, _) => None,
        }
    }
}

impl ModeEvent {
    /// All events.
    pub const ALL: [Self; 11] = [
        Self::CutOver,
        Self::StartOver,
        Self::Joins,
        Self::Donates,
        Self::CopyEnded,
        Self::Granted,
        Self::Refused,
        Self::LeaseLost,
        Self::Overtaken,
        Self::Fatal,
        Self::TrialBegins,
    ];
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
            Some(Mode::Donor) => 'd',
            Some(Mode::Joining) => 'j',
            Some(Mode::Trial) => 't',
            Some(Mode::Standby) => 'b',
            Some(Mode::Safe) => '!',
        };
        let rows: std::vec::Vec<std::string::String> = Mode::ALL
            .iter()
            .map(|mode| ModeEvent::ALL.iter().map(|event| glyph(mode.after(*event))).collect())
            .collect();
        // cut over, start over, joins, donates, copy ended; granted, refused, lease lost,
        // overtaken, fatal, trial begins
        assert_eq!(
            rows,
            [
                "D.j..S...!.", // Starting
                ".s...Sbbb!.", // Duplex
                "...d...b.!.", // Simplex
                "D...S..b.!t", // Donor
                "Ds.......!t", // Joining
                "Dsj..S...!.", // Standby
                "...........", // Safe
                ".s...Sbbb!.", // Trial
            ]
        );
    }
}
