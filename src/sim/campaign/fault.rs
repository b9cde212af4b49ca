//! The fault classes: what is injected, and what is promised of it.

use super::classify::Outcome;
use crate::node::Site;

/// What is promised of a class of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A transient fault of a value in one channel: right in the same cycle, unless the program panics by it.
    Masked,
    /// A fault of one channel's timing or books: nothing wrong or missing, the service goes on.
    Serves,
    /// A fault of one frame, or frames too many: sent again within the cycle, and never taken for a fault of a value.
    InTime,
    /// A fault of the link for a while, or of a whole channel: as Serves, and never taken for a fault of a value.
    ServesUndiverged,
    /// Nothing wrong; the safe state is an answer.
    Safe,
    /// Two faults at once: nothing is promised.
    Nothing,
}

impl Promise {
    /// Whether the outcome is what was promised, and, where votes must not have differed, that they did not.
    pub fn is_kept_by(self, outcome: Outcome, diverged: bool) -> bool {
        let serves = outcome.is_in_time() || matches!(outcome, Outcome::Held | Outcome::Excluded | Outcome::Crashed);
        match self {
            // A damaged value that the program cannot bear is a crash, not a wrong output.
            Promise::Masked => outcome.is_in_time() || outcome == Outcome::Crashed,
            Promise::Serves => serves,
            Promise::InTime => outcome.is_in_time() && !diverged,
            Promise::ServesUndiverged => serves && !diverged,
            Promise::Safe => serves || matches!(outcome, Outcome::Safe | Outcome::Stopped),
            // Not even then.
            Promise::Nothing => !matches!(outcome, Outcome::Panic | Outcome::TwoOwners | Outcome::Broken),
        }
    }
}

/// A link fault by the name that AUTOSAR's end-to-end protection gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// A frame comes again.
    Repetition,
    /// Frames are lost.
    Loss,
    /// A frame comes late.
    Delay,
    /// Bytes come that nobody sent.
    Insertion,
    /// A frame of another pair comes.
    Masquerade,
    /// A frame comes back to its sender.
    IncorrectAddressing,
    /// A frame comes after the next one.
    IncorrectSequence,
    /// Bits of a frame are flipped, or its end is missing.
    Corruption,
    /// Several frames of one direction are damaged.
    AsymmetricInformation,
    /// One direction carries nothing for a while.
    Subset,
    /// Neither direction does.
    Blocked,
    /// One direction carries nothing for a while, and then all of it at once.
    Stalled,
    /// One direction takes longer than was configured.
    Slow,
}

impl LinkFault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Repetition,
        Self::Loss,
        Self::Delay,
        Self::Insertion,
        Self::Masquerade,
        Self::IncorrectAddressing,
        Self::IncorrectSequence,
        Self::Corruption,
        Self::AsymmetricInformation,
        Self::Subset,
        Self::Blocked,
        Self::Stalled,
        Self::Slow,
    ];
}

/// A fault in a pair that has lost its redundancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// A flipped bit in the channel that serves alone.
    FlipAlone,
    /// It stops.
    StopAlone,
    /// A flipped bit in donor or joiner.
    FlipCopying,
    /// A flipped bit in their books of the copy.
    Books,
    /// A link fault during the copy.
    LinkCopying,
    /// Donor or joiner stops.
    StopCopying,
}

impl Second {
    /// Whether it flips a bit that has no address known from outside.
    pub fn flips(self) -> bool {
        matches!(self, Self::FlipAlone | Self::FlipCopying | Self::Books)
    }
}

/// A fault in the course of an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrading {
    /// A half stops that the other one can spare.
    Stop,
    /// A half hangs that the other one can spare, and goes on later.
    Hang,
    /// Any of the link's faults.
    Link,
    /// A flipped bit while both versions step.
    Flip,
    /// The half stops that is the only one with the state.
    OnlyHalf,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A flipped bit.
    Flip(Site),
    /// A flipped bit in an output between vote and actuator.
    Sealed,
    /// A bit that stays flipped, or another one in each step.
    Permanent(Site),
    /// Dead at a byte of what it sends, and rebooted much later.
    Crash,
    /// Rebooted at a byte.
    Reset,
    /// Hangs at a byte, and goes on later.
    Hang,
    /// Hangs at a byte until it is restarted.
    HangForGood,
    /// A fault of the link.
    Link(LinkFault),
    /// Old frames once more: of this pair, out of their time.
    OldFrames,
    /// The same of an older epoch, whose first cycle failed, in the first cycle of the next one.
    OlderEpoch,
    /// The clock runs up to a few percent too fast or too slow for a while.
    Drift,
    /// The clock jumps.
    Jump,
    /// The channel misreads that the outputs are not its own.
    Misread,
    /// The channel reads nothing as it looks whether the outputs are its own.
    Unread,
    /// The arbiter answers no claim for a while, and a channel dies.
    Mute,
    /// Two flipped bits in one block that is never written, long after each other.
    Latent,
    /// A flipped bit in the survivor as the other channel dies.
    FlipThenTakeover,
    /// A fault in a pair that has lost its redundancy.
    Second(Second),
    /// A fault in the course of an upgrade.
    Upgrade(Upgrading),
}

