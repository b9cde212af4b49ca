//! The versions 2 of the tank that there are.

use tank::field_bus::Candidate;
use tank::{OverflowingTank, RefusingTank, ReversedTank, Tank, TankV2};
use twinstep::{Program, Successor};

/// A version 2: the sound one, or one with a mistake to be rolled back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Sound,
    /// Wrong from its first cycle on.
    Reversed,
    /// Right for a while.
    Overflowing,
    /// Takes no state over.
    Refusing,
}

impl Flavour {
    pub(crate) const ALL: [Self; 4] = [Self::Sound, Self::Reversed, Self::Overflowing, Self::Refusing];

    /// Returns the number of the version.
    pub(crate) fn version(self) -> u32 {
        match self {
            Self::Sound => TankV2::VERSION,
            Self::Reversed => ReversedTank::VERSION,
            Self::Overflowing => OverflowingTank::VERSION,
            Self::Refusing => RefusingTank::VERSION,
        }
    }

    /// Returns the version of this number.
    pub(crate) fn of_version(version: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|flavour| flavour.version() == version)
    }

    /// Returns the name of the firmware's image.
    pub(crate) fn image(self) -> &'static str {
        match self {
            Self::Sound => "v2",
            Self::Reversed => "reversed",
            Self::Overflowing => "overflowing",
            Self::Refusing => "refusing",
        }
    }

    /// Returns what the header of the image says.
    pub(crate) fn candidate(self) -> Candidate {
        Candidate { version: self.version(), takes_version: TankV2::OLD_VERSION, takes_layout: TankV2::OLD_LAYOUT }
    }
}

/// The number of version 1.
pub(crate) const OLD_VERSION: u32 = Tank::VERSION;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbered_apart_and_all_take_over_from_the_same() {
        for flavour in Flavour::ALL {
            assert_eq!(Flavour::of_version(flavour.version()), Some(flavour));
            assert!(flavour.version() > OLD_VERSION);
            assert_eq!(flavour.candidate().takes_version, OLD_VERSION);
            assert_eq!(flavour.candidate().takes_layout, Tank::LAYOUT);
        }
        assert_eq!(Flavour::of_version(OLD_VERSION), None);
    }
}
