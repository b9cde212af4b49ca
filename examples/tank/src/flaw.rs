//! Flaws for version 2 of the controller to have, so that the rig can show how an upgrade to it is found out and
//! rolled back. Nobody wants these programs anywhere else.

use crate::controller_v2::Version2;
use crate::law::FULL_PERMILLE;

/// What is wrong with a version 2.
pub trait Flaw {
    /// The program's version: each flaw has its own, so that no two different programs ever pair.
    const VERSION: u32;

    /// Whether it refuses every state of version 1.
    const REFUSES: bool = false;

    /// Returns the heater power that comes of the right one, in the cycle of this number since the state was taken
    /// over, from 1 on.
    fn bend(right_permille: u16, cycles_run: u32) -> u16 {
        let _ = cycles_run;
        right_permille
    }
}

/// Nothing is wrong.
pub enum Sound {}

impl Flaw for Sound {
    const VERSION: u32 = 2;
}

/// For the rig only: wrong from the first cycle on. The action of the output is reversed: full power where none is
/// wanted and none where all of it is.
pub type ReversedTank = Version2<Reversed>;

/// See [`ReversedTank`].
pub enum Reversed {}

impl Flaw for Reversed {
    const VERSION: u32 = 0x102;

    fn bend(right_permille: u16, _: u32) -> u16 {
        (FULL_PERMILLE as u16).saturating_sub(right_permille)
    }
}

/// For the rig only: right for [`OVERFLOWS_AFTER_CYCLES`], then wrong at once and for good. A counter flows over into
/// a bit of the heater's power and turns it over, so that it is half of full power off, whatever it should be, and even
/// if the heater should be locked.
pub type OverflowingTank = Version2<Overflowing>;

/// See [`OverflowingTank`].
pub enum Overflowing {}

/// How many cycles an [`OverflowingTank`] is right for.
pub const OVERFLOWS_AFTER_CYCLES: u32 = 150;
/// The bit the counter flows over into.
const OVERFLOWS_INTO_PERMILLE: u16 = 1 << 9;

impl Flaw for Overflowing {
    const VERSION: u32 = 0x202;

    fn bend(right_permille: u16, cycles_run: u32) -> u16 {
        if cycles_run <= OVERFLOWS_AFTER_CYCLES {
            return right_permille;
        }
        (right_permille ^ OVERFLOWS_INTO_PERMILLE).min(FULL_PERMILLE as u16)
    }
}

/// For the rig only: takes no state over, with [`Refusal::Unwilling`](crate::Refusal::Unwilling).
pub type RefusingTank = Version2<Refusing>;

/// See [`RefusingTank`].
pub enum Refusing {}

impl Flaw for Refusing {
    const VERSION: u32 = 0x302;
    const REFUSES: bool = true;
}
