//! Arbiters as plain values, so that a state of the model holds all of them.

use std::hash::Hash;
use twinstep::{Arbiter, ChannelId, Claim, Confirmation, Epoch, Grounds, Instant, Preferred};

/// Which arbiter the pair has.
#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub enum Kind {
    /// Lets the newest epoch through and answers at the given ask.
    Relay { asks: u8 },
    /// A relay that answers at once, but may fall silent or be misread.
    Fickle,
    /// The rule without hardware.
    Preferred(ChannelId),
    /// Broken on purpose: the rule, but whoever hears nothing may go alone.
    AnyoneAlone,
    /// Broken on purpose: a relay that obeys the latest claim, however old its number.
    Forgetful,
}

/// Both channels' ends of it.
#[derive(Clone, Copy, Hash)]
pub struct Arbiters {
    kind: Kind,
    through: Epoch,
    asked: [Option<(Epoch, u8)>; 2],
    /// It answers no claim and cannot be read.
    pub is_silent: bool,
    /// A channel reads that it does not own, whatever is so.
    pub misread: [bool; 2],
}

impl Arbiters {
    pub fn new(kind: Kind) -> Self {
        Self { kind, through: Epoch::NONE, asked: [None; 2], is_silent: false, misread: [false; 2] }
    }

    pub fn end(&mut self, at: usize) -> End<'_> {
        End { all: self, at }
    }

    /// Whether it may fail.
    pub fn is_fickle(&self) -> bool {
        self.kind == Kind::Fickle
    }

    /// Who owns, whatever a channel reads.
    pub fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        match self.kind {
            Kind::Relay { .. } | Kind::Fickle | Kind::Forgetful => {
                (self.through == epoch && epoch.owner() == me).into()
            }
            Kind::Preferred(first) => Preferred(first).confirms(epoch, me),
            Kind::AnyoneAlone => (epoch.owner() == me).into(),
        }
    }
}

/// One channel's end.
pub struct End<'a> {
    all: &'a mut Arbiters,
    at: usize,
}

impl Arbiter for End<'_> {
    fn claim(&mut self, now: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
        let Arbiters { kind, through, asked, is_silent, .. } = self.all;
        match *kind {
            Kind::Fickle if *is_silent => Claim::Pending,
            Kind::Fickle => {
                *through = if to.counter() > through.counter() { to } else { *through };
                if *through == to { Claim::Granted } else { Claim::Refused }
            }
            Kind::Preferred(first) => Preferred(first).claim(now, from, to, grounds),
            Kind::AnyoneAlone => Claim::Granted,
            Kind::Forgetful => {
                *through = to;
                Claim::Granted
            }
            Kind::Relay { asks } => {
                if to.counter() > through.counter() {
                    *through = to;
                }
                let times = asked[self.at].filter(|(epoch, _)| *epoch == to).map_or(1, |(_, times)| times + 1);
                asked[self.at] = (times < asks).then_some((to, times));
                match (times < asks, *through == to) {
                    (true, _) => Claim::Pending,
                    (false, true) => Claim::Granted,
                    (false, false) => Claim::Refused,
                }
            }
        }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        match &*self.all {
            Arbiters { is_silent: true, .. } => Confirmation::CannotTell,
            all if all.misread[self.at] => Confirmation::No,
            all => all.confirms(epoch, me),
        }
    }

    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        match self.all.kind {
            Kind::Relay { .. } | Kind::Fickle | Kind::Forgetful => Some(self.all.through),
            Kind::Preferred(_) | Kind::AnyoneAlone => None,
        }
    }

    fn first_owner(&self) -> ChannelId {
        if let Kind::Preferred(first) = self.all.kind { first } else { ChannelId::A }
    }
}
