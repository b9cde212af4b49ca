//! Arbiters for the simulated pair.

use crate::ids::{ChannelId, Epoch, Instant};
use crate::lease::{Arbiter, Claim, Confirmation, Grounds, Preferred};
use std::cell::Cell;
use std::rc::Rc;

/// Which arbiter a simulated pair has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArbiterKind {
    /// An output relay that takes the newest epoch and cuts the other channel off, and
    /// answers a claim at the given number of asks.
    Relay {
        /// Asks until it answers; 1 answers at once.
        asks: u8,
    },
    /// [`Preferred`].
    Preferred(ChannelId),
}

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Silence {
    /// It is answered.
    #[default]
    None,
    /// It is carried out, and not answered.
    OfAnswers,
    /// It does not arrive.
    OfAll,
}

/// One channel's end of the simulated arbiter.
#[derive(Clone)]
pub enum SimArbiter {
    /// The wire to the common relay.
    Relay {
        /// The epoch that the relay lets through.
        through: Rc<Cell<Epoch>>,
        /// Asks until it answers.
        asks: u8,
        /// The claim asked for last, and how often.
        asked: Option<(Epoch, u8)>,
        /// Times that this end still reads the wrong answer when it looks whether it owns.
        misread: Rc<Cell<u32>>,
        /// Times that it still reads nothing.
        unread: Rc<Cell<u32>>,
        /// The relay answers no claim; if it is silent, it still does what it is asked for.
        silence: Rc<Cell<Silence>>,
    },
    /// The rule.
    Preferred(Preferred),
}

impl SimArbiter {
    /// Makes the two ends of one arbiter.
    pub fn pair(kind: ArbiterKind) -> [Self; 2] {
        match kind {
            ArbiterKind::Relay { asks } => {
                let through = Rc::new(Cell::new(Epoch::NONE));
                let silence: Rc<Cell<Silence>> = Rc::default();
                [(); 2].map(|()| Self::Relay {
                    through: through.clone(),
                    asks,
                    asked: None,
                    misread: Rc::default(),
                    unread: Rc::default(),
                    silence: silence.clone(),
                })
            }
            ArbiterKind::Preferred(channel) => {
                [Self::Preferred(Preferred(channel)), Self::Preferred(Preferred(channel))]
            }
        }
    }

    /// Whether `epoch` owns through `me`, whatever this end reads.
    pub(super) fn lets_through(&self, epoch: Epoch, me: ChannelId) -> bool {
        match self {
            Self::Preferred(rule) => rule.confirms(epoch, me) == Confirmation::Yes,
            Self::Relay { through, .. } => through.get() == epoch && epoch.owner() == me,
        }
    }

    /// Whether this end still reads the wrong answer.
    pub(super) fn is_misread(&self) -> bool {
        matches!(self, Self::Relay { misread, unread, .. } if misread.get() + unread.get() > 0)
    }

    /// Lets this end of the relay read "not yours" so many times; false if there is no relay.
    pub fn misread(&mut self, times: u32) -> bool {
        match self {
            Self::Relay { misread, .. } => {
                misread.set(times);
                true
            }
            Self::Preferred(_) => false,
        }
    }

    /// Lets this end of the relay read nothing so many times; false if there is no relay.
    pub fn cannot_tell(&mut self, times: u32) -> bool {
        match self {
            Self::Relay { unread, .. } => {
                unread.set(times);
                true
            }
            Self::Preferred(_) => false,
        }
    }

    /// Lets the relay be silent to both ends, or answer again; false if there is no relay.
    pub fn fall_silent(&mut self, how: Silence) -> bool {
        match self {
            Self::Relay { silence, .. } => {
                silence.set(how);
                true
            }
            Self::Preferred(_) => false,
        }
    }
}

impl Arbiter for SimArbiter {
    fn claim(&mut self, now: Instant, from: Epoch, to: Epoch, grounds: Grounds) -> Claim {
        match self {
            Self::Preferred(rule) => rule.claim(now, from, to, grounds),
            Self::Relay { silence, .. } if silence.get() == Silence::OfAll => Claim::Pending,
            Self::Relay { through, asks, asked, silence, .. } => {
                // The relay acts on the first ask; its answer takes a while to come back.
                if to.counter() > through.get().counter() {
                    through.set(to);
                }
                let times = asked.filter(|(epoch, _)| *epoch == to).map_or(1, |(_, times)| times.saturating_add(1));
                *asked = Some((to, times));
                if times < *asks || silence.get() == Silence::OfAnswers {
                    return Claim::Pending;
                }
                *asked = None;
                if through.get() == to { Claim::Granted } else { Claim::Refused }
            }
        }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        match self {
            Self::Preferred(rule) => rule.confirms(epoch, me),
            Self::Relay { unread, .. } if unread.get() > 0 => {
                unread.set(unread.get() - 1);
                Confirmation::CannotTell
            }
            Self::Relay { misread, .. } => {
                let is_misread = misread.get() > 0;
                misread.set(misread.get().saturating_sub(1));
                (!is_misread && self.lets_through(epoch, me)).into()
            }
        }
    }

    /// The relay waits for the next claim.
    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        match self {
            Self::Preferred(rule) => rule.remembered(),
            Self::Relay { through, .. } => Some(through.get()),
        }
    }

    fn first_owner(&self) -> ChannelId {
        match self {
            Self::Preferred(rule) => rule.first_owner(),
            Self::Relay { .. } => ChannelId::A,
        }
    }
}
