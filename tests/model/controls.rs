//! Negative controls: each rule left out once, and the search must find what then breaks.
//!
//! The rules of the design that carry a reason, by its sections, with the switch that leaves each out
//! and the states after which the search finds what breaks (`RULE=... TRACES=1` shows how):
//!
//! ```text
//! rule                                           switch           states   or shown where
//! 6  a frame of another phase is dropped         Phase               395
//!    a sample is fixed                           FixedSample        4173
//!    an agreed input is final                    FinalInput         4238
//!    votes are compared                          Vote                140
//!    inputs differ: samples are checked          Samples               -   divergence/switched_off.rs
//!    votes stay until the peer has settled       VoteStays           146
//!    what is not acknowledged is sent again      -                     -   a_frame_fault_costs_nothing
//!    past patience the arbiter decides           Lease               264
//!    a late completion needs the lease           -                     -   nothing breaks, see below
//!    start skew stays below a period             -                     -   assumed: choice::may_wake
//!    taking over: the dead owner's last cycle    Overdue             312
//!    taking over: step again, nobody compared    FirstResult         279
//!    taking over: from a checked checkpoint      Checkpoint          348
//!    refused: stand by                           -                     -   Mode::after
//!    only the voter makes a Voted, opened once   -                     -   types: compile_fail/
//!    a Voted is checked as it is opened          Seal                  -   divergence/released.rs
//! 7  votes differ: step again                    Reexecution          10
//!    the order of the evidence's rules           -                     -   truth tables in diagnose.rs:
//!                                                                          who_agrees_in_the_end_is_not_
//!                                                                          faulty, the_rules_apply_in_
//!                                                                          their_order
//!    who settled says so                         Settled              20
//!    a verdict is kept, and claimed again        KeptVerdict        4941
//!    the guilty one lets go                      LettingGo            75
//!    the evidence has a window of its own        EvidenceWindow     4326
//!    who goes waits for the acknowledgement      -                     -   nothing breaks, see below
//!    too often is faulty                         -                     -   divergence/suspicion.rs
//! 8  memory is scrubbed                          Scrub               104
//! 9  a frame of an older epoch is dropped        Epoch           million   ignored test
//!    no number is issued twice                   Numbers            2998
//!    a newer epoch: stand by                     Overtaken          2784
//!    who holds the lease alone never stands by   -                     -   Mode::after
//!    two lineages never merge                    Fork                454
//!    a Hello acts only if it echoes              Echo                175
//!    only the epoch's owner goes alone           AnyoneAlone         260   a broken arbiter
//!    a relay obeys newer epochs only             Forgetful           134   a broken arbiter
//!    a joiner is never a donor                   -                     -   Mode::after
//! 10 a block written since is sent again         Resend                -   reintegration.rs
//!    the copied state is checked at the cut      CutDigest             -   reintegration.rs
//!    a Cut for another boot is ignored           CutNonce          13056
//!    an unanswered cut needs no patience         CutPatience       74848
//!    a new member is on probation                Probation             -   reintegration.rs
//! 12 a frame with a wrong CRC is dropped         Crc               12894
//! ```
//!
//! Two rules can be left out unnoticed here, so they have no switch. *Late completion*: with both
//! driving, patience 1, a fault and an early timer, all 347,578 states are sound, since whoever is late
//! also asks the arbiter first, a period before the other one could. *Acknowledgement*: in all of
//! 421,153, 551,132 and 301,151 states (relay; relay with patience; preferred) nobody needs it to be
//! safe or to get on; it is there so that both black boxes hold the evidence. With `CutDigest` off all of
//! 494,101 states are sound too: the scrub finds the damage that was let through, and the donor's block
//! mends it before the first common step.

use super::arbiter::Kind;
use super::choice::Choice;
use super::fair;
use super::ghost::Promise;
use super::search::{Found, Plan, explore};
use super::world::{Setup, World};
use twinstep::{ChannelId, Mechanism, Site};

/// A rule left out, and where to look for what that breaks.
pub struct Control {
    pub rule: &'static str,
    setup: Setup,
    /// From two channels just powered up, or from duplex.
    from_boot: bool,
    menu: fn(Choice) -> bool,
    /// After so many states a search that found nothing ends.
    most: usize,
}

/// The epoch's exact match: it takes two faults and more than twenty choices to need it.
pub fn epoch(home: Setup) -> Control {
    let setup = Setup { faults: 2, off: Some(Mechanism::Epoch), ..home };
    Control { rule: "a frame of an older epoch is dropped", setup, from_boot: false, menu: |_| true, most: MOST_STATES }
}

/// States after which a control that found nothing has failed.
pub const MOST_STATES: usize = 2_000_000;

impl Control {
    pub fn start(&self) -> World {
        if self.from_boot { World::booted(&self.setup) } else { fair::in_duplex(&self.setup) }
    }

    pub fn run(&self) -> Found {
        explore(&self.start(), &Plan { setup: self.setup, every: 8, every_last: 1, most: self.most, menu: self.menu })
    }

    /// The same search over so many states with everything on: what breaks must be for the rule.
    pub fn with_all_on(&self, most: usize) -> Self {
        Self { setup: Setup { off: None, ..self.setup }, most, ..*self }
    }

    pub fn is_switch(&self) -> bool {
        self.setup.off.is_some()
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }
}

/// Whether a choice is no fault of the environment.
pub fn is_free(choice: Choice) -> bool {
    use Choice::{Deliver, DeliverLate, Heal, Restart, Wake};
    match choice {
        Wake { dies, .. } | Deliver { dies, .. } => !dies,
        DeliverLate { .. } | Restart { .. } | Heal => true,
        _ => false,
    }
}

