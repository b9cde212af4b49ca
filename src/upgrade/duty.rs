//! What a channel is to do in a step of the other one's: restart, confirm.

use super::Step;

/// What the partner's version is to this one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum VersionRelation {
    /// The same, as far as is known.
    #[default]
    Same,
    /// The version before: this one takes over from it.
    Older,
    /// The version after: it takes over from this one.
    Newer,
}

impl VersionRelation {
    pub(crate) const ALL: [Self; 3] = [Self::Same, Self::Older, Self::Newer];
}

/// What the firmware is to do. It stays so until it has happened; asked again, the same is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Duty {
    /// Mark the candidate to be booted on trial, and restart. This channel has left service.
    RestartIntoNew,
    /// Mark the image before to be booted, and restart. This channel has left service.
    RestartIntoOld,
    /// Mark the running image to be booted from now on; then say [`confirmed`](crate::Node::image_confirmed).
    Confirm,
    /// Both halves have confirmed this version: refuse older ones from now on. Say
    /// [`floor_raised`](crate::Node::floor_raised).
    RaiseFloor,
}

/// A channel that does not hold the step, as the rules of its duty see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Follower {
    pub(crate) relation: VersionRelation,
    /// The step of the partner.
    pub(crate) step: Step,
    /// The partner serves and owns.
    pub(crate) is_led: bool,
    /// It is in duplex.
    pub(crate) is_in_duplex: bool,
    /// It has a state that nobody else may have.
    pub(crate) has_state: bool,
    pub(crate) is_confirmed: bool,
    pub(crate) partner_is_confirmed: bool,
}

/// Returns whether, and into what, a channel is to restart that does not own the outputs.
pub(crate) fn duty_of(follower: Follower) -> Option<Duty> {
    let Follower { relation, step, is_led, is_in_duplex, has_state, is_confirmed, partner_is_confirmed } = follower;
    match relation {
        VersionRelation::Same => (is_led && is_in_duplex && step == Step::Split).then_some(Duty::RestartIntoNew),
        VersionRelation::Newer if is_led => {
            let leaves = matches!(step, Step::Commit | Step::Merge) && partner_is_confirmed;
            leaves.then_some(Duty::RestartIntoNew)
        }
        VersionRelation::Older if is_led => {
            let is_wanted = matches!(step, Step::Split | Step::OldDrives | Step::Switchover | Step::NewDrives);
            (!is_wanted).then_some(Duty::RestartIntoOld)
        }
        // Nobody serves: the version goes on that is confirmed, or else the old one.
        VersionRelation::Newer => (!has_state && partner_is_confirmed).then_some(Duty::RestartIntoNew),
        VersionRelation::Older => (!has_state && !is_confirmed).then_some(Duty::RestartIntoOld),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// What a follower does in each step of the owner's: n, o restart into the new or old version; `.` nothing.
    #[test]
    fn duties() {
        let row = |follower: Follower| -> String {
            let duties = Step::ALL.into_iter().map(|step| duty_of(Follower { step, ..follower }));
            let glyph = |duty| match duty {
                None => '.',
                Some(Duty::RestartIntoNew) => 'n',
                Some(Duty::RestartIntoOld) => 'o',
                Some(Duty::Confirm | Duty::RaiseFloor) => '!',
            };
            duties.map(glyph).collect()
        };
        let led = Follower {
            relation: VersionRelation::Same,
            step: Step::Idle,
            is_led: true,
            is_in_duplex: true,
            has_state: true,
            is_confirmed: true,
            partner_is_confirmed: true,
        };
        let on_trial = Follower { relation: VersionRelation::Older, is_in_duplex: false, is_confirmed: false, ..led };
        let left_behind = Follower { relation: VersionRelation::Newer, is_in_duplex: false, ..led };
        // idle, prepare, split, old drives, switchover, new drives, commit, merge, abort
        let rows: Vec<_> = [
            led,
            Follower { is_in_duplex: false, ..led },
            on_trial,
            left_behind,
            Follower { partner_is_confirmed: false, ..left_behind },
            Follower { is_led: false, has_state: false, ..on_trial },
            Follower { is_led: false, ..on_trial },
            Follower { is_led: false, has_state: false, is_confirmed: true, ..on_trial },
            Follower { is_led: false, has_state: false, ..left_behind },
            Follower { is_led: false, has_state: false, partner_is_confirmed: false, ..left_behind },
        ]
        .map(row)
        .into();
        assert_eq!(
            rows,
            [
                "..n......", // in duplex
                ".........", // of the same version, and out of service: joins as ever
                "oo....ooo", // of the new version
                "......nn.", // of the old version
                ".........", // and the new one is not confirmed yet
                "ooooooooo", // of the new version, unconfirmed, and nobody serves
                ".........", // but it has the state
                ".........", // or is confirmed
                "nnnnnnnnn", // of the old version, and the new one is confirmed, and nobody serves
                ".........",
            ]
        );
    }
}
