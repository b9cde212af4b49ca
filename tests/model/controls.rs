//! Negative controls: each rule left out once, and the search must find what then breaks.

use super::arbiter::Kind;
use super::choice::Choice;
use super::fair;
use super::ghost::Promise;
use super::search::{Found, Plan, explore};
use super::world::{Setup, World};
use twinstep::{ChannelId, Mechanism};

/// A rule left out, and where to look for what that breaks.
pub struct Control {
    pub rule: &'static str,
    setup: Setup,
    /// From two channels just powered up, or from duplex.
    from_boot: bool,
    menu: fn(Choice) -> bool,
}

/// The epoch's exact match: it takes two faults and more than twenty choices to need it.
pub fn epoch(home: Setup) -> Control {
    let setup = Setup { faults: 2, off: Some(Mechanism::Epoch), ..home };
    Control { rule: "a frame of an older epoch is dropped", setup, from_boot: false, menu: |_| true }
}

/// States after which a control that found nothing has failed.
const MOST_STATES: usize = 2_000_000;

impl Control {
    pub fn start(&self) -> World {
        if self.from_boot { World::booted(&self.setup) } else { fair::in_duplex(&self.setup) }
    }

    pub fn run(&self) -> Found {
        explore(&self.start(), &Plan { setup: self.setup, every: 8, every_last: 1, most: MOST_STATES, menu: self.menu })
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

/// Every rule that carries a reason and can be left out, with the least search that shows why it
/// is there.
pub fn all(home: Setup) -> Vec<Control> {
    use Mechanism as M;
    let off = |mechanism| Setup { off: Some(mechanism), ..home };
    let control = |rule, setup| Control { rule, setup, from_boot: false, menu: |_| true };
    let preferred = |channel, setup| Setup { arbiter: Kind::Preferred(channel), ..setup };
    vec![
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
