//! UPGRADE  new software on one half at a time, tried on live data, with a way back.
//!
//! ```text
//! step        who owns   what happens
//! Idle        either     -
//! Prepare     either     every condition is met; nothing has changed
//! Split       old        the other half restarts into the new version and gets the state, converted
//! OldDrives   old        both step on the same samples; the new one's outputs are compared, counted, and driven by nobody
//! Switchover  old        hands over between two cycles
//! NewDrives   new        the new one's outputs are compared and driven; one that is not alike is not, the old one's is
//! Commit      new        the new version is confirmed; no way back from here
//! Merge       new        the old half restarts into the new version and joins
//! Abort       old        the new half restarts into the old version and joins
//! ```
//!
//! The channel that serves and owns holds the step; the other one follows it. Orders given on either
//! side are the owner's to carry out or to refuse. This file is the rules: which step follows which, what a channel
//! is to do in each, and what speaks against beginning. It sends nothing and changes nothing.
#![doc = include_str!("upgrade/guide.md")]

mod answers;
mod duty;
mod readiness;
mod refusal;
mod trial;

pub use answers::{Ordered, Retry, RunningImage};
pub use duty::{Duty, VersionRelation};
pub(crate) use duty::{Follower, duty_of};
pub use readiness::NotReady;
pub use refusal::Refusal;
pub use trial::{Counts, FirstDifference};
pub(crate) use trial::{Likeness, Trial};

use serde::{Deserialize, Serialize};

/// Where an upgrade stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// No upgrade.
    #[default]
    Idle,
    /// Both halves are ready for it.
    Prepare,
    /// The old version serves alone; the other half restarts into the new one.
    Split,
    /// The old version drives, the new one steps beside it.
    OldDrives,
    /// As before, and the old version hands over as soon as it can.
    Switchover,
    /// The new version drives, the old one steps beside it.
    NewDrives,
    /// The new version drives and is being confirmed; then the old half leaves.
    Commit,
    /// The new version serves alone; the other half restarts into it.
    Merge,
    /// Back to the old version: it drives again, and the other half restarts into it.
    Abort,
}

/// What a person, or a program, orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Order {
    /// Check that both halves are ready. Can be repeated; changes nothing else.
    Prepare,
    /// Let the half that does not own restart into its candidate.
    Split,
    /// Let the new version drive.
    Switchover,
    /// Keep the new version: no way back from here.
    Commit,
    /// Go back to the old version.
    Abort,
}

/// What changes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StepEvent {
    /// An order whose conditions are met.
    Ordered(Order),
    /// The new version has the state and steps beside the old one.
    TrialBegan,
    /// The new version owns the outputs: handed over, or taken from a dead peer.
    NewOwns,
    /// The old version owns them again, and the new one is beside it.
    HandedBack,
    /// The old version serves without the other half.
    OldAlone,
    /// The new version serves without the other half.
    NewAlone,
    /// The other half came back in the version that serves, before an upgrade was through.
    SameCameBack,
    /// The new version serves alone, and the other half comes back in the old one; whether the new one is confirmed.
    OldCameBack(bool),
    /// The other half cannot go back: its image is confirmed.
    CannotGoBack,
    /// The other half came back in the old version too often: it cannot follow.
    GaveUp,
    /// Both are in duplex.
    Duplex,
    /// This channel has booted or started over: it knows of no upgrade.
    Forgotten,
}