/// A class of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name in tables and files.
    pub name: &'static str,
    /// What is injected.
    pub fault: Fault,
    /// What is promised of it.
    pub promise: Promise,
    /// How many of a deck are of this class.
    pub weight: u32,
}

const fn class(name: &'static str, fault: Fault, promise: Promise, weight: u32) -> Class {
    Class { name, fault, promise, weight }
}

impl Class {
    /// All classes, in the order of the table.
    pub const ALL: [Self; 58] = [
        class("output", Fault::Flip(Site::Output), Promise::Masked, 4),
        class("agreed input", Fault::Flip(Site::AgreedInput), Promise::Masked, 4),
        class("own sample", Fault::Flip(Site::MySample), Promise::Masked, 3),
        class("own sample, spare copy", Fault::Flip(Site::SpareSample), Promise::Masked, 2),
        class("peer's sample", Fault::Flip(Site::PeerSample), Promise::Masked, 3),
        class("peer's next sample", Fault::Flip(Site::NextSample), Promise::Masked, 2),
        class("own vote", Fault::Flip(Site::MyVote), Promise::Masked, 4),
        class("peer's vote", Fault::Flip(Site::PeerVote), Promise::Masked, 4),
        class("last output", Fault::Flip(Site::LastOutput), Promise::Masked, 2),
        class("working state", Fault::Flip(Site::Working), Promise::Masked, 8),
        class("checkpoint", Fault::Flip(Site::Checkpoint), Promise::Masked, 6),
        class("digests", Fault::Flip(Site::Digest), Promise::Masked, 4),
        class("control data", Fault::Flip(Site::Control), Promise::Masked, 6),
        class("control data in a step", Fault::Flip(Site::ControlInStep), Promise::Masked, 2),
        class("comparator", Fault::Flip(Site::Comparator), Promise::Masked, 2),
        class("latent, then another", Fault::Latent, Promise::Masked, 2),
        class("marks of blocks", Fault::Flip(Site::Marks), Promise::Serves, 3),
        class("place of the scrub", Fault::Flip(Site::Scrub), Promise::Serves, 1),
        class("times", Fault::Flip(Site::Times), Promise::Serves, 3),
        class("sealed output", Fault::Sealed, Promise::Serves, 2),
        class("misread arbiter", Fault::Misread, Promise::InTime, 1),
        class("arbiter not read", Fault::Unread, Promise::Safe, 1),
        class("arbiter mute, then crash", Fault::Mute, Promise::Safe, 1),
        class("crash", Fault::Crash, Promise::ServesUndiverged, 3),
        class("reset", Fault::Reset, Promise::ServesUndiverged, 3),
        class("hang", Fault::Hang, Promise::ServesUndiverged, 3),
        class("hang for good", Fault::HangForGood, Promise::ServesUndiverged, 2),
        class("repetition", Fault::Link(LinkFault::Repetition), Promise::InTime, 3),
        class("loss", Fault::Link(LinkFault::Loss), Promise::ServesUndiverged, 3),
        class("delay", Fault::Link(LinkFault::Delay), Promise::ServesUndiverged, 3),
        class("insertion", Fault::Link(LinkFault::Insertion), Promise::InTime, 3),
        class("masquerade", Fault::Link(LinkFault::Masquerade), Promise::InTime, 3),
        class("incorrect addressing", Fault::Link(LinkFault::IncorrectAddressing), Promise::InTime, 3),
        class("incorrect sequence", Fault::Link(LinkFault::IncorrectSequence), Promise::InTime, 3),
        class("corruption", Fault::Link(LinkFault::Corruption), Promise::InTime, 4),
        class("asymmetric, one direction", Fault::Link(LinkFault::AsymmetricInformation), Promise::ServesUndiverged, 3),
        class("subset, one direction", Fault::Link(LinkFault::Subset), Promise::ServesUndiverged, 2),
        class("blocked channel", Fault::Link(LinkFault::Blocked), Promise::ServesUndiverged, 2),
        class("stalled, one direction", Fault::Link(LinkFault::Stalled), Promise::ServesUndiverged, 2),
        class("slow, one direction", Fault::Link(LinkFault::Slow), Promise::ServesUndiverged, 2),
        class("old frames", Fault::OldFrames, Promise::InTime, 3),
        class("frames of an older epoch", Fault::OlderEpoch, Promise::ServesUndiverged, 0),
        class("clock drift", Fault::Drift, Promise::ServesUndiverged, 2),
        class("clock jump", Fault::Jump, Promise::ServesUndiverged, 2),
        class("stuck output", Fault::Permanent(Site::StuckOutput), Promise::Safe, 1),
        class("failing output", Fault::Permanent(Site::FailingOutput), Promise::Serves, 1),
        class("flip, then takeover", Fault::FlipThenTakeover, Promise::Safe, 2),
        class("upgrade: stop", Fault::Upgrade(Upgrading::Stop), Promise::Serves, 1),
        class("upgrade: hang", Fault::Upgrade(Upgrading::Hang), Promise::Serves, 1),
        class("upgrade: link", Fault::Upgrade(Upgrading::Link), Promise::Serves, 2),
        class("upgrade: flip in a trial", Fault::Upgrade(Upgrading::Flip), Promise::Serves, 1),
        class("2nd: stop of the only half", Fault::Upgrade(Upgrading::OnlyHalf), Promise::Nothing, 1),
        class("2nd: flip alone", Fault::Second(Second::FlipAlone), Promise::Nothing, 2),
        class("2nd: stop alone", Fault::Second(Second::StopAlone), Promise::Nothing, 1),
        class("2nd: flip in a copy", Fault::Second(Second::FlipCopying), Promise::Nothing, 2),
        class("2nd: books of a copy", Fault::Second(Second::Books), Promise::Nothing, 2),
        class("2nd: link in a copy", Fault::Second(Second::LinkCopying), Promise::Nothing, 2),
        class("2nd: stop in a copy", Fault::Second(Second::StopCopying), Promise::Nothing, 1),
    ];

