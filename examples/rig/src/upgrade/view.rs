//! What is seen of the boards, emulated or simulated.

use super::flavour::OLD_VERSION;
use tank::field_bus::ModeCode;
use twinstep::ChannelId;
use twinstep::upgrade::{Counts, Step};

/// What is seen of a board that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) mode: ModeCode,
    pub(crate) version: u32,
    pub(crate) step: Step,
    pub(crate) counts: Counts,
    pub(crate) is_ready: bool,
    pub(crate) has_failed: bool,
    pub(crate) cannot_migrate: Option<u16>,
    /// Whether its bootloader boots this image again.
    pub(crate) is_confirmed: bool,
    /// The oldest version that its bootloader lets be installed.
    pub(crate) floor: u32,
}

impl Seen {
    /// A board of this version that has just been booted.
    pub(crate) fn booted(version: u32, is_confirmed: bool, floor: u32) -> Self {
        Self {
            mode: ModeCode::Starting,
            version,
            step: Step::Idle,
            counts: Counts::default(),
            is_ready: false,
            has_failed: false,
            cannot_migrate: None,
            is_confirmed,
            floor,
        }
    }
}

/// What is seen of the pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The time, in periods.
    pub(crate) now: f64,
    /// The last cycle that reached the plant.
    pub(crate) latest: u32,
    /// The board that owns the outputs.
    pub(crate) owner: Option<ChannelId>,
    /// The boards that run.
    pub(crate) boards: [Option<Seen>; 2],
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, seen) in ["A", "B"].into_iter().zip(&self.boards) {
            match seen {
                None => write!(f, "{name} is off, ")?,
                Some(Seen { mode, version, step, is_confirmed, floor, .. }) => {
                    let confirmed = if *is_confirmed { "confirmed" } else { "on trial" };
                    write!(f, "{name} runs {version:#x}, {confirmed}, floor {floor}, {mode:?}, step {step}; ")?;
                }
            }
        }
        match self.owner {
            Some(owner) => write!(f, "{owner} owns"),
            None => f.write_str("nobody owns"),
        }
    }
}

impl View {
    pub(crate) fn board(&self, board: ChannelId) -> Option<&Seen> {
        self.boards[board.index()].as_ref()
    }

    /// Returns the board that owns, if it runs.
    pub(crate) fn leader(&self) -> Option<&Seen> {
        self.board(self.owner?)
    }

    /// Returns the board that does not own, if it runs.
    pub(crate) fn follower(&self) -> Option<&Seen> {
        self.board(self.owner?.other())
    }

    /// Returns the step of the board that owns.
    pub(crate) fn step(&self) -> Option<Step> {
        self.leader().map(|seen| seen.step)
    }

    /// Whether both boards are in duplex, and no upgrade is under way; returns the version.
    pub(crate) fn duplex(&self) -> Option<u32> {
        let [Some(a), Some(b)] = &self.boards else { return None };
        let at_rest = |seen: &Seen| seen.mode == ModeCode::Duplex && seen.step == Step::Idle;
        (at_rest(a) && at_rest(b) && a.version == b.version).then_some(a.version)
    }

    /// Whether that is so, and both bootloaders know of it: the image is confirmed, and older ones are refused.
    pub(crate) fn settled(&self) -> Option<u32> {
        let version = self.duplex()?;
        let is_kept = |seen: &Seen| seen.is_confirmed && (version == OLD_VERSION || seen.floor == version);
        self.boards.iter().flatten().all(is_kept).then_some(version)
    }
}