impl Step {
    /// All steps, at the place of their code on the wire.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Prepare,
        Self::Split,
        Self::OldDrives,
        Self::Switchover,
        Self::NewDrives,
        Self::Commit,
        Self::Merge,
        Self::Abort,
    ];

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Returns the step after `event`, or `None` if it changes nothing here. Every transition there is.
    pub(crate) const fn after(self, event: StepEvent) -> Option<Self> {
        use Order::{
            Abort as ToAbort, Commit as ToCommit, Prepare as ToPrepare, Split as ToSplit, Switchover as ToSwitch,
        };
        use Step::{Abort, Commit, Idle, Merge, NewDrives, OldDrives, Prepare, Split, Switchover};
        use StepEvent::{
            CannotGoBack, Duplex, Forgotten, GaveUp, HandedBack, NewAlone, NewOwns, OldAlone, OldCameBack, Ordered,
            SameCameBack, TrialBegan,
        };
        match (self, event) {
            (Idle, Ordered(ToPrepare)) => Some(Prepare),
            (Idle, OldCameBack(true)) => Some(Merge),
            (Idle, OldCameBack(false)) => Some(NewDrives),
            (Prepare, Ordered(ToSplit)) => Some(Split),
            (Prepare, Ordered(ToAbort) | OldAlone | NewAlone) => Some(Idle),
            (Split, TrialBegan) => Some(OldDrives),
            (OldDrives, Ordered(ToSwitch)) => Some(Switchover),
            (OldDrives | Switchover, NewOwns) => Some(NewDrives),
            (OldDrives | Switchover | NewDrives, OldAlone) => Some(Split),
            // In the very first cycle the word that it has begun may not be there yet.
            (Split | OldDrives | Switchover, NewAlone) => Some(NewDrives),
            (NewDrives, Ordered(ToCommit)) => Some(Commit),
            // A channel that follows learns of it with the outputs.
            (NewDrives, HandedBack) => Some(Abort),
            // There is nobody to go back to.
            (Abort, NewAlone) => Some(NewDrives),
            (Merge, GaveUp) => Some(NewDrives),
            (Commit, NewAlone) => Some(Merge),
            (Commit, OldAlone) => Some(Split),
            (Split | OldDrives | Switchover | NewDrives, Ordered(ToAbort)) => Some(Abort),
            (Split, SameCameBack) => Some(Abort),
            (Abort, CannotGoBack) => Some(Split),
            (Split | NewDrives | Commit | Merge | Abort, Duplex) => Some(Idle),
            (Prepare | Split | OldDrives | Switchover | NewDrives | Commit | Merge | Abort, Forgotten) => Some(Idle),
            (Idle, _)
            | (Prepare, Ordered(ToPrepare | ToSwitch | ToCommit) | TrialBegan | NewOwns | HandedBack | Duplex)
            | (Split, Ordered(ToPrepare | ToSplit | ToSwitch | ToCommit) | NewOwns | HandedBack | OldAlone)
            | (OldDrives, Ordered(ToPrepare | ToSplit | ToCommit) | TrialBegan | HandedBack | Duplex)
            | (Switchover, Ordered(ToPrepare | ToSplit | ToSwitch | ToCommit) | TrialBegan | HandedBack | Duplex)
            | (NewDrives, Ordered(ToPrepare | ToSplit | ToSwitch) | TrialBegan | NewOwns | NewAlone)
            | (Commit, Ordered(_) | TrialBegan | NewOwns | HandedBack)
            | (Merge | Abort, Ordered(_) | TrialBegan | NewOwns | HandedBack | OldAlone)
            | (Merge, NewAlone)
            | (Prepare | OldDrives | Switchover | NewDrives | Commit | Merge | Abort, SameCameBack)
            | (Prepare | Split | OldDrives | Switchover | NewDrives | Commit | Merge | Abort, OldCameBack(_))
            | (Prepare | Split | OldDrives | Switchover | NewDrives | Commit | Abort, GaveUp)
            | (Prepare | Split | OldDrives | Switchover | NewDrives | Commit | Merge, CannotGoBack) => None,
        }
    }

    /// Whether the pair is in this step because an order was carried out, or past what it is for.
    pub(crate) fn is_past(self, order: Order) -> bool {
        use Step::{Abort, Commit, Idle, Merge, NewDrives, Prepare, Switchover};
        match order {
            Order::Prepare => self != Idle,
            Order::Split => !matches!(self, Idle | Prepare),
            Order::Switchover => matches!(self, Switchover | NewDrives | Commit | Merge),
            Order::Commit => matches!(self, Commit | Merge),
            Order::Abort => matches!(self, Abort | Idle),
        }
    }

    /// Whether an order is one of this step's. That it changes nothing, as a second `Prepare`, is no reason to refuse it.
    pub(crate) fn takes(self, order: Order) -> bool {
        self.after(StepEvent::Ordered(order)).is_some() || self == Self::Prepare && order == Order::Prepare
    }
}

impl core::fmt::Display for Step {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Prepare => "prepare",
            Self::Split => "split",
            Self::OldDrives => "trial, old drives",
            Self::Switchover => "switchover",
            Self::NewDrives => "trial, new drives",
            Self::Commit => "commit",
            Self::Merge => "merge",
            Self::Abort => "abort",
        })
    }
}