    /// Returns the class of a fault that begins with the boot.
    pub(super) fn of_boot() -> usize {
        Self::ALL.iter().position(|class| class.fault == Fault::OlderEpoch).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Fault, Outcome, Promise};
    use crate::node::Site;
    use std::prelude::v1::*;

    #[test]
    fn every_site_is_in_a_class_and_every_name_once() {
        for site in Site::ALL {
            let covered = |class: &Class| match class.fault {
                Fault::Flip(flipped) | Fault::Permanent(flipped) => flipped == site,
                Fault::Second(super::Second::Books) => site == Site::Copying,
                _ => false,
            };
            assert!(Class::ALL.iter().any(covered), "{site:?}");
        }
        let names: std::collections::HashSet<_> = Class::ALL.iter().map(|class| class.name).collect();
        assert_eq!(names.len(), Class::ALL.len());
    }
    #[test]
    fn each_promise_is_kept_by_what_it_names() {
        let kept = |promise: Promise, diverged| {
            Outcome::ALL
                .map(|outcome| if promise.is_kept_by(outcome, diverged) { 'y' } else { '.' })
                .iter()
                .collect::<String>()
        };
        // no effect, masked, recovered, held, excluded, crashed, safe, stopped; latent, missing, not back, broken, two owners, wrong, panic
        assert_eq!(kept(Promise::Masked, true), "yyy..y.........");
        assert_eq!(kept(Promise::Serves, true), "yyyyyy.........");
        assert_eq!(kept(Promise::InTime, false), "yyy............");
        assert_eq!(kept(Promise::InTime, true), "...............");
        assert_eq!(kept(Promise::ServesUndiverged, false), "yyyyyy.........");
        assert_eq!(kept(Promise::ServesUndiverged, true), "...............");
        assert_eq!(kept(Promise::Safe, true), "yyyyyyyy.......");
        assert_eq!(kept(Promise::Nothing, true), "yyyyyyyyyyy..y.");
    }
}