/// Faults of frames only.
pub fn of_frames(choice: Choice) -> bool {
    is_free(choice) || matches!(choice, Choice::HoldUp { .. } | Choice::Repeat { .. } | Choice::Garbled { .. })
}

fn repeats_and_crashes(choice: Choice) -> bool {
    is_free(choice) || matches!(choice, Choice::Repeat { .. } | Choice::Crash { .. })
}

/// Faults of channels and of the link as a whole.
pub fn crashes_and_cuts(choice: Choice) -> bool {
    let dies = matches!(choice, Choice::Wake { dies: true, .. } | Choice::Deliver { dies: true, .. });
    is_free(choice) || dies || matches!(choice, Choice::Crash { .. } | Choice::Cut)
}

/// The same, and an arbiter that does not answer, or is misread.
pub fn of_the_arbiter(choice: Choice) -> bool {
    crashes_and_cuts(choice) || matches!(choice, Choice::Silence | Choice::Speak | Choice::Misread { .. })
}

/// Only cuts of the link and silences of the arbiter.
pub fn silence_and_cuts(choice: Choice) -> bool {
    is_free(choice) || matches!(choice, Choice::Cut | Choice::Silence | Choice::Speak)
}

/// Every rule that carries a reason and can be left out, with the least search that shows why it
/// is there.
pub fn all(home: Setup) -> Vec<Control> {
    use Mechanism as M;
    let off = |mechanism| Setup { off: Some(mechanism), ..home };
    let control = |rule, setup| Control { rule, setup, from_boot: false, menu: |_| true, most: MOST_STATES };
    let preferred = |channel, setup| Setup { arbiter: Kind::Preferred(channel), ..setup };
    let flips = |sites, off| Setup { flips: 1, sites, ..off };
    vec![
        control(
            "a first result that nobody compared is stepped for again",
            flips(&[Site::Output], off(M::FirstResult)),
        ),
        Control {
            menu: crashes_and_cuts,
            ..control(
                "a joiner that does not answer is not waited for",
                Setup { patience: 1, faults: 2, cycles: 4, ..off(M::CutPatience) },
            )
        },
        Control {
            menu: of_frames,
            ..control("a sample is fixed", Setup { patience: 1, early: 1, ..off(M::FixedSample) })
        },
        control("who settled says so", Setup { faults: 0, ..flips(&[Site::Comparator], off(M::Settled)) }),
        control(
            "votes that differ are stepped for again",
            Setup { faults: 0, ..flips(&[Site::Output], off(M::Reexecution)) },
        ),
        control("the checkpoint is checked before it is stepped from", flips(&[Site::Checkpoint], off(M::Checkpoint))),
        control(
            "the guilty one lets go",
            preferred(ChannelId::A, Setup { faults: 0, ..flips(&[Site::FailingOutput], off(M::LettingGo)) }),
        ),
        control(
            "the evidence has a window of its own",
            Setup { early: 1, ..flips(&[Site::Output], off(M::EvidenceWindow)) },
        ),
        control(
            "a verdict against the peer is kept",
            preferred(ChannelId::A, flips(&[Site::FailingOutput], off(M::KeptVerdict))),
        ),
        control("the votes are compared", Setup { flips: 1, ..off(M::Vote) }),
        control("a frame with a wrong CRC is dropped", Setup { flips: 1, ..off(M::Crc) }),
        Control { menu: of_frames, ..control("a frame of another phase is dropped", off(M::Phase)) },
        Control {
            from_boot: true,
            menu: of_frames,
            ..control("a Hello acts only if it echoes", preferred(ChannelId::B, off(M::Echo)))
        },
        Control { menu: crashes_and_cuts, ..control("the arbiter decides who goes on", off(M::Lease)) },
        Control { menu: crashes_and_cuts, ..control("a dead owner's last cycle is driven again", off(M::Overdue)) },
        control("an agreed input is final", Setup { faults: 2, ..off(M::FinalInput) }),
        control("memory is scrubbed between cycles", Setup { flips: 1, ..off(M::Scrub) }),
        Control {
            menu: of_frames,
            ..control("votes stay until the peer has settled", Setup { promise: Promise::Steady, ..off(M::VoteStays) })
        },
        Control {
            menu: crashes_and_cuts,
            ..control("a newer epoch: stand by", Setup { faults: 1, early: 1, ..off(M::Overtaken) })
        },
        Control {
            menu: crashes_and_cuts,
            ..control("no number is issued twice", Setup { faults: 2, ..off(M::Numbers) })
        },
        Control {
            menu: crashes_and_cuts,
            ..control(
                "lineages never merge by themselves",
                Setup { arbiter: Kind::Forgetful, promise: Promise::Lineages, ..off(M::Fork) },
            )
        },
        Control {
            from_boot: true,
            menu: repeats_and_crashes,
            ..control(
                "a Cut for another boot is ignored",
                preferred(ChannelId::B, Setup { faults: 2, ..off(M::CutNonce) }),
            )
        },
        Control {
            menu: crashes_and_cuts,
            ..control(
                "only the epoch's owner goes alone, without hardware",
                Setup { arbiter: Kind::AnyoneAlone, ..home },
            )
        },
        Control {
            menu: crashes_and_cuts,
            ..control("a relay obeys newer epochs only", Setup { arbiter: Kind::Forgetful, ..home })
        },
    ]
}