impl Order {
    /// All orders, at the place of their code on the wire, less one: 0 is none.
    pub const ALL: [Self; 5] = [Self::Prepare, Self::Split, Self::Switchover, Self::Commit, Self::Abort];

    pub(crate) const fn code(self) -> u8 {
        self as u8 + 1
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// What a half can be restarted into, from the image's header. Both halves need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Candidate {
    /// Its version, not 0.
    pub version: u32,
    /// The version that it takes over from.
    pub takes_version: u32,
    /// The layout of that version's state.
    pub takes_layout: u32,
    /// The oldest version that may be installed.
    pub floor: u32,
}

/// How an upgrade stands, on either half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// This channel's step.
    pub step: Step,
    /// The partner's, by its last word.
    pub partner_step: Step,
    /// What the partner's version is to this one's.
    pub relation: VersionRelation,
    /// The version that runs on the partner; 0: not heard of.
    pub partner_version: u32,
    /// What this channel has been asked to do and has not done yet.
    pub duty: Option<Duty>,
    /// What the trial came to so far, by the new version's count.
    pub counts: Counts,
    /// Whether it has been tried for long enough, and the outputs were alike.
    pub is_ready: bool,
    /// Whether the outputs were not alike too often.
    pub has_failed: bool,
    /// An order given here that the partner has not answered yet.
    pub ordered: Option<Order>,
    /// What the partner refused the last order for.
    pub refused: Option<Refusal>,
    /// Why the state was not taken over, here or on the partner, by the program's number.
    pub cannot_migrate: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// Every step with every event; `.` where nothing changes.
    #[test]
    fn transition_table() {
        let glyph = |step: Option<Step>| match step {
            None => '.',
            Some(Step::Idle) => 'i',
            Some(Step::Prepare) => 'p',
            Some(Step::Split) => 's',
            Some(Step::OldDrives) => 'o',
            Some(Step::Switchover) => 'x',
            Some(Step::NewDrives) => 'n',
            Some(Step::Commit) => 'c',
            Some(Step::Merge) => 'm',
            Some(Step::Abort) => 'a',
        };
        let orders = Order::ALL.into_iter().map(StepEvent::Ordered);
        let others = [
            StepEvent::TrialBegan,
            StepEvent::NewOwns,
            StepEvent::HandedBack,
            StepEvent::OldAlone,
            StepEvent::NewAlone,
            StepEvent::SameCameBack,
            StepEvent::OldCameBack(false),
            StepEvent::OldCameBack(true),
            StepEvent::CannotGoBack,
            StepEvent::GaveUp,
            StepEvent::Duplex,
            StepEvent::Forgotten,
        ];
        let events: Vec<_> = orders.chain(others).collect();
        let row = |step: Step| -> String { events.iter().map(|event| glyph(step.after(*event))).collect() };
        let rows: Vec<_> = Step::ALL.into_iter().map(row).collect();
        // orders: prepare, split, switchover, commit, abort; trial began, new owns, handed back, old alone, new alone,
        // same came back, old came back (not confirmed, confirmed), cannot go back, gave up, duplex, forgotten
        assert_eq!(
            rows,
            [
                "p..........nm....", // idle
                ".s..i...ii......i", // prepare
                "....ao...na....ii", // split
                "..x.a.n.sn......i", // old drives
                "....a.n.sn......i", // switchover
                "...ca..as......ii", // new drives
                "........sm.....ii", // commit
                "..............nii", // merge
                ".........n...s.ii", // abort
            ]
        );
    }

    /// From every step before the commit there is a way back by order, and from none after it.
    #[test]
    fn abort_is_legal_before_the_commit_and_nowhere_after() {
        let takes: Vec<_> = Step::ALL.into_iter().filter(|step| step.takes(Order::Abort)).collect();
        assert_eq!(takes, [Step::Prepare, Step::Split, Step::OldDrives, Step::Switchover, Step::NewDrives]);
    }

    #[test]
    fn codes_come_back() {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!((usize::from(step.code()), Step::of_code(step.code())), (at, Some(step)));
        }
        for order in Order::ALL {
            assert_eq!(Order::of_code(order.code()), Some(order));
        }
        assert_eq!((Step::of_code(9), Order::of_code(0), Order::of_code(6)), (None, None, None));
    }
}
